"""Scorings that labs leave beside their recordings: found by name, read by content, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import edfio
import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.library.event_sets import event_sets
from sleepfm.library.job_import import import_folder
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.library.scorings_beside import files_beside
from sleepfm.progress import silent
from sleepfm.recording.scorings.formats import ScoringFormat, write_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring

STAGES, OTHERS = np.array([0, 1, 2, 4], np.int8), np.array([0, 1, 2, 3], np.int8)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home") as library:
        yield library


def scored(file: Path, to: ScoringFormat, stages: np.ndarray = STAGES, events: tuple[Event, ...] = ()) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_scoring(Scoring(stages), file, to=to, events=events)
    return file


def imported(library: Library, folder: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Import a folder and do its jobs; return the stages by study, and what was said by file."""
    done = import_folder(library.home, {"folder": str(folder), "stage": False}, silent)
    for job in library.jobs.list(kinds=("prepare",)):
        prepare(library.home, job.parameters, silent)
    stages = {one: [stored.scoring.stages.tolist() for stored in library.scorings(one)] for one in done["added"]}
    assert sorted(done["scored"]) == sorted(one for one, found in stages.items() if found)
    return {one: found[0] for one, found in stages.items() if found}, {
        Path(one["file"]).name: one["error"] for one in done["failed"]
    }


def test_each_format_is_found_under_the_recordings_name_with_its_events(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    for name in ("a", "b_PSG", "c", "d", "e"):
        write_edf(folder / f"{name}.edf", seconds=120, labels=("C4-M1",))
    hypopnea = (Event(31.0, 45.0, "Hypopnea"),)
    scored(folder / "A-nsrr.xml", "nsrr", events=hypopnea)
    scored(folder / "a.annot", "annot")  # the same stages without the event
    scored(folder / "b_hypnogram.edf", "edf")
    scored(folder / "c.eannot", "eannot")
    scored(folder / "d.edf.tsv", "usleep")
    scored(folder / "e_sleep_events.tsv", "bids")
    (folder / "c_notes.txt").write_text("she slept well")
    found, said = imported(library, folder)
    assert found == dict.fromkeys(("a", "b_PSG", "c", "d", "e"), STAGES.tolist())
    assert said == {}, "a scoring in EDF+ is no recording that failed"
    assert [event.name for event in event_sets(library, "a")[0].events] == ["Hypopnea"]


def test_what_is_not_certain_is_said_and_left_to_a_person(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    for name in ("two", "codes", "torn"):
        write_edf(folder / f"{name}.edf", seconds=120, labels=("C4-M1",))
    scored(folder / "two_ada.xml", "nsrr")
    scored(folder / "two_bob.annot", "annot", OTHERS)
    (folder / "codes.txt").write_text("0\n1\n2\n5\n")
    (folder / "torn.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,0\n30,60,Stage 2,5\n")
    found, said = imported(library, folder)
    assert found == {}
    assert "2 scorings with different stages lie beside it (two_ada.xml, two_bob.annot)" in said.pop("two.edf")
    assert "its integers mean other stages in other programs" in said.pop("codes.txt")
    assert "line 3" in said.pop("torn.csv")
    assert said == {}


def test_a_damaged_scoring_of_one_study_stops_no_import(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    for name in ("bad", "good"):
        write_edf(folder / f"{name}.edf", seconds=120, labels=("C4-M1",))
        scored(folder / f"{name}.xml", "nsrr")
    imported(library, folder)
    (kept,) = (library.study_folder("bad") / "scorings").iterdir()
    kept.write_text("half of a fi")
    scored(folder / "good.xml", "nsrr", OTHERS)
    done = import_folder(library.home, {"folder": str(folder), "stage": False}, silent)
    assert done["scored"] == ["good"]
    assert [(Path(one["file"]).name, kept.name in one["error"]) for one in done["failed"]] == [("bad.edf", True)]


def test_a_file_is_of_the_recording_with_the_longest_name(tmp_path: Path) -> None:
    names = (
        "n.edf",
        "n_2.edf",
        "m_psg.edf",
        "m_eeg.edf",
        "n.xml",
        "n2.xml",
        "n_2.xml",
        "n_2_x.csv",
        "n_hyp.edf",
        "m.xml",
        "n.docx",
    )
    for name in names:
        (tmp_path / name).touch()
    recordings = [tmp_path / name for name in ("n.edf", "m_psg.edf", "m_eeg.edf")]
    assert files_beside(recordings) == {tmp_path / "n.edf": [tmp_path / "n.xml", tmp_path / "n_2.edf", tmp_path / "n_hyp.edf"]}


def test_a_recording_of_a_longer_name_is_no_scoring(library: Library, tmp_path: Path) -> None:
    for name in ("n", "n_2"):
        write_edf(tmp_path / "lab" / f"{name}.edf", seconds=120, labels=("C4-M1",))
    edf = edfio.read_edf(tmp_path / "lab" / "n_2.edf")
    edf.set_annotations([edfio.EdfAnnotation(0.0, 30.0, "Sleep stage W"), edfio.EdfAnnotation(30.0, 90.0, "Sleep stage N2")])
    edf.write(tmp_path / "lab" / "n_2.edf")
    done = import_folder(library.home, {"folder": str(tmp_path / "lab"), "stage": False}, silent)
    assert (sorted(done["added"]), done["scored"], done["failed"]) == (["n", "n_2"], [], [])
