"""Who did what: a log that is only added to (triggers of the database refuse changes).

An entry never holds a secret: no password, token or key is passed to `record`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sleepfm.runs.database import transaction


@dataclass(frozen=True)
class AuditEntry:
    """One line of the log.

    Attributes
    ----------
    action
        What was done, as a short phrase ("retire model").
    subject
        What it was done to: a run's id, a model's or a user's name; empty when it concerns the installation.
    detail
        What else is worth knowing, small and without secrets.
    """

    id: int
    at: datetime
    user: str
    action: str
    subject: str
    detail: dict[str, Any]


def record(
    connection: sqlite3.Connection, user: str, action: str, subject: str = "", detail: Mapping[str, Any] | None = None
) -> None:
    """Add a line; inside an open transaction it is stored or dropped with the rest of that.

    Raises
    ------
    SleepFMError
        When the database cannot be written.
    """
    row = (datetime.now(UTC).isoformat(), user, action, subject, json.dumps(dict(detail or {}), sort_keys=True, default=str))
    statement = "INSERT INTO audit (at, user, action, subject, detail) VALUES (?, ?, ?, ?, ?)"
    if connection.in_transaction:
        connection.execute(statement, row)
        return
    with transaction(connection):
        connection.execute(statement, row)


def entries(
    connection: sqlite3.Connection, *, subject: str | None = None, user: str | None = None, limit: int = 100, offset: int = 0
) -> list[AuditEntry]:
    """Return lines, the newest first; of one subject or user when one is given."""
    wanted = {name: value for name, value in (("subject", subject), ("user", user)) if value is not None}
    where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
    rows = connection.execute(
        f"SELECT * FROM audit WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?",
        (*wanted.values(), limit, offset),
    )
    return [
        AuditEntry(
            row["id"],
            datetime.fromisoformat(row["at"]),
            row["user"],
            row["action"],
            row["subject"],
            json.loads(row["detail"]),
        )
        for row in rows
    ]


def count(connection: sqlite3.Connection, *, subject: str | None = None, user: str | None = None) -> int:
    """Return how many lines `entries` has to give."""
    wanted = {name: value for name, value in (("subject", subject), ("user", user)) if value is not None}
    where = " AND ".join(f"{name} = ?" for name in wanted) or "1"
    return int(connection.execute(f"SELECT count(*) FROM audit WHERE {where}", tuple(wanted.values())).fetchone()[0])
