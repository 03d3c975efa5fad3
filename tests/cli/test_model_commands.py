"""The commands that decide about models: default, retire, restore, remove, and export as a zip file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.administration.audit import entries
from sleepfm.models.card import Task
from sleepfm.runs.database import connect
from tests.cli.test_commands import is_one_clear_line, run, run_json
from tests.library.simulated_models import bundle
from tests.models.made_up_cards import put_card


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    put_card(tmp_path / "home" / "models", "base")
    for name in ("old", "new"):
        put_card(tmp_path / "home" / "models", name, Task.STAGING)
    return tmp_path / "home"


def listed(capsys: pytest.CaptureFixture[str], key: str) -> dict[str, object]:
    return {one["name"]: one[key] for one in run_json(capsys, "models", "list")["models"]}


def test_a_default_is_chosen_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(capsys, "default") == {"base": True, "new": True, "old": False}
    assert run_json(capsys, "models", "default", "old") == {"task": "staging", "default": "old"}
    assert listed(capsys, "default") == {"base": True, "new": False, "old": True}
    assert listed(capsys, "chosen") == {"base": False, "new": False, "old": True}
    assert run_json(capsys, "models", "default", "--forget", "staging") == {"task": "staging", "default": "new"}
    for words in ((), ("old", "--forget", "staging"), ("nobody",)):
        code, out, err = run(capsys, "models", "default", *words)
        assert (code, out) == (2, "")
        assert is_one_clear_line(err)


def test_a_retired_model_is_listed_as_such_and_restored(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run_json(capsys, "models", "retire", "base") == {"name": "base", "resting": ["new", "old"]}
    assert listed(capsys, "retired") == {"base": True, "new": False, "old": False}
    assert listed(capsys, "offered") == {"base": False, "new": False, "old": False}
    _, out, _ = run(capsys, "models", "list")
    assert [line.rsplit("(", 1)[1] for line in out.splitlines()] == [
        "retired)",
        "its encoder is retired)",
        "its encoder is retired)",
    ]
    code, _, err = run(capsys, "models", "default", "old")
    assert code == 2
    assert "its encoder, base, is retired" in err
    assert run_json(capsys, "models", "restore", "base") == {"name": "base", "offered": True}
    assert set(listed(capsys, "offered").values()) == {True}
    written = [(entry.action, entry.subject) for entry in entries(connect(home / "library.sqlite"))]
    assert written == [("bring model back", "base"), ("retire model", "base")]


def test_a_model_in_use_is_not_removed(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "models", "remove", "base")
    assert code == 2
    assert is_one_clear_line(err)
    assert "used by the heads new and old" in err
    assert "retire it" in err
    for name in ("old", "new", "base"):
        run_json(capsys, "models", "remove", name)
    assert listed(capsys, "default") == {}


def test_a_zip_file_is_exported_once_and_imported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    made = run_json(capsys, "models", "export", "demo-encoder", "--out", tmp_path, "--zip")
    assert Path(made["out"]) == tmp_path / "demo-encoder.zip"
    assert run(capsys, "models", "export", "demo-encoder", "--out", tmp_path, "--zip")[0] == 2
    mine = run_json(capsys, "models", "import", made["out"], "--name", "mine")
    assert mine["weights_sha256"] == listed(capsys, "weights_sha256")["demo-encoder"]
