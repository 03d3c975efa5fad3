"""The arrangement for inference gives the network's own numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.models.encoder import Encoder
from sleepfm.models.inference_encoder import InferenceEncoder
from tests.models.random_models import ENCODER_CONFIG, random_network

ENCODER = random_network(ENCODER_CONFIG)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 99),
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_it_is_the_encoder(seed: int, channels: list[int], windows: int, tokens: int, rows: int) -> None:
    assert isinstance(ENCODER, Encoder)
    generator = torch.Generator().manual_seed(seed)
    x = {name: torch.randn(windows, count, tokens * 640, generator=generator) for name, count in enumerate(channels)}
    with torch.inference_mode():
        made = InferenceEncoder(ENCODER, rows=rows)(x)
        assert list(made) == list(x)
        for name, x_nct in x.items():
            window_be, tokens_bse = ENCODER(x_nct)
            torch.testing.assert_close(made[name][0], window_be, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(made[name][1], tokens_bse, atol=1e-4, rtol=1e-4)


def test_its_input_is_left_alone() -> None:
    assert isinstance(ENCODER, Encoder)
    x = torch.randn(1, 2, 1280)
    before = x.clone()
    with torch.inference_mode():
        InferenceEncoder(ENCODER)({"a": x, "b": x[:, :1]})
    assert torch.equal(x, before)


def test_another_tokenizer_is_refused() -> None:
    encoder = Encoder(embed_dim=16, num_heads=2, num_layers=1, pooling_head=2)
    encoder.patch_embedding.tokenizer[1] = torch.nn.Identity()
    with pytest.raises(TypeError, match="batch norm"):
        InferenceEncoder(encoder)
