"""Embedding files: one dataset a modality, (n, E) float32, one row per 5 s or per 5 min; an absent modality has none."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.signals.hdf5 import open_hdf5
from sleepfm.text import printable
from sleepfm.vocabulary import TOKEN_S, WINDOW_S, Modality


@dataclass(frozen=True)
class LeftOut:
    """A channel, or with an empty label a whole modality, that an embedding does not know, and why."""

    modality: Modality
    label: str
    reason: str


@dataclass(frozen=True)
class EmbeddingOrigin:
    """Where embeddings came from (the attributes of their files).

    Attributes
    ----------
    record_id
        The study's id.
    model, weights_sha256, recipe
        The encoder and the recipe of the signals.
    source_sha256
        Of the recording; empty when the signals file does not say.
    key
        See `sleepfm.inference.cache`.
    duration_s
        Of the recording. The last row may reach beyond it: what lies there was padded with zeros (5-s rows), or not there at
        all (5-min rows, which pool over `last_window_tokens` tokens).
    last_window_tokens
        How many 5-s tokens of the last window hold samples of the recording; 60 when it is full.
    gaps
        Stretches (start_s, stop_s) without any signal.
    channels
        The channels' labels by modality.
    start_offset_s
        Time of the first row from the recording's start.
    corrections
        What users had corrected of the recording's channels (`sleepfm.recording.derivations.corrections_text`).
    """

    record_id: str
    model: str
    weights_sha256: str
    recipe: str
    source_sha256: str
    key: str
    duration_s: float
    last_window_tokens: int
    gaps: tuple[tuple[float, float], ...]
    channels: dict[Modality, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    device: str
    precision: str
    simulated: bool
    sleepfm_version: str
    start_offset_s: float = 0.0
    corrections: str = ""


_MOST_ROWS = 31 * 86400 // 5
"""A month, a row every 5 s."""
_WIDEST = 8192


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One embedding file: (n, E) float32 of each modality that is there, in the vocabulary's order."""

    rows: dict[Modality, np.ndarray]
    row_s: float
    origin: EmbeddingOrigin

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(next(iter(self.rows.values())))


def write_embeddings(files: Mapping[Path, Embeddings]) -> None:
    """Write embedding files that appear whole, and all or none of them.

    Raises
    ------
    RequestError
        When a folder cannot be made.
    SleepFMError
        When a file cannot be written; nothing is left behind.
    """
    temporaries = {path: path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp") for path in files}
    for path in files:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RequestError(
                f"{path.parent}: cannot be made or is no folder ({error.strerror}); choose another --out."
            ) from None
    try:
        for path, embeddings in files.items():
            try:
                _write(temporaries[path], embeddings)
            except (OSError, RuntimeError) as error:
                reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
                raise SleepFMError(
                    f"{path}: cannot be written ({reason}); free some disk space or choose another --out."
                ) from None
        for path, temporary in temporaries.items():
            temporary.replace(path)
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def _write(path: Path, embeddings: Embeddings) -> None:
    origin = embeddings.origin
    with h5py.File(path, "w", libver=("v108", "v110"), locking=False) as file:
        for modality, rows_ne in embeddings.rows.items():
            dataset = file.create_dataset(modality.value, data=rows_ne.astype(np.float32, copy=False))
            dataset.attrs["channels"] = [_storable(label) for label in origin.channels[modality]]
        for name in _PLAIN:
            value = getattr(origin, name)
            file.attrs[name] = _storable(value) if isinstance(value, str) else value
        file.attrs["gaps"] = np.array(origin.gaps, np.float64).reshape(-1, 2)
        file.attrs["notes"] = [_storable(note) for note in origin.notes]
        file.attrs["left_out"] = json.dumps([[out.modality, out.label, out.reason] for out in origin.left_out])
        file.attrs["seconds_per_row"] = embeddings.row_s


_PLAIN = (
    "record_id",
    "model",
    "weights_sha256",
    "recipe",
    "source_sha256",
    "key",
    "duration_s",
    "last_window_tokens",
    "device",
    "precision",
    "simulated",
    "sleepfm_version",
    "start_offset_s",
    "corrections",
)


def read_embeddings(path: Path) -> Embeddings:
    """Read an embedding file of ours.

    Raises
    ------
    RequestError
        There is no such file.
    RecordingError
        It is no embedding file, is damaged, or has data in another file.
    """
    if not path.is_file():
        raise RequestError(f"{path}: there is no such file; check the path.")
    try:
        with open_hdf5(path) as file:
            rows = {modality: _rows(file[modality.value]) for modality in Modality if modality.value in file}
            attributes = dict(file.attrs)
            channels = {modality: tuple(str(label) for label in file[modality.value].attrs["channels"]) for modality in rows}
        if not rows or len({array.shape for array in rows.values()}) != 1 or next(iter(rows.values())).ndim != 2:
            raise ValueError("its modalities are missing or of different shapes")
        origin = EmbeddingOrigin(
            **{name: _python(attributes[name]) for name in _PLAIN if name != "corrections" or name in attributes},
            channels=channels,
            gaps=tuple((float(start), float(stop)) for start, stop in attributes["gaps"]),
            left_out=tuple(LeftOut(Modality(m), label, reason) for m, label, reason in json.loads(attributes["left_out"])),
            notes=tuple(str(note) for note in attributes["notes"]),
        )
        return Embeddings(rows, float(attributes["seconds_per_row"]), origin)
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise RecordingError(f"{path}: is no embedding file or is damaged ({printable(str(error))}); embed again.") from None


def _rows(item: h5py.Dataset) -> np.ndarray:
    """Return the rows of a modality; a file may claim more of them than memory holds, in a few bytes."""
    if item.ndim != 2 or len(item) > _MOST_ROWS or item.shape[1] > _WIDEST:
        raise ValueError(f"its rows are of shape {item.shape}")
    return np.asarray(item[()], np.float32)


def stored_key(path: Path) -> str | None:
    """Return the key of an embedding file; None when there is no readable one."""
    try:
        return read_embeddings(path).origin.key
    except (RequestError, RecordingError):
        return None


def embedding_paths(out_dir: Path, record_id: str) -> tuple[Path, Path]:
    """Return where `sleepfm embed` puts a study's 5-s and 5-min embeddings."""
    return out_dir / "5s" / f"{record_id}.hdf5", out_dir / "5min" / f"{record_id}.hdf5"


ROW_S = (TOKEN_S, WINDOW_S)
"""Seconds per row of the two files."""


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
