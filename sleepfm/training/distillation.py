"""A fast stand-in for a disease head: two layers on the night's mean embedding that say what the head says.

The student learns from the teacher's answers alone, so it needs no follow-up; age and sex where the teacher takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.inference.device import place
from sleepfm.models.card import SIMULATED, DemographicCoding, Metric, Task
from sleepfm.models.networks import Model, build, load_model
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.training.card_fields import training_record
from sleepfm.training.collectives import sum_all
from sleepfm.training.engine import Outcome, Outputs, Trainer
from sleepfm.training.finetune_settings import DistillSettings
from sleepfm.training.finetuning import evenly, nights_of, write_down
from sleepfm.training.head_learners import HeadLearner, takes_demographics
from sleepfm.training.labels import read_demographics
from sleepfm.training.loss import Loss
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import DEMOGRAPHICS, LabelReader, Notes, gather_nights
from sleepfm.training.nights import LabelledNight, Night, NightBatch, NightLoader
from sleepfm.training.predictions import on_device, run_head
from sleepfm.training.processes import Team, join_team
from sleepfm.training.run_folder import RunFolder
from sleepfm.training.splits import read_splits, read_subjects, share_of_subjects
from sleepfm.vocabulary import TOKENS_PER_EPOCH

ANSWER = "answer"
"""The label: what the teacher says, (condition,)."""
_SHORTEST_SHARE = 0.3


class PersonReader:
    """Reads age and sex, and nothing that became of a person."""

    def __init__(self, demographics: Path | None, coding: DemographicCoding | None, studies: Sequence[str]) -> None:
        self._path = demographics
        self._coding = coding
        sex_code = {} if coding is None or isinstance(coding.sex_code, str) else coding.sex_code
        self._people = {} if demographics is None else read_demographics(demographics, set(studies), sex_code)

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return the night with the person's age and sex, where a head needs them."""
        if self._path is None or self._coding is None:
            return LabelledNight(night), ()
        if night.study not in self._people:
            raise SleepFMError(f"has no age and sex in {self._path}")
        return LabelledNight(
            night, by_night={DEMOGRAPHICS: np.array(self._coding.encode(*self._people[night.study]), np.float32)}
        ), ()


class DistillationLearner(HeadLearner):
    """A student that is to give the teacher's log hazards, each condition in units of how much the teacher's vary.

    Parameters
    ----------
    scale_k
        (condition,) standard deviation of the teacher's answers in training.
    """

    def __init__(self, network: nn.Module, device: torch.device, *, scale_k: Tensor) -> None:
        super().__init__(network, device)
        self._scale_k = scale_k
        self._takes_demographics = takes_demographics(network)

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[NightBatch]) -> Loss:
        """Return the mean squared difference."""
        said_nk = torch.cat([said_bk for (said_bk,) in outputs])
        answer_nk = torch.cat([batch.by_night[ANSWER] for batch in batches]).to(said_nk)
        squares = sum_all((((said_nk - answer_nk) / self._scale_k.to(said_nk)) ** 2).sum())
        count = int(sum_all(torch.tensor(said_nk.numel())))
        return Loss(squares / max(count, 1), {"nights": count / said_nk.shape[1]}, scored=float(count))

    def _forward(self, batch: NightBatch, first: int, last: int) -> Outputs:
        inputs = [*batch.embeddings(first, last), batch.by_night[DEMOGRAPHICS][first:last] if self._takes_demographics else None]
        return (self.network(*(None if x is None else x.to(self._device) for x in inputs)),)


def distil(
    settings: DistillSettings, folder: Path, *, shelf: Shelf, resume: bool = False, progress: Progress = silent
) -> tuple[Outcome, dict[str, Any]]:
    """Train a `NightMLP` to say what a disease head says.

    Parameters and returns as for `sleepfm.training.finetuning.finetune`.

    Raises
    ------
    RequestError
        The teacher is no disease head, takes age and sex that are not given, or no recording is left for a split.
    SleepFMError
        Leakage between splits, or a table or a checkpoint that cannot be read.
    """
    if settings.training.threads is not None:
        torch.set_num_threads(settings.training.threads)
    device = place(settings.training.device).device
    with join_team(device) as team:
        run = RunFolder(folder, settings, resume=resume, leads=team.leads)
        try:
            return _distil(settings, run, torch.device(device), team, shelf=shelf, resume=resume, progress=progress)
        finally:
            run.close()


