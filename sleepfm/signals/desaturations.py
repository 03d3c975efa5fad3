"""Falls of oxygen saturation, found in its values once a second, whatever the stage of sleep.

psgscoring 0.37.0 has a finder too. It is not used: it compares a value with the highest one of the minute that *follows*, so that
a fall that lasts is missed and a rise is reported as a fall before it, and it returns no more than 200.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_FALL = 3.0
"""In %: what the AASM manual (v3, VIII.4) takes for a desaturation with a hypopnea."""
LONGEST_FALL_S = 120
"""From the last value at the level before to the lowest: slower changes are drifts of the level."""
RECOVERED = 2 / 3
"""A desaturation ends when so much of its depth is won back ..."""
LONGEST_LOW_S = 90
"""... or at its lowest value, when saturation stays lower for so long: then this is the new level."""
LONGEST_HOLE_S = 5
"""Values missing for so long are taken to be as the last one; after more of them it is begun anew."""
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Fall:
    """A desaturation, in s from the recording's start and in % of saturation.

    Attributes
    ----------
    start_s
        The last second at the level before.
    stop_s
        When two thirds of the depth are won back, or the lowest value when that does not happen.
    depth, nadir
        How far it falls, and the lowest value.
    """

    start_s: int
    stop_s: int
    depth: float
    nadir: float


def desaturations(spo2_1hz: np.ndarray) -> tuple[Fall, ...]:
    """Find falls of at least 3 %.

    Parameters
    ----------
    spo2_1hz
        (seconds,) in %, NaN where there is none.

    Returns
    -------
    tuple of Fall
        In order of time, none within another.

    Examples
    --------
    >>> desaturations(np.array([96.0] * 30 + [94.0, 92.0, 92.0, 93.0, 95.0] + [96.0] * 30))
    (Fall(start_s=29, stop_s=34, depth=4.0, nadir=92.0),)
    """
    found: list[Fall] = []
    for first, values in _without_holes(spo2_1hz):
        found += [Fall(first + a, first + b, round(peak - low, 2), round(low, 2)) for a, b, peak, low in _falls(values)]
    return tuple(found)


def _without_holes(spo2: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return the stretches of values with at most short holes, held over, as (first second, values)."""
    known = np.flatnonzero(np.isfinite(spo2))
    if not len(known):
        return []
    ends = np.flatnonzero(np.diff(known) > LONGEST_HOLE_S + 1)
    stretches = []
    for a, b in zip(np.append(0, ends + 1), np.append(ends, len(known) - 1), strict=True):
        values = spo2[known[a] : known[b] + 1].astype(np.float64)
        last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(len(values)), 0))
        stretches.append((int(known[a]), values[last]))
    return stretches


def _falls(values: np.ndarray) -> list[tuple[int, int, float, float]]:
    """Return (start, stop, level before, lowest) of the falls in values without holes."""
    found = []
    x = values.tolist()
    peak_at, low_at, falling = 0, 0, False
    for k, value in enumerate(x):
        if not falling:
            if k - peak_at > LONGEST_FALL_S:  # the level before is the highest of the last two minutes, not of the whole night
                since = k - LONGEST_FALL_S
                recent = x[since : k + 1]
                peak_at = since + len(recent) - 1 - recent[::-1].index(max(recent))
            if value >= x[peak_at]:
                peak_at = k
            elif x[peak_at] - value >= LEAST_FALL - _ROUNDING:
                falling, low_at = True, k
        elif value < x[low_at]:
            low_at = k
        elif value - x[low_at] >= RECOVERED * (x[peak_at] - x[low_at]):
            found.append((peak_at, k, x[peak_at], x[low_at]))
            falling, peak_at = False, k
        elif k - low_at > LONGEST_LOW_S:
            found.append((peak_at, low_at, x[peak_at], x[low_at]))
            since = x[low_at : k + 1]
            falling, peak_at = False, low_at + len(since) - 1 - since[::-1].index(max(since))
    if falling:
        found.append((peak_at, low_at, x[peak_at], x[low_at]))
    return found
