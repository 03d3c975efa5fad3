"""A model is downloaded by admins only, whole, and is no file that stays."""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette

from sleepfm.administration.audit import entries
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.viewer.models_routes import models_routes
from sleepfm.viewer.signed_in import ask_for_sign_in
from tests.models.made_up_cards import put_card
from tests.viewer.running_server import Server, serving
from tests.viewer.test_settings_routes import SignedInAs


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    home = open_home(tmp_path / "home")
    put_card(home.models, "base")
    (home.models / "base" / "weights.safetensors").write_bytes(bytes(range(256)) * 1000)
    put_card(home.models, "half")
    return home


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    ask_for_sign_in(home)
    try:
        with serving(SignedInAs(Starlette(routes=models_routes(home)))) as running:
            yield running
    finally:
        ask_for_sign_in(None)


def test_an_admin_gets_the_model_and_nothing_stays(server: Server, home: Home, tmp_path: Path) -> None:
    answer = server.get("/sleepfm/models/base.zip", X_Role="admin")
    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert held == {f"base/{file.name}": file.read_bytes() for file in (home.models / "base").iterdir()}
    assert 'filename="base.zip"' in answer.headers["content-disposition"]
    with closing(connect(home.database)) as connection:
        assert [(entry.user, entry.action, entry.subject) for entry in entries(connection)] == [("anna", "export model", "base")]
    gone_by = time.monotonic() + 20  # it goes when all of it was sent, a moment after all of it has come
    while list((tmp_path / "temporary").iterdir()):
        assert time.monotonic() < gone_by
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "role", "status"),
    [("base", "scorer", 403), ("nobody", "admin", 404), ("..%2Fbase", "admin", 404), ("half", "admin", 500)],
)
def test_nobody_else_and_nothing_else(server: Server, tmp_path: Path, path: str, role: str, status: int) -> None:
    answer = server.get(f"/sleepfm/models/{path}.zip", X_Role=role)
    assert answer.status == status
    assert list((tmp_path / "temporary").iterdir()) == []
