"""How far a review is: marked as reviewed, signed, reopened; and what a signature covers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

from sleepfm.administration.audit import record
from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.review_patch import event_json
from sleepfm.library.review_store import add_to_log, durably
from sleepfm.library.reviews import Review, ReviewDocument, ReviewState, document, file_trouble, why_locked
from sleepfm.text import printable

_MOST_SIGNER, _MOST_REASON = 60, 1000
_AUDITED = {"mark as reviewed": "mark review as reviewed", "sign": "sign review", "reopen": "reopen review"}


def mark_reviewed(library: Library, scoring: int, *, user: str, seen: int | None = None) -> None:
    """Mark an open review as reviewed, which locks it.

    Parameters
    ----------
    seen
        The version that its user looked at: nobody answers for what came behind it. None for whatever stands.

    Raises
    ------
    RequestError
        It is locked already, was changed since it was looked at, or the study's file is not the one that was scored.
    """
    _change_state(library, scoring, ReviewState.REVIEWED, user=user, action="mark as reviewed", seen=seen)


def sign(library: Library, scoring: int, *, user: str, name: str = "", seen: int | None = None) -> None:
    """Sign a review that is open or reviewed: it is locked, and a hash of its content is kept.

    Parameters
    ----------
    user
        The account that is accountable.
    name
        The signer's name as it is to be printed; the account's unless told. The hash covers it.
    seen
        The version that the signer looked at: nobody signs what came behind it. None for whatever stands.

    Raises
    ------
    RequestError
        It is signed already, was changed since it was looked at, the study's file is not the one that was scored, or the name
        cannot be printed.
    """
    printed = name.strip()
    if len(printed) > _MOST_SIGNER or printable(printed) != printed:
        raise RequestError(f"a signer's name has up to {_MOST_SIGNER} letters, not {printable(printed)[:80]!r}")
    signed_as = "" if printed == user else printed
    _change_state(library, scoring, ReviewState.SIGNED, user=user, action="sign", signed_as=signed_as, seen=seen)


def reopen(library: Library, scoring: int, *, user: str, reason: str, admin: bool) -> None:
    """Open a locked review again; a signed one only by its signer or an admin. The reason is kept in the log.

    Raises
    ------
    RequestError
        No reason, nothing to reopen, or not theirs to reopen.
    """
    why = reason_of(reason, "the scoring is opened again")
    _change_state(library, scoring, ReviewState.OPEN, user=user, action="reopen", note=why, admin=admin)


def reason_of(text: str, what: str) -> str:
    """Return a reason as it is kept; RequestError, naming what it is asked for, where there is none or too much of it."""
    why = text.strip()
    if not why or len(why) > _MOST_REASON:
        raise RequestError(f"say in up to {_MOST_REASON} letters why {what}")
    return printable(why)


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
    seen: int | None = None,
) -> None:
    with durably(library.connection):
        content = document(library, scoring)
        about = content.review
        if about.put_away:
            raise RequestError(f"{about.study}: {why_locked(library, about)}")
        if seen is not None and about.version != seen:
            raise RequestError(f"{about.study}: {_changed_since(library, about, seen)}")
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


def _changed_since(library: Library, about: Review, seen: int) -> str:
    row = library.connection.execute(
        "SELECT user FROM edits WHERE study = ? AND scoring = ? AND id > ? ORDER BY id DESC LIMIT 1",
        (about.study, about.scoring, seen),
    ).fetchone()
    by = "" if row is None else f" by {row['user']}"
    return f"the scoring was changed{by} since it was looked at here; look at it again"


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
