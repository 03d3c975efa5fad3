"""The look before a run as a job: asked for once, found again by its settings, and only while it is fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sleepfm.administration.app_settings import AppSettings, write_settings
from sleepfm.errors import RequestError
from sleepfm.home import Home, open_home
from sleepfm.library import preflight
from sleepfm.library.job_preflight import check
from sleepfm.library.preflight import Preflight, preflight_of, read_run_settings, settings_key, submit_preflight
from sleepfm.progress import silent
from sleepfm.runs.kinds import function_of
from sleepfm.runs.table import Job, JobState, JobTable, Lane
from sleepfm.training.finetune_settings import StagingSettings
from sleepfm.training.run_paths import named_paths
from sleepfm.training.settings import PretrainSettings
from tests.cli.test_commands import run, run_json
from tests.training.conftest import Cohort, cohort, tiny  # noqa: F401 - the fixture


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def settings_of(cohort: Cohort, **training: Any) -> PretrainSettings:  # noqa: F811
    return PretrainSettings.model_validate(tiny(cohort, **training))


def test_the_findings_are_found_by_the_settings_while_they_are_fresh(
    home: Home,
    cohort: Cohort,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, table = settings_of(cohort), JobTable(home)
    assert preflight_of(table, "pretrain", None, settings) is None
    job = submit_preflight(home, "pretrain", None, settings, submitted_by="ada", start=False)
    assert submit_preflight(home, "pretrain", None, settings, submitted_by="bo", start=False).id == job.id
    assert (job.lane, job.submitted_by, job.kind) == (Lane.QUICK, "ada", "preflight")
    waiting = preflight_of(table, "pretrain", None, settings)
    assert isinstance(waiting, Job)
    assert waiting.open
    result = check(home, {**job.parameters, "job": job.id}, silent)
    table.claim(Lane.QUICK)
    table.end(job.id, JobState.FINISHED, result=json.loads(json.dumps(result)))
    found = preflight_of(table, "pretrain", None, settings)
    assert isinstance(found, Preflight)
    assert found.passed
    assert found.seconds is not None
    assert preflight_of(table, "pretrain", None, settings_of(cohort, seed=1)) is None
    assert preflight_of(table, "pretrain", None, settings, devices=2) is None
    assert preflight_of(table, "pretrain", None, settings, launcher="slurm") is None
    monkeypatch.setattr(preflight, "FRESH", -preflight.FRESH)
    assert preflight_of(table, "pretrain", None, settings) is None


def test_one_that_failed_is_given_back_as_the_job(home: Home, cohort: Cohort) -> None:  # noqa: F811
    settings, table = settings_of(cohort), JobTable(home)
    job = submit_preflight(home, "pretrain", None, settings, start=False)
    table.claim(Lane.QUICK)
    table.end(job.id, JobState.CRASHED, error="its process ended")
    again = preflight_of(table, "pretrain", None, settings)
    assert isinstance(again, Job)
    assert again.error == "its process ended"
    assert submit_preflight(home, "pretrain", None, settings, start=False).id != job.id


def test_a_name_that_an_open_run_has_is_bad(home: Home, cohort: Cohort) -> None:  # noqa: F811
    settings = settings_of(cohort)
    config = settings.model_dump(mode="json")
    JobTable(home).add("pretrain", lane=Lane.TRAIN_CPU, title="Pretrain tiny", subject="tiny", parameters={"config": config})
    found = check(
        home, {"kind": "pretrain", "task": None, "config": config, "devices": 1, "launcher": "local", "job": "x"}, silent
    )
    assert [one["words"] for one in found["checks"] if one["name"] == "name"] == [
        "a run named tiny is waiting or running; choose another name, or wait for it"
    ]
    assert not found["passed"]


def test_paths_outside_the_readable_folders_are_refused(home: Home, cohort: Cohort, tmp_path: Path) -> None:  # noqa: F811
    write_settings(home, AppSettings(folders=(tmp_path / "allowed",)))
    with pytest.raises(RequestError, match="outside the folders that the app may read"):
        submit_preflight(home, "pretrain", None, settings_of(cohort), start=False)
    write_settings(home, AppSettings(folders=(cohort.folder,)))
    submit_preflight(home, "pretrain", None, settings_of(cohort), start=False)
    elsewhere = settings_of(cohort).model_copy(update={"start_from": "/etc/model"})
    with pytest.raises(RequestError, match="/etc/model"):
        submit_preflight(home, "pretrain", None, elsewhere, start=False)


def test_every_path_of_the_settings_is_named() -> None:
    data = {"signals": ["/a/b"], "splits": "/a/s.json", "cohort": "/a/c.csv"}
    content = {"name": "x", "encoder": "../encoder", "data": data, "scorings": "/a/sc", "embeddings": "/a/e"}
    settings = StagingSettings.model_validate(content)
    assert {str(path) for path in named_paths(settings)} == {
        "/a/b", "/a/s.json", "/a/c.csv", "/a/sc", "/a/e", "../encoder"
    }  # fmt: skip
    assert Path("plain") not in named_paths(settings.model_copy(update={"encoder": "plain"}))


def test_settings_of_another_kind_are_refused(home: Home, cohort: Cohort) -> None:  # noqa: F811
    settings = settings_of(cohort)
    with pytest.raises(RequestError, match="there is no such training"):
        submit_preflight(home, "finetune", "dreams", settings, start=False)
    with pytest.raises(RequestError, match="takes StagingSettings, not PretrainSettings"):
        submit_preflight(home, "finetune", "staging", settings, start=False)
    with pytest.raises(RequestError, match=r"this version cannot read these settings \(.*dreams"):
        read_run_settings("pretrain", None, {**settings.model_dump(mode="json"), "dreams": 1})
    assert settings_key("pretrain", None, settings) == settings_key("pretrain", None, settings_of(cohort))


def test_the_command_only_looks(capsys: pytest.CaptureFixture[str], home: Home, cohort: Cohort) -> None:  # noqa: F811
    from sleepfm.training.config_files import as_yaml

    config = home.root / "tiny.yaml"
    config.write_text(as_yaml(settings_of(cohort)))
    asked = ("pretrain", config, "--check", "--home", home.root)
    found = run_json(capsys, *asked)
    assert found["passed"]
    assert {one["name"] for one in found["checks"]} >= {"people", "signals", "trial", "time", "memory", "disk"}
    code, out, _ = run(capsys, *asked, "--set", "data.signals=[/nowhere]")
    assert code == 1
    assert "BAD  signals: /nowhere: there is no such file or folder" in out
    assert "tiny would fail" in out
    assert not (home.runs / "tiny").exists()
    code, _, err = run(capsys, *asked, "--set", "training.epochs=0")
    assert code == 2
    assert "training.epochs" in err


@pytest.mark.parametrize("kind", ["preflight", "dataset", "curve"])
def test_the_worker_finds_what_does_the_job(kind: str) -> None:
    from sleepfm.library import job_curve, job_dataset, job_preflight

    done_by = {"preflight": job_preflight.check, "dataset": job_dataset.make_dataset, "curve": job_curve.learning_curve}
    assert function_of(kind) is done_by[kind]
