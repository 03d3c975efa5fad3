"""A clip of a study: which traces it shows, the stages below, and what is said to be wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from make_edf import write_edf
from recording.edf_bytes import File, Signal, smooth, tal
from viewer.folder_source import FolderSource

from sleepfm.errors import RequestError
from sleepfm.recording.quality import QualityFlag, assess
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.clips import clip
from sleepfm.viewer.routes import parse_traces
from sleepfm.viewer.study_source import NamedScoring
from sleepfm.vocabulary import Modality

LABELS = ("F4-M1", "C4-M1", "O2-M1", "E1-M2", "E2-M1", "Snore", "Airflow", "Thorax", "Abdomen", "SpO2", "ECG")
STAGES = [0, 1, 2, 2, 3, 3, 4, 4, -1, 2, 2, 1]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderSource]:
    folder = tmp_path_factory.mktemp("clips")
    source = FolderSource({"night": write_edf(folder / "night.edf", seconds=610, labels=LABELS)})
    scoring = Scoring(np.array(STAGES, dtype=np.int8))
    source.named["night"] = [NamedScoring("1", "Expert", "", scoring), NamedScoring("2", "YASA", "", scoring)]
    onsets = [*range(30), *range(400, 430)]
    interrupted = File(
        [Signal("C4-M1", smooth(len(onsets), 128)), Signal("EDF Annotations", [tal(t) for t in onsets])], reserved="EDF+D"
    )
    source.files["interrupted"] = folder / "interrupted.edf"
    source.files["interrupted"].write_bytes(interrupted.bytes())
    yield source
    source.close()


def test_a_modality_shows_its_kinds_before_several_of_one(source: FolderSource) -> None:
    shown = clip(source, "night", 0.0, [Modality.BAS])["traces"]
    assert [one["kind"] for one in shown] == ["EEG", "EEG", "EOG", "EOG"]
    breathing = clip(source, "night", 0.0, [Modality.RESP])["traces"]
    assert {one["label"] for one in breathing} == {"Airflow", "Thorax", "Abdomen", "SpO2"}  # not the snoring


def test_several_modalities_share_the_room(source: FolderSource) -> None:
    both = clip(source, "night", 0.0, [Modality.RESP, Modality.EKG])["traces"]
    assert [one["modality"] for one in both] == ["RESP", "RESP", "RESP", "EKG"]
    every = clip(source, "night", 0.0, list(Modality))["traces"]
    assert [one["modality"] for one in every] == ["BAS", "BAS", "RESP", "RESP", "EKG"]


def test_the_traces_are_those_the_window_route_takes(source: FolderSource) -> None:
    traces = clip(source, "night", 0.0, list(Modality))["traces"]
    for one in traces:
        high, low = (one["filter"][name] or "" for name in ("high_pass_hz", "low_pass_hz"))
        (parsed,) = parse_traces(f"{one['key']}_{high}_{low}_")
        assert parsed.key == one["key"]


def test_the_stages_are_those_of_the_scoring_that_counts(source: FolderSource) -> None:
    first, second = clip(source, "night", 0.0, [Modality.BAS]), clip(source, "night", 300.0, [Modality.BAS])
    assert first["scorer"] == "Expert"
    assert [one["stage"] for one in first["stages"]] == STAGES[:10]
    assert [one["start"] for one in first["stages"]] == [30.0 * k for k in range(10)]
    # beyond the scoring nothing is known, which is not Wake
    assert [one["stage"] for one in second["stages"]] == [2, 1] + [-1] * 8


def test_a_modality_that_is_not_there_or_all_bad_is_said_to_be_wrong(source: FolderSource) -> None:
    report = assess(source.recording("night"))
    flags = np.zeros_like(report.flags)
    ecg = report.channels.index(LABELS.index("ECG"))
    flags[ecg, :6] = QualityFlag.FLAT
    flags[0, :10] = QualityFlag.CLIPPED
    source.reports["night"] = replace(report, flags=flags)
    found = clip(source, "night", 0.0, list(Modality))
    assert found["wrong"] == {"BAS": "", "RESP": "", "EKG": "EKG is flat here", "EMG": "this night has no EMG"}
    assert {one["label"]: one["bad"] for one in found["traces"] if one["bad"]} == {"F4-M1": "clipped", "ECG": "flat"}
    later = clip(source, "night", 300.0, [Modality.EKG])
    assert later["wrong"] == {"EKG": ""}
    del source.reports["night"]


def test_a_clip_in_a_gap_says_so(source: FolderSource) -> None:
    whole, empty = (clip(source, "interrupted", start, [Modality.BAS]) for start in (0.0, 60.0))
    assert whole["wrong"] == {"BAS": ""}
    assert empty["wrong"] == {"BAS": "the recording has a gap here"}
    assert empty["gaps"] == [[30.0, 400.0]]


@pytest.mark.parametrize("start_s", [610.0, 1e9])
def test_a_clip_beyond_the_recording_is_refused(source: FolderSource, start_s: float) -> None:
    with pytest.raises(RequestError, match="not within the recording of 610 s"):
        clip(source, "night", start_s, [Modality.BAS])
