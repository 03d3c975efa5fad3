"""`sleepfm risk` and the step of `sleepfm run`: what is asked, what is printed, and what is never done unasked."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from sleepfm.models.card import BaselineHazard
from sleepfm.simulation.study import simulate
from tests.cli.test_commands import is_one_clear_line, run, run_json
from tests.inference.risk_material import CONDITIONS, bundle_disease
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

HAZARD = BaselineHazard(
    years=(1.0, 5.0), cumulative=((0.01, 0.05), None, (0.02, 0.2)), standard_error=((0.001, 0.01), None, (0.0, 0.0))
)


@pytest.fixture(autouse=True)
def _home_with_bundled_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle_disease(bundle(tmp_path / "bundled"), baseline_hazard=HAZARD)
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(folder))
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))


@pytest.fixture
def night(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "night.edf", seconds=660, labels=("C4-M1", "ECG"))


PERSON = ("--age", "57", "--sex", "female")


def test_a_risk_is_a_table_and_an_object_that_add_up(capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path) -> None:
    out = tmp_path / "risk.csv"
    words = ("risk", night, *PERSON, "--model", "demo-disease", "--demographic-players", "--out", out)
    found = run_json(capsys, *words)
    assert found["model"] == "demo-disease"
    assert found["players"] == ["BAS", "EKG", "age", "sex"]
    assert [one["phecode"] for one in found["conditions"]] == [one.phecode for one in CONDITIONS]
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, one in zip(rows, found["conditions"], strict=True):
        shares = one["attribution"]
        assert set(shares) == {"BAS", "EKG", "age", "sex", "base"}
        assert sum(shares.values()) == pytest.approx(one["log_hazard"], abs=1e-4)
        assert sum(float(row[name]) for name in shares) == pytest.approx(float(row["log_hazard"]), abs=1e-4)
        assert float(row["percentile"]) == one["percentile"]
        assert one["log_hazard_low"] <= one["log_hazard"] <= one["log_hazard_high"]
        assert (one["n"], one["events"], one["beats_age_and_sex"]) == (4, 2, True)
    first, second, _ = rows
    assert float(first["event_free_5y"]) == pytest.approx(np.exp(-0.05 * np.exp(float(first["log_hazard"]))), rel=1e-5)
    assert float(first["event_free_1y_low"]) < float(first["event_free_1y"]) < float(first["event_free_1y_high"])
    assert first["event_free_10y"] == ""  # beyond what the baseline hazard knows
    assert second["event_free_1y"] == ""
    assert "of this condition" in second["ranks_only"]
    code, _, err = run(capsys, *words)
    assert code == 0
    assert "research use" in err
    assert "trained on simulated signals" in err


def test_a_model_for_trying_is_taken_by_its_name_only(capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path) -> None:
    code, out, err = run(capsys, "risk", night, *PERSON, "--out", tmp_path / "risk.csv")
    assert (code, out) == (2, "")
    assert is_one_clear_line(err)
    assert "to be named only: demo-disease" in err
    assert not (tmp_path / "risk.csv").exists()


@pytest.mark.parametrize(
    ("person", "said"),
    [
        (("--age", "0", "--sex", "male"), "age 0"),
        (("--age", "300", "--sex", "male"), "age 300"),
        (("--age", "old", "--sex", "male"), "age 'old'"),
        (("--age", "57", "--sex", "unknown"), "no code for it"),
        (("--age", "57"), "never guessed: say the person's sex"),
        (("--sex", "male"), "never guessed: say the person's age"),
    ],
)
def test_age_and_sex_are_asked(
    capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path, person: tuple[str, ...], said: str
) -> None:
    code, _, err = run(capsys, "risk", night, *person, "--model", "demo-disease", "--out", tmp_path / "risk.csv")
    assert code == 2
    assert is_one_clear_line(err)
    assert said in err


def test_a_run_has_the_step_where_it_may(capsys: pytest.CaptureFixture[str], night: Path, tmp_path: Path) -> None:
    steps = ("--steps", "stage,risk")
    real = run_json(capsys, "run", night, *PERSON, "--out", tmp_path / "real", *steps)
    assert "to be named only" in real["skipped"]["risk"]  # no simulated model for a real recording
    (study,) = simulate(tmp_path / "cohort", studies=1, hours=0.1, seed=3)["studies"]
    words = ("run", study["edf"], "--out", tmp_path / "out", *steps)
    code, _, err = run(capsys, *words, "--age", "300", "--sex", "male")
    assert code == 2
    assert "age 300" in err
    made = run_json(capsys, *words, *PERSON)
    assert "risk" in made["steps"]
    folder = tmp_path / "out" / study["id"]
    assert (folder / "risk.csv").read_text().startswith("phecode,phenotype,log_hazard")
    about = json.loads((folder / "provenance.json").read_text())["risk"]
    assert (about["model"], about["age"], about["sex"], about["conditions"]) == ("demo-disease", 57.0, "female", 3)
    without = run_json(capsys, *words)
    assert "give --age and --sex" in without["skipped"]["risk"]
    assert not (folder / "risk.csv").exists()  # of an earlier run: this provenance would not be true of it
