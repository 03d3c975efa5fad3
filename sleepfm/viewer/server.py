"""The app's server: Streamlit with the app's own routes, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.library.resident import end_resident, warm
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import OPEN_STATES, JobTable
from sleepfm.viewer.assets import app_folder
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.map_routes import map_routes
from sleepfm.viewer.routes import viewer_routes
from sleepfm.viewer.runs_routes import run_routes
from sleepfm.viewer.same_origin import SameOriginMiddleware
from sleepfm.viewer.similar_routes import similar_routes
from sleepfm.viewer.theme import STREAMLIT_THEME
from sleepfm.viewer.uploads import upload_routes

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


def create_app(home: Home) -> st.App:
    """Return the ASGI app for one home folder."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        # jobs that were queued or running when the app or the machine went down are taken up, or shown as crashed
        table = JobTable(home)
        if table.list(states=OPEN_STATES, limit=1):
            ensure_running(home)
        table.close()
        if any(home.indexes.glob("*")):  # neighbours are looked up here
            warm(home)
        yield
        end_resident()

    # Streamlit takes a folder called pages/ for its older way of multipage apps until app.py has run once; the first visitor
    # who asks for /studies directly would get the bare page
    PagesManager.uses_pages_directory = False
    folder, source = app_folder(), LibrarySource(home)
    return st.App(
        folder / "app.py",
        routes=[
            *viewer_routes(source, folder / "assets"),
            *similar_routes(source, home),
            *map_routes(home),
            *run_routes(home),
            *upload_routes(home),
        ],
        middleware=[Middleware(SameOriginMiddleware, prefix="/sleepfm/")],
        lifespan=lifespan,
    )


def serve(home: Home, *, port: int, address: str = "127.0.0.1") -> None:
    """Serve until stopped.

    Raises
    ------
    SleepFMError
        When the address is not this machine's own: there is no sign-in yet, so nobody else may reach the app.
    """
    if address not in ("127.0.0.1", "localhost", "::1"):
        raise SleepFMError(f"{address}: the app has no sign-in yet, so it only listens on 127.0.0.1; leave --address out")
    os.environ["SLEEPFM_HOME"] = str(home.root)  # the pages run in this process and open the library by it
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    app = create_app(home)
    config: Mapping[str, Any] = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.allowedHosts": list(LOCAL_HOSTS),
        "server.fileWatcherType": "none",
        "server.showEmailPrompt": False,
        "logger.hideWelcomeMessage": True,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorLinks": False,
        **STREAMLIT_THEME,
    }
    app.run(config=config)
