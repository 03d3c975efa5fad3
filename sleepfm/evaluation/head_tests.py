"""What is particular about testing the heads of each task: the labels, the answers and the numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from sleepfm.analysis.survival import BaselineHazard
from sleepfm.errors import RequestError
from sleepfm.evaluation.breathing import BreathingNight, breathing_scores, evaluate_breathing
from sleepfm.evaluation.disease import MEAN_C, baseline_hazards, disease_scores, evaluate_disease
from sleepfm.evaluation.disease_reference import disease_reference
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.held_out import HeldOut
from sleepfm.evaluation.material import Material
from sleepfm.evaluation.outcomes import Outcomes
from sleepfm.evaluation.run_settings import EvaluateBreathing, EvaluateDisease, EvaluateHead, EvaluateStaging
from sleepfm.evaluation.staging import StagedNight, evaluate_staging, staging_scores
from sleepfm.evaluation.tables import Scores
from sleepfm.models.card import Condition, Task
from sleepfm.models.networks import Model
from sleepfm.models.reference import Reference
from sleepfm.progress import Progress, part
from sleepfm.text import printable
from sleepfm.training.head_learners import takes_demographics
from sleepfm.training.night_labels import (
    EVENT,
    KNOWN,
    YEARS,
    BreathingReader,
    FollowUpReader,
    LabelReader,
    StageReader,
    label_files,
)
from sleepfm.training.nights import LabelledNight
from sleepfm.training.predictions import predict_breathing, predict_hazards, predict_stages
from sleepfm.vocabulary import Modality

Answer = TypeVar("Answer")
Settings = TypeVar("Settings", bound=EvaluateHead)
Modalities = Collection[Modality] | None


class HeadTest(ABC, Generic[Settings, Answer]):
    """What is particular about testing the heads of one task.

    Parameters
    ----------
    settings
        What to do.
    material
        The test set.
    model
        The head that is tested.

    Attributes
    ----------
    nights
        The nights that are tested, by study; there once they are read.
    """

    task: Task
    plotted: str

    def __init__(self, settings: Settings, material: Material, model: Model) -> None:
        self.settings = settings
        self.material = material
        self.model = model
        self.nights: Mapping[str, LabelledNight] = {}

    @property
    def baseline(self) -> str | None:
        """The name of the model that must be beaten, where the task has one."""
        return None

    @abstractmethod
    def reader(self, model: Model) -> LabelReader:
        """Return what reads a night's labels for a model."""

    @abstractmethod
    def predict(
        self, model: Model, nights: Sequence[LabelledNight], modalities: Modalities, progress: Progress
    ) -> dict[str, Answer]:
        """Return what a model says of each night, by study."""

    @abstractmethod
    def scores(self, held_out: HeldOut, answers: Mapping[str, Answer], mask_n: np.ndarray) -> Scores:
        """Return the numbers of some recordings."""

    @abstractmethod
    def evaluate(
        self, held_out: HeldOut, answers: Mapping[str, Answer], others: Mapping[str, Mapping[str, Answer]], progress: Progress
    ) -> Evaluation:
        """Return the evaluation; `others` holds the baseline's answers under its own name."""


class StagingTest(HeadTest[EvaluateStaging, StagedNight]):
    """Sleep stages."""

    task = Task.STAGING
    plotted = "macro F1"

    def reader(self, model: Model) -> LabelReader:  # noqa: ARG002 - stages are the same for every model
        """Read scorings."""
        return StageReader(label_files(self.settings.scorings, self.material.cohort.signals, "scorings"))

    def predict(
        self, model: Model, nights: Sequence[LabelledNight], modalities: Modalities, progress: Progress
    ) -> dict[str, StagedNight]:
        """Stage the nights."""
        staged = predict_stages(model, nights, modalities=modalities, device=self.settings.device, progress=progress)
        return {one.study: StagedNight(one.truth_e, one.probability_ek) for one in staged}

    def scores(self, held_out: HeldOut, answers: Mapping[str, StagedNight], mask_n: np.ndarray) -> Scores:
        """Return agreement with the human scoring."""
        return staging_scores(held_out, answers, self.settings.evaluation, mask_n)

    def evaluate(
        self,
        held_out: HeldOut,
        answers: Mapping[str, StagedNight],
        others: Mapping[str, Mapping[str, StagedNight]],
        progress: Progress,
    ) -> Evaluation:
        """Evaluate staging."""
        progress(0.0, "measuring")
        return evaluate_staging(held_out, answers, self.settings.evaluation, model=self.model.card.name, others=others)


