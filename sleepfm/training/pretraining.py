"""Pretraining an encoder from signals alone: `sleepfm pretrain CONFIG`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sleepfm.errors import ModelError, RequestError
from sleepfm.inference.device import place
from sleepfm.models.card import SIMULATED, UNKNOWN, SignalCoding, Task
from sleepfm.models.networks import build, fit, load_model
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.training.batch_norm import shared_statistics
from sleepfm.training.card_fields import made_here
from sleepfm.training.engine import Outcome, Trainer
from sleepfm.training.pretext import learner_of
from sleepfm.training.processes import Team, join_team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.splits import Splits, read_splits, read_subjects, share_of_subjects
from sleepfm.training.window_loader import WindowLoader
from sleepfm.training.windows import LeftOutRecording, Store, open_store
from sleepfm.vocabulary import MODEL_RATE_HZ


def pretrain(
    settings: PretrainSettings,
    folder: Path,
    *,
    shelf: Shelf | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> tuple[Outcome, dict[str, Any]]:
    """Train an encoder.

    Parameters
    ----------
    settings
        What to do.
    folder
        The run's folder.
    shelf
        Where `start_from` is looked up.
    resume
        Go on with the run that is in it, if any.

    Returns
    -------
    Outcome, about
        How the run ended; and, when it finished, `state` (the weights of the lowest validation loss) and `card` for
        `sleepfm.models.shelf.Shelf.add`. A stopped run, and a process that does not lead, gives an empty one.

    Raises
    ------
    RequestError
        A path, a split or a setting is wrong.
    SleepFMError
        Leakage between splits, a damaged checkpoint, a loss that is no number.
    """
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    device = place(settings.training.device).device
    with join_team(device) as team:
        run = RunFolder(folder, settings, resume=resume, leads=team.leads)
        try:
            return _pretrain(settings, run, torch.device(device), team, shelf=shelf, resume=resume, progress=progress)
        finally:
            run.close()


def _pretrain(
    settings: PretrainSettings,
    run: RunFolder,
    device: torch.device,
    team: Team,
    *,
    shelf: Shelf | None,
    resume: bool,
    progress: Progress,
) -> tuple[Outcome, dict[str, Any]]:
    run.state(state="running", fraction=0.0, message="looking through the recordings")
    coding = settings.encoder.coding()
    splits, subject_of = _splits(settings)
    samples = settings.encoder.window_samples
    store = open_store(settings.data.signals, coding, least_samples=samples, progress=part(progress, 0.0, 0.02))
    chosen = share_of_subjects(splits.of(settings.data.lists), subject_of, settings.data.fraction, settings.training.seed)
    train = _of(store, chosen, " and ".join(settings.data.lists))
    validate = _of(store, splits.validation, "validation")
    _name_left_out(run, store, chosen, splits)

    torch.manual_seed(settings.training.seed)
    encoder = shared_statistics(_first_weights(settings, shelf))
    torch.manual_seed(settings.training.seed + 7919 * team.rank)  # dropout differs between processes
    learner = learner_of(settings, encoder, device)
    common: dict[str, Any] = {
        "batch_size": settings.training.batch_size,
        "window_samples": samples,
        "seed": settings.training.seed,
        "threads": settings.training.loader_threads,
        "rank": team.rank,
        "world": team.size,
    }
    batches = WindowLoader(train, augmentation=settings.augmentation, **common)
    checks = WindowLoader(validate, augmentation=None, most_windows=settings.validation_windows, **common)
    trainer = Trainer(
        learner, settings.training, run, train=batches, validate=checks, team=team, progress=part(progress, 0.02, 1.0)
    )
    outcome = trainer.run(resume=resume)
    for loader in (batches, checks):
        for identifier, reason in loader.unreadable.reasons.items():
            run.log(outcome.course.step, {"unreadable": identifier, "reason": reason, "windows": loader.unreadable.windows})
    if outcome.state == "stopped" or not team.leads:
        return outcome, {}
    about = _about(settings, coding, train, trainer.best_weights(), outcome)
    subjects = {
        name: len({subject_of.get(recording.id, recording.id) for recording in part_of.recordings})
        for name, part_of in (("train", train), ("validation", validate))
    }
    about["card"]["training"] = made_here(
        settings, None, subjects, seed=settings.training.seed, seconds=outcome.course.seconds, device=device
    )
    return outcome, about


def _first_weights(settings: PretrainSettings, shelf: Shelf | None) -> nn.Module:
    """Return the network with the weights that training begins with."""
    network = build(settings.encoder.architecture, settings.encoder.parameters)
    if settings.start_from is None:
        return network
    folder = Path(settings.start_from)
    if not folder.is_dir():
        if shelf is None:
            raise RequestError(f"start_from: {settings.start_from} is no model's folder")
        folder = shelf.get(settings.start_from).folder
    state = load_model(folder).network.state_dict()
    try:
        fit(network, state)
    except ModelError as error:
        raise ModelError(f"start_from: {folder}: {error}") from None
    for parameter in network.parameters():
        parameter.requires_grad_()
    return network


def _splits(settings: PretrainSettings) -> tuple[Splits, dict[str, str]]:
    subject_of = read_subjects(settings.data.cohort)
    return read_splits(settings.data.splits, subject_of), subject_of


def _of(store: Store, studies: Sequence[str], name: str) -> Store:
    """Return the recordings of a split; RequestError when there is none."""
    wanted = set(studies)
    found = tuple(recording for recording in store.recordings if recording.id in wanted)
    if not found:
        raise RequestError(
            f"no recording for {name}: none of its {len(wanted)} studies is among the {len(store.recordings)} that were found"
        )
    return Store(found, store.left_out, store.reader)


def _name_left_out(run: RunFolder, store: Store, chosen: Sequence[str], splits: Splits) -> None:
    """Write down each recording that the splits name and that cannot be used, with its reason."""
    left: list[LeftOutRecording] = list(store.left_out)
    there = {recording.id for recording in store.recordings} | {one.id for one in left}
    missing = [study for study in (*chosen, *splits.validation) if study not in there]
    left += [LeftOutRecording(study, "no signals file was found") for study in missing]
    for one in left:
        run.log(0, {"left_out": one.id, "reason": one.reason})


def _about(
    settings: PretrainSettings, coding: SignalCoding, train: Store, weights: dict[str, Tensor], outcome: Outcome
) -> dict[str, Any]:
    simulated = any(recording.simulated for recording in train.recordings)
    state = {name.removeprefix("encoder."): tensor for name, tensor in weights.items() if name.startswith("encoder.")}
    hours = sum(recording.n_samples for recording in train.recordings) / MODEL_RATE_HZ / 3600
    words = {"leave_one_out": "leave-one-out contrastive", "pairwise": "pairwise contrastive"}.get(
        settings.objective.kind, settings.objective.kind
    )
    card = {
        "task": Task.ENCODER,
        "architecture": settings.encoder.architecture,
        "parameters": settings.encoder.parameters,
        "signals": coding,
        "trained_on": SIMULATED if simulated else settings.data.trained_on,
        "training_data": (
            f"{len(train.recordings)} {'simulated ' if simulated else ''}recordings, {hours:.0f} h; {words},"
            f" {outcome.course.step} steps of {settings.training.batch_size * settings.training.accumulate} windows,"
            f" lowest validation loss {outcome.course.best:.4f} at step {outcome.course.best_step}"
        ),
        "licence": "MIT" if simulated else UNKNOWN,
        "source": f"sleepfm pretrain, configuration {settings.name}",
    }
    return {"state": state, "card": card}
