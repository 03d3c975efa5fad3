"""The log of a review: who changed what, when, from what to what; read, searched, exported with the scoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from sleepfm.library.library import Library
from sleepfm.library.review_patch import Patch


@dataclass(frozen=True)
class LogEntry:
    """One entry.

    Attributes
    ----------
    action
        "begin", one of `review_edits.ACTIONS`, "mark as reviewed", "sign" or "reopen".
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
    raise NotImplementedError


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
    raise NotImplementedError


def log_csv(library: Library, scoring: int) -> bytes:
    """Return the whole log as CSV, one row a changed epoch or event, with what the review was begun from."""
    raise NotImplementedError


def log_json(library: Library, scoring: int) -> bytes:
    """Return the whole log as JSON, with what the review was begun from and its state."""
    raise NotImplementedError


def scored_by_hand(library: Library, scoring: int) -> np.ndarray:
    """Return (epoch,) whether a person set or confirmed the stage that stands there, as far as it was not undone or reset."""
    raise NotImplementedError
