"""Downloading the released SleepFM models from their public repository.

A file that was cut off is resumed; one that is there in full is not fetched again; one whose git blob id is not the published
one is refused. Nothing comes onto the shelf before its files are verified.
"""

from __future__ import annotations

import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import sleepfm
from sleepfm.errors import ModelError
from sleepfm.models.importing import import_model
from sleepfm.models.official import COMMIT, OFFICIAL_MODELS, REPOSITORY, OfficialFile, OfficialModel, git_blob_id
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.text import size_words

BASE_URL = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}"
DOWNLOADS = ".downloads"
"""In the shelf's folder, while not everything has come."""
_DOWNLOADING = 0.95
"""The share of the work, the rest is reading what came."""
_TIMEOUT_S = 30.0
_BLOCK = 1 << 18


def fetch_official(
    shelf: Shelf,
    progress: Progress = silent,
    *,
    base_url: str = BASE_URL,
    models: tuple[OfficialModel, ...] = OFFICIAL_MODELS,
) -> list[ShelfEntry]:
    """Download the released encoder, staging head and disease head, and put them on the shelf.

    How the disease head codes age and sex is not published and stays recorded as unknown; importing the shelf's own folder
    again with `--age-scale` and `--sex-code` records it.

    Parameters
    ----------
    base_url, models
        Where the files lie, and which.

    Returns
    -------
    list of ShelfEntry
        The models, as `sleepfm-base`, `sleepfm-staging` and `sleepfm-disease`.

    Raises
    ------
    ModelError
        When the server cannot be reached or a file is not the published one. What was fetched so far is kept and resumed.
    """
    folder = shelf.root / DOWNLOADS
    files = [file for model in models for file in (model.weights, model.config, model.labels) if file is not None]
    before, total = 0.0, sum(file.megabytes for file in files) / _DOWNLOADING
    for file in files:
        here = part(progress, before / total, (before + file.megabytes) / total)
        download(f"{base_url}/{file.path}", folder / file.path, file, here)
        before += file.megabytes
    progress(_DOWNLOADING, "putting the models on the shelf")
    entries = [
        import_model(
            shelf,
            folder / model.weights.path,
            model.name,
            config=folder / model.config.path,
            labels=folder / model.labels.path if model.labels else None,
        )
        for model in models
    ]
    shutil.rmtree(folder)
    progress(1.0, "models are on the shelf")
    return entries


def download(url: str, target: Path, file: OfficialFile, progress: Progress = silent) -> None:
    """Download one file and verify it.

    Parameters
    ----------
    target
        Where it goes; an interrupted download lies beside it as `<name>.part`.

    Raises
    ------
    ModelError
        When the server cannot be reached, or what it sends is not the published file.
    """
    name = file.path.rsplit("/", 1)[-1]
    if target.is_file() and git_blob_id(target) == file.blob:
        progress(1.0, f"{name}: already here")
        return
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        resumed = partial.is_file()
        _fetch(url, partial, progress, name)
        if git_blob_id(partial) != file.blob and resumed:
            # The piece from before may be the bad one: once more from the start.
            partial.unlink()
            _fetch(url, partial, progress, name)
        if git_blob_id(partial) != file.blob:
            partial.unlink()
            raise ModelError(
                f"{url}: what came is not the published file (its git blob id differs); nothing was imported, try again"
            )
        partial.replace(target)
    except OSError as error:
        if isinstance(error, urllib.error.URLError | TimeoutError | ConnectionError):
            raise ModelError(_unreachable(url, error)) from None
        raise ModelError(f"{target}: cannot be written ({error.strerror or error}); free disk space") from None
    except http.client.HTTPException as error:
        raise ModelError(_unreachable(url, error)) from None


def _unreachable(url: str, error: Exception) -> str:
    reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", None) or error
    return (
        f"cannot fetch {url} ({reason}): go online and fetch again, it resumes; or bring the files from another machine and"
        " import them (sleepfm models import)"
    )


def _fetch(url: str, partial: Path, progress: Progress, name: str) -> None:
    """Append what is missing of a file to its part; start over where the server cannot resume."""
    have = partial.stat().st_size if partial.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"sleepfm-workbench/{sleepfm.__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is missing; whether it is the right file is seen by its hash
        raise
    with response:
        if have and (response.status != http.HTTPStatus.PARTIAL_CONTENT or not _continues(response, have)):
            if response.status == http.HTTPStatus.PARTIAL_CONTENT:
                raise ModelError(f"{url}: the server sent another piece than the one asked for; try again")
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with partial.open("ab" if have else "wb") as out:
            for block in _blocks(response):
                out.write(block)
                have += len(block)
                progress(min(1.0, have / total) if total else 0.0, f"{name}: {size_words(have)}")
    if total is not None and have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    return (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while block := response.read(_BLOCK):
        yield block
