"""Launching pretraining and fine-tuning as jobs, and reading back what they were asked for. Loads no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from sleepfm.errors import ModelError, RequestError
from sleepfm.home import Home
from sleepfm.models.card import CARD_FILE, read_card
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.runs.devices import gpus
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.launchers import LAUNCHERS
from sleepfm.runs.run_files import run_folder
from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS, Job, JobTable, Lane
from sleepfm.text import printable
from sleepfm.training.config_files import explain
from sleepfm.training.finetune_settings import SETTINGS_OF, FinetuneSettings
from sleepfm.training.settings import PretrainSettings

MODEL_IN_RUN = "model"
"""The model's folder in its run's."""
_MOST_DEVICES = 1024


def submit_pretrain(
    home: Home,
    settings: PretrainSettings,
    *,
    launcher: str = "local",
    devices: int = 1,
    submitted_by: str = "",
    parent: str | None = None,
    start: bool = True,
) -> Job:
    """Queue the training of an encoder; the same settings queued twice are one run.

    Parameters
    ----------
    launcher
        "local" or "slurm".
    devices
        GPUs, or processes on CPUs, that train together.
    submitted_by
        The user.
    parent
        The run whose settings these were, before they were changed.
    start
        See that it is worked off.

    Raises
    ------
    RequestError
        When the model's name is taken, on the shelf or by an open run, or this machine has no such devices.
    """
    return _submit(
        home,
        "pretrain",
        f"Pretrain {settings.name}",
        settings,
        {},
        launcher=launcher,
        devices=devices,
        submitted_by=submitted_by,
        parent=parent,
        start=start,
    )


def submit_finetune(
    home: Home,
    task: str,
    settings: FinetuneSettings,
    *,
    launcher: str = "local",
    devices: int = 1,
    submitted_by: str = "",
    parent: str | None = None,
    start: bool = True,
) -> Job:
    """Queue the training of a head for `staging`, `breathing` or `disease`; otherwise as `submit_pretrain`."""
    if task not in SETTINGS_OF or not isinstance(settings, SETTINGS_OF[task]):
        raise RequestError(f"{printable(task)} takes no {type(settings).__name__}; tasks are {', '.join(SETTINGS_OF)}")
    return _submit(
        home,
        "finetune",
        f"Fine-tune {task} {settings.name}",
        settings,
        {"task": task},
        launcher=launcher,
        devices=devices,
        submitted_by=submitted_by,
        parent=parent,
        start=start,
    )


def resume(table: JobTable, identifier: str, *, submitted_by: str = "") -> Job:
    """Queue a job again that failed, was stopped or crashed, as `JobTable.resume` does.

    Raises
    ------
    RequestError
        When it cannot be resumed, or its model could not go on the shelf, which has got another one of its name meanwhile.
    """
    job = table.get(identifier)
    if job.resumable and job.kind in TRAINING_KINDS and job.subject is not None:
        _refuse_taken_name(table.home, job.id, job.subject)
    return table.resume(identifier, submitted_by=submitted_by)


def _refuse_taken_name(home: Home, run: str, name: str) -> None:
    shelf = Shelf(home.models)
    if not (shelf.root / name).is_dir():  # the run's model hides one that came with the software
        return
    try:
        own = holds_model(run_folder(home, run), shelf.get(name))
    except ModelError:
        own = False  # one that cannot be read holds the name all the same
    if not own:
        raise RequestError(
            f"the shelf has got another model named {name}: take that one off the shelf, or start a new run under another name"
        )


def holds_model(folder: Path, entry: ShelfEntry) -> bool:
    """Return whether a run's folder holds a model of the same weights as one on the shelf."""
    own = folder / MODEL_IN_RUN
    if not (own / CARD_FILE).is_file():
        return False
    try:
        return read_card(own).weights_sha256 == entry.card.weights_sha256
    except ModelError:
        return False


def run_kind(job: Job) -> str:
    """Return what a training run trains: `pretrain`, or the task of its head.

    Raises
    ------
    RequestError
        When the job is no training run.
    """
    if job.kind not in TRAINING_KINDS:
        raise RequestError(f"run {job.id} ({printable(job.kind)}) trains nothing")
    return "pretrain" if job.kind == "pretrain" else str(job.parameters.get("task"))


