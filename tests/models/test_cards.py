"""What a card says of its model, in JSON and as a page; cards written before a field existed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sksurv.linear_model import CoxPHSurvivalAnalysis

from sleepfm.models.card import (
    PUBLISHED_KINDS,
    BaselineHazard,
    Condition,
    DemographicCoding,
    EncoderLink,
    Metric,
    ModalityCoding,
    ModelCard,
    SignalCoding,
    Task,
    Training,
)
from sleepfm.models.readme import readme
from sleepfm.vocabulary import Modality

SIGNALS = SignalCoding(
    recipe="published", modalities={Modality.BAS: ModalityCoding(kinds=PUBLISHED_KINDS[Modality.BAS], max_channels=3)}
)
LINK = EncoderLink(name="base", weights_sha256="1" * 64)
CONDITIONS = (Condition(phecode="SIM-01", phenotype="one"), Condition(phecode="SIM-02", phenotype="two"))


def card(**fields: Any) -> ModelCard:
    common: dict[str, Any] = {
        "name": "m",
        "task": Task.DISEASE,
        "architecture": "NightMLP",
        "parameters": {"embed_dim": 16, "num_classes": 2},
        "encoder": LINK,
        "demographics": DemographicCoding(),
        "weights_sha256": "0" * 64,
        "sleepfm_version": "0",
        "imported_at": "2026-01-01T00:00:00Z",
    }
    return ModelCard.model_validate(common | fields)


OLD = """{"format": 1, "name": "sleepfm-staging", "task": "staging", "architecture": "SleepEventLSTMClassifier",
 "parameters": {"embed_dim": 128, "num_heads": 4, "num_layers": 1, "num_classes": 5, "pooling_head": 4, "max_seq_length": 8196,
 "dropout": 0.3}, "signals": null, "encoder": {"name": "sleepfm-base", "weights_sha256": "%s"},
 "labels": ["Wake", "Stage 1", "Stage 2", "Stage 3", "REM"], "demographics": null, "trained_on": "SSC, MESA, MrOS, SHHS",
 "training_data": "Nights.", "metrics": [{"name": "kappa", "value": 0.8, "low": 0.7, "high": 0.9, "data": "x"}],
 "licence": "MIT", "source": "", "source_blobs": {}, "weights_sha256": "%s", "sleepfm_version": "0.1.0",
 "imported_at": "2026-11-20T10:00:00Z"}""" % ("a" * 64, "b" * 64)  # noqa: UP031


def test_a_card_of_the_first_version_is_read() -> None:
    old = ModelCard.model_validate_json(OLD)
    assert old.real
    assert not old.baseline
    assert old.training is old.baseline_hazard is None
    assert old.metrics[0].n is old.metrics[0].baseline is None
    assert json.loads(old.model_dump_json())["metrics"][0]["name"] == "kappa"


def test_a_full_card_comes_back_from_its_file() -> None:
    full = card(
        labels=CONDITIONS,
        trained_on="simulated",
        baseline_hazard=BaselineHazard(years=(1, 6), cumulative=((0.01, 0.2), None)),
        thresholds={"presence": 0.4},
        training=Training(
            config_sha256="2" * 64,
            data_sha256="3" * 64,
            seed=7,
            git="abc, files changed",
            subjects={"train": 100, "test": 20},
            machine="2 cores",
            seconds=4200,
        ),
        metrics=(Metric(name="C-index", value=0.8, low=0.7, high=0.9, data="test", n=20, baseline=0.6, group="sex: female"),),
    )
    assert ModelCard.model_validate_json(full.model_dump_json()) == full
    page = readme(full)
    for words in (
        "C-index (sex: female): 0.8 (0.7 to 0.9), age and sex alone 0.6 on test, n = 20",
        "100 subjects in train, 20 subjects in test, seed 7, configuration `222222222222`, data `333333333333`",
        "abc, files changed, 2 cores, 70 minutes",
        "of 1 conditions at 1, 6 years",
        "presence 0.4",
    ):
        assert words in page


def test_the_page_of_a_simulated_model_says_so_in_its_first_line_and_others_do_not() -> None:
    first = readme(card(trained_on="simulated")).splitlines()[0]
    assert "simulated signals" in first
    assert "trying the software only" in first
    for trained_on in ("MESA", "unknown"):
        assert readme(card(trained_on=trained_on)).startswith("# m\n")
        assert "simulated" not in readme(card(trained_on=trained_on))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"task": "encoder", "demographics": None}, "an encoder says what signals"),
        ({"task": "encoder", "signals": SIGNALS, "demographics": None}, "belongs to no other encoder"),
        ({"signals": SIGNALS}, "not both"),
        ({"encoder": None}, "names its encoder"),
        ({"demographics": None}, "says how they are coded"),
        ({"task": "staging"}, "only a disease head says"),
        ({"labels": CONDITIONS, "baseline_hazard": {"years": [1], "cumulative": [[0.1]]}}, "every condition"),
        ({"task": "staging", "demographics": None, "baseline_hazard": {"years": [1], "cumulative": [[0.1]]}}, "baseline hazard"),
        ({"baseline_hazard": {"years": [1, 2], "cumulative": [[0.1]]}}, "one number for each time"),
        ({"baseline_hazard": {"years": [1, 2], "cumulative": [[0.2, 0.1]]}}, "never fall"),
        ({"baseline_hazard": {"years": [1], "cumulative": [[float("nan")]]}}, "never fall"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(fields: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        card(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": {"embed_dim": 16, "num_classes": 2, "demographics": 0}, "demographics": None},
        {"architecture": "DemographicsHead", "encoder": None, "baseline": True},
        {
            "task": "staging",
            "architecture": "SetTransformer+LogisticProbe",
            "encoder": None,
            "signals": SIGNALS,
            "demographics": None,
        },
        {"task": "probe", "architecture": "LogisticProbe", "demographics": None, "labels": ["female", "male"]},
    ],
    ids=["no age and sex", "demographics only", "end to end", "probe"],
)
def test_models_without_age_or_without_an_encoder_have_cards_too(fields: dict[str, Any]) -> None:
    made = card(**fields)
    assert ModelCard.model_validate_json(made.model_dump_json()) == made


def test_probabilities_from_a_baseline_hazard_are_scikit_survivals() -> None:
    generator = np.random.default_rng(0)
    x_nf = generator.normal(size=(60, 2))
    years = generator.exponential(5 * np.exp(-x_nf[:, 0]))
    outcome = np.array([(bool(event), time) for event, time in zip(years < 6, np.minimum(years, 6), strict=True)], "?,f8")
    model = CoxPHSurvivalAnalysis().fit(x_nf, outcome)
    at = (1.0, 3.0, 5.0)
    hazard = BaselineHazard(years=at, cumulative=(tuple(model.cum_baseline_hazard_(at)), None))
    for row, curve in zip(x_nf[:5], model.predict_survival_function(x_nf[:5]), strict=True):
        made = hazard.event_free(0, float(model.predict(row.reshape(1, -1))[0]))
        np.testing.assert_allclose(made, curve(at), rtol=1e-9)
    assert hazard.event_free(1, 0.0) is None
    assert hazard.event_free(0, 1e9) == (0.0, 0.0, 0.0)
