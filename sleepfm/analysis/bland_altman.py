"""Limits of agreement (Bland & Altman 1986, 1999) of a number that two scorings give for the same nights.

Nights of one person are not independent: the variance between people and the one within them are told apart (Bland & Altman
2007, true value varying), and the intervals of bias and limits follow Zou (Stat Methods Med Res 2013, 22:630), which for one night
a person reduces to the usual case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
        bias -/+ 1.96 sd: where 95 % of differences are expected.
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
