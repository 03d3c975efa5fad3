"""The three tasks of a head: what is read of each night, which network learns it, and what its card says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from sleepfm.analysis.breathing import SEVERITIES
from sleepfm.errors import RequestError
from sleepfm.models.card import STAGE_LABELS, DemographicCoding, Task
from sleepfm.models.networks import ARCHITECTURES
from sleepfm.models.risk_heads import DemographicsHead
from sleepfm.text import printable
from sleepfm.training.card_fields import baseline_hazard, best_threshold
from sleepfm.training.finetune_settings import (
    BreathingSettings,
    DiseaseSettings,
    FinetuneSettings,
    HeadSettings,
    StageWeights,
    StagingSettings,
)
from sleepfm.training.head_learners import BreathingLearner, DiseaseLearner, HeadLearner, StagingLearner, takes_demographics
from sleepfm.training.night_labels import (
    EVENT,
    SDB,
    SEVERITY,
    STAGES,
    BreathingReader,
    FollowUpReader,
    LabelReader,
    Notes,
    StageReader,
    label_files,
)
from sleepfm.training.nights import LabelledNight
from sleepfm.training.predictions import night_breathing, night_log_hazards
from sleepfm.training.settings import NetworkSettings
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES

Numbers = dict[str, int | float]
Nights = Sequence[LabelledNight]


class HeadTask(Protocol):
    """What fine-tuning asks of a task."""

    kind: Task
    one_stretch_a_night: bool
    """Whether an epoch has one stretch of each night, because the label is the night's."""

    @property
    def reader(self) -> LabelReader:
        """What reads the labels of a night."""
        ...

    def prepare(self, train: Nights) -> Notes:
        """Look at the training nights before the network is made; RequestError when there is nothing to learn from them."""
        ...

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the network, of the task's own numbers where the settings give none."""
        ...

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return what trains the network."""
        ...

    def card(self, made: NetworkSettings, network: nn.Module, train: Nights, validate: Nights) -> dict[str, Any]:
        """Return what the model's card says of the task, of a trained network that is set to evaluation."""
        ...


def task_of(settings: FinetuneSettings, studies: Sequence[str]) -> HeadTask:
    """Return the task that settings describe, for these studies; errors as of the tables that it reads."""
    if isinstance(settings, StagingSettings):
        return StagingTask(settings)
    if isinstance(settings, BreathingSettings):
        return BreathingTask(settings)
    assert isinstance(settings, DiseaseSettings)
    return DiseaseTask(settings, studies)


def completed_head(
    asked: HeadSettings, task: Task, own: str, *, embed_dim: int, classes: int, numbers: Numbers
) -> NetworkSettings:
    """Return the network that was asked for, completed; what follows from the encoder and the labels cannot be otherwise.

    Parameters
    ----------
    own
        The architecture when none was asked for.
    numbers
        The defaults of whatever the architecture knows of them.
    """
    word = asked.architecture or own
    if word not in ARCHITECTURES or ARCHITECTURES[word].task is not task:
        fitting = ", ".join(name for name, made in ARCHITECTURES.items() if made.task is task)
        raise RequestError(f"head.architecture: {printable(word)!r} is no head for {task}; choose {fitting}")
    known = ARCHITECTURES[word].numbers
    strange = [name for name in asked.parameters if name not in known]
    if strange:
        raise RequestError(f"head.parameters: {word} knows no {printable(strange[0])}; it knows {', '.join(known)}")
    heads = math.gcd(embed_dim, 4)
    defaults: Numbers = {"num_heads": heads, "num_layers": 1, "pooling_head": heads, "max_seq_length": 8196, **numbers}
    fixed: Numbers = {"embed_dim": embed_dim, "num_classes": classes}
    for name, value in fixed.items():
        if asked.parameters.get(name, value) != value:
            raise RequestError(
                f"head.parameters.{name}: is {asked.parameters[name]:g}, but the encoder and the labels make it {value:g};"
                " leave it out"
            )
    parameters = {name: value for name, value in {**defaults, **asked.parameters, **fixed}.items() if name in known}
    return NetworkSettings(architecture=word, parameters=parameters)


