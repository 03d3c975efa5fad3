"""Datasets made of a library: whole or not there, converted once, one bad file left out with its reason."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from filelock import FileLock

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.library import job_dataset
from sleepfm.library.follow_up import store_outcomes
from sleepfm.library.job_dataset import make_dataset
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_states import sign
from sleepfm.library.training_data import LibraryChoice, dataset, dataset_parameters, datasets
from sleepfm.progress import silent
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.recording.scorings.scoring import Event
from sleepfm.training.labels import LabelFiles
from sleepfm.training.splits import LISTS, read_splits, read_subjects
from sleepfm.vocabulary import EventName
from tests.cli.test_commands import run, run_json
from tests.library.training_library import SECONDS, add_recordings, score, whose

NAMES = ["a", "b", "c", "d"]
SHARES = {"train": 0.5, "validation": 0.25, "test": 0.25}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "home")
    add_recordings(library, tmp_path, NAMES)
    whose(library, {name: f"p-{name}" for name in NAMES}, age=dict.fromkeys(NAMES, "44"), sex={"a": "female", "b": "male"})
    for name in NAMES[:3]:
        score(library, name)
    return library


def parameters(library: Library, name: str = "set", **more: Any) -> dict[str, Any]:
    return dataset_parameters(library, name, LibraryChoice(), SHARES, 1, **more)


def test_a_dataset_holds_all_that_a_training_configuration_names(library: Library, tmp_path: Path) -> None:
    write_events([Event(31.0, 45.0, EventName.HYPOPNEA)], tmp_path / "b_events.csv")
    store_outcomes(library, {"a": {"SIM-01": (True, 2.5)}, "b": {"SIM-01": (False, 4.0)}})
    reviewed = begin(library, "c", scorer="ada", user="ada", base=library.scorings("c")[0].id)
    by_hand = Patch(((5, -1, 4),), (("x", None, Event(61.0, 75.0, EventName.CENTRAL_APNEA)),))
    apply_edits(library, reviewed, [Edit("1", "score", by_hand)], user="ada")
    sign(library, reviewed, user="ada")
    made = make_dataset(library.home, parameters(library), silent)
    assert (made["studies"], made["labelled"], made["failed"]) == (4, 3, [])
    one = dataset(library.home, "set")
    splits = read_splits(one.splits, read_subjects(one.cohort))
    assert {name: len(getattr(splits, name)) for name in LISTS} == made["lists"] == {
        "pretrain": 0, "train": 2, "validation": 1, "test": 1
    }  # fmt: skip
    for name in NAMES:
        with h5py.File(one.signals / f"{name}.hdf5") as file:
            assert list(file) == [name]
            assert file[name]["BAS"]["C4-M1"].shape == (SECONDS * 128,)
    assert np.array_equal(read_scoring(LabelFiles([one.scorings]).scoring("a")).stages, [0, 2, 2, 3, -1])
    assert [event.name for event in read_events(LabelFiles([one.events]).events("b"))] == [EventName.HYPOPNEA]
    assert np.array_equal(read_scoring(LabelFiles([one.scorings]).scoring("c")).stages, [0, 2, 2, 3, 4])
    assert [event.name for event in read_events(LabelFiles([one.events]).events("c"))] == [EventName.CENTRAL_APNEA]
    assert one.about["studies"]["c"]["scoring"]["state"] == "signed"
    assert one.is_event is not None
    assert one.demographics is not None
    assert one.is_event.read_text().splitlines() == ["Study ID,SIM-01", "a,1", "b,0", "c,", "d,"]
    assert one.demographics.read_text().splitlines() == ["Study ID,age,gender", "a,44,female", "b,44,male"]
    with one.cohort.open() as file:
        assert [row["Subject ID"] for row in csv.DictReader(file)] == [f"p-{name}" for name in NAMES]
    assert one.about["studies"]["a"]["scoring"]["engine"] == "manual"
    assert one.about["studies"]["d"]["scoring"] is None
    assert [path.name for path in library.home.datasets.iterdir() if path.is_dir()] == ["set"]


def test_a_recording_is_converted_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(library.home, parameters(library), silent)
    made: list[str] = []
    convert = job_dataset.Night.signals_file

    def counted(self: Any, recipe: str, progress: Any) -> Path:
        made.append(self.id)
        return convert(self, recipe, progress)

    monkeypatch.setattr(job_dataset.Night, "signals_file", counted)
    make_dataset(library.home, parameters(library, "again"), silent)
    assert made == []
    first, again = dataset(library.home, "set"), dataset(library.home, "again")
    assert (first.signals / "a.hdf5").stat().st_ino == (again.signals / "a.hdf5").stat().st_ino
    make_dataset(library.home, parameters(library, "hq", recipe="hq"), silent)
    assert made == NAMES
    with h5py.File(dataset(library.home, "hq").signals / "a.hdf5") as file:
        assert file.attrs["recipe"] == "hq"
    with h5py.File(first.signals / "a.hdf5") as file:
        assert file.attrs["recipe"] == "published"


def test_one_bad_file_is_left_out_with_its_reason(library: Library, tmp_path: Path) -> None:
    asked = parameters(library)
    in_train = read_list(library, asked, "train")
    gone, cut = in_train[0], tmp_path / f"{in_train[1]}.edf"
    (tmp_path / f"{gone}.edf").unlink()
    made = make_dataset(library.home, {**asked, "shares": {"train": 0.75, "validation": 0.25}}, silent)
    assert [one["study"] for one in made["failed"]] == [gone]
    assert "put the file back" in made["failed"][0]["error"]
    assert gone not in json.loads(dataset(library.home, "set").splits.read_text())["train"]
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(RequestError, match="none of the 2 studies for train can be used"):
        make_dataset(library.home, {**asked, "name": "other"}, silent)
    assert [one.name for one in datasets(library.home)] == ["set"]


def read_list(library: Library, asked: dict[str, Any], name: str) -> list[str]:
    from sleepfm.library.training_data import split_by_subject

    return list(getattr(split_by_subject(library, asked["studies"], asked["shares"], asked["seed"]), name))


def test_a_job_that_was_stopped_goes_on_and_leaves_no_half_dataset(library: Library) -> None:
    asked = parameters(library)

    def stop_at_the_third(fraction: float, message: str) -> None:  # noqa: ARG001
        if message.startswith("c "):
            raise Cancelled("stopped by the user")

    with pytest.raises(Cancelled):
        make_dataset(library.home, asked, stop_at_the_third)
    assert datasets(library.home) == []
    there = library.home.datasets / ".set.making" / "signals"
    assert {path.name for path in there.iterdir()} == {"a.hdf5", "b.hdf5"}
    assert make_dataset(library.home, asked, silent)["studies"] == 4
    with pytest.raises(RequestError, match="there is a dataset 'set' already"):
        make_dataset(library.home, asked, silent)


def test_two_datasets_are_not_made_at_once(library: Library) -> None:
    library.home.datasets.mkdir(parents=True)
    with FileLock(library.home.datasets / ".making.lock"), pytest.raises(RequestError, match="another dataset is being made"):
        make_dataset(library.home, parameters(library), silent)
    assert make_dataset(library.home, parameters(library), silent)["studies"] == 4


def test_a_full_disk_is_said_before_and_while_it_happens(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = parameters(library)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=1, used=1, free=1000))
    with pytest.raises(SleepFMError, match=r"the signals need about \d+ kB, and \d+ kB are free"):
        make_dataset(library.home, asked, silent)
    monkeypatch.setattr(job_dataset, "_require_space", lambda *_: None)

    def full(*_: Any) -> Path:
        raise SleepFMError("a.hdf5: writing failed (No space left on device)")

    monkeypatch.setattr(job_dataset.Night, "signals_file", full)
    with pytest.raises(SleepFMError, match=r"the disk is full .* what is converted is kept"):
        make_dataset(library.home, asked, silent)


def test_a_study_that_left_the_library_is_left_out(library: Library) -> None:
    asked = parameters(library)
    library.remove("d")
    made = make_dataset(library.home, {**asked, "shares": {"train": 0.5, "test": 0.5}}, silent)
    assert made["failed"] == [{"study": "d", "error": "is not in the library any more"}]
    for name in NAMES[:3]:
        library.remove(name)
    with pytest.raises(RequestError, match="none of its 4 studies is in the library any more"):
        make_dataset(library.home, {**asked, "name": "none"}, silent)


def test_the_command_makes_and_lists(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    home = library.home.root
    made = run_json(capsys, "dataset", "make", "first", "--shares", "0", "0.5", "0.25", "0.25", "--home", home)
    assert (made["dataset"], made["studies"]) == ("first", 4)
    listed = run_json(capsys, "dataset", "list", "--home", home)["datasets"]
    assert [(one["name"], one["labelled"]) for one in listed] == [("first", 3)]
    code, _, err = run(capsys, "dataset", "make", "first", "--home", home)
    assert code == 2
    assert "there is a dataset 'first' already" in err
    code, out, _ = run(capsys, "dataset", "make", "--help")
    assert code == 0
    assert "example: sleepfm dataset make" in out
