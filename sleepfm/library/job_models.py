"""The jobs that bring models onto the shelf, and how they are submitted: from files on this machine, and the published ones."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sleepfm.administration.readable_folders import require_readable, require_readable_here
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.models.archive import ARCHIVE_SUFFIX, BESIDE_SUFFIXES
from sleepfm.models.card import WEIGHT_SUFFIXES, SexCode, Task, check_name
from sleepfm.models.fetch import DOWNLOADS, fetch_official
from sleepfm.models.importing import import_model
from sleepfm.models.official import OFFICIAL_MODELS
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import OPEN_STATES, Job, Lane
from sleepfm.text import printable, size_words

IMPORT_KIND, FETCH_KIND = "model-import", "model-fetch"
UPLOAD_SUFFIXES = (*WEIGHT_SUFFIXES, ARCHIVE_SUFFIX, *BESIDE_SUFFIXES)
"""Of files that can belong to a model."""
_OLD_S = 3600.0
_SPARE_BYTES = 200 * 1024 * 1024
"""Kept free on the disk, so that results and the library can still be written."""


@dataclass(frozen=True)
class ImportRequest:
    """What is told of a model that is imported, beside its files; see `sleepfm.models.importing.import_model`."""

    name: str
    config: str | None = None
    task: Task | None = None
    encoder: str | None = None
    labels: str | None = None
    age_scale: float | None = None
    sex_code: SexCode | None = None


@dataclass(frozen=True)
class Upload:
    """A file that came through the browser."""

    name: str
    size: int
    content: BinaryIO


def submit_import(library: Library, path: str, request: ImportRequest, *, submitted_by: str = "") -> Job:
    """Queue the import of a model that lies on this machine, and see that it is worked off.

    Raises
    ------
    RequestError
        When the name cannot be one, nothing is at the path, or the app may not read there.
    """
    check_name(request.name)
    found = require_readable(library.home, Path(path).expanduser())
    if not found.exists():
        raise RequestError(f"{printable(path)}: no such file or folder")
    for beside in (request.config, request.labels):
        if beside is not None:
            require_readable(library.home, Path(beside).expanduser())
    return _queue(library, found, request, uploaded=False, submitted_by=submitted_by)


def submit_uploads(
    library: Library, uploads: Sequence[Upload], request: ImportRequest, labels: Upload | None = None, *, submitted_by: str = ""
) -> Job:
    """Keep what came through the browser, queue its import, and see that it is worked off.

    Raises
    ------
    RequestError
        When the name cannot be one, or the files cannot be those of one model; nothing is kept then.
    SleepFMError
        When the disk is full.
    """
    check_name(request.name)
    _require_one_model(uploads)
    everything = [*uploads, *([] if labels is None else [labels])]
    free = shutil.disk_usage(library.home.root).free
    if sum(one.size for one in everything) + _SPARE_BYTES > free:
        raise RequestError(f"the files do not fit on the disk ({size_words(free)} free); free some space")
    _sweep(library)
    folder = _uploads(library.home) / secrets.token_hex(6)
    try:
        model = folder / "model"
        model.mkdir(parents=True)
        for one in uploads:
            _keep(one, model / _file_name(one.name))
        told = asdict(request)
        if labels is not None:
            _keep(labels, folder / "labels.csv")
            told["labels"] = str(folder / "labels.csv")
        archive = len(uploads) == 1 and uploads[0].name.lower().endswith(ARCHIVE_SUFFIX)
        path = next(model.iterdir()) if archive else model
        return _queue(library, path, ImportRequest(**told), uploaded=True, submitted_by=submitted_by)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise SleepFMError(f"the files could not be kept ({error.strerror or error}); free some space") from None
    except SleepFMError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def submit_fetch(library: Library, *, submitted_by: str = "") -> Job:
    """Queue the download of the published models; one that was stopped goes on where it was."""
    job = library.jobs.add(FETCH_KIND, lane=Lane.HEAVY, title="Fetch the published SleepFM models", submitted_by=submitted_by)
    ensure_running(library.home)
    return job


def fetched_megabytes(home: Home) -> float:
    """Return how much of a download that was broken off is here."""
    folder = home.models / DOWNLOADS
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6 if folder.is_dir() else 0.0


def official_missing(shelf: Shelf) -> tuple[str, ...]:
    """Return the published models that are not on the shelf, by the names that they get there."""
    there = {entry.name for entry in shelf.entries(retired=True)}
    return tuple(model.name for model in OFFICIAL_MODELS if model.name not in there)


def import_files(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Put a model on the shelf, whole or not at all; what came through the browser is gone afterwards.

    Raises
    ------
    RequestError, ModelError
        As `import_model`.
    """
    path = Path(parameters["path"])
    uploaded: bool = parameters["uploaded"]
    request = ImportRequest(**parameters["request"])
    try:
        if not uploaded:
            _require_all_readable(home, path, request)
        entry = import_model(
            Shelf(home.models),
            path,
            request.name,
            config=None if request.config is None else Path(request.config).expanduser(),
            task=None if request.task is None else Task(request.task),
            encoder=request.encoder,
            labels=None if request.labels is None else Path(request.labels).expanduser(),
            age_scale=request.age_scale,
            sex_code=request.sex_code,
            progress=progress,
        )
    except SleepFMError as error:
        if not uploaded:
            raise
        # where the app keeps uploads says nothing to whoever sent them
        folder = _upload_of(home, path)
        said = (
            str(error).replace(f"{folder / 'model'}/", "").replace(f"{folder / 'model'}", "the files").replace(f"{folder}/", "")
        )
        raise type(error)(said) from None
    finally:
        if uploaded:
            shutil.rmtree(_upload_of(home, path), ignore_errors=True)
    return {"model": entry.name, "weights_sha256": entry.card.weights_sha256}


