"""The trial before a run: two batches of the real network on the real data, timed, its memory measured, nothing kept."""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.inference.device import place
from sleepfm.inference.embedding_files import embedding_paths
from sleepfm.inference.memory import peak_memory_mb
from sleepfm.models.networks import build
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part
from sleepfm.signals.study_ids import study_id
from sleepfm.training.engine import Trainer
from sleepfm.training.finetune_settings import FinetuneSettings
from sleepfm.training.finetuning import evenly, nights_of, train_loader, validation_loader
from sleepfm.training.head_tasks import HeadTask, task_of
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import EVENT, gather_nights
from sleepfm.training.nights import LabelledNight
from sleepfm.training.preflight_checks import Lists
from sleepfm.training.pretraining import pretrain
from sleepfm.training.processes import Team
from sleepfm.training.run_folder import METRICS_FILE, RunFolder
from sleepfm.training.settings import PretrainSettings, TrainingSettings
from sleepfm.training.splits import Splits, write_splits
from sleepfm.training.windows import TrainingRecording

STEPS = 2
_FEW = {"training": 2, "validation": 1}
"""So many nights are embedded."""
_LABELS = 16
"""So many nights' labels are looked at, at least, before the head is made."""
_VALIDATED = 8
_MEGABYTE = 1e6
_SHORTEST_S = 1e-3


class TrialMemoryError(SleepFMError):
    """Two batches do not fit into the memory."""


@dataclass(frozen=True)
class Trial:
    """What the trial measured, brought to the size of the real run.

    Attributes
    ----------
    step_s
        Seconds of an optimiser step.
    validation_s
        Seconds of a validation.
    samples
        Windows or stretches in an epoch, about.
    embed_nights, embed_s, embed_mb
        How many nights are still to be embedded, the seconds and the disk that takes.
    checkpoints_mb
        Disk for the checkpoints, the one that is being written included, and the model.
    memory_mb, device_memory_mb
        Of main memory and of the GPU, None on the CPU.
    """

    step_s: float
    validation_s: float
    samples: int
    embed_nights: int
    embed_s: float
    embed_mb: float
    checkpoints_mb: float
    memory_mb: float
    device_memory_mb: float | None


def try_pretraining(
    settings: PretrainSettings,
    lists: Lists,
    opened: Mapping[str, Mapping[str, TrainingRecording]],
    shelf: Shelf,
    progress: Progress,
) -> Trial:
    """Pretrain for two steps on as many of the opened recordings as that needs.

    Parameters
    ----------
    lists
        Of the studies that have signals.
    opened
        Recordings by list ("training", "validation") and study.

    Raises
    ------
    SleepFMError
        What the real run would fail with.
    Cancelled
        `progress` raised it, or the process was asked to end.
    """
    training, length = settings.training, settings.encoder.window_samples
    batches = min(training.accumulate, STEPS)
    windows = {name: {study: len(one.starts(length)) for study, one in found.items()} for name, found in opened.items()}
    validated = max(2, min(settings.validation_windows, STEPS * training.batch_size))
    train = _enough(windows["training"], STEPS * batches * training.batch_size)
    validate = _enough(windows["validation"], validated)
    files = [opened["training"][study].path for study in train] + [opened["validation"][study].path for study in validate]
    names: list[str] = []
    for file in files:
        names.append(study_id(file, names))
    with tempfile.TemporaryDirectory(prefix="sleepfm-check-") as temporary, _measured(training) as memory:
        folder = Path(temporary)
        write_splits(Splits((), tuple(names[: len(train)]), tuple(names[len(train) :]), ()), folder / "splits.json")
        few = {"signals": tuple(files), "splits": folder / "splits.json", "lists": ("train",), "cohort": None, "fraction": 1.0}
        tried = settings.model_copy(
            update={
                "data": settings.data.model_copy(update=few),
                "validation_windows": validated,
                "training": _short(training, batches),
            }
        )
        outcome, _ = pretrain(tried, folder / "run", shelf=shelf, progress=progress)
        _refuse_stopped(outcome.state)
        step_s, seen_s = _times(folder / "run")
        checkpoints_mb = _checkpoints_mb(folder / "run")
    mean_windows = {name: sum(found.values()) / len(found) for name, found in windows.items()}
    to_validate = min(settings.validation_windows, round(mean_windows["validation"] * len(lists.validation)))
    in_trial = min(validated, sum(windows["validation"][study] for study in validate))
    return Trial(
        step_s=step_s * training.accumulate / batches,
        validation_s=seen_s * to_validate / in_trial,
        samples=round(mean_windows["training"] * len(lists.train)),
        embed_nights=0,
        embed_s=0.0,
        embed_mb=0.0,
        checkpoints_mb=checkpoints_mb,
        memory_mb=memory.host_mb,
        device_memory_mb=memory.device_mb,
    )


