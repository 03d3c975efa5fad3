"""How well a score ranks positives above negatives: AUROC and average precision, with intervals over subjects.

The value is exact, ties included. The intervals come from the same formulas on scores that are gathered into at most `BINS` bins
of equally many rows, which lets 1,000 resamples of a million epochs take seconds; what the gathering does to the value (less than
0.001) is taken off the resamples again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled

BINS = 4096


class ScoreLevels:
    """Positives and negatives of every subject at every level of a score, from the lowest level to the highest.

    Parameters
    ----------
    truth_n
        (row,) bool.
    score_n
        (row,) finite, higher means more likely positive.
    subject_n
        (row,) subject numbers, 0 to `subjects` - 1.
    subjects
        How many subjects.
    most_levels
        Neighbouring levels are put together until at most so many are left; None keeps each distinct score.
    """

    def __init__(
        self, truth_n: np.ndarray, score_n: np.ndarray, subject_n: np.ndarray, subjects: int, most_levels: int | None = None
    ) -> None:
        distinct, level_n, rows_l = np.unique(score_n, return_inverse=True, return_counts=True)
        self.levels = distinct.size
        if most_levels is not None and distinct.size > most_levels:
            below_l = np.cumsum(rows_l) - rows_l
            level_n = (below_l * most_levels // len(score_n))[level_n]
            self.levels = most_levels
        truth_n = np.asarray(truth_n, dtype=bool)
        self._positive_ls = self._counts(level_n[truth_n], subject_n[truth_n], subjects)
        self._negative_ls = self._counts(level_n[~truth_n], subject_n[~truth_n], subjects)

    def _counts(self, level_n: np.ndarray, subject_n: np.ndarray, subjects: int) -> sparse.csr_array:
        ones_n = np.ones(level_n.size)
        return sparse.coo_array((ones_n, (level_n, subject_n)), shape=(self.levels, subjects)).tocsr()

    def auroc(self, weights_bs: np.ndarray) -> np.ndarray:
        """Return (resample,) the chance that a positive scores above a negative, a tie counting half; NaN with one class."""
        positive_lb, negative_lb = self._positive_ls @ weights_bs.T, self._negative_ls @ weights_bs.T
        beaten_lb = np.cumsum(negative_lb, axis=0) - negative_lb / 2
        pairs_b = positive_lb.sum(axis=0) * negative_lb.sum(axis=0)
        return _ratio((positive_lb * beaten_lb).sum(axis=0), pairs_b)

    def average_precision(self, weights_bs: np.ndarray) -> np.ndarray:
        """Return (resample,) the step-wise area under precision over recall; NaN without positives or without negatives."""
        positive_lb, negative_lb = self._positive_ls @ weights_bs.T, self._negative_ls @ weights_bs.T
        from_above_lb = np.cumsum(positive_lb[::-1], axis=0)
        called_lb = from_above_lb + np.cumsum(negative_lb[::-1], axis=0)
        precision_lb = _ratio(from_above_lb, called_lb, where_zero=0.0)
        positives_b, negatives_b = positive_lb.sum(axis=0), negative_lb.sum(axis=0)
        area_b = _ratio((positive_lb[::-1] * precision_lb).sum(axis=0), positives_b)
        return np.where(negatives_b > 0, area_b, np.nan)


def _ratio(top: np.ndarray, bottom: np.ndarray, where_zero: float = np.nan) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), where_zero), where=bottom != 0)


def sample_auroc(truth_n: np.ndarray, score_n: np.ndarray, boot: Bootstrap) -> Sampled:
    """Return the AUROC on the data and on every resample of `boot`."""
    return _sample(truth_n, score_n, boot, ScoreLevels.auroc)


def sample_average_precision(truth_n: np.ndarray, score_n: np.ndarray, boot: Bootstrap) -> Sampled:
    """Return the average precision (AUPRC) on the data and on every resample of `boot`."""
    return _sample(truth_n, score_n, boot, ScoreLevels.average_precision)


def _sample(
    truth_n: np.ndarray, score_n: np.ndarray, boot: Bootstrap, area: Callable[[ScoreLevels, np.ndarray], np.ndarray]
) -> Sampled:
    if not np.isfinite(score_n).all():
        raise ValueError("scores must be finite: mask the rows that have none")
    exact = ScoreLevels(truth_n, score_n, boot.subject_n, boot.subjects)
    coarse = ScoreLevels(truth_n, score_n, boot.subject_n, boot.subjects, BINS)
    moved = area(coarse, np.ones((1, boot.subjects)))[0] - area(exact, np.ones((1, boot.subjects)))[0]
    return boot.sample(
        lambda weights_bs: area(exact, weights_bs),
        resampled=lambda weights_bs: np.clip(area(coarse, weights_bs) - moved, 0, 1),
        width=coarse.levels,
    )


def auroc(truth_n: np.ndarray, score_n: np.ndarray, boot: Bootstrap) -> Estimate:
    """Return the area under the ROC curve; undefined, with the reason, when only one class is there.

    Parameters
    ----------
    truth_n
        (row,) bool.
    score_n
        (row,) finite scores, higher means more likely positive.
    boot
        Made from the subject of each row.
    """
    return boot.estimate(sample_auroc(truth_n, score_n, boot), reason=one_class(truth_n))


def average_precision(truth_n: np.ndarray, score_n: np.ndarray, boot: Bootstrap) -> Estimate:
    """Return the AUPRC as average precision (parameters as in `auroc`); its chance level is the share of positives."""
    return boot.estimate(sample_average_precision(truth_n, score_n, boot), reason=one_class(truth_n))


def one_class(truth_n: np.ndarray) -> str:
    """Return why a ranking metric is undefined on these truths, or nothing when both classes are there."""
    truth_n = np.asarray(truth_n, dtype=bool)
    if not truth_n.size:
        return "nothing to judge: no row"
    if truth_n.all():
        return f"one class only: all {truth_n.size} are positive"
    return "" if truth_n.any() else f"one class only: none of {truth_n.size} is positive"
