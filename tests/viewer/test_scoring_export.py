from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.errors import RequestError
from sleepfm.library.imported_scorings import read_for_study, store_imported
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import WRITABLE, read_events, read_file
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.scoring_export import FORMS, SUFFIXES, current_export, export_name, export_scoring

EVENTS = (Event(31.5, 45.25, "Hypopnea", "Flow", "ada"), Event(100, 100, "Lights on", "", "ada"))


@pytest.mark.parametrize("to", [key for key, form in FORMS.items() if form.to is not None])
def test_what_is_downloaded_is_the_scoring_that_is_shown(to: str, tmp_path: Path) -> None:
    stages = np.array([0, 1, 2, 3, 4, -1, 2], dtype=np.int8)
    file = tmp_path / f"night{SUFFIXES[to]}"
    file.write_bytes(export_scoring(Scoring(stages), to, datetime(2026, 3, 4, 22, 41, 7), EVENTS))
    read = read_file(file, as_format=FORMS[to].to)
    assert read.scoring is not None
    assert read.scoring.stages.tolist() == stages.tolist()
    held = [(event.start_s, event.stop_s, event.name) for event in read.events]
    assert held == ([(31.5, 45.25, "Hypopnea"), (100, 100, "Lights on")] if "events" in FORMS[to].holds else [])


def test_the_events_csv_holds_the_events(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_bytes(export_scoring(Scoring(np.zeros(5, np.int8)), "events", None, EVENTS))
    assert read_events(tmp_path / "e.csv") == EVENTS


def test_every_format_that_is_written_is_offered() -> None:
    assert {form.to for form in FORMS.values()} == {None, *WRITABLE}


def test_a_review_goes_out_as_it_stands_now(tmp_path: Path) -> None:
    """The file is made when somebody asks for it, with the events of that moment, and a person states no probabilities."""
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=120, labels=("C4-M1",)))
        library.store_hash(study.id, "a" * 64)
        file = tmp_path / "e.csv"
        write_events(EVENTS, file)
        store_imported(library, study.id, read_for_study(library, study.id, file), file=file, user="ada")
        number = begin(library, study.id, scorer="ada", user="ada")
        home = library.home
    (tmp_path / "out.annot").write_bytes(current_export(home, study.id, number, "annot"))
    read = read_file(tmp_path / "out.annot")
    assert read.scoring is not None
    assert (read.scoring.stages.tolist(), read.scoring.probabilities) == ([-1] * 4, None)
    assert [event.name for event in read.events] == ["Hypopnea", "Lights on"]
    with pytest.raises(RequestError, match="not there any more"):
        current_export(home, study.id, number + 1, "annot")


def test_probabilities_go_along_in_the_csv() -> None:
    probabilities = np.array([[0.7, 0.1, 0.1, 0.05, 0.05]], dtype=np.float32)
    text = export_scoring(Scoring(np.array([0], dtype=np.int8), probabilities), "sleepfm", None).decode()
    assert text.splitlines()[0] == "Start,Stop,StageName,StageNumber,PWake,PN1,PN2,PN3,PREM"
    assert text.splitlines()[1].startswith("0,30,Wake,0,0.7")


@pytest.mark.parametrize(
    ("model", "recording", "expected"),
    [
        (False, False, "night_yasa.csv"),
        (True, False, "night_yasa_simulated-model.csv"),
        (False, True, "night_yasa_simulated.csv"),
        (True, True, "night_yasa_simulated-model_simulated.csv"),
    ],
)
def test_the_name_says_what_was_simulated(model: bool, recording: bool, expected: str) -> None:
    assert export_name("night", "yasa", "sleepfm", simulated_model=model, simulated_recording=recording) == expected
