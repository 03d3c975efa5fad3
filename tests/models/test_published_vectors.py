"""Numeric parity with the published architecture: the vectors were made by running it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sleepfm.models.encoder import parameter_count
from sleepfm.models.networks import build
from sleepfm.models.published import read_published

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def vectors(shared: Path) -> Path:
    return shared / "reference" / "vectors"


def network(vectors: Path, name: str, config: Path, pooling: Any) -> nn.Module:
    found = read_published(vectors / name, config)
    made = build(found.architecture, found.parameters, pooling)
    made.load_state_dict(found.state)
    return made.eval()


def agrees(ours: torch.Tensor, theirs: np.ndarray) -> bool:
    a, b = ours.numpy().reshape(-1, ours.shape[-1]), theirs.reshape(-1, theirs.shape[-1])
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return bool(np.abs(a - b).max() <= TOLERANCE and cosine.min() >= 0.999999)


@pytest.fixture(scope="module")
def encoder_arrays(vectors: Path) -> dict[str, np.ndarray]:
    return dict(np.load(vectors / "encoder.npz"))


def embed(vectors: Path, arrays: dict[str, np.ndarray], pooling: Any, prefix: str = "") -> tuple[torch.Tensor, torch.Tensor]:
    encoder = network(vectors, "model_base.pt", vectors / "model_base.config.json", pooling)
    with torch.inference_mode():
        return encoder(torch.tensor(arrays[f"{prefix}signal"]), torch.tensor(arrays[f"{prefix}padding_mask"]))


@pytest.mark.parametrize("prefix", ["", "single_"])
def test_encoder_of_a_whole_batch_in_the_published_way(vectors: Path, encoder_arrays: dict[str, np.ndarray], prefix: str) -> None:
    window, tokens = embed(vectors, encoder_arrays, "published_batch", prefix)
    assert agrees(window, encoder_arrays[f"{prefix}embedding_5min"])
    assert agrees(tokens, encoder_arrays[f"{prefix}embedding_5s"])


def test_encoder_by_sample_agrees_where_the_published_result_does_not_depend_on_batch_mates(
    vectors: Path, encoder_arrays: dict[str, np.ndarray]
) -> None:
    window, tokens = embed(vectors, encoder_arrays, "per_sample")
    assert agrees(window[:2], encoder_arrays["embedding_5min"][:2])
    assert agrees(tokens[:2], encoder_arrays["embedding_5s"][:2])
    window, tokens = embed(vectors, encoder_arrays, "per_sample", "single_")
    assert agrees(window, encoder_arrays["single_embedding_5min"])
    assert agrees(tokens, encoder_arrays["single_embedding_5s"])


def test_one_lead_beside_wider_batch_mates_is_embedded_as_if_alone(vectors: Path, encoder_arrays: dict[str, np.ndarray]) -> None:
    """The trap: the published pooling treats sample 2 (one channel left) in another way than the same lead alone."""
    alone = {"signal": encoder_arrays["signal"][2:, :1], "padding_mask": encoder_arrays["padding_mask"][2:, :1]}
    expected = embed(vectors, alone, "published_batch")
    beside = embed(vectors, encoder_arrays, "per_sample")
    torch.testing.assert_close(beside[0][2:], expected[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(beside[1][2:], expected[1], atol=1e-5, rtol=0)
    assert not agrees(beside[0][2:], encoder_arrays["embedding_5min"][2:])


@pytest.fixture(scope="module")
def head_arrays(vectors: Path) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array) for name, array in np.load(vectors / "heads.npz").items()}


@pytest.mark.parametrize("pooling", ["published_batch", "per_sample"])
def test_staging_head(vectors: Path, head_arrays: dict[str, torch.Tensor], pooling: str) -> None:
    head = network(vectors, "model_sleep_staging.pth", vectors / "heads.config.json", pooling)
    with torch.inference_mode():
        logits = head(head_arrays["embeddings"], head_arrays["padding_mask"])
    # Night 1 is padded, and the published LSTM starts backwards from the padding: by sample only night 0 must agree.
    nights = slice(None) if pooling == "published_batch" else slice(1)
    assert agrees(logits[nights], head_arrays["staging_logits"][nights].numpy())


@pytest.mark.parametrize("pooling", ["published_batch", "per_sample"])
def test_disease_head(vectors: Path, head_arrays: dict[str, torch.Tensor], pooling: str) -> None:
    head = network(vectors, "model_diagnosis.pth", vectors / "heads.config.json", pooling)
    with torch.inference_mode():
        hazards = head(head_arrays["embeddings"], head_arrays["padding_mask"], head_arrays["demographics"])
    assert agrees(hazards, head_arrays["log_hazards"].numpy())


@pytest.mark.parametrize(
    ("name", "config"),
    [("model_base.pt", "model_base.config.json"), ("model_sleep_staging.pth", "heads.config.json")],
)
def test_positions_are_encoded_as_in_the_checkpoints(vectors: Path, name: str, config: str) -> None:
    found = read_published(vectors / name, vectors / config)
    ours = build(found.architecture, found.parameters).state_dict()["positional_encoding.pe"]
    torch.testing.assert_close(ours, found.state["positional_encoding.pe"], atol=1e-5, rtol=0)


def test_the_published_sizes_have_the_published_number_of_parameters() -> None:
    sizes = {
        "SetTransformer": ({"embed_dim": 128, "num_heads": 8, "num_layers": 6, "pooling_head": 8, "patch_size": 640}, 4.83),
        "SleepEventLSTMClassifier": (
            {"embed_dim": 128, "num_heads": 4, "num_layers": 1, "num_classes": 5, "pooling_head": 4, "max_seq_length": 8196},
            1.29,
        ),
        "DiagnosisFinetuneFullLSTMCOXPHWithDemo": (
            {"embed_dim": 128, "num_heads": 8, "num_layers": 2, "num_classes": 1065, "pooling_head": 8, "max_seq_length": 6480},
            0.96,
        ),
    }
    for word, (numbers, millions) in sizes.items():
        assert round(parameter_count(build(word, numbers, device="meta")) / 1e6, 2) == millions


def test_the_config_of_several_heads_gives_each_checkpoint_its_own_section(vectors: Path) -> None:
    sections = json.loads((vectors / "heads.config.json").read_text())
    for name, section in (("model_sleep_staging.pth", "staging"), ("model_diagnosis.pth", "diagnosis")):
        assert read_published(vectors / name, vectors / "heads.config.json").architecture == sections[section]["model"]
