"""What is made of the cluster's word and of what processes said; no cluster is needed for it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.runs.cluster_exchange import Exchange, Order
from sleepfm.runs.cluster_verdict import elements_of, verdict
from sleepfm.runs.cluster_watch import Standing, read_accounting, read_queue, said_by
from sleepfm.runs.launchers import launcher_of
from sleepfm.runs.launchers.cluster_settings import ClusterSettings, cluster_settings
from sleepfm.runs.table import Job, JobState, Lane

LONG_AGO = -1e9


def a_job(**changes: Any) -> Job:
    fields: dict[str, Any] = dict.fromkeys(
        ("subject", "result", "error", "pid", "pid_started", "started_at", "finished_at"), None
    )  # fmt: skip
    return Job(
        **fields
        | {"id": "r1", "kind": "pretrain", "lane": Lane.CLUSTER, "title": "Pretrain", "parameters": {}, "state": JobState.RUNNING}
        | {"progress": 0.0, "message": "", "stop_requested": False, "created_at": datetime.now(UTC), "external": "7"}
        | changes
    )


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange.of(tmp_path, a_job())


def judged(exchange: Exchange, *states: str, job: Job | None = None, patience_s: float = 5, **more: Any) -> Any:
    job = job or a_job(parameters={"parts": len(states)} if len(states) > 1 else {})
    standing = {e: Standing(s, **{"since": LONG_AGO} | more) for e, s in zip(elements_of(job), states, strict=True)}
    return verdict(job, standing, exchange, patience_s=patience_s)


def test_what_waits_or_runs_is_alive_and_says_how_far_it_is(exchange: Exchange) -> None:
    waits = judged(exchange, "PENDING", reason="Resources")
    assert (waits.alive, waits.fraction, waits.message) == (True, 0.0, "waits in the cluster's queue (Resources)")
    exchange.advance(0, 0.25, "step 25 of 100")
    runs = judged(exchange, "RUNNING")
    assert (runs.alive, runs.fraction, runs.message) == (True, 0.25, "step 25 of 100")
    exchange.end(1, JobState.FINISHED, result={"records": []})
    parts = judged(exchange, "RUNNING", "COMPLETED", "PENDING", "RUNNING")
    assert parts.alive
    assert parts.fraction == pytest.approx((0.25 + 1) / 4)
    assert parts.message == "1 of 4 parts done, 2 running, 1 waiting"


def test_the_process_that_leads_speaks_for_all_unless_another_broke_before_it(exchange: Exchange) -> None:
    exchange.end(1, JobState.FAILED, error="out of memory")
    time.sleep(0.01)
    exchange.end(0, JobState.FAILED, error="connection closed by peer")
    state = judged(exchange, "FAILED")
    assert (state.alive, state.end, state.error) == (False, JobState.FAILED, "out of memory")
    exchange.end(0, JobState.FINISHED, result={"model": "mine"})
    state = judged(exchange, "COMPLETED")
    assert (state.end, state.result) == (JobState.FINISHED, {"model": "mine"})


def test_after_a_stop_what_broke_is_the_stops_doing(exchange: Exchange) -> None:
    exchange.end(0, JobState.FAILED, error="connection closed by peer")
    exchange.ask_to_stop()
    state = judged(exchange, "FAILED")
    assert (state.end, state.error) == (JobState.STOPPED, "stopped by the user (connection closed by peer)")
    exchange.end(0, JobState.FINISHED, result={"model": "mine"})  # it came too late
    assert judged(exchange, "COMPLETED").end is JobState.FINISHED


def test_files_may_come_late_but_not_for_ever(exchange: Exchange) -> None:
    assert judged(exchange, "COMPLETED", since=time.monotonic()).alive
    exchange.folder.mkdir(parents=True)
    (exchange.folder / "7_0_log.out").write_text("srun: x\nTraceback\nModuleNotFoundError: No module named 'sleepfm'\n")
    state = judged(exchange, "FAILED", exit_code="1:0", reason="node7")
    assert state.end is JobState.CRASHED
    assert "on node7" in state.error
    assert "No module named 'sleepfm'" in state.error
    assert "srun" not in state.error


@pytest.mark.parametrize(
    ("word", "end", "says"),
    [
        ("TIMEOUT", JobState.CRASHED, "time limit"),
        ("OUT_OF_MEMORY", JobState.FAILED, "out of memory on node7"),
        ("NODE_FAIL", JobState.CRASHED, "the node failed on node7"),
        ("PREEMPTED", JobState.CRASHED, "to another job"),
        ("CANCELLED", JobState.STOPPED, "cancelled on the cluster"),
        ("UNKNOWN", JobState.FAILED, "storage that the nodes share"),
    ],
)
def test_the_clusters_word_counts_where_the_process_said_nothing(exchange: Exchange, word: str, end: JobState, says: str) -> None:
    state = judged(exchange, word, reason="node7")
    assert (state.alive, state.end) == (False, end)
    assert says in state.error


def test_an_array_joins_what_its_parts_made_and_names_those_that_did_not(exchange: Exchange) -> None:
    for part, name in enumerate("ab"):
        exchange.end(part, JobState.FINISHED, result={"records": [name], "failed": []})
    whole = judged(exchange, "COMPLETED", "COMPLETED")
    assert (whole.end, whole.result) == (JobState.FINISHED, {"records": ["a", "b"], "failed": []})
    some = judged(exchange, "COMPLETED", "COMPLETED", "OUT_OF_MEMORY")
    assert (some.end, some.result) == (JobState.FAILED, {"records": ["a", "b"], "failed": []})
    assert "1 of 3 parts did not finish (part 2: out of memory" in some.error
    assert "resuming does what is missing" in some.error


def test_files_changed_by_hand_are_as_if_not_said(exchange: Exchange) -> None:
    exchange.end(0, JobState.FINISHED, result={})
    for name, text in (
        ("outcome-0", "["),
        ("outcome-1", '{"state": "great"}'),
        ("outcome-x", "{}"),
        ("advance-0", '{"fraction": []}'),
    ):
        (exchange.folder / f"{name}.json").write_text(text)
    assert (exchange.outcomes(), exchange.advances()) == ({}, {})


def test_an_earlier_attempt_knows_that_it_was_overtaken(tmp_path: Path) -> None:
    first, second = (Exchange.of(tmp_path, a_job(attempt=attempt)) for attempt in (1, 2))
    order = Order("/home", "r1", "pretrain", {"config": {}}, parts=0, tasks=2, version="1")
    first.give(order)
    assert (first.order(), first.overtaken()) == (order, False)
    second.give(order)
    assert (first.overtaken(), second.overtaken()) == (True, False)


def test_the_clusters_tables_are_read_by_job_and_element() -> None:
    queue = read_queue("7|N/A|RUNNING|None\n8|0|PENDING|Resources\n8|1|COMPLETING|None\n")
    assert queue["7"][""] == Standing("RUNNING")
    assert (queue["8"]["0"].waits, queue["8"]["0"].reason, queue["8"]["1"].open) == (True, "Resources", True)
    ended = read_accounting(
        "9|FAILED|1:0|n1\n9|COMPLETED|0:0|n2\n10_1|CANCELLED by 1000|0:0|n1\n10_[2-3]|PENDING|0:0|None\n11|RUNNING|0:0|n1\n"
    )
    assert ended["9"][""] == Standing("COMPLETED", "n2", "0:0"), "of a job that was requeued the last time counts"
    assert (set(ended["10"]), ended["10"]["1"].state) == ({"1"}, "CANCELLED")
    assert ended["11"][""].state == "UNKNOWN", "it is in no queue, so accounting lags"


@given(st.text())
def test_whatever_a_client_says_becomes_one_line(text: str) -> None:
    assert len(said_by(text).splitlines()) <= 1


def test_a_clients_complaint_is_given_without_its_name() -> None:
    text = "sbatch: warning: x\nsbatch: error: Memory specification can not be satisfied\nsbatch: error: submission failed: y\n"
    assert said_by(text) == "Memory specification can not be satisfied; submission failed: y"
    assert said_by("Slurmctld(primary) at host is DOWN\n****\n") == "Slurmctld(primary) at host is DOWN"


@pytest.mark.parametrize(
    "wrong",
    [
        {"partition": "a b"},
        {"partition": "x\n#SBATCH --uid=0"},
        {"account": "$(id)"},
        {"sbatch": ["--constraint=a100"]},
        {"sbatch": ["constraint=a\nb"]},
        {"setup": ["module load cuda\nrm -r ~"]},
        {"minutes": 0},
        {"memory_gb": float("nan")},
        {"nodes": 3},
    ],
)
def test_settings_that_do_not_fit_into_a_batch_script_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ClusterSettings.model_validate(wrong)


def test_every_setting_says_what_it_is_and_numbers_their_unit() -> None:
    for name, field in ClusterSettings.model_fields.items():
        assert field.description, name
        if field.annotation in (int, float):
            assert isinstance(field.json_schema_extra, dict), name
            assert field.json_schema_extra["unit"], name


def test_settings_come_from_the_apps_file(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    assert cluster_settings(home) == ClusterSettings()
    home.settings_file.write_text('{"device": "cpu", "cluster": {"partition": "gpu", "sbatch": ["qos=long", "exclusive"]}}')
    assert cluster_settings(home).partition == "gpu"
    assert cluster_settings(home).options == {"qos": "long", "exclusive": True}
    for broken in ("[]", "{", '{"cluster": {"minutes": "soon"}}', '{"cluster": 3}'):
        home.settings_file.write_text(broken)
        with pytest.raises(RequestError, match="set them on the settings page"):
            cluster_settings(home)


def test_an_unknown_launcher_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="local, slurm"):
        launcher_of("moon", open_home(tmp_path))
