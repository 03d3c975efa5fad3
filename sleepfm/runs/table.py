"""The job table: every background job of a home folder, whoever started it.

A job's life: queued → running → finished, failed, stopped or crashed; from the last three it may be resumed, which queues the
same row again as its next attempt. The row is the truth that the app, the command line and a restarted machine read. Every
change is one transaction that looks at where the row stands, so whoever comes late (a worker that was thought dead, a second
click) changes nothing.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from datetime import UTC, datetime
from typing import Any

import sleepfm
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.runs.database import connect, transaction
from sleepfm.runs.job import OPEN_STATES, RESUMABLE_STATES, TRAINING_KINDS, Job, JobState, Lane, job_of, seconds_left
from sleepfm.runs.submitter import submitter
from sleepfm.text import printable

__all__ = ["OPEN_STATES", "RESUMABLE_STATES", "TRAINING_KINDS", "Job", "JobState", "JobTable", "Lane", "seconds_left"]

_LONGEST_NOTE = 10_000


class JobTable:
    """Reads and changes the rows; starts nothing (see `sleepfm.runs.dispatcher`)."""

    def __init__(self, home: Home, connection: sqlite3.Connection | None = None) -> None:
        self.home = home
        self._connection = connection or connect(home.database)

    def close(self) -> None:
        """Close the database connection."""
        self._connection.close()

    def add(
        self,
        kind: str,
        *,
        lane: Lane,
        title: str,
        subject: str | None = None,
        parameters: dict[str, Any] | None = None,
        devices: int = 1,
        launcher: str = "local",
        submitted_by: str = "",
        parent: str | None = None,
        once: bool = True,
    ) -> Job:
        """Queue a job, or return the open one of the same kind, subject and parameters (a double click is one job).

        Parameters
        ----------
        submitted_by
            The user; whoever this thread works for when it is empty.
        once
            False queues it also when the same one is open.

        Raises
        ------
        RequestError
            When it trains a model and another open run does, whose model will be called the same.
        """
        stored = json.dumps(parameters or {}, sort_keys=True)
        with transaction(self._connection):
            if once:
                row = self._connection.execute(
                    "SELECT * FROM jobs WHERE kind = ? AND subject IS ? AND parameters = ? AND state IN ('queued', 'running')"
                    " AND stop_requested = 0",
                    (kind, subject, stored),
                ).fetchone()
                if row is not None:
                    return job_of(row)
            self._refuse_same_model(kind, subject)
            created = datetime.now(UTC)
            identifier = f"{created:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
            self._connection.execute(
                "INSERT INTO jobs (id, kind, lane, title, subject, parameters, state, created_at,"
                " devices, launcher, submitted_by, parent, version) VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (identifier, kind, lane, title, subject, stored, created.isoformat(),
                 devices, launcher, submitted_by or submitter(), parent, sleepfm.__version__),
            )  # fmt: skip
            return job_of(self._row(identifier))

    def resume(self, identifier: str, *, submitted_by: str = "") -> Job:
        """Queue a job again that failed, was stopped or crashed: the same id and folder, the next attempt, its old place in line.

        Raises
        ------
        RequestError
            When there is no such job, it is open or finished, or another open run makes the same model.
        """
        with transaction(self._connection):
            row = self._row(identifier)
            if row["state"] not in RESUMABLE_STATES:
                raise RequestError(
                    f"run {identifier} is {row['state']}: only one that failed, was stopped or crashed can be resumed"
                )
            self._refuse_same_model(row["kind"], row["subject"])
            self._connection.execute(
                "UPDATE jobs SET state = 'queued', attempt = attempt + 1, progress = 0, message = '', result = NULL,"
                " error = NULL, stop_requested = 0, kill_requested = 0, pid = NULL, pid_started = NULL, external = NULL,"
                " started_at = NULL, finished_at = NULL, archived = 0, version = ?,"
                " submitted_by = CASE ? WHEN '' THEN submitted_by ELSE ? END"
                " WHERE id = ?",
                (sleepfm.__version__, submitted_by, submitted_by, identifier),
            )
            return job_of(self._row(identifier))

    def _refuse_same_model(self, kind: str, subject: str | None) -> None:
        if kind not in TRAINING_KINDS or subject is None:
            return
        for other in self.list(states=OPEN_STATES, kinds=TRAINING_KINDS, subject=subject, archived=None, limit=1):
            how = "stopping" if other.stop_requested else other.state.value
            raise RequestError(
                f"run {other.id} ({how}) makes a model of the same name; choose another name, or wait for it, or stop it"
            )

    def get(self, identifier: str) -> Job:
        """Return one job.

        Raises
        ------
        RequestError
            When there is no job with this id.
        """
        return job_of(self._row(identifier))

    def _row(self, identifier: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._connection.execute("SELECT * FROM jobs WHERE id = ?", (identifier,)).fetchone()
        if row is None:
            raise RequestError(f"no run {printable(identifier)!r}; `sleepfm runs list` shows them all")
        return row

    def list(
        self,
        *,
        states: tuple[JobState, ...] = tuple(JobState),
        kinds: tuple[str, ...] | None = None,
        subject: str | None = None,
        parent: str | None = None,
        search: str = "",
        archived: bool | None = False,
        limit: int = 200,
        offset: int = 0,
    ) -> tuple[Job, ...]:
        """Return the newest jobs first.

        Parameters
        ----------
        parent
            Only those that were cloned from this run.
        search
            Only those whose id, title, subject or note holds this text.
        archived
            Only those that were (not) put away; None for both.
        """
        where, values = _filter(states=states, kinds=kinds, subject=subject, parent=parent, search=search, archived=archived)
        rows = self._connection.execute(
            f"SELECT * FROM jobs WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?", (*values, limit, offset)
        )
        return tuple(job_of(row) for row in rows)

    def count(
        self,
        *,
        states: tuple[JobState, ...] = tuple(JobState),
        kinds: tuple[str, ...] | None = None,
        subject: str | None = None,
        parent: str | None = None,
        search: str = "",
        archived: bool | None = False,
    ) -> int:
        """Return how many jobs `list` would give without a limit."""
        where, values = _filter(states=states, kinds=kinds, subject=subject, parent=parent, search=search, archived=archived)
        return int(self._connection.execute(f"SELECT COUNT(*) FROM jobs WHERE {where}", values).fetchone()[0])

    def ids(self) -> frozenset[str]:
        """Return the ids of all jobs, archived ones too."""
        return frozenset(row["id"] for row in self._connection.execute("SELECT id FROM jobs"))

    def head(self, lane: Lane) -> Job | None:
        """Return the job that is next in its lane, None when nobody waits."""
        row = self._connection.execute(
            "SELECT * FROM jobs WHERE state = 'queued' AND lane = ? ORDER BY created_at, id LIMIT 1", (lane,)
        ).fetchone()
        return None if row is None else job_of(row)

    def claim(self, lane: Lane, *, only: str | None = None) -> Job | None:
        """Take the oldest queued job of a lane as running, or None; two claimants never get the same one.

        Parameters
        ----------
        only
            Take it only when it is this one.
        """
        with transaction(self._connection):
            job = self.head(lane)
            if job is None or only not in (None, job.id):
                return None
            self._connection.execute(
                "UPDATE jobs SET state = 'running', started_at = ?, message = 'starting' WHERE id = ?",
                (datetime.now(UTC).isoformat(), job.id),
            )
            return job_of(self._row(job.id))

    def unclaim(self, identifier: str, *, attempt: int) -> bool:
        """Put a claimed job back into the queue for which nothing was started, and return whether that was so.

        On a cluster it waits as its next attempt: a submission of this one may be under way where nobody sees it yet.
        """
        return self._change(
            "UPDATE jobs SET state = CASE stop_requested WHEN 1 THEN 'stopped' ELSE 'queued' END, message = '',"
            " attempt = attempt + (lane = 'cluster' AND stop_requested = 0),"
            " started_at = NULL, finished_at = CASE stop_requested WHEN 1 THEN ? END"
            " WHERE id = ? AND attempt = ? AND state = 'running' AND pid IS NULL AND external IS NULL",
            (datetime.now(UTC).isoformat(), identifier, attempt),
        )

    def set_process(self, identifier: str, pid: int, started: float | None, *, attempt: int | None = None) -> bool:
        """Record which process works on a running job; return False when it is another's by now, or not to be worked on.

        The first process that is recorded keeps the job: a second one, started when the first was not yet known, ends itself.
        """
        return self._change(
            "UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ? AND state = 'running' AND attempt = COALESCE(?, attempt)"
            " AND (pid IS NULL OR pid = ?)",
            (pid, started, identifier, attempt, pid),
        )

    def set_external(self, identifier: str, external: str, *, attempt: int | None = None) -> bool:
        """Record the cluster's id of a running job; return False when it has one already, or does not run."""
        return self._change(
            "UPDATE jobs SET external = ? WHERE id = ? AND state = 'running' AND attempt = COALESCE(?, attempt)"
            " AND (external IS NULL OR external = ?)",
            (external, identifier, attempt, external),
        )

    def report(self, identifier: str, fraction: float, message: str, *, attempt: int | None = None) -> bool:
        """Store progress; return whether to stop: it was asked for, or the job is not the caller's any more."""
        mine = self._change(
            "UPDATE jobs SET progress = ?, message = ? WHERE id = ? AND state = 'running' AND attempt = COALESCE(?, attempt)",
            (min(max(fraction, 0.0), 1.0), message, identifier, attempt),
        )
        return not mine or bool(self._row(identifier)["stop_requested"])

    def end(
        self,
        identifier: str,
        state: JobState,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        attempt: int | None = None,
    ) -> bool:
        """Close a job that is open, and return whether it was; a job that has ended already keeps its end.

        Parameters
        ----------
        attempt
            Close this attempt only, not a later one.
        """
        return self._change(
            "UPDATE jobs SET state = ?, finished_at = ?, result = ?, error = ?,"
            " progress = CASE WHEN ? = 'finished' THEN 1 ELSE progress END"
            " WHERE id = ? AND state IN ('queued', 'running') AND attempt = COALESCE(?, attempt)",
            (
                state,
                datetime.now(UTC).isoformat(),
                None if result is None else json.dumps(result),
                error,
                state,
                identifier,
                attempt,
            ),
        )

    def request_stop(self, identifier: str) -> Job:
        """Ask a job to stop: a queued one is stopped at once, a running one by its dispatcher; an ended one stays."""
        return self._request(identifier, "stop_requested = 1")

    def request_kill(self, identifier: str) -> Job:
        """Have a job ended at once, without a checkpoint; otherwise as `request_stop`."""
        return self._request(identifier, "stop_requested = 1, kill_requested = 1")

    def _request(self, identifier: str, what: str) -> Job:
        with transaction(self._connection):
            self._row(identifier)
            self._connection.execute(
                f"UPDATE jobs SET {what}, error = CASE state WHEN 'queued' THEN 'stopped before it began' ELSE error END,"
                " finished_at = CASE state WHEN 'queued' THEN ? ELSE finished_at END,"
                " state = CASE state WHEN 'queued' THEN 'stopped' ELSE state END"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (datetime.now(UTC).isoformat(), identifier),
            )
            return job_of(self._row(identifier))

    def annotate(self, identifier: str, note: str) -> Job:
        """Keep a note with a job, in place of the one before.

        Raises
        ------
        RequestError
            When there is no such job, or the note is longer than a note.
        """
        if len(note) > _LONGEST_NOTE:
            raise RequestError(f"a note has at most {_LONGEST_NOTE} characters; this one has {len(note)}")
        with transaction(self._connection):
            self._row(identifier)
            self._connection.execute("UPDATE jobs SET note = ? WHERE id = ?", (note, identifier))
            return job_of(self._row(identifier))

    def archive(self, identifier: str, *, archived: bool = True) -> Job:
        """Put an ended job away, or bring it back; its folder stays.

        Raises
        ------
        RequestError
            When there is no such job, or it is open.
        """
        with transaction(self._connection):
            if self._row(identifier)["state"] in OPEN_STATES and archived:
                raise RequestError(f"run {identifier} is open: stop it, or wait for its end, before it is archived")
            self._connection.execute("UPDATE jobs SET archived = ? WHERE id = ?", (archived, identifier))
            return job_of(self._row(identifier))

    def _change(self, statement: str, values: tuple[Any, ...]) -> bool:
        with transaction(self._connection):
            return self._connection.execute(statement, values).rowcount == 1


def _filter(
    *,
    states: tuple[JobState, ...],
    kinds: tuple[str, ...] | None,
    subject: str | None,
    parent: str | None,
    search: str,
    archived: bool | None,
) -> tuple[str, list[Any]]:
    where, values = f"state IN ({','.join('?' * len(states))})", [str(state) for state in states]
    if kinds is not None:
        where, values = f"{where} AND kind IN ({','.join('?' * len(kinds))})", [*values, *kinds]
    if subject is not None:
        where, values = f"{where} AND subject = ?", [*values, subject]
    if parent is not None:
        where, values = f"{where} AND parent = ?", [*values, parent]
    if search.strip():
        held = search.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        columns = ("id", "title", "COALESCE(subject, '')", "note")
        matches = " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for column in columns)
        where, values = f"{where} AND ({matches})", [*values, *[f"%{held}%"] * len(columns)]
    if archived is not None:
        where = f"{where} AND archived = {int(archived)}"
    return where, values
