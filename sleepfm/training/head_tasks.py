"""The three tasks of a head: what is read of each night, which network learns it, and what its card says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from sleepfm.analysis.breathing import SEVERITIES, presence, severity
from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.models.card import STAGE_LABELS, Condition, DemographicCoding, Task
from sleepfm.models.importing import read_labels
from sleepfm.text import printable
from sleepfm.training.finetune_settings import BreathingSettings, DiseaseSettings, FinetuneSettings, StagingSettings
from sleepfm.training.head_learners import (
    AHI,
    DEMOGRAPHICS,
    EVENT,
    KNOWN,
    PRESENCE,
    SDB,
    SEVERITY,
    STAGES,
    YEARS,
    BreathingLearner,
    DiseaseLearner,
    HeadLearner,
    StagingLearner,
)
from sleepfm.training.labels import LabelFiles, read_breathing, read_demographics, read_stages, read_survival
from sleepfm.training.nights import LabelledNight, Night
from sleepfm.training.settings import NetworkSettings
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES

Notes = tuple[str, ...]


class HeadTask(Protocol):
    """What fine-tuning and evaluation ask of a task."""

    kind: Task
    one_stretch_a_night: bool
    """Whether an epoch has one stretch of each night, because the label is the night's."""

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Read what is known of a night, and what did not fit; SleepFMError when it is of no use, with the reason."""
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


def _label_files(folder: Path | None, settings: FinetuneSettings, key: str) -> LabelFiles:
    if folder is not None:
        return LabelFiles([folder])
    if not settings.data.signals:
        raise RequestError(f"{key}: say in which folder they are; data.signals names none beside which they could be")
    return LabelFiles(path if path.is_dir() else path.parent for path in settings.data.signals)


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


def _stages(files: LabelFiles, night: Night) -> tuple[np.ndarray, Notes]:
    """Return a night's stages on its own grid, Unknown in gaps."""
    path = files.scoring(night.study)
    found_e, notes = read_stages(path, night.origin.duration_s)
    stages_e = np.full(night.epochs, -1, np.int8)
    stages_e[: len(found_e)] = found_e[: night.epochs]
    stages_e[~night.known_epochs()] = -1
    if (stages_e < 0).all():
        raise ScoringError(f"{path}: all its scored epochs lie in gaps of the recording")
    return stages_e, notes


class StagingTask:
    """Sleep stages."""

    kind = Task.STAGING
    one_stretch_a_night = False

    def __init__(self, settings: StagingSettings) -> None:
        self._settings = settings
        self._files = _label_files(settings.scorings, settings, "scorings")
        self._class_weights_k = np.ones(len(SCORED_STAGES))

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Read the night's scoring."""
        stages_e, notes = _stages(self._files, night)
        return LabelledNight(night, {STAGES: stages_e}), notes

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
        self._scorings = _label_files(settings.scorings, settings, "scorings")
        self._events = _label_files(settings.events, settings, "events")
        self._positive_weight = 1.0

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Read the night's scoring and events."""
        stages_e, notes = _stages(self._scorings, night)
        found = read_breathing(self._events.events(night.study), stages_e)
        if math.isnan(found.ahi):
            notes = (*notes, "less than half an hour of sleep is scored: the AHI is unknown")
        by_night: dict[str, np.ndarray] = {
            AHI: np.array(found.ahi, np.float32),
            SEVERITY: np.array(severity(np.array(found.ahi)), np.int64),
            PRESENCE: np.array(presence(np.array(found.ahi)), np.int64),
        }
        return LabelledNight(night, {STAGES: stages_e, SDB: found.sdb_e}, by_night), notes

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
        wanted = set(studies)
        self._table = read_survival(settings.is_event, settings.time_to_event, wanted)
        names = self._table.conditions
        self._conditions: tuple[Condition, ...] = (
            tuple(Condition(phecode=name, phenotype=name) for name in names)
            if settings.labels is None
            else read_labels(settings.labels, len(names))
        )
        self._people = (
            {} if settings.demographics is None else read_demographics(settings.demographics, wanted, settings.sex_code)
        )
        self._coding = DemographicCoding(age_scale=settings.age_scale, sex_code=settings.sex_code)
        self._learned_k = np.arange(len(names))

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return what became of the person."""
        settings, table, study = self._settings, self._table, night.study
        if study not in table.years_k:
            raise SleepFMError(f"is not in both {settings.is_event} and {settings.time_to_event}")
        if not table.known_k[study].any():
            raise SleepFMError(f"has no usable follow-up in {settings.time_to_event}: every condition is unknown")
        known: dict[str, np.ndarray] = {
            YEARS: table.years_k[study],
            EVENT: table.event_k[study],
            KNOWN: table.known_k[study],
        }
        if settings.demographics is not None:
            if study not in self._people:
                raise SleepFMError(f"has no age and sex in {settings.demographics}")
            known[DEMOGRAPHICS] = np.array(self._coding.encode(*self._people[study]), np.float32)
        return LabelledNight(night, by_night=known), ()

    def prepare(self, train: Sequence[LabelledNight]) -> Notes:
        """Leave out the conditions that nobody got."""
        events_k = np.sum([one.by_night[EVENT] for one in train], axis=0)
        self._learned_k = np.flatnonzero(events_k)
        if not len(self._learned_k):
            raise RequestError("no training night has an event of any condition: there is nothing to learn")
        notes = [
            f"no event of {printable(self._conditions[k].phecode)} in the training nights: the head does not speak of it"
            for k in np.flatnonzero(events_k == 0)
        ]
        if self._table.not_usable:
            notes.append(
                f"{self._table.not_usable} labels are masked: their time is 0 or less, the condition was there before the night"
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
        return {"labels": tuple(self._conditions[k] for k in self._learned_k), "demographics": coding}
