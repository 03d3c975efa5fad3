"""The log of who did what."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sleepfm.administration.audit import count, entries, record
from sleepfm.runs.database import connect, transaction


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "library.sqlite")) as opened:
        yield opened


def test_lines_come_back_newest_first_by_subject_and_user(connection: sqlite3.Connection) -> None:
    record(connection, "anna", "retire model", "old", {"why": "a better one is there"})
    record(connection, "ben", "start run", "run-1")
    record(connection, "anna", "start run", "run-2")
    assert [one.subject for one in entries(connection)] == ["run-2", "run-1", "old"]
    assert [one.subject for one in entries(connection, user="anna")] == ["run-2", "old"]
    assert entries(connection, subject="old")[0].detail == {"why": "a better one is there"}
    assert [one.subject for one in entries(connection, limit=1, offset=1)] == ["run-1"]
    assert (count(connection), count(connection, user="ben")) == (3, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET user = 'nobody'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit (id, at, user, action) VALUES (1, '', 'nobody', '')",
    ],
)
def test_what_is_written_stays(connection: sqlite3.Connection, statement: str) -> None:
    record(connection, "anna", "start run", "run-1")
    with pytest.raises(sqlite3.DatabaseError, match="only added to"):
        connection.execute(statement)
    assert [one.user for one in entries(connection)] == ["anna"]


def test_a_line_is_dropped_with_the_transaction_that_it_tells_of(connection: sqlite3.Connection) -> None:
    def breaks_off() -> None:
        with transaction(connection):
            record(connection, "anna", "start run", "run-1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_off()
    assert entries(connection) == []
