"""Predicted numbers (age in years, BMI in kg/m², AHI in events an hour) against the true ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.resampling import Bootstrap, Sampled, bootstrap


@dataclass(frozen=True)
class Regression:
    """What predicted numbers are worth; errors are in the unit of the numbers.

    Attributes
    ----------
    n, subjects
        Rows with a truth and a prediction, and their subjects.
    left_out
        Rows without the one or the other (NaN).
    mean_absolute_error
        Mean distance between predicted and true.
    bias
        Mean of predicted - true: above 0 when the model says too much.
    spread
        Standard deviation of predicted - true; bias ± 1.96 · spread are the limits of agreement (Bland and Altman 1986).
    correlation
        Pearson's r; undefined when either side is constant.
    r_squared
        1 - (squared error) / (squared distance from the mean of the truth); below 0 for a model worse than that mean.
    """

    n: int
    subjects: int
    left_out: int
    mean_absolute_error: Estimate
    bias: Estimate
    spread: Estimate
    correlation: Estimate
    r_squared: Estimate

    @property
    def overall(self) -> dict[str, Estimate]:
        """The numbers by name."""
        return {
            "mean absolute error": self.mean_absolute_error,
            "bias": self.bias,
            "standard deviation of the error": self.spread,
            "r": self.correlation,
            "R²": self.r_squared,
        }


def regress(
    truth_n: np.ndarray,
    predicted_n: np.ndarray,
    subjects_n: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Regression:
    """Compare predicted with true numbers.

    Parameters
    ----------
    truth_n, predicted_n
        (row,) numbers, NaN where there is none.
    subjects_n
        (row,) the subject of each row.
    resamples, seed, confidence
        Of the bootstrap over subjects.
    """
    truth_n, predicted_n = np.asarray(truth_n, dtype=np.float64), np.asarray(predicted_n, dtype=np.float64)
    if truth_n.shape != predicted_n.shape:
        raise ValueError(f"{truth_n.size} true numbers and {predicted_n.size} predicted ones")
    kept_n = np.isfinite(truth_n) & np.isfinite(predicted_n)
    boot = bootstrap(np.asarray(subjects_n)[kept_n], resamples=resamples, seed=seed, confidence=confidence)
    moments = _Moments(truth_n[kept_n], predicted_n[kept_n], boot)
    nothing = "" if kept_n.any() else "nothing to compare: no row has both a true and a predicted number"

    def estimate(sampled: Sampled, reason: str = "") -> Estimate:
        return boot.estimate(sampled, reason=nothing or reason)

    return Regression(
        n=int(kept_n.sum()),
        subjects=boot.subjects,
        left_out=int((~kept_n).sum()),
        mean_absolute_error=estimate(boot.sample(moments.mean_absolute_error)),
        bias=estimate(boot.sample(moments.bias)),
        spread=estimate(boot.sample(moments.spread), "needs two rows"),
        correlation=estimate(boot.sample(moments.correlation), "the true or the predicted numbers are all the same"),
        r_squared=estimate(boot.sample(moments.r_squared), "the true numbers are all the same"),
    )


class _Moments:
    """Sums over subjects from which all the numbers follow; both sides are centred first, so that squares stay exact."""

    def __init__(self, truth_n: np.ndarray, predicted_n: np.ndarray, boot: Bootstrap) -> None:
        centre = truth_n.mean() if truth_n.size else 0.0
        y_n, p_n, error_n = truth_n - centre, predicted_n - centre, predicted_n - truth_n
        columns = (np.ones(y_n.size), np.abs(error_n), error_n, error_n**2, y_n, p_n, y_n**2, p_n**2, y_n * p_n)
        self._sums_sc = boot.sums(np.stack(columns, axis=1))

    def _means(self, weights_bs: np.ndarray) -> np.ndarray:
        sums_bc = weights_bs @ self._sums_sc
        with np.errstate(divide="ignore", invalid="ignore"):
            return (sums_bc / sums_bc[:, :1]).T

    def mean_absolute_error(self, weights_bs: np.ndarray) -> np.ndarray:
        return self._means(weights_bs)[1]

    def bias(self, weights_bs: np.ndarray) -> np.ndarray:
        return self._means(weights_bs)[2]

    def spread(self, weights_bs: np.ndarray) -> np.ndarray:
        rows_b = weights_bs @ self._sums_sc[:, 0]
        means = self._means(weights_bs)
        variance_b = np.maximum(means[3] - means[2] ** 2, 0)
        return np.sqrt(np.where(rows_b > 1, variance_b * rows_b / np.maximum(rows_b - 1, 1), np.nan))

    def correlation(self, weights_bs: np.ndarray) -> np.ndarray:
        _, _, _, _, y, p, yy, pp, yp = self._means(weights_bs)
        varied = (yy - y**2 > 1e-12 * yy) & (pp - p**2 > 1e-12 * pp)
        product = np.where(varied, (yy - y**2) * (pp - p**2), np.nan)
        return np.clip((yp - y * p) / np.sqrt(product), -1, 1)

    def r_squared(self, weights_bs: np.ndarray) -> np.ndarray:
        _, _, _, squared_error, y, _, yy, _, _ = self._means(weights_bs)
        return 1 - squared_error / np.where(yy - y**2 > 1e-12 * yy, yy - y**2, np.nan)
