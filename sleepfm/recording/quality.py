"""Signal quality by channel and 30-s epoch: flat, clipped, disconnected, line noise, out of range, gap; and unit suspicion."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, silent
from sleepfm.recording import _epoch_measures as measures
from sleepfm.recording import _quality_limits as limits
from sleepfm.recording.recording import Channel, Recording
from sleepfm.vocabulary import EPOCH_S, Kind

_CHUNK_BYTES = 48 << 20
"""Samples read at once, as float32."""


class QualityFlag(IntFlag):
    """What may be wrong with an epoch of a channel."""

    GOOD = 0
    FLAT = 1
    CLIPPED = 2
    DISCONNECTED = 4
    LINE_NOISE = 8
    OUT_OF_RANGE = 16
    GAP = 32


UNUSABLE = QualityFlag.FLAT | QualityFlag.CLIPPED | QualityFlag.DISCONNECTED | QualityFlag.OUT_OF_RANGE
"""Flags that make an epoch bad. Line noise can be filtered away, and a gap is no fault of the channel."""
FLAG_WORDS: dict[QualityFlag, str] = {
    QualityFlag.FLAT: "flat",
    QualityFlag.CLIPPED: "clipped",
    QualityFlag.DISCONNECTED: "disconnected",
    QualityFlag.LINE_NOISE: "line noise",
    QualityFlag.OUT_OF_RANGE: "out of range",
    QualityFlag.GAP: "no data",
}


@dataclass(frozen=True)
class QualityReport:
    """The quality of a recording.

    Attributes
    ----------
    channels
        File indices of the channels, one a row of `flags`.
    judged
        (n_channels,) bool: channels that feed the model; of the others only gaps are known.
    flags
        (n_channels, n_epochs) uint8 of `QualityFlag`, on the grid of epochs from the recording's start; the last epoch may be
        incomplete.
    suspicions
        For each channel why its unit is suspected to be wrong, a sentence, or "".
    """

    channels: tuple[int, ...]
    judged: np.ndarray
    flags: np.ndarray
    suspicions: tuple[str, ...]

    def of(self, index: int) -> np.ndarray:
        """Return (n_epochs,) flags of the channel with this file index; RequestError when there is none."""
        row: np.ndarray = self.flags[self._row(index)]
        return row

    def share(self, index: int, flag: QualityFlag) -> float:
        """Return the share of the channel's epochs with data (of all epochs for GAP) that carry any of these flags."""
        row = self.of(index)
        if flag is not QualityFlag.GAP:
            row = row[(row & QualityFlag.GAP) == 0]
        return float(np.mean((row & flag) != 0)) if row.size else 0.0

    def is_bad(self, index: int) -> bool:
        """Whether more than half of the channel's epochs are unusable, or an hour without a break."""
        if self.share(index, UNUSABLE) > limits.BAD_SHARE:
            return True
        bad = (self.of(index) & UNUSABLE) != 0
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
        return bool(edges.size) and int((edges[1::2] - edges[::2]).max()) * EPOCH_S >= limits.BAD_RUN_S

    def bad_channels(self) -> tuple[int, ...]:
        """Return the file indices of the bad channels."""
        return tuple(index for index in self.channels if self.is_bad(index))

    def share_good(self) -> float:
        """Return the share of usable epochs of all channels that feed the model; 0 when there are none."""
        rows = self.flags[self.judged]
        with_data = (rows & QualityFlag.GAP) == 0
        return float(np.mean((rows[with_data] & UNUSABLE) == 0)) if with_data.any() else 0.0

    def words(self, index: int) -> str:
        """Return the channel's quality in a few words: "12 % flat, 3 % clipped", "good"; the unit suspicion behind it."""
        shares = [(self.share(index, flag), word) for flag, word in FLAG_WORDS.items()]
        found = [f"{100 * share:.0f} % {word}" if share >= 0.01 else f"<1 % {word}" for share, word in shares if share]
        row = self._row(index)
        said = ", ".join(found) or ("good" if self.judged[row] and self.flags.shape[1] else "not judged")
        return f"{said}; {self.suspicions[row]}" if self.suspicions[row] else said

    def save(self, path: Path) -> None:
        """Write the report to an .npz file, atomically; SleepFMError when the disk is full or the folder cannot be written."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                channels=np.array(self.channels, dtype=np.int32),
                judged=self.judged,
                flags=self.flags,
                suspicions=np.frombuffer(json.dumps(self.suspicions).encode("ascii"), dtype=np.uint8),
            )

    @classmethod
    def load(cls, path: Path) -> QualityReport:
        """Read what `save` wrote; RecordingError when it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(
                    channels=tuple(int(index) for index in stored["channels"]),
                    judged=stored["judged"],
                    flags=stored["flags"],
                    suspicions=tuple(json.loads(stored["suspicions"].tobytes())),
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RecordingError(f"{path}: is no quality report ({error}); delete it and it is made again.") from None

    def _row(self, index: int) -> int:
        try:
            return self.channels.index(index)
        except ValueError:
            raise RequestError(f"the quality report has no channel with index {index}") from None


def assess(recording: Recording, progress: Progress = silent) -> QualityReport:
    """Judge every epoch of every channel; channels of no modality only for gaps.

    Reads the file once, in pieces of some 50 MB.
    """
    channels = recording.channels
    n_epochs = int(np.ceil(recording.duration_s / EPOCH_S - 1e-9))
    judges = [_Judge(channel, n_epochs) for channel in channels]
    rate = sum(channel.rate_hz for channel in channels)
    step = int(max(1, min(60, _CHUNK_BYTES / (4 * EPOCH_S * rate)))) if channels else 1
    for first in range(0, n_epochs, step):
        last = min(first + step, n_epochs)
        progress(first / n_epochs, "Judging signal quality")
        stop_s = min(last * EPOCH_S, recording.duration_s)
        windows = recording.read_many([channel.index for channel in channels], first * EPOCH_S, stop_s)
        for judge, window in zip(judges, windows, strict=True):
            judge.look(window, first, last)
    progress(1.0, "Judging signal quality")
    return QualityReport(
        channels=tuple(channel.index for channel in channels),
        judged=np.array([channel.modality is not None for channel in channels], dtype=bool),
        flags=np.stack([judge.flags() for judge in judges]) if judges else np.zeros((0, n_epochs), dtype=np.uint8),
        suspicions=tuple(judge.suspicion() for judge in judges),
    )


class _Judge:
    """Collects the measures of one channel and says at the end what they mean."""

    def __init__(self, channel: Channel, n_epochs: int) -> None:
        self._channel = channel
        self._flags = np.zeros(n_epochs, dtype=np.uint8)
        self._sd, self._mean = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._breath, self._noise = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._finest = np.inf
        self._by_amplitude = np.zeros(n_epochs, dtype=np.uint8)
        self._lowest, self._highest = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
        self._plateau = np.zeros((2, n_epochs))

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
        if self._channel.modality is None:
            return
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

    def _measure(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        channel, kind = self._channel, self._channel.kind
        self._sd[epochs], self._mean[epochs] = x_en.std(axis=1, dtype=np.float64), x_en.mean(axis=1, dtype=np.float64)
        if kind not in limits.NEVER_CLIPPED:
            self._set(epochs, measures.clipped(x_en, channel), QualityFlag.CLIPPED)
            self._set(epochs, measures.constant(x_en, channel.gain), QualityFlag.FLAT)
        if (kind in limits.WAVES or kind in limits.BREATHING) and channel.rate_hz >= limits.LEAST_WAVE_RATE_HZ:
            self._measure_plateaus(x_en, epochs)
        if kind in limits.WAVES and channel.rate_hz >= limits.LEAST_WAVE_RATE_HZ:
            self._measure_wave(x_en, epochs)
        elif kind in limits.BREATHING and channel.rate_hz >= limits.NOISE_BAND_HZ[0] * 4:
            found = measures.spectrum(x_en, channel.rate_hz, EPOCH_S)
            self._breath[epochs] = found.band(*limits.BREATH_BAND_HZ)
            self._noise[epochs] = found.band(*limits.NOISE_BAND_HZ)
        elif kind in {Kind.SPO2, Kind.PULSE}:
            bounds = limits.SPO2_RANGE if kind is Kind.SPO2 else limits.PULSE_RANGE
            off = measures.probe_off(x_en)
            self._set(epochs, off, QualityFlag.DISCONNECTED)
            wrong = measures.outside(x_en, bounds)
            if kind is Kind.SPO2:
                self._finest = min(self._finest, measures.finest_step(x_en))
                wrong |= measures.jumps(x_en, channel.rate_hz, limits.SPO2_JUMP)
            self._set(epochs, wrong & ~off, QualityFlag.OUT_OF_RANGE)

    def _measure_plateaus(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        self._lowest[epochs], self._highest[epochs] = x_en.min(axis=1), x_en.max(axis=1)
        for side, extreme in enumerate((self._lowest, self._highest)):
            self._plateau[side, epochs] = measures.share_staying(x_en, extreme[epochs])

    def _measure_wave(self, x_en: np.ndarray, epochs: np.ndarray) -> None:
        channel, allowed = self._channel, limits.WAVES[self._channel.kind]
        self._set(epochs, measures.still(x_en, channel.gain), QualityFlag.FLAT)
        found = measures.spectrum(x_en, channel.rate_hz)
        self._set(epochs, measures.line_noise(found), QualityFlag.LINE_NOISE)
        if allowed.high_frequency and channel.rate_hz >= 2 * limits.HIGH_BAND_HZ[1]:
            loud = found.band(*limits.HIGH_BAND_HZ) > limits.HIGH_TO_LOW * found.band(*limits.LOW_BAND_HZ)
            self._set(epochs, loud, QualityFlag.DISCONNECTED)
        if channel.unit != limits.UNIT_OF_WAVE[channel.kind]:  # amplitudes mean nothing without their unit
            return
        judged = [(self._sd[epochs] < allowed.flat_sd, QualityFlag.FLAT)]
        if allowed.largest is not None:
            beyond = (np.abs(x_en - np.median(x_en, axis=1, keepdims=True)) > allowed.largest).mean(axis=1)
            judged.append((beyond >= limits.BEYOND_SHARE, QualityFlag.OUT_OF_RANGE))
        if allowed.largest_rms is not None:
            judged.append((self._sd[epochs] > allowed.largest_rms, QualityFlag.OUT_OF_RANGE))
        for where, flag in judged:
            self._by_amplitude[epochs[where]] |= np.uint8(flag)

    def _set(self, epochs: np.ndarray, where: np.ndarray, flag: QualityFlag) -> None:
        self._flags[epochs[where]] |= np.uint8(flag)

    def flags(self) -> np.ndarray:
        """Return (n_epochs,) uint8, with what only shows over several epochs or once the unit is trusted."""
        if not self._flags.size:
            return self._flags
        everywhere = np.arange(self._flags.size)
        if not self.suspicion():
            self._flags |= self._by_amplitude
        if np.isfinite(self._highest).any():
            self._set(everywhere, self._cut_off(), QualityFlag.CLIPPED)
        if self._channel.kind in limits.BREATHING:
            breath, noise = _around(self._breath, limits.BREATH_EPOCHS), _around(self._noise, limits.BREATH_EPOCHS)
            drowned = np.isfinite(self._noise) & (breath < limits.BREATH_TO_NOISE * noise)
            self._set(everywhere, drowned, QualityFlag.DISCONNECTED)
        if self._channel.kind is Kind.SPO2:
            whole = self._finest >= limits.SPO2_WHOLE_STEP
            width = limits.SPO2_WHOLE_FLAT_EPOCHS if whole else limits.SPO2_FLAT_EPOCHS
            least = limits.SPO2_WHOLE_FLAT_SD if whole else limits.SPO2_FLAT_SD
            self._set(everywhere, _frozen(self._mean, self._sd, width, least), QualityFlag.FLAT)
        return self._flags

    def _cut_off(self) -> np.ndarray:
        """Return which epochs stay at the channel's own extremes: an amplifier may end before its converter does."""
        lowest, highest = np.nanmin(self._lowest), np.nanmax(self._highest)
        if highest - lowest < limits.PLATEAU_STEPS * abs(self._channel.gain):
            return np.zeros(self._flags.size, dtype=bool)
        staying = np.where(self._lowest == lowest, self._plateau[0], 0.0) + np.where(
            self._highest == highest, self._plateau[1], 0.0
        )
        varying = self._lowest < self._highest
        return (staying >= limits.CLIPPED_SHARE) & varying

    def suspicion(self) -> str:
        """Return why the unit is suspected to be wrong, "" when it is not."""
        channel, kind = self._channel, self._channel.kind
        sd, mean = self._sd[self._sd > 0], self._mean[np.isfinite(self._mean)]
        if kind in limits.WAVES and channel.unit == limits.UNIT_OF_WAVE[kind] and sd.size:
            low, high = limits.WAVES[kind].usual_sd
            usual = float(np.median(sd))
            if low / 10 < usual < high * 10:
                return ""
            return f"unit suspected: it varies by {usual:.2g} {channel.unit} where {low:g} to {high:g} {channel.unit} is usual"
        if kind is Kind.SPO2 and mean.size and 0.3 < (usual := float(np.median(mean))) <= 1.0:
            return f"unit suspected: {usual:.2f} looks like a fraction, not a percentage"
        return ""


def _around(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over `width` epochs around each, of those that were measured."""
    known = np.isfinite(values)
    ones = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), ones, mode="full")[width // 2 : width // 2 + values.size]
    count = np.convolve(known.astype(float), ones, mode="full")[width // 2 : width // 2 + values.size]
    return total / np.maximum(count, 1.0)


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
