"""What psgscoring is given and what is taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from sleepfm.inference.event_signals import LEGS, Part, Trace
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, Stage

_EEG_NAMES = {Part.CENTRAL: "C4-M1", Part.FRONTAL: "F4-M1", Part.OCCIPITAL: "O1-M2", Part.OTHER_EEG: "CZ"}
"""How psgscoring knows a derivation's region; "O2-M1" it would take for an oximeter."""


@dataclass(frozen=True, eq=False)
class EngineNight:
    """What the engine is given.

    Attributes
    ----------
    traces
        By the part they play.
    stages
        (epochs,) int8 of `Stage`.
    unusable
        (epochs,) bool: epochs that are not scored and count as no time.
    profile
        One of psgscoring's profiles of rules.
    """

    traces: Mapping[Part, Trace]
    stages: np.ndarray
    unusable: np.ndarray
    profile: str


@dataclass
class EngineEvents:
    """What the engine found.

    Attributes
    ----------
    events
        Without desaturations; in no order.
    rates
        Per hour of sleep: key → value, low, high (None where there is none). The AHI is psgscoring's own, the others count the
        events that are taken.
    skipped
        What was not scored → why.
    remarks
        What has to be known of the events, each a sentence.
    about
        For the provenance; fits in JSON.
    """

    events: list[Event] = field(default_factory=list)
    rates: dict[str, tuple[float, float | None, float | None]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)


def source_name(profile: str) -> str:
    """Return how events of the engine name their source."""
    return f"psgscoring {version('psgscoring')} {profile}"


def names_of(night: EngineNight) -> dict[Part, str]:
    """Return the channels' names for psgscoring: EEG by its region, the rest so that it guesses nothing from them."""
    given = [part for part in night.traces if part not in LEGS]
    return {part: _EEG_NAMES.get(part, f"q{number:02d}") for number, part in enumerate(given)}


def channel_label(night: EngineNight, name: object) -> str:
    """Return the recording's label of a channel that psgscoring names; "" when it is none that it was given."""
    part = next((part for part, given in names_of(night).items() if given == name), None)
    return "" if part is None else night.traces[part].label


def at(epochs: np.ndarray, at_s: float) -> bool:
    """Return what (epochs,) bool says of a time in s; False after its end."""
    epoch = int(at_s // EPOCH_S)
    return bool(epochs[epoch]) if epoch < len(epochs) else False


def asleep_at(night: EngineNight, at_s: float) -> bool:
    """Return whether a time in s lies in an epoch of sleep that counts."""
    return at(night.stages > Stage.WAKE, at_s) and not at(night.unusable, at_s)


def sleep_hours(night: EngineNight) -> float:
    """Return the hours of sleep that count."""
    return float(((night.stages > Stage.WAKE) & ~night.unusable).sum()) * EPOCH_S / 3600


def put(extra: dict[str, float | str], name: str, value: object) -> None:
    """Add a column of an event where psgscoring gives a number."""
    if isinstance(value, int | float | np.number) and np.isfinite(value):
        extra[name] = round(float(value), 3)
