"""Respiratory effort-related arousals, from breaths and arousals that psgscoring found.

Its own are not taken: psgscoring 0.37.0 calls a breath flattened when its flow is above 80 % of its peak for over 30 % of the
inspiration. That of half a sine wave is so for 41 %: each arousal after some normal breaths made a RERA, and it might come 15 s
after them. Here a breath is flattened against others of the night, and an arousal ends the flattened breaths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

FLATTER = 1.2
"""Than the lower quartile of the night's breaths, which is of free ones in most who snore: our choice."""
_LASTS_S = (10.0, 60.0)
_LEAST_BREATHS = 3
_LEAST_TO_COMPARE = 20
_ENDS_WITHIN_S = 5.0
"""Before the arousal or, with the breath that it cut, after its start: about a breath. Nor are two breaths further apart."""


def reras(
    breaths_n3: np.ndarray, arousals_s: Iterable[float], others: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Find flattened breaths of at least 10 s that an arousal ends, apart from any apnea or hypopnea (AASM manual, v3).

    Parameters
    ----------
    breaths_n3
        (n, 3) in order of time: start and length in s, and the share of the inspiration in which the flow is near its peak, NaN
        where it is not known.
    arousals_s
        When arousals begin.
    others
        (start_s, stop_s) of apneas and hypopneas.

    Returns
    -------
    list of tuple
        (start_s, stop_s): from the first flattened breath, at most the last 60 s, to the arousal.
    """
    start_n, flat_n = breaths_n3[:, 0], breaths_n3[:, 2]
    stop_n = start_n + breaths_n3[:, 1]
    apart_n = np.isfinite(flat_n)
    for other_s, until_s in others:
        apart_n &= (stop_n <= other_s) | (start_n >= until_s)
    if apart_n.sum() < _LEAST_TO_COMPARE:
        return []
    flattened_n = apart_n & (flat_n >= FLATTER * np.quantile(flat_n[apart_n], 0.25))
    found: list[tuple[float, float]] = []
    for arousal_s in sorted(arousals_s):
        last = int(np.searchsorted(start_n, arousal_s)) - 1
        if last >= 0 and stop_n[last] > arousal_s and not flattened_n[last]:
            last -= 1  # the breath that the arousal cut is seldom flat
        first, next_s = last, start_n[last]
        while first >= 0 and flattened_n[first] and arousal_s - start_n[first] <= _LASTS_S[1]:
            if next_s - stop_n[first] > _ENDS_WITHIN_S:
                break  # breaths before a stretch without any are no sequence with those behind it
            next_s = start_n[first]
            first -= 1
        first += 1
        if last - first + 1 < _LEAST_BREATHS or arousal_s - stop_n[last] > _ENDS_WITHIN_S:
            continue
        begins_s = float(start_n[first])
        if arousal_s - begins_s < _LASTS_S[0] or (found and begins_s < found[-1][1]):
            continue
        if not any(begins_s < until_s and other_s < arousal_s for other_s, until_s in others):
            found.append((begins_s, float(arousal_s)))
    return found