def fetch_models(home: Home, _parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Download the published models and put them on the shelf.

    Raises
    ------
    ModelError
        When the server cannot be reached; what came so far is kept.
    """
    return {"models": [entry.name for entry in fetch_official(Shelf(home.models), progress)]}


def _queue(library: Library, path: Path, request: ImportRequest, *, uploaded: bool, submitted_by: str) -> Job:
    parameters = {"path": str(path), "request": asdict(request), "uploaded": uploaded}
    title = f"Import the model {request.name}"
    job = library.jobs.add(IMPORT_KIND, lane=Lane.QUICK, title=title, parameters=parameters, submitted_by=submitted_by)
    ensure_running(library.home)
    return job


def _require_one_model(uploads: Sequence[Upload]) -> None:
    if not uploads:
        raise RequestError(
            "no file was chosen: a model is a weights file with its config.json, our folder's files, or a zip file"
        )
    for one in uploads:
        if Path(_file_name(one.name)).suffix.lower() not in UPLOAD_SUFFIXES:
            raise RequestError(
                f"{printable(one.name)}: is no part of a model; taken are {', '.join(UPLOAD_SUFFIXES)}. Pickles (.pkl) and other"
                " files that can hold code are refused"
            )
    names = [_file_name(one.name) for one in uploads]
    weights = [name for name in names if name.endswith((*WEIGHT_SUFFIXES, ARCHIVE_SUFFIX))]
    if len(weights) != 1:
        named = printable(", ".join(weights)) or "none"
        raise RequestError(f"choose the files of one model: one weights file or one zip file, not {named}")
    if len(set(names)) < len(names) or (weights[0].endswith(ARCHIVE_SUFFIX) and len(names) > 1):
        raise RequestError("choose the files of one model: a zip file stands alone, and no file twice")


def _require_all_readable(home: Home, path: Path, request: ImportRequest) -> None:
    """Check again what the app may read, with everything beside it that an import may open: links may lead elsewhere."""
    folder = path if path.is_dir() else path.parent
    beside = [file for file in folder.iterdir() if file.suffix.lower() in UPLOAD_SUFFIXES] if folder.is_dir() else []
    told = [Path(one).expanduser() for one in (request.config, request.labels) if one is not None]
    for file in (path, *beside, *told):
        require_readable_here(home, file)


def _keep(upload: Upload, target: Path) -> None:
    with target.open("xb") as out:
        shutil.copyfileobj(upload.content, out)


def _file_name(name: str) -> str:
    """Return a file name that stays in its folder."""
    last = re.split(r"[\\/]", name)[-1]
    return re.sub(r"[^\w .()+-]", "_", last).strip(" .")[-120:] or "file"


def _uploads(home: Home) -> Path:
    return home.root / "uploads" / "models"


def _upload_of(home: Home, path: Path) -> Path:
    return _uploads(home) / path.relative_to(_uploads(home)).parts[0]


def _sweep(library: Library) -> None:
    """Remove what imports left behind that were killed before they could; one that is being submitted now is not touched."""
    needed = {Path(job.parameters["path"]) for job in library.jobs.list(states=OPEN_STATES, kinds=(IMPORT_KIND,), limit=10_000)}
    uploads = _uploads(library.home)
    for folder in uploads.iterdir() if uploads.is_dir() else ():
        old = folder.stat().st_mtime < time.time() - _OLD_S
        if old and not any(folder in path.parents for path in needed):
            shutil.rmtree(folder, ignore_errors=True)
