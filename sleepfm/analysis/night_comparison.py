"""Two nights side by side: what their stages add up to, and how far apart their embeddings are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.estimates import Estimate, undefined
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_SHORT, Stage

RESAMPLES = 400
_MINUTES = EPOCH_S / 60.0


@dataclass(frozen=True)
class NightMeasure:
    """One number of a night.

    Attributes
    ----------
    name, unit
        For people.
    definition
        What was counted.
    value
        None where the night does not define it.
    """

    name: str
    unit: str
    definition: str
    value: float | None


def night_measures(stages_e: np.ndarray) -> tuple[NightMeasure, ...]:
    """Return what the stages of a night add up to; times in minutes.

    Parameters
    ----------
    stages_e
        (epoch,) numbers of `Stage`, -1 where nobody scored. Lights off and on are not known here: everything counts from the
        first to the last scored epoch.
    """
    stages_e = np.asarray(stages_e)
    scored_n = np.flatnonzero(stages_e != Stage.UNKNOWN)
    asleep_n = np.flatnonzero(stages_e > Stage.WAKE)
    sleep = asleep_n.size * _MINUTES
    onset = None if not asleep_n.size else int(asleep_n[0])
    rem_n = np.flatnonzero(stages_e == Stage.REM)
    awake_after = None if onset is None else int((stages_e[onset : asleep_n[-1] + 1] == Stage.WAKE).sum()) * _MINUTES
    followed_n = scored_n[1:][np.diff(scored_n) == 1]
    changes = int((stages_e[followed_n] != stages_e[followed_n - 1]).sum())
    per_hour = None if not sleep else changes / (sleep / 60.0)
    share = None if not scored_n.size else 100.0 * asleep_n.size / scored_n.size
    rem_latency = None if onset is None or not rem_n.size else float(rem_n[0] - onset) * _MINUTES
    measures = [
        NightMeasure("Scored time", "min", "epochs with a stage", scored_n.size * _MINUTES),
        NightMeasure("Sleep time", "min", "epochs of N1, N2, N3 and REM", sleep),
        NightMeasure("Asleep", "% of scored time", "sleep time over scored time", share),
        NightMeasure("Sleep latency", "min", "first scored epoch to first sleep", _after(onset, scored_n)),
        NightMeasure("Awake after sleep onset", "min", "Wake between the first and the last epoch of sleep", awake_after),
        NightMeasure("REM latency", "min", "first sleep to first REM", rem_latency),
        NightMeasure("Stage changes", "per hour of sleep", "neighbouring scored epochs of different stage", per_hour),
    ]
    for stage in SCORED_STAGES:
        minutes = int((stages_e == stage).sum()) * _MINUTES
        measures.append(NightMeasure(STAGE_SHORT[stage], "min", f"epochs of {STAGE_SHORT[stage]}", minutes))
    return tuple(measures)


def _after(onset: int | None, scored_n: np.ndarray) -> float | None:
    return None if onset is None else float(onset - scored_n[0]) * _MINUTES


def unit_rows(rows_ne: np.ndarray) -> np.ndarray:
    """Return the usable rows of (window, E) embeddings as unit vectors in float64: finite and not zero."""
    rows_ne = np.asarray(rows_ne, dtype=np.float64)
    length_n = np.linalg.norm(rows_ne, axis=1)
    usable_n = np.isfinite(length_n) & (length_n > 0)
    unit_ne: np.ndarray = rows_ne[usable_n] / length_n[usable_n, None]
    return unit_ne


def night_distance(first_ne: np.ndarray, second_ne: np.ndarray) -> float:
    """Return how far apart two nights are: 1 minus the cosine of the means of their unit vectors (0 the same, 2 opposite).

    NaN when a night has no usable window, or its vectors cancel out.
    """
    means = [unit.mean(axis=0) if len(unit) else np.zeros(1) for unit in (unit_rows(first_ne), unit_rows(second_ne))]
    if not all(np.linalg.norm(mean) > 0 for mean in means):
        return float("nan")
    return float(_distance(means[0][None], means[1][None])[0])


def distance_with_interval(first_ne: np.ndarray, second_ne: np.ndarray, *, seed: int = 0) -> Estimate:
    """Return the distance of two nights with its 95 % interval; `n` counts the windows of both.

    The interval says how much the distance depends on which parts of the nights were recorded: 1.96 standard errors by bootstrap
    over the 5-min windows of each night. Resampling only ever moves the means apart, so percentiles would lie too high.
    """
    first, second = unit_rows(first_ne), unit_rows(second_ne)
    point = night_distance(first_ne, second_ne)
    n = len(first) + len(second)
    if not np.isfinite(point):
        return undefined("a night has no usable window", n=n, subjects=1)
    if min(len(first), len(second)) < 2:
        return Estimate(point, None, None, n, 1, reason="one window: no interval over windows")
    rng = np.random.default_rng(seed)
    means = [
        rng.multinomial(len(unit), np.full(len(unit), 1 / len(unit)), size=RESAMPLES) @ unit / len(unit)
        for unit in (first, second)
    ]
    reach = 1.96 * float(_distance(*means).std(ddof=1))
    return Estimate(point, max(0.0, point - reach), min(2.0, point + reach), n, 1, RESAMPLES)


def _distance(first_be: np.ndarray, second_be: np.ndarray) -> np.ndarray:
    product_b = (first_be * second_be).sum(axis=1)
    lengths_b = np.linalg.norm(first_be, axis=1) * np.linalg.norm(second_be, axis=1)
    distance_b: np.ndarray = 1.0 - np.clip(product_b / lengths_b, -1.0, 1.0)
    return distance_b
