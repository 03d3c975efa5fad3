"""Putting a review away with a reason, and bringing it back: it is neither shown nor counted, and nothing of it is deleted.

A scoring speaks for a study only beside the bytes that it was made from. What is put away is noted as made from no bytes
(`study.PUT_AWAY` before their hash), so that nothing that looks for scorings finds it; its log goes on and says by whom and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sleepfm.administration.audit import record
from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.review_log import last_of
from sleepfm.library.review_states import reason_of
from sleepfm.library.review_store import add_to_log, durably
from sleepfm.library.reviews import Review, ReviewState, put_away_reviews, review
from sleepfm.library.study import PERSON, PUT_AWAY

_AUDITED = {"put away": "put review away", "bring back": "bring review back"}


@dataclass(frozen=True)
class PutAway:
    """A review that was put away: by whom, when, and why."""

    review: Review
    by: str
    at: datetime
    reason: str


def why_not_put_away(library: Library, about: Review, user: str, *, admin: bool) -> str:
    """Return why a user may not put a review away, or bring it back; "" when they may.

    An administrator may always; of the others its scorer (the one whose name it bears, or who alone worked on it), as long as it
    is open: not when it was marked as reviewed or signed.
    """
    if admin:
        return ""
    if about.state is not ReviewState.OPEN:
        return f"the scoring by {about.scorer} is {about.state}; only an administrator may put it away"
    others = library.connection.execute(
        "SELECT 1 FROM edits WHERE study = ? AND scoring = ? AND user <> ? LIMIT 1", (about.study, about.scoring, user)
    ).fetchone()
    if user != about.scorer and others is not None:
        return f"only {about.scorer} or an administrator may put this scoring away"
    return ""


def put_away(library: Library, scoring: int, *, user: str, reason: str, admin: bool) -> None:
    """Take a review out of all lists and counts; the reason is kept in its log and in the audit log.

    Raises
    ------
    RequestError
        No reason, not theirs to put away, or put away already.
    """
    why = reason_of(reason, "the scoring is put away")
    with durably(library.connection):
        about = review(library, scoring)
        if about.put_away:
            raise RequestError(f"{about.study}: the scoring by {about.scorer} is put away already")
        _note(library, about, "put away", user, why, admin=admin, source=f"{PUT_AWAY}{about.source_sha256}")


def bring_back(library: Library, scoring: int, *, user: str, reason: str, admin: bool) -> None:
    """Show and count a review again that was put away; the reason is kept as well.

    Raises
    ------
    RequestError
        No reason, not theirs to bring back, not put away, or its scorer has begun another of the same recording.
    """
    why = reason_of(reason, "the scoring is brought back")
    with durably(library.connection):
        about = review(library, scoring)
        if not about.put_away:
            raise RequestError(f"{about.study}: the scoring by {about.scorer} is not put away")
        there = library.connection.execute(
            "SELECT 1 FROM scorings WHERE study = ? AND engine = ? AND model = ? AND source_sha256 = ?",
            (about.study, PERSON, about.scorer, about.source_sha256),
        ).fetchone()
        if there is not None:
            raise RequestError(f"{about.study}: {about.scorer} has another scoring of this night by now; put that away first")
        _note(library, about, "bring back", user, why, admin=admin, source=about.source_sha256)


def put_away_of(library: Library, study: str) -> list[PutAway]:
    """Return what was put away of a study, the newest first."""
    found = []
    for about in put_away_reviews(library, study):
        entry = last_of(library, about.scoring, "put away")
        if entry is not None:
            found.append(PutAway(about, entry.user, entry.at, entry.note))
    return sorted(found, key=lambda one: one.review.version, reverse=True)  # the clock may have been put back


def _note(library: Library, about: Review, action: str, user: str, why: str, *, admin: bool, source: str) -> None:
    if refused := why_not_put_away(library, about, user, admin=admin):
        raise RequestError(f"{about.study}: {refused}")
    connection = library.connection
    version = add_to_log(connection, about.scoring, about.study, user=user, action=action, note=why)
    connection.execute("UPDATE scorings SET source_sha256 = ? WHERE id = ?", (source, about.scoring))
    connection.execute(
        "UPDATE reviews SET version = ?, changed_at = ? WHERE scoring = ?",
        (version, datetime.now(UTC).isoformat(), about.scoring),
    )
    detail = {"scoring": about.scoring, "scorer": about.scorer, "state": about.state, "note": why}
    record(connection, user, _AUDITED[action], about.study, detail)
