"""The map's own HTTP routes: the places of its points, and a column to colour them by. They only read."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.map_columns import column
from sleepfm.library.maps import StoredMap, read_map
from sleepfm.viewer.map_packing import pack_column, pack_places
from sleepfm.viewer.route_requests import BINARY_HEADERS, answering

PLACES_PATH = "/sleepfm/map"
COLUMN_PATH = "/sleepfm/map/column"
LONGEST_KEY = 400
_IDENTIFIER = re.compile(r"[0-9a-f]{16}", re.ASCII)


def map_routes(home: Home) -> list[BaseRoute]:
    """Return the routes for the maps of one home folder."""

    async def places(request: Request) -> Response:
        payload = await run_in_threadpool(lambda: pack_places(_map(home, request)))
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    async def colours(request: Request) -> Response:
        payload = await run_in_threadpool(_colours, home, request)
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    return [Route(PLACES_PATH, answering(places)), Route(COLUMN_PATH, answering(colours))]


def _colours(home: Home, request: Request) -> bytes:
    key = request.query_params.get("column", "")
    if not 0 < len(key) <= LONGEST_KEY:
        raise RequestError("the request names no column")
    stored = _map(home, request)
    with Library(home) as library:
        return pack_column(stored, column(library, stored, key))


def _map(home: Home, request: Request) -> StoredMap:
    identifier = request.query_params.get("map", "")
    if not _IDENTIFIER.fullmatch(identifier):
        raise RequestError("the request names no map")
    stored = read_map(home, identifier)
    if stored is None:
        raise RequestError("this map was not made yet, or was deleted; make it again")
    return stored
