"""Classes against truth: confusion, F1, kappa, accuracy, one-against-rest AUROC and AUPRC; Unknown (-1) is masked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.confusion import accuracy, count_confusion, f1_scores, kappa
from sleepfm.analysis.discrimination import one_class, sample_auroc, sample_average_precision
from sleepfm.analysis.estimates import Estimate, undefined
from sleepfm.analysis.resampling import Bootstrap, Sampled, bootstrap, mean_of
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES

STAGES: tuple[str, ...] = tuple(STAGE_NAMES[stage] for stage in SCORED_STAGES)


@dataclass(frozen=True)
class Classification:
    """What a classifier's answers are worth.

    Attributes
    ----------
    names
        The classes, in the order of their numbers.
    n, subjects
        Rows with a known truth and an answer, and their subjects.
    unknown
        Rows left out because the truth is unknown (-1).
    unanswered
        Rows left out because the model gave no answer.
    macro_f1
        Mean F1 over the classes that truth or prediction uses.
    macro_auroc, macro_auprc
        Mean over the classes that are in the truth; None when no probabilities were given.
    f1, auroc, auprc, prevalence
        By class name; `prevalence` is a class's share of the truth, the chance level of its AUPRC.
    confusion_kk
        (class, class) counts, rows truth, columns prediction.
    """

    names: tuple[str, ...]
    n: int
    subjects: int
    unknown: int
    unanswered: int
    accuracy: Estimate
    kappa: Estimate
    macro_f1: Estimate
    macro_auroc: Estimate | None
    macro_auprc: Estimate | None
    f1: dict[str, Estimate]
    auroc: dict[str, Estimate]
    auprc: dict[str, Estimate]
    prevalence: dict[str, float]
    confusion_kk: np.ndarray

    @property
    def overall(self) -> dict[str, Estimate]:
        """The numbers for all classes together, by name."""
        named = {
            "macro F1": self.macro_f1,
            "kappa": self.kappa,
            "accuracy": self.accuracy,
            "macro AUROC": self.macro_auroc,
            "macro AUPRC": self.macro_auprc,
        }
        return {name: estimate for name, estimate in named.items() if estimate is not None}


def classify(
    truth_n: np.ndarray,
    names: Sequence[str],
    subjects_n: np.ndarray,
    *,
    probability_nk: np.ndarray | None = None,
    predicted_n: np.ndarray | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Classification:
    """Compare predicted classes with the true ones.

    Parameters
    ----------
    truth_n
        (row,) class numbers, -1 where unknown.
    names
        One name a class.
    subjects_n
        (row,) the subject of each row.
    probability_nk
        (row, class) probabilities or scores, NaN where the model gave none. The class is the largest one.
    predicted_n
        (row,) class numbers, -1 where the model gave none; needed only without `probability_nk`.
    resamples, seed, confidence
        Of the bootstrap over subjects.

    Raises
    ------
    ValueError
        When neither or both kinds of answer are given, shapes differ, or a class has no name.
    """
    truth_n, subjects_n = np.asarray(truth_n), np.asarray(subjects_n)
    answer_n = _answers(truth_n, len(names), probability_nk, predicted_n)
    if truth_n.size and (truth_n.min() < -1 or truth_n.max() >= len(names)):
        raise ValueError(f"true classes must be -1 (unknown) to {len(names) - 1}")
    known_n = truth_n >= 0
    kept_n = known_n & (answer_n >= 0)
    boot = bootstrap(subjects_n[kept_n], resamples=resamples, seed=seed, confidence=confidence)
    truth_n, answer_n = truth_n[kept_n].astype(np.int64), answer_n[kept_n].astype(np.int64)
    classes = len(names)
    cells_nc = np.zeros((truth_n.size, classes * classes), dtype=np.float64)
    cells_nc[np.arange(truth_n.size), truth_n * classes + answer_n] = 1
    by_subject_sc = boot.sums(cells_nc)

    def of_confusion(number: Callable[[np.ndarray], np.ndarray]) -> Sampled:
        return boot.sample(lambda weights_bs: number((weights_bs @ by_subject_sc).reshape(-1, classes, classes)))

    confusion_kk = count_confusion(truth_n, answer_n, classes)
    used = np.flatnonzero(confusion_kk.sum(axis=0) + confusion_kk.sum(axis=1))
    nothing = "" if truth_n.size else "nothing to compare: no row has both a known truth and an answer"

    def f1_of(k: int) -> Sampled:
        return of_confusion(lambda confusion_bkk: f1_scores(confusion_bkk)[:, k])

    by_class = [f1_of(k) for k in range(classes)]
    auroc: dict[str, Estimate] = {}
    auprc: dict[str, Estimate] = {}
    macro_auroc = macro_auprc = None
    if probability_nk is not None:
        score_nk = np.asarray(probability_nk)[kept_n]
        auroc, macro_auroc = _one_against_rest(truth_n, score_nk, names, boot, sample_auroc)
        auprc, macro_auprc = _one_against_rest(truth_n, score_nk, names, boot, sample_average_precision)
    return Classification(
        names=tuple(names),
        n=truth_n.size,
        subjects=boot.subjects,
        unknown=int((~known_n).sum()),
        unanswered=int((known_n & ~kept_n).sum()),
        accuracy=boot.estimate(of_confusion(accuracy), reason=nothing),
        kappa=boot.estimate(of_confusion(kappa), reason=nothing or "one class only, on both sides"),
        macro_f1=boot.estimate(mean_of([by_class[k] for k in used]), reason=nothing) if used.size else _none(boot, nothing),
        macro_auroc=macro_auroc,
        macro_auprc=macro_auprc,
        f1={
            name: boot.estimate(by_class[k], reason=nothing or "neither true nor predicted anywhere")
            for k, name in enumerate(names)
        },
        auroc=auroc,
        auprc=auprc,
        prevalence={name: float((truth_n == k).mean()) if truth_n.size else 0.0 for k, name in enumerate(names)},
        confusion_kk=confusion_kk,
    )


def classify_stages(
    truth_n: np.ndarray,
    probability_nk: np.ndarray,
    subjects_n: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Classification:
    """Compare (epoch, 5) stage probabilities, columns in the order of `SCORED_STAGES`, with true stages (Unknown -1 masked)."""
    return classify(
        truth_n, STAGES, subjects_n, probability_nk=probability_nk, resamples=resamples, seed=seed, confidence=confidence
    )


def _answers(truth_n: np.ndarray, classes: int, probability_nk: np.ndarray | None, predicted_n: np.ndarray | None) -> np.ndarray:
    if (probability_nk is None) == (predicted_n is None):
        raise ValueError("give either probabilities or predicted classes")
    if probability_nk is None:
        answer_n = np.asarray(predicted_n)
        if answer_n.shape != truth_n.shape or (answer_n.size and (answer_n.min() < -1 or answer_n.max() >= classes)):
            raise ValueError(f"predicted classes must be -1 to {classes - 1}, one for each of {truth_n.size} rows")
        return answer_n
    probability_nk = np.asarray(probability_nk)
    if probability_nk.shape != (*truth_n.shape, classes):
        raise ValueError(f"probabilities have shape {probability_nk.shape}: expected {(*truth_n.shape, classes)}")
    given_n = np.isfinite(probability_nk).all(axis=1)
    return np.where(given_n, np.where(given_n[:, None], probability_nk, 0).argmax(axis=1), -1)


def _one_against_rest(
    truth_n: np.ndarray,
    score_nk: np.ndarray,
    names: Sequence[str],
    boot: Bootstrap,
    sample: Callable[[np.ndarray, np.ndarray, Bootstrap], Sampled],
) -> tuple[dict[str, Estimate], Estimate]:
    sampled = [sample(truth_n == k, score_nk[:, k], boot) for k in range(len(names))]
    by_name = {name: boot.estimate(sampled[k], reason=one_class(truth_n == k)) for k, name in enumerate(names)}
    defined = [part for part in sampled if np.isfinite(part.point)]
    if not defined:
        return by_name, _none(boot, "no class has both positives and negatives")
    return by_name, boot.estimate(mean_of(defined))


def _none(boot: Bootstrap, reason: str) -> Estimate:
    return undefined(reason, n=len(boot.subject_n), subjects=boot.subjects)
