"""A file that somebody adds becomes a scoring and a set of events of the study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.administration.audit import entries
from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.event_sets import event_sets
from sleepfm.library.imported_scorings import (
    MOST_MB,
    added_files,
    read_for_study,
    remarks,
    remove_added,
    store_imported,
    was_imported,
)
from sleepfm.library.library import Library
from sleepfm.library.study import OWN_SCORING
from sleepfm.library.training_labels import label_sources
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home") as library:
        yield library


@pytest.fixture
def study(library: Library, tmp_path: Path) -> str:
    path = write_edf(tmp_path / "night.edf", seconds=120, labels=("C4-M1",))
    identifier = library.add(path).id
    library.store_hash(identifier, "a" * 64)
    return identifier


def written(folder: Path, stages: list[int], *, probable: bool = False, start: datetime | None = None) -> Path:
    path = folder / "expert.annot"
    probabilities = np.full((len(stages), 5), 0.2, np.float32) if probable else None
    events = [Event(31, 45, "Hypopnea", "Flow", "ada"), Event(115, 130, "Snore"), Event(900, 905, "Arousal")]
    write_scoring(Scoring(np.array(stages, np.int8), probabilities), path, to="annot", start=start, events=events)
    return path


def test_stages_and_events_are_stored_with_where_they_came_from(library: Library, study: str, tmp_path: Path) -> None:
    file = written(tmp_path, [0, 2, 2, 3, 3])
    read = read_for_study(library, study, file)
    stored = store_imported(library, study, read, file=file, user="ada")
    scoring = next(one for one in library.scorings(study) if one.id == stored.scoring)
    assert scoring.scoring.stages.tolist() == [0, 2, 2, 3]
    assert (scoring.engine, scoring.model, scoring.label) == (OWN_SCORING, "expert.annot", "File expert.annot")
    assert scoring.note == "Luna .annot, added by ada"
    assert any("30 s past the end" in said for said in scoring.provenance["warnings"])
    assert any("Arousal at 900 s (line 15)" in said for said in scoring.provenance["warnings"])
    assert any("no epoch is scored as REM" in said for said in scoring.provenance["warnings"])
    events = event_sets(library, study)
    assert [one.id for one in events] == [stored.events]
    assert [(event.name, event.start_s, event.stop_s) for event in events[0].events] == [
        ("Hypopnea", 31, 45),
        ("Snore", 115, 120),
    ]
    last = entries(library.connection)[0]
    assert (last.user, last.action, last.subject) == ("ada", "add scoring", study)

    assert was_imported(scoring)

    again = store_imported(library, study, read_for_study(library, study, file), file=file, user="ada")
    assert [one.id for one in library.scorings(study)] == [again.scoring]
    assert [one.id for one in event_sets(library, study)] == [again.events]

    (added,) = added_files(library, study)
    assert (added.name, added.note, added.stored, added.n_events) == ("expert.annot", "Luna .annot, added by ada", again, 2)
    remove_added(library, study, added, user="bob")
    assert (library.scorings(study), event_sets(library, study), added_files(library, study)) == ([], [], [])
    assert entries(library.connection)[0].action == "remove added scoring"


def test_a_programs_scoring_is_not_taken_for_a_persons(library: Library, study: str, tmp_path: Path) -> None:
    file = written(tmp_path, [0, 2, 2, 3], probable=True)
    store_imported(library, study, read_for_study(library, study, file), file=file, user="ada")
    assert label_sources(library, [study]) == {}
    file = written(tmp_path, [0, 2, 2, 3])
    store_imported(library, study, read_for_study(library, study, file), file=file, user="ada")
    assert list(label_sources(library, [study])) == [study]


def test_what_does_not_belong_here_is_refused(library: Library, study: str, tmp_path: Path) -> None:
    events = tmp_path / "e.csv"
    events.write_text("Start,Stop,Event\n900,910,Arousal\n")
    with pytest.raises(ScoringError, match="neither stages nor events of this recording"):
        read_for_study(library, study, events)
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate((MOST_MB << 20) + 1)
    with pytest.raises(RequestError, match="is larger than 16 MB"):
        read_for_study(library, study, large)
    library.connection.execute("UPDATE studies SET sha256 = NULL")
    file = written(tmp_path, [0, 2, 2, 3])
    read = read_for_study(library, study, file)
    with pytest.raises(RequestError, match="still being looked through"):
        store_imported(library, study, read, file=file, user="ada")
    assert not library.connection.execute("SELECT 1 FROM scorings").fetchall()


def test_events_alone_are_a_set_without_a_scoring(library: Library, study: str, tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text("Start,Stop,Event\n10,20,Arousal\n")
    read = read_for_study(library, study, file)
    stored = store_imported(library, study, read, file=file, user="ada")
    assert (stored.scoring, remarks(read)) == (None, ())
    assert library.scorings(study) == []
    assert json.dumps(event_sets(library, study)[0].provenance)
    assert [(one.stored, one.n_events) for one in added_files(library, study)] == [(stored, 1)]