class BreathingTest(HeadTest[EvaluateBreathing, BreathingNight]):
    """Sleep-disordered breathing."""

    task = Task.BREATHING
    plotted = "SDB epochs: AUROC"

    def reader(self, model: Model) -> LabelReader:  # noqa: ARG002
        """Read scorings and events."""
        signals = self.material.cohort.signals
        return BreathingReader(
            label_files(self.settings.scorings, signals, "scorings"), label_files(self.settings.events, signals, "events")
        )

    def predict(
        self, model: Model, nights: Sequence[LabelledNight], modalities: Modalities, progress: Progress
    ) -> dict[str, BreathingNight]:
        """Judge the nights' breathing."""
        found = predict_breathing(model, nights, modalities=modalities, device=self.settings.device, progress=progress)
        return {
            one.study: BreathingNight(
                ahi=one.ahi,
                sdb_truth_n=one.sdb_truth_e,
                sdb_probability_n=one.sdb_probability_e,
                severity_probability_k=tuple(float(value) for value in one.severity_probability_k),
                presence_probability=one.presence_probability,
            )
            for one in found
        }

    def scores(self, held_out: HeldOut, answers: Mapping[str, BreathingNight], mask_n: np.ndarray) -> Scores:
        """Return how well events and severity are told."""
        return breathing_scores(held_out, answers, self.settings.evaluation, mask_n)

    def evaluate(
        self,
        held_out: HeldOut,
        answers: Mapping[str, BreathingNight],
        others: Mapping[str, Mapping[str, BreathingNight]],
        progress: Progress,
    ) -> Evaluation:
        """Evaluate breathing."""
        progress(0.0, "measuring")
        return evaluate_breathing(held_out, answers, self.settings.evaluation, model=self.model.card.name, others=others)


