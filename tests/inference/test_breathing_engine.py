"""What a breathing head says of a night, and when it may speak at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

import sleepfm
from sleepfm.analysis.breathing import SEVERITIES
from sleepfm.errors import ModelError, RequestError
from sleepfm.inference.breathing_engine import choose_breathing, judge
from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings
from sleepfm.models.card import SIMULATED, EncoderLink, Metric, ModelCard, Task
from sleepfm.models.networks import Model
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import Modality
from tests.inference.small_models import ENCODER_HASH, small_staging_head
from tests.models.random_models import HEAD, random_network

SHIPPED = Path(__file__).parents[2] / "assets" / "models"
TOKENS = 60


def night(tokens: int = 48, *, simulated: bool = True) -> Embeddings:
    rng = np.random.default_rng(0)
    origin = EmbeddingOrigin(
        record_id="night", model="encoder", weights_sha256=ENCODER_HASH, recipe="published", source_sha256="", key="",
        duration_s=tokens * 5.0, last_window_tokens=tokens % 60 or 60, gaps=(), channels=dict.fromkeys(Modality, ("x",)),
        left_out=(), notes=(), simulated=simulated, device="cpu", precision="fp32", sleepfm_version="",
    )  # fmt: skip
    rows = {modality: rng.standard_normal((tokens, 16)).astype(np.float32) for modality in Modality}
    return Embeddings(rows, 5.0, origin)


def head() -> Model:
    parameters = {**HEAD, "num_classes": 4, "max_seq_length": TOKENS}
    card = ModelCard(
        name="breath",
        task=Task.BREATHING,
        architecture="BreathingHead",
        parameters=parameters,
        trained_on=SIMULATED,
        weights_sha256="b" * 64,
        sleepfm_version=sleepfm.__version__,
        imported_at=datetime.now(UTC),
        encoder=EncoderLink(name="encoder", weights_sha256=ENCODER_HASH),
        metrics=(
            Metric(name="AHI ≥ 15 AUROC", value=0.9, low=0.8, high=0.95, n=119),
            Metric(name="AHI ≥ 15 AUROC", value=0.7, group="sex: male"),
        ),
    )
    return Model(card, random_network({"model": "BreathingHead", "model_params": parameters}))


def test_a_night_gets_the_chance_of_each_severity_and_of_an_ahi_of_15() -> None:
    model, embeddings = head(), night()
    found = judge(embeddings, model)
    assert sum(found.severities) == pytest.approx(1.0)
    assert found.present == pytest.approx(sum(found.severities[2:]))
    assert found.sdb_e.shape == (8,)
    z = torch.from_numpy(np.stack(list(embeddings.rows.values()))).unsqueeze(0)
    with torch.inference_mode():
        said = model.network(z, torch.zeros(1, 4, 48, dtype=torch.bool))
    assert found.present == pytest.approx(float(torch.sigmoid(said.presence_b)[0]), abs=1e-5)
    told = found.as_dict()
    assert list(told["severity"]) == list(SEVERITIES)
    assert told["metrics"] == [{"name": "AHI ≥ 15 AUROC", "value": 0.9, "low": 0.8, "high": 0.95, "n": 119, "data": ""}]


def test_a_simulated_head_says_so_and_more_of_a_real_recording() -> None:
    simulated, real = judge(night(), head()).warnings[0], judge(night(simulated=False), head()).warnings[0]
    assert simulated.startswith("breath was trained on simulated signals")
    assert len(real) > len(simulated)


def test_a_night_longer_than_the_head_takes_is_cut_and_that_is_said() -> None:
    found = judge(night(TOKENS + 30), head())
    assert len(found.sdb_e) == TOKENS // 6
    assert any("Only the first 0.1 h" in warning for warning in found.warnings)


def test_another_model_or_another_encoder_is_refused() -> None:
    with pytest.raises(RequestError, match="stager is a model for staging, not for breathing"):
        judge(night(), small_staging_head())
    other = night()
    with pytest.raises(ModelError, match="embed the recording with encoder"):
        judge(replace(other, origin=replace(other.origin, weights_sha256="0" * 64)), head())


def test_a_simulated_head_speaks_only_when_it_is_named(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, bundled=SHIPPED)
    assert choose_breathing(shelf, None) is None
    named = choose_breathing(shelf, "demo-breathing")
    assert named is not None
    assert named.card.task is Task.BREATHING
    with pytest.raises(RequestError, match="not for breathing"):
        choose_breathing(shelf, "demo-staging")
