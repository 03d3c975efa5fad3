"""The tokenizer's fast arrangement computes what its layers, run one after the other, compute."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.models.tokenizer import Tokenizer


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@settings(max_examples=6, deadline=None)
@given(st.integers(0, 99), st.sampled_from([640, 320, 100, 33, 7]), st.integers(1, 3))
def test_outputs_gradients_and_batch_statistics_are_those_of_the_layers(train: bool, seed: int, patch: int, rows: int) -> None:
    torch.manual_seed(seed)
    fast = Tokenizer(8, patch).double().train(train)
    for parameter in fast.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    plain = copy.deepcopy(fast)
    x_bct = torch.randn(rows, 2, 2 * patch, dtype=torch.float64, requires_grad=True)
    z_bcse = fast(x_bct)
    expected = plain.tokenizer(x_bct.reshape(-1, 1, patch)).view(rows, 2, 2, 8)
    torch.testing.assert_close(z_bcse, expected)
    probe = torch.randn_like(expected)
    ours = torch.autograd.grad((z_bcse * probe).sum(), [x_bct, *fast.parameters()])
    theirs = torch.autograd.grad((expected * probe).sum(), [x_bct, *plain.parameters()])
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(dict(fast.named_buffers()), dict(plain.named_buffers()))
