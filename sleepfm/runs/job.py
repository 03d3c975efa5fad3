"""One background job: what stands in its row of the job table, its states, and the lane that it waits in."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands (contracts, `runs show`)."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    CRASHED = "crashed"


OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)
RESUMABLE_STATES = (JobState.FAILED, JobState.STOPPED, JobState.CRASHED)
TRAINING_KINDS = ("pretrain", "finetune")
"""Runs that end with a model on the shelf; their row's subject says how it will be called."""


class Lane(StrEnum):
    """Jobs of one lane share its places; short ones do not wait behind a night of training, nor staging behind it.

    A lane has one place, but for `TRAIN_CUDA`, which has one for each GPU, and `CLUSTER`, where the cluster itself queues.
    """

    QUICK = "quick"
    HEAVY = "heavy"
    TRAIN_CPU = "train-cpu"
    TRAIN_CUDA = "train-cuda"
    CLUSTER = "cluster"

    @property
    def trains(self) -> bool:
        """Whether its workers train on this machine for hours, and so stand back behind everything else."""
        return self in (Lane.TRAIN_CPU, Lane.TRAIN_CUDA)


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes
    ----------
    devices
        How many of the lane's places it takes (GPUs; processes on a CPU share one place).
    launcher
        "local" or "slurm".
    external
        The cluster's id of the job, while and after it is there.
    attempt
        Counts from 1; resuming a run begins the next.
    submitted_by
        The user; empty for jobs that the software starts by itself.
    parent
        The run that this one was cloned from.
    version
        Of the software that queued it.
    """

    id: str
    kind: str
    lane: Lane
    title: str
    subject: str | None
    parameters: dict[str, Any]
    state: JobState
    progress: float
    message: str
    result: dict[str, Any] | None
    error: str | None
    stop_requested: bool
    pid: int | None
    pid_started: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    devices: int = 1
    launcher: str = "local"
    external: str | None = None
    attempt: int = 1
    kill_requested: bool = False
    submitted_by: str = ""
    note: str = ""
    archived: bool = False
    parent: str | None = None
    version: str = ""

    @property
    def open(self) -> bool:
        """Whether the job is still to run or running."""
        return self.state in OPEN_STATES

    @property
    def stop_words(self) -> str:
        """How the end of a job is told that its user asked for."""
        return "killed by the user" if self.kill_requested else "stopped by the user"

    @property
    def resumable(self) -> bool:
        """Whether it may be queued again."""
        return self.state in RESUMABLE_STATES

    def seconds_left(self, now: datetime | None = None) -> float | None:
        """Return the time left in seconds, from the pace so far; None until there is a pace to speak of."""
        if self.state is not JobState.RUNNING or self.started_at is None:
            return None
        return seconds_left(self.progress, self.started_at, now)


def seconds_left(progress: float, started_at: datetime, now: datetime | None = None) -> float | None:
    """Return the time left in seconds at the pace so far, None while too little is done to tell."""
    if progress < 0.03:
        return None
    elapsed = ((now or datetime.now(UTC)) - started_at).total_seconds()
    return elapsed * (1 - progress) / progress if elapsed > 0 else None  # the clock was set back


def job_of(row: sqlite3.Row) -> Job:
    """Return the job of a row."""
    return Job(
        id=row["id"],
        kind=row["kind"],
        lane=Lane(row["lane"]),
        title=row["title"],
        subject=row["subject"],
        parameters=json.loads(row["parameters"]),
        state=JobState(row["state"]),
        progress=row["progress"],
        message=row["message"],
        result=None if row["result"] is None else json.loads(row["result"]),
        error=row["error"],
        stop_requested=bool(row["stop_requested"]),
        pid=row["pid"],
        pid_started=row["pid_started"],
        created_at=datetime.fromisoformat(row["created_at"]),
        started_at=_time(row["started_at"]),
        finished_at=_time(row["finished_at"]),
        devices=row["devices"],
        launcher=row["launcher"],
        external=row["external"],
        attempt=row["attempt"],
        kill_requested=bool(row["kill_requested"]),
        submitted_by=row["submitted_by"],
        note=row["note"],
        archived=bool(row["archived"]),
        parent=row["parent"],
        version=row["version"],
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
