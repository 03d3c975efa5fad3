"""Training a head on an encoder's embeddings: `sleepfm finetune staging|breathing|disease CONFIG`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sleepfm.errors import RequestError
from sleepfm.inference.device import place
from sleepfm.models.card import SIMULATED, UNKNOWN, EncoderLink
from sleepfm.models.networks import build
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.training.card_fields import training_record
from sleepfm.training.engine import Outcome, Trainer
from sleepfm.training.finetune_settings import SETTINGS_OF, FinetuneSettings
from sleepfm.training.head_tasks import HeadTask, task_of
from sleepfm.training.night_embeddings import embed_nights, find_encoder
from sleepfm.training.night_labels import Gathered, gather_nights
from sleepfm.training.nights import LabelledNight, NightLoader
from sleepfm.training.processes import Team, join_team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.splits import read_splits, read_subjects, share_of_subjects


def finetune(
    task: str,
    settings: FinetuneSettings,
    folder: Path,
    *,
    shelf: Shelf,
    resume: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, dict[str, Any]]:
    """Train a head.

    Parameters
    ----------
    task
        `staging`, `breathing` or `disease`.
    settings
        The task's settings (`SETTINGS_OF`).
    folder
        The run's folder.
    shelf
        Where the encoder is.
    resume
        Go on with the run that is in the folder, if any.

    Returns
    -------
    Outcome, about
        How the run ended; and `state` and `card` of the best weights, for `sleepfm.models.shelf.Shelf.add`. Nothing of a run
        that was stopped, and nothing but in the process that leads.

    Raises
    ------
    RequestError
        A path, a split or a setting is wrong, no recording is left for a split, or the labels hold nothing to learn.
    SleepFMError
        Leakage between splits, a table or a checkpoint that cannot be read, a loss that is no number.
    """
    if not isinstance(settings, SETTINGS_OF[task]):
        raise RequestError(f"finetune {task} takes {SETTINGS_OF[task].__name__}, not {type(settings).__name__}")
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    device = place(settings.training.device).device
    with join_team(device) as team:
        run = RunFolder(folder, settings, resume=resume, leads=team.leads)
        try:
            return _finetune(settings, run, torch.device(device), team, shelf=shelf, resume=resume, progress=progress)
        finally:
            run.close()


def _finetune(
    settings: FinetuneSettings,
    run: RunFolder,
    device: torch.device,
    team: Team,
    *,
    shelf: Shelf,
    resume: bool,
    progress: Progress,
) -> tuple[Outcome, dict[str, Any]]:
    run.state(state="running", fraction=0.0, message="embedding the nights")
    training = settings.training
    encoder = find_encoder(settings.encoder, shelf)
    subject_of = read_subjects(settings.data.cohort)
    splits = read_splits(settings.data.splits, subject_of)
    chosen = share_of_subjects(splits.of(settings.data.lists), subject_of, settings.data.fraction, training.seed)
    checked = evenly(splits.validation, settings.validation_nights)
    studies = tuple(dict.fromkeys((*chosen, *checked)))
    task = task_of(settings, studies)
    found = embed_nights(
        studies,
        settings.data.signals,
        encoder,
        settings.embeddings or run.path / "embeddings",
        device=training.device,
        workers=training.threads,
        team=team,
        progress=part(progress, 0.0, 0.5),
    )
    gathered = gather_nights(task.reader, found, subject_of, memory_gb=settings.memory_gb)
    write_down(run, gathered)
    train = nights_of(gathered, chosen, " and ".join(settings.data.lists))
    validate = nights_of(gathered, checked, "validation")
    for note in task.prepare(train):
        run.log(0, {"note": note})

    made = task.network(encoder.card.embed_dim)
    torch.manual_seed(training.seed)
    network = build(made.architecture, made.parameters)
    torch.manual_seed(training.seed + 7919 * team.rank)  # dropout differs between processes
    longest = int(made.parameters["max_seq_length"]) if "max_seq_length" in made.parameters else None
    trainer = Trainer(
        task.learner(network, device),
        training,
        run,
        train=train_loader(settings, task, train, longest, team),
        validate=validation_loader(settings, task, validate, longest, team),
        team=team,
        progress=part(progress, 0.5, 1.0),
    )
    outcome = trainer.run(resume=resume)
    if outcome.state == "stopped" or not team.leads:
        return outcome, {}
    run.state(state="running", fraction=1.0, message="writing the card", step=outcome.course.step)
    state = trainer.best_weights()
    network.load_state_dict(state)
    nights = {"train": train, "validation": validate}
    with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bf16"):
        said = task.card(made, network.eval(), train, validate)
    card = {
        "task": task.kind,
        "architecture": made.architecture,
        "parameters": made.parameters,
        "encoder": EncoderLink(name=encoder.name, weights_sha256=encoder.card.weights_sha256),
        "training": training_record(settings, nights, seed=training.seed, seconds=outcome.course.seconds, device=device),
        **_about(settings, encoder, train, outcome),
        **said,
    }
    run.state(state=outcome.state, reason=outcome.reason, fraction=1.0, step=outcome.course.step)
    return outcome, {"state": state, "card": card}


def evenly(studies: Sequence[str], most: int) -> tuple[str, ...]:
    """Return at most so many of the studies, evenly from the whole."""
    if len(studies) <= most:
        return tuple(studies)
    return tuple(studies[i] for i in np.linspace(0, len(studies) - 1, most).round().astype(int))


def nights_of(gathered: Gathered, studies: Sequence[str], name: str) -> list[LabelledNight]:
    """Return the nights of a split; RequestError when there is none, with the first reason."""
    nights = [gathered.nights[study] for study in studies if study in gathered.nights]
    if not nights:
        why = next((f"; {study}: {gathered.left_out[study]}" for study in studies if study in gathered.left_out), "")
        raise RequestError(f"no recording for {name}: none of its {len(studies)} studies can be used{why}")
    return nights


def write_down(run: RunFolder, gathered: Gathered) -> None:
    """Name each recording that is not used, and what did not fit in those that are."""
    for study, reason in gathered.left_out.items():
        run.log(0, {"left_out": study, "reason": reason})
    for study, notes in gathered.notes.items():
        for note in notes:
            run.log(0, {"study": study, "note": note})


def train_loader(
    settings: FinetuneSettings, task: HeadTask, nights: Sequence[LabelledNight], longest: int | None, team: Team
) -> NightLoader:
    """Give the stretches that are learned from."""
    return NightLoader(
        nights,
        batch_size=settings.training.batch_size,
        seed=settings.training.seed,
        crop_tokens=settings.crop_tokens,
        longest=longest,
        one_each=task.one_stretch_a_night,
        modality_dropout=settings.modality_dropout,
        rank=team.rank,
        world=team.size,
    )


def validation_loader(
    settings: FinetuneSettings, task: HeadTask, nights: Sequence[LabelledNight], longest: int | None, team: Team
) -> NightLoader:
    """Validate on stretches as trained on, all of them; on whole nights and all at once where the label is the night's."""
    return NightLoader(
        nights,
        batch_size=len(nights) if task.one_stretch_a_night else settings.training.batch_size,
        seed=settings.training.seed,
        crop_tokens=None if task.one_stretch_a_night else settings.crop_tokens,
        longest=longest,
        one_each=task.one_stretch_a_night,
        shuffle=False,
        rank=team.rank,
        world=team.size,
    )


def _about(settings: FinetuneSettings, encoder: ShelfEntry, train: Sequence[LabelledNight], outcome: Outcome) -> dict[str, Any]:
    simulated_nights = any(one.night.origin.simulated for one in train)
    simulated = simulated_nights or encoder.card.trained_on == SIMULATED
    hours = sum(one.night.origin.duration_s for one in train) / 3600
    subjects = len({one.night.subject for one in train})
    course = outcome.course
    return {
        "trained_on": SIMULATED if simulated else settings.data.trained_on,
        "training_data": (
            f"{len(train)} {'simulated ' if simulated_nights else ''}recordings of {subjects} subjects, {hours:.0f} h;"
            f" {course.step} steps of {settings.training.batch_size * settings.training.accumulate} stretches,"
            f" lowest validation loss {course.best:.4f} at step {course.best_step}"
        ),
        "licence": "MIT" if simulated else UNKNOWN,
        "source": f"sleepfm finetune, configuration {settings.name}",
    }
