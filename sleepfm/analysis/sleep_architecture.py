"""Sleep time, latencies and stage minutes of one hypnogram or of many at once.

Every function takes (draw, epoch) stages, so that the interval of a number rests on the very same code as the number itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sleepfm.analysis.night_span import NightSpan
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, Stage

PERSISTENT_EPOCHS = 20
"""Epochs of unbroken sleep that make sleep persistent: 10 min, as in trials of hypnotics."""
STAGE_KEYS: Mapping[Stage, str] = {Stage.WAKE: "wake", Stage.N1: "n1", Stage.N2: "n2", Stage.N3: "n3", Stage.REM: "rem"}


def asleep(stages_bn: np.ndarray) -> np.ndarray:
    """Return (draw, epoch) whether an epoch is scored as sleep; Unknown is not."""
    asleep_bn: np.ndarray = stages_bn > Stage.WAKE
    return asleep_bn


def sums_over(chosen_bn: np.ndarray, values_n: np.ndarray) -> np.ndarray:
    """Return (draw,) sums of (epoch,) values, or (draw, column) ones of (epoch, column), over the chosen epochs."""
    sums: np.ndarray = chosen_bn.astype(np.float64) @ values_n
    return sums


def architecture(stages_bn: np.ndarray, span: NightSpan) -> dict[str, np.ndarray]:
    """Return the (draw,) numbers of the sleep itself by key, NaN where one is undefined; times in minutes, shares in %.

    Parameters
    ----------
    stages_bn
        (draw, epoch) numbers of `Stage`; Unknown is the same in all draws.
    span
        From lights off to lights on.
    """
    inside_n = span.inside_n
    sleep_bn = asleep(stages_bn) & inside_n
    known_n = inside_n & (stages_bn[0] != Stage.UNKNOWN)
    starts_s_n, ends_s_n = span.starts_s, span.starts_s + span.seconds_n
    draws, epochs = stages_bn.shape

    found: dict[str, np.ndarray] = {}
    for stage in SCORED_STAGES:
        found[STAGE_KEYS[stage]] = sums_over(stages_bn == stage, span.seconds_n) / 60.0
    tst_b = found["n1"] + found["n2"] + found["n3"] + found["rem"]
    any_b = sleep_bn.any(axis=1)
    first_b = sleep_bn.argmax(axis=1)
    last_b = epochs - 1 - sleep_bn[:, ::-1].argmax(axis=1)

    def where_slept(values_b: np.ndarray) -> np.ndarray:
        defined_b: np.ndarray = np.where(any_b, values_b, np.nan)
        return defined_b

    def latency_from(origin_s: np.ndarray | float, reached_bn: np.ndarray) -> np.ndarray:
        start_b = starts_s_n[reached_bn.argmax(axis=1)]
        latency_b: np.ndarray = np.where(reached_bn.any(axis=1), (start_b - origin_s) / 60.0, np.nan)
        return latency_b

    onset_b = starts_s_n[first_b]
    known_to_n = np.concatenate([[0.0], np.cumsum(np.where(known_n, span.seconds_n, 0.0))]) / 60.0
    # all sleep lies between the first and the last epoch of sleep: what else is known there is Wake
    awake_in_period_b = known_to_n[last_b + 1] - known_to_n[first_b] - tst_b
    awake_after_onset_b = known_to_n[-1] - known_to_n[first_b] - tst_b

    found["tib"] = np.full(draws, span.minutes)
    found["tst"] = tst_b
    found["spt"] = where_slept((ends_s_n[last_b] - onset_b) / 60.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found["se"] = 100.0 * tst_b / known_to_n[-1]
        for key in ("n1", "n2", "n3", "rem"):
            found[f"{key}_share"] = np.where(tst_b > 0, 100.0 * found[key] / tst_b, np.nan)
    found["sol"] = where_slept((onset_b - span.off_s) / 60.0)
    found["waso"] = where_slept(np.maximum(awake_after_onset_b, 0.0))
    found["waso_period"] = where_slept(np.maximum(awake_in_period_b, 0.0))
    found["rem_latency"] = latency_from(onset_b, (stages_bn == Stage.REM) & inside_n)
    found["persistent_latency"] = latency_from(span.off_s, _begins_persistent(sleep_bn, PERSISTENT_EPOCHS))
    found["awakenings"] = where_slept(_awakenings(sleep_bn[:, known_n]))
    return found


def _begins_persistent(sleep_bn: np.ndarray, epochs: int) -> np.ndarray:
    """Return (draw, epoch) whether an epoch is the first of so many epochs of unbroken sleep."""
    draws, n = sleep_bn.shape
    begins_bn = np.zeros((draws, n), dtype=bool)
    if n >= epochs:
        total_bn = np.zeros((draws, n + 1), dtype=np.int32)
        np.cumsum(sleep_bn, axis=1, out=total_bn[:, 1:])
        begins_bn[:, : n - epochs + 1] = total_bn[:, epochs:] - total_bn[:, : n - epochs + 1] == epochs
    return begins_bn


def _awakenings(sleep_bk: np.ndarray) -> np.ndarray:
    """Return (draw,) how often known sleep gives way to Wake and comes back."""
    if sleep_bk.shape[1] < 2:
        return np.zeros(len(sleep_bk))
    ends_b = (sleep_bk[:, :-1] & ~sleep_bk[:, 1:]).sum(axis=1)
    final_b = ~sleep_bk[:, -1] & sleep_bk.any(axis=1)  # the last one is the awakening to the day
    awakenings_b: np.ndarray = (ends_b - final_b).astype(np.float64)
    return awakenings_b


def epoch_range(start_s: np.ndarray, stop_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 0-based first and last epoch that each stretch [start, stop) touches; a point touches the epoch it lies in."""
    first = np.floor(start_s / EPOCH_S).astype(np.int64)
    last = np.ceil(stop_s / EPOCH_S).astype(np.int64) - 1
    return first, np.maximum(first, last)
