"""Learning curves: the same test nights for every method, fewer nights part of more, and a reason instead of a number."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import cohen_kappa_score

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.evaluation import learning_curve as module
from sleepfm.evaluation.learning_curve import FINE_TUNED, PROBE, YASA, draw_curve
from sleepfm.evaluation.learning_curve_settings import CurveSettings
from sleepfm.home import Home
from sleepfm.library.job_curve import learning_curve, submit_curve
from sleepfm.progress import silent
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import JobTable
from sleepfm.training.settings import TrainingSettings
from tests.training.conftest import write_study
from tests.training.night_cohort import NightCohort, make_cohort

COURSE = TrainingSettings(epochs=50, max_steps=4, batch_size=4, validate_every=4, threads=1)
HEAD = {"parameters": {"num_heads": 2, "pooling_head": 2, "max_seq_length": 480, "dropout": 0.0}}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> NightCohort:
    made = make_cohort(tmp_path_factory.mktemp("curve"))
    lists = {"train": made.studies[:5], "validation": made.studies[5:7], "test": made.studies[7:]}
    (made.folder / "splits.json").write_text(json.dumps(lists))
    return made


def asked(cohort: NightCohort, **changes: Any) -> CurveSettings:
    content = {
        **cohort.data(), "scorings": cohort.folder, "nights": (1, 4), "seeds": (0, 1), "head": HEAD, "training": COURSE,
        "crop_tokens": 60, "yasa": False, "resamples": 200,
    }  # fmt: skip
    return CurveSettings.model_validate({**content, **changes})


def drawn(cohort: NightCohort, folder: Path, **changes: Any) -> dict[str, Any]:
    return draw_curve(asked(cohort, **changes), folder, shelf=cohort.shelf, runs=folder / "no-runs", progress=silent)


@pytest.fixture(scope="module")
def curve(cohort: NightCohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return drawn(cohort, tmp_path_factory.mktemp("drawn"), nights=(1, 4, 9), yasa=True)


def test_every_method_is_measured_on_the_same_nights_with_its_interval(curve: dict[str, Any], cohort: NightCohort) -> None:
    rows = {(row["nights"], row["method"]): row for row in curve["curve"]}
    assert set(rows) == {(n, method) for n in (1, 4) for method in (PROBE, FINE_TUNED)} | {(0, YASA)}
    epochs = sum(len(cohort.stages[study]) for study in cohort.studies[7:]) - 1  # one lies in a gap
    for place, row in rows.items():
        if place[1] != YASA:
            assert (row["n"], row["subjects"], row["test_nights"], len(row["seeds"])) == (epochs, 5, 5, 2)
            assert row["low"] <= row["kappa"] <= row["high"]
            assert row["kappa"] == pytest.approx(np.mean(row["seeds"]))
    assert rows[4, PROBE]["kappa"] > 0.6
    assert (curve["train_nights"], curve["validation_nights"], curve["test_nights"]) == (5, 2, 5)
    assert any("5 labelled nights can be learned from: 9 are left out" in note for note in curve["notes"])
    assert any("It is not known on which people tiny was pretrained" in note for note in curve["notes"])
    assert curve["simulated"]
    json.dumps(curve, allow_nan=False)


def test_where_yasa_has_no_recording_it_says_so(curve: dict[str, Any]) -> None:
    row = curve["curve"][-1]
    assert (row["method"], row["kappa"], row["low"], row["n"]) == (YASA, None, None, 0)
    assert "YASA can stage 0 of the 5 test nights; night-07: there is no recording" in row["why"]


def test_a_perfect_and_a_missing_answer_of_yasa(cohort: NightCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for study in cohort.studies[7:]:
        write_study(tmp_path / "signals" / f"{study}.hdf5", seconds=300)
    staged: list[str] = []
    real = module.stage

    def perfect(night: Any, **words: Any) -> Any:
        if night.id == cohort.studies[8]:
            return real(night, **words)  # its EEG has no unit that YASA could read
        staged.append(night.id)
        truth_e = cohort.stages[night.id]
        return SimpleNamespace(scoring=Scoring(truth_e.astype(np.int8), probabilities=np.eye(5, dtype=np.float32)[truth_e]))

    monkeypatch.setattr(module, "stage", perfect)
    for _ in range(2):  # the second time everything is there
        found = drawn(cohort, tmp_path / "curve", yasa=True, recordings=[tmp_path / "signals"], nights=(1,), seeds=(0,))
    row = found["curve"][-1]
    assert (row["nights"], row["kappa"], row["low"], row["high"], row["test_nights"]) == (0, 1.0, 1.0, 1.0, 4)
    assert "YASA can stage 4 of the 5 test nights; night-08" in row["why"]
    assert "no EEG channel" in row["why"]
    assert len(staged) == 4
    assert any("YASA staged 4 nights from stored signals at 128 Hz" in note for note in found["notes"])


def test_what_was_measured_is_kept_when_it_goes_on(cohort: NightCohort, tmp_path: Path) -> None:
    def stop_late(fraction: float, message: str) -> None:  # noqa: ARG001
        if message.startswith("fine-tuned, 4 nights"):
            raise Cancelled("stopped by the user")

    settings = asked(cohort, seeds=(3,))
    folder = tmp_path / "curve"
    with pytest.raises(Cancelled):
        draw_curve(settings, folder, shelf=cohort.shelf, runs=tmp_path, progress=stop_late)
    there = {file.name: file.stat().st_mtime_ns for file in (folder / "cells").iterdir()}
    assert set(there) == {"logistic-probe-1-3.json", "fine-tuned-1-3.json", "logistic-probe-4-3.json"}
    draw_curve(settings, folder, shelf=cohort.shelf, runs=tmp_path, progress=silent)
    assert {name: (folder / "cells" / name).stat().st_mtime_ns for name in there} == there
    assert not list((folder / "runs").iterdir())


def test_what_failed_is_tried_again_and_what_was_measured_is_not(tmp_path: Path) -> None:
    def full() -> Any:
        raise SleepFMError("the disk is full")

    file = tmp_path / "cells" / "probe-1-0.json"
    assert module._kept(file, full).why == "the disk is full"
    measured = module._kept(file, lambda: module._Cell({"a": np.eye(5, dtype=np.int64)}))
    again = module._kept(file, full)
    assert (measured.why, again.why) == ("", "")
    np.testing.assert_array_equal(again.confusion["a"], np.eye(5))


def test_nothing_to_learn_from_or_to_test_is_said(cohort: NightCohort, tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text(json.dumps({"train": cohort.studies[:5], "validation": cohort.studies[5:7]}))
    with pytest.raises(RequestError, match="no night of test has a scoring"):
        drawn(cohort, tmp_path, data={"splits": tmp_path / "splits.json"})
    with pytest.raises(RequestError, match="5 labelled nights can be learned from, fewer than 6"):
        drawn(cohort, tmp_path, nights=(6,))
    with pytest.raises(RequestError, match="no model named"):
        drawn(cohort, tmp_path, encoder="nobody")
    for wrong in ({"nights": (0, 1)}, {"nights": ()}, {"seeds": (-1,)}):
        with pytest.raises(ValidationError):
            asked(cohort, **wrong)


def test_people_whom_the_encoder_has_seen_are_not_tested(cohort: NightCohort, tmp_path: Path) -> None:
    from sleepfm.models.shelf import Shelf
    from sleepfm.training.config_files import as_yaml

    (tmp_path / "splits.json").write_text(json.dumps({"pretrain": cohort.studies[7:9]}))
    run = tmp_path / "runs" / "tiny"
    import shutil

    shutil.copytree(cohort.encoder.folder, run / "model")
    data = {"splits": str(tmp_path / "splits.json"), "lists": ["pretrain"], "cohort": str(cohort.folder / "cohort.csv")}
    (run / "config.yaml").write_text(as_yaml({"data": data}))
    settings = asked(cohort, nights=(1,), seeds=(0,))
    found = draw_curve(settings, tmp_path / "a", shelf=Shelf(cohort.shelf.root), runs=tmp_path / "runs", progress=silent)
    assert found["test_nights"] == 3
    assert any("2 test nights are left out: tiny was pretrained on their people" in note for note in found["notes"])
    (tmp_path / "splits.json").write_text(json.dumps({"pretrain": cohort.studies[7:]}))
    with pytest.raises(RequestError, match="nothing is held out"):
        draw_curve(settings, tmp_path / "b", shelf=cohort.shelf, runs=tmp_path / "runs", progress=silent)


@given(people=st.lists(st.integers(0, 5), min_size=1, max_size=20), seed=st.integers(0, 50))
def test_a_night_of_everybody_comes_before_the_second_of_anybody(people: list[int], seed: int) -> None:
    subject_of = {f"n{number}": f"p{person}" for number, person in enumerate(people)}
    order = module._order(list(subject_of), subject_of, seed)
    assert sorted(order) == sorted(subject_of)
    first = order[: len(set(people))]
    assert len({subject_of[study] for study in first}) == len(first)


def test_kappa_is_that_of_the_pooled_epochs() -> None:
    rng = np.random.default_rng(0)
    truth = {f"s{k}": rng.integers(-1, 5, 60) for k in range(3)}
    said = {study: rng.dirichlet(np.ones(5), 60) for study in truth}
    cell = module._Cell({study: module._counted(truth[study], said[study]) for study in truth})
    boot = module.bootstrap(list(truth), resamples=10)
    known = np.concatenate([*truth.values()]) >= 0
    every = np.concatenate([*said.values()]).argmax(axis=1)[known]
    expected = cohen_kappa_score(np.concatenate([*truth.values()])[known], every)
    assert module._sampled(cell, boot, list(truth)).point == pytest.approx(expected)


def test_the_job_draws_the_curve_in_its_own_folder(cohort: NightCohort, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.runs.mkdir(parents=True)
    settings = asked(cohort)
    job = submit_curve(
        home, "staging", str(cohort.encoder.folder), settings.data, nights=(1,), seeds=(0,), scorings=cohort.folder,
        embeddings=cohort.embeddings, submitted_by="ada", start=False,
    )  # fmt: skip
    assert JobTable(home).get(job.id).submitted_by == "ada"
    assert job.lane.trains, "staging does not wait behind it"
    config = {**job.parameters["config"], "training": COURSE.model_dump(mode="json"), "head": HEAD, "yasa": False}
    result = learning_curve(home, {**job.parameters, "config": config, "job": job.id}, silent)
    assert [(row["nights"], row["method"]) for row in result["curve"]] == [(1, PROBE), (1, FINE_TUNED)]
    assert (home.runs / job.id / "curve" / "cells").is_dir()
    with pytest.raises(RequestError, match="drawn for staging, not for breathing"):
        submit_curve(home, "breathing", "x", settings.data, start=False)
    with pytest.raises(RequestError, match="from 1 on"):
        submit_curve(home, "staging", "x", settings.data, nights=(0,), start=False)
