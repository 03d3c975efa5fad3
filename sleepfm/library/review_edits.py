"""Editing a review: each edit is stored with what it found and what it left, or refused because something else stands there.

What can be undone is derived from the log: of one's own edits the newest that is not undone. An undo of an edit that somebody
else has changed parts of since takes back the rest and says so; nobody's later work is undone by another's earlier one.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.event_sets import StoredEvents, event_sets
from sleepfm.library.events_origin import EventsOrigin
from sleepfm.library.library import Library
from sleepfm.library.review_log import last_change, own_edit, stack_top
from sleepfm.library.review_patch import LIGHTS, PATCHED, Patch, event_json
from sleepfm.library.review_proposal import events_of_set
from sleepfm.library.review_standing import events_origin, first_events_origin
from sleepfm.library.review_store import add_to_log, durably, put_events, read_events
from sleepfm.library.reviews import Review, review, why_locked
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import STAGE_SHORT, Stage

ACTIONS = (*PATCHED, "take events", "reset stages", "reset events", "undo", "redo")
MOST_EDITS = 500
"""Edits in one request."""
MOST_EVENTS = 50_000
"""Events that a review may hold."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class ReviewLockedError(ScoringError):
    """A review cannot be edited now: it is reviewed or signed, or its recording is not what was scored."""


