"""The supervised baseline: the same encoder and head trained as one network from signals and stages, without pretraining.

It shows what pretraining is worth. The result is an encoder and a head like any other, so that everything that works with a
pretrained pair (staging, evaluation) works with it; the head sees one window at a time, as it was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.inference.device import place
from sleepfm.models.card import SIMULATED, STAGE_LABELS, UNKNOWN, EncoderLink, Task
from sleepfm.models.end_to_end import EndToEnd
from sleepfm.models.networks import build
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.training.batch_norm import shared_statistics
from sleepfm.training.classification_loss import Normalise, masked_cross_entropy
from sleepfm.training.engine import Outcome, Outputs, Trainer
from sleepfm.training.finetune_settings import EndToEndSettings
from sleepfm.training.head_tasks import completed_head, stage_weights
from sleepfm.training.labels import read_stages
from sleepfm.training.loss import Loss
from sleepfm.training.night_labels import label_files
from sleepfm.training.processes import Team, join_team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.settings import NetworkSettings
from sleepfm.training.splits import read_splits, read_subjects, share_of_subjects
from sleepfm.training.window_loader import WindowBatch, WindowLoader
from sleepfm.training.windows import Store, open_store
from sleepfm.vocabulary import EPOCH_S, MODEL_RATE_HZ, Stage


@dataclass(frozen=True, eq=False)
class ScoredWindows:
    """Windows and the stage of the epoch in which the middle of each token lies, (window, token) int64, -1 Unknown."""

    windows: WindowBatch
    labels_ns: Tensor

    @property
    def size(self) -> int:
        """Number of windows."""
        return self.windows.size


class ScoredLoader:
    """Gives a loader's windows with their stages.

    Parameters
    ----------
    stages
        (epoch,) of each recording of the loader's store.
    window_samples, patch_size
        Samples in a window and in a token.
    """

    def __init__(self, loader: WindowLoader, stages: Sequence[np.ndarray], window_samples: int, patch_size: int) -> None:
        self._loader = loader
        self._stages = stages
        self._middle_s = (np.arange(window_samples // patch_size) + 0.5) * patch_size

    def steps(self, epoch: int) -> int:
        """Return how many batches the epoch has."""
        return self._loader.steps(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[ScoredWindows]:
        """Give the batches of an epoch from number `start` on."""
        for windows in self._loader.batches(epoch, start):
            yield ScoredWindows(windows, torch.from_numpy(self._labels(windows)))

    def _labels(self, windows: WindowBatch) -> np.ndarray:
        labels_ns = np.full((windows.size, len(self._middle_s)), int(Stage.UNKNOWN), np.int64)
        for row_s, number, start in zip(labels_ns, windows.recording_n.tolist(), windows.start_n.tolist(), strict=True):
            stages_e = self._stages[number]
            epoch_s = ((start + self._middle_s) // (EPOCH_S * MODEL_RATE_HZ)).astype(np.int64)
            there_s = epoch_s < len(stages_e)
            row_s[there_s] = stages_e[epoch_s[there_s]]
        return labels_ns


class EndToEndLearner:
    """An encoder and a head as one network, judged token by token.

    Parameters
    ----------
    class_weights_k, normalise
        See `masked_cross_entropy`.
    """

    def __init__(self, network: EndToEnd, device: torch.device, *, class_weights_k: Tensor, normalise: Normalise) -> None:
        self.network: nn.Module = network.to(device)
        self._joint = network
        self._device = device
        self._class_weights_k = class_weights_k
        self._normalise = normalise

    def outputs(self, batch: ScoredWindows) -> Outputs:
        """Return (window, token, class) logits."""
        windows = batch.windows
        return (self._joint.forward_sets(windows.x_rt.to(self._device, non_blocking=True).float(), windows.counts_mn),)

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[ScoredWindows]) -> Loss:
        """Judge the tokens of all batches together."""
        logits_nsk = torch.cat([logits for (logits,) in outputs])
        labels_ns = torch.cat([batch.labels_ns for batch in batches]).to(logits_nsk.device)
        return masked_cross_entropy(logits_nsk, labels_ns, class_weights_k=self._class_weights_k, normalise=self._normalise)

    def describe(self, batch: ScoredWindows) -> str:
        """Return the numbers of the recordings in the store."""
        return f"recordings {', '.join(str(int(number)) for number in batch.windows.recording_n.unique())}"


def train_end_to_end(
    settings: EndToEndSettings, folder: Path, *, resume: bool = False, progress: Progress = silent
) -> tuple[Outcome, dict[str, Any]]:
    """Train staging from signals.

    Parameters
    ----------
    settings
        What to do.
    folder
        The run's folder.
    resume
        Go on with the run that is in it, if any.

    Returns
    -------
    Outcome, about
        How the run ended; and `encoder` and `head`, each a `state` and a `card` of the best weights, for `shelve_pair`.
        Nothing of a run that was stopped, and nothing but in the process that leads.

    Raises
    ------
    RequestError, SleepFMError
        As of `sleepfm.training.pretraining.pretrain` and `sleepfm.training.finetuning.finetune`.
    """
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    device = place(settings.training.device).device
    with join_team(device) as team:
        run = RunFolder(folder, settings, resume=resume, leads=team.leads)
        try:
            return _train(settings, run, torch.device(device), team, resume=resume, progress=progress)
        finally:
            run.close()


def _train(
    settings: EndToEndSettings, run: RunFolder, device: torch.device, team: Team, *, resume: bool, progress: Progress
) -> tuple[Outcome, dict[str, Any]]:
    run.state(state="running", fraction=0.0, message="looking through the recordings")
    training = settings.training
    subject_of = read_subjects(settings.data.cohort)
    splits = read_splits(settings.data.splits, subject_of)
    samples = settings.encoder.window_samples
    store = open_store(
        settings.data.signals, settings.encoder.coding(), least_samples=samples, progress=part(progress, 0.0, 0.02)
    )
    for left in store.left_out:
        run.log(0, {"left_out": left.id, "reason": left.reason})
    chosen = share_of_subjects(splits.of(settings.data.lists), subject_of, settings.data.fraction, training.seed)
    train, stages = _scored(settings, store, chosen, " and ".join(settings.data.lists), run)
    validate, validation_stages = _scored(settings, store, splits.validation, "validation", run)
    weights_k, notes = stage_weights(np.concatenate(stages), settings.class_weights)
    for note in notes:
        run.log(0, {"note": note})

    patch = settings.encoder.patch_size
    torch.manual_seed(training.seed)
    encoder = build(settings.encoder.architecture, settings.encoder.parameters)
    made = completed_head(
        settings.head,
        Task.STAGING,
        "SleepEventLSTMClassifier",
        embed_dim=int(settings.encoder.parameters["embed_dim"]),
        classes=len(STAGE_LABELS),
        numbers={"dropout": 0.0, "max_seq_length": samples // patch},
    )
    network = EndToEnd(encoder, build(made.architecture, made.parameters))
    shared_statistics(network)
    torch.manual_seed(training.seed + 7919 * team.rank)  # dropout differs between processes
    common: dict[str, Any] = {
        "batch_size": training.batch_size,
        "window_samples": samples,
        "seed": training.seed,
        "threads": training.loader_threads,
        "rank": team.rank,
        "world": team.size,
    }
    loaders = (
        WindowLoader(train, augmentation=settings.augmentation, **common),
        WindowLoader(validate, augmentation=None, most_windows=settings.validation_windows, **common),
    )
    trainer = Trainer(
        EndToEndLearner(
            network, device, class_weights_k=torch.tensor(weights_k, dtype=torch.float32), normalise=settings.normalise
        ),
        training,
        run,
        train=ScoredLoader(loaders[0], stages, samples, patch),
        validate=ScoredLoader(loaders[1], validation_stages, samples, patch),
        team=team,
        progress=part(progress, 0.02, 1.0),
    )
    outcome = trainer.run(resume=resume)
    for loader in loaders:
        for identifier, reason in loader.unreadable.reasons.items():
            run.log(outcome.course.step, {"unreadable": identifier, "reason": reason, "windows": loader.unreadable.windows})
    if outcome.state == "stopped" or not team.leads:
        return outcome, {}
    return outcome, _about(settings, made, train, weights=trainer.best_weights(), outcome=outcome)


def _scored(
    settings: EndToEndSettings, store: Store, studies: Sequence[str], name: str, run: RunFolder
) -> tuple[Store, list[np.ndarray]]:
    """Return the recordings of a split that are scored, and the stages of each; RequestError when there is none."""
    files = label_files(settings.scorings, settings.data.signals, "scorings")
    there = {recording.id: recording for recording in store.recordings}
    kept, stages, reason = [], [], ""
    for study in studies:
        try:
            if study not in there:
                raise RecordingError("no signals file was found")
            recording = there[study]
            stages_e, notes = read_stages(files.scoring(study), recording.n_samples / MODEL_RATE_HZ)
        except SleepFMError as error:
            reason = reason or f"; {study}: {error}"
            if study not in {left.id for left in store.left_out}:
                run.log(0, {"left_out": study, "reason": str(error)})
            continue
        for note in notes:
            run.log(0, {"study": study, "note": note})
        kept.append(recording)
        stages.append(stages_e)
    if not kept:
        raise RequestError(f"no recording for {name}: none of its {len(studies)} studies can be used{reason}")
    return Store(tuple(kept), store.left_out, store.reader), stages


def _about(
    settings: EndToEndSettings, made: NetworkSettings, train: Store, *, weights: dict[str, Tensor], outcome: Outcome
) -> dict[str, Any]:
    simulated = any(recording.simulated for recording in train.recordings)
    hours = sum(recording.n_samples for recording in train.recordings) / MODEL_RATE_HZ / 3600
    course = outcome.course
    common: dict[str, Any] = {
        "trained_on": SIMULATED if simulated else settings.data.trained_on,
        "training_data": (
            f"{len(train.recordings)} {'simulated ' if simulated else ''}recordings, {hours:.0f} h; end to end from signals and"
            f" stages, {course.step} steps of {settings.training.batch_size * settings.training.accumulate} windows, lowest"
            f" validation loss {course.best:.4f} at step {course.best_step}"
        ),
        "licence": "MIT" if simulated else UNKNOWN,
        "source": f"sleepfm end-to-end training, configuration {settings.name}",
        "baseline": True,
    }
    encoder = {
        "task": Task.ENCODER,
        "architecture": settings.encoder.architecture,
        "parameters": settings.encoder.parameters,
        "signals": settings.encoder.coding(),
    }
    head = {
        "task": Task.STAGING,
        "architecture": made.architecture,
        "parameters": made.parameters,
        "labels": STAGE_LABELS,
    }

    def of(side: str) -> dict[str, Tensor]:
        return {name.removeprefix(f"{side}."): tensor for name, tensor in weights.items() if name.startswith(f"{side}.")}

    return {
        "encoder": {"state": of("encoder"), "card": common | encoder},
        "head": {"state": of("head"), "card": common | head},
    }


def shelve_pair(shelf: Shelf, name: str, about: dict[str, Any], *, half: bool = False) -> ShelfEntry:
    """Put an end-to-end network on the shelf as `<name>-encoder` and the head `name` that belongs to it; return the head.

    Parameters
    ----------
    about
        As `train_end_to_end` gives it.
    half
        Store the weights in half precision.
    """
    encoder = shelf.add(f"{name}-encoder", about["encoder"]["state"], about["encoder"]["card"], half=half)
    link = EncoderLink(name=encoder.name, weights_sha256=encoder.card.weights_sha256)
    return shelf.add(name, about["head"]["state"], about["head"]["card"] | {"encoder": link}, half=half)
