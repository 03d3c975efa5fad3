"""The job table: a job's life, whoever looks."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import open_home
from sleepfm.runs.database import connect
from sleepfm.runs.processes import identity, is_alive
from sleepfm.runs.submitter import submitter, work_for
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


def test_the_first_process_that_is_recorded_keeps_the_job(table: JobTable) -> None:
    job = table.add("import", lane=Lane.QUICK, title="x")
    assert not table.set_process(job.id, 11, 1.0), "nobody claimed it"
    table.claim(Lane.QUICK)
    assert table.set_process(job.id, 11, 1.0, attempt=1)
    assert table.set_process(job.id, 11, 1.0, attempt=1), "said twice, by the dispatcher and by itself"
    assert not table.set_process(job.id, 12, 2.0, attempt=1)
    assert table.get(job.id).pid == 11
    assert not table.unclaim(job.id, attempt=1), "it has begun"


def test_a_claim_that_came_to_nothing_goes_back_to_the_head_of_the_queue(table: JobTable) -> None:
    first, second = (table.add("import", lane=Lane.QUICK, title="x", parameters={"n": n}) for n in range(2))
    claimed = table.claim(Lane.QUICK)
    assert claimed is not None
    assert table.unclaim(claimed.id, attempt=1)
    head = table.head(Lane.QUICK)
    assert head is not None
    assert (head.id, head.started_at) == (first.id, None)
    assert table.claim(Lane.QUICK, only=second.id) is None, "nobody overtakes"


@pytest.mark.parametrize(("stop", "then"), [(False, ("queued", 2)), (True, ("stopped", 1))])
def test_a_submission_that_nobody_saw_is_not_this_attempt_any_more(table: JobTable, stop: bool, then: tuple[str, int]) -> None:
    job = table.add("import", lane=Lane.CLUSTER, title="x", launcher="slurm")
    table.claim(Lane.CLUSTER)
    if stop:
        table.request_stop(job.id)
    assert table.unclaim(job.id, attempt=1)
    now = table.get(job.id)
    assert (now.state.value, now.attempt) == then


def test_a_worker_that_was_given_up_changes_nothing_in_the_next_attempt(table: JobTable) -> None:
    job = table.add("import", lane=Lane.QUICK, title="x")
    table.claim(Lane.QUICK)
    table.set_process(job.id, 11, 1.0, attempt=1)
    table.end(job.id, JobState.CRASHED, error="gone", attempt=1)
    resumed = table.resume(job.id, submitted_by="ada")
    assert (resumed.id, resumed.state, resumed.attempt, resumed.pid, resumed.error) == (job.id, JobState.QUEUED, 2, None, None)
    table.claim(Lane.QUICK)
    assert not table.set_process(job.id, 11, 1.0, attempt=1)
    assert table.report(job.id, 0.9, "still here", attempt=1), "it is told to stop"
    assert not table.end(job.id, JobState.FINISHED, result={}, attempt=1)
    now = table.get(job.id)
    assert (now.state, now.progress, now.submitted_by) == (JobState.RUNNING, 0, "ada")


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.FINISHED])
def test_only_what_ended_badly_is_resumed(table: JobTable, state: JobState) -> None:
    job = table.add("import", lane=Lane.QUICK, title="x")
    if state is not JobState.QUEUED:
        table.claim(Lane.QUICK)
    if state is JobState.FINISHED:
        table.end(job.id, state)
    with pytest.raises(RequestError, match=state.value):
        table.resume(job.id)
    assert table.get(job.id).attempt == 1


def test_two_open_runs_never_make_the_same_model(table: JobTable) -> None:
    first = table.add("pretrain", lane=Lane.TRAIN_CPU, title="a", subject="model", parameters={"n": 1})
    assert table.add("pretrain", lane=Lane.TRAIN_CPU, title="a", subject="model", parameters={"n": 1}).id == first.id
    with pytest.raises(RequestError, match=first.id):
        table.add("finetune", lane=Lane.TRAIN_CPU, title="a", subject="model", parameters={"n": 2})
    table.request_stop(first.id)
    second = table.add("finetune", lane=Lane.TRAIN_CPU, title="a", subject="model", parameters={"n": 2})
    with pytest.raises(RequestError, match=second.id):
        table.resume(first.id)


def test_two_admins_who_press_start_at_once_start_one_run(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    JobTable(home).close()

    def press(_: int) -> str:
        return JobTable(home).add("pretrain", lane=Lane.TRAIN_CPU, title="a", subject="model", parameters={"n": 1}).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(press, range(16)))) == 1
    assert JobTable(home).count() == 1


def test_killing_says_more_than_stopping(table: JobTable) -> None:
    job = table.add("import", lane=Lane.QUICK, title="x")
    table.claim(Lane.QUICK)
    assert not table.request_stop(job.id).kill_requested
    killed = table.request_kill(job.id)
    assert (killed.kill_requested, killed.stop_requested, killed.state) == (True, True, JobState.RUNNING)
    waiting = table.add("import", lane=Lane.QUICK, title="y", parameters={"n": 2})
    assert table.request_kill(waiting.id).state is JobState.STOPPED


def test_notes_and_what_was_put_away(table: JobTable) -> None:
    jobs = [table.add("import", lane=Lane.QUICK, title=str(n), parameters={"n": n}) for n in range(5)]
    assert table.annotate(jobs[0].id, "too slow").note == "too slow"
    with pytest.raises(RequestError, match="characters"):
        table.annotate(jobs[0].id, "x" * 10_001)
    with pytest.raises(RequestError, match="open"):
        table.archive(jobs[0].id)
    table.request_stop(jobs[0].id)
    assert table.archive(jobs[0].id).archived
    assert (table.count(), table.count(archived=True), table.count(archived=None)) == (4, 1, 5)
    assert [one.id for one in table.list(archived=None, limit=2, offset=3)] == [jobs[1].id, jobs[0].id]
    assert not table.archive(jobs[0].id, archived=False).archived
    assert table.resume(jobs[0].id).note == "too slow"


def test_a_job_of_a_kind_from_another_version_is_listed_too(table: JobTable) -> None:
    job = table.add("teleport", lane=Lane.QUICK, title="From the future")
    assert [one.id for one in table.list()] == [job.id]
    assert table.list(kinds=("import",)) == ()


def test_a_dead_pid_is_not_alive() -> None:
    assert identity(2**22 + 12345) is None
    assert not is_alive(None, None)


def test_unknown_id_is_a_wrong_request(table: JobTable) -> None:
    with pytest.raises(RequestError, match="runs list"):
        table.get("nothing")


def test_a_job_is_of_the_user_for_whom_its_thread_works(table: JobTable) -> None:
    def added(**named: str) -> str:
        return table.add("stage", lane=Lane.HEAVY, title="Stage", once=False, **named).submitted_by

    work_for("anna")
    try:
        assert (added(), added(submitted_by="bo")) == ("anna", "bo")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(submitter).result() == "", "another page's thread"
    finally:
        work_for("")
    assert added() == ""


def test_time_left_follows_the_pace() -> None:
    now = datetime.now(UTC)
    assert seconds_left(0.01, now - timedelta(seconds=60), now) is None
    assert seconds_left(0.25, now - timedelta(seconds=60), now) == pytest.approx(180)
    assert seconds_left(0.25, now + timedelta(seconds=60), now) is None, "the clock was set back"


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


def test_on_a_full_disk_nothing_is_stored_and_it_is_said_in_a_line_until_there_is_room_again(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    connection = connect(home.database)
    table = JobTable(home, connection)
    job = table.add("stage", lane=Lane.HEAVY, title="Stage")
    table.claim(Lane.HEAVY)
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite itself takes a transaction back that does not fit
    with pytest.raises(SleepFMError, match=r"could not be written .*free some space"):
        table.report(job.id, 0.5, "m" * 100_000)
    assert (table.get(job.id).progress, table.get(job.id).message) == (0.0, "starting")
    connection.execute("PRAGMA max_page_count = 100000")
    assert table.end(job.id, JobState.FINISHED, result={"words": "w" * 100_000})


def test_a_library_that_cannot_be_opened_now_is_not_to_be_moved_away(tmp_path: Path) -> None:
    with pytest.raises(SleepFMError, match="cannot be opened now") as refused:
        connect(tmp_path / "nowhere" / "library.sqlite")
    assert "move" not in str(refused.value)
