"""The recordings that windows are drawn from, and reading a window of them as fast as the disk gives it.

Our signals files hold each channel as uncompressed half-precision chunks, so a window is a few plain reads at known places; HDF5
itself is asked only once a file. Files of the published code (compressed, or in single precision) are read through HDF5.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.inference.channel_choice import choose_channels
from sleepfm.models.card import SignalCoding
from sleepfm.progress import Progress, silent
from sleepfm.signals.convert import SIGNAL_SUFFIXES, find_recordings
from sleepfm.signals.hdf5 import open_hdf5
from sleepfm.signals.store import SignalsFile, StoredChannel, open_signals
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import MODEL_RATE_HZ, Modality

_MOST_OPEN = 256
_PUBLISHED_RECIPE = "published"
_EXPONENT = np.uint16(0x7C00)
"""The bits of a half-precision number that are all set when it is no number or infinite."""


class ChannelPlace(NamedTuple):
    """Where one channel's samples lie: `offsets` of its chunks in the file, or none when HDF5 must read them."""

    label: str
    path: str
    n_samples: int
    chunk: int
    offsets: tuple[int, ...] | None


@dataclass(frozen=True)
class TrainingRecording:
    """One recording of the store, ready to be read in windows.

    Attributes
    ----------
    id
        The study's id.
    channels
        Of each modality of the encoder that is there.
    n_samples
        Length of its longest channel at 128 Hz.
    gaps
        Stretches (start, stop) in samples without any signal.
    """

    id: str
    path: Path
    channels: dict[Modality, tuple[ChannelPlace, ...]]
    n_samples: int
    gaps: tuple[tuple[int, int], ...]
    simulated: bool

    def starts(self, length: int, offset: int = 0) -> list[int]:
        """Return where whole windows of `length` samples start, one behind the other from `offset` on, none touching a gap."""
        found = range(offset, self.n_samples - length + 1, length)
        return [start for start in found if not any(a < start + length and start < b for a, b in self.gaps)]


