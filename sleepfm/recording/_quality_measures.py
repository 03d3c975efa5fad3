"""What is measured of each 30-s epoch of one channel before anything is judged. No limits here: see `_quality_rules`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from scipy import fft

from sleepfm.recording.recording import Channel
from sleepfm.vocabulary import EPOCH_S

SEGMENT_S = 2.0
"""Spectra are means over Hann windows of this length; "fast" is what varies within it (about a 0.5-Hz high pass)."""
MAINS_HZ = (50.0, 60.0)
MAINS_NEIGHBOURS_HZ = (3.0, 5.0)
"""Power at the mains frequency is compared with the power at these distances to both sides."""
LOW_BAND_HZ = (0.5, 20.0)
HIGH_BAND_HZ = (20.0, 40.0)
"""Luna, QC: contact noise shows as P[20-40 Hz] against P[0.5-20 Hz]."""
STEP_S = 0.004
"""A step is a change within this time, or within one sample where samples are further apart."""
_GRID = 1e-6


@dataclass(eq=False)
class EpochMeasures:
    """Measures of the epochs of one channel, each (n_epochs,) float64 in the channel's unit; NaN where there is none.

    Attributes
    ----------
    present
        Samples that are there, as a share of those the epoch should hold.
    mean, deviation, low, high, first, last
        Mean, standard deviation, extremes, and the samples at either end.
    total, squares, count
        Sum and sum of squares about zero, and number of the samples (for deviations over several epochs).
    still
        Share of successive samples that are equal.
    at_limit
        Share of samples at a limit of the converter.
    top, bottom
        Share of samples that stay at the epoch's own highest and lowest value.
    step
        Largest change within `STEP_S`.
    fast
        Standard deviation within segments of `SEGMENT_S`.
    mains
        RMS of the stronger mains frequency, above what its neighbours hold.
    mains_peak
        Power at that frequency over its neighbours'.
    high_to_low
        Power in `HIGH_BAND_HZ` over that in `LOW_BAND_HZ`.
    far
        Share of samples further from the epoch's mean than asked for.
    outside, none
        Share of samples outside the range asked for; share at or below zero.
    """

    present: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray
    last: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    count: np.ndarray
    still: np.ndarray
    at_limit: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    step: np.ndarray
    fast: np.ndarray
    mains: np.ndarray
    mains_peak: np.ndarray
    high_to_low: np.ndarray
    far: np.ndarray
    outside: np.ndarray
    none: np.ndarray

    @classmethod
    def empty(cls, epochs: int) -> EpochMeasures:
        """Return measures of nothing: NaN everywhere, no sample present."""
        measures = cls(**{one.name: np.full(epochs, np.nan) for one in fields(cls)})
        measures.present[:] = 0.0
        measures.count[:] = 0.0
        return measures


class EpochMeter:
    """Measures one channel, block after block of whole epochs.

    Each epoch is measured alone, so the result does not depend on where blocks begin.

    Parameters
    ----------
    channel
        The channel whose samples come.
    epochs, duration_s
        Started epochs and length of the recording.
    spectra
        Whether the channel is a waveform whose spectrum and steps matter.
    far
        Distance from the epoch's mean beyond which samples count as far.
    inside
        The range outside of which samples count as outside.
    """

    def __init__(
        self,
        channel: Channel,
        epochs: int,
        duration_s: float,
        *,
        spectra: bool,
        far: float | None = None,
        inside: tuple[float, float] | None = None,
    ) -> None:
        self.measures = EpochMeasures.empty(epochs)
        self._rate_hz = channel.rate_hz
        self._spectra = _Spectra(channel.rate_hz) if spectra else None
        self._far = far
        self._inside = inside
        limits = [digital * channel.gain + channel.offset for digital in (channel.digital_min, channel.digital_max)]
        self._limits = (min(limits), max(limits))
        self._tolerance = max(abs(channel.gain) / 2, float(np.finfo(np.float32).eps) * max(map(abs, limits)))
        self._highest, self._lowest = -math.inf, math.inf
        self._epochs, self._duration_s = epochs, duration_s

    def feed(self, first_epoch: int, samples: np.ndarray) -> None:
        """Measure the epochs from `first_epoch` on, of which `samples` are all samples, NaN where missing."""
        rows, expected = self._rows(first_epoch, samples)
        there = np.isfinite(rows)
        count = there.sum(axis=1)
        measures, at = self.measures, slice(first_epoch, first_epoch + len(rows))
        measures.count[at] = count
        measures.present[at] = count / np.maximum(expected, 1)
        # Whole rows and rows with holes are measured apart, so that a hole changes nothing but its own epoch.
        whole = count == rows.shape[1]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if whole.any():
                self._measure(rows if whole.all() else rows[whole], None, first_epoch + np.flatnonzero(whole))
            for row in map(int, np.flatnonzero(~whole & (count > 0))):
                self._measure(rows[row : row + 1], there[row : row + 1], np.array([first_epoch + row]))

    def _rows(self, first_epoch: int, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (epochs, samples) padded with NaN where epochs differ in length, and how many samples each should have."""
        start = _first_sample(first_epoch * EPOCH_S, self._rate_hz)
        last_epoch = first_epoch
        starts = [0]
        while last_epoch < self._epochs and starts[-1] < len(samples):
            last_epoch += 1
            starts.append(_first_sample(last_epoch * EPOCH_S, self._rate_hz) - start)
        edges = np.array(starts)
        lengths = np.diff(edges)
        recorded = _first_sample(self._duration_s, self._rate_hz) - start
        expected = np.clip(np.minimum(edges[1:], recorded) - edges[:-1], 0, None)
        width = int(lengths.max(initial=0))
        if len(lengths) and (lengths == width).all():
            return samples[: edges[-1]].reshape(len(lengths), width), expected
        rows = np.full((len(lengths), width), np.nan, dtype=samples.dtype)
        for row, (begin, length) in enumerate(zip(edges[:-1], lengths, strict=True)):
            rows[row, :length] = samples[begin : begin + length]
        return rows, expected

    def _measure(self, rows: np.ndarray, there: np.ndarray | None, at: np.ndarray) -> None:
        """Measure rows (epochs, samples) that are whole (`there` None) or one row with holes."""
        measures = self.measures
        kept = rows if there is None else rows[there][np.newaxis]
        n = kept.shape[1]
        low, high, mean = kept.min(axis=1), kept.max(axis=1), kept.mean(axis=1)
        measures.low[at], measures.high[at], measures.mean[at] = low, high, mean
        measures.first[at], measures.last[at] = kept[:, 0], kept[:, -1]
        self._measure_extremes(kept, low, high, at)
        if self._far is not None:
            measures.far[at] = 0.0
            some = np.flatnonzero(np.maximum(high - mean, mean - low) > self._far)
            measures.far[at[some]] = (np.abs(kept[some] - mean[some, np.newaxis]) > self._far).mean(axis=1)
        if self._inside is not None:
            measures.outside[at] = ((kept < self._inside[0]) | (kept > self._inside[1])).mean(axis=1)
            measures.none[at] = (kept <= 0).mean(axis=1)
            wide = kept.astype(np.float64)
            measures.total[at], measures.squares[at] = wide.sum(axis=1), (wide**2).sum(axis=1)
        centred = rows - mean[:, np.newaxis]
        change = centred[:, 1:] - centred[:, :-1]
        if there is None:
            measures.still[at] = (rows[:, 1:] == rows[:, :-1]).mean(axis=1) if n > 1 else 0.0
            pairs = None
        else:
            centred[~there] = 0.0
            pairs = there[:, 1:] & there[:, :-1]
            measures.still[at] = (rows[:, 1:] == rows[:, :-1])[pairs].mean() if pairs.any() else 0.0
        measures.deviation[at] = np.sqrt(np.einsum("ij,ij->i", centred, centred) / np.float32(n))
        if self._spectra is not None:
            measures.step[at] = self._step(centred, change, there, pairs)
            self._spectra.measure(measures, centred, there, at)
        elif change.shape[1]:
            measures.step[at] = np.abs(change if pairs is None else np.where(pairs, change, 0)).max(axis=1)

    def _measure_extremes(self, kept: np.ndarray, low: np.ndarray, high: np.ndarray, at: np.ndarray) -> None:
        measures = self.measures
        measures.at_limit[at] = measures.top[at] = measures.bottom[at] = 0.0
        near = (high >= self._limits[1] - self._tolerance) | (low <= self._limits[0] + self._tolerance)
        for row in map(int, np.flatnonzero(near)):
            at_limit = np.minimum(np.abs(kept[row] - self._limits[0]), np.abs(kept[row] - self._limits[1])) <= self._tolerance
            measures.at_limit[at[row]] = at_limit.mean()
        # A plateau matters only at the extreme of the whole channel: an epoch that an earlier one exceeds cannot hold it.
        for row in range(len(kept)):
            if high[row] >= self._highest:
                self._highest = high[row]
                measures.top[at[row]] = _staying(kept[row], high[row])
            if low[row] <= self._lowest:
                self._lowest = low[row]
                measures.bottom[at[row]] = _staying(kept[row], low[row])

    def _step(self, centred: np.ndarray, change: np.ndarray, there: np.ndarray | None, pairs: np.ndarray | None) -> np.ndarray:
        lag = max(1, round(STEP_S * self._rate_hz))
        if lag > 1:
            change = centred[:, lag:] - centred[:, :-lag]
            pairs = None if there is None else there[:, lag:] & there[:, :-lag]
        if pairs is not None:
            change = np.where(pairs, change, 0)
        return np.maximum(change.max(axis=1, initial=0.0), -change.min(axis=1, initial=0.0))


