"""Staging as a job: stored with its provenance, reused when nothing changed, made anew when something did."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sleepfm.administration.app_settings import change_settings
from sleepfm.errors import RecordingError, RequestError
from sleepfm.library.job_prepare import prepare
from sleepfm.library.job_stage import stage
from sleepfm.library.library import Library
from sleepfm.progress import silent
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import Kind
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

PARAMETERS = {"engine": "auto", "model": None}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


def run(library: Library, study: str) -> dict[str, object]:
    return stage(library.home, PARAMETERS | {"study": study}, silent)


def test_a_scoring_says_what_made_it_and_is_not_made_twice(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=600)).id
    first = run(library, study)
    assert "reused" not in first
    provenance = library.scorings(study)[0].provenance
    assert provenance["engine"] == "yasa"
    assert {"version", "weights_sha256", "signals", "software", "source_sha256", "trained_on"} <= set(provenance)
    again = run(library, study)
    assert again.pop("reused") is True
    assert again == first
    assert len(library.scorings(study)) == 1


def test_a_corrected_channel_or_another_file_is_staged_anew(library: Library, tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=600, labels=("C4-M1", "Lead X"))
    study = library.add(path).id
    run(library, study)
    library.correct_channel(study, 1, Kind.EOG)
    assert "reused" not in run(library, study)
    assert library.scorings(study)[0].provenance["signals"] == ["C4-M1", "Lead X"]
    write_edf(path, seconds=660, labels=("C4-M1", "Lead X"), seed=9)
    library.add(path)
    assert "reused" not in run(library, study)
    assert len(library.scorings(study)[0].scoring.stages) == 22


def test_what_cannot_be_staged_is_a_clear_failure_and_stores_nothing(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=600, labels=("ECG",))).id
    with pytest.raises(RecordingError, match="no EEG"):
        run(library, study)
    assert library.scorings(study) == []


def test_a_simulated_study_keeps_its_true_stages_beside_the_engines(library: Library, tmp_path: Path) -> None:
    made = simulate(tmp_path / "sim", 1, 0.5, 2)["studies"][0]
    study = library.add(made["edf"])
    assert study.simulated
    prepare(library.home, {"study": study.id}, silent)
    run(library, study.id)
    assert [one.label for one in library.scorings(study.id)] == ["YASA", "True stages (simulated)"]
    assert library.study(study.id).engine == "yasa"


def test_a_simulated_model_never_speaks_for_a_study_that_has_another_scoring(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    study = library.add(write_edf(tmp_path / "night.edf", seconds=660)).id
    made = stage(library.home, {"study": study, "engine": "sleepfm", "model": "demo-staging"}, silent)
    assert (made["engine"], made["model"]) == ("sleepfm", "demo-staging")
    assert (library.study(study).engine, library.study(study).simulated_model) == ("sleepfm", True)
    (scoring,) = library.scorings(study)
    assert scoring.simulated_model
    words = "trained on simulated signals: for trying the software only"
    assert words in scoring.note
    assert scoring.provenance["warnings"][0] == (f"demo-staging was {words}. What it says of a real recording means nothing.")
    assert run(library, study)["engine"] == "yasa"
    assert (library.study(study).engine, library.study(study).simulated_model) == ("yasa", False)
    again = stage(library.home, {"study": study, "engine": "sleepfm", "model": "demo-staging"}, silent)
    assert again["reused"]
    assert [one.engine for one in library.scorings(study)] == ["yasa", "sleepfm"]
    assert library.study(study).engine == "yasa"


def test_the_engine_sleepfm_does_not_take_a_simulated_model_unasked(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    study = library.add(write_edf(tmp_path / "night.edf", seconds=330)).id
    with pytest.raises(RequestError, match="--model demo-staging"):
        stage(library.home, {"study": study, "engine": "sleepfm", "model": None}, silent)
    assert library.scorings(study) == []


def test_the_jobs_take_device_and_precision_from_the_settings(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    study = library.add(write_edf(tmp_path / "night.edf", seconds=330)).id
    asked = {"study": study, "engine": "sleepfm", "model": "demo-staging"}
    change_settings(library.home, device="cpu")
    stage(library.home, asked, silent)
    assert [library.scorings(study)[0].provenance[name] for name in ("device", "precision")] == ["cpu", "fp32"]
    change_settings(library.home, precision="bf16")
    assert "reused" not in stage(library.home, asked, silent)
    assert library.scorings(study)[0].provenance["precision"] == "bf16"
    change_settings(library.home, device="cuda")
    library.correct_channel(study, 1, Kind.OTHER)
    if not torch.cuda.is_available():
        with pytest.raises(RequestError, match="no CUDA device here"):
            stage(library.home, asked, silent)
