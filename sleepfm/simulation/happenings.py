"""The things that happen to a sleeper: each with its time in seconds from the start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.vocabulary import SCORED_STAGES, EventName, Stage


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in seconds from the start."""

    start_s: float
    stop_s: float


@dataclass(frozen=True)
class BreathEvent(Stretch):
    """An apnea or hypopnea.

    `flow` is the fraction of airflow left, `effort_from` the fraction of the event after which there is respiratory effort (0 for
    obstructive, 1 for central), `dip` the desaturation in %, `lag_s` the circulation's delay from lung to finger.
    """

    name: EventName
    flow: float
    effort_from: float
    dip: float
    lag_s: float


@dataclass(frozen=True)
class PeriodicBreathing(Stretch):
    """Breathing that waxes and wanes every `period_s` seconds, too little to be scored."""

    period_s: float


@dataclass(frozen=True)
class LegMovement(Stretch):
    """A leg movement, `side` "L" or "R", and whether it belongs to a periodic series."""

    side: str
    periodic: bool = False


@dataclass(frozen=True)
class Spindle:
    """A sleep spindle: its frequency in Hz, its largest amplitude in µV, and whether it is one of the slower, frontal ones."""

    start_s: float
    frequency_hz: float
    amplitude: float
    frontal: bool


def by_stage(stages: np.ndarray, value: dict[Stage, float]) -> np.ndarray:
    """Return `value` of each of the stages, which hold no Unknown."""
    return np.array([value[stage] for stage in SCORED_STAGES])[stages]
