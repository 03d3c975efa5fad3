"""Stands before everything when the app is not for this machine alone: without a session only the sign-in page answers.

Pages, Streamlit's own addresses, the websocket over which pages run, files and the app's own routes are all behind it. An
open websocket is looked at with every message, and every few seconds besides, so that it ends with its session.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import closing, suppress
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from sleepfm.administration.identity_provider import CALLBACK
from sleepfm.administration.roles import Role
from sleepfm.administration.sessions import Session, Sessions
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.runs.database import connect
from sleepfm.viewer.review_routes import CHANGES_PATH
from sleepfm.viewer.runs_routes import CURVES_PATH
from sleepfm.viewer.same_origin import HEALTH_PATH, READING
from sleepfm.viewer.sign_in import STREAMLITS_LOGIN, SignIn
from sleepfm.viewer.sign_in_page import ICON_PATH, PROVIDER_PATH, SIGN_IN_PATH, STYLE_PATH
from sleepfm.viewer.signed_in import COOKIE, admit, user_of

_OPEN = {SIGN_IN_PATH, STYLE_PATH, ICON_PATH, PROVIDER_PATH}
_LOOK_EVERY_S = 5.0
_REMEMBERED = 10_000


class Gate:
    """ASGI middleware that lets pass whoever has signed in, and those who are about to."""

    def __init__(self, app: ASGIApp, home: Home, sign_in: SignIn) -> None:
        self.app = app
        self._sign_in = sign_in
        self._open = _OPEN | ({STREAMLITS_LOGIN} if sign_in.provider is not None else set())
        self._home = home
        # one connection for looking up, used by the event loop alone; what is written opens its own
        self._sessions = Sessions(connect(home.database))
        self._pages_of: OrderedDict[str, str] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        token = HTTPConnection(scope).cookies.get(COOKIE)
        session = self._sessions.find(token)
        if session is not None and token is not None:
            admit(scope, user_of(session))
        if scope["type"] == "websocket":
            if session is None or token is None:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._websocket(scope, receive, send, token)
            return
        try:
            await self._http(scope, receive, _not_kept(send), token, session)
        except SleepFMError as error:  # the database is busy for long, or the settings are damaged
            logging.getLogger(__name__).error("%s: %s", scope["path"], error)
            await PlainTextResponse("SleepFM Workbench cannot answer just now; its log says why.", 503)(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send, token: str | None, session: Session | None) -> None:
        path = scope["path"]
        if path == CALLBACK and self._sign_in.provider is not None:
            await self._callback(scope, receive, send)
        elif path in self._open or (path == HEALTH_PATH and scope["method"] in READING):
            await self.app(scope, receive, send)
        elif session is None or token is None:
            await _away(scope)(scope, receive, send)
        elif scope["method"] not in READING and not session.role.allows(Role.SCORER):
            # who only looks sends nothing
            words = {"error": f"this asks for the role “{Role.SCORER}”"}
            await JSONResponse(words, status_code=403)(scope, receive, send)
        else:
            if path not in (CURVES_PATH, CHANGES_PATH):  # an open page asks for these by itself
                await self._note(token, session)
            await self.app(scope, receive, send)

    async def _note(self, token: str, session: Session) -> None:
        """Note that the user did something, now and then."""
        if self._sessions.is_stale(session):

            def write() -> None:
                with closing(connect(self._home.database)) as connection:
                    Sessions(connection).seen(token)

            await run_in_threadpool(write)

    async def _callback(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let Streamlit speak with the identity provider, and turn who it found into a session of ours.

        What Streamlit would leave in the browser for thirty days never gets there: it could be shown again after the session
        has ended.
        """
        answered: list[Message] = []

        async def keep(message: Message) -> None:
            answered.append(message)

        await self.app(scope, receive, keep)
        cookies = [value for name, value in answered[0]["headers"] if name.lower() == b"set-cookie"]
        response = await run_in_threadpool(self._sign_in.by_provider, HTTPConnection(scope), _identity(cookies))
        for cookie in cookies:
            if not cookie.startswith(USER_COOKIE_NAME.encode()):
                response.raw_headers.append((b"set-cookie", cookie))
        await response(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        closed = known = False

        async def close() -> None:
            """Send the page to the sign-in page and hang up."""
            nonlocal closed
            if not closed:
                closed = True
                leave = ForwardMsg()
                leave.auth_redirect.url = f"{SIGN_IN_PATH}?why=ended"
                with suppress(RuntimeError, OSError):  # the browser may have gone in this very moment
                    await send({"type": "websocket.send", "bytes": leave.SerializeToString()})
                    await send({"type": "websocket.close", "code": 1008})

        async def watched_receive() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                session = self._sessions.find(token)
                if session is None:
                    await close()
                    return {"type": "websocket.disconnect", "code": 1008}
                if _by_hand(message):
                    await self._note(token, session)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal known
            if message["type"] == "websocket.send":
                if self._sessions.find(token) is None:
                    await close()
                known = known or self._remember_page(message, token)
            if not closed:
                await send(message)

        async def look() -> None:
            while not closed:
                await asyncio.sleep(_LOOK_EVERY_S)
                if self._sessions.find(token) is None:
                    await close()

        looking = asyncio.create_task(look())
        try:
            await self.app(self._without_others_page(scope, token), watched_receive, watched_send)
        finally:
            looking.cancel()

    def _remember_page(self, message: Message, token: str) -> bool:
        """Remember whose page it is that Streamlit begins with this message; False when it says something else."""
        answer = ForwardMsg()
        answer.ParseFromString(message.get("bytes") or b"")
        if answer.WhichOneof("type") != "new_session":
            return False
        self._pages_of[answer.new_session.initialize.session_id] = token
        while len(self._pages_of) > _REMEMBERED:
            self._pages_of.popitem(last=False)
        return True

    def _without_others_page(self, scope: Scope, token: str) -> Scope:
        """Keep a browser that reconnects from taking up somebody else's page: Streamlit asks for its number only."""
        words = [word.strip() for word in Headers(scope=scope).get("sec-websocket-protocol", "").split(",")]
        if len(words) < 3 or self._pages_of.get(words[2]) == token:
            return scope
        headers = [(name, value) for name, value in scope["headers"] if name != b"sec-websocket-protocol"]
        headers.append((b"sec-websocket-protocol", ", ".join(words[:2]).encode("latin-1")))
        return {**scope, "headers": headers}


def _away(scope: Scope) -> Response:
    """Return what somebody gets who has not signed in: a browser the way there, a program the reason."""
    headers = Headers(scope=scope)
    shows_pages = "text/html" in headers.get("accept", "") and headers.get("sec-fetch-dest", "document") == "document"
    if not shows_pages or scope["method"] not in READING:
        return JSONResponse({"error": "sign in first: reload the page"}, status_code=401)
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(SIGN_IN_PATH if wanted == "/" else f"{SIGN_IN_PATH}?next={quote(wanted, safe='')}", status_code=303)


def _by_hand(message: Message) -> bool:
    """Whether somebody did something, rather than the page asking for news by itself."""
    asked = BackMsg()
    try:
        asked.ParseFromString(message.get("bytes") or b"")
    except DecodeError:  # not Streamlit's; it says so itself
        return False
    return asked.WhichOneof("type") != "app_heartbeat" and not asked.rerun_script.is_auto_rerun


def _identity(cookies: list[bytes]) -> Mapping[str, Any] | None:
    """Return what the provider said of a person, None when it confirmed nobody."""
    found: dict[str, str] = {}
    for cookie in cookies:
        for name, morsel in SimpleCookie(cookie.decode("latin-1")).items():
            found[name] = morsel.value

    def value_of(name: str) -> bytes | None:
        signed = found.get(name)
        return decode_signed_value(get_cookie_secret(), name, signed) if signed else None

    content = get_cookie_with_chunks(value_of, USER_COOKIE_NAME)
    if not content:
        return None
    claims = json.loads(content)
    return claims if isinstance(claims, dict) and claims.get("is_logged_in") else None


def _not_kept(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                headers["Cache-Control"] = "no-store"  # going back after signing out asks the server again
        await send(message)

    return sending
