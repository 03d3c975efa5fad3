"""A study's report on a page: the route that gives its HTML to the browser, and the frame in which it is looked at.

The page shows the report in a frame without scripts, forms or an origin of its own, and the answer itself says the same for
whoever opens it in a tab: whatever a report held, it could not reach the app.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.report_files import stored_report
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.assets import app_folder, asset_text
from sleepfm.viewer.route_requests import HEADERS, answering, study_parameter, whole_parameter
from sleepfm.viewer.signed_in import requiring, user_of_request

REPORT_PATH = "/sleepfm/report"
SHUT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
MOST_SCORINGS = 999_999_999
_LOADER = """
export default async function (component) {
  const { mount } = await import(new URL(component.data.module, window.location.origin).href);
  return mount(component);
}
"""


def report_routes(home: Home) -> list[BaseRoute]:
    """Return the route that answers with the HTML of a study's report."""

    async def report(request: Request) -> Response:
        study, scoring = study_parameter(request), whole_parameter(request, "scoring", 1, MOST_SCORINGS)
        user = user_of_request(request)
        known = user is not None and user.may(Role.SCORER)
        content = await run_in_threadpool(partial(_content, home, study, scoring, may_know_names=known))
        if content is None:
            return JSONResponse({"error": f"a report that names the person asks for the role “{Role.SCORER}”"}, 403, HEADERS)
        return Response(content, media_type="text/html", headers=HEADERS | {"Content-Security-Policy": SHUT})

    return [Route(REPORT_PATH, requiring(Role.VIEWER, answering(report)))]


def _content(home: Home, study: str, scoring: int, *, may_know_names: bool) -> bytes | None:
    """Return the page of a report; None when it names the person and whoever asks may not know."""
    with Library(home) as library:
        stored = stored_report(library, study, scoring)
        if stored is None:
            raise RequestError(f"{study}: has no report of this scoring yet; make it on the Finish page")
        return stored.html.read_bytes() if may_know_names or not stored.identified else None


@cache
def _component() -> Any:
    return st.components.v2.component("sleepfm.report", css=asset_text("report/preview.css"), js=_LOADER)


def report_preview(study: str, scoring: int, *, stamp: str) -> None:
    """Show the report of a study's scoring.

    Parameters
    ----------
    stamp
        Anything; when it changes the report is fetched again.
    """
    base = f"/{st.get_option('server.baseUrlPath').strip('/')}".rstrip("/")
    _component()(
        key="report preview",
        data={
            "module": base + asset_url(app_folder() / "assets", "report/preview.js"),
            "address": f"{base}{REPORT_PATH}?{urlencode({'study': study, 'scoring': scoring})}",
            "stamp": stamp,
            "title": f"Report of {study}",
        },
    )
