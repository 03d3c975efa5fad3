"""The events of reviews that somebody scores, kept in memory: ten thousand of them take long to read, and an edit changes few.

What is kept is the content after a certain entry of the review's log. Every change is in that log, so it is brought up to date by
the entries behind; an entry is known again by its number and its key, which no other history of the library shares.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sleepfm.home import Home
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_store import entry_key, read_events
from sleepfm.library.reviews import Review
from sleepfm.recording.scorings.scoring import Event

_KEPT_REVIEWS = 4
_kept: OrderedDict[tuple[object, int], _Standing] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, eq=False)
class _Standing:
    """The events of a review, by id and in order of onset, after one entry of its log."""

    entry: int
    key: str
    by_id: Mapping[str, Event]
    in_order: tuple[Event, ...]


def standing_events(home: Home, connection: sqlite3.Connection, about: Review) -> tuple[Event, ...]:
    """Return the events of a review in order of onset; the very same tuple as long as none of them has changed.

    Parameters
    ----------
    connection
        In a transaction in which `about` was read: the log then ends with its version.
    """
    place = (home.database, about.scoring)
    with _lock:
        kept = _kept.get(place)
    found = _brought_up_to_date(connection, about, kept) if kept is not None and _is_of(connection, about, kept) else None
    if found is None:
        found = _sorted(
            about.version, entry_key(connection, about.scoring, about.version), read_events(connection, about.scoring)
        )
    with _lock:
        _kept[place] = found
        _kept.move_to_end(place)
        while len(_kept) > _KEPT_REVIEWS:
            _kept.popitem(last=False)
    return found.in_order


def _is_of(connection: sqlite3.Connection, about: Review, kept: _Standing) -> bool:
    return kept.entry <= about.version and kept.key != "" and entry_key(connection, about.scoring, kept.entry) == kept.key


def _brought_up_to_date(connection: sqlite3.Connection, about: Review, kept: _Standing) -> _Standing:
    if kept.entry == about.version:
        return kept
    rows = connection.execute(
        "SELECT patch FROM edits WHERE study = ? AND id > ? AND scoring = ? AND json_array_length(patch, '$.events') > 0"
        " ORDER BY id",
        (about.study, kept.entry, about.scoring),
    ).fetchall()
    key = entry_key(connection, about.scoring, about.version)
    if not rows:
        return replace(kept, entry=about.version, key=key)
    by_id = dict(kept.by_id)
    for row in rows:
        for identifier, _, after in Patch.from_json(json.loads(row["patch"])).events:
            if after is None:
                by_id.pop(identifier, None)
            else:
                by_id[identifier] = after
    return _sorted(about.version, key, by_id)


def _sorted(entry: int, key: str, by_id: Mapping[str, Event]) -> _Standing:
    order = sorted(by_id.items(), key=lambda one: (one[1].start_s, one[1].stop_s, one[0]))
    return _Standing(entry, key, MappingProxyType(dict(order)), tuple(event for _, event in order))
