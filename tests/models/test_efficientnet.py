"""The 2024 encoder behind the same interface."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sleepfm.errors import ModelError
from sleepfm.models.efficientnet import EfficientNet1D
from sleepfm.models.encoder import parameter_count
from sleepfm.models.inference_encoder import InferenceEncoder, inference_engine
from sleepfm.models.networks import build
from sleepfm.vocabulary import Modality
from tests.models.random_models import ENCODER_CONFIG, random_network

CLIP = 1536
SMALL: dict[str, Any] = {
    "model": "EfficientNet1D",
    "embed_dim": 12,
    "patch_size": CLIP,
    "bas_channels": 3,
    "resp_channels": 2,
    "ekg_channels": 1,
    "width": 20,
}
NETWORK = random_network(SMALL)
assert isinstance(NETWORK, EfficientNet1D)
PLACES = [3, 2, 1, 0]
tables = st.integers(1, 3).flatmap(
    lambda windows: st.tuples(*(st.lists(st.integers(0, most), min_size=windows, max_size=windows) for most in PLACES))
)


def signal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), tables.filter(lambda table: any(map(any, table))), st.integers(1, 2))
def test_a_set_is_embedded_as_alone_and_a_window_is_the_mean_of_its_clips(seed: int, table: Any, clips: int) -> None:
    counts_mn = torch.tensor(table)
    x_rt = signal(seed, int(counts_mn.sum()), clips * CLIP)
    with torch.inference_mode():
        window_mne, tokens_mnse = NETWORK.embed_sets(x_rt, counts_mn)
        assert tokens_mnse.shape == (*counts_mn.shape, clips, 12)
        torch.testing.assert_close(window_mne, tokens_mnse.mean(dim=2), atol=1e-5, rtol=1e-5)
        for (m, n), x_ct in zip(
            ((m, n) for m in range(4) for n in range(counts_mn.shape[1])), x_rt.split(counts_mn.flatten().tolist()), strict=True
        ):
            if not len(x_ct):
                assert not tokens_mnse[m, n].any()
                continue
            _, alone_bse = NETWORK(x_ct.unsqueeze(0), list(Modality)[m])
            torch.testing.assert_close(tokens_mnse[m, n], alone_bse[0], atol=1e-5, rtol=1e-4)


def test_each_clip_is_embedded_by_itself_and_a_missing_channel_is_a_row_of_zeros() -> None:
    x_bct = signal(1, 1, 2, 3 * CLIP)
    with torch.inference_mode():
        _, tokens_bse = NETWORK(x_bct, Modality.BAS)
        for clip in range(3):
            _, one = NETWORK(x_bct[..., clip * CLIP : (clip + 1) * CLIP], Modality.BAS)
            torch.testing.assert_close(tokens_bse[:, clip], one[:, 0], atol=1e-5, rtol=1e-4)
        _, padded = NETWORK(torch.cat([x_bct, torch.zeros(1, 1, 3 * CLIP)], dim=1), Modality.BAS)
        torch.testing.assert_close(padded, tokens_bse)


def test_each_modality_has_its_own_network_that_learns_from_its_own_channels() -> None:
    network = random_network(SMALL)
    x_rt = signal(2, 3, CLIP).requires_grad_()
    window_mne, _ = network.embed_sets(x_rt, torch.tensor([[2], [0], [1], [0]]))
    window_mne[0].square().sum().backward()
    assert [bool(row.any()) for row in x_rt.grad] == [True, True, False]
    learned = {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert learned == {"BAS"}
    assert all(p.grad is not None and p.grad.any() for p in network.networks["BAS"].parameters())


def test_the_published_size() -> None:
    """Depths and widths are the paper's; the number of weights was counted by hand from them, layer by layer."""
    network = build("EfficientNet1D", {"embed_dim": 512, "patch_size": 7680, "bas_channels": 5}, device="meta")
    narrow, expected = 32, 5 * 32 * 3 + 2 * 32
    for depth, wide in zip((1, 2, 2, 3, 3, 3, 3), (16, 24, 40, 80, 112, 192, 320), strict=True):
        for _ in range(depth):
            inner = 6 * narrow
            expected += narrow * inner + 2 * inner + 3 * inner + 2 * inner + inner * wide + 2 * wide
            narrow = wide
    expected += 320 * 1280 + 2 * 1280 + 1280 * 512 + 512
    assert parameter_count(network) == expected


@pytest.mark.parametrize(
    ("counts", "rows", "samples", "what"),
    [
        ([[4], [0], [0], [0]], 4, CLIP, "4 BAS channels, but this encoder takes 3"),
        ([[0], [0], [0], [1]], 1, CLIP, "no network for EMG"),
        ([[1], [0], [0], [0]], 1, CLIP + 1, "whole number of clips"),
        ([[1], [0], [0]], 1, CLIP, "counts of 3 modalities"),
    ],
)
def test_what_it_cannot_take_is_refused(counts: list[list[int]], rows: int, samples: int, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        NETWORK.embed_sets(torch.zeros(rows, samples), torch.tensor(counts))


def test_an_encoder_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="no modality has a channel"):
        build("EfficientNet1D", {"embed_dim": 8, "patch_size": CLIP})
    with pytest.raises(ModelError, match="patch_size"):
        build("EfficientNet1D", {"embed_dim": 8, "bas_channels": 1})


def test_both_encoders_infer_through_one_door() -> None:
    x = {Modality.BAS: signal(3, 2, 2, CLIP), Modality.EKG: signal(4, 2, 1, CLIP)}
    with torch.inference_mode():
        made = inference_engine(NETWORK)(x)
        for modality, x_nct in x.items():
            torch.testing.assert_close(made[modality], NETWORK(x_nct, modality))
    assert isinstance(inference_engine(random_network(ENCODER_CONFIG)), InferenceEncoder)
    with pytest.raises(TypeError, match="no encoder"):
        inference_engine(torch.nn.Identity())