def try_finetuning(
    settings: FinetuneSettings, lists: Lists, encoder: ShelfEntry, usable: Mapping[str, Sequence[str]], progress: Progress
) -> Trial:
    """Train the head for two steps. A few nights are embedded for it; the labels of other nights stand on the same embeddings.

    Parameters
    ----------
    lists
        Of the studies that have signals and labels.
    usable
        Of these, by list ("training", "validation"), some whose files were opened and can be used.

    Raises
    ------
    SleepFMError
        What the real run would fail with.
    Cancelled
        `progress` raised it, or the process was asked to end.
    """
    training = settings.training
    if training.threads is not None:
        torch.set_num_threads(training.threads)
    studies = tuple(dict.fromkeys((*lists.train, *lists.validation)))
    missing = [study for study in studies if not _is_embedded(settings, study)]
    tried = {name: _some_missing(usable[name], missing, count) for name, count in _FEW.items()}
    few = tuple(dict.fromkeys((*tried["training"], *tried["validation"])))
    fresh = [study for study in few if study in missing]
    with tempfile.TemporaryDirectory(prefix="sleepfm-check-") as temporary, _measured(training) as memory:
        folder = Path(temporary)
        cache = settings.embeddings
        if cache is None or not cache.is_dir():  # nothing is made where nothing was asked for yet
            cache = folder / "embeddings"
        task = task_of(settings, studies)
        mark = time.monotonic()
        found = embed_nights(
            few,
            settings.data.signals,
            encoder,
            cache,
            device=training.device,
            workers=training.threads,
            progress=part(progress, 0.0, 0.6),
        )
        embed_s = time.monotonic() - mark
        gathered = gather_nights(task.reader, found, lists.subject_of, memory_gb=settings.memory_gb)
        embed_mb = sum(file.stat().st_size for study in fresh for file in embedding_paths(cache, study) if file.is_file())
        real = {name: nights_of(gathered, tried[name], name) for name in tried}
        nights = {
            "training": _with_labels(
                task, real["training"], lists.train, lists, _labels_needed(settings, task, real["training"])
            ),
            "validation": _with_labels(task, real["validation"], lists.validation, lists, _VALIDATED),
        }
        stretches = _two_steps(
            settings, task, nights, folder / "run", embed_dim=encoder.card.embed_dim, progress=part(progress, 0.6, 1.0)
        )
        step_s, seen_s = _times(folder / "run")
        checkpoints_mb = _checkpoints_mb(folder / "run")
    kept = [one.night.rows_mse.nbytes / _MEGABYTE for one in real["training"] if one.night.rows_mse is not None]
    nights_mb = min(settings.memory_gb * 1000, len(studies) * sum(kept) / len(kept)) if kept else 0.0
    return Trial(
        step_s=step_s * training.accumulate / min(training.accumulate, STEPS),
        validation_s=seen_s * len(lists.validation) / len(nights["validation"]),
        samples=round(stretches * len(lists.train) / len(nights["training"])),
        embed_nights=len(missing),
        embed_s=embed_s / len(fresh) * len(missing) if fresh else 0.0,
        embed_mb=embed_mb / _MEGABYTE / len(fresh) * len(missing) if fresh else 0.0,
        checkpoints_mb=checkpoints_mb,
        memory_mb=memory.host_mb + nights_mb,
        device_memory_mb=memory.device_mb,
    )


def _two_steps(
    settings: FinetuneSettings,
    task: HeadTask,
    nights: Mapping[str, Sequence[LabelledNight]],
    folder: Path,
    *,
    embed_dim: int,
    progress: Progress,
) -> int:
    """Train a head as `sleepfm.training.finetuning.finetune` does; return how many stretches an epoch of these nights has."""
    training = settings.training
    task.prepare(nights["training"])
    made = task.network(embed_dim)
    torch.manual_seed(training.seed)
    network = build(made.architecture, made.parameters)
    longest = int(made.parameters["max_seq_length"]) if "max_seq_length" in made.parameters else None
    tried = settings.model_copy(update={"training": _short(training, min(training.accumulate, STEPS))})
    train = train_loader(tried, task, nights["training"], longest, Team())
    run = RunFolder(folder, tried, resume=False)
    try:
        outcome = Trainer(
            task.learner(network, torch.device(place(training.device).device)),
            tried.training,
            run,
            train=train,
            validate=validation_loader(tried, task, nights["validation"], longest, Team()),
            progress=progress,
        ).run()
    finally:
        run.close()
    _refuse_stopped(outcome.state)
    return len(train.plan(0))


