"""Curves behind the numbers, thinned to what a figure can show: ROC, precision over recall, reliability, event-free share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.survival import kaplan_meier

POINTS = 200
RELIABILITY_BINS = 10


@dataclass(frozen=True)
class Curve:
    """Points of a curve; `low` and `high` are a pointwise band where there is one, `n` what each point rests on."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    n: np.ndarray | None = None


def roc(truth_n: np.ndarray, score_n: np.ndarray) -> Curve | None:
    """Return sensitivity over 1 - specificity from (0, 0) to (1, 1); None when one class is missing."""
    counts = _found_from_above(truth_n, score_n)
    if counts is None:
        return None
    hits_l, alarms_l = counts
    x, y = np.concatenate([[0], alarms_l / alarms_l[-1]]), np.concatenate([[0], hits_l / hits_l[-1]])
    kept = _thinned(x + y)
    return Curve(x[kept], y[kept])


def precision_recall(truth_n: np.ndarray, score_n: np.ndarray) -> Curve | None:
    """Return precision over recall, from the highest scores on; None when one class is missing."""
    counts = _found_from_above(truth_n, score_n)
    if counts is None:
        return None
    hits_l, alarms_l = counts
    recall, precision = hits_l / hits_l[-1], hits_l / (hits_l + alarms_l)
    kept = _thinned(recall)
    return Curve(recall[kept], precision[kept])


def _found_from_above(truth_n: np.ndarray, score_n: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    truth_n = np.asarray(truth_n, dtype=bool)
    if truth_n.all() or not truth_n.any():
        return None
    levels, level_n = np.unique(-np.asarray(score_n, dtype=np.float64), return_inverse=True)
    hits_l = np.cumsum(np.bincount(level_n[truth_n], minlength=levels.size))
    alarms_l = np.cumsum(np.bincount(level_n[~truth_n], minlength=levels.size))
    return hits_l, alarms_l


def _thinned(way: np.ndarray) -> np.ndarray:
    """Return the indices of at most `POINTS` points, evenly along a quantity that only grows; the ends are kept."""
    steps = np.searchsorted(way, np.linspace(way[0], way[-1], POINTS - 1))
    return np.unique(np.concatenate([[0], np.minimum(steps, way.size - 1), [way.size - 1]]))


def reliability(truth_n: np.ndarray, probability_n: np.ndarray, bins: int = RELIABILITY_BINS) -> Curve:
    """Return the observed share of positives over the mean predicted probability, in bins of equally many rows."""
    truth_n, probability_n = np.asarray(truth_n, dtype=np.float64), np.asarray(probability_n, dtype=np.float64)
    parts = [part for part in np.array_split(np.argsort(probability_n, kind="stable"), bins) if part.size]
    return Curve(
        x=np.array([probability_n[part].mean() for part in parts]),
        y=np.array([truth_n[part].mean() for part in parts]),
        n=np.array([part.size for part in parts]),
    )


def event_free_curves(years_n: np.ndarray, event_n: np.ndarray, score_n: np.ndarray, groups: int = 3) -> dict[str, Curve]:
    """Return Kaplan-Meier curves with 95 % bands of people in equal groups by score, from the lowest to the highest.

    Labels say which part of the people and how many; people of equal score stay together, so there may be fewer groups.
    """
    limits = np.quantile(score_n, np.arange(1, groups) / groups)
    group_n = np.searchsorted(limits, score_n, side="left")
    part = {2: "half", 3: "third", 4: "quarter", 5: "fifth"}.get(groups, f"of {groups} groups")
    curves = {}
    for group in range(groups):
        inside_n = group_n == group
        if not inside_n.any():
            continue
        place = "lowest" if group == 0 else "highest" if group == groups - 1 else "middle" if groups == 3 else f"{group + 1}th"
        curves[f"{place} {part} (n = {int(inside_n.sum())})"] = _event_free(years_n[inside_n], event_n[inside_n])
    return curves


def _event_free(years_n: np.ndarray, event_n: np.ndarray) -> Curve:
    km = kaplan_meier(years_n, event_n)
    # The band has no variance before the first event, where it is the curve, and none once nobody is left, where it goes to 0.
    low_t = np.where(km.event_free_t > 0, np.nan_to_num(km.low_t, nan=1.0), 0.0)
    high_t = np.fmin.accumulate(np.concatenate([[1.0], km.high_t]))
    kept = _thinned(km.years_t)
    return Curve(
        np.concatenate([[0], km.years_t[kept]]),
        np.concatenate([[1], km.event_free_t[kept]]),
        np.concatenate([[1], low_t[kept]]),
        np.concatenate([[1], high_t[1:][kept]]),
        np.concatenate([[len(years_n)], km.at_risk_t[kept]]),
    )
