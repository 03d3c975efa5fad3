"""Writing a recording's model-ready signals as one HDF5 file that appears whole or not at all.

The datasets are not compressed. Measured on the benchmark night (16 channels x 8 h, float16; write, read, size):
uncompressed 0.06 s, 0.03 s, 118 MB; gzip with shuffle 1.95 s, 0.43 s, 96 MB; lzf 0.99 s, 0.05 s, 117 MB; bitshuffle + lz4
0.20 s, 0.08 s, 106 MB, but then nobody reads the file without a plug-in. Standardised float16 is mostly noise: the tenth of
the disk it would save is not worth that.
"""

from __future__ import annotations

import glob
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

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

    def __init__(self, file: h5py.File, header: SignalsHeader, path: Path) -> None:
        self._file = file
        self._header = header
        self._path = path

    def add(self, signal: SignalToStore) -> None:
        """Append one channel."""
        with _write_errors(self._path):
            where = f"{encode(self._header.record_id)}/{signal.modality}/" if self._header.layout == "grouped" else ""
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
        with _write_errors(self._path):
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{path.parent}: cannot be made or is no folder ({error.strerror}); choose another --out.") from None
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with _write_errors(path):
            # The 1.8 file format is the oldest that takes attributes above 64 kB (recordings with thousands of gaps).
            file = h5py.File(temporary, "w", libver=("v108", "v110"), locking=False)
        try:
            with _write_errors(path):
                _write_header(file, header)
            yield SignalsWriter(file, header, path)
        except BaseException:
            with suppress(OSError, RuntimeError):  # the file is thrown away; what stopped the work is already under way
                file.close()
            raise
        with _write_errors(path):
            file.close()
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
def _write_errors(path: Path) -> Iterator[None]:
    """Turn what HDF5 and the system say about a failed write into one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error).splitlines()[0]
        raise SleepFMError(f"{path}: cannot be written ({reason}); free some disk space or choose another --out.") from error


def _sweep(path: Path) -> None:
    """Remove what a killed process left of this very file, a day or more ago."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


def _storable(text: str) -> str:
    """Return text that an HDF5 attribute can hold: no NUL, no halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
