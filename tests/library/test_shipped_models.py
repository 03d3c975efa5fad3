"""The models that come with the software: small, honest on their first line, and able to stage the nights they know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sleepfm.analysis.agreement import agree
from sleepfm.cli.main import main
from sleepfm.models.bundled import ENVIRONMENT, bundled_models
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.simulation.study import simulate

NAMES = ["demo-breathing", "demo-demographics", "demo-disease", "demo-encoder", "demo-staging"]
MAX_BYTES = 25_000_000
CHANCE = 0.2
"""Macro-F1 of five stages drawn by lot is at most this."""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.delenv(ENVIRONMENT)
    return Shelf(tmp_path / "home" / "models")


def test_they_load_and_are_small(shelf: Shelf) -> None:
    folder = bundled_models()
    assert folder is not None
    assert [entry.name for entry in shelf.entries()] == NAMES
    assert shelf.problems() == []
    assert all(load_model(entry.folder).card == entry.card for entry in shelf.entries())
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= MAX_BYTES


def test_each_says_on_its_first_line_that_it_was_trained_on_simulated_signals(shelf: Shelf) -> None:
    for entry in shelf.entries():
        first = (entry.folder / "README.md").read_text("utf-8").splitlines()[0]
        assert "Trained on simulated signals: for trying the software only." in first
        assert entry.card.trained_on == "simulated"
        assert entry.card.metrics, f"{entry.name} does not say how good it is"
    heads = [entry.card for entry in shelf.entries() if entry.card.encoder is not None]
    assert {shelf.encoder_of(card).name for card in heads} == {"demo-encoder"}


def test_the_staging_model_stages_a_simulated_night_it_never_saw(
    shelf: Shelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = simulate(tmp_path, 1, 1.5, 77)["studies"][0]
    words = ["stage", night["edf"], "--engine", "sleepfm", "--model", "demo-staging", "--out", str(tmp_path / "x.csv")]
    assert main([*words, "--home", str(shelf.root.parent), "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["model"], made["epochs"]) == ("demo-staging", 180)
    truth = read_scoring(Path(night["scoring"]))
    assert agree(read_scoring(tmp_path / "x.csv").stages, truth.stages).macro_f1 > CHANCE + 0.3
