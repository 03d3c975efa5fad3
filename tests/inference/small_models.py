"""Small models with random weights and honest cards, for tests of the engines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sleepfm
from sleepfm.models.card import (
    PUBLISHED_KINDS,
    SIMULATED,
    STAGE_LABELS,
    DemographicCoding,
    EncoderLink,
    ModalityCoding,
    ModelCard,
    SignalCoding,
    Task,
)
from sleepfm.models.networks import Model
from sleepfm.vocabulary import Modality
from tests.models.random_models import DISEASE_CONFIG, ENCODER_CONFIG, STAGING_CONFIG, random_network

ENCODER_HASH = "e" * 64


def _card(name: str, task: Task, config: dict[str, Any], sha256: str, **about: Any) -> ModelCard:
    return ModelCard(
        name=name,
        task=task,
        architecture=config["model"],
        parameters=config.get("model_params", {k: v for k, v in config.items() if isinstance(v, int | float)}),
        trained_on=SIMULATED,
        weights_sha256=sha256,
        sleepfm_version=sleepfm.__version__,
        imported_at=datetime.now(UTC),
        **about,
    )


def small_encoder(seed: int = 0, recipe: str = "published") -> Model:
    counts = {Modality.BAS: 10, Modality.RESP: 7, Modality.EKG: 2, Modality.EMG: 4}
    coding = {m: ModalityCoding(kinds=PUBLISHED_KINDS[m], max_channels=n) for m, n in counts.items()}
    signals = SignalCoding(recipe=recipe, modalities=coding)
    sha256 = ENCODER_HASH if seed == 0 else f"{seed:064x}"
    return Model(_card("encoder", Task.ENCODER, ENCODER_CONFIG, sha256, signals=signals), random_network(ENCODER_CONFIG, seed))


def _link() -> EncoderLink:
    return EncoderLink(name="encoder", weights_sha256=ENCODER_HASH)


def small_staging_head(max_seq_length: int = 64) -> Model:
    config = {**STAGING_CONFIG, "model_params": {**STAGING_CONFIG["model_params"], "max_seq_length": max_seq_length}}
    card = _card("stager", Task.STAGING, config, "5" * 64, encoder=_link(), labels=STAGE_LABELS)
    return Model(card, random_network(config))


def small_disease_head() -> Model:
    coding = DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0})
    card = _card("fate", Task.DISEASE, DISEASE_CONFIG, "d" * 64, encoder=_link(), demographics=coding)
    return Model(card, random_network(DISEASE_CONFIG))
