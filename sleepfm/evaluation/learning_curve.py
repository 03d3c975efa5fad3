"""How well sleep is staged after learning from 1, 2, 4, … labelled nights: fine-tuning beside a logistic probe and beside YASA.

All are tested on the same nights of people that neither they nor the encoder learned from. The nights are embedded once. What
has been measured lies in the curve's folder, so that one that was interrupted goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.analysis.confusion import count_confusion, kappa
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled, bootstrap, mean_of
from sleepfm.errors import Cancelled, RequestError, ScoringError, SleepFMError
from sleepfm.evaluation.held_out import seen_in_pretraining
from sleepfm.evaluation.learning_curve_settings import CurveSettings
from sleepfm.evaluation.linear_probes import Examples, epoch_features, fit_classes, stack
from sleepfm.evaluation.training_people import trained_on
from sleepfm.files import atomic_path
from sleepfm.inference.night import open_night
from sleepfm.inference.staging import stage
from sleepfm.models.card import SIMULATED
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part
from sleepfm.signals.convert import SIGNAL_SUFFIXES
from sleepfm.training.finetune_settings import NightData, StagingSettings
from sleepfm.training.finetuning import evenly, finetune
from sleepfm.training.night_embeddings import embed_nights, find_encoder, recordings_of
from sleepfm.training.night_labels import STAGES, Gathered, StageReader, gather_nights, label_files
from sleepfm.training.nights import LabelledNight
from sleepfm.training.predictions import predict_stages
from sleepfm.training.splits import Splits, read_splits, read_subjects, share_of_subjects, write_splits
from sleepfm.vocabulary import SCORED_STAGES

FINE_TUNED, PROBE, YASA = "fine-tuned", "logistic probe", "YASA"
_CLASSES = len(SCORED_STAGES)
_MOST_EPOCHS = 20_000
"""A probe of more epochs learns nothing more and takes long."""
_SPARE = 1.5
"""So many times the nights that are wanted are embedded, where there are so many, since some may be of no use."""


@dataclass(frozen=True)
class _Cell:
    """What a method made of the test nights after learning from some: (5, 5) counts by study, truth in rows; or why not."""

    confusion: Mapping[str, np.ndarray]
    why: str = ""


class _Curve:
    """The nights of a curve, embedded and labelled.

    Parameters
    ----------
    settings
        What to do.
    folder
        Of the curve.
    shelf, runs
        Where the encoder is, and the runs that tell whom it has seen.
    """

    def __init__(self, settings: CurveSettings, folder: Path, shelf: Shelf, runs: Path, progress: Progress) -> None:
        self.settings, self._folder, self._shelf = settings, folder, shelf
        self.notes: list[str] = []
        self.encoder = find_encoder(settings.encoder, shelf)
        data = settings.data
        self._subject_of = read_subjects(data.cohort)
        splits = read_splits(data.splits, self._subject_of)
        scorings = label_files(settings.scorings, data.signals, "scorings")

        def labelled(studies: Sequence[str]) -> list[str]:
            found = []
            for study in studies:
                try:
                    scorings.scoring(study)
                except ScoringError:
                    continue
                found.append(study)
            return found

        fraction = share_of_subjects(splits.of(data.lists), self._subject_of, data.fraction, settings.training.seed)
        pool = labelled(fraction)
        held_out = self._held_out(labelled(splits.test), runs)
        validation = evenly(labelled(splits.validation), settings.validation_nights)
        for name, studies in ((" and ".join(data.lists), pool), ("validation", validation), ("test", held_out)):
            if not studies:
                raise RequestError(f"{data.splits}: no night of {name} has a scoring; a learning curve needs some in each list")
        test = evenly(held_out, settings.test_nights)
        self.labelled = len(pool)
        orders = {seed: _order(pool, self._subject_of, seed) for seed in settings.seeds}
        wanted = round(max(settings.nights) * _SPARE) + 1
        studies = tuple(dict.fromkeys((*test, *validation, *(s for order in orders.values() for s in order[:wanted]))))
        self.embeddings = settings.embeddings or folder / "embeddings"
        found = embed_nights(
            studies,
            data.signals,
            self.encoder,
            self.embeddings,
            device=settings.device,
            workers=settings.training.threads,
            progress=progress,
        )
        self._gathered: Gathered = gather_nights(StageReader(scorings), found, self._subject_of, memory_gb=settings.memory_gb)
        there = self._gathered.nights
        self.orders = {seed: [study for study in order if study in there] for seed, order in orders.items()}
        self.validation = self._nights(validation, "validation")
        self.test = self._nights(test, "test")
        if len({one.night.subject for one in self.test}) < 2:
            self.notes.append("Only one person is tested on: there are no intervals.")
        if self._gathered.left_out:
            study, reason = next(iter(self._gathered.left_out.items()))
            self.notes.append(f"{len(self._gathered.left_out)} nights cannot be used; {study}: {reason}")

    def _held_out(self, studies: Sequence[str], runs: Path) -> list[str]:
        """Return the studies of people whom the encoder has not seen; RequestError when it has seen all."""
        found = trained_on(self.encoder.card, runs, (), self._shelf)
        if not found.known:
            self.notes.append(
                f"It is not known on which people {self.encoder.name} was pretrained: those tested may have been among them."
            )
            return list(studies)
        seen = seen_in_pretraining(studies, {**dict(found.subject_of), **self._subject_of}, found.studies)
        if studies and len(seen) == len(studies):
            raise RequestError(f"{self.encoder.name} was pretrained on every person of the test list: nothing is held out")
        if seen:
            self.notes.append(f"{len(seen)} test nights are left out: {self.encoder.name} was pretrained on their people.")
        return [study for study in studies if study not in seen]

    def _nights(self, studies: Sequence[str], name: str) -> list[LabelledNight]:
        nights = [self._gathered.nights[study] for study in studies if study in self._gathered.nights]
        if not nights:
            study, reason = next(iter(self._gathered.left_out.items()))
            raise RequestError(f"no night of {name} can be used; {study}: {reason}")
        return nights

    def nights_of(self, seed: int, count: int) -> list[LabelledNight]:
        """Return the first nights of a seed's order: fewer nights are part of more."""
        return [self._gathered.nights[study] for study in self.orders[seed][:count]]

    # methods

    def probe(self, count: int, seed: int, progress: Progress) -> _Cell:
        """Fit logistic regression to the same embeddings."""
        progress(0.0, f"a probe of {count} nights")
        probe = fit_classes(_examples(self.nights_of(seed, count)), _examples(self.validation), _CLASSES)
        confusion = {}
        for one in self.test:
            x_nf = epoch_features(one.night)
            confusion[one.night.study] = _confusion(one, probe(x_nf))
        return _Cell(confusion)

    def fine_tune(self, count: int, seed: int, progress: Progress) -> _Cell:
        """Train the staging head, and stage the test nights with it."""
        settings, folder = self.settings, self._folder / "runs" / f"{count}-{seed}"
        studies = tuple(one.night.study for one in self.nights_of(seed, count))
        validation = tuple(one.night.study for one in self.validation)
        splits = self._folder / f"splits-{count}-{seed}.json"
        write_splits(Splits((), studies, validation, ()), splits)
        data = NightData(signals=settings.data.signals, splits=splits, cohort=settings.data.cohort, lists=("train",))
        asked = StagingSettings(
            name=f"nights-{count}-seed-{seed}",
            encoder=settings.encoder,
            data=data,
            scorings=settings.scorings,
            embeddings=self.embeddings,
            memory_gb=settings.memory_gb,
            head=settings.head,
            class_weights=settings.class_weights,
            crop_tokens=settings.crop_tokens,
            modality_dropout=settings.modality_dropout,
            training=settings.training.model_copy(update={"seed": seed, "device": settings.device}),
        )
        outcome, about = finetune("staging", asked, folder, shelf=self._shelf, resume=True, progress=part(progress, 0.0, 0.9))
        if outcome.state == "stopped":
            raise Cancelled("stopped by the user")
        model = load_model(Shelf(folder).add("model", about["state"], about["card"]).folder)
        staged = predict_stages(model, self.test, device=settings.device, progress=part(progress, 0.9, 1.0))
        confusion = {one.study: _counted(one.truth_e, one.probability_ek) for one in staged}
        shutil.rmtree(folder)  # its checkpoints are of no use any more
        splits.unlink()
        return _Cell(confusion)

    def yasa(self, progress: Progress) -> tuple[_Cell, dict[str, str]]:
        """Stage the test nights with YASA; return why each of the others cannot be."""
        studies = [one.night.study for one in self.test]
        sources = self._recordings(set(studies))
        confusion: dict[str, np.ndarray] = {}
        left_out: dict[str, str] = {}
        for number, one in enumerate(self.test):
            study = one.night.study
            here = part(progress, number / len(studies), (number + 1) / len(studies))
            here(0.0, f"YASA stages {study}")

            def staged(one: LabelledNight = one, study: str = study, here: Progress = here) -> _Cell:
                if study not in sources:
                    raise SleepFMError("there is no recording, only its embeddings")
                with open_night(sources[study]) as night:
                    scoring = stage(night, engine="yasa", model=None, shelf=self._shelf, progress=here).scoring
                assert scoring.probabilities is not None
                return _Cell({study: _confusion(one, scoring.probabilities)})

            cell = _kept(self._folder / "yasa" / f"{study}.json", staged)
            confusion |= cell.confusion
            if cell.why:
                left_out[study] = cell.why
        stored = sum(study in sources and sources[study].suffix.lower() in SIGNAL_SUFFIXES for study in confusion)
        if stored:
            self.notes.append(
                f"YASA staged {stored} nights from stored signals at 128 Hz in µV, not from the recordings themselves."
            )
        return _Cell(confusion), left_out

    def _recordings(self, wanted: set[str]) -> dict[str, Path]:
        """Return the file of each study, its own recording before signals at 128 Hz."""
        sources: dict[str, Path] = {}
        for paths in (self.settings.recordings, self.settings.data.signals):
            if paths:
                for study, path in recordings_of(paths, wanted).items():
                    sources.setdefault(study, path)
        return sources


