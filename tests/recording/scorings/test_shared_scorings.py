"""Every real scoring file opens with the counts that somebody else's reader, or plain arithmetic, gives."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from sleepfm.recording.scorings.formats import detect_format, read_file, read_scoring
from sleepfm.vocabulary import Stage

MNE_STAGES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "1": 1, "2": 2, "3": 3, "4": 3, "R": 4, "?": -1}


def counts(stages: np.ndarray) -> dict[int, int]:
    return {int(stage): int((stages == stage).sum()) for stage in Stage}


@pytest.mark.parametrize(
    ("name", "format_", "expected"),
    [
        ("scorings/SC4011EH-Hypnogram.edf", "edf", {-1: 78, 0: 1856, 1: 109, 2: 562, 3: 105, 4: 170}),
        ("psg/SC4001EC-Hypnogram.edf", "edf", {-1: 230, 0: 1997, 1: 58, 2: 250, 3: 220, 4: 125}),
        ("scorings/nihon_kohden_nap_1.edf", "nihonkohden", {-1: 0, 0: 62, 1: 11, 2: 100, 3: 0, 4: 0}),
        ("scorings/nihon_kohden_nap_2.edf", "nihonkohden", {-1: 1, 0: 46, 1: 45, 2: 15, 3: 68, 4: 0}),
    ],
)
def test_edf_hypnograms_count_what_mne_reads(shared: Path, name: str, format_: str, expected: dict[int, int]) -> None:
    path = shared / "data" / name
    seconds: Counter[int] = Counter()
    ends = 0.0
    for note in mne.read_annotations(path):
        label = note["description"].removeprefix("Sleep stage ")
        seconds[MNE_STAGES.get(label, -1)] += round(note["duration"])
        ends = max(ends, note["onset"] + note["duration"])
    found = {stage: seconds[stage] // 30 for stage in expected}
    found[-1] += round(ends) // 30 - sum(found.values())  # what nobody scored, before the first annotation of nap 2
    assert found == expected
    assert detect_format(path) == format_
    assert counts(read_scoring(path).stages) == expected


def test_sleep_edf_says_what_became_of_stage_4(shared: Path) -> None:
    said = read_scoring(shared / "data/scorings/SC4011EH-Hypnogram.edf").warnings
    assert any("8 × 'Sleep stage 4' became N3" in one for one in said)


def test_noxturnal_in_french_and_utf_16(shared: Path) -> None:
    path = shared / "data/scorings/noxturnal_events.csv"
    table = pd.read_csv(path, encoding="utf-16", skiprows=[1])
    rows = table["Événement"].value_counts()
    read = read_file(path)
    assert read.format == "noxturnal"
    assert read.scoring is not None
    words = {0: "Éveil", 1: "N1", 2: "N2", 3: "N3", 4: "REM"}
    scored = {stage: int(rows[word]) for stage, word in words.items()}
    assert scored == {0: 213, 1: 66, 2: 466, 3: 364, 4: 249}
    # from 22:30:00 to 10:58:30 are 1497 epochs: those without a row are holes
    assert counts(read.scoring.stages) == {-1: 1497 - 1358, **scored}
    assert read.scoring.start == datetime(2016, 1, 15, 22, 30)
    assert Counter(event.name for event in read.events) == {"Arousal": int(rows["Micro-éveil"])} == {"Arousal": 22}
    said = " ".join(read.warnings)
    assert "29 × 'Notification'" in said
    assert "4170 s in 4 hole(s) of the scoring are Unknown (first: 15570 to 15600 s, between line 539 and line 540)" in said

    starts = pd.to_datetime(table["Heure de début"], dayfirst=True)
    arousals = (starts[table["Événement"] == "Micro-éveil"] - starts.min()).dt.total_seconds()
    assert [event.start_s for event in read.events] == arousals.tolist()


def test_yasas_integers_say_themselves_what_they_mean(shared: Path) -> None:
    path = shared / "data/scorings/yasa_hypnogram_30s.txt"
    assert detect_format(path) == "yasa"
    np.testing.assert_array_equal(read_scoring(path).stages, np.loadtxt(path).astype(int))
    assert counts(read_scoring(path).stages) == {-1: 0, 0: 43, 1: 22, 2: 318, 3: 182, 4: 155}


def test_the_challenge_and_the_experts_csv(shared: Path) -> None:
    read = read_file(shared / "data/scorings/tr03-0005.arousal")
    assert read.scoring is not None
    assert counts(read.scoring.stages) == {-1: 12, 0: 367, 1: 58, 2: 267, 3: 72, 4: 81}
    assert Counter(event.name for event in read.events) == {
        "RERA": 27, "Central apnea": 20, "Hypopnea": 14, "Obstructive apnea": 9,
    }  # fmt: skip
    expert = shared / "data/psg/ucddb018_expert.csv"
    assert counts(read_scoring(expert).stages) == {
        int(stage): int((pd.read_csv(expert)["StageNumber"] == stage).sum()) for stage in Stage
    }
