"""Training runs as jobs: what is queued, what is refused, and what is left after kill -9 of everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.job_training import run_pretrain
from sleepfm.library.library import Library
from sleepfm.library.training_runs import names_of_open_runs, resume, run_kind, settings_of, submit_finetune, submit_pretrain
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.progress import silent
from sleepfm.runs.dispatcher import ensure_running, wait_for
from sleepfm.runs.processes import marked
from sleepfm.runs.run_curves import Curves
from sleepfm.runs.run_files import log_tail, run_folder
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.training.finetune_settings import StagingSettings
from sleepfm.training.settings import PretrainSettings, TrainingSettings
from sleepfm.viewer.form_world import taken_names
from tests.models.made_up_cards import put_card
from tests.training.conftest import Cohort, tiny, write_study


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("cohort")
    studies = tuple(f"s{number}" for number in range(4))
    for number, study in enumerate(studies):
        write_study(folder / f"{study}.hdf5", montage=number % 2, seed=number)
    lists = {"pretrain": studies[:3], "train": [], "validation": studies[3:], "test": []}
    (folder / "splits.json").write_text(json.dumps(lists), encoding="utf-8")
    return Cohort(folder, folder / "splits.json", studies)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = open_home(tmp_path / "home")
    yield home
    for process in psutil.process_iter(["cmdline"]):
        if str(home.root) in (process.info["cmdline"] or []):
            process.kill()


def encoder(cohort: Cohort, **training: object) -> PretrainSettings:
    told = tiny(cohort, **training)
    told["data"] = {"signals": [str(cohort.folder)], "splits": str(cohort.splits), "lists": ["pretrain"]}
    told["validation_windows"] = 8
    return PretrainSettings.model_validate(told)


def staging(name: str = "stager") -> StagingSettings:
    return StagingSettings.model_validate(
        {"name": name, "encoder": "base", "data": {"signals": ["cohort"], "splits": "splits.json"}, "training": {"device": "cpu"}}
    )


def steps(home: Home, job: Job) -> list[int]:
    file = home.runs / job.id / "metrics.jsonl"
    lines = file.read_text().splitlines() if file.is_file() else []
    return [entry["step"] for entry in map(json.loads, lines[:-1]) if "train/loss" in entry]


def until(condition: Callable[[], object], seconds: float = 240.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


# what is queued and what is refused


def test_a_run_is_queued_with_what_it_needs_wherever_it_will_be_started(
    home: Home, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cohort.folder.parent)
    job = submit_finetune(home, "staging", staging(), submitted_by="ada", parent="before", start=False)
    assert (job.kind, job.lane, job.subject, job.submitted_by, job.parent) == (
        "finetune",
        Lane.TRAIN_CPU,
        "stager",
        "ada",
        "before",
    )
    assert job.version
    told = settings_of(JobTable(home).get(job.id))
    assert isinstance(told, StagingSettings)
    assert told.data.signals == (cohort.folder.parent / "cohort",)
    assert told.data.splits == cohort.folder.parent / "splits.json"
    assert run_kind(job) == "staging"
    assert submit_finetune(home, "staging", staging(), start=False).id == job.id, "pressed twice"


def test_a_name_is_given_once(home: Home, cohort: Cohort) -> None:
    first = submit_finetune(home, "staging", staging("tiny"), start=False)
    with pytest.raises(RequestError, match=first.id):
        submit_pretrain(home, encoder(cohort), start=False)
    JobTable(home).request_stop(first.id)
    (home.models / "tiny").mkdir()  # not even a readable model
    with pytest.raises(RequestError, match="on the shelf"):
        submit_pretrain(home, encoder(cohort), start=False)


def test_a_run_whose_name_another_model_has_got_is_not_resumed(home: Home) -> None:
    table = JobTable(home)
    job = submit_finetune(home, "staging", staging(), start=False)
    table.request_stop(job.id)
    put_card(home.models, "stager", Task.STAGING)
    with pytest.raises(RequestError, match="another model named stager"):
        resume(table, job.id)
    put_card(run_folder(home, job.id), "model", Task.STAGING, weights="of this run")
    with pytest.raises(RequestError, match="another model named stager"):
        resume(table, job.id)
    assert table.get(job.id).state is JobState.STOPPED
    shutil.rmtree(run_folder(home, job.id))
    put_card(run_folder(home, job.id), "model", Task.STAGING, weights="stager")  # killed after its model was on the shelf
    assert resume(table, job.id).state is JobState.QUEUED


def test_everybody_hears_of_the_same_names_of_open_runs(home: Home) -> None:
    table = JobTable(home)
    waits, ended = (submit_finetune(home, "staging", staging(name), start=False) for name in ("waits", "ended"))
    table.request_stop(ended.id)
    table.add("import", lane=Lane.QUICK, title="x", subject="a study")
    assert names_of_open_runs(table) == {"waits": waits.id}
    with Library(home) as library:
        assert taken_names(library) == {"waits": f"the run {waits.id} is making a model of this name"}


@pytest.mark.parametrize(
    ("device", "devices", "there", "lane"),
    [
        ("auto", 1, (), Lane.TRAIN_CPU),
        ("cpu", 1, (0, 1), Lane.TRAIN_CPU),
        ("auto", 2, (0, 1), Lane.TRAIN_CUDA),
        ("cuda", 1, (4,), Lane.TRAIN_CUDA),
    ],
)
def test_a_run_waits_for_the_devices_that_it_trains_on(
    tmp_path: Path, device: str, devices: int, there: tuple[int, ...], lane: Lane
) -> None:
    home = open_home(tmp_path)
    settings = staging().model_copy(update={"training": TrainingSettings.model_validate({"device": device})})
    with patch("sleepfm.library.training_runs.gpus", lambda: there):
        assert submit_finetune(home, "staging", settings, devices=devices, start=False).lane is lane
    other = settings.model_copy(update={"name": "elsewhere"})
    assert submit_finetune(home, "staging", other, devices=64, launcher="slurm", start=False).lane is Lane.CLUSTER


@pytest.mark.parametrize(
    ("device", "devices", "words"),
    [("cuda", 3, "2 GPUs"), ("cpu", 1000, "1000 processes"), ("cpu", 0, "0 devices"), ("cpu", 5000, "5000 devices")],
)
def test_devices_that_are_not_there_are_refused(home: Home, device: str, devices: int, words: str) -> None:
    settings = staging().model_copy(update={"training": TrainingSettings.model_validate({"device": device})})
    with patch("sleepfm.library.training_runs.gpus", lambda: (0, 1)), pytest.raises(RequestError, match=words):
        submit_finetune(home, "staging", settings, devices=devices, start=False)
    with pytest.raises(RequestError, match="no launcher"):
        submit_finetune(home, "staging", settings, launcher="carrier pigeon", start=False)
    assert JobTable(home).count() == 0


def test_settings_of_another_version_are_said_in_a_line(home: Home) -> None:
    table = JobTable(home)
    config = staging().model_dump(mode="json") | {"telepathy": 1}
    old = table.add("finetune", lane=Lane.TRAIN_CPU, title="x", subject="a", parameters={"config": config, "task": "staging"})
    with pytest.raises(RequestError, match=r"telepathy.*version 0") as refused:
        settings_of(old)
    assert "\n" not in str(refused.value)
    gone = table.add("finetune", lane=Lane.TRAIN_CPU, title="x", subject="b", parameters={"config": config, "task": "dreams"})
    with pytest.raises(RequestError, match="dreams"):
        settings_of(gone)
    with pytest.raises(RequestError, match="trains nothing"):
        settings_of(table.add("import", lane=Lane.QUICK, title="x"))


# what the job does


def test_the_job_leaves_a_model_and_says_what_it_came_to(home: Home, cohort: Cohort) -> None:
    parameters = {"config": encoder(cohort, max_steps=2).model_dump(mode="json"), "job": "run-1"}

    def stopping(fraction: float, message: str) -> None:
        if message.startswith("step") and fraction > 0:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="step 1"):
        run_pretrain(home, parameters, stopping)
    assert not Shelf(home.models).entries()
    result = run_pretrain(home, parameters, silent)
    assert (result["model"], result["steps"]) == ("tiny", 2)
    assert result["best_validation_loss"] > 0
    assert [entry.name for entry in Shelf(home.models).entries()] == ["tiny"]
    figures = Curves(run_folder(home, "run-1")).read()
    watched = {"train/loss", "validation/loss", "train/top1", "train/learning_rate", "train/log_temperature"}
    watched |= {"train/samples_per_second", "train/seconds", "device_use", "device_memory_mb"}
    assert watched <= set(figures)
    assert all((figures[name].value >= 0).all() for name in watched)
    assert figures["device_memory_mb"].value[-1] > 50, "torch alone is more"
    # the worker was killed between the shelf and the table: done again, it is still one model
    assert run_pretrain(home, parameters, silent) == result
    assert [entry.name for entry in Shelf(home.models).entries()] == ["tiny"]
    other = {"config": encoder(cohort, max_steps=2, seed=5).model_dump(mode="json"), "job": "run-2"}
    with pytest.raises(SleepFMError, match="training is done"):
        run_pretrain(home, other, silent)
    assert Shelf(home.runs / "run-2").get("model").card.name == "model"


def test_a_folder_that_a_hand_has_changed_is_said_and_spoils_nothing(home: Home, cohort: Cohort) -> None:
    parameters = {"config": encoder(cohort, max_steps=2).model_dump(mode="json"), "job": "run-1"}
    run_pretrain(home, parameters, silent)
    folder = home.runs / "run-1"
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('[]\n{"step": "two"}\n\n{"half": ')
    assert run_pretrain(home, parameters, silent)["steps"] == 2
    assert all("train/loss" in line or "step" in line for line in (folder / "metrics.jsonl").read_text().splitlines())
    (folder / "config.yaml").write_text("name: other\n")
    with pytest.raises(RequestError, match=r"config\.yaml was changed"):
        run_pretrain(home, parameters, silent)


# what is left after kill -9


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_with_all_who_watched_and_resumed_it_is_one_run_and_one_model(home: Home, cohort: Cohort) -> None:
    table = JobTable(home)
    settings = encoder(cohort, epochs=60, max_steps=60, validate_every=60, device="cpu")
    job = submit_pretrain(home, settings)
    until(lambda: len(steps(home, job)) > 3)
    running = table.get(job.id)
    assert running.pid is not None
    assert psutil.Process(running.pid).nice() >= 1
    family = [process for process, _ in marked(home.root)]
    dispatcher = [p for p in psutil.process_iter(["cmdline"]) if "sleepfm.runs.dispatcher" in (p.info["cmdline"] or [])]
    mine = [p for p in dispatcher if str(home.root) in p.info["cmdline"]]
    assert family
    assert mine
    for process in (*mine, *family):
        os.kill(process.pid, signal.SIGKILL)
    assert table.get(job.id).state is JobState.RUNNING, "nobody was left to say otherwise"
    ensure_running(home)
    crashed = wait_for(table, job.id, timeout_s=240)
    assert crashed.state is JobState.CRASHED
    assert "attempt 1" in (crashed.error or ""), "the last words"
    assert "attempt 1" in log_tail(home, job.id, 1)

    table.resume(job.id)
    ensure_running(home)
    finished = wait_for(table, job.id, timeout_s=240)
    assert (finished.state, finished.attempt) == (JobState.FINISHED, 2), finished.error
    assert finished.result is not None
    assert (finished.result["model"], finished.result["steps"]) == ("tiny", 60)
    assert steps(home, job) == list(range(1, 61))
    assert [entry.name for entry in Shelf(home.models).entries()] == ["tiny"]
    assert table.count(archived=None) == 1
    until(lambda: not list(marked(home.root)))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_no_process_of_a_run_outlives_it_when_all_who_watched_were_killed(home: Home, cohort: Cohort) -> None:
    """Torchrun gives its processes sessions of their own: no process group ends them."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core")
    table = JobTable(home)
    job = submit_pretrain(home, encoder(cohort, epochs=4000, device="cpu"), devices=2)
    until(lambda: len(steps(home, job)) > 3)
    running = table.get(job.id)
    assert running.pid is not None
    family = [process for process, _ in marked(home.root)]
    assert len(family) >= 3
    for process in psutil.process_iter(["cmdline"]):
        if "sleepfm.runs.dispatcher" in (process.info["cmdline"] or []) and str(home.root) in process.info["cmdline"]:
            process.kill()
    os.kill(running.pid, signal.SIGKILL)
    assert [process for process in family if process.pid != running.pid and process.is_running()], "the others go on alone"
    ensure_running(home)
    assert wait_for(table, job.id, timeout_s=240).state is JobState.CRASHED
    until(lambda: not list(marked(home.root)))
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
