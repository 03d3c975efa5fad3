"""Reviews: a person's scoring of a study, begun from a proposal, edited, marked as reviewed, signed and reopened.

A review is a row of `scorings` (engine "person", its model the scorer's name) whose stages and events stand in the database; every
edit of them is in a log that is only added to (`sleepfm.library.review_edits`, `sleepfm.library.review_log`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Event


class ReviewState(StrEnum):
    """How far a review is; only an open one can be edited."""

    OPEN = "open"
    REVIEWED = "reviewed"
    SIGNED = "signed"


@dataclass(frozen=True)
class Review:
    """A review without its stages and events.

    Attributes
    ----------
    scoring
        Its number among the scorings.
    version
        The last entry of its log; grows with every edit.
    proposal
        What it was begun from, in words ("YASA 0.8.1"); empty when from nothing.
    signed_sha256
        Hash of the content that was signed (`content_sha256`).
    """

    scoring: int
    study: str
    scorer: str
    state: ReviewState
    version: int
    proposal: str
    began_at: datetime
    changed_at: datetime
    signed_by: str | None
    signed_at: datetime | None
    signed_sha256: str | None


@dataclass(frozen=True)
class ReviewDocument:
    """A review with its content.

    Attributes
    ----------
    stages, proposed
        (epoch,) int8 numbers of `Stage`, one a whole epoch: now, and as it was begun from.
    probabilities
        (epoch, 5) float32 of the proposal, None when it had none.
    events
        By their id, in order of onset.
    """

    review: Review
    stages: np.ndarray
    proposed: np.ndarray
    probabilities: np.ndarray | None
    events: dict[str, Event]


def begin(library: Library, study: str, *, scorer: str, user: str, base: int | None = None) -> int:
    """Begin a review and return its number; the one of this scorer that is there already is returned as it is.

    Parameters
    ----------
    scorer
        Whose scoring it is called: a person's name, or a second one such as "consensus".
    user
        Who begins it.
    base
        The scoring that it starts from; None for nothing (all epochs Unknown). The newest set of events is taken over.

    Raises
    ------
    RequestError
        No such study or scoring, or no usable name.
    RecordingChangedError
        The study's file is missing or was changed.
    ScoringError
        The study has not been looked through yet.
    """
    raise NotImplementedError


def reviews_of(library: Library, study: str) -> list[Review]:
    """Return the reviews of a study in the order of `SCORINGS_IN_ORDER`."""
    raise NotImplementedError


def review(library: Library, scoring: int) -> Review:
    """Return one review; RequestError when there is none of this number."""
    raise NotImplementedError


def document(library: Library, scoring: int) -> ReviewDocument:
    """Return a review with its stages and events; RequestError when there is none of this number."""
    raise NotImplementedError


def why_not_editable(library: Library, scoring: int) -> str:
    """Return why a review cannot be edited now (locked, the study's file changed or is missing); "" when it can."""
    raise NotImplementedError


def mark_reviewed(library: Library, scoring: int, *, user: str) -> None:
    """Mark an open review as reviewed, which locks it."""
    raise NotImplementedError


def sign(library: Library, scoring: int, *, user: str) -> None:
    """Sign a review that is open or reviewed: it is locked, and a hash of its content is kept."""
    raise NotImplementedError


def reopen(library: Library, scoring: int, *, user: str, reason: str, admin: bool) -> None:
    """Open a locked review again; a signed one only by its signer or an admin. The reason is kept in the log.

    Raises
    ------
    RequestError
        No reason, or not theirs to reopen.
    """
    raise NotImplementedError


def content_sha256(content: ReviewDocument) -> str:
    """Return the hash of what a signature covers: stages, events in order of onset, and the proposal."""
    raise NotImplementedError
