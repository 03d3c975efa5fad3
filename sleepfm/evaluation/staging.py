"""Evaluation of sleep staging against human scoring, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.classification import STAGES, Classification, classify_stages
from sleepfm.analysis.confusion import accuracy, count_confusion, f1_scores, kappa
from sleepfm.analysis.curves import precision_recall, reliability, roc
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import bootstrap
from sleepfm.evaluation.evaluation import Cell, Evaluation, Headline, Line, LinePlot, MatrixPlot, Section, Table
from sleepfm.evaluation.held_out import HeldOut, describe, separate
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.evaluation.tables import Scores, comparison_section, group_section, metric_table, sections, seen_section

NIGHT_KAPPA = "median night's kappa"
_WORST_NIGHTS = 10


@dataclass(frozen=True)
class StagedNight:
    """One night, staged by a human and by a model on the same grid (30-s epochs, or 5-s tokens for both).

    Attributes
    ----------
    truth_n
        (epoch,) numbers of `Stage`; Unknown (-1) is masked.
    probability_nk
        (epoch, 5) probabilities in the order of `SCORED_STAGES`; NaN where the model gave none.
    """

    truth_n: np.ndarray
    probability_nk: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.probability_nk) != (len(self.truth_n), len(STAGES)):
            raise ValueError(f"{len(self.truth_n)} true epochs, probabilities of shape {np.shape(self.probability_nk)}")


def staging_scores(
    held_out: HeldOut, nights: Mapping[str, StagedNight], settings: EvaluationSettings, mask_n: np.ndarray | None = None
) -> Scores:
    """Return macro F1, kappa, accuracy, macro AUROC and AUPRC, and the median kappa of a night.

    For experiments (`sleepfm.evaluation.experiments`) and for parts of the test set.

    Parameters
    ----------
    held_out
        The test set.
    nights
        By recording id; recordings without one are not counted.
    settings
        Bootstrap.
    mask_n
        (recording,) which recordings count; all unless told.
    """
    found = _classify(held_out, nights, settings, mask_n)
    return {**found.overall, NIGHT_KAPPA: _night_kappa(held_out, nights, settings, mask_n)}


def evaluate_staging(
    held_out: HeldOut,
    nights: Mapping[str, StagedNight],
    settings: EvaluationSettings,
    *,
    model: str,
    others: Mapping[str, Mapping[str, StagedNight]] | None = None,
) -> Evaluation:
    """Evaluate staging.

    Parameters
    ----------
    held_out
        The test set.
    nights
        The model's nights by recording id. Recordings of the test set without one are left out and named.
    settings
        Bootstrap, groups.
    model
        Its name.
    others
        Nights of other systems by name: the same network trained end to end, YASA, another encoder.

    Raises
    ------
    RequestError
        When nothing is left to test, or nothing that the encoder has not seen.
    """
    held_out = _with_answers(held_out, nights)
    separated = separate(held_out, settings)
    mask_n = separated.headline_n
    found = _classify(held_out, nights, settings, mask_n)
    scores = staging_scores(held_out, nights, settings, mask_n)

    def measure(part_n: np.ndarray) -> Scores:
        return staging_scores(held_out, nights, settings, part_n)

    cases = {model: scores} | {name: staging_scores(held_out, other, settings, mask_n) for name, other in (others or {}).items()}
    headline = (
        Headline("staging macro F1", scores["macro F1"], "mean over the stages; 1 is perfect"),
        Headline("staging kappa", scores["kappa"], "agreement beyond chance; 1 is perfect, 0 is chance"),
        Headline("staging macro AUROC", scores["macro AUROC"], "how well each stage is told from the rest", chance=0.5),
    )
    masked = f"{found.unknown:,} epochs without a human stage" if found.unknown else ""
    unanswered = f"{found.unanswered:,} epochs that the model could not stage" if found.unanswered else ""
    warnings = [f"left out: {part}" for part in (masked, unanswered) if part]
    return Evaluation(
        task="staging",
        title="Sleep staging",
        model=model,
        simulated=held_out.simulated,
        data=describe(held_out, mask_n),
        settings=settings.model_dump(mode="json"),
        headline=headline,
        sections=sections(
            _overall_section(found, scores),
            _curve_section(held_out, nights, mask_n),
            comparison_section(cases, "macro F1"),
            group_section(held_out, separated, settings, measure, "macro F1"),
            _night_section(held_out, nights, mask_n),
            seen_section(separated, measure),
        ),
        warnings=(*separated.warnings, *warnings),
    )


def _with_answers(held_out: HeldOut, nights: Mapping[str, StagedNight]) -> HeldOut:
    return held_out.only(np.array([name in nights for name in held_out.recordings], dtype=bool), "the model gave no stages")


def _chosen(held_out: HeldOut, nights: Mapping[str, StagedNight], mask_n: np.ndarray | None) -> list[tuple[str, str]]:
    every = zip(held_out.recordings, held_out.subjects, strict=True)
    return [(name, subject) for i, (name, subject) in enumerate(every) if name in nights and (mask_n is None or mask_n[i])]


def _rows(nights: Mapping[str, StagedNight], chosen: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth_n = np.concatenate([np.empty(0, int), *(np.asarray(nights[name].truth_n) for name, _ in chosen)]).astype(np.int64)
    probability_nk = np.concatenate([np.empty((0, len(STAGES))), *(nights[name].probability_nk for name, _ in chosen)])
    subject_n = np.repeat(
        np.array([subject for _, subject in chosen], dtype=str), [len(nights[name].truth_n) for name, _ in chosen]
    )
    return truth_n, probability_nk, subject_n


def _classify(
    held_out: HeldOut, nights: Mapping[str, StagedNight], settings: EvaluationSettings, mask_n: np.ndarray | None
) -> Classification:
    return classify_stages(*_rows(nights, _chosen(held_out, nights, mask_n)), **settings.bootstrap)


def _confusion(night: StagedNight) -> np.ndarray:
    kept_n = (np.asarray(night.truth_n) >= 0) & np.isfinite(night.probability_nk).all(axis=1)
    return count_confusion(night.truth_n[kept_n], night.probability_nk[kept_n].argmax(axis=1), len(STAGES))


def _night_kappa(
    held_out: HeldOut, nights: Mapping[str, StagedNight], settings: EvaluationSettings, mask_n: np.ndarray | None
) -> Estimate:
    chosen = _chosen(held_out, nights, mask_n)
    kappa_n = np.array([kappa(_confusion(nights[name])) for name, _ in chosen], dtype=np.float64)
    defined_n = np.isfinite(kappa_n)
    boot = bootstrap(np.array([subject for _, subject in chosen], dtype=str)[defined_n], **settings.bootstrap)
    return boot.estimate(boot.sample_median(kappa_n[defined_n]), reason="no night has a defined kappa")


def _overall_section(found: Classification, scores: Scores) -> Section:
    by_stage = tuple(
        (name, found.f1[name], found.auroc[name], found.auprc[name], found.prevalence[name], int(found.confusion_kk[k].sum()))
        for k, name in enumerate(STAGES)
    )
    return Section(
        "All stages",
        "Every epoch that a human scored and the model staged. Intervals come from drawing people again, not epochs.",
        (
            metric_table(
                "overall",
                "Agreement with the human scoring",
                scores,
                "n is epochs; for the median night's kappa it is nights.",
            ),
            Table(
                "by_stage",
                "By stage",
                ("stage", "F1", "AUROC", "AUPRC", "share of epochs", "epochs"),
                by_stage,
                "The share of epochs is what the AUPRC of a blind guess reaches.",
            ),
            MatrixPlot(
                "confusion",
                "Confusion",
                "human scoring",
                "model",
                STAGES,
                STAGES,
                found.confusion_kk,
                "Epochs; the shade is the share of the human's epochs of that stage.",
            ),
        ),
    )


def _curve_section(held_out: HeldOut, nights: Mapping[str, StagedNight], mask_n: np.ndarray) -> Section | None:
    truth_n, probability_nk, _ = _rows(nights, _chosen(held_out, nights, mask_n))
    kept_n = (truth_n >= 0) & np.isfinite(probability_nk).all(axis=1)
    truth_n, probability_nk = truth_n[kept_n], probability_nk[kept_n]
    if not truth_n.size:
        return None
    rocs: list[Line] = []
    precisions: list[Line] = []
    for k, name in enumerate(STAGES):
        for curve, lines in (
            (roc(truth_n == k, probability_nk[:, k]), rocs),
            (precision_recall(truth_n == k, probability_nk[:, k]), precisions),
        ):
            if curve is not None:
                lines.append(Line(name, curve))
    sure_n = probability_nk.max(axis=1)
    right = Line("model", reliability(probability_nk.argmax(axis=1) == truth_n, sure_n), "points")
    return Section(
        "Curves",
        "How well each stage is told from the others at every threshold, and whether the model is right as often as it says.",
        (
            LinePlot("roc", "ROC, one stage against the rest", "1 - specificity", "sensitivity", tuple(rocs), diagonal=True),
            LinePlot("precision_recall", "Precision over recall", "recall (sensitivity)", "precision", tuple(precisions)),
            LinePlot(
                "reliability",
                "Reliability of the chosen stage",
                "probability the model gave",
                "share of epochs it was right",
                (right,),
                diagonal=True,
                note="Tenths of the epochs by probability. Below the line the model is too sure of itself.",
            ),
        ),
    )


def _night_section(held_out: HeldOut, nights: Mapping[str, StagedNight], mask_n: np.ndarray) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for name, subject in _chosen(held_out, nights, mask_n):
        confusion_kk = _confusion(nights[name])
        used = f1_scores(confusion_kk)
        macro = float(np.nanmean(used)) if np.isfinite(used).any() else None
        rows.append((name, subject, int(confusion_kk.sum()), *(_number(f(confusion_kk)) for f in (kappa, accuracy)), macro))
    rows.sort(key=lambda row: (row[3] is None, row[3]))
    columns = ("recording", "person", "epochs", "kappa", "accuracy", "macro F1")
    return Section(
        "Nights to look at",
        "The nights on which model and human agree least: a wrong channel, a poor signal, or a hard night.",
        (
            Table(
                "nights_to_look_at",
                f"Lowest kappa ({min(_WORST_NIGHTS, len(rows))} of {len(rows)} nights)",
                columns,
                tuple(rows[:_WORST_NIGHTS]),
            ),
        ),
    )


def _number(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)
