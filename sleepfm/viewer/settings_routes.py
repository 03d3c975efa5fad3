"""The settings page's own HTTP route: downloads of backups and diagnostics, which may be larger than memory."""

from __future__ import annotations

from contextlib import closing

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.administration.audit import record
from sleepfm.administration.roles import Role
from sleepfm.administration.safety_jobs import backups, diagnostics_bundles
from sleepfm.home import Home
from sleepfm.runs.database import connect
from sleepfm.viewer.route_requests import BINARY_HEADERS, HEADERS
from sleepfm.viewer.signed_in import requiring, user_of_request

KEPT_PATH = "/sleepfm/settings"
_LISTS = {"backups": backups, "diagnostics": diagnostics_bundles}


def settings_routes(home: Home) -> list[BaseRoute]:
    """Return the route, which answers admins only: GET /sleepfm/settings/<backups|diagnostics>/<file>."""

    async def download(request: Request) -> Response:
        sort, name = request.path_params["sort"], request.path_params["name"]
        # the name is looked up among the files that are there, never made part of a path
        files = {file.name: file for file in await run_in_threadpool(_LISTS.get(sort, lambda _home: []), home)}
        if name not in files:
            return JSONResponse({"error": "there is no such file any more"}, status_code=404, headers=HEADERS)
        user = user_of_request(request)
        await run_in_threadpool(_note, home, "" if user is None else user.name, f"download of {sort}", name)
        return FileResponse(files[name], filename=name, media_type="application/octet-stream", headers=BINARY_HEADERS)

    return [Route(f"{KEPT_PATH}/{{sort}}/{{name}}", requiring(Role.ADMIN, download), methods=["GET"])]


def _note(home: Home, user: str, action: str, name: str) -> None:
    with closing(connect(home.database)) as connection:
        record(connection, user, action, name)
