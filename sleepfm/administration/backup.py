"""A backup of a home folder in one file, made while the app and its jobs go on working.

Form: a tar archive of plain files under `sleepfm-home/`, so that any tool can read it, with `manifest.json` as its last
member: what is in it, with size, SHA-256 and time of each file. An archive without its last member is not whole and is refused.

The table and the files belong together: a scoring's file is written before its row is committed, and removed after. So files
are copied first, without stopping anybody; then, in one transaction in which nothing can be written and nothing migrates, the
table's state is held and what came since is copied; then the held table is copied at leisure.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from sleepfm import __version__
from sleepfm.administration.home_files import BACKUPS, DATABASE, UPLOADS, Listing, list_files
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.progress import Progress, part, silent
from sleepfm.runs.database import connect, transaction
from sleepfm.text import printable, size_words

FORMAT = 1
MANIFEST = "manifest.json"
PREFIX = "sleepfm-home/"
_SMALL = 1 << 20
"""Up to this size a file is read in one go, so that one that changes meanwhile is there as it was at one moment."""
_PAGES = 2_000
_ROUNDS = 5
_SPARE_BYTES = 100_000_000


@dataclass(frozen=True)
class BackupResult:
    """What a backup holds.

    Attributes
    ----------
    left_out
        `derived` (files), `derived_bytes`, `unused_uploads` (files), and `skipped`: names of links and of files whose names no
        other machine would take.
    """

    path: Path
    files: int
    bytes: int
    seconds: float
    left_out: dict[str, Any]


def back_up(home: Home, out: Path | str, *, everything: bool = False, progress: Progress = silent) -> BackupResult:
    """Write a backup; whatever goes wrong, nothing half-written stays.

    Parameters
    ----------
    out
        The file to write; a folder gets a file named by the day.
    everything
        Also what can be made again: converted signals, embeddings, indexes, maps, datasets.

    Raises
    ------
    RequestError
        The file is there already, or lies in the home itself.
    SleepFMError
        The disk is full, or a file of the home cannot be read.
    """
    started = time.monotonic()
    target = _target(home, Path(out).expanduser().absolute())
    progress(0.0, "looking through the home folder")
    listing = list_files(home, everything=everything)
    total = sum(listing.files.values()) + _database_bytes(home)
    with _private_file(target, total) as (temporary, work):
        with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
            writer = _Writer(home, archive, part(progress, 0.02, 0.98), total)
            _copy_files(writer, listing, everything=everything)
            with closing(_hold(home, writer, everything=everything)) as held:
                uploads = [name for name in list_files(home, everything=everything).files if _is_upload(name)]
                used = set(uploads) if everything else _used_uploads(home, held)
                writer.copy(name for name in uploads if name in used)
                writer.copy_database(held, work / DATABASE)
                version = int(held.execute("PRAGMA user_version").fetchone()[0])
            left_out = {
                "derived": listing.derived,
                "derived_bytes": listing.derived_bytes,
                "unused_uploads": len(set(uploads) - used),
                "skipped": [printable(name) for name in listing.skipped],
            }
            manifest = {
                "format": FORMAT,
                "software": __version__,
                "made_at": datetime.now(UTC).isoformat(),
                "home": str(home.root),
                "database_version": version,
                "everything": everything,
                "files": writer.files,
                "torn": writer.torn,
                "left_out": left_out,
            }
            _add_bytes(archive, MANIFEST, json.dumps(manifest, ensure_ascii=False).encode())
        progress(0.99, "finishing")
    size = target.stat().st_size
    return BackupResult(target, len(writer.files), size, time.monotonic() - started, left_out)


def _target(home: Home, out: Path) -> Path:
    if out.is_dir():
        out = out / f"sleepfm-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
    if os.path.lexists(out):
        raise RequestError(f"{out}: is there already and is not written over; choose another name")
    inside = out.resolve()
    root = home.root.resolve()
    if inside.is_relative_to(root) and not inside.is_relative_to(root / BACKUPS):
        raise RequestError(f"{out}: lies in the home folder that is backed up; choose a place outside {home.root}")
    return out


def _database_bytes(home: Home) -> int:
    return home.database.stat().st_size if home.database.is_file() else 0


@contextmanager
def _private_file(target: Path, expected: int) -> Iterator[tuple[Path, Path]]:
    """Give a file and a folder to work in, beside the target, for this account's eyes only; in the end the file is the target."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if expected + _SPARE_BYTES > free:
            raise SleepFMError(
                f"{target}: about {size_words(expected)} do not fit on the disk ({size_words(free)} free); choose another disk"
            )
        # mkdtemp's folders are open to their owner only, and so stays what is moved out of it: patients' data
        work = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", suffix=".part", dir=target.parent))
    except OSError as error:
        raise SleepFMError(f"{target}: cannot be written ({error.strerror}); choose another folder") from error
    try:
        file = work / "backup"
        file.touch(mode=0o600)
        yield file, work
        with file.open("r+b") as written:
            os.fsync(written.fileno())
        if os.path.lexists(target):
            raise RequestError(f"{target}: came to be while the backup was made and is not written over; choose another name")
        file.rename(target)
    except OSError as error:
        raise SleepFMError(f"{target}: writing failed ({error.strerror or error}); free some space and try again") from error
    except sqlite3.Error as error:
        raise SleepFMError(f"{target}: not written, the library's table cannot be copied ({error})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass
class _Writer:
    """Puts files into the archive and remembers them."""

    home: Home
    archive: tarfile.TarFile
    progress: Progress
    total: int
    files: dict[str, list[Any]] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)
    done: int = 0

    def copy(self, names: Iterable[str]) -> None:
        """Copy files that are not in the archive yet; one that has gone meanwhile is left out."""
        for name in names:
            if name in self.files or name in self.torn:
                continue
            self._report(name)
            try:
                with (self.home.root / name).open("rb") as file:
                    self._copy(name, file)
            except FileNotFoundError:
                continue
            except PermissionError as error:
                raise SleepFMError(
                    f"{self.home.root / name}: cannot be read ({error.strerror}); a backup without it would not be whole"
                ) from None

    def _copy(self, name: str, file: BinaryIO) -> None:
        stat = os.fstat(file.fileno())
        if stat.st_size <= _SMALL:
            content = file.read()
            _add_bytes(self.archive, PREFIX + name, content, mtime=stat.st_mtime)
            self.files[name] = [len(content), hashlib.sha256(content).hexdigest(), stat.st_mtime_ns]
            self.done += len(content)
            return
        source = _Exactly(file, lambda: self._report(name))
        self.archive.addfile(_member(PREFIX + name, stat.st_size, stat.st_mtime), source)  # type: ignore[arg-type]
        self.done += stat.st_size
        if source.short:
            self.torn.append(name)
        else:
            self.files[name] = [stat.st_size, source.digest.hexdigest(), stat.st_mtime_ns]

    def copy_database(self, held: sqlite3.Connection, temporary: Path) -> None:
        """Copy the table as it is held, without what is of this moment only: who is signed in, and this backup's own job."""
        with closing(sqlite3.connect(temporary)) as copy:
            held.backup(copy, pages=_PAGES, progress=lambda *_: self._report("the library's table"))
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("PRAGMA secure_delete = ON")
            copy.execute("DELETE FROM sessions")
            copy.execute("DELETE FROM jobs WHERE kind = 'backup' AND state = 'running'")
            copy.commit()
        with temporary.open("rb") as file:
            self._copy(DATABASE, file)

    def _report(self, name: str) -> None:
        self.progress(min(1.0, self.done / max(self.total, 1)), f"{printable(name)} ({size_words(self.done)})")


