"""The jobs that train: pretraining and fine-tuning, in the run's own folder, with the model on the shelf at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleepfm.administration.readable_folders import require_data_readable_here
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.training_runs import MODEL_IN_RUN, read_parameters
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress
from sleepfm.runs.run_files import run_folder
from sleepfm.training.engine import Outcome
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.finetuning import finetune
from sleepfm.training.pretraining import pretrain
from sleepfm.training.processes import leads
from sleepfm.training.run_paths import named_paths
from sleepfm.training.settings import PretrainSettings


def run_pretrain(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train an encoder, or go on with what is in the run's folder.

    Parameters
    ----------
    parameters
        `config` (see `PretrainSettings`) and `job`, the run's id.

    Returns
    -------
    dict
        `model` (its name on the shelf), `best_validation_loss`, `best_step`, `steps`, `seconds`; empty in a process that does
        not lead.

    Raises
    ------
    Cancelled
        When it was stopped; the checkpoint is written.
    RequestError
        When some of the data lies outside the folders that the app may read.
    """
    settings = read_parameters("pretrain", parameters)
    assert isinstance(settings, PretrainSettings)
    require_data_readable_here(home, named_paths(settings))
    folder = run_folder(home, parameters["job"])
    outcome, about = pretrain(settings, folder, shelf=Shelf(home.models), resume=True, progress=progress)
    return _finish(home, settings, folder, outcome, about)


def run_finetune(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Train a head; `parameters` also has its `task`. Otherwise as `run_pretrain`."""
    settings = read_parameters("finetune", parameters)
    assert isinstance(settings, FinetuneSettings)
    require_data_readable_here(home, named_paths(settings))
    folder = run_folder(home, parameters["job"])
    outcome, about = finetune(parameters["task"], settings, folder, shelf=Shelf(home.models), resume=True, progress=progress)
    return _finish(home, settings, folder, outcome, about)


def _finish(
    home: Home, settings: PretrainSettings | FinetuneSettings, folder: Path, outcome: Outcome, about: dict[str, Any]
) -> dict[str, Any]:
    course = outcome.course
    if outcome.state == "stopped":
        raise Cancelled(f"stopped at step {course.step}")
    if not leads():
        return {}
    entry = keep_model(settings, folder, Shelf(home.models), about)
    return {
        "model": entry.name,
        "best_validation_loss": course.best,
        "best_step": course.best_step,
        "steps": course.step,
        "seconds": round(course.seconds, 1),
    }


def keep_model(settings: PretrainSettings | FinetuneSettings, folder: Path, shelf: Shelf, about: dict[str, Any]) -> ShelfEntry:
    """Put the model that a run has made into the run's folder and on the shelf; done again, it is still one model.

    Parameters
    ----------
    folder
        The run's.
    about
        `state` and `card` of the best weights.

    Raises
    ------
    SleepFMError
        When it cannot be written, or the shelf has got another model of this name meanwhile: it is in the run's folder then.
    """
    Shelf(folder).add(MODEL_IN_RUN, about["state"], about["card"], half=settings.half_precision)
    try:
        return shelf.add(settings.name, about["state"], about["card"], half=settings.half_precision)
    except RequestError:
        raise SleepFMError(
            f"the training is done, but the shelf has another model named {settings.name}: take that one off the shelf and"
            f" resume this run, or import {folder / MODEL_IN_RUN} under another name"
        ) from None
