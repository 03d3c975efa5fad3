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
from sleepfm.text import printable
from sleepfm.training.finetune_settings import BreathingSettings, DiseaseSettings, FinetuneSettings, StagingSettings
from sleepfm.training.head_learners import BreathingLearner, DiseaseLearner, HeadLearner, StagingLearner
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
from sleepfm.training.settings import NetworkSettings
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES


class HeadTask(Protocol):
    """What fine-tuning asks of a task."""

    kind: Task
    one_stretch_a_night: bool
    """Whether an epoch has one stretch of each night, because the label is the night's."""

    @property
    def reader(self) -> LabelReader:
        """What reads the labels of a night."""
        ...

    def prepare(self, train: Sequence[LabelledNight]) -> Notes:
        """Look at the training nights before the network is made; RequestError when there is nothing to learn from them."""
        ...

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the network, of the task's own numbers where the settings give none."""
        ...

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return what trains the network."""
        ...

    def card(self) -> dict[str, Any]:
        """Return what the model's card says of the task."""
        ...


def task_of(settings: FinetuneSettings, studies: Sequence[str]) -> HeadTask:
    """Return the task that settings describe, for these studies; errors as of the tables that it reads."""
    if isinstance(settings, StagingSettings):
        return StagingTask(settings)
    if isinstance(settings, BreathingSettings):
        return BreathingTask(settings)
    assert isinstance(settings, DiseaseSettings)
    return DiseaseTask(settings, studies)


def _with_defaults(asked: NetworkSettings | None, architecture: str, defaults: dict[str, int | float]) -> NetworkSettings:
    """Return the network that was asked for, completed; what follows from the encoder and the labels cannot be otherwise."""
    asked = asked or NetworkSettings(architecture=architecture)
    for name in ("embed_dim", "num_classes"):
        if name in asked.parameters and asked.parameters[name] != defaults[name]:
            raise RequestError(
                f"head.parameters.{name}: is {asked.parameters[name]:g}, but the encoder and the labels make it"
                f" {defaults[name]:g}; leave it out"
            )
    return NetworkSettings(architecture=asked.architecture, parameters={**defaults, **asked.parameters})


def _published_head(embed_dim: int, classes: int, *, heads: int, layers: int, longest: int) -> dict[str, int | float]:
    heads = math.gcd(embed_dim, heads)
    return {
        "embed_dim": embed_dim,
        "num_heads": heads,
        "num_layers": layers,
        "num_classes": classes,
        "pooling_head": heads,
        "dropout": 0.3,
        "max_seq_length": longest,
    }


class StagingTask:
    """Sleep stages."""

    kind = Task.STAGING
    one_stretch_a_night = False

    def __init__(self, settings: StagingSettings) -> None:
        self._settings = settings
        self.reader = StageReader(label_files(settings.scorings, settings.data.signals, "scorings"))
        self._class_weights_k = np.ones(len(SCORED_STAGES))

    def prepare(self, train: Sequence[LabelledNight]) -> Notes:
        """Count the stages."""
        stages_n = np.concatenate([one.by_epoch[STAGES] for one in train])
        count_k = np.array([(stages_n == stage).sum() for stage in SCORED_STAGES])
        if (count_k > 0).sum() < 2:
            only = STAGE_NAMES[SCORED_STAGES[int(count_k.argmax())]]
            raise RequestError(f"the training nights hold only the stage {only}: there is nothing to tell apart")
        weights = self._settings.class_weights
        if weights == "balanced":
            self._class_weights_k = np.where(count_k > 0, count_k.sum() / (5 * np.maximum(count_k, 1)), 0.0)
        else:
            self._class_weights_k = np.array(weights)
        absent = [STAGE_NAMES[stage] for stage, count in zip(SCORED_STAGES, count_k, strict=True) if not count]
        return (f"no training epoch is {' or '.join(absent)}: the head cannot learn it",) if absent else ()

    def network(self, embed_dim: int) -> NetworkSettings:
        """Return the published head."""
        numbers = _published_head(embed_dim, len(SCORED_STAGES), heads=4, layers=1, longest=8196)
        return _with_defaults(self._settings.head, "SleepEventLSTMClassifier", numbers)

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of stages."""
        weights_k = torch.tensor(self._class_weights_k, dtype=torch.float32)
        return StagingLearner(network, device, class_weights_k=weights_k, normalise=self._settings.normalise)

    def card(self) -> dict[str, Any]:
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

    def prepare(self, train: Sequence[LabelledNight]) -> Notes:
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
        numbers = _published_head(embed_dim, len(SEVERITIES), heads=4, layers=1, longest=8196)
        return _with_defaults(self._settings.head, "BreathingHead", numbers)

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of events and severity."""
        return BreathingLearner(network, device, positive_weight=self._positive_weight, night_weight=self._settings.night_weight)

    def card(self) -> dict[str, Any]:
        """Return the severities' names."""
        return {"labels": SEVERITIES}


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

    def prepare(self, train: Sequence[LabelledNight]) -> Notes:
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
        """Return the published head."""
        numbers = _published_head(embed_dim, len(self._learned_k), heads=8, layers=2, longest=6480)
        return _with_defaults(self._settings.head, "DiagnosisFinetuneFullLSTMCOXPHWithDemo", numbers)

    def learner(self, network: nn.Module, device: torch.device) -> HeadLearner:
        """Return the learner of hazards."""
        return DiseaseLearner(network, device, columns=self._learned_k, ties=self._settings.ties)

    def card(self) -> dict[str, Any]:
        """Return the conditions, and how age and sex are coded."""
        coding = DemographicCoding() if self._settings.demographics is None else self._coding
        return {"labels": tuple(self.reader.conditions[k] for k in self._learned_k), "demographics": coding}
