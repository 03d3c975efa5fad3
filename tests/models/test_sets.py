"""Sets of channels without padding are embedded as each sample alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sleepfm.models.encoder import Encoder
from tests.models.random_models import ENCODER_CONFIG, random_network

ENCODER = random_network(ENCODER_CONFIG)
assert isinstance(ENCODER, Encoder)
few = settings(max_examples=15, deadline=None)
counts = st.integers(1, 3).flatmap(
    lambda windows: st.lists(st.lists(st.integers(0, 4), min_size=windows, max_size=windows), min_size=1, max_size=4)
)


def rows(seed: int, count: int, tokens: int = 2) -> Tensor:
    return torch.randn(count, tokens * 640, generator=torch.Generator().manual_seed(seed))


def split(x_rt: Tensor, counts_mn: Tensor) -> list[list[Tensor]]:
    """Return the rows of every set, by modality and window."""
    parts = x_rt.split(counts_mn.flatten().tolist())
    windows = counts_mn.shape[1]
    return [list(parts[m * windows : (m + 1) * windows]) for m in range(counts_mn.shape[0])]


@few
@given(st.integers(0, 999), counts.filter(lambda c: any(map(any, c))), st.integers(1, 3))
def test_a_set_is_embedded_as_alone(seed: int, table: list[list[int]], tokens: int) -> None:
    counts_mn = torch.tensor(table)
    x_rt = rows(seed, int(counts_mn.sum()), tokens)
    with torch.inference_mode():
        window_mne, tokens_mnse = ENCODER.embed_sets(x_rt, counts_mn)
        assert window_mne.shape == (*counts_mn.shape, 16)
        assert tokens_mnse.shape == (*counts_mn.shape, tokens, 16)
        for m, sets in enumerate(split(x_rt, counts_mn)):
            for n, x_ct in enumerate(sets):
                if not len(x_ct):
                    assert not window_mne[m, n].any()
                    assert not tokens_mnse[m, n].any()
                    continue
                alone_be, alone_bse = ENCODER(x_ct.unsqueeze(0))
                torch.testing.assert_close(window_mne[m, n], alone_be[0], atol=1e-5, rtol=1e-5)
                torch.testing.assert_close(tokens_mnse[m, n], alone_bse[0], atol=1e-5, rtol=1e-5)


@few
@given(st.integers(0, 999), st.randoms(use_true_random=False))
def test_the_order_of_channels_changes_nothing(seed: int, random: object) -> None:
    counts_mn = torch.tensor([[3, 1], [0, 2]])
    x_rt = rows(seed, 6)
    order = [0, 1, 2]
    random.shuffle(order)
    with torch.inference_mode():
        expected = ENCODER.embed_sets(x_rt, counts_mn)
        shuffled = ENCODER.embed_sets(x_rt[[*order, 3, 5, 4]], counts_mn)
    for a, b in zip(expected, shuffled, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_gradients_reach_every_weight_and_every_row_and_only_from_its_own_set() -> None:
    network = random_network(ENCODER_CONFIG)
    x_rt = rows(1, 4).requires_grad_()
    window_mne, _ = network.embed_sets(x_rt, torch.tensor([[2, 1], [1, 0]]))
    window_mne[0, 0].square().sum().backward()
    assert [bool(row.any()) for row in x_rt.grad] == [True, True, False, False]
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_batch_statistics_are_those_of_the_real_rows() -> None:
    network = random_network(ENCODER_CONFIG).train()
    x_rt = rows(2, 5)
    before = network.patch_embedding.tokenizer[1].running_mean.clone()
    network.embed_sets(x_rt, torch.tensor([[3, 0], [1, 1]]))
    norm = network.patch_embedding.tokenizer[1]
    convolved = network.patch_embedding.tokenizer[0](x_rt.reshape(-1, 1, 640))
    torch.testing.assert_close(norm.running_mean, 0.9 * before + 0.1 * convolved.mean(dim=(0, 2)))


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_under_autocast_results_are_float32_and_near(train: bool) -> None:
    network = random_network({**ENCODER_CONFIG, "dropout": 0.0}).train(train)
    x_rt, counts_mn = rows(3, 6), torch.tensor([[2, 1], [3, 0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        window_mne, tokens_mnse = network.embed_sets(x_rt, counts_mn)
    exact_mne, exact_mnse = network.embed_sets(x_rt, counts_mn)
    assert window_mne.dtype == tokens_mnse.dtype == torch.float32
    present = counts_mn > 0
    for made, exact in ((window_mne, exact_mne), (tokens_mnse, exact_mnse)):
        assert torch.cosine_similarity(made[present], exact[present], dim=-1).min() > 0.99
    window_mne.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("x_rt", "table", "what"),
    [
        (torch.zeros(3, 640), [[1, 1]], "add up to 2 rows, there are 3"),
        (torch.zeros(1, 640), [[2, -1]], "add up to 1 rows"),
        (torch.zeros(0, 640), [[0, 0]], "no channel in any window"),
        (torch.zeros(1, 1, 640), [[1]], "rows must be"),
    ],
)
def test_rows_and_counts_that_do_not_belong_together_are_refused(x_rt: Tensor, table: list[list[int]], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        ENCODER.embed_sets(x_rt, torch.tensor(table))


def test_pooling_that_depends_on_padding_is_refused() -> None:
    network = Encoder(embed_dim=16, num_heads=2, num_layers=1, pooling_head=2, pooling="published_batch")
    with pytest.raises(ValueError, match="published_batch"):
        network.embed_sets(torch.zeros(1, 640), torch.tensor([[1]]))
