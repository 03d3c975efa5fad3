"""Jobs in real processes: they outlive whoever started them, can be stopped, and never leave a phantom "running"."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from filelock import FileLock

from sleepfm.errors import SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.jobs import submit_folder_import
from sleepfm.library.library import Library
from sleepfm.runs import dispatcher as dispatcher_module
from sleepfm.runs import worker
from sleepfm.runs.dispatcher import Dispatcher, ensure_running, nobody_works, wait_for
from sleepfm.runs.kinds import KINDS
from sleepfm.runs.launchers import Handle
from sleepfm.runs.processes import is_alive
from sleepfm.runs.run_files import log_file
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from tests.make_edf import write_edf

MANY = 400


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = open_home(tmp_path / "home")
    yield home
    for process in psutil.process_iter(["cmdline"]):
        if str(home.root) in (process.info["cmdline"] or []):
            process.kill()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Many links to one small recording: enough work for a job to be caught in the middle of."""
    original = write_edf(tmp_path / "one.edf", seconds=10, labels=("C4-M1",))
    folder = tmp_path / "recordings"
    folder.mkdir()
    for number in range(MANY):
        os.link(original, folder / f"night_{number:04d}.edf")
    return folder


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def running(home: Home, folder: Path) -> Job:
    """Start an import and return it once it is well under way."""
    job = submit_folder_import(home, folder, stage=False)
    table = JobTable(home)
    until(lambda: table.get(job.id).progress > 0.05)
    return table.get(job.id)


