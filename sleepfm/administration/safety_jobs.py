"""What keeps an installation safe, as jobs: backup, restore into another folder, tidying up, diagnostics."""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sleepfm.administration.backup import back_up
from sleepfm.administration.diagnostics import write_diagnostics
from sleepfm.administration.home_files import BACKUPS, DIAGNOSTICS
from sleepfm.administration.readable_folders import require_readable
from sleepfm.administration.restore import require_place, restore
from sleepfm.administration.retention import tidy
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable, Lane


def backups(home: Home) -> list[Path]:
    """Return the backups that were made on the settings page, the newest first."""
    return sorted((home.root / BACKUPS).glob("*.tar"), reverse=True)


def diagnostics_bundles(home: Home) -> list[Path]:
    """Return the diagnostics bundles that were made on the settings page, the newest first."""
    return sorted((home.root / DIAGNOSTICS).glob("*.zip"), reverse=True)


def submit_backup(home: Home, *, everything: bool, submitted_by: str) -> Job:
    """Queue a backup into the home's folder of backups."""
    return _submit(home, "backup", "Back up the home folder", {"everything": everything}, submitted_by)


def submit_restore(home: Home, archive: str, into: str, *, submitted_by: str) -> Job:
    """Queue bringing a backup back into another folder than the home in use.

    Raises
    ------
    RequestError
        The archive is outside the folders that the app may read, the folder lies neither beside the home nor in them, or
        something is in it already.
    """
    source = archive if Path(archive) in backups(home) else str(require_readable(home, archive))
    target = Path(into).expanduser().absolute()
    if target.parent.resolve() != home.root.resolve().parent:
        require_readable(home, target)
    if target.resolve().is_relative_to(home.root.resolve()):
        raise RequestError(f"{target}: lies in the home folder that is in use; choose one beside it")
    require_place(target, replace=False)
    return _submit(home, "restore", f"Bring back {Path(source).name}", {"archive": source, "into": str(target)}, submitted_by)


def submit_tidy(home: Home, names: list[str], *, submitted_by: str) -> Job:
    """Queue the removal of things that somebody saw on the list."""
    return _submit(home, "tidy", f"Remove {len(names)} old things", {"names": names}, submitted_by)


def submit_diagnostics(home: Home, *, submitted_by: str) -> Job:
    """Queue a diagnostics bundle."""
    return _submit(home, "diagnostics", "Make a diagnostics bundle", {}, submitted_by)


def _submit(home: Home, kind: str, title: str, parameters: dict[str, Any], submitted_by: str) -> Job:
    with closing(JobTable(home)) as table:
        job = table.add(kind, lane=Lane.QUICK, title=title, parameters=parameters, submitted_by=submitted_by)
    ensure_running(home)
    return job


def make_backup(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make a backup; see `sleepfm.administration.backup.back_up`."""
    for killed in (home.root / BACKUPS).glob(".*.part"):
        shutil.rmtree(killed, ignore_errors=True)  # of a backup whose process was killed; there is one at a time here
    out = home.root / BACKUPS / f"sleepfm-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar"
    done = back_up(home, out, everything=parameters["everything"], progress=progress)
    return {**asdict(done), "path": str(done.path)}


def restore_backup(_home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Bring a backup back into another folder; see `sleepfm.administration.restore.restore`."""
    done = restore(parameters["archive"], parameters["into"], progress=progress)
    return {**asdict(done), "home": str(done.home), "kept": None}


def tidy_up(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Remove old things; see `sleepfm.administration.retention.tidy`."""
    return asdict(tidy(home, parameters["names"], progress))


def make_diagnostics(home: Home, _parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make a diagnostics bundle; see `sleepfm.administration.diagnostics.write_diagnostics`."""
    out = home.root / DIAGNOSTICS / f"sleepfm-diagnostics-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip"
    return {"path": str(write_diagnostics(home, out, progress))}
