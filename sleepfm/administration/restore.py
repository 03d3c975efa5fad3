"""Bringing a backup back: every checksum first, then into a new or empty home folder, whole or not at all.

An archive may come from anywhere: only plain files with plain names are taken from it, and only those that its own list names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sleepfm.administration.audit import record
from sleepfm.administration.backup import FORMAT, MANIFEST, PREFIX
from sleepfm.administration.home_files import DATABASE, portable
from sleepfm.administration.identity_provider import SECRETS_FILE
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.progress import Progress, part, silent
from sleepfm.runs.database import connect, transaction
from sleepfm.runs.table import JobTable, Lane
from sleepfm.text import printable, size_words

_BLOCK = 1 << 20
_SPARE_BYTES = 100_000_000
_MOST_MANIFEST_BYTES = 1 << 30
_MANIFEST_KEY = ""
"""Stands for the manifest among the members; no file of the home has an empty name."""
_WAS_RUNNING = "it was running when the backup was made; resume it or start it again"
_WAITED = "it waited when the backup was made; resume it or start it again"


class Manifest(BaseModel):
    """What a backup says of itself.

    Attributes
    ----------
    files
        Size in bytes, SHA-256 and time of the last change (nanoseconds since the epoch) by name.
    torn
        Files that lost their end while they were copied: they are not restored.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    software: str
    made_at: datetime
    home: str
    database_version: int
    everything: bool
    files: dict[str, tuple[int, str, int]]
    torn: tuple[str, ...] = ()
    left_out: dict[str, Any] = Field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(size for size, _, _ in self.files.values())


@dataclass(frozen=True)
class RestoreResult:
    """What was brought back.

    Attributes
    ----------
    home
        Where to.
    kept
        Where the home is now that was there before; None when there was none.
    crashed, stopped
        Jobs that were running when the backup was made, and that waited: an archive starts nothing by itself.
    """

    home: Path
    files: int
    studies: int
    kept: Path | None
    crashed: int
    stopped: int


def check(archive: Path | str, progress: Progress = silent) -> Manifest:
    """Read a backup through and compare every checksum.

    Raises
    ------
    RequestError
        There is no such file.
    SleepFMError
        It is no backup, not whole, damaged, of a newer version, or holds anything but plain files with plain names.
    """
    path = Path(archive).expanduser().absolute()
    with _opened(path) as opened:
        members = _members(path, opened)
        manifest = _manifest(path, opened, members)
        done = 0
        for name, (size, sha256, _) in manifest.files.items():
            progress(done / max(manifest.bytes, 1), f"checking {printable(name)}")
            for _ in _blocks(path, opened, members[name], name, sha256):
                progress(done / max(manifest.bytes, 1), f"checking {printable(name)}")
            done += size
    return manifest


