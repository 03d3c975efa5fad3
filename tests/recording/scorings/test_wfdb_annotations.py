"""WFDB annotations, held against the wfdb package; damaged files end in one line."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from wfdb_files import annotation_bytes, write_cinc

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.codes import CodesNeededError
from sleepfm.recording.scorings.formats import detect_format, read_events, read_scoring
from sleepfm.vocabulary import Stage

STAGES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "R": 4, "U": -1}


def test_a_real_night_of_the_challenge(shared: Path) -> None:
    """tr03-0005: 25,735 s; what wfdb reads of its notes, expanded to 30 s, is what we read."""
    path = shared / "data/scorings/tr03-0005.arousal"
    assert detect_format(path) == "wfdb"
    theirs = wfdb.rdann(str(path.with_suffix("")), "arousal")
    expected = np.full(25735 // 30, -1)
    for sample, note in zip(theirs.sample, theirs.aux_note, strict=True):
        if note in STAGES:
            expected[sample // 6000 :] = STAGES[note]
    scoring = read_scoring(path)
    np.testing.assert_array_equal(scoring.stages, expected)
    assert (scoring.stages[:12] == Stage.UNKNOWN).all()  # nobody scored before sample 72,000
    assert scoring.stages[12] == Stage.WAKE

    events = read_events(path)
    assert Counter(event.name for event in events) == {"RERA": 27, "Central apnea": 20, "Hypopnea": 14, "Obstructive apnea": 9}
    begins = [s / 200 for s, note in zip(theirs.sample, theirs.aux_note, strict=True) if note.startswith("(")]
    assert sorted(event.start_s for event in events) == begins
    assert (events[0].start_s, events[0].stop_s, events[0].source) == (124524 / 200, 127604 / 200, "wfdb")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 70), st.sampled_from(sorted(STAGES))), min_size=1, max_size=30).filter(
        lambda runs: any(stage != "U" for _, stage in runs)
    )
)
def test_runs_written_by_wfdb(runs: list[tuple[int, str]]) -> None:
    epochs = np.cumsum([0] + [n for n, _ in runs])
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrann(
            "night", "st", np.maximum(epochs[:-1] * 30 * 100, 1), symbol=['"'] * len(runs), aux_note=[note for _, note in runs],
            fs=100, write_dir=folder,
        )  # fmt: skip
        scoring = read_scoring(Path(folder) / "night.st", duration_s=30.0 * epochs[-1])
    assert scoring.stages.tolist() == [STAGES[note] for n, note in runs for _ in range(n)]


def test_length_and_rate_come_from_the_header_beside_it(tmp_path: Path) -> None:
    header = write_cinc(tmp_path, "tr03-0001", seconds=150)
    path = header.with_suffix(".arousal")
    path.write_bytes(annotation_bytes([(6000, "N2"), (12000, "R")], resolution=None))
    assert read_scoring(path).stages.tolist() == [-1, 2, 4, 4, 4]
    assert read_scoring(path, duration_s=60).stages.tolist() == [-1, 2]
    header.unlink()
    with pytest.raises(ScoringError, match=r"put the record's header tr03-0001\.hea beside it"):
        read_scoring(path)


def test_the_last_stage_of_a_lonely_file_is_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "a.arousal"
    path.write_bytes(annotation_bytes([(0, "W"), (6000, "N1")]))
    assert read_scoring(path).stages.tolist() == [0, 1]


def test_another_note_ends_the_stage(tmp_path: Path) -> None:
    """A word that nobody knows may be a stage: what follows it is not the stage before."""
    path = tmp_path / "a.arousal"
    path.write_bytes(annotation_bytes([(0, "W"), (6000, "half asleep\x1b sleep"), (12000, "N3"), (18000, "U")]))
    scoring = read_scoring(path, duration_s=150)
    assert scoring.stages.tolist() == [0, -1, 3, -1, -1]
    assert any(
        r"half asleep\x1b sleep' is no sleep stage and became Unknown (first: annotation at 30 s)" in warning
        for warning in scoring.warnings
    )
    assert not any("\x1b" in warning for warning in scoring.warnings)


def test_events_overlap_and_are_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.arousal"
    notes = [
        (200, "(resp_hypopnea"),
        (400, "(arousal_rera"),
        (600, "resp_hypopnea)"),
        (700, "(resp_hypopnea"),
        (800, "arousal_rera)"),
        (900, "(resp_partialobstructive"),
        (1000, "resp_partialobstructive)"),
        (1200, "(arousal_spontaneous"),
    ]
    path.write_bytes(annotation_bytes(notes))
    found = [(event.name, event.start_s, event.stop_s) for event in read_events(path)]
    assert found == [("Hypopnea", 1, 3), ("RERA", 2, 4), ("Hypopnea", 3.5, 3.5), ("Arousal", 6, 6)]


def test_events_without_stages(tmp_path: Path) -> None:
    path = tmp_path / "a.arousal"
    path.write_bytes(annotation_bytes([(200, "(resp_hypopnea"), (600, "resp_hypopnea)")]))
    assert len(read_events(path)) == 1
    with pytest.raises(ScoringError, match="no annotation is a sleep stage"):
        read_scoring(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(annotation_bytes([(6000 * k, note) for k, note in enumerate(("W", "N1", "(resp_hypopnea", "N2", "R"))]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(raw)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.arousal"
        path.write_bytes(raw[:cut])
        for read in (read_scoring, read_events):
            try:
                found = read(path)
            except (ScoringError, CodesNeededError):  # two bytes may be all that is left: a digit
                continue
            assert len(getattr(found, "stages", found)) <= 60 * 24 * 120  # what is read fits a recording


@pytest.mark.parametrize("content", [b"\x00", b"PK\x03\x04" + bytes(40), bytes(range(256)) * 9])
def test_other_files_are_no_annotations(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    with pytest.raises(ScoringError, match="not a scoring that can be read"):
        detect_format(path)
