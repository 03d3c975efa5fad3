"""Editing a review: each edit is stored with what it found and what it left, or refused because something else stands there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sleepfm.library.library import Library
from sleepfm.library.review_patch import Patch

ACTIONS = ("score", "event", "lights", "take events", "reset stages", "reset events", "undo", "redo")


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
        For "score", "event" and "lights"; the others find their own.
    events
        The set for "take events".
    """

    key: str
    action: str
    patch: Patch = Patch()
    events: int | None = None


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


def apply_edits(library: Library, scoring: int, edits: Sequence[Edit], *, user: str) -> Outcome:
    """Store edits in their order, on the disk before this returns.

    Raises
    ------
    ReviewLockedError
        The review cannot be edited now; nothing was stored.
    ScoringError
        A patch does not fit the recording; nothing was stored.
    """
    raise NotImplementedError


def can_undo_redo(library: Library, scoring: int, user: str) -> tuple[bool, bool]:
    """Return whether this user has an edit to take back, and one to make again."""
    raise NotImplementedError
