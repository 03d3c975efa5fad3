"""The library: what is added is found again, and nothing is lost by accident."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.study import StudyStatus
from sleepfm.recording.recording import Channel
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import JobState, Lane
from sleepfm.vocabulary import Kind, Modality
from tests.make_edf import write_edf

SHA = "0" * 64
PROVENANCE = {"label": "YASA", "note": "YASA 0.8.1", "source_sha256": SHA}


def scoring(*stages: int) -> Scoring:
    return Scoring(stages=np.array(stages, dtype=np.int8))


def channel_of(library: Library, study: str, index: int) -> Channel:
    with closing(library.recording(study)) as recording:
        return recording.channel(index)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


def test_adding_reads_the_header_and_copies_nothing(library: Library, tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night one.edf", seconds=90)
    study = library.add(path)
    assert study.id == "night_one"
    assert study.path == path
    assert study.duration_s == 90
    assert study.modalities == {"BAS": 2, "EMG": 1, "EKG": 1, "RESP": 1}
    assert (study.start.hour, study.start.minute) == (22, 30)
    assert study.status is StudyStatus.NEW
    assert not list(library.home.studies.rglob("*.edf"))


def test_the_same_path_is_one_study_and_the_same_name_elsewhere_another(library: Library, tmp_path: Path) -> None:
    first = library.add(write_edf(tmp_path / "a" / "night.edf"))
    assert library.add(first.path).id == first.id
    assert library.add(write_edf(tmp_path / "b" / "night.edf")).id == "night-2"
    assert library.count() == 2


@pytest.mark.parametrize("content", [b"", b"this is a text file, not a recording\n" * 100])
def test_what_is_no_recording_is_refused_and_not_added(library: Library, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.edf"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"wrong\.edf"):
        library.add(path)
    assert library.count() == 0


def test_a_missing_path_and_an_unknown_study_are_wrong_requests(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        library.add(tmp_path / "nowhere.edf")
    with pytest.raises(RequestError):
        library.study("nobody")


@pytest.mark.parametrize("identifier", ["{outside}", "../../made", "..", "", "a/b", "a\\b", "C:made", "a\0", "nobodys"])
def test_an_id_of_no_study_makes_no_folder_and_reads_none(library: Library, tmp_path: Path, identifier: str) -> None:
    identifier = identifier.format(outside=tmp_path / "made")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RequestError, match="no study"):
        library.spectrograms(identifier)
    if identifier != "nobodys":
        with pytest.raises(RequestError, match="no id"):
            library.study_folder(identifier)
    assert sorted(path for path in tmp_path.rglob("*") if "library.sqlite" not in path.name) == [
        path for path in before if "library.sqlite" not in path.name
    ]


def test_annotations_without_signals_are_no_study(library: Library, shared: Path) -> None:
    with pytest.raises(RecordingError, match="no signals"):
        library.add(shared / "data/psg/SC4001EC-Hypnogram.edf")


def test_status_tells_of_a_vanished_and_of_a_changed_file(library: Library, tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf")
    library.add(path)
    os.utime(path, (time.time() - 500, time.time() - 500))
    assert library.study("night").status is StudyStatus.CHANGED
    path.unlink()
    assert library.study("night").status is StudyStatus.MISSING
    write_edf(path, seconds=120)
    again = library.add(path)
    assert (again.id, again.duration_s, again.status) == ("night", 120, StudyStatus.NEW)


def test_status_follows_the_jobs(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf"))
    job = library.jobs.add("stage", lane=Lane.HEAVY, title="Stage", subject=study.id, parameters={})
    assert library.study("night").status is StudyStatus.QUEUED
    library.jobs.claim(Lane.HEAVY)
    library.jobs.report(job.id, 0.4, "computing")
    working = library.study("night")
    assert (working.status, working.progress, working.message, working.job) == (StudyStatus.WORKING, 0.4, "computing", job.id)
    library.jobs.end(job.id, JobState.FAILED, error="no EEG channel")
    failed = library.study("night")
    assert (failed.status, failed.message, failed.job) == (StudyStatus.FAILED, "no EEG channel", None)


def test_search_sort_and_pages(library: Library, tmp_path: Path) -> None:
    for number in range(7):
        library.add(write_edf(tmp_path / f"night_{number}.edf", seconds=30 * (number + 1), labels=("C4-M1",)))
    library.add(write_edf(tmp_path / "100%.edf", labels=("C4-M1",)))
    assert [study.id for study in library.studies(order="Name", limit=3, offset=2)] == ["night_1", "night_2", "night_3"]
    assert library.studies(order="Longest first", limit=1)[0].id == "night_6"
    assert library.count("NIGHT_") == 7
    assert library.count("night%") == 0
    assert library.count("_3") == 1
    assert [study.id for study in library.studies(search="%")] == ["100_"]
    assert library.count("100") == 1


def test_a_correction_holds_for_every_study_of_the_montage_and_can_be_taken_back(library: Library, tmp_path: Path) -> None:
    labels = ("C4-M1", "Mystery")
    first = library.add(write_edf(tmp_path / "a.edf", labels=labels))
    library.correct_channel(first.id, 1, Kind.ECG)
    second = library.add(write_edf(tmp_path / "b.edf", labels=labels, seed=1))
    other = library.add(write_edf(tmp_path / "c.edf", labels=("Mystery", "C4-M1")))
    corrected = channel_of(library, second.id, 1)
    assert corrected.modality is Modality.EKG
    assert "correct" in corrected.reason
    assert channel_of(library, other.id, 0).modality is None
    assert library.study(first.id).modalities == {"BAS": 1, "EKG": 1}
    assert library.study(second.id).modalities == {"BAS": 1, "EKG": 1}
    library.correct_channel(first.id, 1, None)
    assert channel_of(library, second.id, 1).modality is None
    with pytest.raises(RequestError):
        library.correct_channel(first.id, 99, Kind.ECG)


def test_scorings_are_kept_newest_first_and_replaced_by_the_same_engine(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=90))
    library.store_hash(study.id, SHA)
    library.store_scoring(study.id, scoring(0, 1, 2), engine="yasa", model="", provenance=PROVENANCE)
    library.store_scoring(study.id, scoring(0, 2, 2), engine="sleepfm", model="m", provenance=PROVENANCE | {"label": "SleepFM"})
    library.store_scoring(study.id, scoring(0, -1, 4), engine="yasa", model="", provenance=PROVENANCE)
    stored = library.scorings(study.id)
    assert [one.engine for one in stored] == ["yasa", "sleepfm"]
    assert stored[0].scoring.stages.tolist() == [0, -1, 4]
    assert library.study(study.id).status is StudyStatus.STAGED
    assert len(list((library.study_folder(study.id) / "scorings").iterdir())) == 2


def test_a_deleted_result_file_costs_only_its_computation(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=90))
    library.store_hash(study.id, SHA)
    library.store_scoring(study.id, scoring(0, 1, 2), engine="yasa", model="", provenance=PROVENANCE)
    for file in (library.study_folder(study.id) / "scorings").iterdir():
        file.unlink()
    assert library.scorings(study.id) == []
    library.store_scoring(study.id, scoring(0, 1, 2), engine="yasa", model="", provenance=PROVENANCE)
    assert len(library.scorings(study.id)) == 1


def test_results_of_other_bytes_are_never_shown_for_a_changed_file(library: Library, tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=90)
    study = library.add(path).id
    library.store_hash(study, SHA)
    library.store_scoring(study, scoring(0, 1, 2), engine="yasa", model="", provenance=PROVENANCE)
    os.utime(path, (1, 1))
    assert library.scorings(study) == []  # changed under us
    assert library.add(path).engine is None
    assert library.scorings(study) == []  # added again, but nobody knows yet whether the bytes are the same
    library.store_hash(study, SHA)
    assert len(library.scorings(study)) == 1  # they are: only the time stamp had changed
    library.store_hash(study, "1" * 64)
    assert library.scorings(study) == []
    assert library.study(study).engine is None


def test_removing_forgets_the_study_but_not_the_recording(library: Library, tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf")
    library.add(path)
    library.remove("night")
    assert library.count() == 0
    assert path.exists()


def test_nothing_half_stored_when_the_scoring_cannot_be_written(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=90))
    library.store_hash(study.id, SHA)
    library.store_scoring(study.id, scoring(0, 1, 2), engine="yasa", model="", provenance=PROVENANCE)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises((SleepFMError, OSError)):
        library.store_scoring(study.id, scoring(4, 4, 4), engine="yasa", model="", provenance=PROVENANCE)
    monkeypatch.undo()
    assert [one.scoring.stages.tolist() for one in library.scorings(study.id)] == [[0, 1, 2]]
    assert not [file for file in library.home.studies.rglob("*") if ".part" in file.name or ".tmp" in file.name]


def _add_many(home: str, files: list[str]) -> int:
    with Library.open(home) as library:
        for file in files:
            library.add(file)
    return len(files)


def test_two_processes_on_one_library(tmp_path: Path) -> None:
    files = [str(write_edf(tmp_path / f"n{number}.edf", labels=("C4-M1",), seconds=30)) for number in range(12)]
    home = str(tmp_path / "home")
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_add_many, [home, home], [files, files[::-1]])) == [12, 12]
    with Library.open(home) as library:
        assert library.count() == 12


def test_a_scoring_can_be_removed_and_takes_no_other_with_it(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf")).id
    other = library.add(write_edf(tmp_path / "other.edf")).id
    for one in (study, other):
        library.store_hash(one, SHA)
    first = library.store_scoring(study, scoring(0, 1), engine="yasa", model="", provenance=PROVENANCE)
    second = library.store_scoring(study, scoring(2, 3), engine="sleepfm", model="demo", provenance=PROVENANCE)
    library.remove_scoring(other, second)  # of another study: nothing happens
    library.remove_scoring(study, second)
    library.remove_scoring(study, second)
    assert [one.id for one in library.scorings(study)] == [first]
    assert len(list((library.study_folder(study) / "scorings").iterdir())) == 1