def draw_curve(settings: CurveSettings, folder: Path, *, shelf: Shelf, runs: Path, progress: Progress) -> dict[str, Any]:
    """Measure every method after every number of nights.

    Parameters
    ----------
    settings
        What to do.
    folder
        Of the curve; what is measured there already is kept.
    shelf
        Where the encoder is.
    runs
        Folders of the runs, which tell whom the encoder has seen.

    Returns
    -------
    dict
        As `sleepfm.library.job_curve.learning_curve` says.

    Raises
    ------
    RequestError
        A path, the encoder or a list is wrong, or nothing is held out.
    Cancelled
        `progress` raised it, or the process was asked to end.
    """
    curve = _Curve(settings, folder, shelf, runs, part(progress, 0.0, 0.4))
    most = min(len(order) for order in curve.orders.values())
    nights = [count for count in settings.nights if count <= most]
    if not nights:
        raise RequestError(f"{most} labelled nights can be learned from, fewer than {min(settings.nights)}")
    if len(nights) < len(settings.nights):
        curve.notes.append(f"{most} labelled nights can be learned from: {_listed(settings.nights[len(nights) :])} are left out.")
    subject_of = {one.night.study: one.night.subject for one in curve.test}
    boot = bootstrap([*subject_of.values()], resamples=settings.resamples)
    yasa = [_yasa_row(*curve.yasa(part(progress, 0.4, 0.5)), subject_of, settings)] if settings.yasa else []
    rows = []
    methods: tuple[tuple[str, Callable[[int, int, Progress], _Cell], float], ...] = (
        (PROBE, curve.probe, 0.2),
        (FINE_TUNED, curve.fine_tune, 0.8),
    )
    done, total = 0.0, float(len(nights) * len(settings.seeds))
    for count in nights:
        cells: dict[str, list[_Cell]] = {name: [] for name, _, _ in methods}
        for seed in settings.seeds:
            for name, measure, share in methods:
                here = part(progress, 0.5 + 0.5 * done / total, 0.5 + 0.5 * (done + share) / total)
                here(0.0, f"{name}, {count} nights, seed {seed}")
                file = folder / "cells" / f"{name.replace(' ', '-')}-{count}-{seed}.json"
                cells[name].append(_kept(file, lambda m=measure, n=count, s=seed, h=here: m(n, s, h)))  # type: ignore[misc]
                done += share
        rows += [_row(name, count, some, boot, list(subject_of)) for name, some in cells.items()]
    rows += yasa
    simulated = sum(one.night.origin.simulated for one in curve.test)
    if simulated:
        curve.notes.append(f"{simulated} of {len(curve.test)} test nights are simulated: the numbers say nothing about people.")
    return {
        "curve": rows,
        "notes": [*curve.notes, *_reading(curve, settings)],
        "encoder": curve.encoder.name,
        "simulated": bool(simulated),
        "train_nights": curve.labelled,
        "validation_nights": len(curve.validation),
        "test_nights": len(curve.test),
    }


