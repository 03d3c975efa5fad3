"""Whether somebody tries to breathe while no air flows: the effort belts during an apnea, and the apnea's type from them.

The AASM manual (v3, respiratory rules for adults) types an apnea by inspiratory effort: continued or growing through the whole of
it is obstructive, absent through the whole of it central, absent at first and then resumed mixed. It does not say how small a
movement is none, nor how long either part of a mixed one lasts. Here effort is a movement out and back of a belt, at the pace of
breaths, against that belt's own breathing around the apnea: below `ABSENT` it is none, from `PRESENT` on it is surely one, and
what lies between leaves the type undecided. How the belts move against each other during it is not asked: at rest that is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sleepfm.vocabulary import EPOCH_S, EventName

ABSENT = 0.15
"""Of the usual movement from trough to peak: central apnea is taken to be less (Annals of Biomedical Engineering 2011,
doi:10.1007/s10439-010-0189-x)."""
PRESENT = 0.30
"""Of the same, twice what is none: our choice."""
_MISSED = 1.2
"""So many usual breaths without movement are a pause: our choice, between half a breath (from in to out) and the one and a half
that are there when one is left out."""
_EDGE = 0.4
"""Of a usual breath: movement so near to an end of the apnea may be the breath before or after it."""
_USUAL_WITHIN_S = 120.0
_LEAST_BREATHS = 6
_BREATH_S = (1.6, 10.0)
_TOGETHER = 0.5
"""Correlation of the speeds of two belts in usual breathing, of either sign."""
_WEAK = 0.25
"""A belt whose breathing around the apnea is smaller than this part of its usual one of the night has slipped."""
_RATE_HZ = 10.0
_SMOOTH_S = 1.6
"""Width of a Hann window: 0.25 Hz passes by 85 %, the heart's 1 Hz by 6 %."""
_LEFT = 0.1
"""A move begins when this part of it is done."""
_OWN_SWING = 0.25
"""Of the signal's spread between its 10th and 90th percentile: smaller moves are not counted as breaths of the usual kind."""


@dataclass(frozen=True, eq=False)
class Belt:
    """An effort belt of a night, smoothed so that breaths are left and heart beats are not.

    Attributes
    ----------
    x
        (samples,) at 10 Hz, NaN where the belt cannot be used. Size, zero and polarity are of no account.
    usual
        Its movement from trough to peak in the middle of the night's breaths; 0 where it has none.
    """

    x: np.ndarray
    usual: float


