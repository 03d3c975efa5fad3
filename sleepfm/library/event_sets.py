"""Sets of events as an engine or a file gave them; a review begins from one, and edits never change it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sleepfm.library.library import Library
from sleepfm.library.study import StudyStatus
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events
from sleepfm.recording.scorings.scoring import Event
from sleepfm.runs.database import transaction


@dataclass(frozen=True)
class StoredEvents:
    """Events of a study with where they came from.

    Attributes
    ----------
    events
        In order of onset.
    label
        Who or what scored them, in a word or two.
    note
        Engine and version in one line, for small print.
    """

    id: int
    events: tuple[Event, ...]
    engine: str
    model: str
    label: str
    note: str
    created_at: datetime
    provenance: dict[str, Any]


def store_events(
    library: Library, identifier: str, events: Sequence[Event], *, engine: str, model: str, provenance: dict[str, Any]
) -> int:
    """Store a set of events; the same engine and model again replaces its older one. Returns its number.

    `provenance` holds at least `label`, `note` and `source_sha256`, the hash of the file that was scored.

    Raises
    ------
    ScoringError
        An event has an unknown name, or its times are not finite or run backwards.
    """
    folder = _folder(library, identifier)
    connection = library.connection
    with transaction(connection):
        old = connection.execute(
            "SELECT id, file FROM event_sets WHERE study = ? AND engine = ? AND model = ?", (identifier, engine, model)
        ).fetchall()
        cursor = connection.execute(
            "INSERT INTO event_sets (study, engine, model, file, provenance, source_sha256, created_at)"
            " VALUES (?, ?, ?, '', ?, ?, ?)",
            (
                identifier,
                engine,
                model,
                json.dumps(provenance),
                provenance["source_sha256"],
                datetime.now(UTC).isoformat(),
            ),
        )
        number = int(cursor.lastrowid or 0)
        file = folder / f"{number}-{re.sub(r'[^A-Za-z0-9_-]', '_', engine)}.csv"
        write_events(sorted(events, key=lambda event: (event.start_s, event.stop_s)), file)
        connection.execute("UPDATE event_sets SET file = ? WHERE id = ?", (file.name, number))
        connection.executemany("DELETE FROM event_sets WHERE id = ?", [(row["id"],) for row in old])
    for row in old:
        (folder / row["file"]).unlink(missing_ok=True)
    return number


def event_sets(library: Library, identifier: str, *, read: bool = True) -> list[StoredEvents]:
    """Return the sets of a study, the newest first; with `read` false without their events, which takes no time.

    One whose file was deleted is left out, and so are those made from other bytes than the study's file has now.
    """
    if library.study(identifier).status is StudyStatus.CHANGED:
        return []
    rows = library.connection.execute(
        "SELECT e.* FROM event_sets e JOIN studies s ON s.id = e.study AND s.sha256 = e.source_sha256"
        " WHERE e.study = ? ORDER BY e.id DESC",
        (identifier,),
    ).fetchall()
    stored = []
    for row in rows:
        file = _folder(library, identifier) / row["file"]
        if file.is_file():
            provenance = json.loads(row["provenance"])
            stored.append(
                StoredEvents(
                    id=row["id"],
                    events=read_events(file) if read else (),
                    engine=row["engine"],
                    model=row["model"],
                    label=provenance["label"],
                    note=provenance["note"],
                    created_at=datetime.fromisoformat(row["created_at"]),
                    provenance=provenance,
                )
            )
    return stored


def newest_set(library: Library, identifier: str) -> int | None:
    """Return the number of a study's newest set without reading any, None where there is none."""
    number = library.connection.execute("SELECT max(id) FROM event_sets WHERE study = ?", (identifier,)).fetchone()[0]
    return None if number is None else int(number)


def remove_events(library: Library, identifier: str, number: int) -> None:
    """Forget a set; nothing happens when it is gone already."""
    gone = library.connection.execute(
        "DELETE FROM event_sets WHERE study = ? AND id = ? RETURNING file", (identifier, number)
    ).fetchall()
    for row in gone:
        (_folder(library, identifier) / row["file"]).unlink(missing_ok=True)


def _folder(library: Library, identifier: str) -> Path:
    return library.study_folder(identifier) / "events"
