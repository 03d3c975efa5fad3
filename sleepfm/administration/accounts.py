"""Who may sign in: the users of an installation, their roles and passwords, and the lock after wrong ones.

A user without a password signs in through the site's identity provider, which names them by e-mail. Whoever is removed or
changed is signed out everywhere in the same transaction, and the audit log says by whom.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sleepfm.administration.audit import record
from sleepfm.administration.passwords import fits, hash_password, is_outdated, require_strong
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.runs.database import transaction
from sleepfm.text import printable

FREE_ATTEMPTS = 5
"""Wrong passwords in a row before the account is locked."""
_FIRST_LOCK = timedelta(seconds=30)
_LONGEST_LOCK = timedelta(minutes=15)
"""Long enough to make guessing hopeless. Whoever guesses on, one wrong password each quarter of an hour, keeps the account
locked; it opens by itself a quarter of an hour after they stop, and at once with a new password from an administrator."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,253}", re.ASCII)


@dataclass(frozen=True)
class Account:
    """One user.

    Attributes
    ----------
    name
        In small letters; an e-mail address for those who sign in through an identity provider.
    has_password
        Whether they can sign in with a password.
    locked_until
        Until when no password is looked at; None when it is.
    """

    name: str
    role: Role
    has_password: bool
    failures: int
    locked_until: datetime | None
    created_at: datetime


def user_name(text: str) -> str:
    """Return a user's name as it is kept: small letters, no spaces around.

    Raises
    ------
    RequestError
        When it could not be one.
    """
    name = _as_kept(text)
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{printable(text[:80])!r} cannot be a user's name: letters a-z, digits and . _ @ + - (an e-mail address does)"
        )
    return name


def _as_kept(text: str) -> str:
    name = text.strip()
    return name.lower() if name.isascii() else name  # some other letters become a-z when made small: they are other names


def lock_after(failures: int) -> timedelta:
    """Return how long an account is locked after so many wrong passwords in a row: nothing at first, then ever longer."""
    if failures < FREE_ATTEMPTS:
        return timedelta(0)
    return min(_FIRST_LOCK * 2 ** min(failures - FREE_ATTEMPTS, 16), _LONGEST_LOCK)


class Accounts:
    """The users in the database of a home folder."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def list(self) -> list[Account]:
        """Return all users by name."""
        return [_account(row) for row in self._connection.execute("SELECT * FROM users ORDER BY name")]

    def find(self, name: str) -> Account | None:
        """Return a user, None when there is none of that name."""
        row = self._connection.execute("SELECT * FROM users WHERE name = ?", (_as_kept(name),)).fetchone()
        return None if row is None else _account(row)

    def add(self, name: str, role: Role, password: str | None, *, by: str) -> Account:
        """Add a user; without a password they come through the identity provider.

        Raises
        ------
        RequestError
            When the name is taken or cannot be one, or the password is not accepted.
        """
        name = user_name(name)
        if password is not None:
            require_strong(password, name)
        kept = None if password is None else hash_password(password)
        with transaction(self._connection):
            if self.find(name) is not None:
                raise RequestError(f"{name}: there is a user of this name already")
            self._connection.execute(
                "INSERT INTO users (name, role, password, created_at) VALUES (?, ?, ?, ?)",
                (name, role, kept, datetime.now(UTC).isoformat()),
            )
            record(self._connection, by, "add user", name, {"role": role, "password": kept is not None})
        return self.known(name)

    def remove(self, name: str, *, by: str) -> None:
        """Take a user away and end their sessions.

        Raises
        ------
        RequestError
            When there is none of that name, or they are the only administrator.
        """
        with transaction(self._connection):
            account = self.known(name)
            self._keep_an_admin(account)
            self._connection.execute("DELETE FROM sessions WHERE user = ?", (account.name,))
            self._connection.execute("DELETE FROM users WHERE name = ?", (account.name,))
            record(self._connection, by, "remove user", account.name, {"role": account.role})

    def set_role(self, name: str, role: Role, *, by: str) -> None:
        """Give a user another role and end their sessions.

        Raises
        ------
        RequestError
            When there is none of that name, or they are the only administrator.
        """
        with transaction(self._connection):
            account = self.known(name)
            if account.role is role:
                return
            self._keep_an_admin(account)
            self._connection.execute("UPDATE users SET role = ? WHERE name = ?", (role, account.name))
            self._connection.execute("DELETE FROM sessions WHERE user = ?", (account.name,))
            record(self._connection, by, "change role", account.name, {"from": account.role, "to": role})

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Give a user another password, end their sessions and lift a lock.

        Raises
        ------
        RequestError
            When there is none of that name, or the password is not accepted.
        """
        require_strong(password, user_name(name))
        kept = hash_password(password)
        with transaction(self._connection):
            account = self.known(name)
            self._connection.execute(
                "UPDATE users SET password = ?, failures = 0, locked_until = NULL WHERE name = ?", (kept, account.name)
            )
            self._connection.execute("DELETE FROM sessions WHERE user = ?", (account.name,))
            record(self._connection, by, "change password", account.name)

    def sign_in(self, name: str, password: str, *, now: datetime | None = None) -> Account | None:
        """Return the user whom a name and a password belong to, None when they do not fit or the account is locked.

        It takes as long whether there is such a user or not. An attempt counts before the password is looked at, so that
        many at once are no way around the lock.
        """
        now = now or datetime.now(UTC)
        with transaction(self._connection):
            row = self._connection.execute("SELECT * FROM users WHERE name = ?", (_as_kept(name),)).fetchone()
            locked = row is not None and row["locked_until"] is not None and datetime.fromisoformat(row["locked_until"]) > now
            lock = self._count_attempt(row, now) if row is not None and not locked else timedelta(0)
        kept = None if row is None or locked else row["password"]
        if not fits(kept, password) or kept is None:
            if lock:
                record(self._connection, row["name"], "account locked", row["name"], {"seconds": lock.total_seconds()})
            return None
        renewed = hash_password(password) if is_outdated(kept) else kept
        with transaction(self._connection):
            # the password may have been changed, or the user removed, while it was looked at
            changed = self._connection.execute(
                "UPDATE users SET failures = 0, locked_until = NULL, password = ? WHERE name = ? AND password = ?",
                (renewed, row["name"], kept),
            )
            return self.find(row["name"]) if changed.rowcount else None

    def known(self, name: str) -> Account:
        """Return a user.

        Raises
        ------
        RequestError
            When there is none of that name.
        """
        account = self.find(name)
        if account is None:
            raise RequestError(f"{printable(name[:80])}: there is no such user (sleepfm users list)")
        return account

    def _count_attempt(self, row: sqlite3.Row, now: datetime) -> timedelta:
        failures = row["failures"] + 1
        lock = lock_after(failures)
        self._connection.execute(
            "UPDATE users SET failures = ?, locked_until = ? WHERE name = ?",
            (failures, (now + lock).isoformat() if lock else None, row["name"]),
        )
        return lock

    def _keep_an_admin(self, account: Account) -> None:
        others = self._connection.execute("SELECT 1 FROM users WHERE role = ? AND name != ?", (Role.ADMIN, account.name))
        if account.role is Role.ADMIN and others.fetchone() is None:
            raise RequestError(f"{account.name} is the only administrator; make somebody else one first")


def _account(row: sqlite3.Row) -> Account:
    until = row["locked_until"]
    return Account(
        name=row["name"],
        role=Role(row["role"]),
        has_password=row["password"] is not None,
        failures=row["failures"],
        locked_until=None if until is None else datetime.fromisoformat(until),
        created_at=datetime.fromisoformat(row["created_at"]),
    )
