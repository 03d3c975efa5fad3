"""The reference people that an evaluation writes: the head's own scores of the held-out, counted once a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sleepfm.errors import RequestError
from sleepfm.evaluation.run_settings import EVALUATION_OF
from sleepfm.evaluation.runs import evaluate, put_reference_beside_card
from sleepfm.models.card import Condition
from sleepfm.models.networks import load_model
from sleepfm.models.reference import read_reference
from sleepfm.training.night_embeddings import NightFiles
from sleepfm.training.night_labels import FollowUpReader, gather_nights
from sleepfm.training.predictions import predict_hazards
from sleepfm.training.splits import read_subjects
from tests.evaluation.shelf_cohort import ShelfCohort, make_shelf_cohort

ALONE = {"per_modality": False, "missing_modalities": False}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> ShelfCohort:
    torch.set_num_threads(1)
    return make_shelf_cohort(tmp_path_factory.mktemp("shelf"))


def test_reference_people_have_the_scores_that_the_head_gives_them(cohort: ShelfCohort, tmp_path: Path) -> None:
    asked = cohort.settings(model="risk", baseline="demographics", **cohort.follow_up(), **ALONE)
    settings = EVALUATION_OF["disease"].model_validate(asked)
    evaluation, _ = evaluate("disease", settings, tmp_path, shelf=cohort.shelf, runs=cohort.runs, reference=True)
    entry = cohort.shelf.get("risk")
    put_reference_beside_card(entry, tmp_path)
    made = read_reference(entry.folder)
    assert made is not None

    folder = cohort.nights.folder
    tables = [folder / f"{name}.csv" for name in ("is_event", "time_to_event")]
    reader = FollowUpReader(*tables, cohort.test, demographics=folder / "demographics.csv", coding=entry.card.demographics)
    files = {study: cohort.nights.embeddings / "5s" / f"{study}.hdf5" for study in cohort.test}
    subject_of = read_subjects(folder / "cohort.csv")
    nights = list(gather_nights(reader, NightFiles(files, {}), subject_of).nights.values())
    found = predict_hazards(load_model(entry.folder), nights)
    people = sorted(set(found.subjects))
    score_pk = np.array([found.log_hazard_nk[np.array(found.subjects) == person].mean(axis=0) for person in people])
    assert made.people == len(people)
    assert made.simulated == evaluation.simulated
    assert f"{len(people)} people" in made.data
    assert sum(one.people for one in made.ages_sexes) == len(people)
    assert made.demographics is not None
    assert made.demographics.weights_sha256 == cohort.shelf.get("demographics").card.weights_sha256

    names = [one.phecode for one in entry.card.labels if isinstance(one, Condition)]
    by_condition = evaluation.extra["by_condition"]
    assert isinstance(by_condition, dict)
    for k, (phecode, condition) in enumerate(zip(names, made.conditions, strict=True)):
        assert condition is not None
        assert condition.phecode == phecode
        np.testing.assert_allclose(condition.quantiles, np.quantile(score_pk[:, k], np.linspace(0, 1, 101)), atol=1e-4)
        assert condition.mean_score == pytest.approx(score_pk[:, k].mean(), abs=1e-4)
        measured = next((worth for name, worth in by_condition.items() if name.split()[0] == phecode), None)
        if measured is not None:
            assert condition.c_index is not None
            assert condition.c_index.value == pytest.approx(measured["c_index"]["value"], abs=1e-5)
            assert condition.events > 0
        assert condition.few_events


def test_only_a_disease_head_has_reference_people(cohort: ShelfCohort, tmp_path: Path) -> None:
    settings = EVALUATION_OF["staging"].model_validate(
        cohort.settings(model="stager", scorings=cohort.labels()["scorings"], **ALONE)
    )
    with pytest.raises(RequestError, match="no reference people"):
        evaluate("staging", settings, tmp_path, shelf=cohort.shelf, runs=cohort.runs, reference=True)
