"""Properties of the networks: order of channels, padding and batch mates change nothing; absence is never NaN."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sleepfm.models.pooling import AttentionPooling
from tests.models.random_models import DISEASE_CONFIG, ENCODER_CONFIG, HEAD, STAGING_CONFIG, random_network

ENCODER = random_network(ENCODER_CONFIG)
STAGING = random_network(STAGING_CONFIG)
DISEASE = random_network(DISEASE_CONFIG)
CLOSE = {"atol": 2e-5, "rtol": 1e-4}
few = settings(max_examples=12, deadline=None)


def signal(seed: int, batch: int, channels: int, tokens: int) -> Tensor:
    return torch.randn(batch, channels, tokens * 640, generator=torch.Generator().manual_seed(seed))


def nights(seed: int, batch: int, tokens: int) -> Tensor:
    return torch.randn(batch, 4, tokens, HEAD["embed_dim"], generator=torch.Generator().manual_seed(seed))


def embed(x_bct: Tensor, mask_bc: Tensor | None = None) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return ENCODER(x_bct, mask_bc)


def same(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(a[0], b[0], **CLOSE)
    torch.testing.assert_close(a[1], b[1], **CLOSE)


@few
@given(st.integers(0, 999), st.integers(1, 5), st.integers(1, 4), st.randoms(use_true_random=False))
def test_permuting_channels_changes_nothing(seed: int, channels: int, tokens: int, random: object) -> None:
    x_bct = signal(seed, 2, channels, tokens)
    order = list(range(channels))
    random.shuffle(order)
    same(embed(x_bct), embed(x_bct[:, order]))


@few
@given(st.integers(0, 999), st.integers(1, 4), st.integers(1, 4), st.floats(-1e3, 1e3))
def test_padding_channels_change_nothing_whatever_they_hold(seed: int, channels: int, padding: int, filler: float) -> None:
    x_bct = signal(seed, 2, channels, 3)
    padded = torch.cat([x_bct, torch.full((2, padding, x_bct.shape[2]), filler)], dim=1)
    mask = torch.arange(channels + padding).expand(2, -1) >= channels
    same(embed(x_bct), embed(padded, mask))


@few
@given(st.integers(0, 999), st.lists(st.integers(1, 4), min_size=2, max_size=4))
def test_batch_mates_change_nothing(seed: int, counts: list[int]) -> None:
    x_bct = signal(seed, len(counts), max(counts), 2)
    mask = torch.arange(max(counts)).expand(len(counts), -1) >= torch.tensor(counts).unsqueeze(1)
    together = embed(x_bct, mask)
    for row, count in enumerate(counts):
        same(embed(x_bct[row : row + 1, :count]), (together[0][row : row + 1], together[1][row : row + 1]))


def test_a_sample_without_any_channel_is_finite_and_leaves_its_mates_alone() -> None:
    x_bct = signal(1, 3, 2, 2)
    mask = torch.tensor([[False, False], [True, True], [False, True]])
    window, tokens = embed(x_bct, mask)
    assert torch.isfinite(window).all()
    assert torch.isfinite(tokens).all()
    same(embed(x_bct[:1]), (window[:1], tokens[:1]))


def test_without_a_channel_training_stays_finite_too() -> None:
    network = random_network(ENCODER_CONFIG).train()
    window, _ = network(signal(1, 2, 2, 2), torch.tensor([[False, False], [True, True]]))
    window[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_an_empty_set_pools_to_zeros_and_a_set_of_one_to_its_member() -> None:
    pooling = AttentionPooling(8, 2).eval()
    x_bme = torch.randn(3, 4, 8)
    pooled = pooling(x_bme, torch.tensor([[True] * 4, [True, True, False, True], [False] * 4]))
    assert torch.equal(pooled[0], torch.zeros(8))
    assert torch.equal(pooled[1], x_bme[1, 2])
    assert torch.isfinite(pooled[2]).all()


def test_a_window_longer_than_the_positions_is_refused() -> None:
    with pytest.raises(ValueError, match="129 tokens"):
        embed(signal(0, 1, 1, 129))
    with pytest.raises(ValueError, match="whole number of patches"):
        ENCODER(torch.zeros(1, 1, 641))


def run(head: nn.Module, z_bmse: Tensor, mask_bms: Tensor) -> Tensor:
    with torch.inference_mode():
        if head is STAGING:
            return head(z_bmse, mask_bms)
        return head(z_bmse, mask_bms, torch.tensor([[0.4, 1.0]]).expand(len(z_bmse), 2))


heads = pytest.mark.parametrize("head", [STAGING, DISEASE], ids=["staging", "disease"])


@heads
@few
@given(st.integers(0, 999), st.permutations(range(4)), st.sets(st.integers(0, 3), min_size=1))
def test_heads_ignore_the_order_of_modalities_and_what_lies_under_a_missing_one(
    head: nn.Module, seed: int, order: list[int], present: set[int]
) -> None:
    z_bmse = nights(seed, 1, 6)
    mask = torch.tensor([m not in present for m in range(4)]).view(1, 4, 1).expand(1, 4, 6)
    expected = run(head, z_bmse[:, sorted(present)], mask[:, sorted(present)])
    torch.testing.assert_close(run(head, z_bmse[:, order], mask[:, order]), expected, **CLOSE)
    torch.testing.assert_close(run(head, z_bmse.masked_fill(mask.unsqueeze(-1), 7e3), mask), expected, **CLOSE)


@heads
@few
@given(st.integers(0, 999), st.lists(st.integers(1, 12), min_size=2, max_size=3))
def test_heads_ignore_padding_and_batch_mates(head: nn.Module, seed: int, lengths: list[int]) -> None:
    longest = max(lengths) + 1
    z_bmse = nights(seed, len(lengths), longest)
    mask = (torch.arange(longest) >= torch.tensor(lengths).unsqueeze(1)).unsqueeze(1).expand(-1, 4, -1)
    together = run(head, z_bmse, mask)
    for row, length in enumerate(lengths):
        alone = run(head, z_bmse[row : row + 1, :, :length], mask[row : row + 1, :, :length])
        mine = together[row : row + 1, :length] if head is STAGING else together[row : row + 1]
        torch.testing.assert_close(mine, alone, **CLOSE)


@heads
def test_a_night_without_anything_is_not_nan(head: nn.Module) -> None:
    mask = torch.zeros(2, 4, 5, dtype=torch.bool)
    mask[1] = True
    assert torch.isfinite(run(head, nights(0, 2, 5), mask)).all()


@heads
def test_a_hole_before_a_token_is_refused(head: nn.Module) -> None:
    mask = torch.zeros(1, 4, 5, dtype=torch.bool)
    mask[:, :, 2] = True
    with pytest.raises(ValueError, match="padding belongs at the end"):
        run(head, nights(0, 1, 5), mask)