class DiseaseTest(HeadTest[EvaluateDisease, np.ndarray]):
    """Hazards: an answer is (condition,) log hazards of the conditions of the tables that the tested head speaks of."""

    task = Task.DISEASE
    plotted = MEAN_C

    def __init__(self, settings: EvaluateDisease, material: Material, model: Model) -> None:
        super().__init__(settings, material, model)
        every = FollowUpReader(
            settings.is_event, settings.time_to_event, material.cohort.studies, labels=settings.labels
        ).conditions
        spoken = {one.phecode for one in _conditions(model, every)}
        self._columns = [k for k, one in enumerate(every) if one.phecode in spoken]
        self._phecodes = [every[k].phecode for k in self._columns]
        self._names = tuple(_name(every[k]) for k in self._columns)
        self._every = every
        if not self._columns:
            raise RequestError(
                f"{settings.is_event}: has none of the conditions that {model.card.name} speaks of"
                f" ({printable(', '.join(sorted(spoken)[:3]))}, …)"
            )
        silent_on = [one.phecode for one in every if one.phecode not in spoken]
        if silent_on:
            material.warn(
                f"{model.card.name} does not speak of {len(silent_on)} conditions ({printable(', '.join(silent_on[:5]))})"
            )
        unknown = len(spoken) - len(self._columns)
        if unknown:
            material.warn(f"{unknown} conditions that {model.card.name} speaks of are not in {settings.is_event}")

    @property
    def baseline(self) -> str | None:
        """The model that knows age and sex alone."""
        return self.settings.baseline

    def reader(self, model: Model) -> LabelReader:
        """Read follow-up, and age and sex as the model wants them."""
        demographics = None
        if takes_demographics(model.network):
            if self.settings.demographics is None:
                raise RequestError(f"demographics: {model.card.name} takes age and sex; name the table that has them")
            demographics = self.settings.demographics
        return FollowUpReader(
            self.settings.is_event,
            self.settings.time_to_event,
            (*self.material.cohort.studies, *self._training_studies()),
            demographics=demographics,
            coding=model.card.demographics,
            labels=self.settings.labels,
        )

    def predict(
        self, model: Model, nights: Sequence[LabelledNight], modalities: Modalities, progress: Progress
    ) -> dict[str, np.ndarray]:
        """Predict log hazards, NaN for a condition that the model does not speak of."""
        found = predict_hazards(model, nights, modalities=modalities, device=self.settings.device, progress=progress)
        place = {one.phecode: k for k, one in enumerate(_conditions(model, self._every))}
        answers = {}
        for study, log_hazard_k in zip(found.studies, found.log_hazard_nk, strict=True):
            answers[study] = np.array(
                [log_hazard_k[place[phecode]] if phecode in place else np.nan for phecode in self._phecodes]
            )
        return answers

    def scores(self, held_out: HeldOut, answers: Mapping[str, np.ndarray], mask_n: np.ndarray) -> Scores:
        """Return concordance."""
        outcomes = self._outcomes([self.nights[study] for study in held_out.recordings])
        return disease_scores(held_out, outcomes, self._array(held_out, answers), self.settings.evaluation, mask_n)

    def evaluate(
        self,
        held_out: HeldOut,
        answers: Mapping[str, np.ndarray],
        others: Mapping[str, Mapping[str, np.ndarray]],
        progress: Progress,
    ) -> Evaluation:
        """Evaluate disease risk, beside age and sex alone."""
        arrays = {name: self._array(held_out, other) for name, other in others.items()}
        baseline = None if self.baseline is None else arrays.pop(self.baseline)
        hazards = self._baseline_hazards(progress)
        return evaluate_disease(
            held_out,
            self._outcomes([self.nights[study] for study in held_out.recordings]),
            self._array(held_out, answers),
            self.settings.evaluation,
            model=self.model.card.name,
            demographics_nk=baseline,
            hazards=hazards,
            others=arrays,
        )

    def reference(self, held_out: HeldOut, headline_n: np.ndarray, evaluation: Evaluation, progress: Progress) -> Reference:
        """Return what the head says of the people of the headline, as the reference of others."""
        kept = [study for study, is_kept in zip(held_out.recordings, headline_n, strict=True) if is_kept]
        nights = [self.nights[study] for study in kept]
        beside = None if self.baseline is None else self.material.shelf.get(self.baseline).card
        return disease_reference(
            self.model,
            nights,
            evaluation,
            outcomes=self._outcomes(nights),
            phecodes=self._phecodes,
            baseline=beside,
            progress=progress,
        )

    def _outcomes(self, nights: Sequence[LabelledNight]) -> Outcomes:
        def column(name: str) -> np.ndarray:
            return np.stack([one.by_night[name][self._columns] for one in nights])

        return Outcomes(self._names, column(YEARS), column(EVENT), column(KNOWN))

    def _array(self, held_out: HeldOut, answers: Mapping[str, np.ndarray]) -> np.ndarray:
        nothing_k = np.full(len(self._columns), np.nan)
        return np.stack([answers.get(study, nothing_k) for study in held_out.recordings])

    def _training_studies(self) -> tuple[str, ...]:
        splits = self.material.cohort.splits
        return () if splits is None else splits.of(self.settings.train_lists)

    def _baseline_hazards(self, progress: Progress) -> tuple[BaselineHazard | None, ...] | None:
        """Return the baseline hazards of the training nights; None where there are none."""
        studies = self._training_studies()
        if not studies:
            return None
        gathered = self.material.nights(self.reader(self.model), self.material.encoder, studies, part(progress, 0.0, 0.6))
        nights = list(gathered.nights.values())
        if not nights:
            self.material.warn("no training night can be used for the baseline hazard")
            return None
        answers = self.predict(self.model, nights, None, part(progress, 0.6, 0.9))
        return baseline_hazards(self._outcomes(nights), np.stack([answers[one.night.study] for one in nights]))


def _conditions(model: Model, every: Sequence[Condition]) -> tuple[Condition, ...]:
    """Return what the outputs of a head stand for; a head without names has those of the tables, in their order."""
    labels = model.card.labels
    if labels == "unknown":
        outputs = int(model.card.parameters["num_classes"])
        if outputs != len(every):
            raise RequestError(
                f"{model.card.name} does not name its {outputs} conditions and the tables have {len(every)}:"
                " import it with --labels"
            )
        return tuple(every)
    return tuple(one for one in labels if isinstance(one, Condition))


def _name(condition: Condition) -> str:
    if condition.phenotype == condition.phecode:
        return condition.phecode
    return f"{condition.phecode} {condition.phenotype}"


TEST_OF: dict[str, type[HeadTest[Any, Any]]] = {
    "staging": StagingTest,
    "breathing": BreathingTest,
    "disease": DiseaseTest,
}
"""The test of each task, by the word of the command line."""
