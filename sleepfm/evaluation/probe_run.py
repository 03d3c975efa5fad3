"""Probing an encoder: sleep stages, disordered breathing, sex, age and BMI from its frozen embeddings by linear models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.evaluation.breathing import BreathingNight, breathing_scores
from sleepfm.evaluation.evaluation import Evaluation, Headline, Section
from sleepfm.evaluation.experiments import by_channels, label_fractions, pretraining_fractions
from sleepfm.evaluation.held_out import describe, separate
from sleepfm.evaluation.linear_probes import Examples, epoch_features, fit_classes, fit_numbers, night_features, stack
from sleepfm.evaluation.material import Material
from sleepfm.evaluation.probe import Traits, age_bin, evaluate_probe, probe_scores
from sleepfm.evaluation.protocols import at_fraction, trained_end_to_end
from sleepfm.evaluation.run_settings import EvaluateProbe, EvaluateRetrieval, EvaluateSettings
from sleepfm.evaluation.staging import StagedNight, staging_scores
from sleepfm.evaluation.tables import Scores, case_table, comparison_section, metric_table
from sleepfm.models.card import Task
from sleepfm.models.shelf import ShelfEntry
from sleepfm.progress import Progress, part
from sleepfm.training.labels import LabelFiles
from sleepfm.training.night_embeddings import find_encoder
from sleepfm.training.night_labels import SDB, STAGES, BreathingReader, Gathered, Notes, StageReader, label_files
from sleepfm.training.nights import LabelledNight, Night
from sleepfm.training.predictions import predict_stages
from sleepfm.training.splits import share_of_subjects
from sleepfm.vocabulary import SCORED_STAGES, Modality

_PAPER = "The 2024 paper (arXiv 2405.17766): macro AUROC 0.88 by a logistic probe, 0.72 by a network trained end to end."


class StagesAndEvents:
    """Reads a night's stages and breathing events; what is not there is unknown, and noted."""

    def __init__(self, scorings: LabelFiles, events: LabelFiles) -> None:
        self._both = BreathingReader(scorings, events)
        self._stages = StageReader(scorings)

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return the night with all that is known of it."""
        unknown_e = np.full(night.epochs, -1, np.int8)
        try:
            return self._both.label(night)
        except SleepFMError as error:
            why = str(error)
        try:
            found, notes = self._stages.label(night)
            return LabelledNight(night, {**found.by_epoch, SDB: unknown_e}), (*notes, f"no breathing labels: {why}")
        except SleepFMError as error:
            return LabelledNight(night, {STAGES: unknown_e, SDB: unknown_e}), (f"no labels by epoch: {error}",)


@dataclass(frozen=True)
class Read:
    """What probes read from the test nights; None for what could not be learned."""

    stages: Mapping[str, StagedNight] | None
    breathing: Mapping[str, BreathingNight] | None
    traits: Traits


class _ProbeRun:
    """The nights of one encoder: training, validation and test."""

    def __init__(self, settings: EvaluateProbe, material: Material, runs: Path, progress: Progress) -> None:
        self._runs = runs
        self._settings = settings
        self._material = material
        self._progress = progress
        signals = material.cohort.signals
        self._reader = StagesAndEvents(
            label_files(settings.scorings, signals, "scorings"), label_files(settings.events, signals, "events")
        )
        splits = material.cohort.splits
        self._lists = {"train": () if splits is None else splits.of(settings.train_lists)}
        self._lists["validation"] = () if splits is None else splits.validation
        shared = set(settings.train_lists) & {*settings.data.lists, "validation"}
        if shared:
            raise RequestError(f"train_lists: {sorted(shared)[0]} is for choosing or testing; train the probes on other lists")

    def evaluation(self) -> Evaluation:
        """Probe the encoder, and what else was asked for."""
        material = self._material
        tested = self._test(part(self._progress, 0.0, 0.3))
        nights = self._nights(material.encoder, part(self._progress, 0.3, 0.6))
        read = self._probe(nights)
        evaluation = self._report(read)
        return material.finished(evaluation.with_sections(*self._experiments(nights, read)), tested)

    def _test(self, progress: Progress) -> Gathered:
        """Find the test set."""
        material = self._material
        tested = material.nights(self._reader, material.encoder, material.cohort.studies, progress)
        material.refuse_nothing(tested)
        self._held_out = material.held_out(tested)
        self._mask_n = separate(self._held_out, self._settings.evaluation).headline_n
        return tested

    def beside(self) -> Section:
        """Probe the encoders and return their numbers side by side."""
        self._test(self._progress)
        cases = {self._material.encoder.name: self._scores(self._probe(self._nights(self._material.encoder, self._progress)))}
        cases |= {label: self._of_encoder(name) for label, name in self._settings.others.items()}
        text = "Linear probes of the same encoders, trained and tested on the same people."
        return Section("Probes of the same encoders", text, (case_table("probes", "Linear probes", "encoder", cases, _PAPER),))

    def _nights(self, encoder: ShelfEntry, progress: Progress) -> dict[str, list[LabelledNight]]:
        wanted = {**self._lists, "test": self._held_out.recordings}
        studies = [study for listed in wanted.values() for study in listed]
        found = self._material.nights(self._reader, encoder, studies, progress).nights
        nights = {name: [found[study] for study in listed if study in found] for name, listed in wanted.items()}
        if not nights["train"]:
            raise RequestError(f"no recording of {' and '.join(self._settings.train_lists)} can be used to train the probes")
        return nights

    def _probe(
        self,
        nights: Mapping[str, Sequence[LabelledNight]],
        *,
        fraction: float = 1.0,
        modalities: Collection[Modality] | None = None,
    ) -> Read:
        subject_of = self._material.cohort.subject_of
        studies = [one.night.study for one in nights["train"]]
        kept = set(share_of_subjects(studies, subject_of, fraction, self._settings.evaluation.seed))
        chosen = {**nights, "train": [one for one in nights["train"] if one.night.study in kept]}
        features = {name: [epoch_features(one.night, modalities) for one in listed] for name, listed in chosen.items()}
        stages = self._by_epoch(STAGES, chosen, features, len(SCORED_STAGES))
        events = self._by_epoch(SDB, chosen, features, 2)
        staged, breathed = None, None
        if stages is not None:
            staged = {study: StagedNight(truth_n, said_nk) for study, (truth_n, said_nk) in stages.items()}
        if events is not None:
            breathed = {
                study: BreathingNight(sdb_truth_n=truth_n, sdb_probability_n=said_nk[:, 1])
                for study, (truth_n, said_nk) in events.items()
            }
        return Read(staged, breathed, self._traits(chosen, modalities))

    def _by_epoch(
        self,
        label: str,
        nights: Mapping[str, Sequence[LabelledNight]],
        features: Mapping[str, Sequence[np.ndarray]],
        classes: int,
    ) -> dict[str, tuple[np.ndarray, np.ndarray]] | None:
        """Return truth and probabilities of the test nights; None when training had nothing to tell apart."""

        def examples(name: str) -> Examples:
            if not nights[name]:
                return Examples(np.empty((0, features["train"][0].shape[1])), np.empty(0, np.int64))
            found = stack(features[name], [one.by_epoch[label] for one in nights[name]])
            return found.known().thinned(self._settings.most_epochs)

        try:
            probe = fit_classes(examples("train"), examples("validation"), classes)
        except RequestError as error:
            self._material.warn(f"no probe of {label}: {error}")
            return None
        found = {}
        for one, x_nf in zip(nights["test"], features["test"], strict=True):
            truth_n = one.by_epoch[label][: len(x_nf)].astype(np.int64)
            truth_n[~one.night.known_epochs()[: len(truth_n)]] = -1
            found[one.night.study] = (truth_n, probe(x_nf[: len(truth_n)]))
        return found

    def _traits(self, nights: Mapping[str, Sequence[LabelledNight]], modalities: Collection[Modality] | None) -> Traits:
        cohort = self._material.cohort
        x = {
            name: np.stack([night_features(one.night, modalities) for one in listed]) if listed else None
            for name, listed in nights.items()
        }
        columns = {name: cohort.columns([one.night.study for one in listed]) for name, listed in nights.items()}
        x_train_nf, x_test_nf = x["train"], x["test"]
        if x_train_nf is None or x_test_nf is None:
            return Traits()

        def examples(name: str, label_of: Mapping[str, np.ndarray]) -> Examples:
            x_nf = x[name]
            if x_nf is None:
                return Examples(np.empty((0, x_train_nf.shape[1])), np.empty(0, np.int64))
            return Examples(x_nf, label_of[name])

        def numbers(column: str) -> np.ndarray | None:
            if column not in columns["train"]:
                return None
            labels = {name: found.get(column, np.empty(0)) for name, found in columns.items()}
            try:
                return in_order(fit_numbers(examples("train", labels), examples("validation", labels))(x_test_nf))
            except RequestError as error:
                self._material.warn(f"no probe of {column}: {error}")
                return None

        def classes(what: str, labels: Mapping[str, np.ndarray], count: int) -> np.ndarray | None:
            try:
                probe = fit_classes(examples("train", labels), examples("validation", labels), count)
                return in_order(probe(x_test_nf))
            except RequestError as error:
                self._material.warn(f"no probe of {what}: {error}")
                return None

        there = [one.night.study for one in nights["test"]]

        def in_order(found_n: np.ndarray) -> np.ndarray:
            """Put answers into the test set's order, NaN for a recording that this encoder could not embed."""
            place = {study: k for k, study in enumerate(there)}
            nothing = np.full(found_n.shape[1:], np.nan)
            return np.stack([found_n[place[study]] if study in place else nothing for study in self._held_out.recordings])

        bins = sexes = None
        if "age" in columns["train"]:
            bins = classes("age groups", {name: age_bin(found["age"]) for name, found in columns.items() if "age" in found}, 3)
        if "sex" in columns["train"]:
            sexes = classes("sex", {name: _sex_number(found["sex"]) for name, found in columns.items() if "sex" in found}, 2)
        return Traits(
            age_n=numbers("age"),
            age_bin_probability_nk=bins,
            male_probability_n=None if sexes is None else sexes[:, 1],
            bmi_n=numbers("bmi"),
        )

    def _scores(self, read: Read) -> Scores:
        """Return the few numbers by which encoders are compared."""
        settings = self._settings.evaluation
        named: dict[str, Estimate] = {}
        if read.stages is not None:
            every = staging_scores(self._held_out, read.stages, settings, self._mask_n)
            named |= {f"stages: {name}": every[name] for name in ("macro AUROC", "macro AUPRC", "macro F1") if name in every}
        if read.breathing is not None:
            every = breathing_scores(self._held_out, read.breathing, settings, self._mask_n)
            named |= {f"SDB: {name.removeprefix('SDB epochs: ')}": one for name, one in every.items() if name in _SDB}
        every = probe_scores(self._held_out, read.traits, settings, self._mask_n)
        return {**named, **{name: every[name] for name in _TRAITS if name in every}}

    def _of_encoder(self, name: str) -> Scores:
        return self._scores(self._probe(self._nights(find_encoder(name, self._material.shelf), self._progress)))

    def _report(self, read: Read) -> Evaluation:
        held_out, settings = self._held_out, self._settings.evaluation
        model = self._material.encoder.name
        scores = self._scores(read)
        if not scores:
            raise RequestError("there is nothing to probe: no stages, no breathing events, neither age, sex nor BMI")
        lines, sections = [], []
        if read.stages is not None:
            every = staging_scores(held_out, read.stages, settings, self._mask_n)
            meaning = "how well a linear probe tells each stage"
            lines.append(Headline("probe stages macro AUROC", every["macro AUROC"], meaning, chance=0.5))
            lines.append(Headline("probe stages macro F1", every["macro F1"], "mean over the stages; 1 is perfect"))
            table = metric_table("probe_stages", "Stages by logistic regression", every, _PAPER)
            sections.append(Section("Sleep stages", "Stages of 30-s epochs from the mean of their six tokens.", (table,)))
        if read.breathing is not None:
            every = breathing_scores(held_out, read.breathing, settings, self._mask_n)
            meaning = "how well a linear probe tells epochs with events"
            lines.append(Headline("probe SDB AUROC", every["SDB epochs: AUROC"], meaning, chance=0.5))
            table = metric_table("probe_breathing", "Epochs with disordered breathing by logistic regression", every)
            sections.append(Section("Disordered breathing", "Epochs with an apnea or hypopnea.", (table,)))
        if probe_scores(held_out, read.traits, settings, self._mask_n):
            base = evaluate_probe(held_out, read.traits, settings, model=model)
            lines += [replace(line, name=f"probe {line.name}") for line in base.headline]
            sections += base.sections
            told = base.warnings
        else:
            told = (*separate(held_out, settings).warnings, "neither age, sex nor BMI could be probed")
        return Evaluation(
            task="probe",
            title="Linear probes of the frozen embedding",
            model=model,
            simulated=held_out.simulated,
            data=describe(held_out, self._mask_n),
            settings=settings.model_dump(mode="json"),
            headline=tuple(lines),
            sections=tuple(sections),
            warnings=told,
            extra={"train_lists": list(self._settings.train_lists)},
        )

    def _experiments(self, nights: Mapping[str, Sequence[LabelledNight]], read: Read) -> list[Section]:
        settings = self._settings
        here = part(self._progress, 0.7, 1.0)
        own = self._scores(read)
        plotted = next(iter(own))
        sections: list[Section | None] = []

        if settings.others:
            cases = {self._material.encoder.name: own} | {
                label: self._of_encoder(name) for label, name in settings.others.items()
            }
            sections.append(comparison_section(cases, plotted))
        if settings.per_modality:
            there = [m for m in Modality if any(m in one.night.modalities for one in nights["test"])]
            alone: dict[str, Modality | None] = {"all": None, **{f"{modality} alone": modality for modality in there}}

            def of_modality(case: str) -> Scores:
                modality = alone[case]
                return own if modality is None else self._scores(self._probe(nights, modalities=(modality,)))

            title, text = "Which signals it needs", "Probes trained and tested on each modality alone."
            sections.append(
                by_channels(of_modality, alone, plotted=plotted, key="by_modalities", title=title, text=text, progress=here)
            )
        fractions = sorted(settings.label_fractions) or ([1.0] if settings.end_to_end is not None else [])
        if fractions:
            sections.append(
                label_fractions(
                    lambda fraction: own if fraction == 1 else self._scores(self._probe(nights, fraction=fraction)),
                    plotted=plotted,
                    fractions=fractions,
                    baseline_at=None if settings.end_to_end is None else self._end_to_end_at,
                    baseline_name="the same network end to end",
                    progress=here,
                )
            )
        if settings.pretrain_fractions:
            names = dict(settings.pretrain_fractions)
            sections.append(
                pretraining_fractions(
                    lambda fraction: self._of_encoder(names[fraction]), plotted=plotted, fractions=sorted(names), progress=here
                )
            )
        return [section for section in sections if section is not None]

    def _end_to_end_at(self, fraction: float) -> Scores:
        """Return what the network reaches that is trained from signals on these labels, on the same test nights."""
        settings = self._settings
        if settings.end_to_end is None:
            raise RequestError("end_to_end: say how the network is trained")
        entry = trained_end_to_end(at_fraction(settings.end_to_end, fraction), self._runs, self._material.shelf, self._progress)
        model, encoder = self._material.head(entry.name, Task.STAGING)
        found = self._material.nights(self._reader, encoder, self._held_out.recordings, self._progress).nights
        staged = predict_stages(model, list(found.values()), device=settings.device, progress=self._progress)
        read = Read({one.study: StagedNight(one.truth_e, one.probability_ek) for one in staged}, None, Traits())
        return self._scores(read)


