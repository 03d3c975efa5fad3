"""What stands of a review's log: the epochs that a person scored, and where the events came from, as far as it was not undone."""

from __future__ import annotations

import json
import sqlite3

import numpy as np

from sleepfm.library.events_origin import EventsOrigin


def scored_by_hand(connection: sqlite3.Connection, scoring: int) -> np.ndarray:
    """Return (epoch,) whether a person set or confirmed the stage that stands there, as far as it was not undone or reset."""
    row = connection.execute("SELECT length(stages) AS epochs, study FROM reviews WHERE scoring = ?", (scoring,)).fetchone()
    rows = connection.execute(
        "SELECT e.id, e.action, e.concerns, o.action AS of, json_extract(j.value, '$[0]') AS epoch"
        " FROM edits e LEFT JOIN edits o ON o.id = e.concerns, json_each(e.patch, '$.stages') j"
        " WHERE e.study = ? AND e.scoring = ? AND e.action IN ('score', 'reset stages', 'undo', 'redo') ORDER BY e.id",
        (row["study"], scoring),
    )
    standing: list[list[int]] = [[] for _ in range(row["epochs"])]  # of each epoch the edits that scored it and are not undone
    before_reset: dict[tuple[int, int], list[int]] = {}
    for number, action, concerns, of, epoch in rows:
        edit, kind = (number, action) if concerns is None else (concerns, of)
        stack = standing[epoch - 1]
        undoing = action == "undo"
        if kind == "score" and undoing:
            if edit in stack:
                stack.remove(edit)
        elif kind == "score":
            stack.append(edit)
        elif kind == "reset stages" and undoing:
            stack[:] = before_reset.pop((edit, epoch), [])
        elif kind == "reset stages":
            before_reset[edit, epoch] = stack.copy()
            stack.clear()
    return np.array([bool(stack) for stack in standing], dtype=bool)


def events_origin(connection: sqlite3.Connection, scoring: int) -> EventsOrigin:
    """Return where the events of a review came from: the set that was taken last and not given back, else what it began with."""
    row = connection.execute(
        "SELECT e.action, e.patch FROM edits e WHERE e.scoring = ? AND e.action IN ('take events', 'reset events')"
        " AND (SELECT count(*) FILTER (WHERE t.action = 'undo') - count(*) FILTER (WHERE t.action = 'redo')"
        " FROM edits t WHERE t.scoring = e.scoring AND t.concerns = e.id) = 0 ORDER BY e.id DESC LIMIT 1",
        (scoring,),
    ).fetchone()
    if row is None or row["action"] != "take events":
        return first_events_origin(connection, scoring)
    origin, _ = json.JSONDecoder().raw_decode(row["patch"], len(_ORIGIN))
    return EventsOrigin.from_json(origin)


_ORIGIN = '{"events_from":'
"""What the entry of a taken set begins with (`review_store.add_to_log`); its events behind it take long to read."""


def first_events_origin(connection: sqlite3.Connection, scoring: int) -> EventsOrigin:
    """Return where the events came from that a review began with."""
    row = connection.execute("SELECT provenance FROM scorings WHERE id = ?", (scoring,)).fetchone()
    return EventsOrigin.from_json(json.loads(row["provenance"])["events_from"])
