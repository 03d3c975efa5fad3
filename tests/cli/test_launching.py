"""`--launcher`: work goes into the queue, and what does not go together is refused before anything is queued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sleepfm.administration.audit import entries
from sleepfm.cli.main import main
from sleepfm.home import Home, open_home
from sleepfm.runs.database import connect
from sleepfm.runs.submitter import account_name
from sleepfm.runs.table import JobState, JobTable, Lane
from tests.make_edf import write_edf


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose queue nobody works off."""
    for module in ("job_conversion", "training_runs"):
        monkeypatch.setattr(f"sleepfm.library.{module}.ensure_running", lambda _: None)
    return open_home(tmp_path / "home")


def test_a_conversion_is_queued_and_the_command_returns(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    night = write_edf(tmp_path / "night.edf", seconds=10)
    words = ["convert", str(night), "--out", str(tmp_path / "out"), "--home", str(home.root), "--launcher", "slurm", "--json"]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    job = JobTable(home).get(said["job"])
    assert (job.state, job.lane, job.launcher) == (JobState.QUEUED, Lane.CLUSTER, "slurm")
    assert not list((tmp_path / "out").iterdir())


def test_a_run_is_queued_with_its_devices(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = [f"data.signals=[{tmp_path}]", f"data.splits={tmp_path / 'splits.json'}", "name=mine"]
    words = ["pretrain", "pretrain/tiny", *(word for change in changes for word in ("--set", change))]
    words += ["--home", str(home.root), "--launcher", "slurm", "--devices", "4"]
    assert main([*words, "--json"]) == 0
    job = JobTable(home).get(json.loads(capsys.readouterr().out)["job"])
    assert (job.kind, job.devices, job.subject, job.lane) == ("pretrain", 4, "mine", Lane.CLUSTER)
    assert job.submitted_by == account_name()
    (written,) = entries(connect(home.database))
    assert (written.action, written.subject, written.detail["run"]) == ("start training", "mine", job.id)
    for more in (["--out", str(tmp_path / "run")], ["--resume"]):
        assert main([*words, *more]) == 2
        assert "has a folder of its own" in capsys.readouterr().err
    assert JobTable(home).count() == 1


@pytest.mark.parametrize("command", ["convert", "embed"])
def test_waiting_is_for_the_queue(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    night = write_edf(tmp_path / "night.edf", seconds=10)
    words = [command, str(night), "--out", str(tmp_path / "out"), "--home", str(home.root), "--wait"]
    assert main([*words, "--model", "any"] if command == "embed" else words) == 2
    assert "--wait is for what --launcher puts into the queue" in capsys.readouterr().err
