"""Reviews: a person's scoring of a study, looked up alone or with its content; and why one cannot be edited now.

A review is a row of `scorings` (engine "person", its model the scorer's name) whose stages and events stand in the database;
every edit is in a log that is only added to (`sleepfm.library.review_edits`, `sleepfm.library.review_log`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.library.events_origin import EventsOrigin
from sleepfm.library.library import Library
from sleepfm.library.review_proposal import proposal_words
from sleepfm.library.review_standing import events_origin
from sleepfm.library.review_store import read_events
from sleepfm.library.study import PUT_AWAY, SCORINGS_IN_ORDER, StudyStatus
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import SCORED_STAGES


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
    base
        What it was begun from: `id`, `engine`, `model`, `label`, `note`, `weights_sha256`, as far as they are known; None when
        from nothing.
    source_sha256
        Hash of the recording's file that it is of.
    warnings
        What was done to make the proposal and its events fit, each a sentence.
    signed_by, signed_as
        The account that is accountable for a signature, and the name that it is printed with where that is another.
    signed_sha256
        Hash of the content that was signed (`content_sha256`).
    put_away
        Whether it is neither shown nor counted (`library.review_away`).
    """

    scoring: int
    study: str
    scorer: str
    state: ReviewState
    version: int
    base: dict[str, Any] | None
    source_sha256: str
    warnings: tuple[str, ...]
    began_at: datetime
    changed_at: datetime
    signed_by: str | None
    signed_at: datetime | None
    signed_sha256: str | None
    signed_as: str = ""
    put_away: bool = False

    @property
    def signer(self) -> str:
        """Who signed it, as it is printed: "Ada Lovelace (ada)", or the account alone; empty where nobody has."""
        return f"{self.signed_as} ({self.signed_by})" if self.signed_as and self.signed_by else self.signed_by or ""

    @property
    def proposal(self) -> str:
        """What it was begun from, in words ("YASA 0.8.1"); empty when from nothing."""
        return "" if self.base is None else proposal_words(self.base)


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
    events_from
        The set that they were taken from, as it was then.
    """

    review: Review
    stages: np.ndarray
    proposed: np.ndarray
    probabilities: np.ndarray | None
    events: dict[str, Event]
    events_from: EventsOrigin


_ROWS = (
    "SELECT v.scoring, v.study, v.scorer, v.state, v.version, v.changed_at, v.signed_by, v.signed_at, v.signed_sha256,"
    " r.provenance, r.source_sha256, r.created_at FROM reviews v JOIN scorings r ON r.id = v.scoring"
)


def reviews_of(library: Library, study: str) -> list[Review]:
    """Return the reviews of a study's present file in the order of `SCORINGS_IN_ORDER`."""
    rows = library.connection.execute(
        f"{_ROWS} JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256 WHERE r.study = ? ORDER BY {SCORINGS_IN_ORDER}",
        (study,),
    )
    return [_review(row) for row in rows]


def put_away_reviews(library: Library, study: str) -> list[Review]:
    """Return the reviews of a study that were put away, of whatever file."""
    rows = library.connection.execute(
        f"{_ROWS} WHERE v.study = ? AND substr(r.source_sha256, 1, {len(PUT_AWAY)}) = ?", (study, PUT_AWAY)
    )
    return [_review(row) for row in rows]


def review(library: Library, scoring: int) -> Review:
    """Return one review; RequestError when there is none of this number."""
    row = library.connection.execute(f"{_ROWS} WHERE v.scoring = ?", (scoring,)).fetchone()
    if row is None:
        raise RequestError(f"there is no review {scoring}; open the study again")
    return _review(row)


def _review(row: sqlite3.Row) -> Review:
    provenance = json.loads(row["provenance"])
    return Review(
        scoring=row["scoring"],
        study=row["study"],
        scorer=row["scorer"],
        state=ReviewState(row["state"]),
        version=row["version"],
        base=provenance["base"],
        source_sha256=row["source_sha256"].removeprefix(PUT_AWAY),
        warnings=tuple(provenance["warnings"]),
        began_at=datetime.fromisoformat(row["created_at"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
        signed_by=row["signed_by"],
        signed_at=None if row["signed_at"] is None else datetime.fromisoformat(row["signed_at"]),
        signed_sha256=row["signed_sha256"],
        signed_as=provenance.get("signed_as", ""),
        put_away=row["source_sha256"].startswith(PUT_AWAY),
    )


def document(library: Library, scoring: int) -> ReviewDocument:
    """Return a review with its stages and events, all of one moment; RequestError when there is none of this number."""
    connection = library.connection
    with one_moment(connection):
        about = review(library, scoring)
        stages, proposed, probabilities = stored_stages(connection, scoring)
        events = read_events(connection, scoring)
        events_from = events_origin(connection, scoring)
    return ReviewDocument(about, stages, proposed, probabilities, events, events_from)


def stored_stages(connection: sqlite3.Connection, scoring: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the stages, the proposed ones and the probabilities of a review that is there, as `ReviewDocument` has them."""
    row = connection.execute("SELECT stages, proposed, probabilities FROM reviews WHERE scoring = ?", (scoring,)).fetchone()
    probabilities = None
    if row["probabilities"] is not None:
        probabilities = np.frombuffer(row["probabilities"], np.float32).reshape(-1, len(SCORED_STAGES))
    return np.frombuffer(row["stages"], np.int8), np.frombuffer(row["proposed"], np.int8), probabilities


@contextmanager
def one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction: several reads are one moment's only within one."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def why_not_editable(library: Library, scoring: int) -> str:
    """Return why a review cannot be edited now (locked, the study's file changed or is missing); "" when it can."""
    return why_locked(library, review(library, scoring))


def why_locked(library: Library, about: Review) -> str:
    """Return the same for a review that was looked up already."""
    if about.put_away:
        return "put away; the Finish page says by whom and why, and brings it back"
    if about.state is ReviewState.SIGNED:
        return f"signed by {about.signer}; reopen it on the Finish page to change it"
    if about.state is ReviewState.REVIEWED:
        return "marked as reviewed; reopen it on the Finish page to change it"
    return file_trouble(library, about)


def file_trouble(library: Library, about: Review) -> str:
    """Return why the recording that a review is of cannot be looked at, "" when it can."""
    study = library.study(about.study)
    if study.status in (StudyStatus.MISSING, StudyStatus.CHANGED):
        return study.message
    if study.sha256 is None:
        return f"{study.id} is still being looked through; it can be scored in a moment"
    if study.sha256 != about.source_sha256:
        return "this scoring was begun on another file of the same name; begin a new one"
    return ""
