"""The job table: every background job of a home folder, whoever started it.

A job's life: queued → running → finished, failed, stopped or crashed. The row is the truth that the app, the command line
and a restarted machine read; a running row whose process is gone becomes crashed (`reconcile`).
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.runs.database import connect, transaction
from sleepfm.runs.processes import is_alive


class JobState(StrEnum):
    """Where a job stands (contracts, `runs show`)."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    CRASHED = "crashed"


OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)


class Lane(StrEnum):
    """Jobs of one lane share its places; short ones do not wait behind a night of training, nor staging behind it.

    A lane has one place, but for `TRAIN_CUDA`, which has one for each GPU, and `CLUSTER`, where the cluster itself queues.
    """

    QUICK = "quick"
    HEAVY = "heavy"
    TRAIN_CPU = "train-cpu"
    TRAIN_CUDA = "train-cuda"
    CLUSTER = "cluster"


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
    return elapsed * (1 - progress) / progress


class JobTable:
    """Reads and changes the rows; starts nothing (see `sleepfm.runs.dispatcher`)."""

    def __init__(self, home: Home, connection: sqlite3.Connection | None = None) -> None:
        self.home = home
        self._connection = connection or connect(home.database)

    def close(self) -> None:
        """Close the database connection."""
        self._connection.close()

    def add(
        self, kind: str, *, lane: Lane, title: str, subject: str | None = None, parameters: dict[str, Any] | None = None
    ) -> Job:
        """Queue a job, or return the open one of the same kind, subject and parameters (a double click is one job)."""
        stored = json.dumps(parameters or {}, sort_keys=True)
        with transaction(self._connection):
            row = self._connection.execute(
                "SELECT * FROM jobs WHERE kind = ? AND subject IS ? AND parameters = ? AND state IN ('queued', 'running')"
                " AND stop_requested = 0",
                (kind, subject, stored),
            ).fetchone()
            if row is None:
                created = datetime.now(UTC)
                identifier = f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
                self._connection.execute(
                    "INSERT INTO jobs (id, kind, lane, title, subject, parameters, state, created_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                    (identifier, kind, lane, title, subject, stored, created.isoformat()),
                )
                row = self._row(identifier)
        return _job(row)

    def get(self, identifier: str) -> Job:
        """Return one job.

        Raises
        ------
        RequestError
            When there is no job with this id.
        """
        return _job(self._row(identifier))

    def _row(self, identifier: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._connection.execute("SELECT * FROM jobs WHERE id = ?", (identifier,)).fetchone()
        if row is None:
            raise RequestError(f"no run {identifier!r}; `sleepfm runs list` shows them all")
        return row

    def list(
        self,
        *,
        states: tuple[JobState, ...] = tuple(JobState),
        kinds: tuple[str, ...] | None = None,
        subject: str | None = None,
        limit: int = 200,
    ) -> tuple[Job, ...]:
        """Return the newest jobs first."""
        where, values = f"state IN ({','.join('?' * len(states))})", [str(state) for state in states]
        if kinds is not None:
            where, values = f"{where} AND kind IN ({','.join('?' * len(kinds))})", [*values, *kinds]
        if subject is not None:
            where, values = f"{where} AND subject = ?", [*values, subject]
        rows = self._connection.execute(
            f"SELECT * FROM jobs WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ?", (*values, limit)
        )
        return tuple(_job(row) for row in rows)

    def claim(self, lane: Lane) -> Job | None:
        """Take the oldest queued job of a lane as running, or None; two claimants never get the same one."""
        with transaction(self._connection):
            row = self._connection.execute(
                "SELECT id FROM jobs WHERE state = 'queued' AND lane = ? ORDER BY created_at, id LIMIT 1", (lane,)
            ).fetchone()
            if row is None:
                return None
            self._connection.execute(
                "UPDATE jobs SET state = 'running', started_at = ?, message = 'starting' WHERE id = ?",
                (datetime.now(UTC).isoformat(), row["id"]),
            )
            return _job(self._row(row["id"]))

    def set_process(self, identifier: str, pid: int, started: float | None) -> None:
        """Record which process works on a running job."""
        self._connection.execute("UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ?", (pid, started, identifier))

    def report(self, identifier: str, fraction: float, message: str) -> bool:
        """Store progress; return whether a stop was asked for."""
        self._connection.execute(
            "UPDATE jobs SET progress = ?, message = ? WHERE id = ? AND state = 'running'",
            (min(max(fraction, 0.0), 1.0), message, identifier),
        )
        return bool(self._row(identifier)["stop_requested"])

    def end(self, identifier: str, state: JobState, *, result: dict[str, Any] | None = None, error: str | None = None) -> None:
        """Close a job that is open; a job that has ended already keeps its end."""
        self._connection.execute(
            "UPDATE jobs SET state = ?, finished_at = ?, result = ?, error = ?,"
            " progress = CASE WHEN ? = 'finished' THEN 1 ELSE progress END WHERE id = ? AND state IN ('queued', 'running')",
            (
                state,
                datetime.now(UTC).isoformat(),
                None if result is None else json.dumps(result),
                error,
                state,
                identifier,
            ),
        )

    def request_stop(self, identifier: str) -> Job:
        """Ask a job to stop: a queued one is stopped at once, a running one by its dispatcher; an ended one stays."""
        with transaction(self._connection):
            self._row(identifier)
            self._connection.execute(
                "UPDATE jobs SET stop_requested = 1, state = CASE state WHEN 'queued' THEN 'stopped' ELSE state END,"
                " finished_at = CASE state WHEN 'queued' THEN ? ELSE finished_at END"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (datetime.now(UTC).isoformat(), identifier),
            )
        return self.get(identifier)

    def reconcile(self) -> tuple[Job, ...]:
        """Mark running jobs whose process is gone as crashed, and return them. Called with the dispatcher's lock held."""
        lost = []
        for job in self.list(states=(JobState.RUNNING,), limit=10_000):
            if not is_alive(job.pid, job.pid_started):
                self.end(job.id, JobState.CRASHED, error="its process ended without a word (killed, or the machine went down)")
                lost.append(self.get(job.id))
        return tuple(lost)


def _job(row: sqlite3.Row) -> Job:
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
