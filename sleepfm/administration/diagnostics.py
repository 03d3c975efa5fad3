"""A bundle for whoever helps: versions, machine, settings, how much there is, and the last errors; nothing of any patient.

Everything that people or files brought in passes through `scrubbing`; everything else is numbers and words of the software.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from sleepfm import __version__
from sleepfm.administration.app_settings import read_settings
from sleepfm.administration.home_files import list_files
from sleepfm.administration.scrubbing import Scrubber
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.home import Home
from sleepfm.progress import Progress, silent
from sleepfm.runs.database import connect
from sleepfm.runs.devices import gpus
from sleepfm.runs.kinds import KINDS
from sleepfm.runs.run_files import log_tail
from sleepfm.runs.submitter import account_name
from sleepfm.runs.table import Job, JobState, JobTable

_PACKAGES = (
    "torch", "numpy", "scipy", "h5py", "pandas", "scikit-learn", "streamlit", "plotly", "pydantic", "yasa", "mne", "safetensors",
    "submitit", "argon2-cffi", "Authlib", "psutil",
)  # fmt: skip
_TABLES = (
    "studies", "scorings", "corrections", "jobs", "facts", "outcomes", "subsets", "indexes", "index_blocks", "risks", "users",
    "sessions", "audit", "reviews", "review_events", "edits", "event_sets",
)  # fmt: skip
_FOLDERS = (".", "studies", "models", "runs", "uploads", "demo", "datasets", "indexes", "maps", "splits")
_MOST_ERRORS, _MOST_LOGS, _LOG_LINES = 50, 10, 60

_READ_ME = """SleepFM Workbench, diagnostics

about.json     versions, machine, settings without secrets, how many of everything
errors.json    the last jobs that failed, with their messages
logs/          the last lines of what those jobs said, by their place in errors.json

Names, ids, file names, paths, dates and numbers were taken out of messages and logs: <word 1>, <path 2> and # stand for
them, always the same for the same thing. Look it through before you send it.
"""


def write_diagnostics(home: Home, out: Path | str, progress: Progress = silent) -> Path:
    """Write the bundle, a zip file, and return where it is.

    Raises
    ------
    RequestError
        The file is there already.
    SleepFMError
        It cannot be written.
    """
    target = Path(out).expanduser().absolute()
    if target.is_dir():
        target = target / f"sleepfm-diagnostics-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip"
    if os.path.lexists(target):
        raise RequestError(f"{target}: is there already and is not written over; choose another name")
    progress(0.0, "reading the tables")
    texts = {"README.txt": _READ_ME} | _contents(home, progress)
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(name, text)
    return target


def _contents(home: Home, progress: Progress) -> dict[str, str]:
    """Return the bundle's other files by name."""
    about: dict[str, Any] = {"software": _software(), "machine": _machine(home), "settings": _settings(home)}
    try:
        with closing(connect(home.database)) as connection:
            scrubber = Scrubber(_identifying(home, connection))
            about["library"] = _library(home, connection)
            failed = _failed(home, connection)
    except SleepFMError as error:  # a damaged library is what one wants to hear of
        scrubber = Scrubber([str(home.root), *_this_account()])
        about["library"] = {"cannot be opened": scrubber.scrub(str(error))}
        failed = ()
    texts = {"about.json": json.dumps(about, indent=2)}
    now = datetime.now(UTC)
    progress(0.3, "taking names out of messages")
    errors = [_error(job, scrubber, now) for job in failed]
    texts["errors.json"] = json.dumps([{"number": number, **error} for number, error in enumerate(errors, 1)], indent=2)
    for number, job in enumerate(failed[:_MOST_LOGS], 1):
        progress(0.5 + 0.05 * number, "taking names out of logs")
        if tail := log_tail(home, job.id, _LOG_LINES):
            texts[f"logs/{number}.txt"] = scrubber.scrub(tail)
    return texts


def _software() -> dict[str, Any]:
    packages = {}
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            packages[name] = metadata.version(name)
    return {"sleepfm": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "packages": packages}


def _machine(home: Home) -> dict[str, Any]:
    disk = shutil.disk_usage(home.root)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "memory_free_gb": round(psutil.virtual_memory().available / 1e9, 1),
        "gpus": len(gpus()),
        "disk_gb": round(disk.total / 1e9, 1),
        "disk_free_gb": round(disk.free / 1e9, 1),
        "filesystem_encoding": sys.getfilesystemencoding(),
    }


