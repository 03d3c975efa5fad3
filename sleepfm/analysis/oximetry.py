"""Oxygen, heart rate and position in sleep, from one value a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from sleepfm.analysis.night_span import NightSpan
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import NO_POSITION, Vitals
from sleepfm.vocabulary import EPOCH_S, EventName

LOW_SPO2 = 90.0
"""Saturation in % under which time is counted (T90)."""
RECOVERY = 2.0
"""A fall of the saturation ends when it has risen by so many % again."""
PEAK_WITHIN_S = 120
"""The level that a fall is measured from is the highest in so many seconds before its lowest point."""
SHALLOWEST = 3.0
"""In %: what falls less is no desaturation (AASM)."""
LONGEST_GAP_S = 10
"""A fall does not go over a gap that is longer than this."""
_ROUNDING = 1e-6


@dataclass(frozen=True)
class EpochValues:
    """A 1-Hz signal summed up by epoch, between lights off and lights on.

    Attributes
    ----------
    sum_n, seconds_n
        (n_epochs,) sum of the values, and how many there are.
    lowest_n, highest_n
        (n_epochs,) inf and -inf in an epoch without a value.
    """

    sum_n: np.ndarray
    seconds_n: np.ndarray
    lowest_n: np.ndarray
    highest_n: np.ndarray


def by_epoch(values_k: np.ndarray, span: NightSpan) -> EpochValues:
    """Sum a 1-Hz signal up by epoch.

    Parameters
    ----------
    values_k
        (seconds,) from the recording's start; NaN where there is no value.
    span
        Whole seconds outside it do not count.
    """
    table = _epochs_of_seconds(values_k.astype(np.float64), span, np.nan)
    there = np.isfinite(table)
    return EpochValues(
        np.where(there, table, 0.0).sum(axis=1),
        there.sum(axis=1).astype(np.float64),
        np.where(there, table, np.inf).min(axis=1),
        np.where(there, table, -np.inf).max(axis=1),
    )


def positions(vitals: Vitals) -> dict[str, np.ndarray]:
    """Return by position (seconds,) whether the body lies in it; nothing where the codes have no names."""
    found: dict[str, np.ndarray] = {}
    for code, name in vitals.position_names.items():
        lying_k = vitals.position_1hz == code
        if code != NO_POSITION and lying_k.any():
            found[name] = found[name] | lying_k if name in found else lying_k
    return found


def seconds_where(true_k: np.ndarray, span: NightSpan) -> np.ndarray:
    """Return (n_epochs,) the seconds of each epoch between lights off and lights on in which a 1-Hz flag is set."""
    seconds_n: np.ndarray = _epochs_of_seconds(true_k.astype(np.float64), span, 0.0).sum(axis=1)
    return seconds_n


def _epochs_of_seconds(values_k: np.ndarray, span: NightSpan, missing: float) -> np.ndarray:
    """Return (n_epochs, 30) values, `missing` outside the span and where the signal has ended."""
    seconds = int(EPOCH_S)
    flat = np.full(len(span.seconds_n) * seconds, missing)
    kept = min(len(flat), len(values_k))
    flat[:kept] = values_k[:kept]
    flat[: int(np.ceil(span.off_s))] = missing
    flat[int(span.on_s) :] = missing
    return flat.reshape(-1, seconds)


def desaturations(spo2_k: np.ndarray) -> list[Event]:
    """Return the falls of the saturation by 3 % or more, with their depth in % as "Desaturation" and the lowest value.

    A fall begins at the last second of the highest value of the 120 s before its lowest point, and has ended when the saturation
    has risen by 2 % from there. The AASM manual asks for falls of 3 % or 4 % "from pre-event baseline" and leaves open how a
    program finds the baseline; this is the reading here.

    Parameters
    ----------
    spo2_k
        (seconds,) in %, NaN where there is no value.
    """
    known = np.flatnonzero(np.isfinite(spo2_k))
    found: list[Event] = []
    if not len(known):
        return found
    level_k = _highest_before(spo2_k)
    for part in np.split(known, np.flatnonzero(np.diff(known) > LONGEST_GAP_S) + 1):
        values = spo2_k[part].astype(np.float64)
        for nadir, end in _falls(values):
            begin = max(part[0], part[nadir] - PEAK_WITHIN_S)
            depth = float(level_k[part[nadir]] - values[nadir])
            if depth < SHALLOWEST - _ROUNDING:
                continue
            before = values[np.searchsorted(part, begin) : nadir]
            if not len(before) or before.max() - values[nadir] < SHALLOWEST - _ROUNDING:
                continue  # the level lies beyond a gap
            start = nadir - 1 - int(before[::-1].argmax())
            extra: dict[str, float | str] = {
                "Desaturation": float(values[start] - values[nadir]),
                "NadirSpO2": float(values[nadir]),
            }
            found.append(Event(float(part[start]), float(part[end]) + 1.0, EventName.DESATURATION, "", "SpO2", extra))
    return found


def _highest_before(values_k: np.ndarray) -> np.ndarray:
    """Return (seconds,) the highest value of the `PEAK_WITHIN_S` seconds up to each second."""
    filled_k = np.where(np.isfinite(values_k), values_k, -np.inf)
    highest_k: np.ndarray = maximum_filter1d(
        filled_k, PEAK_WITHIN_S + 1, origin=PEAK_WITHIN_S // 2, mode="constant", cval=-np.inf
    )
    return highest_k


def _falls(values: np.ndarray) -> list[tuple[int, int]]:
    """Return the lowest second of each fall of at least `RECOVERY`, and the second at which it has risen by as much again."""
    turns = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)  # within a plateau nothing happens
    found: list[tuple[int, int]] = []
    falling = False
    high = low = float(values[0])
    low_at = 0
    for at, value in zip(turns.tolist(), values[turns].tolist(), strict=True):
        if falling:
            if value < low:
                low, low_at = value, at
            elif value >= low + RECOVERY:
                found.append((low_at, at))
                falling, high = False, value
        elif value > high:
            high = value
        elif value <= high - RECOVERY:
            falling, low, low_at = True, value, at
    if falling:
        found.append((low_at, len(values) - 1))
    return found
