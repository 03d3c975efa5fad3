"""The one SQLite file of a home folder: opening it, and its tables by version.

Several processes use it at once (app, dispatcher, workers, command line): write-ahead logging, a busy timeout, and short
transactions that begin IMMEDIATE.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sleepfm.errors import SleepFMError

_PATIENCE_S = 30.0

_MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE studies (
        id TEXT PRIMARY KEY,
        path TEXT NOT NULL UNIQUE,
        format TEXT NOT NULL,
        start TEXT,
        duration_s REAL NOT NULL,
        channels INTEGER NOT NULL,
        modalities TEXT NOT NULL,
        problems TEXT NOT NULL,
        simulated INTEGER NOT NULL,
        montage TEXT NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha256 TEXT,
        quality REAL,
        bad_channels TEXT,
        added_at TEXT NOT NULL
    );
    CREATE INDEX studies_added ON studies (added_at DESC, id);
    CREATE TABLE scorings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        engine TEXT NOT NULL,
        model TEXT NOT NULL,
        file TEXT NOT NULL,
        provenance TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX scorings_study ON scorings (study, created_at DESC);
    CREATE TABLE corrections (
        montage TEXT NOT NULL,
        channel INTEGER NOT NULL,
        label TEXT NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (montage, channel)
    );
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        lane TEXT NOT NULL,
        title TEXT NOT NULL,
        subject TEXT,
        parameters TEXT NOT NULL,
        state TEXT NOT NULL,
        progress REAL NOT NULL DEFAULT 0,
        message TEXT NOT NULL DEFAULT '',
        result TEXT,
        error TEXT,
        stop_requested INTEGER NOT NULL DEFAULT 0,
        pid INTEGER,
        pid_started REAL,
        created_at TEXT NOT NULL,
        started_at TEXT,
        finished_at TEXT
    );
    CREATE INDEX jobs_state ON jobs (state, created_at);
    CREATE INDEX jobs_subject ON jobs (subject, created_at DESC);
    """,
    """
    CREATE TABLE facts (
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (study, name)
    );
    CREATE INDEX facts_name ON facts (name, value);
    CREATE TABLE outcomes (
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        condition TEXT NOT NULL,
        event INTEGER NOT NULL,
        years REAL NOT NULL,
        PRIMARY KEY (study, condition)
    );
    CREATE INDEX outcomes_condition ON outcomes (condition);
    CREATE TABLE subsets (
        name TEXT PRIMARY KEY,
        studies TEXT NOT NULL,
        note TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE TABLE indexes (
        encoder TEXT NOT NULL,
        grain TEXT NOT NULL,
        recipe TEXT NOT NULL,
        embed_dim INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        PRIMARY KEY (encoder, grain)
    );
    CREATE TABLE index_blocks (
        encoder TEXT NOT NULL,
        grain TEXT NOT NULL,
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        first_row INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        modalities TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        embeddings_key TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (encoder, grain, study)
    );
    CREATE TABLE risks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        model TEXT NOT NULL,
        weights_sha256 TEXT NOT NULL,
        age REAL,
        sex TEXT,
        file TEXT NOT NULL,
        provenance TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX risks_study ON risks (study, created_at DESC);
    """,
    """
    ALTER TABLE jobs ADD COLUMN devices INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE jobs ADD COLUMN launcher TEXT NOT NULL DEFAULT 'local';
    ALTER TABLE jobs ADD COLUMN external TEXT;
    ALTER TABLE jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE jobs ADD COLUMN kill_requested INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN submitted_by TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN note TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN parent TEXT;
    ALTER TABLE jobs ADD COLUMN version TEXT NOT NULL DEFAULT '';
    CREATE INDEX jobs_kind ON jobs (kind, created_at DESC);
    CREATE TABLE users (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL CHECK (role IN ('viewer', 'scorer', 'admin')),
        password TEXT,
        failures INTEGER NOT NULL DEFAULT 0,
        locked_until TEXT,
        created_at TEXT NOT NULL
    );
    CREATE TABLE sessions (
        token_sha256 TEXT PRIMARY KEY,
        user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
        created_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        ends_at TEXT NOT NULL
    );
    CREATE INDEX sessions_user ON sessions (user);
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        user TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '{}'
    );
    CREATE INDEX audit_subject ON audit (subject, id DESC);
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
    """,
    # a review is a person's scoring: a row of `scorings` whose stages and events stand here, with every edit of them; the log has
    # no reference to the rest, so that it outlives what it tells of
    """
    CREATE TABLE reviews (
        scoring INTEGER PRIMARY KEY REFERENCES scorings (id) ON DELETE CASCADE,
        study TEXT NOT NULL,
        scorer TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'reviewed', 'signed')),
        stages BLOB NOT NULL,
        proposed BLOB NOT NULL,
        probabilities BLOB,
        version INTEGER NOT NULL DEFAULT 0,
        signed_by TEXT,
        signed_at TEXT,
        signed_sha256 TEXT,
        changed_at TEXT NOT NULL
    );
    CREATE INDEX reviews_study ON reviews (study);
    CREATE TABLE review_events (
        scoring INTEGER NOT NULL REFERENCES reviews (scoring) ON DELETE CASCADE,
        id TEXT NOT NULL,
        start_s REAL NOT NULL,
        stop_s REAL NOT NULL,
        name TEXT NOT NULL,
        channel TEXT NOT NULL,
        source TEXT NOT NULL,
        extra TEXT NOT NULL DEFAULT '{}',
        PRIMARY KEY (scoring, id)
    ) WITHOUT ROWID;
    CREATE TABLE edits (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        scoring INTEGER NOT NULL,
        study TEXT NOT NULL,
        key TEXT NOT NULL,
        at TEXT NOT NULL,
        user TEXT NOT NULL,
        action TEXT NOT NULL,
        concerns INTEGER,
        patch TEXT NOT NULL,
        note TEXT NOT NULL DEFAULT '',
        UNIQUE (scoring, key)
    );
    CREATE INDEX edits_study ON edits (study, id);
    CREATE TRIGGER edits_are_not_changed BEFORE UPDATE ON edits
        BEGIN SELECT RAISE(ABORT, 'the log of edits is only added to'); END;
    CREATE TRIGGER edits_are_not_deleted BEFORE DELETE ON edits
        BEGIN SELECT RAISE(ABORT, 'the log of edits is only added to'); END;
    CREATE TABLE event_sets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        study TEXT NOT NULL REFERENCES studies (id) ON DELETE CASCADE,
        engine TEXT NOT NULL,
        model TEXT NOT NULL,
        file TEXT NOT NULL,
        provenance TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        created_at TEXT NOT NULL
    );
    CREATE INDEX event_sets_study ON event_sets (study, id DESC);
    """,
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, bringing its tables to the current version.

    Raises
    ------
    SleepFMError
        When it cannot be opened now (a full disk, a folder that may not be written, another process that holds it), the file is
        not a database, or was written by a newer version.
    """
    try:
        # autocommit mode: transactions are begun by `transaction`, never by the driver behind our back
        connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        _log_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")  # a row that is replaced counts as deleted: the audit log refuses it
        _migrate(connection, path)
    except sqlite3.OperationalError as error:  # nothing is wrong with the file: it must not be moved away for this
        raise SleepFMError(
            f"{path}: the library cannot be opened now ({error}); see that its disk has room and its folder may be written,"
            " and try again"
        ) from error
    except sqlite3.DatabaseError as error:
        raise SleepFMError(
            f"{path}: the library cannot be opened ({error}); restore it from a backup or move the file away to start anew"
        ) from error
    return connection


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; no busy timeout covers this, so processes that open a new file at once take turns."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if _version(connection) == len(_MIGRATIONS):
        return
    with transaction(connection):
        version = _version(connection)  # again: another process may have migrated while this one waited
        if version > len(_MIGRATIONS):
            raise SleepFMError(f"{path}: this library was written by a newer SleepFM Workbench; update the software to open it")
        for number in range(version, len(_MIGRATIONS)):
            for statement in _statements(_MIGRATIONS[number]):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _statements(script: str) -> Iterator[str]:
    """Give the statements of a script; a trigger's inner semicolons do not end it."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if statement.strip() and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction: all of it is stored, or nothing.

    Raises
    ------
    SleepFMError
        When the disk is full or the database stays locked; nothing of the block is stored then.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise SleepFMError(f"the library is busy ({error}); try again in a moment") from error
    try:
        yield
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        _roll_back(connection)
        raise SleepFMError(f"the library could not be written ({error}); free some space and try again") from error
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    """Take back what a transaction has done; on a full disk SQLite has done so itself, and there is none any more."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