def _settings(home: Home) -> dict[str, Any]:
    """Return the settings with every text that somebody wrote turned into whether, and how many."""
    try:
        settings = read_settings(home)
    except SleepFMError:
        return {"cannot be read": "see the settings page"}
    cluster = {name: _plain(value) for name, value in settings.cluster.model_dump().items()}
    return {
        "device": settings.device,
        "precision": settings.precision,
        "folders": "everything that the account may read" if settings.folders is None else len(settings.folders),
        "retention": settings.retention.model_dump(),
        "session_hours": settings.session_hours,
        "cluster": cluster,
    }


def _plain(value: object) -> object:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return f"{len(value)} lines"
    return "set" if value else "not set"


def _library(home: Home, connection: sqlite3.Connection) -> dict[str, Any]:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    listing = list_files(home, everything=True)
    folders: dict[str, list[int]] = {}
    for name, size in listing.files.items():
        top = name.split("/")[0] if "/" in name else "."
        counted = folders.setdefault(top if top in _FOLDERS else "other", [0, 0])
        counted[0] += 1
        counted[1] += size
    return {
        "migration": version,
        "rows": {name: int(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in _TABLES},
        "jobs": {
            f"{row['kind'] if row['kind'] in KINDS else 'other'} {row['state']}": row["n"]
            for row in connection.execute("SELECT kind, state, count(*) AS n FROM jobs GROUP BY kind, state ORDER BY kind, state")
        },
        "files": {name: {"files": files, "mb": round(size / 1e6, 1)} for name, (files, size) in sorted(folders.items())},
        "database_mb": round(home.database.stat().st_size / 1e6, 1),
    }


def _failed(home: Home, connection: sqlite3.Connection) -> tuple[Job, ...]:
    states = (JobState.FAILED, JobState.CRASHED)
    return JobTable(home, connection).list(states=states, archived=None, limit=_MOST_ERRORS)


def _error(job: Job, scrubber: Scrubber, now: datetime) -> dict[str, Any]:
    """Return what is told of a failed job: how long ago, not when."""
    ended = job.finished_at or job.created_at
    return {
        "kind": job.kind if job.kind in KINDS else "other",
        "state": job.state.value,
        "hours_ago": round((now - ended).total_seconds() / 3600, 1),
        "seconds": None if job.started_at is None else round((ended - job.started_at).total_seconds(), 1),
        "attempt": job.attempt,
        "launcher": job.launcher if job.launcher in ("local", "slurm") else "other",
        "progress": round(job.progress, 3),
        "message": scrubber.scrub(job.message),
        "error": scrubber.scrub(job.error or ""),
    }


def _identifying(home: Home, connection: sqlite3.Connection) -> Iterator[str]:
    """Give every text of the library that may name a person, a place or a file."""
    yield str(home.root)
    yield from _this_account()
    yield from _named_folders(home)
    for query in (
        "SELECT id FROM studies",
        "SELECT path FROM studies",
        "SELECT DISTINCT value FROM facts",
        "SELECT name FROM subsets UNION SELECT note FROM subsets",
        "SELECT name FROM users",
        "SELECT DISTINCT user FROM audit UNION SELECT DISTINCT subject FROM audit",
        "SELECT title FROM jobs WHERE kind IN ('pretrain', 'finetune', 'dataset')",
        "SELECT DISTINCT subject FROM jobs WHERE subject IS NOT NULL",
        "SELECT DISTINCT submitted_by FROM jobs",
        "SELECT DISTINCT note FROM jobs",
        "SELECT DISTINCT label FROM corrections",
        "SELECT scorer FROM reviews UNION SELECT user FROM edits",
    ):
        yield from (str(text) for (text,) in connection.execute(query))
    for folder in (home.models, home.datasets):
        if folder.is_dir():
            yield from (path.name for path in folder.iterdir())


def _named_folders(home: Home) -> list[str]:
    """Return the folders that an admin named."""
    try:
        return [str(folder) for folder in read_settings(home).folders or ()]
    except SleepFMError:
        return []


def _this_account() -> list[str]:
    return [account_name(), str(Path.home()), socket.gethostname()]
