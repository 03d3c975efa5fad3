"""`sleepfm evaluate` as its users know it: what is printed where, the files, and one clear line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sleepfm.cli.main import main
from sleepfm.models.card import read_card
from tests.evaluation.shelf_cohort import ShelfCohort, make_shelf_cohort


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command; return its exit code, stdout and stderr."""
    try:
        code = main([str(word) for word in words])
    except SystemExit as left:
        code = int(left.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> ShelfCohort:
    return make_shelf_cohort(tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def config(cohort: ShelfCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "retrieval.yaml"
    path.write_text(yaml.safe_dump(cohort.settings(encoder="tiny")))
    return path


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "evaluate", "--help")
    assert code == 0
    assert "example: sleepfm evaluate staging" in out


def test_retrieval_prints_the_agreed_keys_and_writes_the_report(
    capsys: pytest.CaptureFixture[str], cohort: ShelfCohort, config: Path, tmp_path: Path
) -> None:
    words = ("evaluate", "retrieval", config, "--home", cohort.home, "--out", tmp_path / "out")
    code, out, err = run(capsys, *words, "--update-card", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["candidates"] == 10
    assert {"top1", "top10", "median_rank"} <= set(found["pairs"]["BAS>EKG"])
    assert found["simulated"] is True
    assert json.loads(Path(found["json"]).read_text())["pairs"] == found["pairs"]
    assert Path(found["report"]).read_text().startswith("<!")
    assert any("mean of pairs" in metric.name for metric in read_card(cohort.home / "models" / "tiny").metrics)
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "--resume" in err
    code, out, _ = run(capsys, *words, "--resume")
    assert code == 0
    assert out.startswith("simulated data")
    assert "chance 0.1, 6 people" in out


WRONG = {
    "encodr=tiny": "encodr: unknown key (did you mean encoder?)",
    "encoder=nobody": "no model named 'nobody'",
    "data.splits=/nowhere.json": "/nowhere.json: cannot be read",
    "data.source=mesa": "data.root: give the folder of the cohort",
    "evaluation.resamples=-1": "evaluation.resamples",
    "data.lists=[tests]": "data.lists",
}


@pytest.mark.parametrize("change", WRONG)
def test_a_wrong_request_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], cohort: ShelfCohort, config: Path, tmp_path: Path, change: str
) -> None:
    words = ("evaluate", "retrieval", config, "--home", cohort.home, "--out", tmp_path / "out", "--set", change)
    code, out, err = run(capsys, *words)
    assert code == 2
    assert not out
    assert WRONG[change] in err
    assert len(err.strip().splitlines()) == 1
