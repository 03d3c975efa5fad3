"""Sessions: they hold for whoever signed in, and end in every way that they should."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import IDLE, Sessions
from sleepfm.errors import RequestError
from sleepfm.runs.database import connect

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "library.sqlite")) as opened:
        Accounts(opened).add("anna", Role.ADMIN, None, by="test")
        yield opened


def test_only_the_hash_of_a_token_is_kept(connection: sqlite3.Connection) -> None:
    token = Sessions(connection).begin("anna", 12)
    assert len(token) >= 43, "256 random bits"
    assert token not in "".join(connection.iterdump())


def test_nobody_else_gets_a_session(connection: sqlite3.Connection) -> None:
    with pytest.raises(RequestError):
        Sessions(connection).begin("nobody", 12)


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=300))
def test_no_made_up_token_is_a_session(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(connect(Path(folder) / "library.sqlite")) as connection:
        Accounts(connection).add("anna", Role.ADMIN, None, by="test")
        sessions = Sessions(connection)
        token = sessions.begin("anna", 12)
        assert sessions.find(text) is None
        assert sessions.find(token[:-1]) is None
        assert sessions.find(connection.execute("SELECT token_sha256 FROM sessions").fetchone()[0]) is None


class SessionsMachine(RuleBasedStateMachine):
    """Random sign-ins, actions, waits and removals, beside a plain list of what must hold."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.connection = connect(Path(self.folder.name) / "library.sqlite")
        self.accounts, self.sessions = Accounts(self.connection), Sessions(self.connection)
        self.now = NOW
        self.roles: dict[str, Role] = {}
        self.expected: dict[str, tuple[str, datetime, datetime]] = {}
        self.accounts.add("root", Role.ADMIN, None, by="test")

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    def holds(self, token: str) -> bool:
        if token not in self.expected:
            return False
        _, seen, ends = self.expected[token]
        return self.now < ends and self.now < seen + IDLE

    def forget(self, user: str) -> None:
        self.expected = {token: one for token, one in self.expected.items() if one[0] != user}

    @rule(name=st.sampled_from(["anna", "ben"]), role=st.sampled_from(list(Role)))
    def add_or_change(self, name: str, role: Role) -> None:
        if name not in self.roles:
            self.accounts.add(name, role, None, by="test")
        elif self.roles[name] is not role:
            self.accounts.set_role(name, role, by="test")
            self.forget(name)
        self.roles[name] = role

    @precondition(lambda self: self.roles)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.roles)))
        self.accounts.remove(name, by="test")
        del self.roles[name]
        self.forget(name)

    @precondition(lambda self: self.roles)
    @rule(target=tokens, data=st.data(), hours=st.sampled_from([0.5, 3.0, 12.0]))
    def sign_in(self, data: st.DataObject, hours: float) -> str:
        name = data.draw(st.sampled_from(sorted(self.roles)))
        token = self.sessions.begin(name, hours, now=self.now)
        self.expected[token] = (name, self.now, self.now + timedelta(hours=hours))
        return token

    @rule(token=tokens)
    def act(self, token: str) -> None:
        self.sessions.seen(token, now=self.now)
        if self.holds(token):
            user, _, ends = self.expected[token]
            self.expected[token] = (user, self.now, ends)

    @rule(token=tokens)
    def sign_out(self, token: str) -> None:
        self.sessions.end(token)
        self.expected.pop(token, None)

    @rule(minutes=st.sampled_from([1, 29, 30, 119, 120, 121, 720]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        self.expected = {token: one for token, one in self.expected.items() if self.holds(token)}

    @rule(token=tokens)
    def look(self, token: str) -> None:
        found = self.sessions.find(token, now=self.now)
        assert (found is not None) == self.holds(token)
        if found is not None:
            assert found.user == self.expected[token][0]
            assert found.role is self.roles[found.user]

    @invariant()
    def all_as_expected(self) -> None:
        for token, (user, _, _) in self.expected.items():
            found = self.sessions.find(token, now=self.now)
            assert found is not None
            assert (found.user, found.role) == (user, self.roles[user])


TestSessionsHoldAndEnd = SessionsMachine.TestCase
TestSessionsHoldAndEnd.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
