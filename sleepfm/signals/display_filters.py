"""Filters for looking, never for measuring: zero-phase, at the native rate, over more signal than is shown.

A spectrum, a statistic or a model never sees their output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.vocabulary import Kind

MIN_PADDING_S = 2.0
"""Signal read on both sides of what is shown, so that the filter has settled at the edges."""
ORDER = 2
"""Butterworth order of one pass; forward and backward it acts as the double."""
TWO_PASS_CORRECTION = (np.sqrt(2.0) - 1.0) ** (1.0 / (2 * ORDER))
"""Two passes of a Butterworth filter are -6 dB at its corner; moved by this factor, -3 dB lies where the label says
(Winter, Biomechanics and Motor Control of Human Movement, section on dual-pass filters)."""
NOTCH_QUALITY = 25.0


@dataclass(frozen=True)
class DisplayFilter:
    """Corner frequencies in Hz (-3 dB); None leaves that side open."""

    high_pass_hz: float | None = None
    low_pass_hz: float | None = None
    notch_hz: float | None = None

    @property
    def padding_s(self) -> float:
        """Seconds to read on each side: two, or one period of the high-pass corner when that is longer."""
        return max(MIN_PADDING_S, 1.0 / self.high_pass_hz) if self.high_pass_hz else MIN_PADDING_S

    def below_nyquist(self, rate_hz: float) -> DisplayFilter:
        """Return what is left of the filter at this sampling rate: a corner at or above half of it filters nothing."""

        def fitting(corner_hz: float | None) -> float | None:
            return corner_hz if corner_hz is not None and corner_hz < rate_hz / 2 else None

        return DisplayFilter(fitting(self.high_pass_hz), fitting(self.low_pass_hz), fitting(self.notch_hz))


OPEN = DisplayFilter()

_EEG = DisplayFilter(0.3, 35.0)
_EMG = DisplayFilter(10.0, 100.0)
_BREATH = DisplayFilter(0.1, 15.0)

DEFAULT_FILTERS: dict[Kind, DisplayFilter] = {
    Kind.EEG: _EEG,
    Kind.EOG: _EEG,
    Kind.CHIN_EMG: _EMG,
    Kind.LEG_EMG: _EMG,
    Kind.ARM_EMG: _EMG,
    Kind.OTHER_EMG: _EMG,
    Kind.ECG: DisplayFilter(0.3, 70.0),
    Kind.FLOW: _BREATH,
    Kind.NASAL_PRESSURE: _BREATH,
    Kind.THERMISTOR: _BREATH,
    Kind.EFFORT_THORAX: _BREATH,
    Kind.EFFORT_ABDOMEN: _BREATH,
    Kind.EFFORT_SUM: _BREATH,
    Kind.SNORE: DisplayFilter(10.0, 100.0),
}
"""AASM manual, recommended filter settings for routine PSG; what is not listed (SpO2, position, …) is shown as it is."""


def default_filter(kind: Kind) -> DisplayFilter:
    """Return the filter a channel of this kind is first shown with."""
    return DEFAULT_FILTERS.get(kind, OPEN)


def _sections(display_filter: DisplayFilter, rate_hz: float) -> np.ndarray | None:
    """Second-order sections of the filter at this rate, or None when nothing of it fits below the Nyquist frequency."""
    from scipy import signal

    nyquist = rate_hz / 2
    parts = []
    if display_filter.high_pass_hz and display_filter.high_pass_hz < nyquist:
        corner = _moved(display_filter.high_pass_hz, rate_hz, TWO_PASS_CORRECTION)
        parts.append(signal.butter(ORDER, corner, "highpass", fs=rate_hz, output="sos"))
    if display_filter.low_pass_hz and display_filter.low_pass_hz < nyquist:
        corner = _moved(display_filter.low_pass_hz, rate_hz, 1 / TWO_PASS_CORRECTION)
        parts.append(signal.butter(ORDER, corner, "lowpass", fs=rate_hz, output="sos"))
    if display_filter.notch_hz and display_filter.notch_hz < nyquist:
        b, a = signal.iirnotch(display_filter.notch_hz, NOTCH_QUALITY, fs=rate_hz)
        parts.append(signal.tf2sos(b, a))
    return np.vstack(parts) if parts else None


def apply_filter(x_ct: np.ndarray, rate_hz: float, display_filter: DisplayFilter) -> np.ndarray:
    """Filter forward and backward along the last axis.

    Parameters
    ----------
    x_ct
        (channels, samples) at `rate_hz`, any unit. NaN marks gaps: each run between gaps is filtered on its own and the gaps
        stay NaN.
    rate_hz
        Sampling rate in Hz. A corner at or above the Nyquist frequency is left out.
    display_filter
        What to leave out.

    Returns
    -------
    numpy.ndarray
        (channels, samples) float64, or the input itself when there is nothing to do.
    """
    sections = _sections(display_filter, rate_hz)
    if sections is None or x_ct.shape[1] < 2:
        return x_ct
    missing_ct = np.isnan(x_ct)
    if not missing_ct.any():
        return _both_ways(sections, x_ct)
    y_ct = np.full(x_ct.shape, np.nan)
    for channel, missing_t in enumerate(missing_ct):
        edges = np.flatnonzero(np.diff(np.concatenate(([1], missing_t.astype(np.int8), [1]))))
        for start, stop in edges.reshape(-1, 2):
            run = x_ct[channel, start:stop]
            # A lone sample has no band to pass: what a high-pass leaves of it is nothing.
            y_ct[channel, start:stop] = _both_ways(sections, run[None])[0] if run.size > 1 else 0.0
    return y_ct


def _moved(corner_hz: float, rate_hz: float, factor: float) -> float:
    """Move a corner by a factor on the analogue axis, where the bilinear transform has not yet bent it."""
    return rate_hz / np.pi * np.arctan(np.tan(np.pi * corner_hz / rate_hz) * factor)


def _both_ways(sections: np.ndarray, x_ct: np.ndarray) -> np.ndarray:
    from scipy import signal

    usual = 3 * (2 * len(sections) + 1)
    return signal.sosfiltfilt(sections, x_ct, axis=-1, padlen=min(usual, x_ct.shape[1] - 1))
