"""Reading model-ready signals from HDF5: our files in both layouts, and flat files made by the published code.

Nothing is held in memory but the window that is asked for. Files are opened without HDF5's locks: they are replaced whole and
never changed in place, and network folders often cannot lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import h5py
import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording.channels import place
from sleepfm.signals.hdf5 import open_hdf5
from sleepfm.signals.store_writing import Layout
from sleepfm.vocabulary import MODEL_RATE_HZ, TOKEN_SAMPLES, WINDOW_SAMPLES, Kind, Modality

_LONGEST_S = 31 * 86400
"""A month, as for recordings."""
_MOST_DATASETS = 2000
_MOST_CHUNK_BYTES = 64 << 20
"""A night of 9 h in one piece has 17 MB as float32."""


@dataclass(frozen=True)
class StoredChannel:
    """One channel of a signals file.

    Attributes
    ----------
    name
        The dataset's name, unique within the file.
    label
        The label as the recording had it. Hostile text: escape before showing.
    path
        Where the dataset lies in the file.
    rate_hz, unit
        Of the recording; None and "" in files made by the published code.
    mean, std
        original = z * std + mean, in `unit`; None in files made by the published code.
    flat
        The channel never changes (all zeros): leave it out of inference, and name it.
    """

    name: str
    label: str
    modality: Modality
    kind: Kind
    n_samples: int
    rate_hz: float | None
    unit: str
    mean: float | None
    std: float | None
    flat: bool
    path: str


class Window(NamedTuple):
    """Five minutes of one modality."""

    x_ct: np.ndarray
    """(n_channels, 38400) float32; zeros after the end of the recording."""
    valid_samples: int
    """How many samples lie within the recording."""
    valid_tokens: int
    """How many 5-s tokens hold at least one sample of the recording."""


class SignalsFile:
    """An open signals file; made by `open_signals`.

    Attributes
    ----------
    layout, record_id, recipe, source_sha256, start, gaps, simulated
        As `convert` wrote them; files made by the published code have no recipe, hash or start ("" and None).
    channels
        The channels with a modality, in file order.
    left_out
        (label, reason) of datasets that are not used.
    n_samples, duration_s
        Length of the longest channel at 128 Hz, and the recording's duration.
    """

    def __init__(self, file: h5py.File, path: Path) -> None:
        self._file = file
        self.path = path
        attributes = file.attrs
        self.layout: Layout = _layout(file)
        self.recipe: str = _text(attributes.get("recipe", ""))
        self.source_sha256: str = _text(attributes.get("source_sha256", ""))
        start = _text(attributes.get("start", ""))
        self.start: datetime | None = datetime.fromisoformat(start) if start else None
        self.gaps: tuple[tuple[float, float], ...] = tuple((float(a), float(b)) for a, b in attributes.get("gaps", ()))
        self.simulated: bool = bool(attributes.get("simulated", False))
        self.record_id, self.channels, self.left_out = _list_channels(file, path, self.layout)
        self.n_samples: int = max((channel.n_samples for channel in self.channels), default=0)
        self.duration_s: float = float(attributes.get("duration_s", self.n_samples / MODEL_RATE_HZ))
        times = (self.duration_s, *(time for gap in self.gaps for time in gap))
        if not all(0 <= time <= _LONGEST_S for time in times):  # nor is a time that is no number
            raise ValueError("its duration or gaps are no times of a recording")

    @property
    def n_windows(self) -> int:
        """Number of 5-min windows, a last one that is not full included."""
        return -(-self.n_samples // WINDOW_SAMPLES)

    def modalities(self) -> dict[Modality, tuple[StoredChannel, ...]]:
        """Return the modalities that are present, in the vocabulary's order, with their channels in file order."""
        by_modality = {m: tuple(c for c in self.channels if c.modality == m) for m in Modality}
        return {modality: channels for modality, channels in by_modality.items() if channels}

    def dataset(self, channel: StoredChannel) -> h5py.Dataset:
        """Return a channel's dataset, to see how it is stored."""
        return self._file[channel.path]

    def window(self, modality: Modality, k: int, channels: Sequence[StoredChannel] | None = None) -> Window:
        """Read the window k (from 0) of a modality, or of some of its channels.

        Raises
        ------
        RequestError
            The file has no such modality or window.
        """
        if channels is None:
            channels = self.modalities().get(modality, ())
            if not channels:
                raise RequestError(f"{self.path}: has no {modality} channel.")
        if not 0 <= k < self.n_windows:
            raise RequestError(f"{self.path}: has {self.n_windows} windows; there is no window {k}.")
        first = k * WINDOW_SAMPLES
        x_ct = np.zeros((len(channels), WINDOW_SAMPLES), np.float32)
        for row, channel in zip(x_ct, channels, strict=True):
            z = self.read(channel, first, first + WINDOW_SAMPLES)
            row[: len(z)] = z
        valid = min(WINDOW_SAMPLES, self.n_samples - first)
        return Window(x_ct, valid, -(-valid // TOKEN_SAMPLES))

    def read(
        self,
        channel: StoredChannel,
        start: int = 0,
        stop: int | None = None,
        *,
        units: Literal["standardised", "original"] = "standardised",
    ) -> np.ndarray:
        """Return samples start..stop-1 of one channel, (n,) float32: z-scores, or in the channel's own unit.

        Original units are those of the resampled signal, to half precision (11 bits of z).

        Raises
        ------
        RequestError
            Original units are asked for and the file does not say what they were.
        RecordingError
            The file is damaged.
        """
        try:
            z: np.ndarray = self._file[channel.path][start:stop].astype(np.float32)
        except OSError as error:
            raise RecordingError(
                f"{self.path}: {channel.name!r} cannot be read ({error}); convert the recording again."
            ) from error
        if units == "standardised":
            return z
        if channel.mean is None or channel.std is None:
            raise RequestError(
                f"{self.path}: does not say the units of {channel.name!r}; convert the recording with `sleepfm convert`."
            )
        return z * np.float32(channel.std) + np.float32(channel.mean)


@contextmanager
def open_signals(path: Path | str) -> Iterator[SignalsFile]:
    """Open a signals file of either layout for reading.

    Raises
    ------
    RequestError
        There is no such file.
    RecordingError
        It is no HDF5 file, is damaged, holds no signals at 128 Hz, or has data in another file.
    """
    path = Path(path)
    if not path.is_file():
        raise RequestError(f"{path}: there is no such file; check the path.")
    try:
        file = open_hdf5(path)
    except OSError as error:
        raise RecordingError(f"{path}: is no HDF5 file or is damaged ({error}); convert the recording again.") from error
    with file:
        try:
            signals = SignalsFile(file, path)
        except (ValueError, TypeError, KeyError, OSError, RuntimeError) as error:  # whatever a foreign or damaged file holds
            raise RecordingError(f"{path}: is no file of signals ({error}); convert the recording again.") from error
        yield signals


def _layout(file: h5py.File) -> Layout:
    """Return the layout: as the file says, else grouped when modalities stand below the root's groups."""
    said = _text(file.attrs.get("layout", ""))
    if said in ("grouped", "flat"):
        return "grouped" if said == "grouped" else "flat"
    groups = [item for item in file.values() if isinstance(item, h5py.Group)]
    return "grouped" if any(name in set(Modality) for group in groups for name in group) else "flat"


def _list_channels(
    file: h5py.File, path: Path, layout: Layout
) -> tuple[str, tuple[StoredChannel, ...], tuple[tuple[str, str], ...]]:
    """Return the record's id, its channels and what is left out with reasons."""
    record_id, root = path.stem, file
    if layout == "grouped":
        if len(file) != 1:
            raise RecordingError(f"{path}: holds {len(file)} recordings, not one; convert the recording again.")
        record_id, root = next(iter(file.items()))
    datasets: list[tuple[str, h5py.Dataset]] = []
    # The published code writes a label with a slash as a group and a dataset in it, so flat files may be deep too.
    root.visititems(lambda name, item: datasets.append((name, item)) if isinstance(item, h5py.Dataset) else None)
    if len(datasets) > _MOST_DATASETS:
        raise RecordingError(f"{path}: holds {len(datasets)} datasets, more than a montage has channels; convert it again.")
    datasets.sort(key=lambda entry: int(entry[1].attrs.get("original_index", 0)))
    channels: list[StoredChannel] = []
    left_out: list[tuple[str, str]] = []
    for where, item in datasets:
        group, _, name = where.partition("/") if layout == "grouped" else ("", "", where)
        label = _text(item.attrs.get("original_label", name))
        modality, kind, reason = _placement(item, group, label)
        if modality is None:
            left_out.append((label, reason))
            continue
        _require_believable(item, path, name)
        rate = float(item.attrs.get("sampling_frequency", MODEL_RATE_HZ))
        if rate != MODEL_RATE_HZ:
            raise RecordingError(
                f"{path}: {name!r} is stored at {rate:g} Hz, not {MODEL_RATE_HZ} Hz; convert the recording again."
            )
        channels.append(_channel(item, name, label, modality, kind))
    return _text(file.attrs.get("record_id", record_id)), tuple(channels), tuple(left_out)


def _require_believable(item: h5py.Dataset, path: Path, name: str) -> None:
    """Refuse what a few bytes can claim and hours of reading or all of the memory would find out."""
    if len(item) > _LONGEST_S * MODEL_RATE_HZ:
        raise RecordingError(f"{path}: {name!r} claims {len(item)} samples, more than a month; convert the recording again.")
    if item.chunks and item.chunks[0] * item.dtype.itemsize > _MOST_CHUNK_BYTES:
        raise RecordingError(
            f"{path}: {name!r} is stored in pieces of {item.chunks[0]} samples, each of which has to be unpacked whole; store it"
            f" in pieces of {WINDOW_SAMPLES}."
        )


def _placement(item: h5py.Dataset, group: str, label: str) -> tuple[Modality | None, Kind, str]:
    """Return the modality and kind the file says; the published code says neither, so its labels are read as any other's."""
    from_label = place(label)
    if item.ndim != 1 or item.dtype.kind not in "fiu":
        return None, from_label.kind, "it is no signal (one row of numbers)"
    said = _text(item.attrs.get("modality", group))
    if said and said not in set(Modality):
        return None, from_label.kind, f"{said!r} is no modality of the model"
    modality = Modality(said) if said else from_label.modality
    return modality, Kind(_text(item.attrs.get("kind", from_label.kind))), from_label.reason


def _channel(item: h5py.Dataset, name: str, label: str, modality: Modality, kind: Kind) -> StoredChannel:
    attributes = item.attrs
    return StoredChannel(
        name=name,
        label=label,
        modality=modality,
        kind=kind,
        n_samples=len(item),
        rate_hz=_number(attributes.get("original_rate")),
        unit=_text(attributes.get("original_unit", "")),
        mean=_number(attributes.get("mean")),
        std=_number(attributes.get("std")),
        flat=bool(attributes["flat"]) if "flat" in attributes else _only_zeros(item),
        path=item.name,
    )


def _only_zeros(item: h5py.Dataset) -> bool:
    """Tell a flat channel of a file that does not mark them; a live one is told by its first window."""
    if not item.id.get_storage_size():
        return True  # nothing was ever written
    return not any(np.any(item[start : start + WINDOW_SAMPLES]) for start in range(0, len(item), WINDOW_SAMPLES))


def _number(value: object) -> float | None:
    return None if value is None else float(value)  # type: ignore[arg-type]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
