"""Evaluations from settings to report: the numbers are those of an independent count, and nobody is tested who was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, roc_auc_score

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.evaluation.cohort_data import open_cohort, read_people
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.linear_probes import Examples, fit_classes, fit_numbers
from sleepfm.evaluation.run_settings import EVALUATION_OF, CohortData
from sleepfm.evaluation.runs import evaluate, put_metrics_on_card
from sleepfm.models.card import read_card
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf
from sleepfm.training.night_embeddings import NightFiles
from sleepfm.training.night_labels import StageReader, gather_nights, label_files
from sleepfm.training.predictions import predict_stages
from tests.evaluation.shelf_cohort import ShelfCohort, make_shelf_cohort, write_run

ALONE = {"per_modality": False, "missing_modalities": False}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> ShelfCohort:
    return make_shelf_cohort(tmp_path_factory.mktemp("shelf"))


def run(task: str, cohort: ShelfCohort, folder: Path, *, resume: bool = False, **more: Any) -> Evaluation:
    settings = EVALUATION_OF[task].model_validate(cohort.settings(**more))
    found, files = evaluate(task, settings, folder, shelf=cohort.shelf, runs=cohort.runs, resume=resume)
    assert json.loads(files.json.read_text()) == json.loads(json.dumps(found.as_dict()))
    assert files.page.stat().st_size > 5000
    return found


def value(evaluation: Evaluation, name: str) -> float:
    (line,) = [line for line in evaluation.headline if line.name == name]
    assert line.estimate.value is not None
    return line.estimate.value


def test_staging_is_what_an_independent_count_says(cohort: ShelfCohort, tmp_path: Path) -> None:
    labels = {"scorings": cohort.labels()["scorings"]}
    found = run("staging", cohort, tmp_path / "out", model="stager", others={"again": "stager"}, **labels)

    files = {study: cohort.nights.embeddings / "5s" / f"{study}.hdf5" for study in cohort.test}
    reader = StageReader(label_files(cohort.nights.folder, (), "scorings"))
    nights = gather_nights(reader, NightFiles(files, {}), {}).nights
    staged = predict_stages(load_model(cohort.shelf.get("stager").folder), list(nights.values()))
    truth_n = np.concatenate([one.truth_e for one in staged])
    said_nk = np.concatenate([one.probability_ek for one in staged])
    kept_n = (truth_n >= 0) & np.isfinite(said_nk).all(axis=1)
    stages = np.array([0, 1, 2, 3, 4])
    expected = f1_score(truth_n[kept_n], stages[said_nk[kept_n].argmax(axis=1)], average="macro", labels=stages, zero_division=0)
    assert value(found, "staging macro F1") == pytest.approx(expected)

    assert found.simulated
    assert found.data.recordings == len(cohort.test)
    assert found.data.seen == ()
    assert any("was trained" in warning and "stager" in warning for warning in found.warnings)  # no run of the head is there
    tables = {part.key: part for section in found.sections for part in section.parts}
    rows = {row[0]: row for row in tables["by_modalities"].rows}  # type: ignore[union-attr]
    assert {"all", "BAS alone", "without BAS", "EMG alone"} <= set(rows)
    cases = {row[0]: row[3:] for row in tables["systems"].rows}  # type: ignore[union-attr]
    assert cases["again"] == cases["stager"]


def test_a_finished_evaluation_is_not_overwritten_unless_asked(cohort: ShelfCohort, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"model": "stager", "scorings": cohort.labels()["scorings"], **ALONE}
    first = run("staging", cohort, tmp_path, **asked)
    with pytest.raises(RequestError, match="--resume"):
        run("staging", cohort, tmp_path, **asked)
    again = run("staging", cohort, tmp_path, resume=True, **asked)
    assert again.as_dict() == first.as_dict()
    with pytest.raises(RequestError, match="other settings"):
        run("staging", cohort, tmp_path, resume=True, **asked | {"per_modality": True})


def test_breathing_has_epochs_and_nights(cohort: ShelfCohort, tmp_path: Path) -> None:
    found = run("breathing", cohort, tmp_path, model="breather", **cohort.labels(), **ALONE)
    names = [line.name for line in found.headline]
    assert "SDB epoch AUROC" in names
    assert "AHI severity accuracy" in names


def test_disease_stands_beside_age_and_sex(cohort: ShelfCohort, tmp_path: Path) -> None:
    found = run("disease", cohort, tmp_path, model="risk", baseline="demographics", **cohort.follow_up(), **ALONE)
    (line,) = [line for line in found.headline if line.name == "C-index SIM-01"]
    assert line.baseline is not None
    assert line.baseline.n == line.estimate.n
    assert any("does not speak of 1 conditions (SIM-03)" in warning for warning in found.warnings)
    assert not any("baseline hazard" in warning for warning in found.warnings)  # the training people gave one
    with pytest.raises(RequestError, match="takes age and sex"):
        run("disease", cohort, tmp_path / "b", model="risk", **cohort.follow_up() | {"demographics": None})


def test_retrieval_finds_windows_that_look_alike(cohort: ShelfCohort, tmp_path: Path) -> None:
    found = run("retrieval", cohort, tmp_path, encoder="tiny", others={"again": "tiny"}, pretrain_fractions={1.0: "tiny"})
    assert value(found, "retrieval top-1 among 10, mean of pairs") > 0.99
    # 6 nights of 8 windows; one window of one night lies in a gap, and one night has no RESP
    pairs = found.extra["pairs"]
    assert isinstance(pairs, dict)
    assert pairs["BAS>EKG"]["n"] == 6 * 8 - 1
    assert pairs["BAS>RESP"]["n"] == 5 * 8 - 1
    keys = [part.key for section in found.sections for part in section.parts]
    assert "systems" in keys
    assert "pretraining_fractions" in keys


def test_probes_read_what_is_linear(cohort: ShelfCohort, tmp_path: Path) -> None:
    found = run("probe", cohort, tmp_path, encoder="tiny", label_fractions=(0.5, 1.0), **cohort.labels())
    assert value(found, "probe stages macro AUROC") > 0.95
    assert value(found, "probe SDB AUROC") > 0.9
    tables = {part.key: part for section in found.sections for part in section.parts}
    stages = {row[0]: row[3] for row in tables["by_modalities"].rows}  # type: ignore[union-attr]
    assert stages["BAS alone"].value > 0.9
    assert stages["EKG alone"].value < 0.7
    assert [row[0] for row in tables["label_fractions"].rows] == ["50 %", "100 %"]  # type: ignore[union-attr]


def test_people_that_the_encoder_saw_are_not_held_out(cohort: ShelfCohort, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"model": "stager", "scorings": cohort.labels()["scorings"], **ALONE}
    data = cohort.settings()["data"]
    with pytest.raises(RequestError, match="nothing is held out"):
        run("staging", cohort, tmp_path / "a", **asked, data=data | {"lists": ["pretrain"]})
    mixed = run("staging", cohort, tmp_path / "b", **asked, data=data | {"lists": ["pretrain", "test"]})
    assert mixed.data.seen == cohort.nights.studies[:2]
    assert mixed.data.recordings == len(cohort.test)
    unknown = ShelfCohort(cohort.nights, tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(cohort.home / "models")
    found = run("staging", unknown, tmp_path / "c", **asked)
    assert found.data.seen is None
    assert any("no run that made tiny" in warning for warning in found.warnings)
    about = cohort.shelf.get("tiny").card.model_dump(include={"task", "architecture", "parameters", "signals", "trained_on"})
    write_run(tmp_path / "elsewhere", cohort.nights, about, lists=["pretrain"])
    told = run("staging", unknown, tmp_path / "d", **asked, trained_in=[str(tmp_path / "elsewhere")])
    assert told.data.seen == ()


def test_people_of_the_heads_training_are_left_out(cohort: ShelfCohort, tmp_path: Path) -> None:
    entry = cohort.shelf.get("stager")
    folder = tmp_path / "run"
    about = entry.card.model_dump(exclude={"name", "weights_sha256", "sleepfm_version", "imported_at", "format"})

    Shelf(folder).add("model", load_model(entry.folder).network.state_dict(), about)
    data = cohort.settings()["data"]
    (folder / "config.yaml").write_text(json.dumps({"data": data | {"lists": ["train"]}}))
    asked: dict[str, Any] = {"model": "stager", "scorings": cohort.labels()["scorings"], **ALONE}
    asked |= {"trained_in": [str(folder)]}
    found = run("staging", cohort, tmp_path / "a", **asked, data=data | {"lists": ["train", "test"]})
    assert {study: why for study, why in found.data.left_out.items() if "was trained on this person" in why}.keys() == set(
        cohort.nights.studies[2:6]
    )
    with pytest.raises(RequestError, match="trained on every person"):
        run("staging", cohort, tmp_path / "b", **asked, data=data | {"lists": ["train"]})


def test_a_card_gets_the_numbers(cohort: ShelfCohort, tmp_path: Path) -> None:
    found = run("retrieval", cohort, tmp_path, encoder="tiny")
    entry = cohort.shelf.get("tiny")
    put_metrics_on_card(entry, found)
    put_metrics_on_card(cohort.shelf.get("tiny"), found)
    card = read_card(entry.folder)
    names = [metric.name for metric in card.metrics]
    assert names.count("retrieval top-1 among 10, mean of pairs") == 1
    metric = card.metrics[names.index("retrieval top-1 among 10, mean of pairs")]
    assert metric.value == value(found, metric.name)
    assert metric.n == found.data.subjects
    assert "6 recordings of 6 people (simulated held-out)" in metric.data
    assert card.weights_sha256 == entry.card.weights_sha256
    assert metric.name in (entry.folder / "README.md").read_text()


def test_what_cannot_be_tested_is_refused_in_one_line(cohort: ShelfCohort, tmp_path: Path) -> None:
    data = cohort.settings()["data"]
    scorings = cohort.labels()["scorings"]
    with pytest.raises(RequestError, match="not for staging"):
        run("staging", cohort, tmp_path / "a", model="risk", scorings=scorings)
    with pytest.raises(RequestError, match="no model named 'nobody'"):
        run("staging", cohort, tmp_path / "b", model="nobody", scorings=scorings)
    with pytest.raises(RequestError, match="is a head for staging"):
        run("retrieval", cohort, tmp_path / "c", encoder="stager")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="no recording can be tested; night-08: has no scoring"):
        run("staging", cohort, tmp_path / "d", model="stager", scorings=str(tmp_path / "empty"))
    splits = tmp_path / "splits.json"
    splits.write_text('{"train": ["night-00"]}')
    with pytest.raises(RequestError, match="empty"):
        run("staging", cohort, tmp_path / "e", model="stager", scorings=scorings, data=data | {"splits": str(splits)})


def test_a_table_with_a_study_twice_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("Study ID,age\na,4\na,5\n")
    with pytest.raises(SleepFMError, match="line 3: a is there for the second time"):
        read_people(table)


def test_columns_are_numbers_only_where_all_cells_are(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("Study ID,age,score,race\na,40,1,x\nb,old,,7\n")
    (tmp_path / "splits.json").write_text('{"test": ["a", "b"]}')
    data = CohortData(splits=tmp_path / "splits.json", cohort=tmp_path / "cohort.csv", signals=())
    found = open_cohort(data, tmp_path, recipe="published").columns(("a", "b"))
    np.testing.assert_array_equal(found["age"], [40, np.nan])
    np.testing.assert_array_equal(found["score"], [1, np.nan])
    assert found["race"].tolist() == ["x", "7"]


def test_probes_do_not_look_at_what_is_absent() -> None:
    rng = np.random.default_rng(0)
    y_n = rng.integers(0, 2, 400)
    x_nf = np.stack([y_n + rng.normal(size=400), rng.normal(size=400), np.full(400, np.nan)], axis=1)
    train, check = Examples(x_nf[:300], y_n[:300]), Examples(x_nf[300:], y_n[300:])
    probe = fit_classes(train, check, 3)
    said_nk = probe(check.x_nf)
    assert roc_auc_score(check.y_n, said_nk[:, 1]) > 0.7
    assert (said_nk[:, 2] == 0).all()  # a class that training did not have
    np.testing.assert_allclose(probe(np.array([[0.3, 0.1, 5.0]])), probe(np.array([[0.3, 0.1, np.nan]])))
    assert np.isnan(probe(np.full((1, 3), np.nan))).all()
    assert np.isfinite(fit_numbers(Examples(x_nf, x_nf[:, 0] * 2), check)(check.x_nf)).all()
    with pytest.raises(RequestError, match="fewer than two classes"):
        fit_classes(Examples(x_nf, np.zeros(400, int)), check, 2)
