"""Embeddings of many recordings or signals files, going on after a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.embedding import EmbedRecord, embed, embedded_before
from sleepfm.inference.embedding_files import embedding_paths
from sleepfm.inference.night import open_night
from sleepfm.models.networks import Model, load_model
from sleepfm.models.shelf import ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.signals.convert import RECORDING_SUFFIXES, STUDY_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_ids

SUFFIXES = STUDY_SUFFIXES


def embed_many(
    inputs: Sequence[Path],
    out_dir: Path,
    *,
    encoder: ShelfEntry,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Embed recordings and signals files into `out_dir`/5s and `out_dir`/5min.

    Recordings are converted with the encoder's recipe first, into a temporary folder. Two inputs of one name get different ids.

    Returns
    -------
    dict
        `records`: `EmbedRecord.as_dict` of each; `failed`: `file` and `error` of each that could not be embedded.

    Raises
    ------
    RequestError
        An input is missing, or the model is no encoder; nothing was embedded.
    """
    files = find_recordings(inputs, SUFFIXES)
    plan = list(zip(files, study_ids(files), strict=True))
    return _embed_all(plan, out_dir, encoder=encoder, device=device, precision=precision, reuse=False, progress=progress)


def embed_planned(
    plan: Sequence[tuple[Path, str]],
    out_dir: Path,
    *,
    encoder: ShelfEntry,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, list[dict[str, Any]]]:
    """Embed files whose ids were settled before (different ones), so that parts of a cohort may be embedded anywhere.

    What is there already, made from the same signals by the same model, is left alone; a missing file counts as failed.
    Otherwise as `embed_many`.
    """
    return _embed_all(plan, out_dir, encoder=encoder, device=device, precision=precision, reuse=True, progress=progress)


def _embed_all(
    plan: Sequence[tuple[Path, str]],
    out_dir: Path,
    *,
    encoder: ShelfEntry,
    device: Device,
    precision: Precision,
    reuse: bool,
    progress: Progress,
) -> dict[str, list[dict[str, Any]]]:
    model = load_model(encoder.folder)
    if model.card.signals is None:
        raise RequestError(f"{encoder.name} is a head for {model.card.task.value}, not an encoder; name an encoder with --model")
    records, failed = [], []
    for number, (file, identifier) in enumerate(plan):
        here = part(progress, number / len(plan), (number + 1) / len(plan))
        try:
            record = _embedded_before(file, identifier, model, out_dir, precision=precision, progress=here) if reuse else None
            if record is None:
                how: dict[str, Any] = {"device": device, "precision": precision, "reuse": reuse}
                record = _embed(file, identifier, model, out_dir, **how, progress=here)
            records.append(record.as_dict())
        except Cancelled:
            raise
        except SleepFMError as error:
            failed.append({"file": str(file), "error": str(error)})
    return {"records": records, "failed": failed}


def _embedded_before(
    file: Path, identifier: str, model: Model, out_dir: Path, *, precision: Precision, progress: Progress
) -> EmbedRecord | None:
    files = embedding_paths(out_dir, identifier)
    if file.suffix.lower() not in RECORDING_SUFFIXES or not all(path.is_file() for path in files):
        return None  # of signals, `embed` itself can tell
    source = fingerprint(file, part(progress, 0.0, 0.1))
    return embedded_before(files, model, record_id=identifier, source_sha256=source, precision=precision)


def _embed(
    file: Path,
    identifier: str,
    model: Model,
    out_dir: Path,
    *,
    device: Device,
    precision: Precision,
    reuse: bool,
    progress: Progress,
) -> EmbedRecord:
    assert model.card.signals is not None
    with open_night(file) as night:
        signals = night.signals_file(model.card.signals.recipe, part(progress, 0.0, 0.3))
        return embed(
            signals,
            model,
            out_dir,
            record_id=identifier,
            device=device,
            precision=precision,
            bad=night.bad_datasets(signals, part(progress, 0.3, 0.4)),
            reuse=reuse,
            progress=part(progress, 0.4, 1.0),
        )