def _distil(
    settings: DistillSettings,
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
    entry = shelf.get(settings.teacher)
    if entry.card.task is not Task.DISEASE:
        raise RequestError(f"{entry.name} is a model for {entry.card.task}, not for disease; name a disease head as teacher")
    encoder = shelf.encoder_of(entry.card)
    teacher = load_model(entry.folder)
    if takes_demographics(teacher.network) and settings.demographics is None:
        raise RequestError(f"demographics: {entry.name} takes age and sex; give the CSV with age and gender")
    subject_of = read_subjects(settings.data.cohort)
    splits = read_splits(settings.data.splits, subject_of)
    chosen = share_of_subjects(splits.of(settings.data.lists), subject_of, settings.data.fraction, training.seed)
    checked = evenly(splits.validation, settings.validation_nights)
    studies = tuple(dict.fromkeys((*chosen, *checked)))
    reader: LabelReader = PersonReader(
        settings.demographics if takes_demographics(teacher.network) else None, entry.card.demographics, studies
    )
    found = embed_nights(
        studies,
        settings.data.signals,
        encoder,
        settings.embeddings or run.path / "embeddings",
        device=training.device,
        workers=training.threads,
        team=team,
        progress=part(progress, 0.0, 0.4),
    )
    gathered = gather_nights(reader, found, subject_of, memory_gb=settings.memory_gb)
    write_down(run, gathered)
    nights = {"train": nights_of(gathered, chosen, " and ".join(settings.data.lists))}
    nights["validation"] = nights_of(gathered, checked, "validation")
    asking = part(progress, 0.4, 0.9)
    train = ask_teacher(teacher, nights["train"], settings, stretches=settings.stretches, progress=part(asking, 0.0, 0.9))
    validate = ask_teacher(teacher, nights["validation"], settings, stretches=0, progress=part(asking, 0.9, 1.0))
    answers_nk = np.stack([one.by_night[ANSWER] for one in train])
    scale_k = answers_nk.std(axis=0)
    if not (scale_k > 0).any():
        raise RequestError(f"{entry.name} says the same of every training night: there is nothing to learn from it")

    parameters: dict[str, int | float] = {
        "embed_dim": encoder.card.embed_dim,
        "num_classes": answers_nk.shape[1],
        "hidden": settings.hidden,
        "demographics": int(takes_demographics(teacher.network)),
        "dropout": 0.0,
    }
    torch.manual_seed(training.seed)
    network = build("NightMLP", parameters)
    learner = DistillationLearner(network, device, scale_k=torch.from_numpy(np.where(scale_k > 0, scale_k, 1.0)))
    common: dict[str, Any] = {"seed": training.seed, "rank": team.rank, "world": team.size}
    trainer = Trainer(
        learner,
        training,
        run,
        train=NightLoader(train, batch_size=training.batch_size, **common),
        validate=NightLoader(validate, batch_size=len(validate), shuffle=False, **common),
        team=team,
        progress=part(progress, 0.9, 1.0),
    )
    outcome = trainer.run(resume=resume)
    if outcome.state == "stopped" or not team.leads:
        return outcome, {}
    state = trainer.best_weights()
    network.load_state_dict(state)
    card = {
        "task": Task.DISEASE,
        "architecture": "NightMLP",
        "parameters": parameters,
        "encoder": entry.card.encoder,
        "labels": entry.card.labels,
        "demographics": entry.card.demographics if parameters["demographics"] else None,
        "baseline_hazard": entry.card.baseline_hazard,
        "trained_on": SIMULATED if any(one.night.origin.simulated for one in train) else entry.card.trained_on,
        "training_data": (
            f"the answers of {entry.name} on {len(nights['train'])} recordings; lowest validation loss"
            f" {outcome.course.best:.4f} at step {outcome.course.best_step} (mean squared difference, 1 for a constant)"
        ),
        "training": training_record(settings, nights, seed=training.seed, seconds=outcome.course.seconds, device=device),
        "metrics": _agreement(network.eval(), validate, entry.name),
        "licence": entry.card.licence,
        "source": f"distilled from {entry.name}, configuration {settings.name}",
    }
    return outcome, {"state": state, "card": card}


def ask_teacher(
    teacher: Model, nights: Sequence[LabelledNight], settings: DistillSettings, *, stretches: int, progress: Progress = silent
) -> list[LabelledNight]:
    """Return what the teacher says of whole nights and of random stretches of them, as nights of one mean token.

    Parameters
    ----------
    stretches
        Random stretches of each night beside the whole, each at least 30 % of it.
    """
    network = on_device(teacher.network, settings.training.device)
    longest = int(teacher.card.parameters.get("max_seq_length", 1 << 30))
    samples = []
    for number, labelled in enumerate(nights):
        night = labelled.night
        progress(number / len(nights), f"asking {teacher.card.name} about {night.study}")
        last = min(night.tokens, longest)
        more = (torch.from_numpy(labelled.by_night[DEMOGRAPHICS])[None],) if takes_demographics(network) else ()
        chance = np.random.default_rng([settings.training.seed, number])
        for start, stop in [(0, last), *(_stretch(last, chance) for _ in range(stretches))]:
            answer_k = run_head(network, night, start, stop, None, *more)[0][0].numpy()
            mean_m1e = night.read(start, stop).mean(axis=1, keepdims=True, dtype=np.float32).astype(np.float16)
            samples.append(
                LabelledNight(replace(night, rows_mse=mean_m1e, tokens=1), by_night={**labelled.by_night, ANSWER: answer_k})
            )
    return samples


def _stretch(tokens: int, chance: np.random.Generator) -> tuple[int, int]:
    least = max(1, round(_SHORTEST_SHARE * tokens))
    length = int(chance.integers(least, tokens + 1))
    start = int(chance.integers(tokens - length + 1)) // TOKENS_PER_EPOCH * TOKENS_PER_EPOCH
    return start, start + length


def _agreement(network: nn.Module, nights: Sequence[LabelledNight], teacher: str) -> tuple[Metric, ...]:
    """Return the mean rank correlation with the teacher over the conditions, on whole validation nights."""
    said_nk = []
    for labelled in nights:
        more = (torch.from_numpy(labelled.by_night[DEMOGRAPHICS])[None],) if takes_demographics(network) else ()
        said_nk.append(run_head(network, labelled.night, 0, 1, None, *more)[0][0].numpy())
    answer_nk = np.stack([one.by_night[ANSWER] for one in nights])
    varies = [k for k in range(answer_nk.shape[1]) if np.ptp(answer_nk[:, k]) > 0]
    found = [float(spearmanr(np.stack(said_nk)[:, k], answer_nk[:, k]).statistic) for k in varies]
    if not found:
        return ()
    return (Metric(name=f"rank correlation with {teacher}", value=float(np.mean(found)), data="validation", n=len(nights)),)
