"""Accounts: passwords, the lock, and what happens to those who are removed or changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.administration import passwords
from sleepfm.administration.accounts import FREE_ATTEMPTS, Accounts, lock_after, user_name
from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import Sessions
from sleepfm.errors import RequestError
from sleepfm.runs.database import connect

PASSWORD = "seven quiet nights"
REAL_HASHER = passwords._HASHER
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """Hash with little work: the tests are about what is done with hashes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords._nobodys_hash.cache_clear()
        yield
    passwords._nobodys_hash.cache_clear()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "library.sqlite")) as opened:
        yield opened


@pytest.fixture
def accounts(connection: sqlite3.Connection) -> Accounts:
    made = Accounts(connection)
    made.add("Anna", Role.ADMIN, PASSWORD, by="test")
    made.add("ben", Role.SCORER, PASSWORD, by="test")
    return made


def test_a_user_signs_in_with_their_password_and_any_case_of_their_name(accounts: Accounts) -> None:
    found = accounts.sign_in(" ANNA ", PASSWORD)
    assert found is not None
    assert (found.name, found.role) == ("anna", Role.ADMIN)
    assert accounts.sign_in("anna", PASSWORD.upper()) is None
    assert accounts.sign_in("nobody", PASSWORD) is None


@pytest.mark.usefixtures("accounts")
def test_the_database_holds_no_password(connection: sqlite3.Connection) -> None:
    stored = connection.execute("SELECT password FROM users").fetchall()
    assert all(row[0].startswith("$argon2id$") for row in stored)
    assert len({row[0] for row in stored}) == 2, "the same password has two hashes"
    assert PASSWORD not in "".join(connection.iterdump())


def test_real_hashes_are_argon2id_as_rfc_9106_recommends() -> None:
    parameters = argon2.extract_parameters(REAL_HASHER.hash(PASSWORD))
    assert parameters.type is argon2.Type.ID
    assert parameters.memory_cost >= 64 * 1024
    assert parameters.time_cost >= 3


@pytest.mark.parametrize("password", ["", "tiny words", "aaaaaaaaaaaaaaaa", "x" * 1001, "a-name-of-its-own"])
def test_weak_passwords_are_refused_without_being_repeated(accounts: Accounts, password: str) -> None:
    with pytest.raises(RequestError) as refused:
        accounts.add("a-name-of-its-own", Role.VIEWER, password, by="test")
    assert not password or password not in str(refused.value)
    assert accounts.find("a-name-of-its-own") is None


