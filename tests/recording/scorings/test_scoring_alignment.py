"""A scoring that did not begin with its recording is laid over it by clock time; one of another night is refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from scoring_samples import scoring_of

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.formats import read_events, read_file, read_scoring, write_scoring
from sleepfm.recording.scorings.scoring import Event

START = datetime(2024, 3, 31, 22, 0)
STAGES = [0, 1, 2, 3, 4, 2]


def by_seconds(stages: list[int], offset_s: int, epochs: int) -> list[int]:
    """Lay epochs that begin `offset_s` after the recording over it, second by second; the most frequent stage, a tie is -1."""
    seconds = [-1] * (30 * epochs)
    for k, stage in enumerate(stages):
        for t in range(30 * k + offset_s, 30 * k + 30 + offset_s):
            if 0 <= t < len(seconds):
                seconds[t] = stage
    found = []
    for e in range(epochs):
        piece = seconds[30 * e : 30 * e + 30]
        counts = sorted(((piece.count(stage), stage) for stage in set(piece)), reverse=True)
        found.append(-1 if len(counts) > 1 and counts[0][0] == counts[1][0] else counts[0][1])
    return found


@settings(max_examples=25, deadline=None)
@given(offset_s=st.integers(-170, 170), epochs=st.integers(8, 12), to=st.sampled_from(["edf", "nsrr"]))
def test_any_offset_gives_what_counting_seconds_gives(
    tmp_path_factory: pytest.TempPathFactory, offset_s: int, epochs: int, to: str
) -> None:
    path = tmp_path_factory.mktemp("align") / "x"
    write_scoring(scoring_of(STAGES), path, to=to, start=START + timedelta(seconds=offset_s))  # type: ignore[arg-type]
    scoring = read_scoring(path, start=START, duration_s=30.0 * epochs)
    assert scoring.stages.tolist() == by_seconds(STAGES, offset_s, epochs)
    assert any("laid by clock time" in said for said in scoring.warnings) == (offset_s != 0)
    assert scoring.start == START


def test_events_move_along_and_those_outside_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    events = [Event(10, 20, "Hypopnea"), Event(55, 70, "Arousal"), Event(100, 110, "Central apnea"), Event(170, 180, "Snore")]
    write_scoring(scoring_of(STAGES), path, to="edf", start=START - timedelta(seconds=60), events=events)
    read = read_file(path, start=START, duration_s=115)
    assert [(event.name, event.start_s, event.stop_s) for event in read.events] == [
        ("Arousal", 0, 10), ("Central apnea", 40, 50), ("Snore", 110, 115),
    ]  # fmt: skip
    said = " ".join(read.warnings)
    assert "1 event(s) outside the recording were left out: Hypopnea at -50 s (annotation 2 at 10 s)" in said
    assert "2 event(s) that reach beyond the recording were cut there: Arousal at -5 s" in said
    assert "60 s of the scoring lie before the recording and were left out" in said
    assert read_events(path, start=START, duration_s=115) == read.events


def test_events_of_a_csv_are_named_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("Start,Stop,Event\n0,10,Arousal\n900,910,Hypopnea\n50,80,Snore\n")
    read = read_file(path, duration_s=60)
    assert read.scoring is None
    assert [event.name for event in read.events] == ["Arousal", "Snore"]
    assert "Hypopnea at 900 s (line 3)" in read.warnings[0]
    assert "Snore at 50 s (line 4)" in read.warnings[1]


@pytest.mark.parametrize("to", ["edf", "nsrr"])
def test_another_night_is_refused_with_both_times(tmp_path: Path, to: str) -> None:
    path = tmp_path / "x"
    write_scoring(scoring_of(STAGES), path, to=to, start=START)  # type: ignore[arg-type]
    for start in (START + timedelta(days=1), START - timedelta(days=400), START + timedelta(minutes=10)):
        with pytest.raises(ScoringError, match="another night") as caught:
            read_scoring(path, start=start, duration_s=3600)
        assert "2024-03-31 22:00:00" in str(caught.value)
        assert start.strftime("%Y-%m-%d %H:%M:%S") in str(caught.value)
    with pytest.raises(ScoringError, match="another night"):  # behind the end of the recording
        read_scoring(path, start=START - timedelta(seconds=90), duration_s=80)


def test_without_a_date_the_time_of_day_counts(tmp_path: Path) -> None:
    """A recording or a scoring whose date was taken away is still laid by its clock, also over midnight."""
    path = tmp_path / "x.edf"
    write_scoring(scoring_of(STAGES), path, to="edf", start=datetime(1985, 1, 1, 0, 0, 30))
    scoring = read_scoring(path, start=datetime(2024, 3, 31, 23, 59, 30), duration_s=240)
    assert scoring.stages.tolist() == [-1, -1, *STAGES]
    assert any("begins at 00:00:30, 60 s after the recording (23:59:30)" in said for said in scoring.warnings)


def test_a_nap_within_a_long_recording_is_of_this_night(tmp_path: Path) -> None:
    """A scoring that is shorter than it begins late still lies within the recording."""
    path = tmp_path / "x.edf"
    write_scoring(scoring_of(STAGES), path, to="edf", start=START + timedelta(hours=2))
    scoring = read_scoring(path, start=START, duration_s=3 * 3600)
    assert scoring.stages[240:246].tolist() == STAGES
    assert (scoring.stages[:240] == -1).all()
    assert any(
        "begins at 2024-04-01 00:00:00, 2 h after the recording (2024-03-31 22:00:00)" in said
        or "begins at 2024-04-01 00:00:00, 120 min after" in said
        for said in scoring.warnings
    )


def test_a_time_of_day_alone_is_kept_without_a_date(tmp_path: Path) -> None:
    path = tmp_path / "x.annot"
    path.write_text("N1 23:59:30 00:00:00\nN2 00:00:00 00:00:30\n")
    scoring = read_scoring(path)
    assert scoring.start == datetime(1985, 1, 1, 23, 59, 30)
    write_scoring(scoring, tmp_path / "x.edf", to="edf", start=scoring.start)
    assert read_scoring(tmp_path / "x.edf", start=datetime(2024, 3, 31, 23, 59), duration_s=90).stages.tolist() == [-1, 1, 2]


def test_a_header_that_nobody_filled_in_is_no_clock(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    write_scoring(scoring_of(STAGES), path, to="edf")  # the date anonymous, the time 00:00:00
    scoring = read_scoring(path, start=START, duration_s=180)
    assert scoring.stages.tolist() == STAGES
    assert scoring.warnings == ()


def test_a_fraction_of_a_second_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    write_scoring(scoring_of(STAGES), path, to="edf", start=START)
    assert read_scoring(path, start=START + timedelta(seconds=0.6), duration_s=180).stages.tolist() == STAGES


def test_holes_and_ends_are_said_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("Start,Stop,StageName,StageNumber\n30,60,Wake,0\n120,150,REM,4\n150,180,Stage 4,3\n")
    scoring = read_scoring(path, duration_s=300)
    assert scoring.stages.tolist() == [-1, 0, -1, -1, 4, 3, -1, -1, -1, -1]
    assert scoring.warnings == (
        "1 × 'Stage 4' became N3 (stage 4 of Rechtschaffen and Kales) (first: line 4)",
        "60 s in 1 hole(s) of the scoring are Unknown (first: 60 to 120 s, between line 2 and line 3)",
        "the scoring begins at 30 s (line 2): Unknown before",
        "the scoring ends at 180 s (line 4): Unknown until 300 s",
    )


def test_a_scoring_of_another_file_altogether(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("Start,Stop,StageName\n9000,9030,Wake\n")
    with pytest.raises(ScoringError, match="none of its 1 stages lies within the recording"):
        read_scoring(path, duration_s=300)
