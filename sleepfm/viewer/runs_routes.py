"""The runs' own HTTP route: their curves, thinned to the width of a chart. It only reads."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.runs.run_curves import Curves
from sleepfm.runs.run_files import run_folder
from sleepfm.viewer.route_requests import BINARY_HEADERS, HEADERS, answering, whole_parameter
from sleepfm.viewer.runs_compare import MOST_COMPARED, run_names
from sleepfm.viewer.runs_packing import RunCurves, pack_curves

CURVES_PATH = "/sleepfm/runs/curves"
FEWEST_POINTS, MOST_POINTS = 50, 4000
KEPT = 16
"""So many runs' curves stay parsed, so that a run that goes on is read only where it is new."""
_IDENTIFIER = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)


class CurveStore:
    """The curves of a home folder's runs, read further each time they are asked for."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept: OrderedDict[str, tuple[Lock, Curves]] = OrderedDict()
        self._lock = Lock()

    def answer(self, identifiers: list[str], *, points: int, every: bool, have: str) -> bytes | None:
        """Return the packed curves of runs, or None when they are still those of the version `have`."""
        with Library(self._home) as library:
            jobs = [library.jobs.get(identifier) for identifier in identifiers]
        names = run_names(jobs)
        runs, stamps = [], [f"{points} {every:d}"]
        for job, name in zip(jobs, names, strict=True):
            lock, curves = self._curves(job.id)
            with lock:
                series = curves.read()
                # the length too: a run that was forgotten here and read anew begins to count anew
                stamps.append(f"{curves.version} {sum(len(one.step) for one in series.values())} {job.state} {job.attempt}")
                runs.append(RunCurves(job.id, name, job.open, series, curves.remarks))
        version = " ".join(stamps)
        return None if version == have else pack_curves(runs, points=points, every=every, version=version)

    def _curves(self, identifier: str) -> tuple[Lock, Curves]:
        with self._lock:
            if identifier not in self._kept:
                self._kept[identifier] = (Lock(), Curves(run_folder(self._home, identifier)))
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(identifier)
            return self._kept[identifier]


def run_routes(home: Home) -> list[BaseRoute]:
    """Return the route for the runs of one home folder."""
    store = CurveStore(home)

    async def curves(request: Request) -> Response:
        identifiers = list(dict.fromkeys(request.query_params.getlist("run")))
        if not identifiers or not all(_IDENTIFIER.fullmatch(one) for one in identifiers):
            raise RequestError("the request names no run")
        if len(identifiers) > MOST_COMPARED:
            raise RequestError(f"at most {MOST_COMPARED} runs at once")
        points = whole_parameter(request, "points", FEWEST_POINTS, MOST_POINTS)
        every = bool(whole_parameter(request, "all", 0, 1))
        have = request.query_params.get("have", "")
        payload = await run_in_threadpool(store.answer, identifiers, points=points, every=every, have=have)
        if payload is None:
            return Response(status_code=204, headers=HEADERS)
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    return [Route(CURVES_PATH, answering(curves))]