def restore(archive: Path | str, root: Path | str, *, replace: bool = False, progress: Progress = silent) -> RestoreResult:
    """Bring a backup back into a home folder.

    Parameters
    ----------
    root
        The home; new or empty.
    replace
        Put it in the place of the home that is there, which is kept beside it under another name.

    Raises
    ------
    RequestError
        There is no such file; something is in the home already; or the home is in use.
    SleepFMError
        As `check`, or the disk is full. The home that is there stays as it was.
    """
    path, target = Path(archive).expanduser().absolute(), Path(root).expanduser().absolute()
    _require_file(path)
    there = require_place(target, replace=replace)
    manifest = check(path, part(progress, 0.0, 0.4))
    with _staging(target, manifest.bytes) as staging:
        _extract(path, manifest, staging, part(progress, 0.4, 0.95))
        progress(0.96, "looking through the library")
        studies, crashed, stopped = _settle(staging, target, manifest)
        kept = _swap(staging, target, there=there)
    return RestoreResult(target, len(manifest.files), studies, kept, crashed, stopped)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise RequestError(f"{path}: there is no such file; name a file that `sleepfm backup` made")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    _require_file(path)
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as opened:
            yield opened
    except (tarfile.TarError, EOFError, OverflowError, ValueError, MemoryError) as error:
        raise SleepFMError(f"{path}: is no backup, or damaged ({printable(str(error)) or type(error).__name__})") from error
    except PermissionError as error:
        raise SleepFMError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _members(path: Path, opened: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    """Return the home's files by name, and the manifest under `_MANIFEST_KEY`; anything else in the archive is refused."""
    members: dict[str, tarfile.TarInfo] = {}
    for member in opened:
        name = member.name.removeprefix(PREFIX)
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse() or not portable(name):
            raise SleepFMError(f"{path}: holds {printable(member.name)!r}, which is no plain file; nothing was restored")
        if member.name == MANIFEST:
            name = _MANIFEST_KEY
        elif member.name == name:
            raise SleepFMError(f"{path}: holds {printable(name)!r} beside the home's files; nothing was restored")
        if name.casefold() == SECRETS_FILE:
            raise SleepFMError(
                f"{path}: holds {SECRETS_FILE}, which is in no backup: it says who signs people in; nothing was restored"
            )
        if name in members:
            raise SleepFMError(f"{path}: holds {printable(member.name)!r} twice; nothing was restored")
        members[name] = member
    return members


def _manifest(path: Path, opened: tarfile.TarFile, members: dict[str, tarfile.TarInfo]) -> Manifest:
    member = members.pop(_MANIFEST_KEY, None)
    if member is None:
        raise SleepFMError(f"{path}: is no backup of SleepFM Workbench, or its end is missing; copy it again")
    content = opened.extractfile(member)
    if content is None or member.size > _MOST_MANIFEST_BYTES:
        raise SleepFMError(f"{path}: its list of files cannot be read")
    try:
        said = json.loads(content.read())
        if isinstance(said, dict) and isinstance(said.get("format"), int) and said["format"] > FORMAT:
            raise SleepFMError(f"{path}: was made by a newer SleepFM Workbench; update the software to restore it")
        manifest = Manifest.model_validate(said)
    except (ValueError, ValidationError, RecursionError):
        raise SleepFMError(f"{path}: its list of files is damaged; nothing was restored") from None
    odd = set(members) ^ (set(manifest.files) | set(manifest.torn))
    wrong = [name for name, (size, _, _) in manifest.files.items() if name not in odd and members[name].size != size]
    if odd or wrong or DATABASE not in manifest.files:
        named = sorted([*odd, *wrong])[:1] or [DATABASE]
        raise SleepFMError(f"{path}: {printable(named[0])!r} is not as its list of files says; nothing was restored")
    return manifest


def _blocks(path: Path, opened: tarfile.TarFile, member: tarfile.TarInfo, name: str, sha256: str) -> Iterator[bytes]:
    """Give a member's bytes; SleepFMError at their end when they are not what the list says."""
    source = opened.extractfile(member)
    digest = hashlib.sha256()
    while source is not None:
        try:
            block = source.read(_BLOCK)
        except OSError as error:
            raise SleepFMError(f"{path}: cannot be read ({error.strerror or error}); check the disk") from error
        if not block:
            break
        digest.update(block)
        yield block
    if digest.hexdigest() != sha256:
        raise SleepFMError(f"{path}: {printable(name)!r} is damaged in it (its checksum differs); nothing was restored")


def require_place(target: Path, *, replace: bool) -> bool:
    """Return whether something is in the home.

    Raises
    ------
    RequestError
        Something is there and may not be (`replace` is not asked for, or it is in use), or the path is no folder.
    """
    if os.path.lexists(target) and not target.is_dir():
        raise RequestError(f"{target}: is no folder; choose another for the home")
    if not target.is_dir() or not any(path.is_symlink() or not path.is_dir() for path in target.rglob("*")):
        return False
    if not replace:
        raise RequestError(
            f"{target}: something is there already; choose a new folder (the command takes --replace, and keeps what is there)"
        )
    busy = f"{target}: is in use; stop the app and its runs first"
    if (target / "runs").is_dir():
        try:
            with FileLock(target / "runs" / "dispatcher.lock", timeout=0):
                pass
        except Timeout:
            raise RequestError(busy) from None
    if (target / DATABASE).is_file():
        with closing(sqlite3.connect(target / DATABASE, timeout=0)) as connection:
            try:
                connection.execute("PRAGMA journal_mode = DELETE")  # only who has the file for himself may do this
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                    raise RequestError(busy) from None
    return True


@contextmanager
def _staging(target: Path, expected: int) -> Iterator[Path]:
    """Give a folder beside the home that is gone afterwards, unless it has become the home."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if expected + _SPARE_BYTES > free:
            raise SleepFMError(
                f"{target}: {size_words(expected)} do not fit on the disk ({size_words(free)} free); choose another disk"
            )
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise SleepFMError(f"{target}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        yield staging
    except OSError as error:
        raise SleepFMError(f"{target}: writing failed ({error.strerror or error}); free some space and try again") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _extract(path: Path, manifest: Manifest, staging: Path, progress: Progress) -> None:
    done = 0
    with _opened(path) as opened:
        members = _members(path, opened)
        if _manifest(path, opened, members) != manifest:
            raise SleepFMError(f"{path}: changed while it was read; nothing was restored")
        for name, (size, sha256, mtime_ns) in manifest.files.items():
            file = staging / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as written:
                file.chmod(0o600)  # patients' data
                for block in _blocks(path, opened, members[name], name, sha256):
                    progress(done / max(manifest.bytes, 1), f"{printable(name)} ({size_words(done)})")
                    written.write(block)
            os.utime(file, ns=(mtime_ns, mtime_ns))  # by its time the library knows an uploaded recording again
            done += size


def _settle(staging: Path, target: Path, manifest: Manifest) -> tuple[int, int, int]:
    """Make the table true at its new place: paths, jobs, sessions. Returns studies, crashed and stopped jobs."""
    home = Home(staging)
    for folder in (home.studies, home.models, home.runs):
        folder.mkdir(exist_ok=True)
    with closing(connect(home.database)) as connection:  # brings an older table up to date
        _require_sound(connection)
        now = datetime.now(UTC).isoformat()
        with transaction(connection):
            connection.execute("DELETE FROM sessions")
            crashed = connection.execute(
                "UPDATE jobs SET state = 'crashed', finished_at = ?, error = ?, pid = NULL, pid_started = NULL,"
                " stop_requested = 0, kill_requested = 0 WHERE state = 'running'",
                (now, _WAS_RUNNING),
            ).rowcount
            stopped = connection.execute(
                "UPDATE jobs SET state = 'stopped', finished_at = ?, error = ?, stop_requested = 0, kill_requested = 0"
                " WHERE state = 'queued'",
                (now, _WAITED),
            ).rowcount
            _move_paths(connection, manifest.home, target)
            record(
                connection,
                "restore",
                "restore a backup",
                str(target),
                {"made_at": manifest.made_at.isoformat(), "from": manifest.home, "software": manifest.software},
            )
        studies = [row["id"] for row in connection.execute("SELECT id FROM studies ORDER BY id")]
        bare = [study for study in studies if not (home.studies / study / "envelopes.bin").is_file()]
        if bare:
            JobTable(home, connection).add(
                "previews",
                lane=Lane.HEAVY,
                title="Make anew what the screen shows of restored studies",
                parameters={"studies": bare},
            )
    return len(studies), crashed, stopped


def _require_sound(connection: sqlite3.Connection) -> None:
    """Refuse a table that is damaged, or whose names would lead out of the home's folders."""
    said = connection.execute("PRAGMA quick_check").fetchone()[0]
    if said != "ok":
        raise SleepFMError(f"the backup's library is damaged ({printable(str(said))}); nothing was restored")
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        raise SleepFMError(
            "the backup's library does not hold together (rows of studies that are not there); nothing was restored"
        )
    folders = "SELECT id FROM studies UNION ALL SELECT id FROM jobs"
    files = (
        "SELECT file FROM scorings WHERE engine <> 'person' UNION ALL SELECT file FROM risks"  # a review has no file
        " UNION ALL SELECT file FROM event_sets"
    )
    for (name,) in connection.execute(f"{folders} UNION ALL {files}"):
        if not portable(str(name)) or "/" in str(name):
            raise SleepFMError(f"the backup's library names {printable(str(name))!r}, which is no name; nothing was restored")


def _move_paths(connection: sqlite3.Connection, before: str, now: Path) -> None:
    """Let what lay in the old home be found in the new one: uploaded recordings, datasets, runs."""
    for row in connection.execute("SELECT id, path FROM studies").fetchall():
        moved = _moved(row["path"], before, now)
        if moved != row["path"]:
            connection.execute("UPDATE studies SET path = ? WHERE id = ?", (moved, row["id"]))
    for row in connection.execute("SELECT id, parameters FROM jobs").fetchall():
        parameters = json.loads(row["parameters"])
        moved = _moved(parameters, before, now)
        if moved != parameters:
            connection.execute("UPDATE jobs SET parameters = ? WHERE id = ?", (json.dumps(moved, sort_keys=True), row["id"]))


def _moved(value: Any, before: str, now: Path) -> Any:
    """Return a value with the paths below the old home led into the new one, whichever system they were written on."""
    if isinstance(value, dict):
        return {key: _moved(inner, before, now) for key, inner in value.items()}
    if isinstance(value, list):
        return [_moved(inner, before, now) for inner in value]
    if isinstance(value, str) and value.startswith(before):
        kind = PurePosixPath if before.startswith("/") else PureWindowsPath
        if kind(value).is_relative_to(before):
            return str(now.joinpath(*kind(value).relative_to(before).parts))
    return value


def _swap(staging: Path, target: Path, *, there: bool) -> Path | None:
    """Put the folder in the home's place; return where the home is now that was there."""
    kept = None
    if there:
        kept = target.with_name(f"{target.name}-before-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        target.rename(kept)
    elif target.is_dir():
        shutil.rmtree(target)  # nothing but empty folders
    try:
        staging.rename(target)
    except OSError:
        if kept is not None:
            kept.rename(target)
        raise
    return kept
