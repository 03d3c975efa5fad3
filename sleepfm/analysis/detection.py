"""Finding something that is there or not: epochs with disordered breathing, nights with an AHI of 15, a person's sex."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.discrimination import auroc, average_precision
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import bootstrap


@dataclass(frozen=True)
class Detection:
    """How well a score finds something that is there or not.

    Attributes
    ----------
    n, subjects, positives
        Rows that are known and scored, their subjects, and how many are positive.
    unknown
        Rows left out: truth unknown (-1) or no score (NaN).
    auroc, auprc
        Free of a threshold. The chance level of the AUPRC is the share of positives.
    threshold
        A score at or above it counts as a finding.
    sensitivity, specificity
        At the threshold.
    """

    n: int
    subjects: int
    positives: int
    unknown: int
    auroc: Estimate
    auprc: Estimate
    threshold: float
    sensitivity: Estimate
    specificity: Estimate

    @property
    def prevalence(self) -> float:
        """Share of positives; 0 when there is no row."""
        return self.positives / self.n if self.n else 0.0

    @property
    def overall(self) -> dict[str, Estimate]:
        """The numbers by name."""
        return {
            "AUROC": self.auroc,
            "AUPRC": self.auprc,
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
        }


def detect(
    truth_n: np.ndarray,
    score_n: np.ndarray,
    subjects_n: np.ndarray,
    *,
    threshold: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Detection:
    """Judge a score of something that is there (1) or not (0).

    Parameters
    ----------
    truth_n
        (row,) 1, 0, or -1 where unknown: epochs with and without SDB, nights with and without an AHI of 15, women and men.
    score_n
        (row,) higher means more likely there; NaN where the model gave none.
    subjects_n
        (row,) the subject of each row.
    threshold
        For sensitivity and specificity. Chosen beforehand or on the validation set, never on these rows.
    resamples, seed, confidence
        Of the bootstrap over subjects.
    """
    truth_n, score_n = np.asarray(truth_n), np.asarray(score_n, dtype=np.float64)
    kept_n = (truth_n >= 0) & np.isfinite(score_n)
    boot = bootstrap(np.asarray(subjects_n)[kept_n], resamples=resamples, seed=seed, confidence=confidence)
    there_n, score_n = truth_n[kept_n] > 0, score_n[kept_n]
    found_n = score_n >= threshold
    counts_sc = boot.sums(np.stack([there_n, there_n & found_n, ~there_n, ~there_n & ~found_n], axis=1).astype(np.float64))

    def share(of: int) -> Callable[[np.ndarray], np.ndarray]:
        def metric(weights_bs: np.ndarray) -> np.ndarray:
            counts_bc = weights_bs @ counts_sc[:, of : of + 2]
            return np.divide(counts_bc[:, 1], counts_bc[:, 0], out=np.full(len(counts_bc), np.nan), where=counts_bc[:, 0] > 0)

        return metric

    return Detection(
        n=there_n.size,
        subjects=boot.subjects,
        positives=int(there_n.sum()),
        unknown=int((~kept_n).sum()),
        auroc=auroc(there_n, score_n, boot),
        auprc=average_precision(there_n, score_n, boot),
        threshold=threshold,
        sensitivity=boot.estimate(boot.sample(share(0)), n=int(there_n.sum()), reason="no positive row"),
        specificity=boot.estimate(boot.sample(share(2)), n=int((~there_n).sum()), reason="no negative row"),
    )
