"""Putting a model from a file, folder or zip file onto the shelf, in the published form or in ours."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

from sleepfm.errors import ModelError, RequestError, SleepFMError
from sleepfm.models.archive import ARCHIVE_SUFFIX, require_size, unpack
from sleepfm.models.card import (
    CARD_FILE,
    STAGE_LABELS,
    UNKNOWN,
    WEIGHTS_FILE,
    Condition,
    DemographicCoding,
    EncoderLink,
    SexCode,
    Task,
)
from sleepfm.models.official import LICENCE, SOURCE, git_blob_id, official_model
from sleepfm.models.reference import REFERENCE_FILE
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.text import printable

_MOST_CONFIG_BYTES = 1_000_000
_MOST_CARD_BYTES = 50_000_000
_MOST_LABEL_BYTES = 10_000_000


def import_model(
    shelf: Shelf,
    path: Path,
    name: str,
    *,
    config: Path | None = None,
    task: Task | None = None,
    encoder: str | None = None,
    labels: Path | None = None,
    age_scale: float | None = None,
    sex_code: SexCode | None = None,
    progress: Progress = silent,
) -> ShelfEntry:
    """Import a model.

    Parameters
    ----------
    path
        A folder or a weights file, in the published form (see `sleepfm.models.published`) or as we write it; or a zip file of
        such a folder.
    name
        Its name on the shelf.
    config, task
        Only for the published form: the configuration, and what the model does if not what its `model` word says.
    encoder
        Name of the encoder that a head belongs to; by default the latest imported one that fits (published form), or the one
        that its card names (our form).
    labels
        CSV with the columns label_idx, phecode, phenotype that names a disease head's outputs.
    age_scale, sex_code
        How a disease head takes age and sex (see `DemographicCoding`). What is not given is recorded as unknown.

    Raises
    ------
    RequestError
        When a path is missing, the name is taken, no encoder fits, or an option does not go with the model.
    ModelError
        When a file cannot be used.
    """
    if path.suffix.lower() == ARCHIVE_SUFFIX and path.is_file():
        about_it: dict[str, Any] = {"config": config, "task": task, "encoder": encoder, "labels": labels}
        about_it |= {"age_scale": age_scale, "sex_code": sex_code}
        return _from_archive(shelf, path, name, progress, about_it)
    progress(0.0, "reading the model")
    ours = path if path.is_dir() else path.parent
    if (ours / CARD_FILE).is_file() and (path.is_dir() or path.name in {WEIGHTS_FILE, CARD_FILE}):
        if config is not None or task is not None:
            raise RequestError(f"{path}: has its own {CARD_FILE}; --config and --task do not apply")
        state, about = _ours(ours)
        reference = ours / REFERENCE_FILE if (ours / REFERENCE_FILE).is_file() else None
    else:
        reference = None
        state, about = _published(path, config, task)
    about_head = _head(shelf, about, encoder=encoder, labels=labels, age_scale=age_scale, sex_code=sex_code)
    progress(0.7, "putting it on the shelf")
    entry = shelf.add(name, state, about | about_head, reference=reference)
    progress(1.0, f"{name} is on the shelf")
    return entry


def _from_archive(shelf: Shelf, path: Path, name: str, progress: Progress, about_it: dict[str, Any]) -> ShelfEntry:
    with tempfile.TemporaryDirectory(prefix="sleepfm-model-") as folder:
        progress(0.0, "unpacking")
        unpack(path, Path(folder))
        try:
            return import_model(shelf, Path(folder), name, **about_it, progress=part(progress, 0.2, 1.0))
        except SleepFMError as error:  # the folder will be gone when somebody reads its name
            raise type(error)(str(error).replace(folder, str(path))) from None


def _ours(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    from sleepfm.models.networks import load_model, read_weights  # noqa: PLC0415 - torch

    for file in (CARD_FILE, REFERENCE_FILE):
        require_size(folder / file, _MOST_CARD_BYTES, f"a {file} has")
    model = load_model(folder)
    # As they lie in the file, half precision included: heads know their encoder by the hash of its file.
    return read_weights(folder / WEIGHTS_FILE)[0], dict(model.card)


def _published(path: Path, config: Path | None, task: Task | None) -> tuple[dict[str, Any], dict[str, Any]]:
    from sleepfm.models.published import locate, read_published  # noqa: PLC0415 - torch

    weights, config = locate(path, config)
    require_size(config, _MOST_CONFIG_BYTES, "a configuration has")
    found = read_published(weights, config, task)
    blobs = {weights.name: git_blob_id(weights), config.name: git_blob_id(config)}
    official = official_model(blobs[weights.name], blobs[config.name])
    about: dict[str, Any] = {
        "task": found.task,
        "architecture": found.architecture,
        "parameters": found.parameters,
        "signals": found.signals,
        "trained_on": official.trained_on if official else UNKNOWN,
        "training_data": official.training_data if official else "",
        "licence": LICENCE if official else UNKNOWN,
        "source": SOURCE if official else "",
        "source_blobs": blobs,
    }
    if found.task is Task.STAGING:
        if found.parameters["num_classes"] != len(STAGE_LABELS):
            raise ModelError(
                f"{weights}: a staging head has {len(STAGE_LABELS)} classes, this one {found.parameters['num_classes']:g}"
            )
        about["labels"] = STAGE_LABELS
    return found.state, about


def _head(
    shelf: Shelf,
    about: dict[str, Any],
    *,
    encoder: str | None,
    labels: Path | None,
    age_scale: float | None,
    sex_code: SexCode | None,
) -> dict[str, Any]:
    """Return the card's fields that the options decide."""
    task = about["task"]
    if encoder is not None and about.get("signals") is not None:
        raise RequestError(f"--encoder is for heads; this is {'an encoder' if task is Task.ENCODER else 'made for signals'}")
    if task is not Task.DISEASE and not (labels is age_scale is sex_code is None):
        raise RequestError(f"--labels, --age-scale and --sex-code describe a disease head; this is a model for {task}")
    made: dict[str, Any] = {}
    alone = about.get("encoder") is None and about.get("signals") is None and not about.get("baseline")
    if encoder is not None or alone:
        entry = shelf.encoder_for(int(about["parameters"]["embed_dim"]), encoder)
        made["encoder"] = EncoderLink(name=entry.name, weights_sha256=entry.card.weights_sha256)
    takes_none = about["parameters"].get("demographics", 1) == 0
    if takes_none and not (age_scale is sex_code is None):
        raise RequestError("--age-scale and --sex-code do not apply: this head takes neither age nor sex")
    if task is Task.DISEASE and not takes_none:
        before = about.get("demographics") or DemographicCoding()
        made["demographics"] = {
            "age_scale": before.age_scale if age_scale is None else age_scale,
            "sex_code": before.sex_code if sex_code is None else sex_code,
        }
    if task is Task.DISEASE and labels is not None:
        made["labels"] = read_labels(labels, int(about["parameters"]["num_classes"]))
    return made


def read_labels(path: Path, count: int) -> tuple[Condition, ...]:
    """Read the names of a disease head's outputs.

    Parameters
    ----------
    path
        CSV with the columns label_idx (0 to count - 1, each once), phecode and phenotype.
    count
        The head's outputs.

    Raises
    ------
    RequestError
        When the file is missing.
    ModelError
        When it does not name every output once.
    """
    if not path.is_file():
        raise RequestError(f"{path}: no such file")
    require_size(path, _MOST_LABEL_BYTES, "a list of names has")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelError(f"{path}: cannot be read as CSV ({printable(str(error))})") from None
    named: dict[int, Condition] = {}
    for number, row in enumerate(rows, start=2):
        try:
            named[int(row["label_idx"])] = Condition(phecode=row["phecode"].strip(), phenotype=row["phenotype"].strip())
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ModelError(f"{path}: line {number} does not give label_idx, phecode and phenotype") from None
    if len(rows) != count or set(named) != set(range(count)):
        raise ModelError(f"{path}: must name the outputs 0 to {count - 1} once each; it has {len(rows)} rows")
    return tuple(named[index] for index in range(count))
