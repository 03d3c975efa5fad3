"""Evaluation of what a frozen embedding knows of a person: age, sex, BMI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.classification import Classification, classify
from sleepfm.analysis.curves import Curve, roc
from sleepfm.analysis.detection import Detection, detect
from sleepfm.analysis.regression import Regression, regress
from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import Cell, Evaluation, Figure, Headline, Line, LinePlot, MatrixPlot, Section, Table
from sleepfm.evaluation.held_out import HeldOut, describe, separate
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.tables import Scores, comparison_section, group_section, metric_table, sections, seen_section

AGE_BINS: tuple[str, ...] = ("0 to 18 years", "19 to 49 years", "50 years and more")
"""The age groups of the 2024 paper (arXiv 2405.17766)."""
_AGE_BOUNDS = (19.0, 50.0)
_UNITS = {"age": "years", "BMI": "kg/m²"}


def age_bin(age_n: np.ndarray) -> np.ndarray:
    """Return the number of the age group of each age in years, 0 to 2; -1 where it is NaN."""
    age_n = np.asarray(age_n, dtype=np.float64)
    return np.where(np.isnan(age_n), -1, np.digitize(age_n, _AGE_BOUNDS))


@dataclass(frozen=True)
class Traits:
    """What a probe says of each recording's person; None for what it does not predict.

    Attributes
    ----------
    age_n
        (recording,) years; NaN where it gave none.
    age_bin_probability_nk
        (recording, 3) probabilities of `AGE_BINS`; without them the bin of the predicted age is taken.
    male_probability_n
        (recording,) probability that the person is a man.
    bmi_n
        (recording,) kg/m².
    """

    age_n: np.ndarray | None = None
    age_bin_probability_nk: np.ndarray | None = None
    male_probability_n: np.ndarray | None = None
    bmi_n: np.ndarray | None = None


@dataclass(frozen=True)
class _Truth:
    age_n: np.ndarray
    male_n: np.ndarray
    bmi_n: np.ndarray


@dataclass(frozen=True)
class _Found:
    numbers: dict[str, tuple[Regression, np.ndarray, np.ndarray]]
    bins: Classification | None
    empty_bins: tuple[str, ...]
    sex: Detection | None
    male_n: np.ndarray
    male_probability_n: np.ndarray

    @property
    def scores(self) -> Scores:
        named = {}
        for trait, (regression, _, _) in self.numbers.items():
            named.update({f"{trait}: {name}": estimate for name, estimate in regression.overall.items()})
        if self.bins is not None:
            named.update({f"age groups: {name}": estimate for name, estimate in self.bins.overall.items()})
        if self.sex is not None:
            named["sex: AUROC"], named["sex: AUPRC (men)"] = self.sex.auroc, self.sex.auprc
        return named


def probe_scores(held_out: HeldOut, traits: Traits, settings: EvaluationSettings, mask_n: np.ndarray | None = None) -> Scores:
    """Return all metrics of the traits, by name (parameters as in `evaluate_probe`; `mask_n` as in `staging_scores`)."""
    return _find(held_out, traits, settings, mask_n).scores


def evaluate_probe(
    held_out: HeldOut,
    traits: Traits,
    settings: EvaluationSettings,
    *,
    model: str,
    others: Mapping[str, Traits] | None = None,
) -> Evaluation:
    """Evaluate probes of age, sex and BMI.

    Parameters
    ----------
    held_out
        The test set. The truth is in its columns: age (years), sex (female or male), bmi (kg/m²).
    traits
        The predictions, in the order of its recordings.
    settings
        Bootstrap and groups.
    model
        Its name.
    others
        Other systems by name, in the same order.

    Raises
    ------
    RequestError
        When nothing is left to test, nothing that the encoder has not seen, or no trait is both known and predicted.
    """
    separated = separate(held_out, settings)
    mask_n = separated.headline_n
    found = _find(held_out, traits, settings, mask_n)
    scores = found.scores
    if not scores:
        raise RequestError("nothing to evaluate: neither age, sex nor bmi is both in the cohort's table and predicted")

    def measure(part_n: np.ndarray) -> Scores:
        return {name: e for name, e in probe_scores(held_out, traits, settings, part_n).items() if name in _BRIEF}

    cases = {model: measure(mask_n)}
    for name, other in (others or {}).items():
        every = probe_scores(held_out, other, settings, mask_n)
        cases[name] = {metric: estimate for metric, estimate in every.items() if metric in _BRIEF}
    plotted = next(name for name in (*_BRIEF, *scores) if name in scores)
    warnings = [f"no person of this test set is in the age group {name}: it is left out" for name in found.empty_bins]
    return Evaluation(
        task="probe",
        title="Age, sex and BMI from the embedding",
        model=model,
        simulated=held_out.simulated,
        data=describe(held_out, mask_n),
        settings=settings.model_dump(mode="json"),
        headline=_headline(found),
        sections=sections(
            *(_number_section(trait, *parts) for trait, parts in found.numbers.items()),
            _bin_section(found),
            _sex_section(found),
            comparison_section(cases, plotted),
            group_section(held_out, separated, settings, measure, plotted),
            seen_section(separated, measure),
        ),
        warnings=(*separated.warnings, *warnings),
    )


_BRIEF = (
    "age: mean absolute error",
    "age: r",
    "age groups: accuracy",
    "age groups: macro AUROC",
    "sex: AUROC",
    "BMI: mean absolute error",
    "BMI: r",
)


def _truth(held_out: HeldOut) -> _Truth:
    unknown_n = np.full(len(held_out.recordings), np.nan)
    sex_n = np.array([str(value).strip().lower() for value in held_out.columns.get("sex", unknown_n)], dtype=str)
    return _Truth(
        age_n=np.asarray(held_out.columns.get("age", unknown_n), dtype=np.float64),
        male_n=np.where(np.isin(sex_n, ("male", "m")), 1, np.where(np.isin(sex_n, ("female", "f")), 0, -1)),
        bmi_n=np.asarray(held_out.columns.get("bmi", unknown_n), dtype=np.float64),
    )


def _find(held_out: HeldOut, traits: Traits, settings: EvaluationSettings, mask_n: np.ndarray | None) -> _Found:
    mask_n = np.ones(len(held_out.recordings), dtype=bool) if mask_n is None else mask_n
    truth, subject_n, options = _truth(held_out), held_out.subject_n[mask_n], settings.bootstrap
    numbers = {}
    for trait, true_n, predicted_n in (("age", truth.age_n, traits.age_n), ("BMI", truth.bmi_n, traits.bmi_n)):
        if predicted_n is not None and np.isfinite(true_n[mask_n]).any():
            pair = true_n[mask_n], np.asarray(predicted_n, dtype=np.float64)[mask_n]
            numbers[trait] = (regress(*pair, subject_n, **options), *pair)
    bins, empty = _find_bins(truth.age_n[mask_n], traits, mask_n, subject_n, settings)
    sex, male_n, probability_n = None, truth.male_n[mask_n], np.empty(0)
    if traits.male_probability_n is not None and (male_n >= 0).any():
        probability_n = np.asarray(traits.male_probability_n, dtype=np.float64)[mask_n]
        sex = detect(male_n, probability_n, subject_n, **options)
    return _Found(numbers, bins, empty, sex, male_n, probability_n)


def _find_bins(
    age_n: np.ndarray, traits: Traits, mask_n: np.ndarray, subject_n: np.ndarray, settings: EvaluationSettings
) -> tuple[Classification | None, tuple[str, ...]]:
    """Compare age groups; those without a person are taken out of truth and answers alike, and named."""
    true_n = age_bin(age_n)
    if (traits.age_bin_probability_nk is None and traits.age_n is None) or not (true_n >= 0).any():
        return None, ()
    filled = [k for k in range(len(AGE_BINS)) if (true_n == k).any()]
    empty = tuple(name for k, name in enumerate(AGE_BINS) if k not in filled)
    names = [AGE_BINS[k] for k in filled]
    renamed_n = np.where(true_n >= 0, np.searchsorted(filled, true_n), -1)
    if traits.age_bin_probability_nk is not None:
        probability_nk = np.asarray(traits.age_bin_probability_nk, dtype=np.float64)[mask_n][:, filled]
        return classify(renamed_n, names, subject_n, probability_nk=probability_nk, **settings.bootstrap), empty
    said_n = age_bin(np.asarray(traits.age_n)[mask_n])
    # A predicted age in a group that holds nobody is wrong whichever group is meant: the nearest one stands for it.
    nearest_n = np.abs(np.array(filled)[None, :] - said_n[:, None]).argmin(axis=1)
    answer_n = np.where(said_n >= 0, nearest_n, -1)
    return classify(renamed_n, names, subject_n, predicted_n=answer_n, **settings.bootstrap), empty


def _headline(found: _Found) -> tuple[Headline, ...]:
    lines = []
    for trait, (regression, _, _) in found.numbers.items():
        meaning = f"{_UNITS[trait]}; 0 is perfect"
        lines.append(Headline(f"{trait} mean absolute error", regression.mean_absolute_error, meaning))
        lines.append(Headline(f"{trait} r", regression.correlation, "correlation with the truth; 1 is perfect, 0 is chance"))
    if found.bins is not None and found.bins.macro_auroc is not None:
        lines.append(Headline("age groups macro AUROC", found.bins.macro_auroc, "how well age groups are told", chance=0.5))
    if found.sex is not None:
        lines.append(Headline("sex AUROC", found.sex.auroc, "how well women and men are told", chance=0.5))
    return tuple(lines)


def _number_section(trait: str, regression: Regression, true_n: np.ndarray, predicted_n: np.ndarray) -> Section:
    known_n = np.isfinite(true_n) & np.isfinite(predicted_n)
    true_n, predicted_n, unit = true_n[known_n], predicted_n[known_n], _UNITS[trait]
    ends = _ends(true_n, predicted_n)
    points = Line("recordings", Curve(true_n, predicted_n), "points")
    key = trait.lower()
    parts: tuple[Table | Figure, ...] = (
        metric_table(key, f"{trait} ({unit})", regression.overall, "Bias is predicted minus true."),
        LinePlot(
            f"{key}_plot",
            f"Predicted over true {trait}",
            f"true {trait} ({unit})",
            f"predicted {trait} ({unit})",
            (points,),
            diagonal=True,
            x_range=ends,
            y_range=ends,
        ),
    )
    return Section(f"{trait[0].upper()}{trait[1:]}", f"The predicted {trait} beside the true one.", parts)


def _ends(*values: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    every = np.concatenate([np.asarray(part, dtype=np.float64) for part in values])
    if not every.size:
        return None
    room = 0.05 * (every.max() - every.min()) or 1.0
    return float(every.min() - room), float(every.max() + room)


def _bin_section(found: _Found) -> Section | None:
    if found.bins is None:
        return None
    bins = found.bins
    areas = ("AUROC",) if bins.auroc else ()
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (name, bins.f1[name], *(bins.auroc[name] for _ in areas), int(bins.confusion_kk[k].sum()))
        for k, name in enumerate(bins.names)
    )
    return Section(
        "Age groups",
        "The age groups of the 2024 paper; groups without a person are left out.",
        (
            metric_table("age_groups", "Age groups", bins.overall),
            Table("by_age_group", "By age group", ("age group", "F1", *areas, "recordings"), rows),
            MatrixPlot(
                "age_confusion",
                "Age groups",
                "true",
                "predicted",
                bins.names,
                bins.names,
                bins.confusion_kk,
                "Recordings; the shade is the share of the true group.",
            ),
        ),
    )


def _sex_section(found: _Found) -> Section | None:
    if found.sex is None:
        return None
    known_n = (found.male_n >= 0) & np.isfinite(found.male_probability_n)
    curve = roc(found.male_n[known_n] > 0, found.male_probability_n[known_n])
    figures: list[Figure] = []
    if curve is not None:
        figures.append(
            LinePlot(
                "sex_roc", "ROC, men against women", "1 - specificity", "sensitivity", (Line("model", curve),), diagonal=True
            )
        )
    return Section(
        "Sex", "Whether the embedding tells women from men.", (metric_table("sex", "Sex", found.sex.overall), *figures)
    )
