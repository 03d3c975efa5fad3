"""A small identity provider (OpenID Connect): discovery, authorize, token with a signed identity, keys. For tests only."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from viewer.running_server import Server, serving

CLIENT_ID, CLIENT_SECRET = "sleepfm-tests", "kept-between-the-app-and-its-provider"


@dataclass
class Provider:
    """Whoever comes is `email`; what the token says can be made wrong.

    Attributes
    ----------
    claims
        Added to the token, before it is signed.
    other_key
        Whether the token is signed with a key that the provider does not publish.
    asked
        The queries that came to the authorize address.
    """

    email: str = "cleo@example.org"
    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    other_key: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    _key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}))
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/jwks", self._jwks),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.asked.append(query)
        if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code":
            return HTMLResponse("unknown client", 400)
        code = secrets.token_urlsafe(16)
        self._codes[code] = query
        back = f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"
        return HTMLResponse(f'<h1>Example University</h1><a href="{back.replace("&", "&amp;")}">I am {self.email}</a>')

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        basic = request.headers.get("authorization", "")
        sent = (
            base64.b64decode(basic.removeprefix("Basic ")).decode() if basic else f"{form['client_id']}:{form['client_secret']}"
        )
        asked = self._codes.pop(form.get("code", ""), None)
        if asked is None or sent != f"{CLIENT_ID}:{CLIENT_SECRET}" or form.get("redirect_uri") != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "42",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": self.email,
            "email_verified": True,
        }
        key = RSAKey.generate_key(2048, {"kid": "one"}) if self.other_key else self._key
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims | self.claims, key)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    async def _jwks(self, _request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})


def running(provider: Provider) -> AbstractContextManager[Server]:
    """Serve a provider on a free port of this machine."""
    return serving(provider.app())
