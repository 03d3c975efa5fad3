"""Reviews: a person's scoring of a study, begun from a proposal, edited, marked as reviewed, signed and reopened.

A review is a row of `scorings` (engine "person", its model the scorer's name) whose stages and events stand in the database;
every edit is in a log that is only added to (`sleepfm.library.review_edits`, `sleepfm.library.review_log`).
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np

from sleepfm.administration.audit import record
from sleepfm.errors import RequestError, ScoringError
from sleepfm.library.events_origin import EventsOrigin
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_patch import Patch, event_json
from sleepfm.library.review_proposal import base_of, first_events, proposal_words, proposed_stages, whole_epochs
from sleepfm.library.review_standing import events_origin
from sleepfm.library.review_store import add_to_log, durably, put_events, read_events
from sleepfm.library.study import AUTOMATIC_ENGINES, PERSON, SCORINGS_IN_ORDER, StudyStatus
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES

_MOST_SCORER, _MOST_REASON = 60, 1000
_AUDITED = {"mark as reviewed": "mark review as reviewed", "sign": "sign review", "reopen": "reopen review"}
_WHOLE = re.compile(r"\S(?:.*\S)?", re.DOTALL)


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


# begin


def begin(library: Library, study: str, *, scorer: str, user: str, base: int | None = None) -> int:
    """Begin a review and return its number; the one of this scorer that is there already is returned as it is.

    Its events are those of the review that it starts from, else of the newest set of events, else the recording's annotations.

    Parameters
    ----------
    scorer
        Whose scoring it is called: a person's name, or a second one such as "consensus".
    user
        Who begins it.
    base
        The scoring that it starts from; None for nothing (all epochs Unknown).

    Raises
    ------
    RequestError
        No such study or scoring, or no usable name.
    RecordingChangedError
        The study's file is missing or was changed.
    ScoringError
        The study has not been looked through yet.
    """
    name = scorer.strip()
    if not name or len(name) > _MOST_SCORER or printable(name) != name:
        raise RequestError(f"a scorer's name has 1 to {_MOST_SCORER} letters, not {printable(scorer)[:80]!r}")
    if name.casefold() in AUTOMATIC_ENGINES:
        raise RequestError(f"{name} is a program's name; score under a person's")
    library.require_unchanged(study)
    known = library.study(study)
    if known.sha256 is None:
        raise ScoringError(f"{study} is still being looked through; it can be scored in a moment")
    stored = _stored(library, study, base)
    epochs = whole_epochs(known.duration_s)
    proposed, probabilities = proposed_stages(library, stored, epochs)
    events, events_from, warnings = first_events(library, known, stored)
    about = None if stored is None else base_of(stored)
    note = f"begun from {proposal_words(about)}" if about else "begun from nothing"
    provenance = {
        "engine": PERSON,
        "label": name,
        "note": note,
        "source_sha256": known.sha256,
        "base": about,
        "events_from": events_from.as_json(),
        "warnings": [*((stored.provenance.get("warnings") or ()) if stored else ()), *warnings],
    }
    patch = Patch(events=tuple((identifier, None, event) for identifier, event in events.items()))
    now = datetime.now(UTC).isoformat()
    with durably(library.connection):
        there = library.connection.execute(
            "SELECT id FROM scorings WHERE study = ? AND engine = ? AND model = ? AND source_sha256 = ?",
            (study, PERSON, name, known.sha256),
        ).fetchone()
        if there is not None:
            return int(there["id"])
        cursor = library.connection.execute(
            "INSERT INTO scorings (study, engine, model, file, provenance, source_sha256, created_at)"
            " VALUES (?, ?, ?, '', ?, ?, ?)",
            (study, PERSON, name, json.dumps(provenance), known.sha256, now),
        )
        scoring = int(cursor.lastrowid or 0)
        library.connection.execute(
            "INSERT INTO reviews (scoring, study, scorer, stages, proposed, probabilities, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                scoring,
                study,
                name,
                proposed.tobytes(),
                proposed.tobytes(),
                None if probabilities is None else probabilities.tobytes(),
                now,
            ),
        )
        put_events(library.connection, scoring, events.items())
        version = add_to_log(library.connection, scoring, study, user=user, action="begin", patch=patch, note=note)
        library.connection.execute("UPDATE reviews SET version = ? WHERE scoring = ?", (version, scoring))
        record(library.connection, user, "begin review", study, {"scoring": scoring, "scorer": name, "from": note})
    return scoring


def _stored(library: Library, study: str, base: int | None) -> StoredScoring | None:
    if base is None:
        return None
    for stored in library.scorings(study):
        if stored.id == base:
            return stored
    raise RequestError(f"{study} has no scoring {base} any more; choose another to begin from")


# look up


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
        source_sha256=row["source_sha256"],
        warnings=tuple(provenance["warnings"]),
        began_at=datetime.fromisoformat(row["created_at"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
        signed_by=row["signed_by"],
        signed_at=None if row["signed_at"] is None else datetime.fromisoformat(row["signed_at"]),
        signed_sha256=row["signed_sha256"],
        signed_as=provenance.get("signed_as", ""),
    )


def document(library: Library, scoring: int) -> ReviewDocument:
    """Return a review with its stages and events, all of one moment; RequestError when there is none of this number."""
    connection = library.connection
    # several reads are one moment's only within a transaction
    with _one_moment(connection):
        about = review(library, scoring)
        row = connection.execute("SELECT stages, proposed, probabilities FROM reviews WHERE scoring = ?", (scoring,)).fetchone()
        events = read_events(connection, scoring)
        events_from = events_origin(connection, scoring)
    probabilities = None
    if row["probabilities"] is not None:
        probabilities = np.frombuffer(row["probabilities"], np.float32).reshape(-1, len(SCORED_STAGES))
    return ReviewDocument(
        review=about,
        stages=np.frombuffer(row["stages"], np.int8),
        proposed=np.frombuffer(row["proposed"], np.int8),
        probabilities=probabilities,
        events=events,
        events_from=events_from,
    )


@contextmanager
def _one_moment(connection: sqlite3.Connection) -> Iterator[None]:
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


# states


def mark_reviewed(library: Library, scoring: int, *, user: str) -> None:
    """Mark an open review as reviewed, which locks it.

    Raises
    ------
    RequestError
        It is locked already, or the study's file is not the one that was scored.
    """
    _change_state(library, scoring, ReviewState.REVIEWED, user=user, action="mark as reviewed")


def sign(library: Library, scoring: int, *, user: str, name: str = "") -> None:
    """Sign a review that is open or reviewed: it is locked, and a hash of its content is kept.

    Parameters
    ----------
    user
        The account that is accountable.
    name
        The signer's name as it is to be printed; the account's unless told. The hash covers it.

    Raises
    ------
    RequestError
        It is signed already, the study's file is not the one that was scored, or the name cannot be printed.
    """
    printed = name.strip()
    if len(printed) > _MOST_SCORER or printable(printed) != printed:
        raise RequestError(f"a signer's name has up to {_MOST_SCORER} letters, not {printable(printed)[:80]!r}")
    _change_state(library, scoring, ReviewState.SIGNED, user=user, action="sign", signed_as="" if printed == user else printed)


def reopen(library: Library, scoring: int, *, user: str, reason: str, admin: bool) -> None:
    """Open a locked review again; a signed one only by its signer or an admin. The reason is kept in the log.

    Raises
    ------
    RequestError
        No reason, nothing to reopen, or not theirs to reopen.
    """
    why = reason.strip()
    if not _WHOLE.fullmatch(why) or len(why) > _MOST_REASON:
        raise RequestError(f"say in up to {_MOST_REASON} letters why the scoring is opened again")
    _change_state(library, scoring, ReviewState.OPEN, user=user, action="reopen", note=printable(why), admin=admin)


def _change_state(
    library: Library,
    scoring: int,
    state: ReviewState,
    *,
    user: str,
    action: str,
    note: str = "",
    admin: bool = False,
    signed_as: str = "",
) -> None:
    with durably(library.connection):
        content = document(library, scoring)
        about = content.review
        if state is ReviewState.OPEN:
            _require_reopening(about, user, admin=admin)
        elif about.state in (state, ReviewState.SIGNED):
            raise RequestError(f"{about.study}: {why_locked(library, about)}")
        elif why := file_trouble(library, about):
            raise RequestError(f"{about.study}: {why}")
        signed = state is ReviewState.SIGNED
        sha256 = content_sha256(replace(content, review=replace(about, signed_as=signed_as))) if signed else None
        if signed:
            note = f"as {signed_as}, sha256 {sha256}" if signed_as else f"sha256 {sha256}"
        now = datetime.now(UTC).isoformat()
        version = add_to_log(library.connection, scoring, about.study, user=user, action=action, note=note)
        library.connection.execute(
            "UPDATE scorings SET provenance = json_set(provenance, '$.signed_as', ?) WHERE id = ?", (signed_as, scoring)
        )
        library.connection.execute(
            "UPDATE reviews SET state = ?, version = ?, signed_by = ?, signed_at = ?, signed_sha256 = ?, changed_at = ?"
            " WHERE scoring = ?",
            (state, version, user if signed else None, now if signed else None, sha256, now, scoring),
        )
        detail = {"scoring": scoring, "scorer": about.scorer}
        if signed:
            detail |= {"sha256": sha256} | ({"signed as": signed_as} if signed_as else {})
        elif note:
            detail["note"] = note
        record(
            library.connection,
            user,
            _AUDITED[action],
            about.study,
            detail,
        )


def _require_reopening(about: Review, user: str, *, admin: bool) -> None:
    if about.state is ReviewState.OPEN:
        raise RequestError(f"{about.study}: the scoring by {about.scorer} is open already")
    if about.state is ReviewState.SIGNED and not admin and user != about.signed_by:
        raise RequestError(f"{about.study}: signed by {about.signer}; only the signer or an administrator may reopen it")


def content_sha256(content: ReviewDocument) -> str:
    """Return the hash of what a signature covers: the recording, the proposal, stages and events as they are, and whose."""
    by_time = sorted(content.events.items(), key=lambda one: (one[1].start_s, one[1].stop_s, one[0]))
    signed = {
        "recording": content.review.source_sha256,
        "scorer": content.review.scorer,
        "base": content.review.base,
        "proposed": content.proposed.tolist(),
        "stages": content.stages.tolist(),
        "events": [[identifier, event_json(event)] for identifier, event in by_time],
        "events_from": content.events_from.as_json(),
    }
    if content.review.signed_as:
        signed["signed_as"] = content.review.signed_as
    return hashlib.sha256(json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def is_as_signed(content: ReviewDocument) -> bool:
    """Whether a signed review still holds what was signed."""
    return content.review.signed_sha256 == content_sha256(content)
