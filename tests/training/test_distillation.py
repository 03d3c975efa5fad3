"""The fast stand-in for a disease head: it says what its teacher says, of whole nights, and from the means alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from sleepfm.errors import RequestError
from sleepfm.models.card import DemographicCoding
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import ShelfEntry
from sleepfm.training.distillation import PersonReader, distil
from sleepfm.training.finetune_settings import DiseaseSettings, DistillSettings
from sleepfm.training.finetuning import finetune
from sleepfm.training.night_embeddings import embed_nights
from sleepfm.training.night_labels import gather_nights
from sleepfm.training.predictions import predict_hazards
from tests.training.night_cohort import NightCohort, make_cohort

CODING = DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0})


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[NightCohort, ShelfEntry]:
    """Return a cohort and a disease head that was trained on it."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cohort")
    cohort = make_cohort(folder, nights=24, epochs=30)
    settings = DiseaseSettings.model_validate({
        **cohort.data(),
        "name": "teacher",
        "is_event": folder / "is_event.csv",
        "time_to_event": folder / "time_to_event.csv",
        "demographics": folder / "demographics.csv",
        "crop_tokens": 60,
        "head": {"parameters": {"num_heads": 2, "pooling_head": 2, "num_layers": 1, "max_seq_length": 480, "dropout": 0.0}},
        "training": {"epochs": 30, "batch_size": 12, "validate_every": 1000, "optimiser": {"learning_rate": 3e-3}},
    })  # fmt: skip
    _, about = finetune("disease", settings, folder / "run", shelf=cohort.shelf)
    return cohort, cohort.shelf.add("teacher", about["state"], about["card"])


def ask(cohort: NightCohort, **changes: Any) -> DistillSettings:
    return DistillSettings.model_validate({
        "name": "fast",
        "teacher": "teacher",
        "embeddings": cohort.embeddings,
        "data": cohort.data()["data"],
        "demographics": cohort.folder / "demographics.csv",
        "hidden": 32,
        "training": {"epochs": 25, "batch_size": 20, "optimiser": {"learning_rate": 1e-2}},
        **changes,
    })  # fmt: skip


def test_says_what_the_teacher_says(taught: tuple[NightCohort, ShelfEntry], tmp_path: Path) -> None:
    cohort, teacher = taught

    outcome, about = distil(ask(cohort), tmp_path / "run", shelf=cohort.shelf)

    assert outcome.course.best < 0.5  # 1 would be a constant
    student = cohort.shelf.add("fast", about["state"], about["card"])
    assert student.card.labels == teacher.card.labels
    assert student.card.encoder == teacher.card.encoder
    assert student.card.metrics[0].value > 0.8
    studies = cohort.studies[12:]
    found = embed_nights(studies, (), cohort.encoder, cohort.embeddings)
    nights = gather_nights(PersonReader(cohort.folder / "demographics.csv", CODING, studies), found, {}).nights
    said, answered = (
        predict_hazards(load_model(entry.folder), list(nights.values())).log_hazard_nk for entry in (student, teacher)
    )
    correlations = [spearmanr(said[:, k], answered[:, k]).statistic for k in range(said.shape[1])]
    assert np.mean(correlations) == pytest.approx(student.card.metrics[0].value, abs=0.05)


def test_a_teacher_that_takes_age_and_sex_wants_them(taught: tuple[NightCohort, ShelfEntry], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="teacher takes age and sex; give the CSV"):
        distil(ask(taught[0], demographics=None), tmp_path / "run", shelf=taught[0].shelf)


def test_only_a_disease_head_teaches(taught: tuple[NightCohort, ShelfEntry], tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="tiny is a model for encoder"):
        distil(ask(taught[0], teacher="tiny"), tmp_path / "run", shelf=taught[0].shelf)


def test_people_without_age_and_sex_are_named(taught: tuple[NightCohort, ShelfEntry], tmp_path: Path) -> None:
    cohort, _ = taught
    path = tmp_path / "people.csv"
    path.write_text("Study ID,age,gender\nnight-00,50,0\nnight-12,60,1\nnight-13,70,0\n")
    training = {"epochs": 1, "batch_size": 4}

    distil(ask(cohort, demographics=path, training=training), tmp_path / "run", shelf=cohort.shelf)

    notes = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert notes.count("has no age and sex") == 21
