"""Other programs open what we write, and count the same."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, time
from pathlib import Path

import edfio
import lunapi
import mne
import numpy as np
import pandas as pd
import pytest
import yasa
from scoring_samples import scoring_of

from sleepfm.recording.scorings.formats import read_file, write_scoring
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName

STAGES = [0, 0, 1, 2, 2, 3, 4, -1, 2, 0]
SCORING = scoring_of(STAGES, probable=True)
EVENTS = (
    Event(5.0, 5.0, EventName.LIGHTS_OFF),
    Event(95.5, 112.25, EventName.HYPOPNEA, "Nasal pressure", "expert"),
    Event(100.0, 130.0, EventName.DESATURATION, "SpO2", "expert", {"Desaturation": 4.0, "NadirSpO2": 88.0}),
    Event(111.0, 115.0, EventName.AROUSAL, "C4-M1", "expert"),
    Event(150.0, 170.0, EventName.OBSTRUCTIVE_APNEA),
    Event(180.0, 181.0, EventName.PLM),
)
START = datetime(2024, 3, 31, 22, 41, 7)
LETTERS = {0: "W", 1: "N1", 2: "N2", 3: "N3", 4: "R", -1: "?"}


def epochs_of(stages: list[int], names: dict[int, str]) -> Counter[str]:
    return Counter(names[stage] for stage in stages)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 300 s for Luna."""
    path = tmp_path_factory.mktemp("luna") / "night.edf"
    signal = edfio.EdfSignal(np.zeros(300 * 10), 10, label="EEG C4-M1", physical_dimension="uV", physical_range=(-100, 100))
    edfio.Edf([signal], starttime=time(22, 41, 7)).write(path)
    return path


def in_luna(night: Path, file: Path) -> lunapi.inst:
    """Open a recording with its annotations in Luna."""
    instance = lunapi.proj(verbose=False).inst(file.name)
    instance.attach_edf(str(night))
    instance.attach_annot(str(file))
    return instance


def counts_of(instance: lunapi.inst) -> Counter[str]:
    """Return how often Luna finds each annotation: of stages the epochs of 30 s, of the others the instances."""
    found: Counter[str] = Counter()
    for name in instance.annots()["Annotations"]:
        rows = instance.fetch_annots([name])
        is_stage = name in LETTERS.values() or name == "U"
        found[name] += sum(round((row.Stop - row.Start) / 30) if is_stage else 1 for row in rows.itertuples())
    return found


def test_annot_in_luna(night: Path, tmp_path: Path) -> None:
    path = tmp_path / "night.annot"
    assert write_scoring(SCORING, path, to="annot", events=EVENTS) == ()
    instance = in_luna(night, path)
    assert counts_of(instance) == {
        **epochs_of(STAGES, LETTERS),
        "lights_off": 1, "hypopnea": 1, "desat": 1, "arousal": 1, "apnea_obstructive": 1, "PLM": 1,
    }  # fmt: skip
    rows = instance.fetch_annots(["hypopnea"])
    assert rows[["Start", "Stop"]].to_numpy().tolist() == [[95.5, 112.25]]


def test_nsrr_xml_in_luna(night: Path, tmp_path: Path) -> None:
    path = tmp_path / "night-nsrr.xml"
    write_scoring(SCORING, path, to="nsrr", start=START, events=EVENTS)
    found = counts_of(in_luna(night, path))
    assert {name: n for name, n in found.items() if "|" not in name} == epochs_of(STAGES, LETTERS | {-1: "U"})
    assert {name.partition("|")[0].replace("_", " "): n for name, n in found.items() if "|" in name} == {
        "Lights off": 1, "Hypopnea": 1, "SpO2 desaturation": 1, "Arousal": 1, "Obstructive apnea": 1, "Periodic leg movement": 1,
    }  # fmt: skip


