"""What a format can hold comes back from it; what it cannot is said."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from scoring_samples import nights, scoring_of

from sleepfm.errors import RequestError
from sleepfm.recording.scorings.formats import READABLE, WRITABLE, ScoringFormat, detect_format, read_file, write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring

FORMS: dict[str, tuple[ScoringFormat, str]] = {
    "sleepfm": ("sleepfm", ".csv"),
    "edf": ("edf", ".edf"),
    "nsrr": ("nsrr", ".xml"),
    "annot": ("annot", ".annot"),
    "eannot": ("eannot", ".eannot"),
    "usleep tsv": ("usleep", ".tsv"),
    "usleep npy": ("usleep", ".npy"),
    "yasa txt": ("yasa", ".txt"),
    "yasa csv": ("yasa", ".csv"),
    "bids": ("bids", ".tsv"),
}
WITH_PROBABILITIES = {"sleepfm", "annot", "usleep npy", "yasa csv", "bids"}
WITH_EVENTS = {"edf", "nsrr", "annot", "bids"}
WITH_START = {"edf", "nsrr"}
START = datetime(2024, 3, 31, 22, 41, 7)


def test_every_writable_format_has_its_test() -> None:
    assert {to for to, _ in FORMS.values()} == set(WRITABLE)
    assert set(WRITABLE) < set(READABLE)


def plain(events: tuple[Event, ...], *, form: str) -> list[tuple[object, ...]]:
    """Return of events what the form holds, in order of time."""
    rows = [
        (
            round(event.start_s, 6),
            round(event.stop_s, 6),
            event.name,
            event.channel,
            (event.source or form) if form in ("annot", "bids") else "",
            tuple(sorted(event.extra.items())) if form in ("annot", "nsrr") else (),
        )
        for event in events
    ]
    return sorted(rows)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=20, deadline=None)
@given(night=nights())
def test_what_is_written_comes_back(form: str, night: tuple[Scoring, tuple[Event, ...]]) -> None:
    to, suffix = FORMS[form]
    scoring, events = night
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"night{suffix}"
        lost = " ".join(write_scoring(scoring, path, to=to, start=START, events=events))
        integers = form == "usleep npy" and "probabilities are not" not in lost and scoring.probabilities is None
        stated = to if integers or form == "usleep npy" else None
        if stated is None:
            assert detect_format(path) == to
        back = read_file(path, as_format=stated)
    assert back.scoring is not None
    assert back.scoring.stages.tolist() == scoring.stages.tolist()
    known = scoring.stages >= 0
    if scoring.probabilities is not None and form in WITH_PROBABILITIES and known.any():
        assert back.scoring.probabilities is not None
        np.testing.assert_array_equal(back.scoring.probabilities[known], scoring.probabilities[known])
    else:
        assert back.scoring.probabilities is None
    assert ("probabilities are not in the file" in lost) == (scoring.probabilities is not None and form not in WITH_PROBABILITIES)
    if form in WITH_EVENTS:
        assert plain(back.events, form=form) == plain(events, form=form)
        assert "stages only" not in lost
    else:
        assert ("stages only" in lost) == bool(events)
        assert back.events == ()
    assert back.scoring.start == (START if form in WITH_START else None)


def test_a_changed_stage_counts_more_than_the_probabilities(tmp_path: Path) -> None:
    """U-Sleep's array of probabilities says the likeliest stage; what a person changed would be lost in it."""
    proposed = scoring_of([0, 2, 2, 4], probable=True)
    changed = Scoring(np.array([0, 2, 3, 4], dtype=np.int8), proposed.probabilities)
    lost = write_scoring(changed, tmp_path / "h.npy", to="usleep")
    assert "probabilities are not in the file" in lost[0]
    read = read_file(tmp_path / "h.npy", as_format="usleep").scoring
    assert read is not None
    assert read.stages.tolist() == [0, 2, 3, 4]


def test_a_stage_that_was_scored_on_a_tie_is_written_as_a_stage(tmp_path: Path) -> None:
    scored = Scoring(np.array([0, 2], dtype=np.int8), np.array([[0.2] * 5, [0, 0, 1, 0, 0]], dtype=np.float32))
    assert "probabilities are not in the file" in write_scoring(scored, tmp_path / "h.npy", to="usleep")[0]
    read = read_file(tmp_path / "h.npy", as_format="usleep").scoring
    assert read is not None
    assert read.stages.tolist() == [0, 2]


def test_read_only_formats_are_not_written(tmp_path: Path) -> None:
    for to in READABLE:
        if to not in WRITABLE:
            with pytest.raises(RequestError, match="choose one of sleepfm, edf"):
                write_scoring(scoring_of([0]), tmp_path / "x", to=to)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["annot", "bids", "edf", "nsrr"])
def test_hostile_channel_names_stay_in_their_cell(form: str, tmp_path: Path) -> None:
    to, suffix = FORMS[form]
    event = Event(1.0, 2.0, "Arousal", "=cmd|'/c calc'!A1\t\n\x00<b>;x=1", "+1")
    path = tmp_path / f"n{suffix}"
    write_scoring(scoring_of([0, 0]), path, to=to, events=[event])
    back = read_file(path)
    assert back.scoring is not None
    assert back.scoring.stages.tolist() == [0, 0]
    assert [(one.start_s, one.stop_s, one.name) for one in back.events] == [(1.0, 2.0, "Arousal")]
    if form == "bids":
        cells = [cell for line in path.read_text().splitlines() for cell in line.split("\t")]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
