"""Who is looking at a page, and what they may do there.

On this machine's own address there is one user, who may do everything. Elsewhere a page runs only for somebody who has
signed in: the cookie of the page's connection is looked up anew with every run.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from streamlit import config

from sleepfm.administration.audit import record
from sleepfm.administration.readable_folders import others_reach_this_process
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import Session, Sessions
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.runs.database import connect
from sleepfm.runs.submitter import account_name, work_for
from sleepfm.text import plain

ROLE_WORDS = {
    Role.VIEWER: "looks at studies and results",
    Role.SCORER: "also adds, stages, scores, signs and exports studies, and asks for risks, neighbours and maps",
    Role.ADMIN: "does everything, models, training runs, settings and users included",
}
COOKIE = "sleepfm_session"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SCOPE_KEY = "sleepfm.user"
_SEEN_AS = "signed in as"


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


class _Guard:
    """Whether this process asks for sign-in, and where the sessions are; set once, before it serves."""

    home: Home | None = None


def ask_for_sign_in(home: Home | None) -> None:
    """Let pages of this process run only for those who have signed in to `home`; None: for the one local user."""
    _Guard.home = home
    others_reach_this_process(others=home is not None)


def local_user() -> User:
    """Return the one user of an app that only answers on this machine."""
    return User(account_name(), Role.ADMIN, local=True)


def user_of(session: Session) -> User:
    """Return the user whom a session belongs to."""
    return User(session.user, session.role, local=False)


def current_session() -> Session | None:
    """Return the session of the page that runs now; None for the local user, or when it has ended."""
    if _Guard.home is None:
        return None
    with closing(connect(_Guard.home.database)) as connection:
        return Sessions(connection).find(st.context.cookies.get(COOKIE))


def current_user() -> User:
    """Return who is looking at the page that runs now; the page ends here for somebody who is not signed in."""
    if _Guard.home is None:
        if config.get_option("server.address") not in LOOPBACK:
            # started in some other way than `sleepfm app`: nothing stands before the pages, so they show nothing
            st.error("Start the app with `sleepfm app`: only then it knows who may see these pages.")
            st.stop()
        return _seen(local_user())
    session = current_session()
    if session is None:
        st.info("You are signed out.")
        st.page_link("/sign-in", label="Sign in")
        st.stop()
    if st.session_state.setdefault(_SEEN_AS, session.user) != session.user:
        st.session_state.clear()  # what somebody else had on this page is not for this user
        st.rerun()
    return _seen(user_of(session))


def _seen(user: User) -> User:
    work_for(user.name)  # each page has a thread of its own
    return user


def require(role: Role) -> User:
    """Return the user, or end the page with one line when they may not do this: every page's and action's first statement."""
    user = current_user()
    if not user.may(role):
        st.error(
            plain(f"This asks for the role “{role}”; {user.name} has the role “{user.role}”. An administrator can change it.")
        )
        st.stop()
    return user


def sign_out() -> None:
    """End the session of the page that runs now."""
    if _Guard.home is not None and (token := st.context.cookies.get(COOKIE)):
        session = current_session()
        with closing(connect(_Guard.home.database)) as connection:
            Sessions(connection).end(token)
            if session is not None:
                record(connection, session.user, "sign out")


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


def admit(scope: MutableMapping[str, Any], user: User) -> None:
    """Note on a request whose it is."""
    scope[_SCOPE_KEY] = user


def user_of_request(request: Request) -> User | None:
    """Return whose request one of the app's own routes answers; None for nobody who has signed in."""
    user: User | None = request.scope.get(_SCOPE_KEY)
    return user or (local_user() if _Guard.home is None else None)


def requiring(role: Role, endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Let an own route answer only those who may do what asks for `role`; others get 403 as JSON {"error": ...}."""

    async def answer(request: Request) -> Response:
        user = user_of_request(request)
        if user is None or not user.may(role):
            return JSONResponse({"error": f"this asks for the role “{role}”"}, status_code=403)
        return await endpoint(request)

    return answer
