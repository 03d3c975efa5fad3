"""Signing in: with a password of this installation, or through the site's identity provider."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from streamlit.auth_util import encode_provider_token

from sleepfm.administration.accounts import Account, Accounts
from sleepfm.administration.app_settings import read_settings
from sleepfm.administration.audit import record
from sleepfm.administration.identity_provider import IdentityProvider
from sleepfm.administration.sessions import Sessions
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.runs.database import connect
from sleepfm.text import printable
from sleepfm.viewer.assets import asset_text
from sleepfm.viewer.sign_in_page import (
    HEADERS,
    ICON_PATH,
    PROVIDER_PATH,
    REMARKS,
    SIGN_IN_PATH,
    STYLE_PATH,
    WRONG,
    Remark,
    sign_in_page,
    stranger_page,
)
from sleepfm.viewer.signed_in import COOKIE

STREAMLITS_LOGIN = "/auth/login"
"""Where Streamlit sends people to the identity provider, as `st.login` does."""
_FORM_COOKIE = "sleepfm_sign_in"
_NEXT_COOKIE = "sleepfm_next"
_FORM_S = 600
_LONGEST_FORM = 20_000
_AT_ONCE = 2
"""Passwords looked at together: each takes 64 MB, and guessing many at once shall not starve the others."""


class SignIn:
    """The routes of the sign-in page, and the sessions that they begin."""

    def __init__(self, home: Home, provider: IdentityProvider | None) -> None:
        self.provider = provider
        self._home = home
        self._turn = asyncio.Semaphore(_AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        """Return the routes that answer without a session."""

        async def style(_request: Request) -> Response:
            return Response(asset_text("sign_in/sign_in.css"), media_type="text/css")

        async def icon(_request: Request) -> Response:
            return Response(asset_text("icon.svg"), media_type="image/svg+xml")

        return [
            Route(SIGN_IN_PATH, self._show, methods=["GET"]),
            Route(SIGN_IN_PATH, self._by_password, methods=["POST"]),
            Route(PROVIDER_PATH, self._to_provider, methods=["GET"]),
            Route(STYLE_PATH, style, methods=["GET"]),
            Route(ICON_PATH, icon, methods=["GET"]),
        ]

    def by_provider(self, request: HTTPConnection, claims: Mapping[str, Any] | None) -> Response:
        """Return the answer to somebody who comes back from the identity provider.

        Parameters
        ----------
        claims
            What the provider said in its signed token; None when it confirmed nobody.
        """
        email = "" if claims is None else str(claims.get("email") or "")
        # a provider that lets people type any address says that it has not checked it
        verified = self.provider is not None and self.provider.trust_unmarked_email
        if claims is None or not email or str(claims.get("email_verified", verified)).lower() != "true":
            return RedirectResponse(f"{SIGN_IN_PATH}?why=provider", status_code=303)
        with closing(connect(self._home.database)) as connection:
            account = Accounts(connection).find(email)
            if account is None:
                return HTMLResponse(stranger_page(printable(email[:254])), status_code=403, headers=HEADERS)
        if account.has_password:  # not the provider's to name
            return RedirectResponse(f"{SIGN_IN_PATH}?why=password", status_code=303)
        response = self._begin(request, account, unquote(request.cookies.get(_NEXT_COOKIE, "/")), by="identity provider")
        response.delete_cookie(_NEXT_COOKIE)
        return response

    async def _show(self, request: Request) -> Response:
        wanted = own_address(request.query_params.get("next", "/"))
        why = REMARKS.get(request.query_params.get("why", ""))
        return await run_in_threadpool(self._page, request, wanted, None if why is None else Remark(why))

    async def _to_provider(self, request: Request) -> Response:
        if self.provider is None:
            return RedirectResponse(SIGN_IN_PATH, status_code=303)
        # its word holds for two minutes, so it is made here and not when the page is shown
        address = f"{STREAMLITS_LOGIN}?provider={encode_provider_token('default')}"
        response = RedirectResponse(address, status_code=303, headers=HEADERS)
        wanted = own_address(request.query_params.get("next", "/"))
        _set_cookie(response, request, _NEXT_COOKIE, quote(wanted), seconds=_FORM_S)
        return response

    async def _by_password(self, request: Request) -> Response:
        form = await _form(request)
        wanted = own_address(form.get("next", "/"))
        kept = request.cookies.get(_FORM_COOKIE, "")
        if not kept or not secrets.compare_digest(kept.encode(), form.get("csrf", "").encode()):
            stale = Remark("The page had been open for too long, or cookies are switched off. Try again.", bad=True)
            return await run_in_threadpool(self._page, request, wanted, stale, status=403)
        name, password = form.get("name", ""), form.get("password", "")
        async with self._turn:
            account = await run_in_threadpool(self._look_up, name, password)
        if account is None:
            # the name comes back into the form only where it could be one: people type passwords there
            shown = name if re.fullmatch(r"[\w.@+-]{1,254}", name) else ""
            return await run_in_threadpool(self._page, request, wanted, Remark(WRONG, bad=True), name=shown, status=401)
        return await run_in_threadpool(self._begin, request, account, wanted, by="password")

    def _look_up(self, name: str, password: str) -> Account | None:
        with closing(connect(self._home.database)) as connection:
            return Accounts(connection).sign_in(name, password)

    def _begin(self, request: HTTPConnection, account: Account, wanted: str, *, by: str) -> Response:
        hours = read_settings(self._home).session_hours
        with closing(connect(self._home.database)) as connection:
            sessions = Sessions(connection)
            if former := request.cookies.get(COOKIE):
                sessions.end(former)
            try:
                token = sessions.begin(account.name, hours)
            except RequestError:  # removed in this very moment
                return RedirectResponse(SIGN_IN_PATH, status_code=303)
            record(connection, account.name, "sign in", detail={"by": by})
        response = RedirectResponse(own_address(wanted), status_code=303, headers={"Cache-Control": "no-store"})
        _set_cookie(response, request, COOKIE, token, seconds=int(hours * 3600))
        response.delete_cookie(_FORM_COOKIE, path=SIGN_IN_PATH)
        return response

    def _page(self, request: Request, wanted: str, remark: Remark | None, *, name: str = "", status: int = 200) -> Response:
        with closing(connect(self._home.database)) as connection:
            if status == 200 and Sessions(connection).find(request.cookies.get(COOKIE)) is not None:
                return RedirectResponse(wanted, status_code=303)
            passwords = self.provider is None or any(account.has_password for account in Accounts(connection).list())
        csrf = request.cookies.get(_FORM_COOKIE) or secrets.token_urlsafe(24)
        page = sign_in_page(
            csrf=csrf,
            wanted=wanted,
            passwords=passwords,
            provider=None if self.provider is None else self.provider.label,
            provider_address=f"{PROVIDER_PATH}?next={quote(wanted, safe='')}",
            name=name,
            remark=remark,
        )
        response = HTMLResponse(page, status_code=status, headers=HEADERS)
        _set_cookie(response, request, _FORM_COOKIE, csrf, seconds=_FORM_S, path=SIGN_IN_PATH)
        return response


def own_address(text: str) -> str:
    """Return an address of this app to go to, the first page when it would lead elsewhere."""
    try:
        parts = urlsplit(text)
    except ValueError:  # half an address of IPv6, as "//["
        return "/"
    leads_away = not text.startswith("/") or text.startswith(("//", "/\\")) or parts.scheme or parts.netloc
    if leads_away or len(text) > 2000 or not text.isprintable() or parts.path.startswith((SIGN_IN_PATH, "/auth/", "/_stcore")):
        return "/"
    return text


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form as it was sent; empty when it is too large or no form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_FORM:
            return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _set_cookie(response: Response, request: HTTPConnection, name: str, value: str, *, seconds: int, path: str = "/") -> None:
    secure = request.url.scheme in ("https", "wss")
    response.set_cookie(name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=secure)
