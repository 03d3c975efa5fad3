"""Keeps other web pages away from the app, and answers only under its own names.

A page of another site, open in the same browser, can send requests to this app. It must neither read patients' signals nor
change anything. Browsers say where a request comes from (Fetch Metadata, Origin), and a rebound DNS name shows in Host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEALTH_PATH = "/_stcore/health"
READING = ("GET", "HEAD")
_HEADERS = {"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
"""Go with every answer: no other site's page shows the app's in a frame, where somebody could be led to click in it unseen."""


@dataclass(frozen=True)
class OwnNames:
    """The names that this app answers under.

    Attributes
    ----------
    names
        Host names and addresses, in small letters.
    arrived_at
        Whether the numeric address that a request arrived at counts too: an address cannot be rebound as a name can.
    """

    names: frozenset[str] = LOCAL_NAMES
    arrived_at: bool = False

    @classmethod
    def with_others(cls, others: Iterable[str]) -> OwnNames:
        """Return the names of an app that other machines reach: this machine's address, and the given names."""
        return cls(LOCAL_NAMES | {name.strip().lower().rstrip(".") for name in others}, arrived_at=True)

    def include(self, host: str, server: tuple[str, int | None] | None = None) -> bool:
        """Whether the Host of a request is one of ours; `server` is the address that it arrived at."""
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").rstrip(".")
            _ = parts.port  # a port that is no number is refused as well
        except ValueError:
            return False
        if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
            return False
        return name in self.names or (self.arrived_at and server is not None and _same_address(name, server[0]))


LOCAL_ONLY = OwnNames()


class SameOriginMiddleware:
    """Refuses what was addressed to another name, and what another site's page sent to change, read or frame something.

    A link from another site to a page is let through: the page itself then asks for what it shows.
    """

    def __init__(self, app: ASGIApp, prefix: str, names: OwnNames = LOCAL_ONLY) -> None:
        self.app = app
        self.prefix = prefix
        self.names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        send = _with_headers(send)
        reason = None
        if scope["type"] in ("http", "websocket") and scope["path"] != HEALTH_PATH:
            headers = Headers(scope=scope)
            reason = other_name(headers, self.names, scope.get("server"))
            if reason is None and (
                scope["type"] == "websocket" or scope["method"] not in READING or scope["path"].startswith(self.prefix)
            ):
                reason = other_site(headers)
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await JSONResponse({"error": reason}, status_code=403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending


def other_name(headers: Headers, names: OwnNames = LOCAL_ONLY, server: tuple[str, int | None] | None = None) -> str | None:
    """Return why a request is refused for the name that it was addressed to, None when it may pass."""
    if names.include(headers.get("host", ""), server):
        return None
    if names.arrived_at:
        return "the app does not answer under this name; start it with --allowed-host and the name to change that"
    return "the app answers only under 127.0.0.1 or localhost"


def other_site(headers: Headers) -> str | None:
    """Return why a request is refused for the page that sent it, None when it may pass."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "requests from other web pages are refused"
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", ""):
        return "requests from other web pages are refused"
    return None


def _place(origin: str) -> str | None:
    """Return the host and port of an origin, None of what cannot be one."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _same_address(name: str, other: str) -> bool:
    try:
        return _address(name) == _address(other)
    except ValueError:  # a name, or the path of a socket
        return False


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address
