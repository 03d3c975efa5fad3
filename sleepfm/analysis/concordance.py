"""Harrell's C: how often, of two people, the one with the higher log hazard has the event first."""

from __future__ import annotations

import numpy as np

_CELLS_AT_ONCE = 4_000_000


class Concordance:
    """Harrell's C-index (JAMA 1982, 247:2543-2546) of one score, for any weights of the people.

    A pair counts when the one with the earlier time had the event, or when both times are equal and one of them was censored
    then. Equal scores count half.

    Parameters
    ----------
    years_n
        (person,) years to the event or to the end of the follow-up.
    event_n
        (person,) bool.
    score_n
        (person,) higher means earlier.
    """

    def __init__(self, years_n: np.ndarray, event_n: np.ndarray, score_n: np.ndarray) -> None:
        # By time, and at the same time events before the censored: whoever outlives an event stands behind it.
        order_n = np.lexsort((~np.asarray(event_n, dtype=bool), years_n))
        self._order_n = order_n
        self._score_n = np.asarray(score_n)[order_n]
        event_n = np.asarray(event_n, dtype=bool)[order_n]
        years_n = np.asarray(years_n)[order_n]
        self._event_e = np.flatnonzero(event_n)
        last_with = np.searchsorted(years_n, years_n[event_n], side="right")
        events_before = np.concatenate([[0], np.cumsum(event_n)])
        first_with = np.searchsorted(years_n, years_n[event_n], side="left")
        self._outlived_from_e = first_with + events_before[last_with] - events_before[first_with]

    def __call__(self, weights_bn: np.ndarray) -> np.ndarray:
        """Return (resample,) C for (resample, person) weights; NaN where no pair can be compared."""
        weights_bn = weights_bn[:, self._order_n].astype(np.float32)  # small whole numbers: their sums of products stay exact
        behind_bn = np.cumsum(weights_bn[:, ::-1], axis=1, dtype=np.float64)[:, ::-1]
        behind_bn = np.concatenate([behind_bn, np.zeros((len(behind_bn), 1))], axis=1)
        compared_b = (weights_bn[:, self._event_e] * behind_bn[:, self._outlived_from_e]).sum(axis=1)
        right_b = np.zeros(len(weights_bn))
        people = np.arange(self._score_n.size)
        step = max(1, _CELLS_AT_ONCE // max(1, people.size))
        for first in range(0, self._event_e.size, step):
            event_e = self._event_e[first : first + step]
            mine_e1 = self._score_n[event_e, None]
            credit_en = (mine_e1 > self._score_n).astype(np.float32)
            credit_en += np.float32(0.5) * (mine_e1 == self._score_n)
            credit_en *= people >= self._outlived_from_e[first : first + step, None]
            right_b += (weights_bn[:, event_e] * (weights_bn @ credit_en.T)).sum(axis=1, dtype=np.float64)
        return np.divide(right_b, compared_b, out=np.full(len(right_b), np.nan), where=compared_b > 0)
