"""Limits of agreement (Bland & Altman 1986, 1999) of a number that two scorings give for the same nights.

Nights of one person are not independent: the variance between people and the one within them are told apart (Bland & Altman
2007, true value varying), and the intervals of bias and limits follow Zou (Stat Methods Med Res 2013, 22:630), which for one
night a person reduces to the usual case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.special import chdtri, ndtri, stdtrit

FEWEST_SUBJECTS = 3
"""With two, an interval of the variance between people reaches from nothing to thirty times its size."""


@dataclass(frozen=True)
class Limits:
    """Bias and limits of agreement of A minus B, in the number's own unit.

    Attributes
    ----------
    nights, subjects
        Pairs that have both values, and the people behind them.
    left_out
        Pairs in which one of the two is not defined (no REM, nobody asleep).
    bias, sd
        Mean of the differences over people, and their standard deviation between and within people together.
    low, high
        bias - 1.96 sd and bias + 1.96 sd: between them 95 % of the differences are expected.
    bias_interval, low_interval, high_interval
        95 % intervals.
    reason
        Why there are no limits or intervals; empty otherwise.
    """

    nights: int
    subjects: int
    left_out: int
    bias: float | None
    sd: float | None
    low: float | None
    high: float | None
    bias_interval: tuple[float, float] | None
    low_interval: tuple[float, float] | None
    high_interval: tuple[float, float] | None
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return what goes into JSON: what is undefined is null with its reason."""
        return asdict(self)


def limits_of_agreement(
    a_n: np.ndarray, b_n: np.ndarray, subjects_n: Sequence[object] | np.ndarray, *, confidence: float = 0.95, share: float = 0.95
) -> Limits:
    """Return bias and limits of agreement of A minus B.

    Parameters
    ----------
    a_n, b_n
        (night,) the same statistic by either scoring; NaN where it is undefined.
    subjects_n
        (night,) whose night it is; equal labels are one person.
    confidence
        Of the intervals.
    share
        Share of differences that the limits hold.

    Returns
    -------
    Limits
        With one night a person the bias is the mean and the sd the standard deviation of the differences. With several, the mean
        of the people's means, and the root of their variance plus what is left of the variance within people (both from Zou
        2013, equations for a true value that varies). Three people are the fewest for limits; the differences are taken to be
        normal.
    """
    a_n, b_n = np.asarray(a_n, dtype=np.float64), np.asarray(b_n, dtype=np.float64)
    known_n = np.isfinite(a_n) & np.isfinite(b_n)
    difference_n = (a_n - b_n)[known_n]
    _, subject_n = np.unique(np.asarray(subjects_n)[known_n], return_inverse=True)
    nights, left_out = difference_n.size, int((~known_n).sum())
    subjects = int(subject_n.max()) + 1 if nights else 0
    if not nights:
        return Limits(0, 0, left_out, *(None,) * 7, reason="no night has both values")
    count_s = np.bincount(subject_n)
    mean_s = np.bincount(subject_n, weights=difference_n) / count_s
    bias = float(mean_s.mean())
    if subjects < FEWEST_SUBJECTS:
        why = f"{subjects} {'person' if subjects == 1 else 'people'}: limits of agreement ask for {FEWEST_SUBJECTS} or more"
        return Limits(nights, subjects, left_out, bias, *(None,) * 6, reason=why)
    between, within_df = float(mean_s.var(ddof=1)), nights - subjects
    within = float(((difference_n - mean_s[subject_n]) ** 2).sum() / within_df) if within_df else 0.0
    left_of_within = (1 - float((1 / count_s).mean())) * within
    variance = between + left_of_within
    sd, reach = float(np.sqrt(variance)), float(ndtri(0.5 + share / 2))
    tail = (1 - confidence) / 2
    below = (between * (1 - (subjects - 1) / chdtri(subjects - 1, tail))) ** 2
    above = (between * ((subjects - 1) / chdtri(subjects - 1, 1 - tail) - 1)) ** 2
    if within_df:
        below += (left_of_within * (1 - within_df / chdtri(within_df, tail))) ** 2
        above += (left_of_within * (within_df / chdtri(within_df, 1 - tail) - 1)) ** 2
    smallest, largest = np.sqrt(max(0.0, variance - np.sqrt(below))), np.sqrt(variance + np.sqrt(above))
    of_bias = float(stdtrit(subjects - 1, 1 - tail) * np.sqrt(between / subjects))
    inward = float(np.hypot(of_bias, reach * (sd - smallest)))
    outward = float(np.hypot(of_bias, reach * (largest - sd)))
    low, high = bias - reach * sd, bias + reach * sd
    return Limits(
        nights=nights,
        subjects=subjects,
        left_out=left_out,
        bias=bias,
        sd=sd,
        low=low,
        high=high,
        bias_interval=(bias - of_bias, bias + of_bias),
        low_interval=(low - outward, low + inward),
        high_interval=(high - inward, high + outward),
    )