class _Exactly:
    """Gives as many bytes as are asked for and hashes them; zeros stand for what a file lost while it was read."""

    def __init__(self, file: BinaryIO, report: Callable[[], None]) -> None:
        self.digest = hashlib.sha256()
        self.short = False
        self._file, self._report = file, report

    def read(self, wanted: int) -> bytes:
        """Return the next bytes."""
        self._report()
        block = self._file.read(wanted)
        if len(block) < wanted:
            self.short = True
            block += bytes(wanted - len(block))
        self.digest.update(block)
        return block


def _copy_files(writer: _Writer, listing: Listing, *, everything: bool) -> None:
    """Copy what is there, then what came meanwhile, until that is little; uploads wait for the table."""
    files: Iterable[str] = listing.files
    for _ in range(_ROUNDS):
        new = [name for name in files if name not in writer.files and not _is_upload(name)]
        writer.copy(new)
        if len(new) < 100:
            break
        files = list_files(writer.home, everything=everything).files


def _hold(home: Home, writer: _Writer, *, everything: bool) -> sqlite3.Connection:
    """Hold the table as it is in one moment, with all files that it speaks of in the archive."""
    with closing(connect(home.database)) as lock:
        held = connect(home.database)
        try:
            with transaction(lock):  # nobody writes now: not a row, not a migration, not a file that belongs to a row
                held.execute("BEGIN")
                held.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a read transaction begins with its first read
                files = list_files(home, everything=everything).files
                new = [name for name in files if name not in writer.files and not _is_upload(name)]
                writer.copy(name for name in new if files[name] <= _SMALL)
            writer.copy(new)
        except BaseException:
            held.close()
            raise
    return held


def _is_upload(name: str) -> bool:
    return name.startswith(f"{UPLOADS}/")


def _used_uploads(home: Home, held: sqlite3.Connection) -> set[str]:
    """Return the uploads that studies are made of; a WFDB header's signal files lie in its folder, which is its own."""
    folder = home.root / UPLOADS
    parents = {Path(row["path"]).parent for row in held.execute("SELECT path FROM studies")}
    # a path may have been kept in another spelling of the home
    used = parents | {parent.resolve() for parent in parents if not parent.is_relative_to(folder)}
    return {
        file.relative_to(home.root).as_posix()
        for parent in used
        if parent.is_relative_to(folder) and parent.is_dir()
        for file in parent.iterdir()
    }


def _member(name: str, size: int, mtime: float) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(mtime), 0o600
    return member


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes, *, mtime: float | None = None) -> None:
    archive.addfile(_member(name, len(content), time.time() if mtime is None else mtime), io.BytesIO(content))
