"""Bootstrap over subjects: people are drawn, not epochs, because the epochs of one night are not independent.

A resample is a weight for each subject (how often that person was drawn), so a metric is a function from weights to values:
all resamples are computed at once, and the metric on the data itself is the one with every weight 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sleepfm.analysis.estimates import Estimate, undefined

RESAMPLES = 1000
CONFIDENCE = 0.95
_CELLS_AT_ONCE = 1_000_000
_MEDIAN_LEVELS = 4096

WeightedMetric = Callable[[np.ndarray], np.ndarray]
"""From weights (resample, subject) to the metric of each resample (resample,), NaN where it is undefined."""


@dataclass(frozen=True)
class Sampled:
    """A metric on the data and on every resample; NaN where it is undefined.

    Attributes
    ----------
    point
        On the data.
    values_b
        (resample,); empty when fewer than two subjects are there.
    """

    point: float
    values_b: np.ndarray

    def __sub__(self, other: Sampled) -> Sampled:
        """Return the paired difference: both were measured on the same resamples."""
        return Sampled(self.point - other.point, self.values_b - other.values_b)

    def __truediv__(self, other: Sampled) -> Sampled:
        """Return the paired ratio, undefined where the divisor is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio_b = np.where(other.values_b != 0, self.values_b / other.values_b, np.nan)
        return Sampled(self.point / other.point if other.point else np.nan, ratio_b)

    @property
    def standard_error(self) -> float:
        """Standard deviation over the resamples in which it is defined; NaN with fewer than two of them."""
        defined_b = self.values_b[np.isfinite(self.values_b)]
        return float(defined_b.std(ddof=1)) if defined_b.size > 1 else np.nan


def mean_of(parts: Sequence[Sampled]) -> Sampled:
    """Return the mean of several metrics; undefined wherever one of them is."""
    return Sampled(float(np.mean([part.point for part in parts])), np.mean([part.values_b for part in parts], axis=0))