def prepare_belt(x: np.ndarray, rate_hz: float, unusable: np.ndarray) -> Belt:
    """Prepare an effort belt.

    Parameters
    ----------
    x
        (samples,) in any unit, at a multiple of 10 Hz.
    unusable
        (epochs,) bool.
    """
    step = round(rate_hz / _RATE_HZ)
    coarse = x[: len(x) // step * step].reshape(-1, step).mean(axis=1, dtype=np.float64)
    kernel = np.hanning(round(_SMOOTH_S * _RATE_HZ) + 3)[1:-1]
    half = len(kernel) // 2
    smooth = np.convolve(np.pad(coarse, half, mode="edge"), kernel / kernel.sum(), mode="valid")[: len(coarse)]
    for epoch in np.flatnonzero(unusable):
        smooth[int(epoch * EPOCH_S * _RATE_HZ) : int((epoch + 1) * EPOCH_S * _RATE_HZ)] = np.nan
    known = smooth[np.isfinite(smooth)]
    moves = _breaths(known) if len(known) else np.empty((0, 3))
    return Belt(smooth, float(np.median(moves[:, 2])) if len(moves) else 0.0)


def apnea_type(
    start_s: float, stop_s: float, belts: Sequence[Belt], others: Sequence[tuple[float, float]] = ()
) -> EventName | None:
    """Return the type of an apnea by the effort in it; None where the belts do not decide it.

    Absent effort is only seen by both belts together, thorax and abdomen; one of them is enough to see that there is some.

    Parameters
    ----------
    start_s, stop_s
        Of the apnea.
    belts
        Those that were worn.
    others
        (start_s, stop_s) of all apneas and hypopneas: the usual breathing is looked for outside them.

    Examples
    --------
    >>> t = np.arange(0, 300, 0.1)
    >>> worn = prepare_belt(np.where((t > 150) & (t < 170), 0, np.sin(1.6 * t)), 10, np.zeros(10, bool))
    >>> apnea_type(150, 170, [worn, worn])
    <EventName.CENTRAL_APNEA: 'Central apnea'>
    """
    seen = [found for one in belts if (found := _seen_by(one, start_s, stop_s, others)) is not None]
    both = len(seen) > 1
    if not seen or (both and not _move_together(seen)):
        return None
    breath_s = float(np.median([one.breath_s for one in seen]))
    efforts = np.concatenate([one.efforts for one in seen])
    efforts = efforts[np.argsort(efforts[:, 0])]
    edge_s = _EDGE * breath_s
    efforts = efforts[(efforts[:, 0] > start_s + edge_s) & (efforts[:, 0] < stop_s - edge_s)]
    if not len(efforts):
        return EventName.CENTRAL_APNEA if both else None
    first, *later = np.diff([start_s, *efforts[:, 0], stop_s]) >= _MISSED * breath_s
    if efforts[:, 1].max() < PRESENT or any(later):
        return None
    if not first:
        return EventName.OBSTRUCTIVE_APNEA
    return EventName.MIXED_APNEA if both else None


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a belt shows of an apnea.

    `breath_s` is the length of a usual breath; `efforts` (n, 2) the time (s) and the size (in usual ones) of movements; `around`
    the belt from before to after, NaN where its breathing is not the usual one.
    """

    breath_s: float
    efforts: np.ndarray
    around: np.ndarray


def _seen_by(belt: Belt, start_s: float, stop_s: float, others: Sequence[tuple[float, float]]) -> _Seen | None:
    """Return what a belt shows; None where it cannot be used in the apnea, or shows no breathing around it."""
    within = belt.x[round(start_s * _RATE_HZ) : round(stop_s * _RATE_HZ)]
    if len(within) < 2 or not np.isfinite(within).all():
        return None
    first = max(0, round((start_s - _USUAL_WITHIN_S) * _RATE_HZ))
    around = belt.x[first : round((stop_s + _USUAL_WITHIN_S) * _RATE_HZ)].copy()
    for other_s, until_s in (*others, (start_s, stop_s)):
        around[max(0, round(other_s * _RATE_HZ) - first) : max(0, round(until_s * _RATE_HZ) - first)] = np.nan
    pieces = [_breaths(piece) for piece in _pieces(around)]
    sizes = np.concatenate([*(breaths[:, 2] for breaths in pieces), []])
    apart_s = np.concatenate([*(breaths[2:, 0] - breaths[:-2, 0] for breaths in pieces), []])
    apart_s = apart_s[apart_s <= _BREATH_S[1]]
    if min(len(sizes) / 2, len(apart_s)) < _LEAST_BREATHS:
        return None
    usual = float(np.median(sizes))
    if usual < _WEAK * belt.usual:
        return None
    moves = _swings(within, ABSENT * usual)
    moves = moves[(moves[:, 1] >= _BREATH_S[0] / 4) & (moves[:, 1] <= _BREATH_S[1] / 2)]
    return _Seen(float(np.median(apart_s)), np.column_stack([start_s + moves[:, 0], moves[:, 2] / usual]), around)


def _move_together(seen: Sequence[_Seen]) -> bool:
    """Return whether two belts show one breathing, whatever their polarity: a belt that came off shows noise of its own."""
    moves = np.diff([one.around for one in seen], axis=1)
    moves = moves[:, np.isfinite(moves).all(axis=0)]
    return moves.shape[1] > 1 and abs(float(np.corrcoef(moves)[0, 1])) >= _TOGETHER


def _pieces(x: np.ndarray) -> list[np.ndarray]:
    """Return the runs of x without NaN."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.isfinite(x), [False]]).astype(np.int8)))
    return [x[a:b] for a, b in edges.reshape(-1, 2)]


def _breaths(x: np.ndarray) -> np.ndarray:
    """Return the moves of breaths in or out: see `_swings`."""
    if len(x) < 2 * _RATE_HZ:
        return np.empty((0, 3))
    low, high = np.percentile(x, (10, 90))
    found = _swings(x, max(_OWN_SWING * float(high - low), 1e-9))
    return found[(found[:, 1] >= _BREATH_S[0] / 2) & (found[:, 1] <= _BREATH_S[1] / 2)]


def _swings(x: np.ndarray, least: float) -> np.ndarray:
    """Return the moves between turning points of at least this size, (n, 3): middle and length in s, size.

    The first and the last move are none: where they begin or end lies outside.
    """
    turns: list[tuple[int, float]] = []
    values = x.tolist()
    low_at = high_at = 0
    rising: bool | None = None
    for k, value in enumerate(values):
        if value > values[high_at]:
            high_at = k
        if value < values[low_at]:
            low_at = k
        if rising is not False and values[high_at] - value >= least:
            turns.append((high_at, values[high_at]))
            rising, low_at = False, k
        elif rising is not True and value - values[low_at] >= least:
            turns.append((low_at, values[low_at]))
            rising, high_at = True, k
    moves = []
    for (a, from_), (b, to) in pairwise(turns):
        done = (x[a : b + 1] - from_) / (to - from_)
        half = int(np.flatnonzero(done >= 0.5)[0])
        left = int(np.flatnonzero(done[:half] < _LEFT)[-1])  # a turning point lies anywhere in a rest before the move
        moves.append(((a + half) / _RATE_HZ, (b - a - left) / _RATE_HZ, abs(to - from_)))
    return np.array(moves).reshape(-1, 3)
