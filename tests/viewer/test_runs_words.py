"""What is said of a run in each of its states, and which of its figures are drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sleepfm.runs.table import Job, JobState, Lane
from sleepfm.viewer.runs_panels import Panel, panels, split_name
from sleepfm.viewer.runs_words import ended_states, figure_words, figures, kind_words, state_words, took_words, where_words

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
JOB = Job(
    id="20261120-101500-a1b2c3", kind="pretrain", lane=Lane.TRAIN_CPU, title="Pretrain x", subject="x", parameters={},
    state=JobState.QUEUED, progress=0.0, message="", result=None, error=None, stop_requested=False, pid=None, pid_started=None,
    created_at=NOW, started_at=None, finished_at=None,
)  # fmt: skip
RUNNING = replace(JOB, state=JobState.RUNNING, started_at=NOW, message="step 3 of 9", progress=0.5)
ENDED = replace(RUNNING, finished_at=NOW + timedelta(hours=2))


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        (JOB, "Waiting for its turn: on the processor one run trains at a time."),
        (replace(RUNNING, progress=0.0), "step 3 of 9"),
        (replace(RUNNING, stop_requested=True, progress=0.0), "Stopping: it writes a checkpoint first. step 3 of 9"),
        (replace(RUNNING, stop_requested=True, kill_requested=True), "Being killed."),
        (replace(RUNNING, kind="import", stop_requested=True, progress=0.0), "Stopping. step 3 of 9"),
        (replace(JOB, state=JobState.STOPPED, finished_at=NOW), "Taken out of the queue "),
        (replace(ENDED, state=JobState.STOPPED), "after 2 h 00 min at 50 %. The checkpoint is kept: it can be resumed."),
        (replace(ENDED, state=JobState.CRASHED), "after 2 h 00 min at 50 %: its process ended unexpectedly."),
        (replace(ENDED, state=JobState.FAILED), "after 2 h 00 min at 50 %."),
        (replace(ENDED, state=JobState.FINISHED), "after 2 h 00 min."),
    ],
)
def test_each_state_is_said_in_words(job: Job, wanted: str) -> None:
    assert wanted in state_words(job)


def test_what_is_left_ends_the_line() -> None:
    assert state_words(RUNNING, seconds_left=95).endswith("step 3 of 9, 1 min 35 s left")


def test_an_import_promises_no_checkpoint() -> None:
    assert "checkpoint" not in state_words(replace(ENDED, kind="import", state=JobState.STOPPED))


def test_took_counts_up_to_now_while_it_runs() -> None:
    assert took_words(JOB) == "–"
    assert took_words(RUNNING, NOW + timedelta(seconds=90)) == "1 min 30 s"
    assert took_words(ENDED, NOW + timedelta(days=9)) == "2 h 00 min"


def test_where_names_the_clusters_id() -> None:
    assert where_words(JOB) == "this machine"
    assert where_words(replace(JOB, devices=2)) == "this machine, 2 devices"
    assert where_words(replace(JOB, launcher="slurm", external="4711")) == "Slurm job 4711"


def test_a_result_put_together_by_hand_gives_only_what_is_what_it_should_be() -> None:
    good = replace(JOB, result={"model": "x", "best_validation_loss": 0.24411, "steps": 1600, "seconds": 2})
    assert figure_words(good) == "lowest validation loss 0.2441 · 1,600 steps"
    bad = replace(JOB, result={"model": 3, "best_validation_loss": "low", "steps": None, "seconds": []})
    assert figures(bad) == {}
    assert figure_words(bad) == ""


def test_a_kind_of_another_version_keeps_its_word() -> None:
    assert kind_words("stage") == "Staging"
    assert "telepathy" in kind_words("telepathy")


def test_states_a_run_stays_in() -> None:
    assert set(JobState) - set(ended_states(JobState)) == {JobState.QUEUED, JobState.RUNNING}


def test_training_and_validation_of_a_figure_are_one_chart_in_a_fixed_order() -> None:
    names = ["train/learning_rate", "validation/loss", "train/loss", "device_use", "train/top1/BAS>EKG"]
    assert [one.key for one in panels(names, every=False)] == ["loss", "learning_rate", "device_use"]
    every = panels(names, every=True)
    assert every[-1] == Panel("top1/BAS>EKG", "top1/BAS>EKG", "share right, 0 to 1")
    assert all(one.unit for one in every)
    assert split_name("validation/top1/BAS>EKG") == ("top1/BAS>EKG", "validation")
    assert split_name("device_use") == ("device_use", "")