def _labels_needed(settings: FinetuneSettings, task: HeadTask, nights: Sequence[LabelledNight]) -> int | None:
    """Return how many nights two steps take; None for all, where all labels together make the network."""
    if task.one_stretch_a_night:
        return None
    shortest = min(one.night.tokens for one in nights)
    a_night = max(1, shortest // (settings.crop_tokens or shortest))
    samples = STEPS * min(settings.training.accumulate, STEPS) * settings.training.batch_size
    return max(_LABELS, -(-samples // a_night))


def _with_labels(
    task: HeadTask, nights: Sequence[LabelledNight], studies: Sequence[str], lists: Lists, most: int | None
) -> list[LabelledNight]:
    """Return the nights, and behind them others' labels on their embeddings, those with events first; at most so many."""
    there = {one.night.study for one in nights}
    found = list(nights)
    others = [study for study in studies if study not in there]
    for number, study in enumerate(others if most is None or task.one_stretch_a_night else evenly(others, most)):
        lent = replace(nights[number % len(nights)].night, study=study, subject=lists.subject_of.get(study, study))
        try:
            found.append(task.reader.label(lent)[0])
        except SleepFMError:
            continue  # its labels are of no use, which the check of the labels says
    if task.one_stretch_a_night:
        found.sort(key=lambda one: -int(one.by_night[EVENT].sum()))
    return found[:most]


def _some_missing(usable: Sequence[str], missing: Sequence[str], count: int) -> tuple[str, ...]:
    """Return a few nights, one of them not embedded yet where there is such, so that embedding is measured too."""
    chosen = list(evenly(usable, count))
    without = set(missing)
    if without and not without & set(chosen):
        chosen[:1] = [next((study for study in usable if study in without), chosen[0])]
    return tuple(dict.fromkeys(chosen))


def _is_embedded(settings: FinetuneSettings, study: str) -> bool:
    return settings.embeddings is not None and all(file.is_file() for file in embedding_paths(settings.embeddings, study))


def _enough(windows: Mapping[str, int], needed: int) -> list[str]:
    """Return the first studies that have so many windows together, or all."""
    chosen: list[str] = []
    for study, count in windows.items():
        if needed <= 0:
            break
        chosen.append(study)
        needed -= count
    return chosen


def _short(training: TrainingSettings, batches: int) -> TrainingSettings:
    """Return the course of two steps, with a validation and its checkpoints at the end."""
    importlib.import_module("torch.utils.tensorboard")  # takes a second, which is none of a step
    return training.model_copy(
        update={"epochs": STEPS, "max_steps": STEPS, "accumulate": batches, "validate_every": STEPS, "patience": None}
    )


def _refuse_stopped(state: str) -> None:
    if state == "stopped":
        raise Cancelled("stopped by the user")


def _times(folder: Path) -> tuple[float, float]:
    """Return the seconds of the second step, and of the validation behind it."""
    lines = [json.loads(line) for line in (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()]
    steps = {line["step"]: line["time"] for line in lines if "train/loss" in line or "skipped" in line}
    validated = next(line["time"] for line in lines if "validation/loss" in line)
    return max(_SHORTEST_S, steps[STEPS] - steps[STEPS - 1]), max(_SHORTEST_S, validated - steps[STEPS])


def _checkpoints_mb(folder: Path) -> float:
    """Return what the best and the last checkpoint take, that which is written beside them, and the model, twice."""
    sizes = [file.stat().st_size for file in (folder / "checkpoints").iterdir()]
    return (sum(sizes) + max(sizes) + 2 * min(sizes)) / _MEGABYTE


@dataclass
class _Memory:
    host_mb: float = 0.0
    device_mb: float | None = None


@contextmanager
def _measured(training: TrainingSettings) -> Iterator[_Memory]:
    """Measure the memory that the block needs; TrialMemoryError when there is not so much."""
    cuda = place(training.device).device == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    memory = _Memory()
    try:
        yield memory
    except (torch.cuda.OutOfMemoryError, MemoryError) as error:
        raise TrialMemoryError(_too_much(training, gpu=isinstance(error, torch.cuda.OutOfMemoryError))) from None
    except RuntimeError as error:
        if "allocate memory" not in str(error):  # how torch says that the main memory is full
            raise
        raise TrialMemoryError(_too_much(training, gpu=False)) from None
    memory.host_mb = peak_memory_mb()
    memory.device_mb = torch.cuda.max_memory_reserved() / _MEGABYTE if cuda else None


def _too_much(training: TrainingSettings, *, gpu: bool) -> str:
    where = "the GPU's memory" if gpu else "the main memory"
    return (
        f"two batches of {training.batch_size} do not fit into {where}: halve training.batch_size and double training.accumulate,"
        " which gives the same loss"
    )
