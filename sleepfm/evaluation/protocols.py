"""What an evaluation needs trained before: encoders that differ in one thing, the same network end to end. Each done once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, silent
from sleepfm.training.config_files import as_yaml
from sleepfm.training.end_to_end import EndToEndSettings, shelve_pair, train_end_to_end
from sleepfm.training.engine import Outcome
from sleepfm.training.pretraining import pretrain
from sleepfm.training.run_folder import CONFIG_FILE
from sleepfm.training.settings import PretrainSettings


def pretrained(settings: PretrainSettings, runs: Path, shelf: Shelf, progress: Progress = silent) -> ShelfEntry:
    """Return the encoder that these settings make, pretrained in `runs/<name>` unless that was done.

    Raises
    ------
    RequestError
        The shelf has a model of this name that other settings made.
    SleepFMError
        As of `sleepfm.training.pretraining.pretrain`; or the run was stopped: evaluating again goes on with it.
    """
    folder = runs / settings.name

    def make() -> ShelfEntry:
        outcome, about = pretrain(settings, folder, shelf=shelf, resume=True, progress=progress)
        _refuse_stopped(outcome, folder)
        for where, name in ((Shelf(folder), "model"), (shelf, settings.name)):
            entry = where.add(name, about["state"], about["card"], half=settings.half_precision)
        return entry

    return _once(settings, folder, shelf, make)


def trained_end_to_end(settings: EndToEndSettings, runs: Path, shelf: Shelf, progress: Progress = silent) -> ShelfEntry:
    """Return the head of the network that these settings train end to end, unless that was done; as for `pretrained`."""
    folder = runs / settings.name

    def make() -> ShelfEntry:
        outcome, about = train_end_to_end(settings, folder, resume=True, progress=progress)
        _refuse_stopped(outcome, folder)
        Shelf(folder).add("model", about["encoder"]["state"], about["encoder"]["card"], half=settings.half_precision)
        return shelve_pair(shelf, settings.name, about, half=settings.half_precision)

    return _once(settings, folder, shelf, make)


def at_fraction(settings: EndToEndSettings, fraction: float) -> EndToEndSettings:
    """Return the settings for a share of the labelled people, under a name of their own."""
    if fraction == settings.data.fraction:
        return settings
    name = f"{settings.name}-{100 * fraction:g}".replace(".", "_")
    return settings.model_copy(update={"name": name, "data": settings.data.model_copy(update={"fraction": fraction})})


def _once(settings: Any, folder: Path, shelf: Shelf, make: Callable[[], ShelfEntry]) -> ShelfEntry:
    if not (shelf.root / settings.name).is_dir():
        return make()
    config = folder / CONFIG_FILE
    if not config.is_file() or config.read_text(encoding="utf-8") != as_yaml(settings):
        raise RequestError(
            f"the shelf has a model named {settings.name} that other settings made ({config}): choose another name for this one"
        )
    return shelf.get(settings.name)


def _refuse_stopped(outcome: Outcome, folder: Path) -> None:
    if outcome.state == "stopped":
        raise SleepFMError(f"{folder}: stopped at step {outcome.course.step}; the same command goes on there")
