"""The look before a run: what would fail in an hour fails now, in words, and the run's time and memory are estimated.

Everything is looked at that can be without running; then two batches of the real network on the real data are (see
`sleepfm.training.preflight_trial`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import psutil
import torch

from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.text import size_words
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.preflight_checks import Findings, check_device, check_disk, check_name, check_people
from sleepfm.training.preflight_labels import check_labels
from sleepfm.training.preflight_report import Check, Preflight
from sleepfm.training.preflight_signals import check_encoder, check_kind_of_nights, check_nights, check_windows
from sleepfm.training.preflight_trial import Trial, TrialMemoryError, try_finetuning, try_pretraining
from sleepfm.training.settings import PretrainSettings, TrainingSettings

_SHORT_S = 60.0
_LONG_S = 3 * 24 * 3600.0
_SURE = "measured on two batches only, so it may as well be half or twice that"
_RUN_FILES_MB = 20.0
"""Metrics, TensorBoard's file and the log."""


def look_before(
    settings: PretrainSettings | FinetuneSettings,
    *,
    shelf: Shelf,
    folder: Path,
    resume: bool = False,
    devices: int = 1,
    elsewhere: bool = False,
    open_runs: Collection[str] = (),
    progress: Progress = silent,
) -> Preflight:
    """Look at everything that a run needs, and try two batches.

    Parameters
    ----------
    settings
        Of pretraining, or of fine-tuning for a task.
    shelf
        Where the encoder is, and where the model will be put.
    folder
        Of the run.
    resume
        The run in the folder is to go on.
    devices
        Processes that the run will have; the trial has one.
    elsewhere
        The run will be on other machines: two batches are tried on what is here, and its devices are not looked at.
    open_runs
        Names that runs have which are waiting or running.

    Returns
    -------
    Preflight
        What was found; nothing is raised for what is wrong with the data or the settings.

    Raises
    ------
    Cancelled
        `progress` raised it, or the process was asked to end; nothing is left.
    """
    found = Findings()
    progress(0.0, "looking at the settings")
    check_name(found, settings.name, shelf, folder, resume=resume, open_runs=open_runs)
    there = elsewhere or check_device(found, settings.training.device, devices)
    if elsewhere:
        found.add("device", "doubtful", "the run will be on other machines: their devices, memory and disks are not looked at")
        here = settings.training.model_copy(update={"device": "auto"})
        settings = settings.model_copy(update={"training": here})
    trial = None
    try:
        look = _look_at_pretraining if isinstance(settings, PretrainSettings) else _look_at_finetuning
        trial = look(found, settings, shelf, progress, able=there)  # type: ignore[arg-type]  # each gets its own settings
    except Cancelled:
        raise
    except TrialMemoryError as error:
        found.bad("memory", error)
    except SleepFMError as error:
        found.bad("trial", error)
    if trial is None:
        return Preflight(tuple(found.checks))
    return _judged(found, settings, trial, folder, devices=devices, elsewhere=elsewhere)


def _look_at_pretraining(
    found: Findings, settings: PretrainSettings, shelf: Shelf, progress: Progress, *, able: bool
) -> Trial | None:
    if settings.start_from is not None:
        check_encoder(found, settings.start_from, shelf)
    lists = check_people(found, settings, None)
    looked = None if lists is None else check_windows(found, settings, lists, part(progress, 0.0, 0.3))
    if lists is None or looked is None:
        return None
    there, opened = looked
    check_kind_of_nights(found, None, opened)
    if not able:
        return None
    progress(0.3, "trying two batches")
    recordings = {name: one.recordings for name, one in opened.items()}
    return try_pretraining(settings, there, recordings, shelf, _saying(part(progress, 0.3, 1.0), "two batches"))


def _look_at_finetuning(
    found: Findings, settings: FinetuneSettings, shelf: Shelf, progress: Progress, *, able: bool
) -> Trial | None:
    encoder = check_encoder(found, settings.encoder, shelf)
    lists = check_people(found, settings, settings.validation_nights)
    labelled = None if lists is None else check_labels(found, settings, lists)
    looked = None
    if lists is not None and encoder is not None:
        looked = check_nights(found, settings, labelled or lists, encoder, part(progress, 0.0, 0.2))
    if encoder is None or labelled is None or looked is None:
        return None
    there, opened = looked
    check_kind_of_nights(found, encoder, opened)
    if not able:
        return None
    progress(0.2, "trying two batches")
    usable = {name: one.usable for name, one in opened.items()}
    return try_finetuning(settings, there, encoder, usable, _saying(part(progress, 0.2, 1.0), "two batches"))


