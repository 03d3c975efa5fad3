"""The look before a training run, as a background job: asking for it, and finding what it found. Loads no torch."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import ValidationError

from sleepfm.administration.readable_folders import ReadableFolders
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.training.config_files import explain
from sleepfm.training.finetune_settings import SETTINGS_OF, FinetuneSettings
from sleepfm.training.preflight_report import Check, Preflight
from sleepfm.training.run_paths import named_paths
from sleepfm.training.settings import PretrainSettings

__all__ = ["Check", "Preflight", "preflight_of", "settings_key", "submit_preflight"]

TrainingKind = Literal["pretrain", "finetune"]
RunSettings = PretrainSettings | FinetuneSettings

KIND = "preflight"
FRESH = timedelta(hours=1)
"""What was found longer ago says little of the data and the machine as they are now."""


def submit_preflight(
    home: Home,
    kind: TrainingKind,
    task: str | None,
    settings: RunSettings,
    *,
    devices: int = 1,
    launcher: str = "local",
    submitted_by: str = "",
    start: bool = True,
) -> Job:
    """Queue the look before a run and see that it is worked off; the same settings twice are one job while it is open.

    Parameters
    ----------
    kind, task
        "pretrain" and None, or "finetune" and "staging", "breathing" or "disease".
    settings
        Of the run.
    devices
        Processes that it would have.
    launcher
        Where it would run. Two batches are always tried on this machine; the devices of another are not looked at.

    Raises
    ------
    RequestError
        The settings are of another kind or task, or name a path outside the folders that the app may read.
    """
    require_fitting(kind, task, settings)
    folders = ReadableFolders.of(home)
    for path in named_paths(settings):
        folders.require(path)
    table = JobTable(home)
    try:
        job = table.add(
            KIND,
            lane=Lane.QUICK,
            title=f"Check before {'pretraining' if kind == 'pretrain' else 'fine-tuning'} {settings.name}",
            subject=settings_key(kind, task, settings, devices=devices, launcher=launcher),
            parameters={
                "kind": kind,
                "task": task,
                "config": settings.model_dump(mode="json"),
                "devices": devices,
                "launcher": launcher,
            },
            submitted_by=submitted_by,
        )
    finally:
        table.close()
    if start:
        ensure_running(home)
    return job


def preflight_of(
    table: JobTable,
    kind: TrainingKind,
    task: str | None,
    settings: RunSettings,
    *,
    devices: int = 1,
    launcher: str = "local",
) -> Preflight | Job | None:
    """Return what was found for exactly these settings within the last hour.

    Returns
    -------
    Preflight, Job or None
        The findings; the job while it is open, and where it failed, crashed or was stopped; None when nobody has looked.
    """
    jobs = table.list(kinds=(KIND,), subject=settings_key(kind, task, settings, devices=devices, launcher=launcher), limit=1)
    if not jobs:
        return None
    job = jobs[0]
    if job.open:
        return job
    if job.finished_at is None or abs(datetime.now(UTC) - job.finished_at) > FRESH:  # or the clock was set back since
        return None
    return Preflight.from_dict(job.result) if job.state is JobState.FINISHED and job.result is not None else job


def settings_key(
    kind: TrainingKind, task: str | None, settings: RunSettings, *, devices: int = 1, launcher: str = "local"
) -> str:
    """Return the key of a run's settings and of where it would run."""
    where = {"devices": devices, "launcher": launcher}
    content = {"kind": kind, "task": task, "config": settings.model_dump(mode="json"), **where}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def read_run_settings(kind: str, task: str | None, config: dict[str, Any]) -> RunSettings:
    """Return the settings of a row's parameters; RequestError when another version wrote what this one cannot read."""
    settings: type[PretrainSettings] | type[FinetuneSettings]
    settings = PretrainSettings if kind == "pretrain" else SETTINGS_OF[str(task)]
    try:
        return settings.model_validate(config)
    except ValidationError as error:
        raise RequestError(f"this version cannot read these settings ({explain(settings, error)}); check again") from None


def require_fitting(kind: str, task: str | None, settings: RunSettings) -> None:
    """Raise RequestError when the settings are not those of this kind of run."""
    wanted: type[PretrainSettings] | type[FinetuneSettings]
    if kind == "pretrain":
        wanted = PretrainSettings
    elif kind == "finetune" and task in SETTINGS_OF:
        wanted = SETTINGS_OF[task]
    else:
        raise RequestError(f"{kind} {task or ''}: there is no such training; pretrain, or finetune {'|'.join(SETTINGS_OF)}")
    if not isinstance(settings, wanted):
        raise RequestError(f"{kind} {task or ''} takes {wanted.__name__}, not {type(settings).__name__}")
