"""The embedding engine: a signals file and an encoder in, one vector per 5 s and per 5 min of each modality out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import sleepfm
from sleepfm.errors import MissingChannelsError, ModelError, RecordingError, RequestError
from sleepfm.inference.cache import key
from sleepfm.inference.channel_choice import choose_channels
from sleepfm.inference.device import Device, Placement, Precision, place
from sleepfm.inference.embedding_files import (
    ROW_S,
    EmbeddingOrigin,
    Embeddings,
    LeftOut,
    embedding_paths,
    read_embeddings,
    stored_key,
    write_embeddings,
)
from sleepfm.inference.window_encoding import Encoded, WindowEncoder, Windows
from sleepfm.models.card import SignalCoding
from sleepfm.models.encoder import Encoder
from sleepfm.models.networks import Model
from sleepfm.progress import Progress, silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.signals.store import SignalsFile, StoredChannel, open_signals
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import TOKEN_SAMPLES, WINDOW_SAMPLES, Modality

_PUBLISHED_RECIPE = "published"
"""What files without a recipe were made by: the published code writes none."""


@dataclass(frozen=True)
class EmbedRecord:
    """What embedding one recording made.

    Attributes
    ----------
    id
        The study's id.
    modalities
        Number of channels of each modality that was embedded.
    tokens, windows
        Rows per 5 s and per 5 min.
    seconds
        Wall time for this recording, without process start and model load.
    left_out
        Channels and modalities that are not in it, with the reason.
    notes
        What was done other than asked for.
    device, precision
        Where and how it ran.
    files
        The 5-s and the 5-min file.
    reused
        Whether the files were there already, made from the same signals by the same model.
    """

    id: str
    modalities: dict[Modality, int]
    tokens: int
    windows: int
    seconds: float
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    device: str
    precision: str
    files: tuple[Path, Path]
    reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the record as `embed --json` prints it."""
        return {
            "id": self.id,
            "modalities": {modality.value: count for modality, count in self.modalities.items()},
            "tokens": self.tokens,
            "windows": self.windows,
            "seconds": round(self.seconds, 3),
            "left_out": [
                {"modality": out.modality.value, "label": out.label or out.modality.value, "reason": out.reason}
                for out in self.left_out
            ],
            "notes": list(self.notes),
            "device": self.device,
            "precision": self.precision,
            "files": [str(path) for path in self.files],
            "reused": self.reused,
        }


def embed(
    signals_path: Path,
    model: Model,
    out_dir: Path,
    *,
    record_id: str | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    bad: Mapping[str, str] | None = None,
    reuse: bool = False,
    progress: Progress = silent,
) -> EmbedRecord:
    """Embed one recording into `out_dir`/5s/<id>.hdf5 and `out_dir`/5min/<id>.hdf5.

    Parameters and errors as for `embed_into`; without `record_id` the id is the signals file's.
    """
    identifier = record_id or study_id(signals_path)
    return embed_into(
        signals_path,
        model,
        embedding_paths(out_dir, identifier),
        record_id=identifier,
        device=device,
        precision=precision,
        workers=workers,
        bad=bad,
        reuse=reuse,
        progress=progress,
    )


def embed_into(
    signals_path: Path,
    model: Model,
    files: tuple[Path, Path],
    *,
    record_id: str,
    device: Device = "auto",
    precision: Precision = "fp32",
    workers: int | None = None,
    bad: Mapping[str, str] | None = None,
    reuse: bool = False,
    corrections: str = "",
    progress: Progress = silent,
) -> EmbedRecord:
    """Embed one recording into two files, each of which appears whole or not at all.

    Parameters
    ----------
    signals_path
        A signals file of either layout.
    model
        An encoder.
    files
        Where the 5-s and the 5-min embeddings go.
    device, precision, workers
        See `sleepfm.inference.device.place`.
    bad
        Channels (by name in the signals file) that are not to be used, with the reason.
    reuse
        Leave the files alone when they were made from the same signals by the same model.
    corrections
        What users had corrected of the recording's channels, to be kept in the files.

    Raises
    ------
    RequestError
        The model is no encoder, the device is not there, or the file is not.
    RecordingError
        The signals cannot be read, or no channel is usable.
    ModelError
        The signals were made by another recipe than the model's.
    Cancelled
        `progress` raised it; nothing was written.
    """
    started = time.perf_counter()
    placement = place(device, precision, workers)
    with open_signals(signals_path) as signals:
        _check_recipe(signals, model)
        chosen, left_out = choose_channels(signals, coding_of(model), bad or {})
        if not chosen or not signals.n_samples:
            reasons = "; ".join(f"{out.modality}: {out.reason}" for out in left_out if not out.label)
            raise MissingChannelsError(f"{signals_path}: no channel that the encoder {model.card.name} can use ({reasons}).")
        made_from = _key(signals, model, chosen, placement)
        if reuse and all(stored_key(path) == made_from for path in files):
            there = {path: read_embeddings(path) for path in files}
            if any(one.origin.corrections != corrections for one in there.values()):  # of a channel that is not taken
                write_embeddings(
                    {path: replace(one, origin=replace(one.origin, corrections=corrections)) for path, one in there.items()}
                )
            return _record(record_id, there[files[0]], files, time.perf_counter() - started, reused=True)
        encoder = WindowEncoder(_network(model), placement)
        tokens, windows = _encode(signals, chosen, encoder, progress)
        tail = signals.n_samples - (signals.n_windows - 1) * WINDOW_SAMPLES
        origin = EmbeddingOrigin(
            record_id=record_id,
            model=model.card.name,
            weights_sha256=model.card.weights_sha256,
            recipe=signals.recipe or _PUBLISHED_RECIPE,
            source_sha256=signals.source_sha256,
            key=made_from,
            corrections=corrections,
            duration_s=signals.duration_s,
            last_window_tokens=_tokens(tail),
            gaps=signals.gaps,
            channels={modality: tuple(channel.label for channel in channels) for modality, channels in chosen.items()},
            left_out=left_out,
            notes=tuple(encoder.notes),
            device=encoder.placement.device,
            precision=precision,
            simulated=signals.simulated,
            sleepfm_version=sleepfm.__version__,
        )
    made = Embeddings(tokens, ROW_S[0], origin)
    write_embeddings({files[0]: made, files[1]: Embeddings(windows, ROW_S[1], origin)})
    return _record(record_id, made, files, time.perf_counter() - started, reused=False)


