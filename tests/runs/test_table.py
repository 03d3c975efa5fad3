"""The job table: a job's life, whoever looks."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import open_home
from sleepfm.runs.processes import identity, is_alive
from sleepfm.runs.table import JobState, JobTable, Lane, seconds_left


@pytest.fixture
def table(tmp_path: Path) -> JobTable:
    return JobTable(open_home(tmp_path))


def test_a_job_is_queued_claimed_and_finished(table: JobTable) -> None:
    job = table.add("stage", lane=Lane.HEAVY, title="Stage night", subject="night", parameters={"study": "night"})
    assert job.state is JobState.QUEUED
    assert table.claim(Lane.QUICK) is None
    claimed = table.claim(Lane.HEAVY)
    assert claimed is not None
    assert claimed.id == job.id
    assert not table.report(job.id, 0.5, "half way")
    assert table.get(job.id).progress == 0.5
    table.end(job.id, JobState.FINISHED, result={"kappa": 1.0})
    done = table.get(job.id)
    assert (done.state, done.progress, done.result) == (JobState.FINISHED, 1.0, {"kappa": 1.0})


def test_the_same_open_job_is_not_queued_twice_but_may_be_run_again_later(table: JobTable) -> None:
    first = table.add("stage", lane=Lane.HEAVY, title="Stage", subject="a", parameters={"study": "a"})
    assert table.add("stage", lane=Lane.HEAVY, title="Stage", subject="a", parameters={"study": "a"}).id == first.id
    assert table.add("stage", lane=Lane.HEAVY, title="Stage", subject="b", parameters={"study": "b"}).id != first.id
    table.end(first.id, JobState.FINISHED)
    assert table.add("stage", lane=Lane.HEAVY, title="Stage", subject="a", parameters={"study": "a"}).id != first.id


def test_jobs_of_a_lane_are_claimed_in_order_and_only_once(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    table = JobTable(home)
    wanted = [table.add("import", lane=Lane.QUICK, title=str(k), parameters={"k": k}).id for k in range(20)]

    def claim(_: int) -> str:
        claimed = JobTable(home).claim(Lane.QUICK)
        assert claimed is not None
        return claimed.id

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(claim, range(20)))
    assert sorted(claimed) == sorted(wanted)


def test_stopping_ends_a_queued_job_asks_a_running_one_and_leaves_an_ended_one(table: JobTable) -> None:
    queued = table.add("import", lane=Lane.QUICK, title="x", parameters={"n": 1})
    assert table.request_stop(queued.id).state is JobState.STOPPED
    running = table.add("import", lane=Lane.QUICK, title="x", parameters={"n": 2})
    table.claim(Lane.QUICK)
    assert table.request_stop(running.id).state is JobState.RUNNING
    assert table.report(running.id, 0.1, "going on")
    table.end(running.id, JobState.FINISHED)
    assert table.request_stop(running.id).state is JobState.FINISHED


def test_an_ended_job_keeps_its_end(table: JobTable) -> None:
    job = table.add("import", lane=Lane.QUICK, title="x")
    table.claim(Lane.QUICK)
    table.end(job.id, JobState.STOPPED, error="stopped by the user")
    table.end(job.id, JobState.CRASHED, error="later guess")
    assert table.get(job.id).state is JobState.STOPPED
    assert table.get(job.id).error == "stopped by the user"


def test_a_running_job_whose_process_is_gone_becomes_crashed_but_a_living_one_stays(table: JobTable) -> None:
    gone = table.add("import", lane=Lane.QUICK, title="gone", parameters={"n": 1})
    alive = table.add("import", lane=Lane.QUICK, title="alive", parameters={"n": 2})
    table.claim(Lane.QUICK)
    table.claim(Lane.QUICK)
    # the same pid with another start time is another process
    table.set_process(gone.id, os.getpid(), 1.0)
    table.set_process(alive.id, os.getpid(), identity(os.getpid()))
    assert [job.id for job in table.reconcile()] == [gone.id]
    assert table.get(gone.id).state is JobState.CRASHED
    assert table.get(alive.id).state is JobState.RUNNING


def test_a_job_of_a_kind_from_another_version_is_listed_and_reconciled_too(table: JobTable) -> None:
    job = table.add("teleport", lane=Lane.QUICK, title="From the future")
    table.claim(Lane.QUICK)
    assert [one.id for one in table.list()] == [job.id]
    assert table.list(kinds=("import",)) == ()
    assert [one.id for one in table.reconcile()] == [job.id]


def test_a_dead_pid_is_not_alive() -> None:
    assert identity(2**22 + 12345) is None
    assert not is_alive(None, None)


def test_unknown_id_is_a_wrong_request(table: JobTable) -> None:
    with pytest.raises(RequestError, match="runs list"):
        table.get("nothing")


def test_time_left_follows_the_pace() -> None:
    now = datetime.now(UTC)
    assert seconds_left(0.01, now - timedelta(seconds=60), now) is None
    assert seconds_left(0.25, now - timedelta(seconds=60), now) == pytest.approx(180)


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "library.sqlite").write_text("this is not a database, however long it may be " * 50)
    with pytest.raises(SleepFMError, match="cannot be opened"):
        JobTable(open_home(tmp_path))


def test_a_newer_library_is_refused_unchanged(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    JobTable(home).close()
    with sqlite3.connect(home.database) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SleepFMError, match="newer"):
        JobTable(home)


def test_a_new_library_can_be_opened_while_another_process_is_making_it(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    other = sqlite3.connect(home.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(JobTable, home)
        time.sleep(0.3)
        assert not opened.done()
        other.execute("COMMIT")
        assert not opened.result(timeout=20).list()