_SDB = ("SDB epochs: AUROC", "SDB epochs: AUPRC")
_TRAITS = ("sex: AUROC", "age groups: macro AUROC", "age: mean absolute error", "BMI: mean absolute error")


def run_probe(settings: EvaluateProbe, material: Material, runs: Path, progress: Progress) -> Evaluation:
    """Probe an encoder, and others beside it on the same recordings.

    Raises
    ------
    RequestError
        An encoder is not on the shelf, a list is both trained and tested on, or there is nothing to probe.
    """
    return _ProbeRun(settings, material, runs, progress).evaluation()


def probes_beside(settings: EvaluateRetrieval, material: Material, runs: Path, progress: Progress) -> tuple[Section, ...]:
    """Return probes of the encoders that retrieval compares, as a section for its report."""
    shared = {name: getattr(settings, name) for name in EvaluateSettings.model_fields}
    probing = EvaluateProbe(
        **shared, encoder=settings.encoder, others=settings.others, train_lists=settings.probe_lists, per_modality=False
    )
    return (_ProbeRun(probing, material, runs, progress).beside(),)


def _sex_number(sex_n: np.ndarray) -> np.ndarray:
    words = [str(value).strip().lower() for value in sex_n]
    number = {"female": 0, "f": 0, "male": 1, "m": 1}
    return np.array([number.get(word, -1) for word in words], dtype=np.int64)