@dataclass(frozen=True)
class LeftOutRecording:
    """A recording that is not used, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Store:
    """The recordings that were found, those that cannot be used, and the reader of their windows."""

    recordings: tuple[TrainingRecording, ...]
    left_out: tuple[LeftOutRecording, ...]
    reader: WindowReader = field(repr=False)


def open_store(paths: Sequence[Path], coding: SignalCoding, *, least_samples: int, progress: Progress = silent) -> Store:
    """Look through signals files of either layout.

    Parameters
    ----------
    paths
        Files, or folders that are searched.
    coding
        What the encoder takes: recipe, kinds and number of channels by modality.
    least_samples
        A recording shorter than this is left out.

    Raises
    ------
    RequestError
        A path is missing, or nothing usable is there.
    """
    files = find_recordings(list(paths), SIGNAL_SUFFIXES)
    recordings, left_out = [], []
    taken: set[str] = set()
    for number, file in enumerate(files):
        progress(number / len(files), f"looking through {file.name}")
        identifier = study_id(file, taken)
        taken.add(identifier)
        try:
            recordings.append(look_through(file, identifier, coding, least_samples))
        except SleepFMError as error:
            left_out.append(LeftOutRecording(identifier, str(error)))
    if not recordings:
        why = f"; {left_out[0].id}: {left_out[0].reason}" if left_out else ""
        raise RequestError(f"{', '.join(map(str, paths))}: no recording can be used{why}")
    return Store(tuple(recordings), tuple(left_out), WindowReader())


def look_through(path: Path, identifier: str, coding: SignalCoding, least_samples: int) -> TrainingRecording:
    """Return one signals file, ready to be read; SleepFMError, with the reason, when it is of no use (see `open_store`)."""
    with open_signals(path) as signals:
        recipe = signals.recipe or _PUBLISHED_RECIPE
        if recipe != coding.recipe:
            raise RecordingError(
                f"was made by the recipe {recipe}, not {coding.recipe}; convert it with --recipe {coding.recipe}"
            )
        if signals.n_samples < least_samples:
            raise RecordingError(
                f"is {signals.n_samples / MODEL_RATE_HZ:.0f} s long, shorter than one window of"
                f" {least_samples / MODEL_RATE_HZ:.0f} s"
            )
        chosen, _ = choose_channels(signals, coding, {})
        if not chosen:
            raise RecordingError(f"has no usable channel of {', '.join(coding.modalities)}")
        places = {modality: tuple(_place(signals, channel) for channel in channels) for modality, channels in chosen.items()}
        gaps = tuple((int(a * MODEL_RATE_HZ), int(np.ceil(b * MODEL_RATE_HZ))) for a, b in signals.gaps)
        return TrainingRecording(identifier, path, places, signals.n_samples, gaps, signals.simulated)


def _place(signals: SignalsFile, channel: StoredChannel) -> ChannelPlace:
    dataset = signals.dataset(channel)
    plain = dataset.dtype == np.float16 and dataset.compression is None and dataset.chunks and not dataset.shuffle
    offsets: list[int] | None = None
    chunk = int(dataset.chunks[0]) if dataset.chunks else 0
    if plain and dataset.id.get_num_chunks() == -(-channel.n_samples // chunk):
        offsets = [0] * dataset.id.get_num_chunks()

        def note(info: h5py.h5d.StoreInfo) -> None:
            assert offsets is not None
            offsets[info.chunk_offset[0] // chunk] = info.byte_offset

        dataset.id.chunk_iter(note)
    return ChannelPlace(channel.label, channel.path, channel.n_samples, chunk, tuple(offsets) if offsets else None)


class WindowReader:
    """Reads stretches of channels; keeps the files that it read last open. Any thread may call it."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, recording: TrainingRecording, channels: Sequence[ChannelPlace], start: int, out_rt: np.ndarray) -> None:
        """Fill (channel, time) float16 with the samples from `start` on; zeros behind a channel's end.

        Raises
        ------
        RecordingError
            The file vanished, was cut or replaced, or holds values that are not numbers.
        """
        try:
            file = self._file(recording.path)
            try:
                for row, place in zip(out_rt, channels, strict=True):
                    file.read(place, start, row)
            finally:
                with self._lock:
                    file.users -= 1
        except (OSError, KeyError, ValueError) as error:
            raise RecordingError(f"{recording.id}: cannot be read ({error}); convert the recording again") from None
        if ((out_rt.view(np.uint16) & _EXPONENT) == _EXPONENT).any():
            raise RecordingError(f"{recording.id}: holds values that are not numbers after {start / MODEL_RATE_HZ:.0f} s")

    def _file(self, path: Path) -> _OpenFile:
        with self._lock:
            file = self._open.pop(path, None) or _OpenFile(path)
            self._open[path] = file
            file.users += 1
            idle = [p for p, one in self._open.items() if one.users == 0][: max(0, len(self._open) - _MOST_OPEN)]
            for old in idle:
                self._open.pop(old).close()
            return file

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()


class _OpenFile:
    """A signals file, opened twice over: for plain reads, and when need be through HDF5."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._hdf5: h5py.File | None = None
        self._lock = threading.Lock()
        self.users = 0

    def read(self, place: ChannelPlace, start: int, row_t: np.ndarray) -> None:
        stop = min(start + len(row_t), place.n_samples)
        row_t[max(0, stop - start) :] = 0
        if place.offsets is None:
            with self._lock:
                if self._hdf5 is None:
                    self._hdf5 = open_hdf5(self._path)
                row_t[: max(0, stop - start)] = self._hdf5[place.path][start:stop]
            return
        at = start
        while at < stop:
            number, within = divmod(at, place.chunk)
            count = min(place.chunk - within, stop - at)
            self._fill(row_t[at - start : at - start + count], place.offsets[number] + 2 * within)
            at += count

    def _fill(self, part_t: np.ndarray, where: int) -> None:
        view = memoryview(part_t.data).cast("B")
        if hasattr(os, "preadv"):
            got = os.preadv(self._descriptor, [view], where)
        else:  # Windows has no positioned reads
            with self._lock:
                os.lseek(self._descriptor, where, os.SEEK_SET)
                content = os.read(self._descriptor, len(view))
            got = len(content)
            view[:got] = content
        if got != len(view):
            raise OSError("the file ends too early")

    def close(self) -> None:
        os.close(self._descriptor)
        if self._hdf5 is not None:
            self._hdf5.close()
