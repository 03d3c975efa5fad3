"""Testing a head from the shelf: its numbers, those of other models beside it, and those with signals taken away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import Evaluation, Section
from sleepfm.evaluation.experiments import by_channels, label_fractions, pretraining_fractions
from sleepfm.evaluation.head_tests import TEST_OF, DiseaseTest, HeadTest
from sleepfm.evaluation.held_out import separate
from sleepfm.evaluation.material import Material
from sleepfm.evaluation.run_settings import EvaluateHead
from sleepfm.evaluation.tables import Scores
from sleepfm.files import atomic_path
from sleepfm.models.networks import Model
from sleepfm.models.shelf import ShelfEntry
from sleepfm.progress import Progress, part
from sleepfm.training.night_labels import Gathered
from sleepfm.vocabulary import Modality

Answers = Mapping[str, Any]


def evaluate_head(
    task: str, settings: EvaluateHead, material: Material, progress: Progress, *, reference: Path | None = None
) -> Evaluation:
    """Test a head.

    Parameters
    ----------
    task
        `staging`, `breathing` or `disease`.
    settings
        What to do.
    material
        The test set, as the head's encoder sees it.
    progress
        Called often.
    reference
        Where the reference people of a disease head are written to (`sleepfm.models.reference`); None for nowhere.

    Raises
    ------
    RequestError
        A model is not on the shelf or for another task, or nothing is left to test.
    SleepFMError
        A table cannot be read.
    """
    kind = TEST_OF[task]
    model, encoder = material.head(settings.model, kind.task)
    run = _HeadRun(kind(settings, material, model), encoder, progress)
    evaluation = run.evaluation()
    if reference is not None:
        run.write_reference(evaluation, reference)
    return evaluation


class _HeadRun:
    def __init__(self, test: HeadTest[Any, Any], encoder: ShelfEntry, progress: Progress) -> None:
        self._test = test
        self._settings: EvaluateHead = test.settings
        self._material = test.material
        self._encoder = encoder
        self._progress = progress
        named = [*self._settings.others.values(), *([test.baseline] if test.baseline else [])]
        named += [*self._settings.label_fractions.values(), *self._settings.pretrain_fractions.values()]
        self._others = {name: self._material.head(name, test.task) for name in dict.fromkeys(named)}

    def evaluation(self) -> Evaluation:
        """Return the evaluation with all that was asked for."""
        test = self._test
        gathered = self._gather(test.model, self._encoder, self._material.cohort.studies, part(self._progress, 0.0, 0.4))
        self._material.refuse_nothing(gathered)
        cards = [test.model.card, *(model.card for model, _ in self._others.values())]
        self._held_out = self._material.held_out(gathered, cards)
        test.nights = {study: gathered.nights[study] for study in self._held_out.recordings}
        answers = test.predict(test.model, list(test.nights.values()), None, part(self._progress, 0.4, 0.5))
        others = {label: self._answers_of(name) for label, name in self._named().items()}
        evaluation = test.evaluate(self._held_out, answers, others, part(self._progress, 0.55, 0.7))
        return self._material.finished(evaluation.with_sections(*self._experiments(answers)), gathered)

    def write_reference(self, evaluation: Evaluation, path: Path) -> None:
        """Write what the head says of the held-out people, as the reference of others."""
        if not isinstance(self._test, DiseaseTest):
            raise RequestError(f"a model for {self._test.task} has no reference people")
        progress = part(self._progress, 0.7, 1.0)
        made = self._test.reference(self._held_out, self._headline_n, evaluation, progress)
        with atomic_path(path) as temporary:
            temporary.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def _named(self) -> dict[str, str]:
        baseline = self._test.baseline
        return {**self._settings.others, **({baseline: baseline} if baseline else {})}

    def _gather(self, model: Model, encoder: ShelfEntry, studies: Sequence[str], progress: Progress) -> Gathered:
        return self._material.nights(self._test.reader(model), encoder, studies, progress)

    def _answers_of(self, name: str) -> Answers:
        model, encoder = self._others[name]
        gathered = self._gather(model, encoder, self._held_out.recordings, part(self._progress, 0.5, 0.55))
        return self._test.predict(model, list(gathered.nights.values()), None, part(self._progress, 0.5, 0.55))

    def _scores(self, answers: Answers) -> Scores:
        return self._test.scores(self._held_out, answers, self._headline_n)

    @cached_property
    def _headline_n(self) -> Any:
        return separate(self._held_out, self._settings.evaluation).headline_n

    def _experiments(self, answers: Answers) -> list[Section]:
        settings, test = self._settings, self._test
        here = part(self._progress, 0.7, 1.0)
        sections = []
        if settings.per_modality or settings.missing_modalities:
            sections.append(self._by_modality(answers, here))
        if settings.missing_channels:
            cases = {"all": None, **settings.missing_channels}

            def without(case: str) -> Scores:
                missing = cases[case]
                return self._scores(answers if missing is None else self._answers_without(missing, case))

            sections.append(by_channels(without, cases, plotted=test.plotted, progress=here))
        for asked, ask in ((settings.label_fractions, label_fractions), (settings.pretrain_fractions, pretraining_fractions)):
            if asked:
                names: dict[float, str] = dict(asked)

                def of(fraction: float, names: Mapping[float, str] = names) -> Scores:
                    return self._scores(self._answers_of(names[fraction]))

                sections.append(ask(of, plotted=test.plotted, fractions=sorted(names), progress=here))
        return sections

    def _by_modality(self, answers: Answers, progress: Progress) -> Section:
        cases: dict[str, Collection[Modality] | None] = {"all": None}
        there = [m for m in Modality if any(m in one.night.modalities for one in self._test.nights.values())]
        if self._settings.per_modality:
            cases |= {f"{modality} alone": (modality,) for modality in there}
        if self._settings.missing_modalities and len(there) > 1:
            cases |= {f"without {modality}": tuple(m for m in there if m != modality) for modality in there}
        nights = list(self._test.nights.values())

        def with_case(case: str) -> Scores:
            chosen = cases[case]
            if chosen is None:
                return self._scores(answers)
            return self._scores(self._test.predict(self._test.model, nights, chosen, progress))

        return by_channels(
            with_case,
            cases,
            plotted=self._test.plotted,
            key="by_modalities",
            title="Which signals it needs",
            text="The same model with some modalities taken away at test time, without training it again.",
            progress=progress,
        )

    def _answers_without(self, missing: Sequence[str], case: str) -> Answers:
        gathered = self._material.nights_without(
            missing, case, self._test.reader(self._test.model), self._held_out.recordings, self._progress
        )
        return self._test.predict(self._test.model, list(gathered.nights.values()), None, self._progress)
