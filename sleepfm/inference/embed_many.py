"""Embeddings of many recordings or signals files, going on after a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.embedding import embed
from sleepfm.inference.night import open_night
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.signals.convert import RECORDING_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_id

SUFFIXES = (*RECORDING_SUFFIXES, ".hdf5", ".h5")
"""What a folder is searched for: recordings, and signals files made of them."""


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
    model = load_model(encoder.folder)
    if model.card.signals is None:
        raise RequestError(f"{encoder.name} is a head for {model.card.task.value}, not an encoder; name an encoder with --model")
    records, failed = [], []
    taken: set[str] = set()
    for number, file in enumerate(files):
        here = part(progress, number / len(files), (number + 1) / len(files))
        identifier = study_id(file, taken)
        taken.add(identifier)
        try:
            with open_night(file) as night:
                signals = night.signals_file(model.card.signals.recipe, part(here, 0.0, 0.3))
                record = embed(
                    signals,
                    model,
                    out_dir,
                    record_id=identifier,
                    device=device,
                    precision=precision,
                    bad=night.bad_datasets(signals, part(here, 0.3, 0.4)),
                    progress=part(here, 0.4, 1.0),
                )
            records.append(record.as_dict())
        except Cancelled:
            raise
        except SleepFMError as error:
            failed.append({"file": str(file), "error": str(error)})
    return {"records": records, "failed": failed}
