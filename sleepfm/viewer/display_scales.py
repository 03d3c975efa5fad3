"""How many units one row of the trace panel spans when a study is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.recording.recording import Recording
from sleepfm.signals.trace_windows import Trace, read_window
from sleepfm.vocabulary import EPOCH_S, Kind

SAMPLED_EPOCHS = 8
"""Epochs, spread over the night, from which the usual range of a signal without a standard scale is taken."""
SMALLEST = 1e-9
"""A range below this is rounding noise of a flat line, not a signal to be blown up."""
STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)

STANDARD_UV: dict[Kind, float] = {
    Kind.EEG: 150.0,
    Kind.EOG: 200.0,
    Kind.CHIN_EMG: 50.0,
    Kind.LEG_EMG: 100.0,
    Kind.ARM_EMG: 100.0,
    Kind.OTHER_EMG: 100.0,
    Kind.ECG: 2000.0,
}
"""Microvolts a row. 150 µV for EEG puts the ±37.5 µV lines at a quarter of the row above and below its middle."""
PER_MICROVOLT: dict[str, float] = {"µV": 1.0, "mV": 1e-3, "V": 1e-6, "nV": 1e3}
SWINGS_ABOUT_ZERO = frozenset(STANDARD_UV) | {
    Kind.FLOW, Kind.NASAL_PRESSURE, Kind.THERMISTOR, Kind.EFFORT_THORAX, Kind.EFFORT_ABDOMEN, Kind.EFFORT_SUM, Kind.SNORE,
}  # fmt: skip
"""Kinds whose middle is zero once their filter has taken the offset away; the others keep their own level."""


@dataclass(frozen=True)
class Scale:
    """Units a row spans, the value in its middle, and whether that is the standard for the kind (not fitted to the signal)."""

    per_lane: float
    centre: float
    fixed: bool


def standard_scale(kind: Kind, unit: str) -> Scale | None:
    """Return the scale every technician expects for this kind, None where there is none."""
    if kind in STANDARD_UV and unit in PER_MICROVOLT:
        return Scale(STANDARD_UV[kind] * PER_MICROVOLT[unit], 0.0, fixed=True)
    return None


def display_scales(recording: Recording, traces: Sequence[tuple[Trace, Kind, str]]) -> list[Scale]:
    """Return the opening scale of each trace (trace, kind, unit).

    Where no standard applies, a few epochs over the night are read and the row is made to hold their usual range, without
    the outliers within an epoch and without outlying epochs.
    """
    scales = [standard_scale(kind, unit) for _, kind, unit in traces]
    open_ones = [number for number, scale in enumerate(scales) if scale is None]
    ranges = _usual_ranges(recording, [traces[number][0] for number in open_ones])
    for number, (low, high) in zip(open_ones, ranges, strict=True):
        _, kind, unit = traces[number]
        scales[number] = _fitted(kind, unit, low, high)
    return [scale for scale in scales if scale is not None]


def _usual_ranges(recording: Recording, traces: list[Trace]) -> list[tuple[float, float]]:
    if not traces:
        return []
    latest = max(0.0, recording.duration_s - EPOCH_S)
    starts = np.unique(np.floor(np.linspace(0.05, 0.95, SAMPLED_EPOCHS) * latest / EPOCH_S) * EPOCH_S)
    per_epoch: list[list[tuple[float, float]]] = [[] for _ in traces]
    for start_s in starts:
        for number, window in enumerate(read_window(recording, traces, start_s, start_s + EPOCH_S, bins=128)):
            present = window.values[np.isfinite(window.values)]
            if present.size:
                low, high = np.percentile(present, [2, 98])
                per_epoch[number].append((float(low), float(high)))
    return [_over_the_night(some) for some in per_epoch]


def _over_the_night(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    """Leave a fifth of the epochs out on either side: a loose probe or a movement must not flatten everything else."""
    if not ranges:
        return 0.0, 0.0
    lows, highs = zip(*ranges, strict=True)
    return float(np.percentile(lows, 20)), float(np.percentile(highs, 80))


def _fitted(kind: Kind, unit: str, low: float, high: float) -> Scale:
    if kind is Kind.SPO2 and unit == "%" and high > 1.5:
        bottom = 80.0 if low >= 80 else float(np.floor(max(low, 0.0) / 10) * 10)
        return Scale(100.0 - bottom, (100.0 + bottom) / 2, fixed=False)
    if kind in SWINGS_ABOUT_ZERO:
        reach = max(abs(low), abs(high))
        return Scale(_round_up(2.5 * reach), 0.0, fixed=False)
    middle = (low + high) / 2
    return Scale(_round_up(max(1.6 * (high - low), 0.1 * abs(middle))), middle, fixed=False)


def _round_up(value: float) -> float:
    if not value > SMALLEST:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in STEPS if step * power >= value * (1 - 1e-9)) * power)