def settings_of(job: Job) -> PretrainSettings | FinetuneSettings:
    """Return what a training run was asked for.

    Raises
    ------
    RequestError
        When the job is no training run, or was queued by a version whose settings this one cannot read.
    """
    run_kind(job)
    try:
        return read_parameters(job.kind, job.parameters)
    except RequestError as error:
        by = f"; it was queued by version {printable(job.version)}" if job.version else ""
        raise RequestError(f"run {job.id}: {error}{by}") from None


def read_parameters(kind: str, parameters: dict[str, Any]) -> PretrainSettings | FinetuneSettings:
    """Return the settings in the parameters of a training run's row; RequestError when this version cannot read them."""
    model: type[PretrainSettings] | type[FinetuneSettings] | None = PretrainSettings
    if kind == "finetune":
        model = SETTINGS_OF.get(str(parameters.get("task")))
    if model is None:
        raise RequestError(f"this version knows no task {printable(str(parameters.get('task')))!r}")
    try:
        return model.model_validate(parameters.get("config"))
    except ValidationError as error:
        raise RequestError(f"this version cannot read its settings ({explain(model, error)})") from None


def names_of_open_runs(table: JobTable) -> dict[str, str]:
    """Return what the models will be called of the training runs that wait or run, and the id of each one's run."""
    jobs = table.list(states=OPEN_STATES, kinds=TRAINING_KINDS, limit=10_000)
    return {job.subject: job.id for job in jobs if job.subject is not None}


def require_free_name(shelf: Shelf, name: str) -> None:
    """Refuse a name that a model on the shelf has already.

    Raises
    ------
    RequestError
        When it has.
    """
    try:
        shelf.get(name)
    except RequestError:
        return  # there is none
    except ModelError:
        pass  # one that cannot be read holds the name all the same
    raise RequestError(f"a model named {name} is on the shelf already; choose another name")


def absolute(settings: Any) -> Any:
    """Return settings whose paths do not depend on where the process that reads them was started."""
    if isinstance(settings, BaseModel):
        return settings.model_copy(update={name: absolute(getattr(settings, name)) for name in type(settings).model_fields})
    if isinstance(settings, Path):
        return settings.expanduser().absolute()
    if isinstance(settings, tuple | list):
        return type(settings)(absolute(one) for one in settings)
    return settings


def _submit(
    home: Home,
    kind: str,
    title: str,
    settings: PretrainSettings | FinetuneSettings,
    more: dict[str, str],
    *,
    launcher: str,
    devices: int,
    submitted_by: str,
    parent: str | None,
    start: bool,
) -> Job:
    if launcher not in LAUNCHERS:
        raise RequestError(f"{printable(launcher)!r} is no launcher; known are {', '.join(LAUNCHERS)}")
    if not 1 <= devices <= _MOST_DEVICES:
        raise RequestError(f"{devices} devices: choose 1 to {_MOST_DEVICES}")
    lane = Lane.CLUSTER if launcher != "local" else local_lane(settings.training.device, devices)
    require_free_name(Shelf(home.models), settings.name)
    table = JobTable(home)
    try:
        job = table.add(
            kind,
            lane=lane,
            title=title,
            subject=settings.name,
            parameters={"config": absolute(settings).model_dump(mode="json"), **more},
            devices=devices,
            launcher=launcher,
            submitted_by=submitted_by,
            parent=parent,
        )
    finally:
        table.close()
    if start:
        ensure_running(home)
    return job


def local_lane(device: str, devices: int = 1) -> Lane:
    """Return where work that trains on this machine waits: for a GPU, or for the processor.

    Raises
    ------
    RequestError
        When the machine has not so many devices, or none of this kind.
    """
    there = len(gpus()) if device != "cpu" else 0
    if device == "cuda" and not there:
        raise RequestError("no CUDA device on this machine: choose the device cpu or auto")
    if not there:
        cores = os.cpu_count() or 1
        if devices > cores:
            raise RequestError(f"{devices} processes were asked for, this machine has {cores} core{'s' if cores > 1 else ''}")
        return Lane.TRAIN_CPU
    if devices > there:
        raise RequestError(f"{devices} devices were asked for, this machine has {there} GPU{'s' if there > 1 else ''}")
    return Lane.TRAIN_CUDA