def _reading(curve: _Curve, settings: CurveSettings) -> list[str]:
    """Return how the numbers are to be read."""
    people = len({one.night.subject for one in curve.test})
    seeds = (
        "of one seed" if len(settings.seeds) == 1 else f"the mean of {len(settings.seeds)} seeds, each with other training nights"
    )
    notes = [
        f"Kappa is pooled over the epochs of {len(curve.test)} nights of {people} people, {seeds};"
        " intervals (95 %) are over the people tested, not over the nights learned from.",
        f"{len(curve.validation)} further labelled nights (validation) decide when fine-tuning stops and how strong the probe's"
        " penalty is.",
    ]
    if curve.encoder.card.trained_on == SIMULATED:
        notes.append(f"{curve.encoder.name} was trained on simulated signals.")
    return notes


def _order(studies: Sequence[str], subject_of: Mapping[str, str], seed: int) -> list[str]:
    """Return the studies in a seed's order: a night of each person first, then their second nights, and so on."""
    chance = np.random.default_rng([seed, 0xC0])
    shuffled = [studies[i] for i in chance.permutation(len(studies))]
    before: dict[str, int] = {}
    rank = {}
    for study in shuffled:
        person = subject_of.get(study, study)
        rank[study] = before[person] = before.get(person, -1) + 1
    return sorted(shuffled, key=rank.__getitem__)


