"""How a review's events and log stand in the database, and how what is changed of them comes to the disk."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sleepfm.library.events_origin import EventsOrigin
from sleepfm.library.review_patch import Patch
from sleepfm.recording.scorings.scoring import Event
from sleepfm.runs.database import transaction


@contextmanager
def durably(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction that is on the disk when it ends: a power cut takes nothing of it back."""
    connection.execute("PRAGMA synchronous = FULL")  # else a write-ahead log is only brought to the disk now and then
    connection.execute("PRAGMA fullfsync = ON")  # macOS: through the disk's own cache too; elsewhere nothing
    try:
        with transaction(connection):
            yield
    finally:
        connection.execute("PRAGMA fullfsync = OFF")
        connection.execute("PRAGMA synchronous = NORMAL")


def put_events(connection: sqlite3.Connection, scoring: int, events: Iterable[tuple[str, Event]]) -> None:
    """Write events into a review, new ones and changed ones; within a transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO review_events (scoring, id, start_s, stop_s, name, channel, source, extra)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (scoring, one, event.start_s, event.stop_s, event.name, event.channel, event.source, json.dumps(event.extra))
            for one, event in events
        ),
    )


def add_to_log(
    connection: sqlite3.Connection,
    scoring: int,
    study: str,
    *,
    user: str,
    action: str,
    patch: Patch | None = None,
    concerns: int | None = None,
    note: str = "",
    key: str | None = None,
    events_from: EventsOrigin | None = None,
) -> int:
    """Add an entry, with the origin of events that it takes, to the log of a review; returns its number. Within a transaction."""
    # in front, where it is read without the ten thousand events that may follow
    said = ({} if events_from is None else {"events_from": events_from.as_json()}) | (patch or Patch()).as_json()
    cursor = connection.execute(
        "INSERT INTO edits (scoring, study, key, at, user, action, concerns, patch, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            scoring,
            study,
            key or uuid.uuid4().hex,
            datetime.now(UTC).isoformat(),
            user,
            action,
            concerns,
            json.dumps(said, separators=(",", ":")),
            note,
        ),
    )
    return int(cursor.lastrowid or 0)


def entry_key(connection: sqlite3.Connection, scoring: int, entry: int) -> str:
    """Return the key of an entry of a review's log, which no other entry ever has; "" when there is none of this number."""
    row = connection.execute("SELECT key FROM edits WHERE id = ? AND scoring = ?", (entry, scoring)).fetchone()
    return "" if row is None else str(row["key"])


def read_events(connection: sqlite3.Connection, scoring: int, identifier: str | None = None) -> dict[str, Event]:
    """Return the events of a review by id, in order of onset; only one of them when its id is given."""
    which = "" if identifier is None else " AND id = ?"
    rows = connection.execute(
        "SELECT id, start_s, stop_s, name, channel, source, extra FROM review_events WHERE scoring = ?"
        f"{which} ORDER BY start_s, stop_s, id",
        (scoring,) if identifier is None else (scoring, identifier),
    ).fetchall()
    extras = json.loads(f"[{','.join(row['extra'] for row in rows)}]")  # read at once: ten thousand texts one by one take long
    return {
        one: Event(start, stop, name, channel, source, extra)
        for (one, start, stop, name, channel, source, _), extra in zip(rows, extras, strict=True)
    }
