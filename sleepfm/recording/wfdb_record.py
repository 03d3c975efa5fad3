"""WFDB records (PhysioNet): a text header and the signal files beside it, read a window at a time.

The samples are read by this module and not by the wfdb package, whose reader opens anything that a header names, loads
whole nights for one channel, and does not notice a file that changes. The tests hold the two against each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import accumulate
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording._header_channels import channels_from, label_problems, says_simulated
from sleepfm.recording._source import Allowed, Source
from sleepfm.recording._timeline import first_sample
from sleepfm.recording._wfdb_header import MOST_BYTES, WfdbHeader, WfdbSignal, parse_wfdb_header
from sleepfm.recording._wfdb_samples import SampleFormat
from sleepfm.recording.recording import Annotation, Channel

_BLOCK_BYTES = 8 << 20
"""Frames are fetched in blocks of about this size, so that whole nights need little memory."""


def open_wfdb(
    path: Path | str, *, mapped: bool = False, allow_empty: bool = False, allowed: Allowed | None = None
) -> WfdbRecording:
    """Open a WFDB record by its header; no sample is read.

    Parameters
    ----------
    path
        The header, `<name>.hea`.
    mapped
        Map the signal files into memory: for worker processes only, because a mapped file that shrinks kills its process.
    allow_empty
        Open a record whose signal files hold nothing too (to show the header); otherwise it is refused.
    allowed
        Asked whether the header and each signal file may be opened, see `Source`.

    Raises
    ------
    RequestError
        There is no such file, or it is a folder.
    RecordingError
        The header cannot be trusted, a signal file is missing or outside the folder, or there is no sample.
    """
    path = Path(path)
    with ExitStack() as stack:
        sources = [Source(path, mapped=False, allowed=allowed)]
        stack.callback(sources[0].close)
        header = parse_wfdb_header(sources[0].read_up_to(0, MOST_BYTES + 1).tobytes(), path)
        for name in header.files():
            sources.append(_open_signal_file(path, name, mapped=mapped, allowed=allowed))
            stack.callback(sources[-1].close)
        recording = WfdbRecording(header, sources[0], sources[1:])
        if not recording.duration_s and not allow_empty:
            raise RecordingError(f"{path}: has a header but not one whole sample of each signal; copy the record again.")
        stack.pop_all()
    return recording


class WfdbRecording:
    """An open WFDB record; see `sleepfm.recording.recording.Recording` for what each member means.

    A sample that WFDB marks as invalid (the lowest value of its format) is read as NaN; among digital samples it holds the
    value before it. Reading is thread-safe. Every read raises RecordingChangedError when one of the files changed.
    """

    format = "WFDB"
    gaps: tuple[tuple[float, float], ...] = ()

    def __init__(self, header: WfdbHeader, header_source: Source, sources: Sequence[Source]) -> None:
        self.path: Path = header_source.path
        self.patient: str = " ".join(header.comments)
        self.simulated: bool = says_simulated(header.comments)
        self.start: datetime | None = header.start
        self._sources = (header_source, *sources)
        self._files = [_SignalFile(source, signals) for source, signals in zip(sources, header.files().values(), strict=True)]
        held = min(file.n_frames for file in self._files)
        self._n_frames = held if header.n_frames is None else min(held, header.n_frames)
        self._frames_hz = header.frames_hz
        self.duration_s: float = self._n_frames / header.frames_hz
        self.channels: tuple[Channel, ...] = channels_from(
            [(one.index, one.header.samples * header.frames_hz, one.header) for one in header.signals]
        )
        self._by_index = {channel.index: channel for channel in self.channels}
        self._file_of = {signal.index: file for file in self._files for signal in file.signals}
        self.problems: tuple[str, ...] = (
            *header.problems,
            *label_problems((channel.index, channel.label) for channel in self.channels),
            *_count_problems(header.n_frames, held),
        )

    def segments(self) -> tuple[tuple[float, float], ...]:
        """Return the one contiguous piece (start_s, stop_s), none when there is no sample."""
        return ((0.0, self.duration_s),) if self._n_frames else ()

    def channel(self, index: int) -> Channel:
        """Return the channel with this file index; RequestError when there is none."""
        try:
            return self._by_index[index]
        except KeyError:
            raise RequestError(f"{self.path}: has no channel with index {index}; `sleepfm inspect` lists them.") from None

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        """Return float32 samples in `Channel.unit` with start_s <= time < stop_s; NaN where invalid and outside the recording."""
        return self.read_many((index,), start_s, stop_s)[0]

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        """Return what `read` returns for each index, fetching every frame once.

        Raises
        ------
        RequestError
            Unknown channel, or a window whose ends are not finite or not in order.
        RecordingChangedError
            A file changed under the open record.
        """
        if not (math.isfinite(start_s) and math.isfinite(stop_s) and start_s <= stop_s):
            raise RequestError(f"{self.path}: a window from {start_s} s to {stop_s} s cannot be read.")
        self._check()
        channels = [self.channel(index) for index in indices]
        firsts = [first_sample(start_s, channel.rate_hz) for channel in channels]
        windows = [
            np.full(first_sample(stop_s, channel.rate_hz) - first, np.nan, dtype=np.float32)
            for channel, first in zip(channels, firsts, strict=True)
        ]
        first_frame = max(0, math.floor(start_s * self._frames_hz) - 1)
        last_frame = min(self._n_frames, math.ceil(stop_s * self._frames_hz) + 1)
        for file in self._files:
            wanted = [number for number, channel in enumerate(channels) if self._file_of[channel.index] is file]
            if not wanted:
                continue
            for frame, frames in file.blocks(first_frame, last_frame):
                for number in wanted:
                    channel = channels[number]
                    digital = file.column(frames, channel.index)
                    values = np.where(digital == file.format.lowest, np.nan, digital * channel.gain + channel.offset)
                    _lay(values, frame * file.samples(channel.index) - firsts[number], windows[number])
        return windows

    def digital(self, index: int, segment: int) -> np.ndarray:
        """Return all digital samples of the one segment, (n,) int16, or int32 for formats that need it."""
        self.channel(index)
        if segment != 0 or not self._n_frames:
            raise RequestError(f"{self.path}: has {len(self.segments())} contiguous segments; there is no segment {segment}.")
        self._check()
        file = self._file_of[index]
        pieces = [file.column(frames, index) for _, frames in file.blocks(0, self._n_frames)]
        return _held(np.concatenate(pieces), file.format.lowest)

    def annotations(self) -> tuple[Annotation, ...]:
        """Return nothing: a record's annotations are files of their own (`sleepfm.recording.scorings.wfdb_annotations`)."""
        return ()

    def close(self) -> None:
        """Release the files."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> WfdbRecording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        for source in self._sources:
            source.check()


class _SignalFile:
    """One signal file: frame after frame, in each the samples of its signals one after the other."""

    def __init__(self, source: Source, signals: Sequence[WfdbSignal]) -> None:
        self.signals = signals
        self.format: SampleFormat = signals[0].format
        self._source = source
        self._offset = signals[0].byte_offset
        starts = list(accumulate((signal.header.samples for signal in signals), initial=0))
        self._columns = {signal.index: slice(*starts[k : k + 2]) for k, signal in enumerate(signals)}
        self._frame_samples = starts[-1]
        self.n_frames = self.format.count(source.size - self._offset) // self._frame_samples

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (first frame, (frames, samples a frame) integers) for the frames first to last - 1."""
        step = max(1, _BLOCK_BYTES * self.format.samples // (self._frame_samples * self.format.group))
        for frame in range(first, last, step):
            stop = min(frame + step, last)
            samples = self.format.read(self._source, self._offset, frame * self._frame_samples, stop * self._frame_samples)
            yield frame, samples.reshape(-1, self._frame_samples)

    def samples(self, index: int) -> int:
        """Return how many samples a frame holds of a signal."""
        column = self._columns[index]
        return column.stop - column.start

    def column(self, frames: np.ndarray, index: int) -> np.ndarray:
        """Return one signal's samples in some frames, flattened."""
        return frames[:, self._columns[index]].reshape(-1)


def _open_signal_file(path: Path, name: str, *, mapped: bool, allowed: Allowed | None) -> Source:
    file = path.parent / name
    if allowed is not None:
        allowed(file)  # its reason is another than that of a file which is not there
    try:
        return Source(file, mapped=mapped, allowed=allowed)
    except RequestError:
        if allowed is not None:
            allowed(file)
        raise RecordingError(
            f"{path}: its signal file {name} is not beside it; copy all files of the record into one folder."
        ) from None


def _lay(values: np.ndarray, at: int, window: np.ndarray) -> None:
    """Copy values into a window from its sample `at` on (perhaps before it), what sticks out left aside."""
    low, high = max(at, 0), min(at + values.size, window.size)
    if low < high:
        window[low:high] = values[low - at : high - at]


def _held(digital: np.ndarray, invalid: int) -> np.ndarray:
    """Return the samples with each invalid one replaced by the last valid one before it (at the beginning, the first one)."""
    valid = digital != invalid
    if valid.all() or not valid.any():
        return digital
    last_valid = np.maximum.accumulate(np.where(valid, np.arange(digital.size, dtype=np.int64), -1))
    last_valid[last_valid < 0] = int(np.argmax(valid))
    held: np.ndarray = digital[last_valid]
    return held


def _count_problems(declared: int | None, held: int) -> list[str]:
    if declared is None:
        return [f"The header does not say how many samples there are; the files hold {held} a signal."]
    if declared > held:
        return [f"The header promises {declared} samples a signal but the files hold {held}: their end is missing."]
    if declared < held:
        return [f"The header counts {declared} samples a signal but the files hold {held}; those counted are read."]
    return []
