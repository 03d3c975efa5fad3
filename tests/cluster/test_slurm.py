"""Jobs on a real Slurm cluster of one node, with accounting, through the queue that the app uses."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from sleepfm.cli.main import main
from sleepfm.errors import SleepFMError
from sleepfm.files import atomic_path
from sleepfm.home import Home, open_home
from sleepfm.library.job_conversion import submit_conversion
from sleepfm.library.training_runs import submit_pretrain
from sleepfm.models.shelf import Shelf
from sleepfm.runs.database import connect
from sleepfm.runs.dispatcher import ensure_running, wait_for
from sleepfm.runs.launchers import launcher_of
from sleepfm.runs.launchers.cluster_settings import ClusterSettings
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.training.settings import PretrainSettings
from tests.cluster.slurm_machine import SlurmMachine
from tests.make_edf import write_edf
from tests.training.conftest import Cohort, tiny, write_study

STEPS = 60
"""Of a run that is caught in the middle."""

pytestmark = pytest.mark.usefixtures("slurm")


def configure(home: Home, **changes: object) -> None:
    settings = ClusterSettings.model_validate({"cores": 1, "memory_gb": 0.5, "minutes": 10, "ask_every_s": 0.5} | changes)
    with atomic_path(home.settings_file) as temporary:
        temporary.write_text(json.dumps({"cluster": settings.model_dump(mode="json")}), encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = open_home(tmp_path / "home")
    configure(home)
    yield home
    for process in of_home(home):
        process.kill()


def of_home(home: Home) -> list[psutil.Process]:
    """Every process that was started for a home: dispatchers, workers, and what Slurm runs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid != os.getpid() and any(str(home.root) in word for word in words):
            found.append(process)
    return found


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def elsewhere(slurm: SlurmMachine, folder: Path) -> Path:
    """A configuration by which nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = int(listener.getsockname()[1])
    there = Path(slurm.environment["SLURM_CONF"]).read_text()
    (folder / "down.conf").write_text(re.sub(r"SlurmctldPort=\d+", f"SlurmctldPort={nobody}", there) + "MessageTimeout=1\n")
    return folder / "down.conf"


def many_links(folder: Path, n: int) -> Path:
    """Many names of one recording: enough work for a job to be caught in the middle of."""
    original = write_edf(folder / "night_0000.edf", seconds=60, labels=("C4-M1",))
    for number in range(1, n):
        os.link(original, folder / f"night_{number:04d}.edf")
    return folder


def test_a_job_is_submitted_watched_and_cancelled(home: Home, slurm: SlurmMachine, tmp_path: Path) -> None:
    configure(home, array_jobs=2)
    job = submit_conversion(home, [many_links(tmp_path / "in", 600)], tmp_path / "out", launcher="slurm")
    table = JobTable(home)
    until(lambda: table.get(job.id).progress > 0.02)
    now = table.get(job.id)
    assert now.external is not None
    assert "parts done" in now.message
    assert slurm.ask("squeue", "-h", "-r", "-j", now.external, "-o", "%T").split() == ["RUNNING", "RUNNING"]
    table.request_stop(job.id)
    stopped = wait_for(table, job.id, timeout_s=30)
    assert (stopped.state, stopped.progress < 1) == (JobState.STOPPED, True)
    assert slurm.ask("squeue", "-h", "-j", now.external) == ""
    until(lambda: not [p for p in of_home(home) if "sleepfm.runs.dispatcher" not in p.cmdline()])
    assert not list((tmp_path / "out").glob(".*")), "something half-written was left"


def test_an_array_of_conversions_goes_on_after_a_bad_file(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(home, array_jobs=2)
    nights = tmp_path / "in"
    for name in ("a/night", "b/night", "c"):
        write_edf(nights / f"{name}.edf", seconds=60)
    (nights / "bad.edf").write_bytes(b"no recording")
    words = ["convert", str(nights), "--out", str(tmp_path / "out"), "--home", str(home.root), "--launcher", "slurm"]
    assert main([*words, "--wait", "--json"]) == 1
    made = json.loads(capsys.readouterr().out)
    assert [record["id"] for record in made["records"]] == ["night", "night-2", "c"], "joined in the order of the inputs"
    (failed,) = made["failed"]
    assert failed["file"] == str(nights / "bad.edf")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c.hdf5", "night-2.hdf5", "night.hdf5"]
    (job,) = JobTable(home).list()
    assert (job.state, job.launcher, job.parameters["parts"]) == (JobState.FINISHED, "slurm", 2)


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    folder = tmp_path / "cohort"
    studies = tuple(f"s{number}" for number in range(6))
    for number, study in enumerate(studies):
        write_study(folder / f"{study}.hdf5", montage=number % 3, seed=number)
    splits = folder / "splits.json"
    lists = {"pretrain": studies[:4], "train": (), "validation": studies[4:], "test": ()}
    splits.write_text(json.dumps(lists), encoding="utf-8")
    return Cohort(folder, splits, studies)


def steps_of(home: Home, job: Job) -> list[int]:
    file = home.runs / job.id / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line["step"] for line in lines if "train/loss" in line]


def test_a_run_on_two_tasks_outlives_the_dispatcher_and_a_stop(home: Home, slurm: SlurmMachine, cohort: Cohort) -> None:
    configure(home, devices_per_node=2)
    settings = PretrainSettings.model_validate(tiny(cohort, epochs=200, max_steps=STEPS, validate_every=STEPS))
    job = submit_pretrain(home, settings, launcher="slurm", devices=2)
    table = JobTable(home)
    until(lambda: steps_of(home, job), 200)
    tasks = [one for one in of_home(home) if one.name().startswith("python") and "submitit.core._submit" in one.cmdline()]
    assert len(tasks) == 2
    for task in tasks:
        task.suspend()  # it is still in the middle, however long the rest takes
    before = table.get(job.id)
    assert before.external is not None

    dispatchers = [process for process in of_home(home) if "sleepfm.runs.dispatcher" in process.cmdline()]
    for process in dispatchers:
        process.kill()
    assert dispatchers
    with closing(connect(home.database)) as database:  # as if it had been killed before it could write the number down
        database.execute("UPDATE jobs SET external = NULL")
    table.request_stop(job.id)
    assert table.get(job.id).state is JobState.RUNNING
    ensure_running(home)
    until((home.runs / job.id / "cluster" / "1" / "stop").exists)
    for task in tasks:
        task.resume()
    stopped = wait_for(table, job.id, timeout_s=120)
    assert (stopped.state, stopped.error, stopped.external) == (JobState.STOPPED, "stopped by the user", before.external)
    assert 0 < len(steps_of(home, job)) < STEPS
    names = slurm.ask("sacct", "-n", "-P", "-X", "-S", "now-1hour", "-o", "JobName%60").split()
    (name,) = [name for name in names if job.id in name]  # it was not lost, nor submitted twice
    assert name.endswith(f"-{job.id}-1")

    table.resume(job.id)
    ensure_running(home)
    finished = wait_for(table, job.id, timeout_s=300)
    assert finished.state is JobState.FINISHED, finished.error
    assert finished.result is not None
    assert finished.result["steps"] == STEPS
    assert [entry.name for entry in Shelf(home.models).entries()] == ["tiny"]
    assert steps_of(home, job) == list(range(1, STEPS + 1)), "steps were lost or done twice"


def claimed(home: Home) -> tuple[JobTable, Job]:
    """A job that the dispatcher would start now."""
    table = JobTable(home)
    table.add("demo", lane=Lane.CLUSTER, title="Make the demo study", launcher="slurm")
    job = table.claim(Lane.CLUSTER)
    assert job is not None
    return table, job


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"partition": "nowhere"}, "partition nowhere; it has debug"),
        ({"memory_gb": 4000}, "Memory specification can not be satisfied"),
        ({"sbatch": ["constraint=a100"]}, "Invalid feature specification"),
    ],
)
def test_what_the_cluster_refuses_is_one_line(home: Home, changes: dict[str, object], says: str) -> None:
    configure(home, **changes)
    _, job = claimed(home)
    with pytest.raises(SleepFMError, match=says) as refused:
        launcher_of("slurm", home).start(job)
    assert "\n" not in str(refused.value)


def test_a_machine_without_slurm_or_whose_cluster_is_down_says_so(
    home: Home, slurm: SlurmMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, job = claimed(home)
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_CONF", str(elsewhere(slurm, tmp_path)))
        with pytest.raises(SleepFMError, match=r"the cluster does not answer .*is DOWN"):
            launcher_of("slurm", home).start(job)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SleepFMError, match="scontrol was not found: install Slurm's commands"):
        launcher_of("slurm", home).start(job)


def test_a_home_that_the_nodes_do_not_see_is_named_and_a_lost_number_is_found(home: Home, slurm: SlurmMachine) -> None:
    configure(home, sbatch=["hold"])
    table, job = claimed(home)
    launcher = launcher_of("slurm", home)
    handle = launcher.start(job)
    assert handle.external is not None
    assert launcher.find(job) == handle, "killed before the number was written down, nobody would know of it"
    table.set_external(job.id, handle.external)
    job = table.get(job.id)
    until(lambda: "JobHeldUser" in launcher.poll(job).message)
    folder = home.runs / job.id
    folder.rename(folder.with_name("elsewhere"))
    slurm.ask("scontrol", "release", handle.external)
    until(lambda: slurm.ask("sacct", "-n", "-X", "-j", str(handle.external), "-o", "State") == "FAILED")
    folder.with_name("elsewhere").rename(folder)
    until(lambda: not launcher.poll(job).alive)
    state = launcher.poll(job)
    assert state.end is JobState.FAILED
    assert "must be on storage that the nodes share" in (state.error or "")


def test_what_a_copy_of_the_home_does_leaves_the_jobs_of_the_first_alone(home: Home, slurm: SlurmMachine, tmp_path: Path) -> None:
    configure(home, sbatch=["hold"])
    _, job = claimed(home)
    original = launcher_of("slurm", home).start(job)
    shutil.copytree(home.root, tmp_path / "restored")
    restored = open_home(tmp_path / "restored")
    table = JobTable(restored)
    table.end(job.id, JobState.CRASHED, error="it ran when the backup was made")
    table.resume(job.id)
    again = table.claim(Lane.CLUSTER)
    assert again is not None
    launcher = launcher_of("slurm", restored)
    assert launcher.find(job) is None, "it is not this home's"
    copied = launcher.start(again)
    for handle in (original, copied):
        assert slurm.ask("squeue", "-h", "-j", str(handle.external), "-o", "%T").split() == ["PENDING"]
        slurm.ask("scancel", str(handle.external))


def test_a_kill_is_the_clusters_to_do_and_an_outage_ends_nothing(
    home: Home, slurm: SlurmMachine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configure(home, sbatch=["hold"])
    table, job = claimed(home)
    launcher = launcher_of("slurm", home)
    table.set_external(job.id, launcher.start(job).external or "")
    job = table.get(job.id)
    until(lambda: "JobHeldUser" in launcher.poll(job).message)
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_CONF", str(elsewhere(slurm, tmp_path)))
        until(lambda: "squeue failed" in launcher.poll(job).message)
        assert launcher.poll(job).alive
    until(lambda: "JobHeldUser" in launcher.poll(job).message)
    assert launcher.kill(job) is False, "it is not known yet"
    until(lambda: not launcher.poll(job).alive)
    assert (launcher.poll(job).end, launcher.poll(job).error) == (JobState.STOPPED, "stopped by the user")
    assert launcher.kill(job) is True
    assert slurm.ask("squeue", "-h", "-j", str(job.external), "-o", "%T") == ""
