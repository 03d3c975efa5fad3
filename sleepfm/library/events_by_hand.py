"""How many of a review's events a person made, changed or deleted, and whose the others are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sleepfm.library.library import Library
from sleepfm.library.review_patch import LIGHTS, Patch
from sleepfm.library.reviews import ReviewDocument
from sleepfm.recording.scorings.scoring import Event

_BRING = ("begin", "take events", "reset events")
"""Entries of the log that bring events from elsewhere."""


@dataclass(frozen=True)
class EventsByHand:
    """What people did to the events of a review; lights are left out.

    Attributes
    ----------
    marked
        Events that stand now.
    by_hand
        Of these, made or changed by a person.
    deleted
        Events brought from elsewhere that a person took away.
    source
        Where the others are from; "" when nobody is known.
    """

    marked: int
    by_hand: int
    deleted: int
    source: str

    @property
    def sentence(self) -> str:
        """Return that in words; "" where there never was an event."""
        if not self.marked and not self.deleted:
            return ""
        gone = f", {self.deleted:,} deleted" if self.deleted else ""
        said = f"{self.by_hand:,} of {self.marked:,} {'event' if self.marked == 1 else 'events'} made or changed by hand{gone}"
        others = "" if self.by_hand == self.marked else f"; the rest are from {self.source or 'elsewhere'}"
        return f"{said}{others}."


def events_by_hand(library: Library, content: ReviewDocument) -> EventsByHand:
    """Return what people did to the events of a review, by its log."""
    rows = library.connection.execute(
        "SELECT e.id, e.action, e.concerns, o.action AS of, e.patch FROM edits e LEFT JOIN edits o ON o.id = e.concerns"
        " WHERE e.study = ? AND e.scoring = ? AND json_array_length(e.patch, '$.events') > 0 ORDER BY e.id",
        (content.review.study, content.review.scoring),
    )
    brought: dict[str, list[Event]] = {}
    deleted: set[str] = set()
    before_taking: dict[int, set[str]] = {}
    for number, action, concerns, of, patch in rows:
        edit, kind = (number, action) if concerns is None else (concerns, of)
        changed = Patch.from_json(json.loads(patch)).events
        if kind not in _BRING:
            deleted |= {one for one, _, after in changed if after is None and one in brought}
            deleted -= {one for one, _, after in changed if after is not None}
        elif action == "undo":
            deleted = before_taking.pop(edit, set())
        else:
            before_taking[edit], deleted = deleted, set()
            for one, _, after in changed:
                if after is not None:
                    brought.setdefault(one, []).append(after)
    standing = _without_lights(content.events)
    by_hand = sum(event not in brought.get(one, ()) for one, event in standing.items())
    gone = sum(brought[one][-1].name not in LIGHTS for one in deleted)
    return EventsByHand(len(standing), by_hand, gone, content.events_from.label)


def _without_lights(events: Mapping[str, Event]) -> dict[str, Event]:
    return {one: event for one, event in events.items() if event.name not in LIGHTS}
