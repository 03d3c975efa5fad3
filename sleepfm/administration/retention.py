"""Tidying up: what is old and nobody needs any more, as a list that somebody looks at before anything goes.

Only four places are ever touched: logs of ended jobs, uploads that no study uses, checkpoints of finished runs whose model is on
the shelf, and diagnostics bundles. Studies, scorings, edits, models and reports are not among them, whatever their age.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from sleepfm.administration.app_settings import Retention, read_settings
from sleepfm.administration.home_files import DIAGNOSTICS, UPLOADS
from sleepfm.home import Home
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, silent
from sleepfm.runs.database import connect
from sleepfm.runs.run_files import log_file
from sleepfm.runs.table import TRAINING_KINDS, Job, JobState, JobTable
from sleepfm.text import printable

_MOST_JOBS = 1_000_000


class Sort(StrEnum):
    """What may go."""

    LOG = "log of an ended job"
    UPLOAD = "upload that no study uses"
    CHECKPOINT = "checkpoints of a finished run"
    DIAGNOSTICS = "diagnostics bundle"


@dataclass(frozen=True)
class OldThing:
    """A file or folder that may go.

    Attributes
    ----------
    name
        Its path below the home, with slashes.
    why
        What it is of, in a few words.
    """

    sort: Sort
    name: str
    bytes: int
    age_days: float
    why: str


@dataclass(frozen=True)
class TidyResult:
    """What went.

    Attributes
    ----------
    kept
        Names that were asked for and stay, because they are not old or not unused any more.
    """

    gone: int
    bytes: int
    kept: tuple[str, ...]


def old_things(home: Home, now: datetime | None = None) -> list[OldThing]:
    """Return what may go by the settings, the oldest first. Looks only; nothing is changed.

    Raises
    ------
    SleepFMError
        When the settings cannot be read.
    """
    at, keep = now or datetime.now(UTC), read_settings(home).retention
    with closing(connect(home.database)) as connection:
        jobs = JobTable(home, connection).list(limit=_MOST_JOBS, archived=None)
        paths = [Path(row["path"]) for row in connection.execute("SELECT path FROM studies")]
    found = [*_logs(home, jobs, keep, at), *_checkpoints(home, jobs, keep, at)]
    found += [*_uploads(home, jobs, paths, keep, at), *_diagnostics(home, keep, at)]
    return sorted(found, key=lambda thing: -thing.age_days)


def tidy(home: Home, names: Collection[str], progress: Progress = silent, now: datetime | None = None) -> TidyResult:
    """Remove what was on the list and still may go.

    Parameters
    ----------
    names
        Of the things, as somebody saw them.
    """
    may_go = {thing.name: thing for thing in old_things(home, now)}
    gone = size = 0
    for number, name in enumerate(names):
        progress(number / len(names), printable(name))
        if name not in may_go:
            continue
        path = home.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if path.parent.parent == home.runs and not any(path.parent.iterdir()):
            path.parent.rmdir()  # a job that was no run had nothing there but its log
        gone, size = gone + 1, size + may_go[name].bytes
    return TidyResult(gone, size, tuple(name for name in names if name not in may_go))


def _logs(home: Home, jobs: Collection[Job], keep: Retention, at: datetime) -> Iterator[OldThing]:
    for job, age in _ended(jobs, keep.logs_days, at):
        yield from _thing(home, Sort.LOG, log_file(home, job.id), age, f"{job.title}, {job.state}")


def _checkpoints(home: Home, jobs: Collection[Job], keep: Retention, at: datetime) -> Iterator[OldThing]:
    shelf = {entry.name for entry in Shelf(home.models).entries(retired=True)}
    open_parents = {job.parent for job in jobs if job.open}
    for job, age in _ended(jobs, keep.checkpoints_days, at):
        done = job.state is JobState.FINISHED and job.kind in TRAINING_KINDS
        model = (job.result or {}).get("model")
        if done and model in shelf and job.id not in open_parents:
            folder = home.runs / job.id / "checkpoints"
            yield from _thing(home, Sort.CHECKPOINT, folder, age, f"{job.title}; its model {model} is on the shelf")


def _ended(jobs: Collection[Job], days: int, at: datetime) -> Iterator[tuple[Job, float]]:
    for job in jobs:
        if not job.open and job.finished_at is not None and at - job.finished_at > timedelta(days=days):
            yield job, (at - job.finished_at) / timedelta(days=1)


def _uploads(home: Home, jobs: Collection[Job], studies: Collection[Path], keep: Retention, at: datetime) -> Iterator[OldThing]:
    used = {path.parent.name for path in studies if _lies_in(path, home.root / UPLOADS)}
    waiting = " ".join(json.dumps(job.parameters) for job in jobs if job.open and job.kind != "tidy")
    for folder in _entries(home.root / UPLOADS):
        if folder.name in used or folder.name in waiting:
            continue
        age = _age_days(folder, at)
        if age > keep.uploads_days:
            yield from _thing(home, Sort.UPLOAD, folder, age, ", ".join(path.name for path in _entries(folder)) or "empty")


def _lies_in(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) or path.resolve().is_relative_to(folder.resolve())


def _diagnostics(home: Home, keep: Retention, at: datetime) -> Iterator[OldThing]:
    for file in _entries(home.root / DIAGNOSTICS):
        age = _age_days(file, at)
        if age > keep.diagnostics_days:
            yield from _thing(home, Sort.DIAGNOSTICS, file, age, "made on the settings page")


def _thing(home: Home, sort: Sort, path: Path, age: float, why: str) -> Iterator[OldThing]:
    """Give the thing where it is there and no link: what a link leads to is somebody else's."""
    if os.path.lexists(path) and not path.is_symlink() and not path.parent.is_symlink():
        yield OldThing(sort, path.relative_to(home.root).as_posix(), _size(path), age, why)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _age_days(path: Path, at: datetime) -> float:
    """Return the age of the newest file, so that a folder in which something still happens is not old."""
    newest = max(_over(path, lambda found: found.st_mtime), default=0.0)
    return (at.timestamp() - newest) / 86_400


def _size(path: Path) -> int:
    return int(sum(_over(path, lambda found: found.st_size if stat.S_ISREG(found.st_mode) else 0)))


def _over(path: Path, value: Callable[[os.stat_result], float]) -> Iterator[float]:
    for one in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        try:
            yield value(one.lstat())
        except FileNotFoundError:
            continue