def stage_weights(stages_n: np.ndarray, asked: StageWeights) -> tuple[np.ndarray, Notes]:
    """Return the weights of the stages in a loss, and which stages training has not; RequestError when it has only one.

    Parameters
    ----------
    stages_n
        (epoch,) of all training nights, -1 Unknown.
    asked
        The weights, or `balanced`.
    """
    count_k = np.array([(stages_n == stage).sum() for stage in SCORED_STAGES])
    if (count_k > 0).sum() < 2:
        only = STAGE_NAMES[SCORED_STAGES[int(count_k.argmax())]]
        raise RequestError(f"the training nights hold only the stage {only}: there is nothing to tell apart")
    absent = [STAGE_NAMES[stage] for stage, count in zip(SCORED_STAGES, count_k, strict=True) if not count]
    notes = (f"no training epoch is {' or '.join(absent)}: the head cannot learn it",) if absent else ()
    if asked != "balanced":
        return np.array(asked), notes
    return np.where(count_k > 0, count_k.sum() / (len(count_k) * np.maximum(count_k, 1)), 0.0), notes


class StagingTask:
    """Sleep stages."""

    kind = Task.STAGING
    one_stretch_a_night = False

    def __init__(self, settings: StagingSettings) -> None:
        self._settings = settings
        self.reader = StageReader(label_files(settings.scorings, settings.data.signals, "scorings"))
        self._class_weights_k = np.ones(len(SCORED_STAGES))

    def prepare(self, train: Nights) -> Notes:
        """Count the stages."""
        stages_n = np.concatenate([one.by_epoch[STAGES] for one in train])
        self._class_weights_k, notes = stage_weights(stages_n, self._settings.class_weights)
        return notes

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the published head, without dropout: a stage for every token is label enough, and it costs half of the time."""
        own = "SleepEventLSTMClassifier"
        numbers: Numbers = {"dropout": 0.0}
        return completed_head(
            self._settings.head, self.kind, own, embed_dim=embed_dim, classes=len(SCORED_STAGES), numbers=numbers
        )

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of stages."""
        weights_k = torch.tensor(self._class_weights_k, dtype=torch.float32)
        return StagingLearner(network, device, class_weights_k=weights_k, normalise=self._settings.normalise)

    def card(self, made: NetworkSettings, network: nn.Module, train: Nights, validate: Nights) -> dict[str, Any]:  # noqa: ARG002
        """Return the stages' names."""
        return {"labels": STAGE_LABELS}


class BreathingTask:
    """Sleep-disordered breathing (SDB): epochs with events, and how bad the night is."""

    kind = Task.BREATHING
    one_stretch_a_night = False

    def __init__(self, settings: BreathingSettings) -> None:
        self._settings = settings
        signals = settings.data.signals
        self.reader = BreathingReader(
            label_files(settings.scorings, signals, "scorings"), label_files(settings.events, signals, "events")
        )
        self._positive_weight = 1.0

    def prepare(self, train: Nights) -> Notes:
        """Count events and severities."""
        sdb_n = np.concatenate([one.by_epoch[SDB] for one in train])
        positive, negative = int((sdb_n == 1).sum()), int((sdb_n == 0).sum())
        if not positive or not negative:
            which = "no apnea and no hypopnea" if not positive else "an event in every epoch"
            raise RequestError(f"the training nights hold {which}: there is nothing to tell apart")
        weight = self._settings.positive_weight
        self._positive_weight = negative / positive if weight == "balanced" else float(weight)
        severity_n = np.array([int(one.by_night[SEVERITY]) for one in train])
        absent = [name for k, name in enumerate(SEVERITIES) if not (severity_n == k).any()]
        return tuple(f"no training night has the severity {name}: the head cannot learn it" for name in absent)

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the breathing head."""
        numbers: Numbers = {"dropout": 0.1}
        return completed_head(
            self._settings.head, self.kind, "BreathingHead", embed_dim=embed_dim, classes=len(SEVERITIES), numbers=numbers
        )

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of events and severity."""
        return BreathingLearner(network, device, positive_weight=self._positive_weight, night_weight=self._settings.night_weight)

    def card(self, made: NetworkSettings, network: nn.Module, train: Nights, validate: Nights) -> dict[str, Any]:  # noqa: ARG002
        """Return the severities' names, and from which probability an epoch counts as one with an event."""
        judged = night_breathing(network, validate, made.parameters)
        threshold = best_threshold(
            np.concatenate([one.sdb_truth_e for one in judged]), np.concatenate([one.sdb_probability_e for one in judged])
        )
        return {"labels": SEVERITIES, "thresholds": {} if threshold is None else {SDB: threshold}}


