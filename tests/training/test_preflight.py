"""The look before a run: what would fail is said at once in words, two batches are really tried, nothing is left behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import pytest
import torch

from sleepfm.errors import Cancelled
from sleepfm.models.shelf import Shelf
from sleepfm.training import preflight as preflight_module
from sleepfm.training import preflight_trial
from sleepfm.training.finetune_settings import SETTINGS_OF, FinetuneSettings
from sleepfm.training.preflight import duration, look_before
from sleepfm.training.preflight_report import Preflight
from sleepfm.training.pretraining import pretrain
from sleepfm.training.settings import PretrainSettings
from tests.training.conftest import Cohort, tiny, write_study
from tests.training.night_cohort import EMBED_DIM, NightCohort, make_cohort, make_encoder

SMALL = {"num_heads": 2, "pooling_head": 2, "max_seq_length": 480, "dropout": 0.0}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> NightCohort:
    return make_cohort(tmp_path_factory.mktemp("nights"))


def pretraining(cohort: Cohort, /, **data: Any) -> PretrainSettings:
    settings = tiny(cohort)
    settings["data"] = {**settings["data"], **data}  # type: ignore[dict-item]
    return PretrainSettings.model_validate(settings)


def finetuning(nights: NightCohort, task: str, **changes: Any) -> FinetuneSettings:
    folder = nights.folder
    labels: dict[str, Any] = {"scorings": folder}
    if task == "breathing":
        labels["events"] = folder
    if task == "disease":
        labels = {name: folder / f"{name}.csv" for name in ("is_event", "time_to_event", "demographics")}
    course = {"epochs": 2, "batch_size": 4, "threads": 1}
    content = {"name": "head", **nights.data(), **labels, "head": {"parameters": SMALL}, "crop_tokens": 60, "training": course}
    return SETTINGS_OF[task].model_validate({**content, **changes})


def look(settings: PretrainSettings | FinetuneSettings, folder: Path, shelf: Shelf | None = None, **more: Any) -> Preflight:
    return look_before(settings, shelf=shelf or Shelf(folder / "shelf"), folder=folder / "run", **more)


def words(found: Preflight, name: str, state: str) -> str:
    return "\n".join(check.words for check in found.checks if (check.name, check.state) == (name, state))


def bad(found: Preflight) -> dict[str, str]:
    return {check.name: check.words for check in found.checks if check.state == "bad"}


def test_a_pretraining_that_runs_is_said_to_run(cohort: Cohort, tmp_path: Path) -> None:
    settings = pretraining(cohort)
    found = look(settings, tmp_path)
    assert bad(found) == {}
    assert found.passed
    assert {check.name for check in found.checks} >= {
        "name",
        "device",
        "people",
        "signals",
        "recordings",
        "trial",
        "time",
        "memory",
    }
    assert "5 people (5 studies) are trained on, 2 (2) decide when to stop, 1 are kept for testing" in words(
        found, "people", "doubtful"
    )
    assert "no table of people is given" in words(found, "people", "doubtful")
    assert found.samples == 55  # five studies of 5.5 min in windows of 30 s
    assert found.seconds is not None
    assert 0 < found.seconds < 600
    assert found.memory_mb is not None
    assert found.memory_mb > 50
    assert list(tmp_path.iterdir()) == []
    assert Preflight.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    outcome, _ = pretrain(settings, tmp_path / "run")
    assert f"{outcome.course.step:,} steps" in words(found, "time", "good")


@pytest.mark.parametrize("task", ["staging", "breathing", "disease"])
def test_a_head_that_can_be_trained_is_said_to_be(nights: NightCohort, tmp_path: Path, task: str) -> None:
    found = look(finetuning(nights, task), tmp_path, nights.shelf)
    assert bad(found) == {}
    assert "6 of 6" in words(found, "labels", "good") + words(found, "labels", "doubtful")
    assert "all 12 studies are there" in words(found, "signals", "good")
    assert "two batches of 4 went through" in words(found, "trial", "good")
    assert list(tmp_path.iterdir()) == []


def test_the_trial_takes_two_steps_of_the_asked_batches(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = preflight_trial.Trainer._step

    def counted(self: Any, batches: Any, *more: Any) -> None:
        steps.append(sum(batch.size for batch in batches))
        step(self, batches, *more)

    monkeypatch.setattr(preflight_trial.Trainer, "_step", counted)
    settings = pretraining(cohort)
    accumulating = settings.model_copy(update={"training": settings.training.model_copy(update={"accumulate": 3})})
    once, thrice = look(settings, tmp_path), look(accumulating, tmp_path)
    assert steps == [8, 8, 16, 16]
    assert once.passed
    assert thrice.passed


def test_an_epoch_with_fewer_batches_than_are_taken_together_is_bad(cohort: Cohort, tmp_path: Path) -> None:
    settings = pretraining(cohort)
    many = settings.model_copy(update={"training": settings.training.model_copy(update={"accumulate": 9})})
    assert "an epoch has about 6 batches, fewer than training.accumulate (9)" in bad(look(many, tmp_path))["trial"]


# what is wrong with the data


def test_a_folder_that_vanished(cohort: Cohort, tmp_path: Path) -> None:
    found = look(pretraining(cohort, signals=[str(tmp_path / "gone")]), tmp_path)
    assert f"{tmp_path / 'gone'}: there is no such file or folder" in bad(found)["signals"]
    assert found.seconds is None
    assert "cannot be read" in bad(look(pretraining(cohort, splits=str(tmp_path / "none.json")), tmp_path))["people"]


def test_files_that_cannot_be_read(cohort: Cohort, tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    shutil.copytree(cohort.folder, folder)
    settings = pretraining(cohort, signals=[str(folder)])
    (folder / "s1.hdf5").write_bytes(b"not HDF5 at all")
    found = look(settings, tmp_path)
    assert "1 of the 7 recordings that were opened cannot be used and would be left out; s1" in words(
        found, "recordings", "doubtful"
    )
    assert found.passed
    for study in ("s5", "s6"):
        (folder / f"{study}.hdf5").write_bytes(b"")
    assert "none of the 2 recordings for validation can be used; s5" in bad(look(settings, tmp_path))["recordings"]
    for study in ("s5", "s6"):
        (folder / f"{study}.hdf5").unlink()
    assert (
        "none of the 2 studies for validation is there, such as s5 (files there are called"
        in bad(look(settings, tmp_path))["signals"]
    )


def test_recordings_of_another_recipe_or_too_short(cohort: Cohort, tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    shutil.copytree(cohort.folder, folder)
    for file in folder.glob("*.hdf5"):
        with h5py.File(file, "r+") as opened:
            opened.attrs["recipe"] = "hq"
    found = bad(look(pretraining(cohort, signals=[str(folder)]), tmp_path))
    assert "was made by the recipe hq, not published" in found["recordings"]
    long = pretraining(cohort)
    longer = long.model_copy(update={"encoder": long.encoder.model_copy(update={"window_s": 900.0})})
    assert "shorter than one window of 900 s" in bad(look(longer, tmp_path))["recordings"]


def test_lists_that_cannot_be(cohort: Cohort, tmp_path: Path) -> None:
    def judged(lists: dict[str, list[str]], table: str = "") -> str:
        (tmp_path / "splits.json").write_text(json.dumps(lists))
        (tmp_path / "cohort.csv").write_text(f"Study ID,Subject ID\n{table}")
        settings = pretraining(cohort, splits=str(tmp_path / "splits.json"), cohort=str(tmp_path / "cohort.csv"))
        return bad(look(settings, tmp_path))["people"]

    assert "nobody is in validation" in judged({"pretrain": ["s0"], "validation": [], "test": ["s1"]})
    assert "nobody is in pretrain and train" in judged({"validation": ["s0"]})
    assert "subject p is in pretrain (s0) and in validation (s1)" in judged(
        {"pretrain": ["s0"], "validation": ["s1"]}, "s0,p\ns1,p\n"
    )


# labels


def test_labels_of_other_studies(nights: NightCohort, tmp_path: Path) -> None:
    for study in ("somebody", "else"):
        shutil.copy(nights.folder / "night-00.csv", tmp_path / f"{study}.csv")
    found = look(finetuning(nights, "staging", scorings=tmp_path), tmp_path, nights.shelf)
    assert "none of the 6 studies for training has labels; night-00 has no scoring: none of night-00.csv" in bad(found)["labels"]
    assert (
        "there is no such folder of scorings"
        in bad(look(finetuning(nights, "staging", scorings=tmp_path / "gone"), tmp_path, nights.shelf))["labels"]
    )


def test_labels_that_lack_or_cannot_be_read_or_say_one_thing(nights: NightCohort, tmp_path: Path) -> None:
    scorings = tmp_path / "scorings"
    scorings.mkdir()
    for study in nights.studies:
        shutil.copy(nights.folder / f"{study}.csv", scorings)
    settings = finetuning(nights, "staging", scorings=scorings)
    (scorings / "night-00.csv").unlink()
    (scorings / "night-01.csv").write_text("no scoring")
    said = words(look(settings, tmp_path, nights.shelf), "labels", "doubtful")
    assert "5 of 6 nights for training and 6 of 6 for validation have labels" in said
    assert "without: night-00" in said
    assert "1 cannot be" in said
    for study in nights.studies[:6]:
        (scorings / f"{study}.csv").write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,0\n30,60,Wake,0\n")
    assert "hold only Wake: there is nothing to tell apart" in bad(look(settings, tmp_path, nights.shelf))["labels"]
    for study in nights.studies[6:]:
        (scorings / f"{study}.csv").write_text("x")
    for study in nights.studies[:6]:
        shutil.copy(nights.folder / f"{study}.csv", scorings)
    assert (
        "no labels of the 6 studies for validation that were opened can be read"
        in bad(look(settings, tmp_path, nights.shelf))["labels"]
    )


def test_follow_up_without_events(nights: NightCohort, tmp_path: Path) -> None:
    table = (nights.folder / "is_event.csv").read_text().splitlines()
    only_training = [table[0], *(line if k < 6 else f"{line.split(',')[0]},0,0,0" for k, line in enumerate(table[1:]))]
    (tmp_path / "is_event.csv").write_text("\n".join(only_training))
    found = look(finetuning(nights, "disease", is_event=tmp_path / "is_event.csv"), tmp_path, nights.shelf)
    assert "no validation night has an event" in bad(found)["labels"]
    (tmp_path / "is_event.csv").write_text("\n".join([table[0], *(f"{line.split(',')[0]},0,0,0" for line in table[1:])]))
    found = look(finetuning(nights, "disease", is_event=tmp_path / "is_event.csv"), tmp_path, nights.shelf)
    assert "no training night has an event of any condition" in bad(found)["labels"]


# encoder, name, device, disk, memory


def test_an_encoder_of_another_recipe_or_that_made_no_such_embeddings(nights: NightCohort, tmp_path: Path) -> None:
    shelf, other = make_encoder(tmp_path / "models", seed=5)
    card = json.loads((other.folder / "model.json").read_text())
    card["signals"]["recipe"] = "hq"
    (other.folder / "model.json").write_text(json.dumps(card))
    folder = tmp_path / "signals"
    for study in nights.studies:
        write_study(folder / f"{study}.hdf5", seconds=300)
    data = {**nights.data()["data"], "signals": [folder]}  # type: ignore[dict-item]
    settings = finetuning(nights, "staging", data=data, embeddings=None)
    found = bad(look(settings, tmp_path, shelf))
    assert (
        "was made by the recipe published, but tiny was trained on hq: convert the recording with --recipe hq"
        in found["recordings"]
    )
    found = bad(look(finetuning(nights, "staging"), tmp_path, shelf))
    assert "was made by other weights" in found["recordings"]
    found = bad(look(finetuning(nights, "staging", encoder="nobody"), tmp_path, nights.shelf))
    assert "no model named 'nobody'" in found["encoder"]


def test_a_head_that_cannot_be_built(nights: NightCohort, tmp_path: Path) -> None:
    settings = finetuning(nights, "staging", head={"parameters": {**SMALL, "embed_dim": EMBED_DIM + 1}})
    assert "head.parameters.embed_dim" in bad(look(settings, tmp_path, nights.shelf))["trial"]


def test_a_name_that_is_taken(nights: NightCohort, tmp_path: Path) -> None:
    taken = look(finetuning(nights, "staging", name="tiny"), tmp_path, nights.shelf)
    assert "the shelf has a model named tiny already" in bad(taken)["name"]
    assert taken.seconds is not None
    assert (
        "a run named head is waiting"
        in bad(look(finetuning(nights, "staging"), tmp_path, nights.shelf, open_runs={"head"}))["name"]
    )


def test_a_device_that_is_not_there(cohort: Cohort, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    settings = pretraining(cohort)
    on_gpu = settings.model_copy(update={"training": settings.training.model_copy(update={"device": "cuda"})})
    found = look(on_gpu, tmp_path)
    assert "no CUDA device here" in bad(found)["device"]
    assert words(found, "recordings", "good")
    elsewhere = look(on_gpu, tmp_path, elsewhere=True, devices=4)
    assert elsewhere.passed
    assert "on other machines: their devices, memory and disks are not looked at" in words(elsewhere, "device", "doubtful")
    assert "4 processes share the work" in words(elsewhere, "time", "good")


def test_a_full_disk_and_too_little_memory(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=9, used=9, free=1000))
    assert "free some space" in bad(look(pretraining(cohort), tmp_path))["disk"]
    monkeypatch.undo()
    memory = SimpleNamespace(total=2_000_000, available=1_000_000)
    monkeypatch.setattr(preflight_module.psutil, "virtual_memory", lambda: memory)
    assert "lower memory_gb or training.batch_size" in bad(look(pretraining(cohort), tmp_path))["memory"]

    def no_room(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(preflight_trial, "pretrain", no_room)
    assert "two batches of 8 do not fit into the main memory: halve" in bad(look(pretraining(cohort), tmp_path))["memory"]


def test_it_can_be_cancelled_at_any_time(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "temporary"
    kept.mkdir()
    monkeypatch.setattr(preflight_trial.tempfile, "tempdir", str(kept))
    calls = 0

    def count(_fraction: float, _message: str) -> None:
        nonlocal calls
        calls += 1

    look(pretraining(cohort), tmp_path, progress=count)
    for last in range(0, calls, max(1, calls // 5)):
        left = last

        def cancel(_fraction: float, _message: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Cancelled("stopped by the user")

        with pytest.raises(Cancelled):
            look(pretraining(cohort), tmp_path, progress=cancel)
        assert list(kept.iterdir()) == []


def test_durations_are_no_finer_than_they_are_known() -> None:
    assert [duration(s) for s in (10, 700, 12_000, 190_000)] == ["less than a minute", "12 min", "3 h 20 min", "2 days 4 h"]