@dataclass(frozen=True)
class Bootstrap:
    """The resamples of one set of subjects.

    Attributes
    ----------
    subject_n
        (row,) number of the subject of each row, 0 to `subjects` - 1.
    subjects
        How many people there are.
    weights_bs
        (resample, subject) how often each was drawn; each row sums to `subjects`. No rows with fewer than two subjects.
    confidence
        Share of the resamples inside the interval.
    """

    subject_n: np.ndarray
    subjects: int
    weights_bs: np.ndarray
    confidence: float = CONFIDENCE

    def part(self, kept_n: np.ndarray) -> Bootstrap:
        """Return the same resamples for the rows that are True in (row,) `kept_n`."""
        return Bootstrap(self.subject_n[kept_n], self.subjects, self.weights_bs, self.confidence)

    def sample(self, metric: WeightedMetric, *, resampled: WeightedMetric | None = None, width: int = 1) -> Sampled:
        """Compute a metric on the data and on all resamples.

        Parameters
        ----------
        metric
            The metric.
        resampled
            A quicker form of it for the resamples, where there is one.
        width
            Numbers that it needs in memory for one resample (its rows, usually); the resamples go through in blocks.
        """
        blocks = [(resampled or metric)(weights_bs) for weights_bs in self._blocks(width)]
        point = float(metric(np.ones((1, self.subjects)))[0])
        return Sampled(point, np.concatenate(blocks) if blocks else np.empty(0))

    def sample_several(self, metrics: Callable[[np.ndarray], Sequence[np.ndarray]], *, width: int = 1) -> list[Sampled]:
        """Compute several metrics that share their work: `metrics` returns one (resample,) array for each."""
        points = [float(values_b[0]) for values_b in metrics(np.ones((1, self.subjects)))]
        blocks = [metrics(weights_bs) for weights_bs in self._blocks(width)]
        return [Sampled(point, np.concatenate([np.empty(0), *(block[k] for block in blocks)])) for k, point in enumerate(points)]

    def _blocks(self, width: int) -> Iterator[np.ndarray]:
        step = max(1, _CELLS_AT_ONCE // max(width, 1))
        for first in range(0, len(self.weights_bs), step):
            yield self.weights_bs[first : first + step]

    @property
    def people(self) -> int:
        """How many subjects have a row here: fewer than `subjects` in a part."""
        return int(np.unique(self.subject_n).size)

    def estimate(self, sampled: Sampled, *, n: int | None = None, reason: str = "") -> Estimate:
        """Turn a sampled metric into what is reported.

        Parameters
        ----------
        sampled
            Value and resamples.
        n
            Rows that it rests on; all unless told.
        reason
            Why the value is undefined, if it is.
        """
        n, subjects = len(self.subject_n) if n is None else n, self.people
        if not np.isfinite(sampled.point):
            return undefined(reason or "undefined on these data", n=n, subjects=subjects)
        defined_b = sampled.values_b[np.isfinite(sampled.values_b)]
        dropped = sampled.values_b.size - defined_b.size
        if subjects < 2:
            return Estimate(sampled.point, None, None, n, subjects, reason="one subject: no interval over subjects")
        if not defined_b.size:
            missing = "undefined in every resample: no interval" if dropped else "no resamples were asked for: no interval"
            return Estimate(sampled.point, None, None, n, subjects, dropped=dropped, reason=missing)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined_b, (tail, 1 - tail))
        return Estimate(sampled.point, float(low), float(high), n, subjects, defined_b.size, dropped)

    def sample_mean(self, values_n: np.ndarray) -> Sampled:
        """Compute the mean of (row,) values."""
        sums_sc = self.sums(np.stack([values_n, np.ones(len(values_n))], axis=1))

        def metric(weights_bs: np.ndarray) -> np.ndarray:
            sum_b, rows_b = (weights_bs @ sums_sc).T
            return np.divide(sum_b, rows_b, out=np.full(len(rows_b), np.nan), where=rows_b > 0)

        return self.sample(metric)

    def sample_median(self, values_n: np.ndarray) -> Sampled:
        """Compute the median of (row,) values; on the resamples over at most `_MEDIAN_LEVELS` levels of equally many rows."""
        if not len(values_n):
            return Sampled(np.nan, np.empty(0))
        order_n = np.argsort(values_n, kind="stable")
        levels = min(_MEDIAN_LEVELS, len(values_n))
        level_n = np.arange(len(values_n)) * levels // len(values_n)
        value_l = np.array([np.median(part) for part in np.split(values_n[order_n], np.flatnonzero(np.diff(level_n)) + 1)])
        counts_ls = sparse.coo_array(
            (np.ones(level_n.size), (level_n, self.subject_n[order_n])), shape=(levels, self.subjects)
        ).tocsr()

        def metric(weights_bs: np.ndarray) -> np.ndarray:
            below_lb = np.cumsum(counts_ls @ weights_bs.T, axis=0)
            half_b = below_lb[-1] / 2
            lower, upper = (below_lb < half_b).sum(axis=0), (below_lb <= half_b).sum(axis=0)
            middle_b = (value_l[np.minimum(lower, levels - 1)] + value_l[np.minimum(upper, levels - 1)]) / 2
            return np.where(half_b > 0, middle_b, np.nan)

        return Sampled(float(np.median(values_n)), self.sample(metric, width=levels).values_b)

    def sums(self, values_nc: np.ndarray) -> np.ndarray:
        """Return (subject, column) sums over each subject's rows of (row, column) values."""
        sums_sc = np.zeros((self.subjects, values_nc.shape[1]))
        np.add.at(sums_sc, self.subject_n, values_nc)
        return sums_sc


def bootstrap(
    subjects_n: Sequence[object] | np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0, confidence: float = CONFIDENCE
) -> Bootstrap:
    """Draw the resamples of the subjects that stand in `subjects_n`.

    Parameters
    ----------
    subjects_n
        (row,) the subject of each row (of each epoch, recording or window): any labels; equal labels are one person.
    resamples
        How many.
    seed
        The same seed and the same subjects give the same resamples.
    confidence
        Share of the resamples inside the intervals, above 0 and below 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    labels, subject_n = np.unique(np.asarray(subjects_n), return_inverse=True)
    rng = np.random.default_rng(seed)
    several = labels.size > 1
    weights_bs = (
        rng.multinomial(labels.size, np.full(labels.size, 1 / labels.size), size=resamples)
        if several
        else np.empty((0, labels.size))
    )
    return Bootstrap(subject_n, labels.size, weights_bs.astype(np.float64), confidence)