def _saying(progress: Progress, what: str) -> Progress:
    def report(fraction: float, message: str) -> None:
        progress(fraction, f"trying {what}: {message}")

    return report


def _judged(
    found: Findings,
    settings: PretrainSettings | FinetuneSettings,
    trial: Trial,
    folder: Path,
    *,
    devices: int,
    elsewhere: bool,
) -> Preflight:
    """Say what the trial means for the whole run."""
    training = settings.training
    batches = max(1, trial.samples // training.batch_size)
    an_epoch = batches // training.accumulate
    if not an_epoch:
        found.bad(
            "trial",
            f"an epoch has about {batches} batches, fewer than training.accumulate ({training.accumulate}): lower it, or"
            " training.batch_size",
        )
        return Preflight(tuple(found.checks), samples=trial.samples)
    found.add("trial", "good", f"two batches of {training.batch_size} went through, and a checkpoint was written")
    steps = min(training.epochs * an_epoch, training.max_steps or training.epochs * an_epoch)
    validations = -(-steps // (training.validate_every or an_epoch))
    seconds = trial.embed_s + steps * trial.step_s + validations * trial.validation_s
    shared = f"; {devices} processes share the work, which the trial in one did not measure" if devices > 1 else ""
    where = f"{shared}; measured on this machine" if elsewhere else shared
    found.checks.append(_time(training, trial, steps=steps, validations=validations, seconds=seconds, where=where))
    found.checks.append(_memory(trial, elsewhere=elsewhere))
    disk_mb = trial.checkpoints_mb + trial.embed_mb + _RUN_FILES_MB
    embeddings = settings.embeddings if isinstance(settings, FinetuneSettings) and settings.embeddings else folder / "embeddings"
    check_disk(found, {folder: trial.checkpoints_mb + _RUN_FILES_MB, embeddings: trial.embed_mb})
    return Preflight(
        tuple(found.checks),
        seconds=round(seconds, 1),
        memory_mb=round(trial.memory_mb, 1),
        device_memory_mb=None if trial.device_memory_mb is None else round(trial.device_memory_mb, 1),
        disk_mb=round(disk_mb, 1),
        samples=trial.samples,
    )


def _time(training: TrainingSettings, trial: Trial, *, steps: int, validations: int, seconds: float, where: str) -> Check:
    parts = []
    if trial.embed_nights:
        parts.append(f"{trial.embed_nights:,} nights to embed in {duration(trial.embed_s)}")
    parts.append(f"{steps:,} steps of {trial.step_s:.2g} s")
    parts.append(f"{validations:,} validations of {trial.validation_s:.2g} s")
    early = "; it ends earlier when the validation loss falls no more" if training.patience is not None else ""
    about = duration(seconds) if seconds < _SHORT_S else f"about {duration(seconds)}"
    words = f"{about} ({', '.join(parts)}), {_SURE}{early}{where}"
    if seconds > _LONG_S:
        return Check("time", "doubtful", f"{words}. Fewer epochs, a smaller share of the people, or a GPU make it shorter")
    return Check("time", "good", words)


def _memory(trial: Trial, *, elsewhere: bool) -> Check:
    if elsewhere:
        return Check("memory", "good", f"about {_size(trial.memory_mb)} of main memory, measured on this machine")
    machine = psutil.virtual_memory()
    total, free = machine.total / 1e6, machine.available / 1e6 + psutil.Process().memory_info().rss / 1e6
    words = f"about {_size(trial.memory_mb)} of main memory; {_size(free)} are free of {_size(total)}"
    remedy = "; lower memory_gb or training.batch_size, or end other programs"
    state = "bad" if trial.memory_mb > total else "doubtful" if trial.memory_mb > free else "good"
    if trial.device_memory_mb is not None:
        free_gpu, total_gpu = (part / 1e6 for part in torch.cuda.mem_get_info())
        words += f"; about {_size(trial.device_memory_mb)} of the GPU's {_size(total_gpu)} ({_size(free_gpu)} are free now)"
        if state == "good" and trial.device_memory_mb > 0.9 * total_gpu:
            state, remedy = "doubtful", "; a longer night may not fit: lower training.batch_size"
    return Check("memory", state, words + ("" if state == "good" else remedy))  # type: ignore[arg-type]


def duration(seconds: float) -> str:
    """Return a length of time in words, no finer than it is known: "less than a minute", "12 min", "3 h 20 min", "2 days 4 h"."""
    minutes = max(1, round(seconds / 60))
    if seconds < _SHORT_S:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"


def _size(megabytes: float) -> str:
    return size_words(1e6 * megabytes)
