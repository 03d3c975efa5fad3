"""The models page's own HTTP route: a model as a zip file, which may be larger than memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.models.archive import ARCHIVE_SUFFIX, pack
from sleepfm.models.shelf import Shelf
from sleepfm.runs.database import connect
from sleepfm.viewer.route_requests import BINARY_HEADERS, HEADERS
from sleepfm.viewer.signed_in import requiring, user_of_request

MODELS_PATH = "/sleepfm/models"


def export_address(name: str) -> str:
    """Return where a model is downloaded."""
    return f"{MODELS_PATH}/{quote(name)}{ARCHIVE_SUFFIX}"


def models_routes(home: Home) -> list[BaseRoute]:
    """Return the route, which answers admins only: GET /sleepfm/models/<name>.zip."""

    async def export(request: Request) -> Response:
        name = request.path_params["name"]
        user = user_of_request(request)
        folder = TemporaryDirectory(prefix="sleepfm-export-")  # goes when the file is sent, or nobody waits for it any more
        try:
            packed = await run_in_threadpool(_pack, home, name, Path(folder.name), "" if user is None else user.name)
        except SleepFMError as error:
            folder.cleanup()
            status = 404 if isinstance(error, RequestError) else 500
            return JSONResponse({"error": str(error)}, status_code=status, headers=HEADERS)
        return FileResponse(
            packed,
            filename=packed.name,
            media_type="application/zip",
            headers=BINARY_HEADERS,
            background=BackgroundTask(folder.cleanup),
        )

    return [Route(f"{MODELS_PATH}/{{name}}{ARCHIVE_SUFFIX}", requiring(Role.ADMIN, export), methods=["GET"])]


def _pack(home: Home, name: str, folder: Path, user: str) -> Path:
    entry = Shelf(home.models).get(name)
    with closing(connect(home.database)) as connection:
        record(connection, user, "export model", entry.name)
    return pack(entry, folder / f"{entry.name}{ARCHIVE_SUFFIX}")
