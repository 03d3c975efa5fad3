"""Passwords: what is accepted, and how one is kept (argon2id with the parameters of RFC 9106, section 4)."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sleepfm.errors import RequestError

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 1000
"""A longer text is no password; hashing takes time that grows with it."""

_HASHER = PasswordHasher()


def require_strong(password: str, name: str) -> None:
    """Refuse a password that would be guessed.

    Raises
    ------
    RequestError
        When the password is too short, too long, or nothing but the user's name; the line never repeats it.
    """
    if len(password) < LEAST_CHARACTERS:
        raise RequestError(f"the password is too short: at least {LEAST_CHARACTERS} characters, a few words do well")
    if len(password) > MOST_CHARACTERS:
        raise RequestError(f"the password is too long: at most {MOST_CHARACTERS} characters")
    if len(set(password)) < 4 or password.lower() in (name, name.partition("@")[0] * 2):
        raise RequestError("the password is too easy to guess; a few words do well")


def hash_password(password: str) -> str:
    """Return the hash to keep."""
    return _HASHER.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether a password belongs to a hash; takes as long when there is no hash (no such user, or none with a password)."""
    try:
        matches = _HASHER.verify(kept or _nobodys_hash(), password[: MOST_CHARACTERS + 1])
    except (VerificationError, InvalidHashError):
        return False
    return matches and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_hex(16))
