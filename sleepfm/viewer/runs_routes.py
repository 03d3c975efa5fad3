"""The runs' own HTTP route: their curves, thinned to the width of a chart. It only reads."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.viewer.route_requests import BINARY_HEADERS, HEADERS, answering, whole_parameter
from sleepfm.viewer.runs_compare import MOST_COMPARED, run_names
from sleepfm.viewer.runs_packing import RunCurves, pack_curves
from sleepfm.viewer.runs_store import curve_store
from sleepfm.viewer.signed_in import requiring

CURVES_PATH = "/sleepfm/runs/curves"
FEWEST_POINTS, MOST_POINTS = 50, 4000
_IDENTIFIER = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)


def run_routes(home: Home) -> list[BaseRoute]:
    """Return the route for the runs of one home folder."""

    async def curves(request: Request) -> Response:
        identifiers = list(dict.fromkeys(request.query_params.getlist("run")))
        if not identifiers or not all(_IDENTIFIER.fullmatch(one) for one in identifiers):
            raise RequestError("the request names no run")
        if len(identifiers) > MOST_COMPARED:
            raise RequestError(f"at most {MOST_COMPARED} runs at once")
        points = whole_parameter(request, "points", FEWEST_POINTS, MOST_POINTS)
        every = bool(whole_parameter(request, "all", 0, 1))
        have = request.query_params.get("have", "")
        payload = await run_in_threadpool(_answer, home, identifiers, points=points, every=every, have=have)
        if payload is None:
            return Response(status_code=204, headers=HEADERS)
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    return [Route(CURVES_PATH, requiring(Role.ADMIN, answering(curves)))]


def _answer(home: Home, identifiers: list[str], *, points: int, every: bool, have: str) -> bytes | None:
    """Return the packed curves of runs, or None when they are still those of the version `have`."""
    with Library(home) as library:
        jobs = [library.jobs.get(identifier) for identifier in identifiers]
    stored = [curve_store(home).read(job.id) for job in jobs]
    stands = (f"{one.version} {job.state} {job.attempt}" for one, job in zip(stored, jobs, strict=True))
    version = " ".join((f"{points} {every:d}", *stands))
    if version == have:
        return None
    runs = [
        RunCurves(job.id, name, job.open, one.series, one.remarks)
        for job, name, one in zip(jobs, run_names(jobs), stored, strict=True)
    ]
    return pack_curves(runs, points=points, every=every, version=version)
