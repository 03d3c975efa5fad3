"""Periodic leg movements of sleep by the rules of the AASM manual (v3, chapter VII)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleepfm.analysis.event_indices import RESPIRATORY
from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.sleep_architecture import asleep
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, EventName

SHORTEST_S, LONGEST_S = 0.5, 10.0
NEAREST_S, FARTHEST_S = 5.0, 90.0
"""From onset to onset of two movements of a series."""
SERIES = 4
"""Movements that make a series."""
RESPIRATORY_REACH_S = 0.5
_ROUNDING_S = 1e-6
_LEGS = frozenset({EventName.LEG_MOVEMENT.value, EventName.PLM.value})
"""A movement that somebody marked as periodic is a leg movement; both marks of one movement are one."""
_BREATHING = frozenset(name.value for name in RESPIRATORY)


def candidate_onsets(events: Sequence[Event], span: NightSpan) -> np.ndarray:
    """Return the onsets in seconds of the leg movements that may be periodic, in any stage, each at least 5 s after the last.

    They last 0.5 to 10 s and do not lie within 0.5 s of an apnea, hypopnea or RERA. Movements that begin less than 5 s after
    another (the other leg's, most often) are one with it.
    """
    legs = sorted((event.start_s, event.stop_s) for event in events if event.name in _LEGS)
    times = np.array(legs, dtype=np.float64).reshape(-1, 2)
    length_s = times[:, 1] - times[:, 0]
    fits = (length_s >= SHORTEST_S - _ROUNDING_S) & (length_s <= LONGEST_S + _ROUNDING_S)
    fits &= (times[:, 0] >= span.off_s) & (times[:, 0] < span.on_s)
    breaths = np.array([(event.start_s, event.stop_s) for event in events if event.name in _BREATHING]).reshape(-1, 2)
    fits &= ~_overlaps(times, breaths + np.array([-RESPIRATORY_REACH_S, RESPIRATORY_REACH_S]))
    kept: list[float] = []
    for onset_s in times[fits, 0].tolist():
        if not kept or onset_s - kept[-1] >= NEAREST_S - _ROUNDING_S:
            kept.append(onset_s)
    return np.array(kept, dtype=np.float64)


def _overlaps(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return (time,) whether each stretch touches any of the others."""
    # a stretch touches none exactly when as many others have ended before its start as have begun before its end
    ended = np.searchsorted(np.sort(others[:, 1]), times[:, 0], side="left")
    begun = np.searchsorted(np.sort(others[:, 0]), times[:, 1], side="right")
    touched: np.ndarray = begun > ended
    return touched


def periodic_in_sleep(stages_bn: np.ndarray, onsets_s: np.ndarray) -> np.ndarray:
    """Return (draw,) how many of the movements that begin in sleep are periodic.

    Wake within a series does not end it unless the movements in sleep on both sides are more than 90 s apart.
    """
    draws = len(stages_bn)
    if not len(onsets_s):
        return np.zeros(draws)
    asleep_bm = asleep(stages_bn[:, np.minimum((onsets_s // EPOCH_S).astype(np.int64), stages_bn.shape[1] - 1)])
    draw_k, movement_k = np.nonzero(asleep_bm)
    if len(draw_k) < SERIES:
        return np.zeros(draws)
    # all draws behind each other: the step to the next draw is no interval of a series
    gap_s = np.diff(onsets_s[movement_k])
    follows = (np.diff(draw_k) == 0) & (gap_s <= FARTHEST_S + _ROUNDING_S)
    series_k = np.concatenate([[0], np.cumsum(~follows)])
    size_k = np.bincount(series_k)[series_k]
    periodic: np.ndarray = np.bincount(draw_k[size_k >= SERIES], minlength=draws).astype(np.float64)
    return periodic