@pytest.mark.parametrize("name", ["", " ", "a b", "-rf", "ann\u0430", "\u212aarl", "a" * 255, "a\nb", "<b>", "../x"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="cannot be a user's name"):
        user_name(name)


def test_a_letter_that_only_becomes_another_when_made_small_finds_nobody(accounts: Accounts) -> None:
    accounts.add("karl@site.org", Role.ADMIN, PASSWORD, by="test")
    assert accounts.find("\u212aarl@site.org") is None
    assert accounts.sign_in("\u212aarl@site.org", PASSWORD) is None
    assert accounts.find("KARL@site.org") is not None


def test_wrong_passwords_lock_the_account_even_for_the_right_one(accounts: Accounts) -> None:
    for _ in range(FREE_ATTEMPTS - 1):
        assert accounts.sign_in("ben", "wrong", now=NOW) is None
    assert accounts.known("ben").locked_until is None
    assert accounts.sign_in("ben", "wrong", now=NOW) is None
    until = accounts.known("ben").locked_until
    assert until == NOW + lock_after(FREE_ATTEMPTS)
    assert accounts.sign_in("ben", PASSWORD, now=until - timedelta(seconds=1)) is None
    assert accounts.sign_in("anna", PASSWORD, now=NOW) is not None, "the others are not concerned"
    assert accounts.sign_in("ben", PASSWORD, now=until) is not None
    assert accounts.known("ben").failures == 0


def test_who_guesses_on_keeps_an_account_locked_and_it_opens_when_they_stop(accounts: Accounts) -> None:
    now = NOW
    for _ in range(40):
        accounts.sign_in("ben", "guess", now=now)
        now = accounts.known("ben").locked_until or now
    accounts.sign_in("ben", "guess", now=now)
    assert accounts.sign_in("ben", PASSWORD, now=now + timedelta(minutes=14)) is None, "one guess locks it anew"
    assert accounts.sign_in("ben", PASSWORD, now=now + timedelta(minutes=15)) is not None
    accounts.sign_in("ben", "guess", now=now + timedelta(minutes=16))
    assert accounts.sign_in("ben", PASSWORD, now=now + timedelta(minutes=16)) is not None, "and the count begins anew"


def test_attempts_while_locked_make_neither_the_lock_nor_the_log_longer(
    accounts: Accounts, connection: sqlite3.Connection
) -> None:
    for _ in range(FREE_ATTEMPTS + 20):
        accounts.sign_in("ben", "wrong", now=NOW)
    assert accounts.known("ben").locked_until == NOW + lock_after(FREE_ATTEMPTS)
    assert [one.action for one in entries(connection, subject="ben")] == ["account locked", "add user"]


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_lock_grows_with_the_failures_and_never_beyond_a_quarter_of_an_hour(few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert lock_after(few) <= lock_after(many) <= timedelta(minutes=15)
    assert (lock_after(few) > timedelta(0)) == (few >= FREE_ATTEMPTS)


def test_a_guesser_gets_few_guesses_a_day(accounts: Accounts) -> None:
    now, looked_at = NOW, 0
    while now < NOW + timedelta(days=1):
        accounts.sign_in("ben", "guess", now=now)
        looked_at += 1
        now = max(now, accounts.known("ben").locked_until or now)
    assert looked_at < 120


def test_unknown_locked_and_passwordless_users_take_as_long_as_a_wrong_password(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add("cleo@example.org", Role.VIEWER, None, by="test")
    for _ in range(FREE_ATTEMPTS):
        accounts.sign_in("ben", "wrong", now=NOW)
    looked_at: list[str] = []
    real = passwords._HASHER.verify

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            looked_at.append(password)
            return bool(real(kept, password))

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for name in ("nobody", "ben", "cleo@example.org", "anna"):
        assert accounts.sign_in(name, "wrong", now=NOW) is None
    assert looked_at == ["wrong"] * 4, "one hash is computed for each, whoever it is"


def test_an_account_of_the_identity_provider_has_no_password_that_fits(accounts: Accounts) -> None:
    accounts.add("cleo@example.org", Role.VIEWER, None, by="test")
    for guess in ("", "None", PASSWORD):
        assert accounts.sign_in("cleo@example.org", guess) is None


@pytest.mark.parametrize("change", ["remove", "role", "password"])
def test_whoever_is_removed_or_changed_is_signed_out_everywhere(
    accounts: Accounts, connection: sqlite3.Connection, change: str
) -> None:
    sessions = Sessions(connection)
    tokens = [sessions.begin("ben", 12) for _ in range(2)]
    annas = sessions.begin("anna", 12)
    if change == "remove":
        accounts.remove("ben", by="anna")
    elif change == "role":
        accounts.set_role("ben", Role.VIEWER, by="anna")
    else:
        accounts.set_password("ben", "another good night", by="anna")
    assert [sessions.find(token) for token in tokens] == [None, None]
    assert sessions.find(annas) is not None
    assert entries(connection, subject="ben")[0].user == "anna"


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    with pytest.raises(RequestError, match="only administrator"):
        accounts.remove("anna", by="anna")
    with pytest.raises(RequestError, match="only administrator"):
        accounts.set_role("anna", Role.VIEWER, by="anna")
    accounts.set_role("ben", Role.ADMIN, by="anna")
    accounts.remove("anna", by="ben")
    assert [one.name for one in accounts.list()] == ["ben"]


def test_a_name_is_taken_once(accounts: Accounts) -> None:
    with pytest.raises(RequestError, match="already"):
        accounts.add("BEN", Role.ADMIN, PASSWORD, by="test")
    assert accounts.known("ben").role is Role.SCORER


def test_a_password_changed_while_it_was_looked_at_does_not_let_in(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, connection: sqlite3.Connection
) -> None:
    real = passwords._HASHER.verify

    class Slow:
        def verify(self, kept: str, password: str) -> bool:
            connection.execute("UPDATE users SET password = 'another' WHERE name = 'ben'")
            return bool(real(kept, password))

        def check_needs_rehash(self, _kept: str) -> bool:
            return False

    monkeypatch.setattr(passwords, "_HASHER", Slow())
    assert accounts.sign_in("ben", PASSWORD) is None


def test_a_weak_old_hash_is_made_anew_when_its_user_signs_in(accounts: Accounts, connection: sqlite3.Connection) -> None:
    weak = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    connection.execute("UPDATE users SET password = ? WHERE name = 'ben'", (weak,))
    assert accounts.sign_in("ben", PASSWORD) is not None
    assert connection.execute("SELECT password FROM users WHERE name = 'ben'").fetchone()[0] != weak
    assert accounts.sign_in("ben", PASSWORD) is not None