def coding_of(model: Model) -> SignalCoding:
    """Return what signals an encoder takes; RequestError when the model is a head."""
    if model.card.signals is None:
        raise RequestError(f"{model.card.name} is a {model.card.task} head, not an encoder: name an encoder with --model")
    return model.card.signals


def _check_recipe(signals: SignalsFile, model: Model) -> None:
    recipe = signals.recipe or _PUBLISHED_RECIPE
    if model.card.signals is not None and recipe != model.card.signals.recipe:
        raise ModelError(
            f"{signals.path}: was made by the recipe {recipe}, but {model.card.name} was trained on {model.card.signals.recipe}:"
            f" convert the recording with --recipe {model.card.signals.recipe}"
        )


def _network(model: Model) -> Encoder:
    if not isinstance(model.network, Encoder):
        raise RequestError(f"{model.card.name} is a {model.card.task} head, not an encoder: name an encoder with --model")
    return model.network


def embedded_before(
    files: tuple[Path, Path], model: Model, *, record_id: str, source_sha256: str, precision: Precision
) -> EmbedRecord | None:
    """Return the record of embeddings that are there already, made from the same recording by the same model; None otherwise.

    For recordings, which would have to be converted before `embed_into` could tell.
    """
    started = time.perf_counter()
    try:
        tokens, windows = (read_embeddings(path) for path in files)
    except (RequestError, RecordingError):
        return None
    wanted = (source_sha256, model.card.weights_sha256, coding_of(model).recipe, precision)
    for there in (tokens.origin, windows.origin):
        if (there.source_sha256, there.weights_sha256, there.recipe, there.precision) != wanted:
            return None
    return _record(record_id, tokens, files, time.perf_counter() - started, reused=True)


def _key(signals: SignalsFile, model: Model, chosen: Mapping[Modality, Sequence[StoredChannel]], placement: Placement) -> str:
    inputs = {
        "source": signals.source_sha256 or fingerprint(signals.path),
        "recipe": signals.recipe,
        "channels": {modality.value: [channel.name for channel in channels] for modality, channels in chosen.items()},
        "weights": model.card.weights_sha256,
        "precision": placement.precision,
    }
    return key("embedding", inputs)


def _encode(
    signals: SignalsFile,
    chosen: Mapping[Modality, Sequence[StoredChannel]],
    encoder: WindowEncoder,
    progress: Progress,
) -> tuple[dict[Modality, np.ndarray], dict[Modality, np.ndarray]]:
    """Return (token, E) and (window, E) of each modality.

    The last window is cut after the last token that holds samples of the recording, so that no token's embedding ever depends
    on how far a recording was padded.
    """
    full = signals.n_samples // WINDOW_SAMPLES
    tail_tokens = _tokens(signals.n_samples - full * WINDOW_SAMPLES)

    def read(windows: range) -> Windows:
        first = windows.start * WINDOW_SAMPLES
        each = WINDOW_SAMPLES if windows.stop <= full else tail_tokens * TOKEN_SAMPLES
        return {
            modality: np.stack(
                [_padded(signals.read(c, first, first + each * len(windows)), len(windows), each) for c in channels], 1
            )
            for modality, channels in chosen.items()
        }

    batches = [batch for batch in (range(full), range(full, signals.n_windows)) if batch]
    parts: list[Encoded] = []
    progress(0.0, "embedding")
    for done, encoded in encoder.encode(batches, read):
        parts.append(encoded)
        progress(done.stop / signals.n_windows, f"embedding: {done.stop} of {signals.n_windows} windows")
    tokens = {m: np.concatenate([part[m][1].reshape(-1, part[m][1].shape[-1]) for part in parts]) for m in chosen}
    windows = {m: np.concatenate([part[m][0] for part in parts]) for m in chosen}
    return tokens, windows


def _padded(z: np.ndarray, windows: int, each: int) -> np.ndarray:
    """Return (window, each) of consecutive windows; zeros where a channel ends before."""
    if len(z) < windows * each:
        z = np.concatenate([z, np.zeros(windows * each - len(z), np.float32)])
    return z.reshape(windows, each)


def _tokens(samples: int) -> int:
    return -(-samples // TOKEN_SAMPLES)


def _record(record_id: str, tokens: Embeddings, files: tuple[Path, Path], seconds: float, *, reused: bool) -> EmbedRecord:
    origin = tokens.origin
    return EmbedRecord(
        id=record_id,
        modalities={modality: len(labels) for modality, labels in origin.channels.items()},
        tokens=tokens.n,
        windows=-(-tokens.n * TOKEN_SAMPLES // WINDOW_SAMPLES),
        seconds=seconds,
        left_out=origin.left_out,
        notes=origin.notes,
        device=origin.device,
        precision=origin.precision,
        files=files,
        reused=reused,
    )
