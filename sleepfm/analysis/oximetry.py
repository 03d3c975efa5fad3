"""Oxygen, heart rate and position in sleep, from one value a second."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sleepfm.analysis.night_span import NightSpan
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.desaturations import desaturations
from sleepfm.signals.vitals import NO_POSITION, Vitals
from sleepfm.vocabulary import EPOCH_S, EventName

LOW_SPO2 = 90.0
"""Saturation in % under which time is counted (T90)."""


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


def unnamed_positions(vitals: Vitals) -> list[int]:
    """Return the codes of positions that the body was in and that the file does not name."""
    return [
        int(code) for code in np.unique(vitals.position_1hz) if code != NO_POSITION and int(code) not in vitals.position_names
    ]


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


@lru_cache(maxsize=8)
def falls_of(vitals: Vitals) -> tuple[Event, ...]:
    """Return the desaturations found in the SpO2 signal, in every stage, with their depth in % as "Desaturation".

    They are remembered: an edit of the stages does not change them.
    """
    return tuple(
        Event(fall.start_s, fall.stop_s, EventName.DESATURATION, extra={"Desaturation": fall.depth})
        for fall in desaturations(vitals.spo2_1hz)
    )
