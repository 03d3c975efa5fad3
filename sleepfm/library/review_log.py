"""The log of a review: who changed what, when, from what to what; read, searched, exported with the scoring."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sleepfm.library.library import Library
from sleepfm.library.review_patch import PATCHED, Patch
from sleepfm.library.review_states import content_sha256
from sleepfm.library.reviews import Review, document, review
from sleepfm.recording.scorings.scoring import Event
from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.vocabulary import STAGE_NAMES, Stage

_TURNS = ("undo", "redo")
_NO_EDITS = ("begin", "mark as reviewed", "sign", "reopen", "put away", "bring back")
"""Entries that cannot be undone."""


@dataclass(frozen=True)
class LogEntry:
    """One entry.

    Attributes
    ----------
    action
        "begin", one of `review_edits.ACTIONS`, "mark as reviewed", "sign", "reopen", "put away" or "bring back".
    concerns
        The entry that an undo or redo is of.
    note
        What else was said: the reason of a reopening, what an undo left because somebody had changed it since.
    """

    id: int
    at: datetime
    user: str
    action: str
    concerns: int | None
    patch: Patch
    note: str


def changes_since(library: Library, scoring: int, since: int) -> list[LogEntry]:
    """Return what was stored after version `since`, in order."""
    study = review(library, scoring).study
    # by study, since that index is in order of the entries
    rows = library.connection.execute(
        "SELECT * FROM edits WHERE study = ? AND id > ? AND scoring = ? ORDER BY id", (study, since, scoring)
    )
    return [_entry(row) for row in rows]


def stack_top(library: Library, scoring: int, user: str, *, action: str) -> int | None:
    """Return the entry that an "undo" or a "redo" of this user is of, None where there is none.

    Walks the user's own entries back from the newest, and mostly ends at the first. What can be undone was made, or made again,
    last of all that stands; what can be made again was undone last, and after the last edit.
    """
    study = review(library, scoring).study
    rows = library.connection.execute(
        "SELECT id, action, concerns FROM edits WHERE study = ? AND scoring = ? AND user = ? ORDER BY id DESC",
        (study, scoring, user),
    )
    settled: set[int] = set()
    undone: int | None = None
    for number, what, concerns in rows:
        if what in _NO_EDITS:
            continue
        if what in _TURNS:
            if concerns in settled:
                continue
            settled.add(concerns)
            if what == "undo":
                undone = int(concerns) if undone is None else undone
            elif action == "undo":
                return int(concerns)
            continue
        if action == "redo":
            break
        if number not in settled:
            return int(number)
    return undone if action == "redo" else None


def own_edit(library: Library, scoring: int, user: str, key: str, *, action: str, top: int | None) -> int | None:
    """Return the entry of an edit of this user by its key when an "undo" finds it standing, or a "redo" taken back; else None.

    Only what says itself what it changes (`review_patch.PATCHED`) is turned back from under later edits; of the others `top`,
    which `stack_top` gave.
    """
    row = library.connection.execute(
        "SELECT id, action, (SELECT count(*) FILTER (WHERE t.action = 'undo') - count(*) FILTER (WHERE t.action = 'redo')"
        " FROM edits t WHERE t.study = e.study AND t.id > e.id AND t.scoring = e.scoring AND t.concerns = e.id) AS undone"
        " FROM edits e WHERE e.scoring = ? AND e.key = ? AND e.user = ?",
        (scoring, key, user),
    ).fetchone()
    if row is None or row["undone"] != (1 if action == "redo" else 0):
        return None
    return int(row["id"]) if row["action"] in PATCHED or row["id"] == top else None


def last_change(library: Library, scoring: int, changed: Patch) -> LogEntry | None:
    """Return the newest entry that changed the first epoch or event of a patch; None when none ever did."""
    what, key = ("stages", changed.stages[0][0]) if changed.stages else ("events", changed.events[0][0])
    study = review(library, scoring).study
    row = library.connection.execute(
        "SELECT * FROM edits e WHERE e.study = ? AND e.scoring = ? AND EXISTS (SELECT 1 FROM json_each(e.patch, ?) j"
        " WHERE json_extract(j.value, '$[0]') = ?) ORDER BY e.id DESC LIMIT 1",
        (study, scoring, f"$.{what}", key),
    ).fetchone()
    return None if row is None else _entry(row)


def last_of(library: Library, scoring: int, action: str) -> LogEntry | None:
    """Return the newest entry of an action, None where there is none."""
    return next(iter(log_entries(library, scoring, action=action, limit=1)), None)


def log_entries(
    library: Library,
    scoring: int,
    *,
    user: str = "",
    action: str = "",
    epoch: int | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[LogEntry]:
    """Return entries, the newest first; of one user, action or epoch where they are given."""
    where, values = _filter(library, scoring, user=user, action=action, epoch=epoch)
    rows = library.connection.execute(
        f"SELECT * FROM edits e WHERE {where} ORDER BY e.id DESC LIMIT ? OFFSET ?", (*values, limit, offset)
    )
    return [_entry(row) for row in rows]


def log_count(library: Library, scoring: int, *, user: str = "", action: str = "", epoch: int | None = None) -> int:
    """Return how many entries `log_entries` has to give."""
    where, values = _filter(library, scoring, user=user, action=action, epoch=epoch)
    return int(library.connection.execute(f"SELECT count(*) FROM edits e WHERE {where}", values).fetchone()[0])


def log_names(library: Library, scoring: int) -> tuple[list[str], list[str]]:
    """Return the users and the actions that the log names, for a choice among them."""
    study = review(library, scoring).study
    rows = library.connection.execute(
        "SELECT DISTINCT user, action FROM edits WHERE study = ? AND scoring = ?", (study, scoring)
    ).fetchall()
    return sorted({row["user"] for row in rows}), sorted({row["action"] for row in rows})


def _filter(library: Library, scoring: int, *, user: str, action: str, epoch: int | None) -> tuple[str, list[Any]]:
    where = ["e.study = ?", "e.scoring = ?"]
    values: list[Any] = [review(library, scoring).study, scoring]
    for column, value in (("user", user), ("action", action)):
        if value:
            where.append(f"e.{column} = ?")
            values.append(value)
    if epoch is not None:
        where.append("EXISTS (SELECT 1 FROM json_each(e.patch, '$.stages') j WHERE json_extract(j.value, '$[0]') = ?)")
        values.append(epoch)
    return " AND ".join(where), values


def _entry(row: sqlite3.Row) -> LogEntry:
    return LogEntry(
        id=row["id"],
        at=datetime.fromisoformat(row["at"]),
        user=row["user"],
        action=row["action"],
        concerns=row["concerns"],
        patch=Patch.from_json(json.loads(row["patch"])),
        note=row["note"],
    )


# export


_COLUMNS = ("Entry", "Time (UTC)", "User", "Action", "Concerns", "Epoch", "Event", "From", "To", "Note", "Scorer", "Proposal")


def log_csv(library: Library, scoring: int) -> bytes:
    """Return the whole log as CSV in UTF-8, oldest first: one row a changed epoch or event.

    What a review began with is one row; the JSON lists its events. A text that a spreadsheet would take for a formula gets an
    apostrophe before it.
    """
    about = review(library, scoring)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for entry in changes_since(library, scoring, 0):
        head = [entry.id, entry.at.isoformat(timespec="milliseconds"), entry.user, entry.action, entry.concerns or ""]
        for epoch, event, before, after in _rows(entry):
            cells = (*head, epoch, event, before, after, entry.note, about.scorer, about.proposal or "nothing")
            table.writerow([spreadsheet_safe(str(cell)) for cell in cells])
    return text.getvalue().encode()


def _rows(entry: LogEntry) -> Iterator[tuple[str, str, str, str]]:
    if entry.action == "begin" or not len(entry.patch):
        yield "", "", "", f"{len(entry.patch.events)} events" if entry.patch.events else ""
        return
    for epoch, before, after in entry.patch.stages:
        yield str(epoch), "", STAGE_NAMES[Stage(before)], STAGE_NAMES[Stage(after)]
    for identifier, event, later in entry.patch.events:
        yield "", identifier, event_words(event), event_words(later)


def event_words(event: Event | None) -> str:
    """Return an event in a line: name, times in seconds, channel; "" for none."""
    if event is None:
        return ""
    place = f" on {event.channel}" if event.channel else ""
    return f"{event.name} {event.start_s:.2f} to {event.stop_s:.2f} s{place}"


def log_json(library: Library, scoring: int) -> bytes:
    """Return the whole log as JSON, oldest first, with what the review was begun from, its state and the hash of its content."""
    content = document(library, scoring)
    about: Review = content.review
    told = {
        "study": about.study,
        "recording_sha256": about.source_sha256,
        "scoring": about.scoring,
        "scorer": about.scorer,
        "proposal": about.base,
        "proposed_stages": content.proposed.tolist(),
        "events_from": content.events_from.as_json(),
        "state": about.state.value,
        "signed": None
        if about.signed_at is None
        else {"by": about.signed_by, "as": about.signer, "at": about.signed_at.isoformat(), "sha256": about.signed_sha256},
        "content_sha256": content_sha256(content),
        "log": [
            {
                "entry": entry.id,
                "at": entry.at.isoformat(),
                "user": entry.user,
                "action": entry.action,
                "concerns": entry.concerns,
                **entry.patch.as_json(),
                "note": entry.note,
            }
            for entry in changes_since(library, scoring, 0)
        ],
    }
    return json.dumps(told, indent=1).encode()
