"""Backups and diagnostics are downloaded by admins only, whole, and nothing else of the home is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from sleepfm.administration.accounts import Accounts
from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.viewer.settings_routes import settings_routes
from sleepfm.viewer.signed_in import User, admit, ask_for_sign_in
from tests.viewer.running_server import Server, serving

CONTENT = bytes(range(256)) * 4096


class SignedInAs:
    """Stands for the gate: each request is the user's whose role its header names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        roles = [value.decode() for name, value in scope.get("headers", ()) if name == b"x-role"]
        if roles:
            admit(scope, User("anna", Role(roles[0]), local=False))
        await self.app(scope, receive, send)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = open_home(tmp_path / "home")
    with closing(connect(home.database)) as connection:
        Accounts(connection).add("anna", Role.ADMIN, "a long enough password", by="test")
    for folder, name in (("backups", "sleepfm-1 é.tar"), ("diagnostics", "d.zip"), ("backups", "half.part"), ("models", "x.tar")):
        (home.root / folder).mkdir(exist_ok=True)
        (home.root / folder / name).write_bytes(CONTENT)
    return home


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    ask_for_sign_in(home)
    try:
        with serving(SignedInAs(Starlette(routes=settings_routes(home)))) as running:
            yield running
    finally:
        ask_for_sign_in(None)


def test_an_admin_gets_the_whole_file_and_the_log_says_so(server: Server, home: Home) -> None:
    answer = server.get("/sleepfm/settings/backups/sleepfm-1%20%C3%A9.tar", X_Role="admin")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["cache-control"] == "no-store"
    assert server.get("/sleepfm/settings/diagnostics/d.zip", X_Role="admin").status == 200
    with closing(connect(home.database)) as connection:
        assert [(one.user, one.action, one.subject) for one in entries(connection, user="anna")] == [
            ("anna", "download of diagnostics", "d.zip"),
            ("anna", "download of backups", "sleepfm-1 é.tar"),
        ]


@pytest.mark.parametrize("role", ["viewer", "scorer", None])
def test_nobody_else_gets_it(server: Server, role: str | None) -> None:
    answer = server.get("/sleepfm/settings/backups/sleepfm-1%20%C3%A9.tar", **({} if role is None else {"X_Role": role}))
    assert answer.status == 403
    assert CONTENT[:64] not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "backups/none.tar",
        "backups/half.part",
        "backups/..%2Flibrary.sqlite",
        "backups/..%2Fmodels%2Fx.tar",
        "backups/%2Fetc%2Fpasswd",
        "models/x.tar",
        "../library.sqlite",
    ],
)
def test_nothing_else_of_the_home_is_to_be_had(server: Server, path: str) -> None:
    assert server.get(f"/sleepfm/settings/{path}", X_Role="admin").status == 404
