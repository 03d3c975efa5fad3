"""Keeps other web pages away from the app's own routes.

A page of another site, open in the same browser, can send requests to 127.0.0.1. It must neither read patients' signals nor
add files. Browsers say where a request comes from (Fetch Metadata, Origin), and a rebound DNS name shows in Host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}


class SameOriginMiddleware:
    """Refuses requests under `prefix` that another site's page sent, or that were addressed to another name."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "http" and scope["path"].startswith(self.prefix):
            reason = refusal(Headers(scope=scope))
            if reason is not None:
                await JSONResponse({"error": reason}, status_code=403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def refusal(headers: Headers) -> str | None:
    """Return why a request is refused, None when it may pass."""
    host = headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in _LOCAL_NAMES:
        return "the app answers only under 127.0.0.1 or localhost"
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "requests from other web pages are refused"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return "requests from other web pages are refused"
    return None
