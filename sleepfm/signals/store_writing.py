"""Writing a recording's model-ready signals as one HDF5 file that appears whole or not at all.

The datasets are not compressed. Measured on the benchmark night (16 channels x 8 h, float16; write, read, size):
uncompressed 0.06 s, 0.03 s, 118 MB; gzip with shuffle 1.95 s, 0.43 s, 96 MB; lzf 0.99 s, 0.05 s, 117 MB; bitshuffle + lz4
0.20 s, 0.08 s, 106 MB, but then nobody reads the file without a plug-in. Standardised float16 is mostly noise: the tenth of
the disk it would save is not worth that.
"""

from __future__ import annotations

import glob
import io
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from sleepfm import __version__
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.signals.dataset_names import encode
from sleepfm.vocabulary import MODEL_RATE_HZ, WINDOW_SAMPLES, Kind, Modality

Layout = Literal["grouped", "flat"]
LAYOUTS: tuple[Layout, ...] = ("grouped", "flat")

_ABANDONED_S = 24 * 3600.0
"""A temporary file this old belongs to a process that was killed."""


@dataclass(frozen=True)
class SignalsHeader:
    """What the file says about the recording as a whole (see contracts, "Signals")."""

    record_id: str
    layout: Layout
    recipe: str
    duration_s: float
    start: datetime | None
    gaps: tuple[tuple[float, float], ...]
    simulated: bool


@dataclass(frozen=True, eq=False)
class SignalToStore:
    """One channel: z (n,) float16 at 128 Hz, original = z * std + mean in `unit`; `name` is unique within the file.

    `index` is the channel's position in the recording; HDF5 lists by name, so this keeps the order.
    """

    name: str
    index: int
    label: str
    modality: Modality
    kind: Kind
    rate_hz: float
    unit: str
    mean: float
    std: float
    flat: bool
    z: np.ndarray


class SignalsWriter:
    """Adds channels to a file that is being written; made by `create_signals`."""

    def __init__(self, file: h5py.File, disk: _Disk, header: SignalsHeader) -> None:
        self._file = file
        self._disk = disk
        self._header = header

    def add(self, signal: SignalToStore) -> None:
        """Append one channel."""
        where = f"{encode(self._header.record_id)}/{signal.modality}/" if self._header.layout == "grouped" else ""
        with self._disk.watched():
            dataset = self._file.create_dataset(
                where + signal.name, data=signal.z, dtype=np.float16, chunks=(WINDOW_SAMPLES,), maxshape=(None,)
            )
            dataset.attrs.update(
                sampling_frequency=MODEL_RATE_HZ,
                original_label=_storable(signal.label),
                original_index=signal.index,
                original_rate=signal.rate_hz,
                original_unit=_storable(signal.unit),
                mean=signal.mean,
                std=signal.std,
                flat=signal.flat,
                kind=str(signal.kind),
                modality=str(signal.modality),
            )

    def set_source(self, sha256: str) -> None:
        """Record the hash of the file the signals came from."""
        with self._disk.watched():
            self._file.attrs["source_sha256"] = sha256


@contextmanager
def create_signals(path: Path, header: SignalsHeader) -> Iterator[SignalsWriter]:
    """Write a signals file; `path` is replaced when the block ends well and untouched when it does not.

    Raises
    ------
    RequestError
        The layout is not known, or the folder cannot be made.
    SleepFMError
        The file cannot be written (disk full, no permission); nothing is left behind.
    """
    if header.layout not in LAYOUTS:
        raise RequestError(f"unknown layout {header.layout!r}: use one of {', '.join(LAYOUTS)}")
    make_folder(path.parent)
    _sweep(path)
    temporary = path.with_name(f"{_temporary_start(path)}{uuid.uuid4().hex}.tmp")
    with _refusals(path):
        disk = _Disk(temporary, path)
    try:
        with disk.watched():
            # The 1.8 file format is the oldest that takes attributes above 64 kB (recordings with thousands of gaps).
            file = h5py.File(disk, "w", libver=("v108", "v110"))
        with disk.watched(), file:
            _write_header(file, header)
            yield SignalsWriter(file, disk, header)
        with _refusals(path):
            disk.close()
            temporary.replace(path)
    finally:
        with suppress(OSError):  # said already, or of no matter for a file that is thrown away
            disk.close()
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make the folder that results go to; RequestError when the system refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder}: cannot be made or is no folder ({error.strerror}); choose another --out.") from None


class _Disk(io.FileIO):
    """The file below HDF5, which keeps its first failure for `watched` to raise.

    HDF5 writes much of its data when it closes its objects, where h5py can only print an error and go on: a full disk would
    give a damaged file that looks finished. So a failed write is remembered, HDF5 is told that all is well and closes in peace,
    and the failure is raised here.
    """

    def __init__(self, temporary: Path, path: Path) -> None:
        super().__init__(temporary, "w+")
        self._path = path
        self._failure: BaseException | None = None

    def write(self, data: Any, /) -> int:
        """Write all of data (an ordinary write may write less)."""
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view) and self._failure is None:
            try:
                done += super().write(view[done:])
            except BaseException as error:  # raised later, Ctrl-C too: an exception must not pass through HDF5
                self._failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's size."""
        try:
            return super().truncate(size)
        except BaseException as error:
            self._failure = self._failure or error
            return size or 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raise a failed write at the end of the block, or in the place of what it led to."""
        try:
            yield
        except Exception:
            self._raise()
            raise
        self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            with _refusals(self._path):
                raise self._failure


def _write_header(file: h5py.File, header: SignalsHeader) -> None:
    file.attrs.update(
        record_id=_storable(header.record_id),
        layout=header.layout,
        recipe=header.recipe,
        sleepfm_version=__version__,
        duration_s=header.duration_s,
        start=header.start.isoformat() if header.start else "",
        gaps=np.array(header.gaps, dtype=np.float64).reshape(-1, 2),
        simulated=header.simulated,
    )
    if header.layout == "grouped":
        file.create_group(encode(header.record_id))


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    """Say in one line why the system refused to write."""
    try:
        yield
    except OSError as error:
        raise SleepFMError(
            f"{path}: cannot be written ({error.strerror}); free some disk space or choose another --out."
        ) from error


def _temporary_start(path: Path) -> str:
    return f".{path.name[:200]}."  # a name and what is added to it must stay below 255 bytes


def _sweep(path: Path) -> None:
    """Remove what a killed process left of this very file, a day or more ago."""
    for left in path.parent.glob(f"{glob.escape(_temporary_start(path))}*.tmp"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


def _storable(text: str) -> str:
    """Return text that an HDF5 attribute can hold: no NUL, no halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