class _Spectra:
    """Power of epochs at the frequencies that are judged, from Hann windows laid end to end."""

    def __init__(self, rate_hz: float) -> None:
        self._length = round(SEGMENT_S * rate_hz)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self._length) / self._length)).astype(np.float32)
        hz = np.arange(self._length // 2 + 1) * rate_hz / self._length
        nearest, furthest = MAINS_NEIGHBOURS_HZ
        self._mains = []
        for mains in MAINS_HZ:
            away = np.abs(hz - mains)
            if mains + furthest < rate_hz / 2:
                self._mains.append((int(away.argmin()), np.flatnonzero((away >= nearest) & (away <= furthest))))
        self._low = np.flatnonzero((hz >= LOW_BAND_HZ[0]) & (hz < LOW_BAND_HZ[1]))
        self._high = np.flatnonzero((hz >= HIGH_BAND_HZ[0]) & (hz < HIGH_BAND_HZ[1])) if rate_hz / 2 > HIGH_BAND_HZ[1] else None

    def measure(self, measures: EpochMeasures, centred: np.ndarray, there: np.ndarray | None, at: np.ndarray) -> None:
        """Measure rows (epochs, samples) about their mean; only segments without holes count."""
        segments = centred.shape[1] // self._length
        if not segments:
            return
        x_est = centred[:, : segments * self._length].reshape(len(centred), segments, self._length)
        if there is not None:
            x_est = x_est[:, there[0, : segments * self._length].reshape(segments, self._length).all(axis=1)]
            if not x_est.shape[1]:
                return
        x_est = x_est - x_est.mean(axis=2, keepdims=True)
        measures.fast[at] = np.sqrt(np.einsum("est,est->e", x_est, x_est) / np.float32(x_est.shape[1] * self._length))
        x_est *= self._window
        spectrum = fft.rfft(x_est, axis=2)
        power = np.einsum("esf,esf->ef", spectrum.real, spectrum.real) + np.einsum("esf,esf->ef", spectrum.imag, spectrum.imag)
        power /= x_est.shape[1]
        if self._high is not None:
            measures.high_to_low[at] = power[:, self._high].sum(axis=1) / power[:, self._low].sum(axis=1)
        for number, (peak, neighbours) in enumerate(self._mains):
            around = power[:, neighbours].mean(axis=1)
            # a sine of amplitude A has |X| = A sum(w) / 2 and the mean square A^2 / 2
            rms = np.sqrt(np.maximum(power[:, peak] - around, 0) * 2) / self._window.sum()
            stronger = rms > measures.mains[at] if number else np.ones(len(at), dtype=bool)
            measures.mains[at[stronger]] = rms[stronger]
            measures.mains_peak[at[stronger]] = (power[:, peak] / around)[stronger]


def _staying(x_t: np.ndarray, value: float) -> float:
    """Return the share of samples that equal the value as their neighbours on both sides do."""
    same = x_t == value
    return float((same[1:-1] & same[:-2] & same[2:]).sum()) / len(x_t)


def _first_sample(time_s: float, rate_hz: float) -> int:
    """Return the number of the first sample at or after a time (sample k lies at k / rate)."""
    position = time_s * rate_hz
    nearest = round(position)
    return nearest if abs(position - nearest) <= _GRID * max(1.0, abs(position) * 1e-6) else math.ceil(position)
