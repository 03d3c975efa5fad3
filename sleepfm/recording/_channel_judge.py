"""Judging one channel: its epochs are measured as they are read, and at the end what was found becomes flags."""

from __future__ import annotations

import numpy as np

from sleepfm.recording import _epoch_measures as measures
from sleepfm.recording import _quality_limits as limits
from sleepfm.recording._quality_flags import QualityFlag
from sleepfm.recording._unit_suspicion import unit_suspicion
from sleepfm.recording.recording import Channel
from sleepfm.vocabulary import EPOCH_S, Kind


class ChannelJudge:
    """Collects the measures of one channel's epochs and says at the end what they mean."""

    def __init__(self, channel: Channel, n_epochs: int) -> None:
        self._channel = channel
        self._is_wave = channel.kind in limits.WAVES and channel.rate_hz >= limits.LEAST_WAVE_RATE_HZ
        self._flags = np.zeros(n_epochs, dtype=np.uint8)
        self._by_amplitude = np.zeros(n_epochs, dtype=np.uint8)
        self._sd, self._mean = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._breath, self._noise = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._lowest, self._highest = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._plateau = np.zeros((2, n_epochs))
        self._constant, self._still = np.zeros(n_epochs, dtype=bool), np.zeros(n_epochs, dtype=bool)
        self._finest = np.inf

    def look(self, window: np.ndarray, first: int, last: int) -> None:
        """Measure the epochs first to last - 1, whose samples the window holds (the last one perhaps cut)."""
        rate_hz = self._channel.rate_hz
        starts = np.ceil(np.arange(first, last + 1) * EPOCH_S * rate_hz - 1e-6).astype(int)
        starts = np.minimum(starts - starts[0], window.size)
        present = np.isfinite(window)
        whole = int(EPOCH_S * rate_hz)
        lengths = np.diff(starts)
        complete = np.zeros(last - first, dtype=bool)
        for epoch in range(last - first):
            part = present[starts[epoch] : starts[epoch + 1]]
            complete[epoch] = part.size >= whole > 0 and bool(part.all())
            if not part.size or np.count_nonzero(part) < 0.99 * part.size:
                self._flags[first + epoch] |= np.uint8(QualityFlag.GAP)
        rows = np.flatnonzero(complete)
        if rows.size:
            same = rows.size == lengths.size and bool((lengths == whole).all())
            x_en = window.reshape(-1, whole) if same else window[starts[rows][:, None] + np.arange(whole)]
            self._measure(x_en, first + rows)
        for row in np.flatnonzero(~complete):
            piece = slice(starts[row], starts[row + 1])
            some = window[piece][present[piece]]
            if some.size >= max(2, limits.LEAST_DATA_S * rate_hz):
                self._measure(some[None, :], np.array([first + row]))

    def flags(self) -> np.ndarray:
        """Return (n_epochs,) uint8, with what only shows over several epochs or once the unit is trusted."""
        channel, kind = self._channel, self._channel.kind
        if channel.modality is None or not self._flags.size:
            return self._flags
        trusted = self._unit_is_trusted()
        if trusted:
            self._flags |= self._by_amplitude
        self._add(self._unmoving(), QualityFlag.FLAT)
        if np.isfinite(self._highest).any():
            self._add(self._cut_off(), QualityFlag.CLIPPED)
        if kind in limits.BREATHING:
            breath, noise = _around(self._breath, limits.BREATH_EPOCHS), _around(self._noise, limits.BREATH_EPOCHS)
            self._add(np.isfinite(self._noise) & (breath < limits.BREATH_TO_NOISE * noise), QualityFlag.DISCONNECTED)
        if kind is Kind.SPO2 and trusted:
            whole = self._finest >= limits.SPO2_WHOLE_STEP
            width = limits.SPO2_WHOLE_FLAT_EPOCHS if whole else limits.SPO2_FLAT_EPOCHS
            least = limits.SPO2_WHOLE_FLAT_SD if whole else limits.SPO2_FLAT_SD
            self._add(_frozen(self._mean, self._sd, width, least), QualityFlag.FLAT)
        return self._flags

    def suspicion(self) -> str:
        """Return why the unit is suspected to be wrong, "" when it is not."""
        return unit_suspicion(self._channel, self._mean, self._sd)

    def _measure(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        channel, kind = self._channel, self._channel.kind
        if channel.modality is not None or channel.unit == "°C":
            self._sd[epochs], self._mean[epochs] = x_en.std(axis=1, dtype=np.float64), x_en.mean(axis=1, dtype=np.float64)
        if channel.modality is None:
            return
        self._constant[epochs] = measures.spans_at_most(x_en, channel.gain, 0.5)
        self._still[epochs] = measures.spans_at_most(x_en, channel.gain, limits.STILL_STEPS)
        if kind not in limits.NEVER_CLIPPED:
            at_limit = measures.clipped(x_en, channel, zero_is_rest=kind not in limits.WAVES)
            self._set(epochs, at_limit, QualityFlag.CLIPPED)
        if self._is_wave or (kind in limits.BREATHING and channel.rate_hz >= limits.LEAST_WAVE_RATE_HZ):
            self._measure_plateaus(x_en, epochs)
        if self._is_wave:
            self._measure_wave(x_en, epochs)
        elif kind in limits.BREATHING and channel.rate_hz >= limits.NOISE_BAND_HZ[0] * 4:
            found = measures.spectrum(x_en, channel.rate_hz, EPOCH_S)
            self._breath[epochs] = found.band(*limits.BREATH_BAND_HZ)
            self._noise[epochs] = found.band(*limits.NOISE_BAND_HZ)
        elif kind in limits.NUMBERS:
            self._measure_number(x_en, epochs)

    def _measure_plateaus(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        self._lowest[epochs], self._highest[epochs] = x_en.min(axis=1), x_en.max(axis=1)
        for side, extreme in enumerate((self._lowest, self._highest)):
            self._plateau[side, epochs] = measures.share_staying(x_en, extreme[epochs])

    def _measure_wave(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        channel, allowed = self._channel, limits.WAVES[self._channel.kind]
        found = measures.spectrum(x_en, channel.rate_hz)
        self._set(epochs, measures.line_noise(found), QualityFlag.LINE_NOISE)
        if channel.kind is not Kind.ECG:  # between its beats a healthy heart is still
            steps_en = measures.steps_over(x_en, channel.rate_hz)
            self._set(epochs, measures.still(steps_en, channel.gain), QualityFlag.FLAT)
            self._set_by_amplitude(epochs, measures.drowned_by_hum(found), QualityFlag.DISCONNECTED)
            if allowed.electrode and channel.rate_hz >= limits.POP_LEAST_HZ:
                self._set_by_amplitude(epochs, measures.pops(x_en, steps_en, channel.rate_hz), QualityFlag.POPS)
        if allowed.electrode and channel.rate_hz >= 2 * limits.HIGH_BAND_HZ[1]:
            loud = found.band(*limits.HIGH_BAND_HZ) > limits.HIGH_TO_LOW * found.band(*limits.LOW_BAND_HZ)
            self._set(epochs, loud, QualityFlag.DISCONNECTED)
        self._set_by_amplitude(epochs, self._sd[epochs] < allowed.flat_sd, QualityFlag.FLAT)
        if allowed.largest is not None:
            self._set_by_amplitude(epochs, measures.beyond(x_en, allowed.largest), QualityFlag.OUT_OF_RANGE)
        if allowed.largest_rms is not None:
            strong = found.band(limits.EMG_BAND_HZ) > allowed.largest_rms**2
            self._set_by_amplitude(epochs, strong, QualityFlag.OUT_OF_RANGE)

    def _measure_number(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        _, bounds = limits.NUMBERS[self._channel.kind]
        off = measures.probe_off(x_en, self._channel.gain)
        self._set(epochs, off, QualityFlag.DISCONNECTED)
        wrong = measures.outside(x_en, bounds)
        if self._channel.kind is Kind.SPO2:
            self._finest = min(self._finest, measures.finest_step(x_en))
            wrong |= measures.jumps(x_en, self._channel.rate_hz, limits.SPO2_JUMP)
        self._set_by_amplitude(epochs, wrong & ~off, QualityFlag.OUT_OF_RANGE)

    def _set(self, epochs: np.ndarray, where: np.ndarray, flag: QualityFlag) -> None:
        self._flags[epochs[where]] |= np.uint8(flag)

    def _set_by_amplitude(self, epochs: np.ndarray, where: np.ndarray, flag: QualityFlag) -> None:
        self._by_amplitude[epochs[where]] |= np.uint8(flag)

    def _add(self, where: np.ndarray, flag: QualityFlag) -> None:
        self._flags[where] |= np.uint8(flag)

    def _unit_is_trusted(self) -> bool:
        """Whether amplitudes mean what their limits suppose."""
        channel = self._channel
        if self.suspicion():
            return False
        if channel.kind in limits.WAVES:
            return channel.unit == limits.UNIT_OF_WAVE[channel.kind]
        if channel.kind not in limits.NUMBERS:
            return False
        unit, (low, high) = limits.NUMBERS[channel.kind]
        known = self._mean[np.isfinite(self._mean)]
        return channel.unit == unit or (not channel.unit and known.size > 0 and low <= float(np.median(known)) <= high)

    def _unmoving(self) -> np.ndarray:
        """Return which epochs are so still that the channel is at fault, not its sleeper."""
        kind = self._channel.kind
        if kind is Kind.SPO2:
            return np.zeros(self._flags.size, dtype=bool)
        if kind in limits.STEADY:
            return _in_a_row(self._constant, limits.STEADY_STILL_EPOCHS)
        if kind in limits.BREATHING:
            return self._constant | _in_a_row(self._still, limits.BREATH_STILL_EPOCHS)
        return self._still

    def _cut_off(self) -> np.ndarray:
        """Return which epochs stay at the channel's own extremes: an amplifier may end before its converter does."""
        gain, breathing = self._channel.gain, self._channel.kind in limits.BREATHING
        lowest, highest = np.nanmin(self._lowest), np.nanmax(self._highest)
        if highest - lowest < limits.PLATEAU_STEPS * abs(gain):
            return np.zeros(self._flags.size, dtype=bool)
        staying = np.zeros(self._flags.size)
        for extreme, extreme_e, share_e in zip((lowest, highest), (self._lowest, self._highest), self._plateau, strict=True):
            if not (breathing and measures.is_zero(float(extreme), gain)):  # flow without a sign rests there
                staying += np.where(extreme_e == extreme, share_e, 0.0)
        return (staying >= limits.CLIPPED_SHARE) & (self._lowest < self._highest)


def _around(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over `width` epochs around each, of those that were measured."""
    known = np.isfinite(values)
    ones = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), ones, mode="full")[width // 2 : width // 2 + values.size]
    count = np.convolve(known.astype(float), ones, mode="full")[width // 2 : width // 2 + values.size]
    return total / np.maximum(count, 1.0)


def _in_a_row(where: np.ndarray, least: int) -> np.ndarray:
    """Return which epochs stand in a run of at least so many."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], where.astype(np.int8), [0]])))
    kept = np.zeros(where.size, dtype=bool)
    for start, stop in edges.reshape(-1, 2):
        kept[start:stop] = stop - start >= least
    return kept


def _frozen(mean: np.ndarray, sd: np.ndarray, width: int, least_sd: float) -> np.ndarray:
    """Return which epochs belong to `width` in a row over which values deviate by less than `least_sd`."""
    frozen = np.zeros(mean.size, dtype=bool)
    if mean.size < width:
        return frozen
    means = np.lib.stride_tricks.sliding_window_view(mean, width)
    sds = np.lib.stride_tricks.sliding_window_view(sd, width)
    spread = np.sqrt(np.var(means, axis=1) + np.mean(np.square(sds), axis=1))
    for start in np.flatnonzero(spread < least_sd):
        frozen[start : start + width] = True
    return frozen