@dataclass(frozen=True)
class Edit:
    """What somebody asks to change.

    Attributes
    ----------
    key
        Unique in its review: sent again, it is not done again.
    action
        One of `ACTIONS`.
    patch
        For those in `PATCHED`; the others find their own.
    events
        The number of the set for "take events".
    of
        For "undo" and "redo": the key of the edit that is meant. "" for the newest own one that can be taken back, or made again:
        who has a scoring open in two windows may mean another.
    """

    key: str
    action: str
    patch: Patch = field(default_factory=Patch)
    events: int | None = None
    of: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of edits.

    Attributes
    ----------
    version
        Of the review afterwards.
    refused
        Keys of what was not stored: the first that found something else, and all behind it.
    conflict
        Who changed what it wanted to change, when and to what; "" when all was stored.
    """

    version: int
    refused: tuple[str, ...] = ()
    conflict: str = ""


class _Conflict(Exception):  # noqa: N818 - caught where it becomes an answer
    """Something else stands where an edit wanted to change something."""


def apply_edits(library: Library, scoring: int, edits: Sequence[Edit], *, user: str) -> Outcome:
    """Store edits in their order, on the disk before this returns.

    Raises
    ------
    ReviewLockedError
        The review cannot be edited now; nothing was stored.
    ScoringError
        An edit is none; nothing was stored.
    RequestError
        No such review or set of events; nothing was stored.
    SleepFMError
        The disk is full or the library busy; nothing was stored.
    """
    for edit in edits:
        _check(edit)
    if len(edits) > MOST_EDITS:
        raise ScoringError(f"up to {MOST_EDITS} edits are stored at once, not {len(edits)}")
    with durably(library.connection):
        about = review(library, scoring)
        if locked := why_locked(library, about):
            raise ReviewLockedError(locked)
        work = _Work(library, about, user)
        for number, edit in enumerate(edits):
            try:
                work.do(edit)
            except _Conflict as conflict:
                work.store()
                return Outcome(work.version, tuple(one.key for one in edits[number:]), str(conflict))
        work.store()
        return Outcome(work.version)


def can_undo_redo(library: Library, scoring: int, user: str) -> tuple[bool, bool]:
    """Return whether this user has an edit to take back, and one to make again."""
    return tuple(stack_top(library, scoring, user, action=action) is not None for action in ("undo", "redo"))  # type: ignore[return-value]


def _check(edit: Edit) -> None:
    if not _KEY.fullmatch(edit.key):
        raise ScoringError("an edit's key has 1 to 64 letters, digits, - and _")
    if edit.of and not _KEY.fullmatch(edit.of):
        raise ScoringError("the edit that an undo or redo is of is named by its key")
    if edit.action not in ACTIONS:
        raise ScoringError(f"{printable(edit.action)[:40]!r} is none of {', '.join(ACTIONS)}")
    if edit.action in PATCHED and not len(edit.patch):
        raise ScoringError(f"{edit.action}: says nothing of what changes")
    if edit.action == "take events" and edit.events is None:
        raise ScoringError("take events: says not which set")


class _Work:
    """A review while edits are made, within one transaction."""

    def __init__(self, library: Library, about: Review, user: str) -> None:
        self.library, self.about, self.user = library, about, user
        self.connection: sqlite3.Connection = library.connection
        self.version = about.version
        row = self.connection.execute("SELECT stages FROM reviews WHERE scoring = ?", (about.scoring,)).fetchone()
        self.stages_e = np.frombuffer(row["stages"], np.int8).copy()

    def do(self, edit: Edit) -> None:
        """Make one edit; _Conflict before anything of it is stored."""
        if self._is_done(edit.key):
            return
        if edit.action in ("undo", "redo"):
            self._turn(edit)
            return
        self._require(edit.patch)
        patch, origin, note = edit.patch, None, ""
        if edit.action == "take events":
            chosen = self._set(edit)
            patch, origin = self._taking(chosen), EventsOrigin.of_set(chosen)
            note = f"events of {chosen.label} {chosen.provenance.get('version', '')}".rstrip() + " taken"
        elif edit.action == "reset stages":
            patch = self._back_to_proposed()
        elif edit.action == "reset events":
            patch, origin = self._back_to_first_events(), first_events_origin(self.connection, self.about.scoring)
        # a set may hold the very events that stand, or none, and yet say that they were looked for
        if len(patch) or (origin is not None and origin != events_origin(self.connection, self.about.scoring)):
            self._make(edit, patch, note=note, events_from=origin)

    def store(self) -> None:
        """Store the stages as they are now."""
        if self.version != self.about.version:
            self.connection.execute(
                "UPDATE reviews SET stages = ?, version = ?, changed_at = (SELECT at FROM edits WHERE id = ?) WHERE scoring = ?",
                (self.stages_e.tobytes(), self.version, self.version, self.about.scoring),
            )

    def _is_done(self, key: str) -> bool:
        found = self.connection.execute("SELECT 1 FROM edits WHERE scoring = ? AND key = ?", (self.about.scoring, key))
        return found.fetchone() is not None

    def _make(
        self, edit: Edit, patch: Patch, *, concerns: int | None = None, note: str = "", events_from: EventsOrigin | None = None
    ) -> None:
        for epoch, _, after in patch.stages:
            self.stages_e[epoch - 1] = after
        gone = [(self.about.scoring, one) for one, _, after in patch.events if after is None]
        self.connection.executemany("DELETE FROM review_events WHERE scoring = ? AND id = ?", gone)
        put_events(self.connection, self.about.scoring, ((one, after) for one, _, after in patch.events if after is not None))
        if len(patch.events) > len(gone):
            self._require_room()
        self.version = add_to_log(
            self.connection,
            self.about.scoring,
            self.about.study,
            user=self.user,
            action=edit.action,
            patch=patch,
            concerns=concerns,
            note=note,
            key=edit.key,
            events_from=events_from,
        )

    def _require_room(self) -> None:
        counted = self.connection.execute("SELECT count(*) FROM review_events WHERE scoring = ?", (self.about.scoring,))
        if counted.fetchone()[0] > MOST_EVENTS:
            raise ScoringError(f"a scoring holds up to {MOST_EVENTS:,} events")

    def _events(self, patch: Patch) -> dict[str, Event]:
        """Return what stands now of the events that a patch changes."""
        if len(patch.events) > _ONE_BY_ONE:
            return read_events(self.connection, self.about.scoring)
        return {
            one: event
            for identifier, _, _ in patch.events
            for one, event in read_events(self.connection, self.about.scoring, identifier).items()
        }

    def _standing(self, patch: Patch) -> tuple[Patch, Patch]:
        """Return the parts of a patch that find what they expect, and those that do not."""
        events = self._events(patch)
        stages_stand = [int(self.stages_e[epoch - 1]) == before for epoch, before, _ in patch.stages]
        events_stand = [events.get(one) == before for one, before, _ in patch.events]

        def part(*, stand: bool) -> Patch:
            return Patch(
                tuple(change for change, stands in zip(patch.stages, stages_stand, strict=True) if stands is stand),
                tuple(change for change, stands in zip(patch.events, events_stand, strict=True) if stands is stand),
            )

        return part(stand=True), part(stand=False)

    def _require(self, patch: Patch) -> None:
        _, changed = self._standing(patch)
        if len(changed):
            raise _Conflict(self._words(changed))

    def _turn(self, edit: Edit) -> None:
        """Take an own edit back, or make one that was taken back again; nothing where there is none."""
        found = stack_top(self.library, self.about.scoring, self.user, action=edit.action)
        if edit.of:
            found = own_edit(self.library, self.about.scoring, self.user, edit.of, action=edit.action, top=found)
        if found is None:
            return
        row = self.connection.execute("SELECT patch FROM edits WHERE id = ?", (found,)).fetchone()
        patch = Patch.from_json(json.loads(row["patch"]))
        stands, changed = self._standing(patch.inverse() if edit.action == "undo" else patch)
        note = f"left as it is: {self._words(changed)}" if len(changed) else ""
        self._make(edit, stands, concerns=found, note=note)

    def _set(self, edit: Edit) -> StoredEvents:
        chosen = next((one for one in event_sets(self.library, self.about.study) if one.id == edit.events), None)
        if chosen is None:
            raise RequestError(f"{self.about.study} has no set of events {edit.events} any more; choose another")
        return chosen

    def _taking(self, chosen: StoredEvents) -> Patch:
        """Replace the events by those of a set, but for the lights, which no set knows better than who set them."""
        wanted, _ = events_of_set(chosen, self.library.study(self.about.study).duration_s)
        now = read_events(self.connection, self.about.scoring)
        set_by_hand = {event.name for event in now.values() if event.name in LIGHTS}
        kept = {one: event for one, event in now.items() if event.name in set_by_hand}
        return _difference(
            now, _under_their_ids(now, {one: event for one, event in wanted.items() if event.name not in set_by_hand}) | kept
        )

    def _back_to_proposed(self) -> Patch:
        row = self.connection.execute("SELECT proposed FROM reviews WHERE scoring = ?", (self.about.scoring,)).fetchone()
        proposed_e = np.frombuffer(row["proposed"], np.int8)
        return Patch(
            tuple((int(e) + 1, int(self.stages_e[e]), int(proposed_e[e])) for e in np.flatnonzero(self.stages_e != proposed_e))
        )

    def _back_to_first_events(self) -> Patch:
        row = self.connection.execute(
            "SELECT patch FROM edits WHERE scoring = ? AND action = 'begin'", (self.about.scoring,)
        ).fetchone()
        first = {one: event for one, _, event in Patch.from_json(json.loads(row["patch"])).events if event is not None}
        return _difference(read_events(self.connection, self.about.scoring), first)

    def _words(self, changed: Patch) -> str:
        """Say who changed what is not as it was expected, when and to what."""
        if changed.stages:
            epoch = changed.stages[0][0]
            what, now = f"epoch {epoch}", STAGE_SHORT[Stage(int(self.stages_e[epoch - 1]))]
        else:
            identifier = changed.events[0][0]
            event = read_events(self.connection, self.about.scoring, identifier).get(identifier)
            before = changed.events[0][1] or changed.events[0][2]
            what = f"{'event' if before is None else before.name} {identifier}"
            now = "gone" if event is None else f"{event.name} from {event.start_s:g} to {event.stop_s:g} s"
        others = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        found = last_change(self.library, self.about.scoring, changed)
        if found is None:
            return f"{what} is {now}{others}"
        return f"{what} is {now}: {found.user}, {found.at:%Y-%m-%d %H:%M:%S} UTC{others}"


_ONE_BY_ONE = 50
"""Events up to which each is looked up; above, all are read."""


def _difference(now: dict[str, Event], wanted: dict[str, Event]) -> Patch:
    ids = [*now, *(one for one in wanted if one not in now)]
    return Patch(events=tuple((one, now.get(one), wanted.get(one)) for one in ids if now.get(one) != wanted.get(one)))


def _under_their_ids(now: dict[str, Event], wanted: dict[str, Event]) -> dict[str, Event]:
    """Return wanted events by the ids under which the very same ones stand already: the log then tells what really changes."""
    standing = {_content(event): one for one, event in now.items()}
    found: dict[str, Event] = {}
    for one, event in wanted.items():
        there = standing.pop(_content(event), one)
        found[one if there in wanted else there] = event
    return found


def _content(event: Event) -> str:
    return json.dumps(event_json(event), sort_keys=True)
