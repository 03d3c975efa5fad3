"""`sleepfm simulate` as its users know it: cohorts of model-ready signals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sleepfm.cli.main import main
from sleepfm.signals.store import open_signals

COHORT = ["--studies", "2", "--hours", "0.02", "--seed", "5", "--format", "hdf5", "--sites", "4"]


def test_a_cohort_of_signals_lists_its_files_and_is_found_finished_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["simulate", str(tmp_path), *COHORT, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["studies"]
    assert [set(study) for study in made] == [{"id", "hdf5", "scoring", "events"}] * 2
    before = [Path(study["hdf5"]).stat().st_mtime_ns for study in made]
    with open_signals(Path(made[0]["hdf5"])) as signals:
        assert signals.simulated
        assert signals.record_id == made[0]["id"]
    assert main(["simulate", str(tmp_path), *COHORT]) == 0
    assert "for trying the software only" in capsys.readouterr().out
    assert [Path(study["hdf5"]).stat().st_mtime_ns for study in made] == before


@pytest.mark.parametrize("wrong", [["--format", "bdf"], ["--sites", "5"], ["--sites", "0"], ["--jobs", "0"]])
def test_a_wrong_option_is_refused_with_exit_2(capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: list[str]) -> None:
    try:
        code = main(["simulate", str(tmp_path / "out"), "--hours", "0.02", *wrong])
    except SystemExit as left:
        code = int(left.code or 0)
    assert code == 2
    assert wrong[0].strip("-") in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
