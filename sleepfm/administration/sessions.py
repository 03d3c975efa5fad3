"""Who is signed in: a random token in the browser's cookie, of which the database keeps only the hash.

A session ends after a time without anything done, after a time at all, when its user signs out, and when its user is removed
or changed (`sleepfm.administration.accounts`).
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.runs.database import transaction

IDLE = timedelta(hours=2)
"""How long somebody may do nothing before they sign in anew."""
_SEEN_EVERY = timedelta(minutes=1)
_LONGEST_TOKEN = 200


@dataclass(frozen=True)
class Session:
    """One sign-in that holds.

    Attributes
    ----------
    role
        What the user may do now.
    ends_at
        When it ends whatever is done.
    """

    user: str
    role: Role
    seen_at: datetime
    ends_at: datetime


class Sessions:
    """The sessions in the database of a home folder."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self, user: str, hours: float, *, now: datetime | None = None) -> str:
        """Begin a session that lasts at most `hours`, and return its token, which is kept nowhere.

        Raises
        ------
        RequestError
            When there is no such user (any more).
        """
        now = now or datetime.now(UTC)
        token = secrets.token_urlsafe(32)
        with transaction(self._connection):
            self._connection.execute("DELETE FROM sessions WHERE ends_at <= ? OR seen_at <= ?", (_text(now), _text(now - IDLE)))
            begun = self._connection.execute(
                "INSERT INTO sessions (token_sha256, user, created_at, seen_at, ends_at)"
                " SELECT ?, name, ?, ?, ? FROM users WHERE name = ?",
                (_hash(token), _text(now), _text(now), _text(now + timedelta(hours=hours)), user),
            )
            if not begun.rowcount:
                raise RequestError(f"{user}: there is no such user")
        return token

    def find(self, token: str | None, *, now: datetime | None = None) -> Session | None:
        """Return the session of a token, None when there is none or it has ended."""
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        now = now or datetime.now(UTC)
        row = self._connection.execute(
            "SELECT user, role, seen_at, ends_at FROM sessions JOIN users ON users.name = sessions.user WHERE token_sha256 = ?",
            (_hash(token),),
        ).fetchone()
        if row is None:
            return None
        session = Session(
            row["user"], Role(row["role"]), datetime.fromisoformat(row["seen_at"]), datetime.fromisoformat(row["ends_at"])
        )
        return session if now < session.ends_at and now < session.seen_at + IDLE else None

    def is_stale(self, session: Session, *, now: datetime | None = None) -> bool:
        """Whether it is worth writing down that the user has done something."""
        return (now or datetime.now(UTC)) >= session.seen_at + _SEEN_EVERY

    def seen(self, token: str, *, now: datetime | None = None) -> None:
        """Note that the user of a session that holds has done something."""
        now = now or datetime.now(UTC)
        with transaction(self._connection):
            if self.find(token, now=now) is not None:
                self._connection.execute("UPDATE sessions SET seen_at = ? WHERE token_sha256 = ?", (_text(now), _hash(token)))

    def end(self, token: str) -> None:
        """End one session."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM sessions WHERE token_sha256 = ?", (_hash(token),))


def _hash(token: str) -> str:
    # no slow hash: a token of 256 random bits cannot be guessed from it
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")  # always as long, so that texts sort as times do
