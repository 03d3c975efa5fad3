from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.scoring_export import SUFFIXES, export_name, export_scoring


@pytest.mark.parametrize("to", ["sleepfm", "edf"])
def test_what_is_downloaded_is_the_scoring_that_is_shown(to: str, tmp_path: Path) -> None:
    stages = np.array([0, 1, 2, 3, 4, -1, 2], dtype=np.int8)
    file = tmp_path / f"night{SUFFIXES[to]}"
    file.write_bytes(export_scoring(Scoring(stages), to, datetime(2026, 3, 4, 22, 41, 7)))  # type: ignore[arg-type]
    assert read_scoring(file).stages.tolist() == stages.tolist()


def test_probabilities_go_along_in_the_csv() -> None:
    probabilities = np.array([[0.7, 0.1, 0.1, 0.05, 0.05]], dtype=np.float32)
    text = export_scoring(Scoring(np.array([0], dtype=np.int8), probabilities), "sleepfm", None).decode()
    assert text.splitlines()[0] == "Start,Stop,StageName,StageNumber,PWake,PN1,PN2,PN3,PREM"
    assert text.splitlines()[1].startswith("0,30,Wake,0,0.7")


@pytest.mark.parametrize(
    ("model", "recording", "expected"),
    [
        (False, False, "night_yasa.csv"),
        (True, False, "night_yasa_simulated-model.csv"),
        (False, True, "night_yasa_simulated.csv"),
        (True, True, "night_yasa_simulated-model_simulated.csv"),
    ],
)
def test_the_name_says_what_was_simulated(model: bool, recording: bool, expected: str) -> None:
    assert export_name("night", "yasa", "sleepfm", simulated_model=model, simulated_recording=recording) == expected
