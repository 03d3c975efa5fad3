"""Who is looking at a page, and what they may do there.

On this machine's own address there is one user, who may do everything. Elsewhere a page runs only for somebody who has
signed in: the cookie of the page's connection is looked up anew with every run.
"""

from __future__ import annotations

import getpass
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import streamlit as st

from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.library import Library

ROLE_WORDS = {
    Role.VIEWER: "may look at studies and results",
    Role.SCORER: "may also add, stage and export studies",
    Role.ADMIN: "may do everything",
}


@dataclass(frozen=True)
class User:
    """Somebody who uses the app.

    Attributes
    ----------
    local
        Whether this is the one user of an app that only answers on this machine.
    """

    name: str
    role: Role
    local: bool

    def may(self, needed: Role) -> bool:
        """Whether this user may do what asks for `needed`."""
        return self.role.allows(needed)


def local_user() -> User:
    """Return the one user of an app that only answers on this machine."""
    return User(getpass.getuser(), Role.ADMIN, local=True)


def current_user() -> User:
    """Return who is looking at the page that runs now."""
    return local_user()


def require(role: Role) -> User:
    """Return the user, or end the page with one line when they may not see it: every page's first statement."""
    user = current_user()
    if not user.may(role):
        st.error(f"This page asks for the role “{role}”; {user.name} has the role “{user.role}”. An administrator can change it.")
        st.stop()
    return user


@contextmanager
def acting(
    place: Library | sqlite3.Connection, action: str, subject: str = "", detail: Mapping[str, Any] | None = None
) -> Iterator[User]:
    """Do what only an admin may: the role is checked and the audit log written before the block runs.

    A block that fails leaves a second line saying so. `detail` never holds a secret.

    Raises
    ------
    RequestError
        When the user is no admin; nothing of the block has run then.
    """
    connection = place.connection if isinstance(place, Library) else place
    user = current_user()
    if not user.may(Role.ADMIN):
        record(connection, user.name, f"{action}: refused", subject, {"role": user.role})
        raise RequestError(f"{action}: only an administrator may do this; {user.name} has the role “{user.role}”")
    record(connection, user.name, action, subject, detail)
    try:
        yield user
    except SleepFMError as error:
        record(connection, user.name, f"{action}: failed", subject, {"why": str(error)})
        raise
