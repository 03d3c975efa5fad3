"""The map's own HTTP routes: the places of its points, and a column to colour them by. They only read."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.map_columns import column
from sleepfm.library.maps import StoredMap, read_map
from sleepfm.viewer.map_packing import pack_column, pack_places

PLACES_PATH = "/sleepfm/map"
COLUMN_PATH = "/sleepfm/map/column"
LONGEST_KEY = 400
_IDENTIFIER = re.compile(r"[0-9a-f]{16}", re.ASCII)
_HEADERS = {
    # what is known of patients: not kept by the browser, not embedded by other sites, never guessed to be something executable
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_BINARY_HEADERS = _HEADERS | {"Content-Encoding": "identity"}


def map_routes(home: Home) -> list[BaseRoute]:
    """Return the routes for the maps of one home folder."""

    def places(request: Request) -> bytes:
        return pack_places(_map(home, request))

    def colours(request: Request) -> bytes:
        key = request.query_params.get("column", "")
        if not 0 < len(key) <= LONGEST_KEY:
            raise RequestError("the request names no column")
        stored = _map(home, request)
        with Library(home) as library:
            return pack_column(stored, column(library, stored, key))

    return [Route(PLACES_PATH, _answering(places)), Route(COLUMN_PATH, _answering(colours))]


def _answering(payload: Callable[[Request], bytes]) -> Callable[[Request], object]:
    """Answer with bytes, or with errors that people read as JSON {"error": ...}."""

    async def answer(request: Request) -> Response:
        try:
            return Response(
                await run_in_threadpool(payload, request), headers=_BINARY_HEADERS, media_type="application/octet-stream"
            )
        except RequestError as error:
            return JSONResponse({"error": str(error)}, status_code=400, headers=_HEADERS)
        except SleepFMError as error:
            return JSONResponse({"error": str(error)}, status_code=422, headers=_HEADERS)

    return answer


def _map(home: Home, request: Request) -> StoredMap:
    identifier = request.query_params.get("map", "")
    if not _IDENTIFIER.fullmatch(identifier):
        raise RequestError("the request names no map")
    stored = read_map(home, identifier)
    if stored is None:
        raise RequestError("this map was not made yet, or was deleted; make it again")
    return stored
