"""The app's server: Streamlit with the app's own routes, on 127.0.0.1 for one user, elsewhere for those who sign in."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from importlib import import_module
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.identity_provider import SECRETS_FILE, IdentityProvider, read_identity_provider
from sleepfm.administration.readable_folders import require_folders_named
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.resident import end_resident, warm
from sleepfm.runs.database import connect
from sleepfm.runs.dispatcher import ensure_running, nobody_works
from sleepfm.runs.table import OPEN_STATES, JobTable
from sleepfm.viewer.assets import app_folder
from sleepfm.viewer.gate import Gate
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.map_routes import map_routes
from sleepfm.viewer.models_routes import models_routes
from sleepfm.viewer.report_preview import report_routes
from sleepfm.viewer.review_routes import review_routes
from sleepfm.viewer.routes import viewer_routes
from sleepfm.viewer.runs_routes import run_routes
from sleepfm.viewer.same_origin import LOCAL_ONLY, OwnNames, SameOriginMiddleware
from sleepfm.viewer.settings_routes import settings_routes
from sleepfm.viewer.sign_in import SignIn
from sleepfm.viewer.signed_in import LOOPBACK, ask_for_sign_in
from sleepfm.viewer.similar_routes import similar_routes
from sleepfm.viewer.theme import STREAMLIT_THEME
from sleepfm.viewer.uploads import upload_routes

LOOK_EVERY_S = 30.0
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")


async def see_to_the_queue(home: Home) -> None:
    """Start a dispatcher anew where jobs are open and it is gone (out of memory, say), as long as the app runs.

    Twice in a row, so that one that is about to begin or to leave counts as there.
    """
    gone = False
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            before, gone = gone, await asyncio.to_thread(nobody_works, home)
            if before and gone:
                await asyncio.to_thread(ensure_running, home)
                gone = False
        except (SleepFMError, OSError) as error:  # the disk is full, or the table busy: it is looked at again
            logging.getLogger(__name__).warning("the queue could not be looked at: %s", error)


def create_app(home: Home, sign_in: SignIn | None = None, names: OwnNames = LOCAL_ONLY) -> st.App:
    """Return the ASGI app for one home folder.

    Parameters
    ----------
    sign_in
        How people sign in; None for an app that only this machine's user reaches.
    names
        The names that it answers under.
    """

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        # jobs that were queued or running when the app or the machine went down are taken up, or shown as crashed
        table = JobTable(home)
        if table.list(states=OPEN_STATES, limit=1):
            ensure_running(home)
        table.close()
        # the first picture is filtered with it, and importing it takes a second: meanwhile the browser loads the page
        threading.Thread(target=import_module, args=("scipy.signal",), daemon=True).start()
        if any(home.indexes.glob("*")):  # neighbours are looked up here
            warm(home)
        watch = asyncio.create_task(see_to_the_queue(home))
        yield
        watch.cancel()
        end_resident()

    # Streamlit takes a folder called pages/ for its older way of multipage apps until app.py has run once; the first visitor
    # who asks for /studies directly would get the bare page
    PagesManager.uses_pages_directory = False
    folder, source = app_folder(), LibrarySource(home)
    return st.App(
        folder / "app.py",
        secrets=_secrets(None if sign_in is None else sign_in.provider),
        routes=[
            *(() if sign_in is None else sign_in.routes()),
            *viewer_routes(source, folder / "assets"),
            *review_routes(source),
            *report_routes(home),
            *similar_routes(source, home),
            *map_routes(home),
            *run_routes(home),
            *settings_routes(home),
            *models_routes(home),
            *upload_routes(home),
        ],
        middleware=[
            Middleware(SameOriginMiddleware, prefix="/sleepfm/", names=names),
            *(() if sign_in is None else (Middleware(Gate, home=home, sign_in=sign_in),)),
        ],
        lifespan=lifespan,
    )


def serve(
    home: Home,
    *,
    port: int,
    address: str = "127.0.0.1",
    allowed_hosts: Sequence[str] = (),
    sign_in: SignIn | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve until stopped.

    On this machine's own address there is one user. On any other, or with names that a proxy answers under, people sign in.

    Parameters
    ----------
    allowed_hosts
        Names that browsers may call the app by, besides this machine's name and the address that a request arrives at.
    sign_in
        How people sign in (`sign_in_for`); None for this machine's one user.
    certificate, key
        Files for https; without them a proxy in front is meant to bring it.

    Raises
    ------
    RequestError
        When others could reach the app without signing in.
    """
    if sign_in is None and others_reach(address, allowed_hosts):
        raise RequestError(f"{address}: others can reach the app there, so people must sign in")
    guarded = sign_in is not None
    names = OwnNames.with_others((socket.gethostname(), *allowed_hosts)) if guarded else LOCAL_ONLY
    ask_for_sign_in(home if guarded else None)
    os.environ["SLEEPFM_HOME"] = str(home.root)  # the pages run in this process and open the library by it
    logging.getLogger("streamlit").setLevel(logging.WARNING)
    app = create_app(home, sign_in, names)
    config: Mapping[str, Any] = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.allowedHosts": [] if guarded else list(LOCAL_HOSTS),  # SameOriginMiddleware knows more of our names
        "server.sslCertFile": None if certificate is None else str(certificate),
        "server.sslKeyFile": None if key is None else str(key),
        "server.fileWatcherType": "none",
        "server.enableAgentApi": False,  # programs have the command line; a variable of the environment must not open another way
        "server.showEmailPrompt": False,
        "logger.hideWelcomeMessage": True,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "viewer",
        "client.showErrorLinks": False,
        **STREAMLIT_THEME,
    }
    app.run(config=config)


def others_reach(address: str, allowed_hosts: Sequence[str] = ()) -> bool:
    """Whether others than this machine's user can reach the app: by its address, or through a proxy under another name."""
    return address not in LOOPBACK or bool(allowed_hosts)


def sign_in_for(home: Home, address: str, allowed_hosts: Sequence[str] = ()) -> SignIn | None:
    """Return how people sign in to an app at this address; None where only this machine's user reaches it.

    Raises
    ------
    RequestError
        When nobody could sign in, or nobody has said which folders the app may read: the app then serves nobody rather than
        everybody.
    """
    if not others_reach(address, allowed_hosts):
        return None
    provider = read_identity_provider(home)
    with closing(connect(home.database)) as connection:
        if not any(provider is not None or account.has_password for account in Accounts(connection).list()):
            raise RequestError(
                f"{address}: others can reach the app there, so people must sign in, and nobody can yet: add somebody with"
                " sleepfm users add NAME --role admin (with --provider for somebody of the identity provider that"
                f" {home.root / SECRETS_FILE} describes), or leave --address and --allowed-host out"
            )
    require_folders_named(home)  # damaged settings are said here too, not to the first who signs in
    return SignIn(home, provider)


def _secrets(provider: IdentityProvider | None) -> dict[str, Any] | None:
    """Return what Streamlit's own sign-in reads; the key of its cookies need not outlive the process."""
    if provider is None:
        return None
    return {
        "auth": {
            "redirect_uri": provider.redirect_uri,
            "cookie_secret": secrets.token_hex(32),
            "client_id": provider.client_id,
            "client_secret": provider.client_secret.get_secret_value(),
            "server_metadata_url": provider.metadata_url,
        }
    }
