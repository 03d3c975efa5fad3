"""A model that was trained on simulated signals: said wherever it speaks, taken only by its name, never removed when bundled."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.simulation.study import simulate
from tests.cli.test_commands import is_one_clear_line, run, run_json
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

WORDS = "trained on simulated signals: for trying the software only"
ON_REAL = "What it says of a real recording means nothing."


@pytest.fixture(autouse=True)
def _home_with_bundled_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "night.edf", seconds=330)


def test_the_list_says_what_came_with_the_software_and_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    listed = run_json(capsys, "models", "list")["models"]
    assert {one["name"]: (one["trained_on"], one["default"], one["bundled"]) for one in listed} == {
        "demo-encoder": ("simulated", False, True),
        "demo-staging": ("simulated", False, True),
    }
    _, out, _ = run(capsys, "models", "list")
    assert all(WORDS in line and "came with the software" in line for line in out.splitlines())


def test_a_bundled_model_is_exported_but_not_removed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "models", "remove", "demo-staging")
    assert code == 2
    assert is_one_clear_line(err)
    exported = run_json(capsys, "models", "export", "demo-encoder", "--out", tmp_path / "out")
    assert (Path(exported["out"]) / "weights.safetensors").is_file()
    run_json(capsys, "models", "import", tmp_path / "out" / "demo-encoder", "--name", "mine")
    assert run_json(capsys, "models", "remove", "mine") == {"name": "mine"}
    assert [one["name"] for one in run_json(capsys, "models", "list")["models"]] == ["demo-encoder", "demo-staging"]
    assert run(capsys, "models", "remove", "mine")[0] == 2


@pytest.mark.parametrize("what", ["file", "folder"])
def test_the_engine_sleepfm_takes_it_only_by_its_name(
    capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path, what: str
) -> None:
    source = night if what == "file" else night.parent / "in"
    if what == "folder":
        source.mkdir()
        night.rename(source / night.name)
    code, out, err = run(capsys, "stage", source, "--engine", "sleepfm", "--out", tmp_path / "x.csv")
    assert (code, out) == (2, "")
    assert is_one_clear_line(err)
    assert "--model demo-staging" in err
    assert WORDS in err
    assert not (tmp_path / "x.csv").exists()


def test_staging_with_it_is_said_on_every_channel(capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path) -> None:
    words = ["stage", night, "--engine", "sleepfm", "--model", "demo-staging", "--out", tmp_path / "x.csv"]
    made = run_json(capsys, *words)
    assert (made["engine"], made["model"], made["epochs"]) == ("sleepfm", "demo-staging", 11)
    assert made["provenance"]["trained_on"] == "simulated"
    code, out, err = run(capsys, *words)
    assert code == 0
    assert WORDS in out
    assert f"demo-staging was {WORDS}. {ON_REAL}" in err


def test_auto_and_run_leave_it_alone_on_a_real_recording(capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path) -> None:
    assert run_json(capsys, "stage", night, "--out", tmp_path / "x.csv")["engine"] == "yasa"
    found = run_json(capsys, "run", night, "--out", tmp_path / "o", "--steps", "embed,stage")
    assert "stage" in found["steps"]
    assert "demo-encoder" in found["skipped"]["embed"]
    assert WORDS in found["skipped"]["embed"]
    assert found["warnings"] == []


def test_run_embeds_a_simulated_night_with_it_and_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    edf = simulate(tmp_path / "sim", 1, 0.1, 3)["studies"][0]["edf"]
    found = run_json(capsys, "run", edf, "--out", tmp_path / "o", "--steps", "embed,stage")
    assert "embed" in found["steps"]
    assert found["warnings"] == [f"demo-encoder was {WORDS}."]