def _examples(nights: Sequence[LabelledNight]) -> Examples:
    found = stack([epoch_features(one.night) for one in nights], [one.by_epoch[STAGES] for one in nights])
    return found.known().thinned(_MOST_EPOCHS)


def _confusion(one: LabelledNight, probability_ek: np.ndarray) -> np.ndarray:
    truth_e = one.by_epoch[STAGES].astype(np.int64).copy()
    truth_e[~one.night.known_epochs()[: len(truth_e)]] = -1
    epochs = min(len(truth_e), len(probability_ek))
    return _counted(truth_e[:epochs], probability_ek[:epochs])


def _counted(truth_e: np.ndarray, probability_ek: np.ndarray) -> np.ndarray:
    kept_e = (truth_e >= 0) & np.isfinite(probability_ek).all(axis=1)
    return count_confusion(truth_e[kept_e], probability_ek[kept_e].argmax(axis=1), _CLASSES)


def _kept(file: Path, measure: Callable[[], _Cell]) -> _Cell:
    """Return what was measured before, else measure and keep it; what failed is tried again the next time."""
    if file.is_file():
        content = json.loads(file.read_text(encoding="utf-8"))
        return _Cell({study: np.array(counts) for study, counts in content["confusion"].items()})
    try:
        cell = measure()
    except Cancelled:
        raise
    except SleepFMError as error:
        return _Cell({}, str(error))
    content = {"confusion": {study: counts.tolist() for study, counts in cell.confusion.items()}}
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")
    return cell


def _row(method: str, count: int, cells: Sequence[_Cell], boot: Bootstrap, studies: Sequence[str]) -> dict[str, Any]:
    measured = [cell for cell in cells if not cell.why]
    why = next((cell.why for cell in cells if cell.why), "")
    row = {"nights": count, "method": method, "test_nights": len(studies), "seeds": []}
    if not measured:
        return row | {"kappa": None, "low": None, "high": None, "n": 0, "subjects": boot.people, "why": why}
    sampled = [_sampled(cell, boot, studies) for cell in measured]
    epochs = int(sum(counts.sum() for counts in measured[0].confusion.values()))
    found = boot.estimate(mean_of(sampled), n=epochs, reason="kappa is undefined on these nights")
    missing = f"{len(cells) - len(measured)} of {len(cells)} seeds could not be measured: {why}" if why else ""
    return row | _numbers(found, missing) | {"seeds": [_plain(one.point) for one in sampled]}


def _yasa_row(cell: _Cell, left_out: Mapping[str, str], subject_of: Mapping[str, str], settings: CurveSettings) -> dict[str, Any]:
    """Return YASA's row; of test nights that it cannot stage it says so instead of a number."""
    row = {"nights": 0, "method": YASA, "test_nights": len(cell.confusion), "seeds": []}
    why = ""
    if left_out:
        study, reason = next(iter(left_out.items()))
        why = f"YASA can stage {len(cell.confusion)} of the {len(subject_of)} test nights; {study}: {reason}"
    studies = list(cell.confusion)
    if not studies:
        return row | {"kappa": None, "low": None, "high": None, "n": 0, "subjects": 0, "why": why}
    boot = bootstrap([subject_of[study] for study in studies], resamples=settings.resamples)
    epochs = int(sum(counts.sum() for counts in cell.confusion.values()))
    found = boot.estimate(_sampled(cell, boot, studies), n=epochs, reason="kappa is undefined on these nights")
    return row | _numbers(found, why)


def _sampled(cell: _Cell, boot: Bootstrap, studies: Sequence[str]) -> Sampled:
    sums_sc = boot.sums(np.stack([cell.confusion[study].ravel() for study in studies]).astype(np.float64))

    def metric(weights_bs: np.ndarray) -> np.ndarray:
        return kappa((weights_bs @ sums_sc).reshape(-1, _CLASSES, _CLASSES))

    return boot.sample(metric, width=_CLASSES * _CLASSES)


def _numbers(found: Estimate, why: str) -> dict[str, Any]:
    return {
        "kappa": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n,
        "subjects": found.subjects,
        "why": "; ".join(text for text in (why, found.reason) if text),
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
