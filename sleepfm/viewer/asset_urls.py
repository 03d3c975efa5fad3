"""Addresses of the front end's files, with their content in the address: browsers may keep them for good, never stale."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PREFIX = "/sleepfm/assets"


@cache
def version(assets: Path) -> str:
    """Return a hash of everything in the folder; another content, another address."""
    digest = hashlib.sha256()
    for file in sorted(path for path in assets.rglob("*") if path.is_file()):
        digest.update(file.relative_to(assets).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def asset_url(assets: Path, name: str) -> str:
    """Return the address of one file of the folder, from the server's root."""
    return f"{PREFIX}/{version(assets)}/{name}"


class _LastingFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def asset_mount(assets: Path) -> Mount:
    """Return the route that serves the folder."""
    return Mount(f"{PREFIX}/{version(assets)}", _LastingFiles(directory=assets))
