"""Drag-and-drop upload, streamed to disk as it arrives.

Streamlit's own uploader keeps files in memory and stops at 200 MB, less than a night. A file is named study only when its
header could be read; whatever goes wrong, no part of it stays behind.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sleepfm.administration.app_settings import read_settings
from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.recording.deidentified import KEEPABLE
from sleepfm.recording.deidentify import deidentify
from sleepfm.viewer.signed_in import requiring

UPLOAD_PATH = "/sleepfm/upload"
_SPARE_BYTES = 200 * 1024 * 1024
"""Kept free on the disk, so that results and the library can still be written."""


def upload_routes(home: Home) -> list[Route]:
    """Return the route that takes one file: POST /sleepfm/upload?name=..., the file as the body."""

    async def upload(request: Request) -> JSONResponse:
        name = safe_name(request.query_params.get("name", ""))
        size = request.headers.get("content-length", "")
        if not size.isdigit():
            return _refuse("the request does not say how long the file is", 411)
        free = shutil.disk_usage(home.root).free
        if int(size) + _SPARE_BYTES > free:
            return _refuse(f"{name}: {int(size) / 1e9:.1f} GB do not fit on the disk ({free / 1e9:.1f} GB free)", 507)
        folder = home.root / "uploads" / secrets.token_hex(6)
        try:
            await run_in_threadpool(folder.mkdir, parents=True)
            target = folder / name
            received = await _stream(request, target, most=int(size))
            if received != int(size):
                raise SleepFMError(f"{name}: only {received} of {size} bytes arrived; drop the file again")
            study = await run_in_threadpool(store_upload, home, target)
        except ClientDisconnect:
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
            return _refuse("the upload was cancelled", 499)
        except (SleepFMError, OSError) as error:
            await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
            return _refuse(str(error).replace(f"{folder}/", ""), 422)
        return JSONResponse({"study": study})

    return [Route(UPLOAD_PATH, requiring(Role.SCORER, upload), methods=["POST"])]


def safe_name(name: str) -> str:
    """Return a file name that stays in its folder: the last part of the path, harmless characters, not empty."""
    last = re.split(r"[\\/]", name)[-1]
    cleaned = re.sub(r"[^\w .()+-]", "_", last).strip(" .")[-120:]
    return cleaned or "recording.edf"


async def _stream(request: Request, target: Path, *, most: int) -> int:
    """Write the body to a file and return its length; a body sent in chunks may be longer than was said, and is not taken."""
    received = 0
    with target.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > most:
                raise SleepFMError(f"{target.name}: more than the {most} bytes arrived that were announced; drop the file again")
            await run_in_threadpool(file.write, chunk)
    return received


def store_upload(home: Home, path: Path) -> str:
    """Add an uploaded recording and return the study's id; where the settings say so, only its de-identified copy stays.

    The copy gets a name of its own: labs name files after people.

    Raises
    ------
    SleepFMError
        When it is no recording, or could not be de-identified: nothing of it may stay then.
    """
    how = read_settings(home).uploads
    if how != "as they are":
        copy = path.with_name(f"night-{secrets.token_hex(4)}{path.suffix.lower()}")
        deidentify(path, copy, keep=() if how == "de-identified" else KEEPABLE)
        path.unlink()
        path = copy
    with Library(home) as library:
        return library.add(path).id


def _refuse(reason: str, status: int) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)