def test_a_folder_is_imported_by_a_process_of_its_own(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_edf(folder / "a.edf", seconds=30)
    write_edf(folder / "below" / "b.EDF", seconds=30)
    (folder / "bad.edf").write_bytes(b"no recording")
    (folder / "notes.txt").write_text("not looked at")
    job = wait_for(JobTable(home), submit_folder_import(home, folder, stage=False).id, timeout_s=60)
    assert job.state is JobState.FINISHED
    assert job.result is not None
    assert sorted(job.result["added"]) == ["a", "b"]
    assert [Path(one["file"]).name for one in job.result["failed"]] == ["bad.edf"]
    assert job.pid != os.getpid()
    with Library(home) as library:
        until(lambda: not library.jobs.list(states=(JobState.QUEUED, JobState.RUNNING)), 90)
        assert {one.state for one in library.jobs.list()} == {JobState.FINISHED}, [one.error for one in library.jobs.list()]
        prepared = library.study("a")
        assert prepared.quality is not None
        assert prepared.sha256 is not None
        assert library.quality("a") is not None


def test_stopping_ends_the_process_and_keeps_what_was_done(home: Home, recordings: Path) -> None:
    job = running(home, recordings)
    table = JobTable(home)
    table.request_stop(job.id)
    stopped = wait_for(table, job.id, timeout_s=30)
    assert stopped.state is JobState.STOPPED
    until(lambda: not is_alive(job.pid, job.pid_started))
    with Library(home) as library:
        assert 0 < library.count() < MANY


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_worker_is_shown_as_crashed_and_the_queue_goes_on(home: Home, recordings: Path, tmp_path: Path) -> None:
    job = running(home, recordings)
    assert job.pid is not None
    os.kill(job.pid, signal.SIGKILL)
    table = JobTable(home)
    crashed = wait_for(table, job.id, timeout_s=30)
    assert crashed.state is JobState.CRASHED
    assert "last words" in (crashed.error or "")
    for waiting in table.list(states=(JobState.QUEUED,), limit=MANY):
        table.request_stop(waiting.id)
    write_edf(tmp_path / "later" / "z.edf", seconds=10, labels=("C4-M1",))
    later = wait_for(table, submit_folder_import(home, tmp_path / "later", stage=False).id, timeout_s=120)
    assert later.state is JobState.FINISHED


def test_killing_ends_the_process_at_once(home: Home, recordings: Path) -> None:
    job = running(home, recordings)
    table = JobTable(home)
    table.request_kill(job.id)
    killed = wait_for(table, job.id, timeout_s=30)
    assert (killed.state, killed.error) == (JobState.STOPPED, "killed by the user")
    until(lambda: not is_alive(job.pid, job.pid_started))


def test_a_lock_that_nobody_holds_and_a_launcher_of_another_version_hold_up_nothing(home: Home) -> None:
    (home.runs / "dispatcher.lock").write_text("left by a machine that went down")
    table = JobTable(home)
    elsewhere = table.add("import", lane=Lane.QUICK, title="x", parameters={"folder": "/nowhere"}, launcher="moon")
    job = table.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": "/nowhere", "stage": False})
    ensure_running(home)
    assert wait_for(table, job.id, timeout_s=30).state is JobState.FAILED
    assert "moon" in (table.get(elsewhere.id).error or "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_work_goes_on_when_the_dispatcher_is_killed_and_a_new_one_takes_over(home: Home, recordings: Path) -> None:
    job = running(home, recordings)
    dispatchers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "sleepfm.runs.dispatcher" in (process.info["cmdline"] or []) and str(home.root) in process.info["cmdline"]
    ]
    assert dispatchers
    for process in dispatchers:
        process.kill()
    table = JobTable(home)
    assert is_alive(job.pid, job.pid_started), "the worker must outlive its dispatcher"
    ensure_running(home)
    assert wait_for(table, job.id, timeout_s=60).state is JobState.FINISHED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_a_power_cut_a_running_row_becomes_crashed(home: Home) -> None:
    table = JobTable(home)
    job = table.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": "/nowhere", "stage": False})
    table.claim(Lane.QUICK)
    table.set_process(job.id, 2**22 + 7, 1.0)
    ensure_running(home)
    assert wait_for(table, job.id, timeout_s=30).state is JobState.CRASHED


def test_a_failure_is_one_line_in_the_table_and_all_of_it_in_the_log(home: Home) -> None:
    table = JobTable(home)
    job = table.add("import", lane=Lane.QUICK, title="Import", parameters={"folder": "/nowhere", "stage": False})
    ensure_running(home)
    failed = wait_for(table, job.id, timeout_s=30)
    assert failed.state is JobState.FAILED
    assert "/nowhere" in (failed.error or "")
    assert "/nowhere" in log_file(home, job.id).read_text("utf-8")


def test_a_kind_this_version_does_not_know_fails_and_says_so(home: Home) -> None:
    table = JobTable(home)
    assert "teleport" not in KINDS
    job = table.add("teleport", lane=Lane.QUICK, title="From the future")
    ensure_running(home)
    assert "teleport" in (wait_for(table, job.id, timeout_s=30).error or "")


def test_many_submissions_start_one_dispatcher(home: Home, recordings: Path) -> None:
    running(home, recordings)
    for _ in range(5):
        ensure_running(home)

    def dispatchers() -> int:
        words = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        return sum("sleepfm.runs.dispatcher" in one and str(home.root) in one for one in words)

    until(lambda: dispatchers() == 1)


def test_the_worker_is_no_child_that_dies_with_its_starter(home: Home, recordings: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sleepfm.home import open_home;"
        "from sleepfm.library.jobs import submit_folder_import;"
        "print(submit_folder_import(open_home(sys.argv[1]), Path(sys.argv[2]), stage=False).id)"
    )
    words = [sys.executable, "-c", code, str(home.root), str(recordings)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert wait_for(JobTable(home), done.stdout.strip(), timeout_s=60).state is JobState.FINISHED


def test_a_submission_that_may_be_under_way_is_given_up_before_the_next_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dispatcher was killed while sbatch ran: the cluster's queue does not show the job yet."""
    table = JobTable(home)
    job = table.add("demo", lane=Lane.CLUSTER, title="x", launcher="slurm")
    table.claim(Lane.CLUSTER)
    deeds: list[tuple[str, int]] = []
    launcher = SimpleNamespace(
        find=lambda _job: None,
        stop=lambda job: deeds.append(("stop", job.attempt)),
        start=lambda job, gpus: deeds.append(("start", job.attempt)) or Handle(external="7"),  # noqa: ARG005
    )
    monkeypatch.setattr(dispatcher_module, "launcher_of", lambda _name, _home: launcher)
    successor = Dispatcher(home, table)
    successor.adopt()
    successor.step()
    assert deeds == [("stop", 1), ("start", 2)]
    assert (table.get(job.id).external, table.get(job.id).attempt) == ("7", 2)


@pytest.mark.parametrize(
    ("kind", "lane", "back"),
    [
        ("preflight", Lane.QUICK, True),
        ("curve", Lane.HEAVY, True),
        ("pretrain", Lane.TRAIN_CPU, True),
        ("import", Lane.QUICK, False),
    ],
)
def test_what_trains_stands_back_in_whatever_lane(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: str, lane: Lane, back: bool
) -> None:
    stood = []
    monkeypatch.setattr(worker, "stand_back", lambda: stood.append(kind))
    monkeypatch.setattr(worker, "_do", lambda *_: (JobState.FINISHED, {}, None))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    table = JobTable(home)
    job = table.add(kind, lane=lane, title="x")
    table.claim(lane)
    assert worker.main(str(home.root), job.id) == 0
    assert stood == [kind] * back


def test_a_worker_that_is_done_waits_for_the_table_to_take_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    end, refusals = JobTable.end, iter([SleepFMError("the library could not be written"), SleepFMError("the library is busy")])

    def refused_twice(table: JobTable, *words: Any, **named: Any) -> bool:
        for refusal in refusals:
            raise refusal
        return end(table, *words, **named)

    monkeypatch.setattr(JobTable, "end", refused_twice)
    monkeypatch.setattr(worker, "_END_AGAIN_S", 0.0)
    monkeypatch.setattr(worker, "_do", lambda *_: (JobState.FINISHED, {"model": "m"}, None))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    table = JobTable(home)
    job = table.add("import", lane=Lane.QUICK, title="x")
    table.claim(Lane.QUICK)
    assert worker.main(str(home.root), job.id) == 0
    assert (table.get(job.id).state, table.get(job.id).result) == (JobState.FINISHED, {"model": "m"})


def test_the_loop_goes_on_when_the_disk_is_away_for_a_while(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = iter([OSError(5, "Input/output error"), sqlite3.OperationalError("disk I/O error")])

    def step(_: Dispatcher) -> bool:
        for trouble in troubles:
            raise trouble
        return False

    monkeypatch.setattr(Dispatcher, "step", step)
    monkeypatch.setattr(dispatcher_module, "_TROUBLE_S", 0.0)
    monkeypatch.setattr(dispatcher_module, "_IDLE_S", 0.2)
    Dispatcher(home).run()
    assert next(troubles, None) is None


def test_where_no_process_can_be_started_it_is_said_that_the_job_waits(home: Home) -> None:
    home.runs.rmdir()
    home.runs.write_text("no folder: nothing can be written there")
    with pytest.raises(SleepFMError, match="it is in the queue, but no process"):
        ensure_running(home)


def test_open_jobs_that_no_dispatcher_sees_to_are_noticed(home: Home) -> None:
    table = JobTable(home)
    assert not nobody_works(home)
    job = table.add("import", lane=Lane.QUICK, title="x")
    assert nobody_works(home)
    with FileLock(home.runs / "dispatcher.lock"):
        assert not nobody_works(home)
    assert nobody_works(home)
    table.end(job.id, JobState.STOPPED)
    assert not nobody_works(home)
