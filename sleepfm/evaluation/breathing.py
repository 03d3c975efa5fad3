"""Evaluation of sleep-disordered breathing (SDB): epoch by epoch, and night by night against the AHI of the human scoring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sleepfm.analysis.breathing import PRESENCE_AHI, SEVERITIES, presence, severity
from sleepfm.analysis.classification import Classification, classify
from sleepfm.analysis.curves import Curve, precision_recall, reliability, roc
from sleepfm.analysis.detection import Detection, detect
from sleepfm.analysis.regression import Regression, regress
from sleepfm.evaluation.evaluation import Evaluation, Figure, Headline, Line, LinePlot, MatrixPlot, Section, Table
from sleepfm.evaluation.held_out import HeldOut, describe, separate
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.tables import Scores, comparison_section, group_section, metric_table, sections, seen_section


@dataclass(frozen=True)
class BreathingNight:
    """One night; what a model does not predict stays as it is and is not evaluated.

    Attributes
    ----------
    ahi
        Apneas and hypopneas an hour of sleep after the human scoring; NaN where unknown.
    sdb_truth_n
        (epoch,) 1 with disordered breathing, 0 without, -1 unknown.
    sdb_probability_n
        (epoch,) predicted; NaN where the model gave none.
    severity_probability_k
        (4,) predicted probabilities of `SEVERITIES`.
    presence_probability
        Predicted probability of an AHI of at least 15.
    ahi_predicted
        Predicted events an hour.
    """

    ahi: float = np.nan
    sdb_truth_n: np.ndarray = field(default_factory=lambda: np.empty(0))
    sdb_probability_n: np.ndarray = field(default_factory=lambda: np.empty(0))
    severity_probability_k: Sequence[float] = (np.nan,) * len(SEVERITIES)
    presence_probability: float = np.nan
    ahi_predicted: float = np.nan

    def __post_init__(self) -> None:
        if len(self.sdb_truth_n) != len(self.sdb_probability_n):
            raise ValueError(f"{len(self.sdb_truth_n)} true epochs and {len(self.sdb_probability_n)} predicted ones")
        if len(self.severity_probability_k) != len(SEVERITIES):
            raise ValueError(f"{len(self.severity_probability_k)} severities instead of {len(SEVERITIES)}")


@dataclass(frozen=True)
class _Found:
    """The numbers of one system on some recordings, and the rows behind them; None for what it does not predict."""

    truth_n: np.ndarray
    probability_n: np.ndarray
    ahi_n: np.ndarray
    presence_n: np.ndarray
    ahi_predicted_n: np.ndarray
    epochs: Detection | None
    severity: Classification | None
    presence: Detection | None
    ahi: Regression | None

    @property
    def scores(self) -> Scores:
        named = {}
        if self.epochs is not None:
            named.update({f"SDB epochs: {name}": estimate for name, estimate in self.epochs.overall.items()})
        if self.severity is not None:
            named.update({f"AHI severity: {name}": estimate for name, estimate in self.severity.overall.items()})
        if self.presence is not None:
            named.update({f"AHI ≥ 15: {name}": estimate for name, estimate in self.presence.overall.items()})
        if self.ahi is not None:
            named.update({f"AHI: {name}": estimate for name, estimate in self.ahi.overall.items()})
        return named


def breathing_scores(
    held_out: HeldOut, nights: Mapping[str, BreathingNight], settings: EvaluationSettings, mask_n: np.ndarray | None = None
) -> Scores:
    """Return all metrics of what the nights hold, by name (parameters as in `staging_scores`)."""
    return _find(held_out, nights, settings, mask_n).scores


def evaluate_breathing(
    held_out: HeldOut,
    nights: Mapping[str, BreathingNight],
    settings: EvaluationSettings,
    *,
    model: str,
    others: Mapping[str, Mapping[str, BreathingNight]] | None = None,
) -> Evaluation:
    """Evaluate breathing.

    Parameters
    ----------
    held_out
        The test set.
    nights
        The model's nights by recording id. Recordings of the test set without one are left out and named.
    settings
        Bootstrap, groups and thresholds.
    model
        Its name.
    others
        Nights of other systems by name: the same network trained end to end, age, sex and BMI alone.

    Raises
    ------
    RequestError
        When nothing is left to test, or nothing that the encoder has not seen.
    """
    there_n = np.array([name in nights for name in held_out.recordings], dtype=bool)
    held_out = held_out.only(there_n, "the model gave no answer")
    separated = separate(held_out, settings)
    mask_n = separated.headline_n
    found = _find(held_out, nights, settings, mask_n)
    scores = found.scores

    def measure(part_n: np.ndarray) -> Scores:
        return {name: e for name, e in breathing_scores(held_out, nights, settings, part_n).items() if name in _BRIEF}

    cases = {model: measure(mask_n)}
    for name, other in (others or {}).items():
        every = breathing_scores(held_out, other, settings, mask_n)
        cases[name] = {metric: estimate for metric, estimate in every.items() if metric in _BRIEF}
    plotted = next((name for name in _BRIEF if name in scores), "")
    warnings = []
    if found.epochs is not None and found.epochs.unknown:
        warnings.append(f"left out: {found.epochs.unknown:,} epochs without a human scoring or a prediction")
    unknown_ahi = int(np.isnan(found.ahi_n).sum())
    if unknown_ahi:
        warnings.append(f"left out of the numbers by night: {unknown_ahi} nights without an AHI")
    return Evaluation(
        task="breathing",
        title="Sleep-disordered breathing",
        model=model,
        simulated=held_out.simulated,
        data=describe(held_out, mask_n),
        settings=settings.model_dump(mode="json"),
        headline=_headline(found),
        sections=sections(
            _epoch_section(found),
            _night_section(found),
            _ahi_section(found),
            comparison_section(cases, plotted),
            group_section(held_out, separated, settings, measure, plotted),
            seen_section(separated, measure),
        ),
        warnings=(*separated.warnings, *warnings),
    )


_BRIEF = (
    "SDB epochs: AUROC",
    "SDB epochs: AUPRC",
    "AHI severity: accuracy",
    "AHI severity: kappa",
    "AHI severity: macro F1",
    "AHI ≥ 15: AUROC",
    "AHI: mean absolute error",
)


def _find(
    held_out: HeldOut, nights: Mapping[str, BreathingNight], settings: EvaluationSettings, mask_n: np.ndarray | None
) -> _Found:
    every = enumerate(zip(held_out.recordings, held_out.subjects, strict=True))
    chosen = [(nights[name], subject) for i, (name, subject) in every if name in nights and (mask_n is None or mask_n[i])]
    subject_n = np.array([subject for _, subject in chosen], dtype=str)
    truth_n = np.concatenate([np.empty(0), *(night.sdb_truth_n for night, _ in chosen)])
    probability_n = np.concatenate([np.empty(0), *(night.sdb_probability_n for night, _ in chosen)])
    ahi_n = np.array([night.ahi for night, _ in chosen], dtype=np.float64)
    severity_nk = np.array([night.severity_probability_k for night, _ in chosen], dtype=np.float64).reshape(-1, len(SEVERITIES))
    presence_n = np.array([night.presence_probability for night, _ in chosen], dtype=np.float64)
    predicted_n = np.array([night.ahi_predicted for night, _ in chosen], dtype=np.float64)
    by_epoch_n = np.repeat(subject_n, [len(night.sdb_truth_n) for night, _ in chosen])
    options = settings.bootstrap
    return _Found(
        truth_n=truth_n,
        probability_n=probability_n,
        ahi_n=ahi_n,
        presence_n=presence_n,
        ahi_predicted_n=predicted_n,
        epochs=detect(truth_n, probability_n, by_epoch_n, threshold=settings.sdb_threshold, **options) if truth_n.size else None,
        severity=(
            classify(severity(ahi_n), SEVERITIES, subject_n, probability_nk=severity_nk, **options)
            if np.isfinite(severity_nk).any()
            else None
        ),
        presence=(
            detect(presence(ahi_n), presence_n, subject_n, threshold=settings.presence_threshold, **options)
            if np.isfinite(presence_n).any()
            else None
        ),
        ahi=regress(ahi_n, predicted_n, subject_n, **options) if np.isfinite(predicted_n).any() else None,
    )


def _headline(found: _Found) -> tuple[Headline, ...]:
    lines = []
    if found.epochs is not None:
        lines.append(Headline("SDB epoch AUROC", found.epochs.auroc, "how well epochs with events are told", chance=0.5))
        chance = found.epochs.prevalence
        lines.append(Headline("SDB epoch AUPRC", found.epochs.auprc, "precision over all recalls; 1 is perfect", chance=chance))
    if found.severity is not None:
        lines.append(Headline("AHI severity accuracy", found.severity.accuracy, "nights in the right one of four classes"))
        lines.append(Headline("AHI severity kappa", found.severity.kappa, "agreement beyond chance; 1 is perfect, 0 is chance"))
    if found.presence is not None:
        lines.append(Headline("AHI ≥ 15 AUROC", found.presence.auroc, "how well nights with an AHI of 15 are told", chance=0.5))
    if found.ahi is not None:
        lines.append(Headline("AHI mean absolute error", found.ahi.mean_absolute_error, "events an hour of sleep; 0 is perfect"))
    return tuple(lines)


def _detection_figures(key: str, what: str, truth_n: np.ndarray, score_n: np.ndarray) -> list[Figure]:
    kept_n = (truth_n >= 0) & np.isfinite(score_n)
    there_n, score_n = truth_n[kept_n] > 0, score_n[kept_n]
    found_roc, found_precision = roc(there_n, score_n), precision_recall(there_n, score_n)
    if found_roc is None or found_precision is None:
        return []
    return [
        LinePlot(f"{key}_roc", f"ROC, {what}", "1 - specificity", "sensitivity", (Line("model", found_roc),), diagonal=True),
        LinePlot(
            f"{key}_precision_recall",
            f"Precision over recall, {what}",
            "recall (sensitivity)",
            "precision",
            (
                Line("model", found_precision),
                Line("chance", Curve(np.array([0, 1]), np.full(2, there_n.mean())), faint=True),
            ),
        ),
        LinePlot(
            f"{key}_reliability",
            f"Reliability, {what}",
            "predicted probability",
            "observed share",
            (Line("model", reliability(there_n, score_n), "points"),),
            diagonal=True,
            note="Tenths by probability. Below the line the model says it too often.",
        ),
    ]


def _epoch_section(found: _Found) -> Section | None:
    if found.epochs is None:
        return None
    epochs = found.epochs
    note = (
        f"Sensitivity and specificity at a probability of {epochs.threshold:g}. {epochs.positives:,} of {epochs.n:,} epochs "
        f"have disordered breathing; a blind guess reaches an AUPRC of {epochs.prevalence:.3f}."
    )
    return Section(
        "By the epoch",
        "Whether the model finds the epochs that hold an apnea or hypopnea.",
        (
            metric_table("epochs", "Epochs with disordered breathing", epochs.overall, note),
            *_detection_figures("epochs", "epochs", found.truth_n, found.probability_n),
        ),
    )


def _night_section(found: _Found) -> Section | None:
    parts: list[Table | Figure] = []
    if found.severity is not None:
        parts.append(metric_table("severity", "Severity in four classes", found.severity.overall))
        rows = tuple(
            (name, found.severity.f1[name], found.severity.auroc[name], int(found.severity.confusion_kk[k].sum()))
            for k, name in enumerate(SEVERITIES)
        )
        parts.append(Table("by_severity", "By severity", ("severity", "F1", "AUROC", "nights"), rows))
        parts.append(
            MatrixPlot(
                "severity_confusion",
                "Severity",
                "human scoring",
                "model",
                SEVERITIES,
                SEVERITIES,
                found.severity.confusion_kk,
                "Nights; the shade is the share of the nights of that severity.",
            )
        )
    if found.presence is not None:
        note = (
            f"Sensitivity and specificity at a probability of {found.presence.threshold:g}. {found.presence.positives} of "
            f"{found.presence.n} nights have an AHI of at least {PRESENCE_AHI:g}."
        )
        parts.append(metric_table("presence", f"AHI of at least {PRESENCE_AHI:g}", found.presence.overall, note))
        parts.extend(_detection_figures("presence", "nights with an AHI ≥ 15", presence(found.ahi_n), found.presence_n))
    if not parts:
        return None
    return Section(
        "By the night", "Severity of sleep apnea by the AHI (events an hour of sleep) of the human scoring.", tuple(parts)
    )


def _ahi_section(found: _Found) -> Section | None:
    if found.ahi is None:
        return None
    known_n = np.isfinite(found.ahi_n) & np.isfinite(found.ahi_predicted_n)
    true_n, predicted_n = found.ahi_n[known_n], found.ahi_predicted_n[known_n]
    order_n = np.argsort(true_n, kind="stable")
    top = float(max(true_n.max(initial=1), predicted_n.max(initial=1))) * 1.05
    points = Line("nights", Curve(true_n[order_n], predicted_n[order_n]), "points")
    return Section(
        "AHI as a number",
        "The predicted AHI beside that of the human scoring. Bias is predicted minus true.",
        (
            metric_table("ahi", "AHI (events an hour of sleep)", found.ahi.overall),
            LinePlot(
                "ahi_plot",
                "Predicted over true AHI",
                "AHI of the human scoring (events/h)",
                "predicted AHI (events/h)",
                (points,),
                diagonal=True,
                x_range=(0, top),
                y_range=(0, top),
            ),
        ),
    )
