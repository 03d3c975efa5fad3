"""Suspecting a wrong unit from what a channel's values are: EEG of 20 mV is µV with the wrong name."""

from __future__ import annotations

import numpy as np

from sleepfm.recording import _quality_limits as limits
from sleepfm.recording.recording import Channel
from sleepfm.recording.units import scale_for
from sleepfm.vocabulary import Kind

_VOLTS = ("µV", "mV", "V", "nV")
_FAR = 10.0
"""So many times outside the usual range, a channel's spread is not only unusual."""
_DEAD_STEPS = 10.0
"""A channel that varies by fewer steps of its converter is dead; one with a wrong unit makes use of its converter."""


def unit_suspicion(channel: Channel, mean_e: np.ndarray, sd_e: np.ndarray) -> str:
    """Return why the unit is suspected to be wrong, a sentence, or "" when it is not.

    Parameters
    ----------
    channel
        The channel; one without a unit is not suspected of a wrong one.
    mean_e, sd_e
        (n_epochs,) mean and standard deviation of each epoch in `channel.unit`; NaN where there was no data.
    """
    moving, known = sd_e[sd_e > 0], mean_e[np.isfinite(mean_e)]
    if channel.kind in limits.WAVES:
        if channel.unit != limits.UNIT_OF_WAVE[channel.kind] or not moving.size:
            return ""
        return _of_wave(channel, float(np.median(moving)))
    if not known.size:
        return ""
    middle = float(np.median(known))
    if channel.kind is Kind.SPO2 and channel.unit in {"%", ""} and 0.3 < middle <= 1.0:
        return f"unit suspected: {middle:.2f} looks like a fraction, not a percentage"
    if channel.unit == "°C" and not limits.CELSIUS_RANGE[0] <= middle <= limits.CELSIUS_RANGE[1]:
        guess = ", it looks like Fahrenheit" if limits.CELSIUS_RANGE[0] <= (middle - 32) / 1.8 <= limits.CELSIUS_RANGE[1] else ""
        return f"unit suspected: {_number(middle)} °C is no temperature of a body or a room{guess}"
    return ""


def _of_wave(channel: Channel, usual: float) -> str:
    low, high = limits.WAVES[channel.kind].usual_sd
    if low / _FAR < usual < high * _FAR or usual < _DEAD_STEPS * abs(channel.gain):
        return ""
    unit = channel.unit
    written = usual / scale_for(channel.kind, channel.original_unit)[1]
    likely = [name for name in _VOLTS if low <= written * scale_for(channel.kind, name)[1] <= high]
    guess = f": {likely[0]} labelled as {channel.original_unit}?" if likely else ""
    return f"unit suspected: it varies by {_number(usual)} {unit} where {low:g} to {high:g} {unit} is usual{guess}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