class DiseaseTask:
    """Hazards of conditions. A condition without a single event in the training nights is left out of the head, and named."""

    kind = Task.DISEASE
    one_stretch_a_night = True

    def __init__(self, settings: DiseaseSettings, studies: Sequence[str]) -> None:
        self._settings = settings
        self._coding = DemographicCoding(age_scale=settings.age_scale, sex_code=settings.sex_code)
        self.reader = FollowUpReader(
            settings.is_event,
            settings.time_to_event,
            studies,
            demographics=settings.demographics,
            coding=self._coding,
            labels=settings.labels,
        )
        self._learned_k = np.arange(len(self.reader.conditions))

    def prepare(self, train: Nights) -> Notes:
        """Leave out the conditions that nobody got."""
        events_k = np.sum([one.by_night[EVENT] for one in train], axis=0)
        self._learned_k = np.flatnonzero(events_k)
        if not len(self._learned_k):
            raise RequestError("no training night has an event of any condition: there is nothing to learn")
        notes = [
            f"no event of {printable(self.reader.conditions[k].phecode)} in the training nights: the head does not speak of it"
            for k in np.flatnonzero(events_k == 0)
        ]
        if self.reader.masked_early:
            notes.append(
                f"{self.reader.masked_early} labels are masked: their time is 0 or less, the condition was there before the night"
            )
        return tuple(notes)

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the published head, without age and sex where no table gives them."""
        heads = math.gcd(embed_dim, 8)
        numbers: Numbers = {"num_heads": heads, "pooling_head": heads, "num_layers": 2, "max_seq_length": 6480, "dropout": 0.3}
        if self._settings.demographics is None:
            numbers["demographics"] = 0
        own = "DiagnosisFinetuneFullLSTMCOXPHWithDemo"
        return completed_head(
            self._settings.head, self.kind, own, embed_dim=embed_dim, classes=len(self._learned_k), numbers=numbers
        )

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of hazards; RequestError when the network takes age and sex and there is no table of them."""
        if takes_demographics(network) and self._settings.demographics is None:
            raise RequestError("demographics: this head takes age and sex; give the CSV with age and gender")
        return DiseaseLearner(network, device, columns=self._learned_k, ties=self._settings.ties)

    def card(self, made: NetworkSettings, network: nn.Module, train: Nights, validate: Nights) -> dict[str, Any]:  # noqa: ARG002
        """Return the conditions, how age and sex are coded, and the baseline hazards of the training nights."""
        log_hazard_nk = night_log_hazards(network, train, made.parameters)
        return {
            "labels": tuple(self.reader.conditions[k] for k in self._learned_k),
            "demographics": self._coding if takes_demographics(network) else None,
            "baseline_hazard": baseline_hazard(train, self._learned_k.tolist(), log_hazard_nk),
            "baseline": isinstance(network, DemographicsHead),
        }
