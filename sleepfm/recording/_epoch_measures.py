"""What is measured of a channel's epochs to judge them; arrays are (epochs, samples)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from sleepfm.recording import _quality_limits as limits
from sleepfm.recording.recording import Channel

_PIECE_S = 2.0
"""Length of the pieces whose spectra are averaged over an epoch: 0.5-Hz bins."""


@dataclass(frozen=True)
class Spectrum:
    """Mean power spectrum of each epoch: `power_ef` (epochs, frequencies) at `frequencies_hz`."""

    power_ef: np.ndarray
    frequencies_hz: np.ndarray

    def band(self, low_hz: float, high_hz: float) -> np.ndarray:
        """Return (epochs,) power with low_hz <= f < high_hz."""
        chosen = (self.frequencies_hz >= low_hz) & (self.frequencies_hz < high_hz)
        total: np.ndarray = self.power_ef[:, chosen].sum(axis=1)
        return total

    def density(self, low_hz: float, high_hz: float) -> np.ndarray:
        """Return (epochs,) mean power a bin with low_hz <= f <= high_hz; NaN where there is no such bin."""
        chosen = (self.frequencies_hz >= low_hz) & (self.frequencies_hz <= high_hz)
        if not chosen.any():
            return np.full(len(self.power_ef), np.nan)
        mean: np.ndarray = self.power_ef[:, chosen].mean(axis=1)
        return mean


def spectrum(x_en: np.ndarray, rate_hz: float, piece_s: float = _PIECE_S) -> Spectrum:
    """Return the mean of the Hann-windowed spectra of an epoch's pieces (one piece of all samples where it is shorter)."""
    size = min(max(2, round(piece_s * rate_hz)), x_en.shape[1])
    pieces = x_en.shape[1] // size
    x_eps = x_en[:, : pieces * size].reshape(len(x_en), pieces, size)
    centred = (x_eps - x_eps.mean(axis=2, keepdims=True)) * np.hanning(size + 2)[1:-1].astype(np.float32)
    power = np.abs(fft.rfft(centred, axis=2)) ** 2
    return Spectrum(power.mean(axis=1), fft.rfftfreq(size, 1.0 / rate_hz))


def clipped(x_en: np.ndarray, channel: Channel) -> np.ndarray:
    """Return whether at least 1 % of an epoch's samples lie at the limits of the converter."""
    ends = [digital * channel.gain + channel.offset for digital in (channel.digital_min, channel.digital_max)]
    slack = max(0.5 * abs(channel.gain), 2e-7 * max(map(abs, ends)))
    at_limit = (x_en <= min(ends) + slack) | (x_en >= max(ends) - slack)
    share: np.ndarray = at_limit.mean(axis=1)
    return share >= limits.CLIPPED_SHARE


def share_staying(x_en: np.ndarray, value_e: np.ndarray) -> np.ndarray:
    """Return the share of samples that equal their epoch's value and so does the next one."""
    same = x_en == value_e[:, None]
    share: np.ndarray = (same[:, 1:] & same[:, :-1]).mean(axis=1)
    return share


def constant(x_en: np.ndarray, gain: float) -> np.ndarray:
    """Return whether an epoch spans no more than a few steps of the converter."""
    spread: np.ndarray = x_en.max(axis=1) - x_en.min(axis=1)
    return spread <= limits.STILL_STEPS * abs(gain) + 1e-7 * np.abs(x_en).max(axis=1)


def still(x_en: np.ndarray, gain: float) -> np.ndarray:
    """Return whether at least 80 % of an epoch's steps from sample to sample are zero."""
    share: np.ndarray = (np.abs(np.diff(x_en, axis=1)) < 0.5 * abs(gain)).mean(axis=1)
    return share >= limits.STILL_SHARE


def line_noise(found: Spectrum) -> np.ndarray:
    """Return whether 50 or 60 Hz stands out of its surroundings and weighs in the whole."""
    total = found.power_ef[:, found.frequencies_hz >= limits.LOW_BAND_HZ[0]].sum(axis=1)
    highest = found.frequencies_hz[-1] if found.frequencies_hz.size else 0.0
    noisy = np.zeros(len(found.power_ef), dtype=bool)
    for line_hz in limits.LINE_HZ:
        if highest < line_hz + 1.0:
            continue
        beside = np.nanmean([found.density(line_hz - 5, line_hz - 2), _beside_above(found, line_hz)], axis=0)
        stands_out = found.density(line_hz - 0.5, line_hz + 0.5) > limits.LINE_PROMINENCE * beside
        noisy |= stands_out & (found.band(line_hz - 1, line_hz + 1.01) > limits.LINE_SHARE * total)
    return noisy


def _beside_above(found: Spectrum, line_hz: float) -> np.ndarray:
    above = found.density(line_hz + 2, line_hz + 5)
    return above if np.isfinite(above).all() else found.density(line_hz - 5, line_hz - 2)


def jumps(x_en: np.ndarray, rate_hz: float, largest: float) -> np.ndarray:
    """Return whether an epoch changes by more than `largest` within one second."""
    step = max(1, round(rate_hz))
    if rate_hz < 1.0 or x_en.shape[1] <= step:
        return np.zeros(len(x_en), dtype=bool)
    biggest: np.ndarray = np.abs(x_en[:, step:] - x_en[:, :-step]).max(axis=1)
    return biggest > largest


def finest_step(x_en: np.ndarray) -> float:
    """Return the smallest change from sample to sample that is one (beyond rounding), infinity when nothing changes."""
    steps = np.abs(np.diff(x_en, axis=1))
    steps = steps[steps > 1e-3]
    return float(steps.min()) if steps.size else np.inf


def outside(x_en: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Return whether at least 10 % of an epoch's samples are out of bounds."""
    share: np.ndarray = ((x_en < bounds[0]) | (x_en > bounds[1])).mean(axis=1)
    return share >= limits.OUTSIDE_SHARE


def probe_off(x_en: np.ndarray) -> np.ndarray:
    """Return whether at least 10 % of an oximeter's values say that its probe is off (0, or 127 and more of %)."""
    share: np.ndarray = (x_en <= limits.PROBE_OFF).mean(axis=1)
    return share >= limits.OUTSIDE_SHARE