def test_edf_annotations_in_mne_and_edfio(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    write_scoring(SCORING, path, to="edf", start=START, events=EVENTS)
    edf = edfio.read_edf(path)
    assert (edf.startdate, edf.starttime) == (START.date(), START.time())
    assert (edf.local_patient_identification, edf.recording.equipment_code) == ("X X X X", "X")
    epochs = Counter({"Sleep stage W": 3, "Sleep stage N1": 1, "Sleep stage N2": 3, "Sleep stage N3": 1, "Sleep stage R": 1,
                      "Sleep stage ?": 1})  # fmt: skip
    events = Counter({"Lights off": 1, "Hypopnea@@Nasal pressure": 1, "Oxygen desaturation@@SpO2": 1, "EEG arousal@@C4-M1": 1,
                      "Obstructive apnea": 1, "PLMS": 1})  # fmt: skip
    theirs = mne.read_annotations(path)
    for rows in (
        [(note.onset, note.duration or 0.0, note.text) for note in edf.annotations],
        [(note["onset"], note["duration"], note["description"]) for note in theirs],
    ):
        stages: Counter[str] = Counter()
        for _, lasts_s, text in rows:
            stages[text] += round(lasts_s / 30) if text.startswith("Sleep stage") else 1
        # MNE keeps the channel of "text@@channel" elsewhere
        assert {text.partition("@@")[0]: n for text, n in stages.items()} == {
            text.partition("@@")[0]: n for text, n in (epochs + events).items()
        }
        assert (95.5, 16.75) in [(onset, lasts_s) for onset, lasts_s, _ in rows]
    assert {note.text for note in edf.annotations} == set(epochs) | set(events)


def test_integers_and_table_in_yasa(tmp_path: Path) -> None:
    text, table = tmp_path / "night.txt", tmp_path / "night.csv"
    write_scoring(SCORING, text, to="yasa")
    write_scoring(SCORING, table, to="yasa")
    words = {0: "WAKE", 1: "N1", 2: "N2", 3: "N3", 4: "REM", -1: "UNS"}
    expected = [words[stage] for stage in STAGES]
    integers = yasa.Hypnogram.from_integers(np.loadtxt(text).astype(int))
    assert integers.hypno.tolist() == expected
    read = pd.read_csv(table)
    theirs = integers.as_events().reset_index()
    for column in ("epoch", "onset", "duration", "value", "description"):
        assert read[column].tolist() == theirs[column].tolist()
    assert yasa.Hypnogram(read["description"].to_numpy()).hypno.tolist() == expected


def test_what_yasa_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    yasa.Hypnogram(["W", "N1", "N2", "UNS", "R", "ART"]).as_events().to_csv(path)
    read = read_file(path)
    assert read.format == "yasa"
    assert read.scoring is not None
    assert read.scoring.stages.tolist() == [0, 1, 2, -1, 4, -1]


def test_events_tsv_in_pandas(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_task-sleep_events.tsv"
    write_scoring(SCORING, path, to="bids", events=EVENTS)
    table = pd.read_csv(path, sep="\t", na_values="n/a", keep_default_na=False)
    assert list(table.columns[:3]) == ["onset", "duration", "trial_type"]
    assert table["onset"].is_monotonic_increasing
    assert Counter(table["trial_type"]) == epochs_of(STAGES, LETTERS) + Counter(event.name for event in EVENTS)
    assert table.loc[table["trial_type"] == "N3", "p_N3"].tolist() == [0.75]
    assert table.loc[table["trial_type"] == "?", "p_N3"].isna().all()


def test_array_in_numpy(tmp_path: Path) -> None:
    write_scoring(SCORING, tmp_path / "p.npy", to="usleep")
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), SCORING.probabilities)
    write_scoring(scoring_of(STAGES), tmp_path / "i.npy", to="usleep")
    assert np.load(tmp_path / "i.npy").tolist() == [[5 if stage < 0 else stage] for stage in STAGES]


def test_profusion_hypnograms_read_as_yasa_reads_them_but_for_code_9(tmp_path: Path) -> None:
    path = tmp_path / "profusion.xml"
    codes = [0, 1, 2, 3, 4, 5, 9, 0]
    stages = "".join(f"<SleepStage>{code}</SleepStage>" for code in codes)
    path.write_text(
        f"<CMPStudyConfig><EpochLength>30</EpochLength><ScoredEvents/><SleepStages>{stages}</SleepStages></CMPStudyConfig>"
    )
    theirs = yasa.Hypnogram.from_profusion(path).as_int().to_numpy()
    read = read_file(path)
    assert read.scoring is not None
    known = np.array(codes) != 9
    np.testing.assert_array_equal(read.scoring.stages[known], theirs[known])
    assert read.scoring.stages[~known].tolist() == [-1]
    assert any("code 9" in warning for warning in read.warnings)
