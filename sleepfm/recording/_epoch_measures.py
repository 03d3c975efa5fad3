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
    """Mean power spectrum of each epoch: `power_ef` (epochs, frequencies) at `frequencies_hz`, in squared units a bin."""

    power_ef: np.ndarray
    frequencies_hz: np.ndarray
    nyquist_hz: float

    def band(self, low_hz: float, high_hz: float = np.inf) -> np.ndarray:
        """Return (epochs,) power with low_hz <= f < high_hz: the variance of the signal in this band."""
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
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    found = fft.rfft((x_eps - x_eps.mean(axis=2, keepdims=True)) * window, axis=2)
    power = (np.square(found.real) + np.square(found.imag)).mean(axis=1)
    power *= 2.0 / (size * float(np.square(window, dtype=np.float64).sum()))  # Parseval, both sides of the spectrum in one
    power[:, 0] /= 2
    if size % 2 == 0:
        power[:, -1] /= 2
    return Spectrum(power, fft.rfftfreq(size, 1.0 / rate_hz), rate_hz / 2)


def clipped(x_en: np.ndarray, channel: Channel, *, zero_is_rest: bool) -> np.ndarray:
    """Return whether at least 1 % of an epoch's samples lie at a limit of the converter (not at zero, if that is rest)."""
    if channel.digital_min >= channel.digital_max:  # the header says nothing usable
        return np.zeros(len(x_en), dtype=bool)
    ends = [digital * channel.gain + channel.offset for digital in (channel.digital_min, channel.digital_max)]
    slack = max(0.5 * abs(channel.gain), 2e-7 * max(map(abs, ends)))
    at_limit = np.zeros(x_en.shape, dtype=bool)
    for end in ends:
        if not (zero_is_rest and is_zero(end, channel.gain)):
            at_limit |= np.abs(x_en - np.float32(end)) <= slack
    share: np.ndarray = at_limit.mean(axis=1)
    return share >= limits.CLIPPED_SHARE


def is_zero(value: float, gain: float) -> bool:
    """Whether a value is zero as well as the converter can say it."""
    return abs(value) <= abs(gain)


def share_staying(x_en: np.ndarray, value_e: np.ndarray) -> np.ndarray:
    """Return the share of samples that equal their epoch's value and so does the next one."""
    same = x_en == value_e[:, None]
    share: np.ndarray = (same[:, 1:] & same[:, :-1]).mean(axis=1)
    return share


def spans_at_most(x_en: np.ndarray, gain: float, steps: float) -> np.ndarray:
    """Return whether an epoch spans no more than so many steps of the converter."""
    spread: np.ndarray = x_en.max(axis=1) - x_en.min(axis=1)
    return spread <= steps * abs(gain) + 1e-7 * np.abs(x_en).max(axis=1)


def steps_over(x_en: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return how much each sample differs from the one `STEP_S` later."""
    lag = max(1, round(limits.STEP_S * rate_hz))
    return x_en[:, lag:] - x_en[:, :-lag]


def still(steps_en: np.ndarray, gain: float) -> np.ndarray:
    """Return whether at least 80 % of an epoch's steps are zero."""
    share: np.ndarray = (np.abs(steps_en) < 0.5 * abs(gain)).mean(axis=1)
    return share >= limits.STILL_SHARE


def pops(x_en: np.ndarray, steps_en: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return whether an epoch has an electrode pop: one step that stands alone and does not go back at once."""
    found = np.zeros(len(x_en), dtype=bool)
    for row in np.flatnonzero(np.abs(steps_en).max(axis=1) >= limits.POP_UV):
        found[row] = _has_pop(x_en[row], np.abs(steps_en[row]), rate_hz)
    return found


def _has_pop(x_n: np.ndarray, size_n: np.ndarray, rate_hz: float) -> bool:
    lag, around, after = x_n.size - size_n.size, round(0.5 * rate_hz), round(0.05 * rate_hz)
    left = size_n.copy()
    while (largest := left[at := int(left.argmax())]) >= limits.POP_UV:
        left[max(at - around, 0) : at + around] = 0  # smaller steps this near are judged with this one
        beside = np.concatenate([size_n[max(at - around, 0) : max(at - lag, 0)], size_n[at + lag + 1 : at + around]])
        levels = x_n[max(at - after, 0) : at + 1], x_n[at + lag : at + lag + after]
        stays = abs(float(np.median(levels[1]) - np.median(levels[0])))
        if beside.size and beside.max() < limits.POP_BESIDE * largest and stays >= limits.POP_STAYS * largest:
            return True
    return False


def line_noise(found: Spectrum) -> np.ndarray:
    """Return whether mains stands out of its surroundings and weighs in the whole."""
    total = found.band(limits.LOW_BAND_HZ[0])
    noisy = np.zeros(len(found.power_ef), dtype=bool)
    for line_hz in lines_seen(found):
        beside = np.stack([found.density(line_hz - 5, line_hz - 2), found.density(line_hz + 2, line_hz + 5)])
        missing = ~np.isfinite(beside).all(axis=1)
        beside[missing] = beside[~missing].mean(axis=0)
        stands_out = found.density(line_hz - 0.5, line_hz + 0.5) > limits.LINE_PROMINENCE * beside.mean(axis=0)
        noisy |= stands_out & (_hum(found, line_hz) > limits.LINE_SHARE * total)
    return noisy


def drowned_by_hum(found: Spectrum) -> np.ndarray:
    """Return whether mains is as strong as only a lead that is off picks it up; the spectrum is in µV²."""
    drowned = np.zeros(len(found.power_ef), dtype=bool)
    total = found.band(limits.LOW_BAND_HZ[0])
    for line_hz in lines_seen(found):
        hum = _hum(found, line_hz)
        drowned |= (hum > limits.HUM_UV**2) & (hum > limits.HUM_SHARE * total)
    return drowned


def lines_seen(found: Spectrum) -> list[float]:
    """Return the frequencies at which this spectrum shows mains, if at all: mirrored at its end where they lie beyond it."""
    end_hz = found.nyquist_hz
    seen = {line_hz if line_hz <= end_hz else 2 * end_hz - line_hz for line_hz in limits.LINE_HZ}
    return sorted(line_hz for line_hz in seen if line_hz >= limits.LEAST_LINE_HZ)


def _hum(found: Spectrum, line_hz: float) -> np.ndarray:
    return found.band(line_hz - 1, line_hz + 1.01)


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


def beyond(x_en: np.ndarray, largest: float) -> np.ndarray:
    """Return whether at least 5 % of an epoch's samples are further than `largest` from its median."""
    found = np.zeros(len(x_en), dtype=bool)
    rows = np.flatnonzero(x_en.max(axis=1) - x_en.min(axis=1) > largest)  # the median is slow
    part_en = x_en[rows]
    found[rows] = (np.abs(part_en - np.median(part_en, axis=1, keepdims=True)) > largest).mean(axis=1) >= limits.BEYOND_SHARE
    return found


def probe_off(x_en: np.ndarray, gain: float) -> np.ndarray:
    """Return whether at least 10 % of an oximeter's values are zero (or less), as they are while its probe is off."""
    share: np.ndarray = (x_en <= abs(gain)).mean(axis=1)
    return share >= limits.OUTSIDE_SHARE
