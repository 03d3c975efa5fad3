"""Masked self-supervision: what is left out, what its targets are, and what the loss looks at."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import periodogram
from torch import Tensor

from sleepfm.training.reconstruction_loss import FLOOR, band_edges, band_powers, draw_left_out, masked_reconstruction
from sleepfm.vocabulary import MODEL_RATE_HZ, TOKEN_SAMPLES

quick = settings(max_examples=12, deadline=None)


def sets(seed: int, left_out: float = 0.4) -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    predicted_mnsd, target_mnsd = torch.randn(2, 4, 6, 5, 3, generator=chance)
    return predicted_mnsd, target_mnsd, torch.rand(4, 6, generator=chance) < left_out


@given(seed=st.integers(0, 10_000))
@quick
def test_loss_is_the_mean_squared_error_of_the_left_out_sets(seed: int) -> None:
    predicted_mnsd, target_mnsd, left_out_mn = sets(seed)
    left_out_mn[0, 0] = True
    loss = masked_reconstruction(predicted_mnsd, target_mnsd, left_out_mn)
    error_mn = (predicted_mnsd - target_mnsd).square().mean(dim=(2, 3))
    assert loss.value.item() == pytest.approx(error_mn[left_out_mn].mean().item(), rel=1e-5)
    assert loss.metrics["sets"] == left_out_mn.sum()
    for m, name in enumerate(("BAS", "RESP", "EKG", "EMG")):
        if left_out_mn[m].any():
            targets_nd = target_mnsd[m, left_out_mn[m]].flatten(0, 1)
            explained = 1 - error_mn[m, left_out_mn[m]].mean() / targets_nd.var(dim=0, correction=0).mean()
            assert loss.metrics[f"error/{name}"] == pytest.approx(error_mn[m, left_out_mn[m]].mean().item(), rel=1e-5)
            assert loss.metrics[f"explained/{name}"] == pytest.approx(explained.item(), rel=1e-4, abs=1e-5)
        else:
            assert f"error/{name}" not in loss.metrics


@given(seed=st.integers(0, 10_000), rubbish=st.sampled_from([1e30, math.inf, math.nan]))
@quick
def test_what_was_not_left_out_is_never_looked_at(seed: int, rubbish: float) -> None:
    predicted_mnsd, target_mnsd, left_out_mn = sets(seed)
    loss = masked_reconstruction(predicted_mnsd, target_mnsd, left_out_mn)
    other = ~left_out_mn[:, :, None, None]
    spoilt = predicted_mnsd.masked_fill(other, rubbish).requires_grad_()
    again = masked_reconstruction(spoilt, target_mnsd.masked_fill(other, rubbish), left_out_mn)
    assert torch.equal(again.value, loss.value)
    assert again.metrics == loss.metrics
    again.value.backward()
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[~left_out_mn].any()


def test_targets_get_no_gradient_and_a_perfect_prediction_no_loss() -> None:
    _, target_mnsd, left_out_mn = sets(0)
    target_mnsd.requires_grad_()
    prediction = target_mnsd.detach().clone().requires_grad_()
    loss = masked_reconstruction(prediction, target_mnsd, left_out_mn)
    loss.value.backward()
    assert loss.value.item() == 0.0
    assert target_mnsd.grad is None
    assert loss.metrics["explained/BAS"] == 1.0


def test_predicting_the_mean_explains_nothing() -> None:
    _, target_mnsd, left_out_mn = sets(1, left_out=1.0)
    mean = target_mnsd.mean(dim=(1, 2), keepdim=True).expand_as(target_mnsd)
    metrics = masked_reconstruction(mean, target_mnsd, left_out_mn).metrics
    assert all(value == pytest.approx(0.0, abs=1e-5) for name, value in metrics.items() if name.startswith("explained"))
    flat = masked_reconstruction(mean, torch.full_like(mean, 3.3), left_out_mn).metrics
    assert not any(name.startswith("explained") for name in flat)  # constant targets have nothing to explain


def test_nothing_left_out_is_zero_and_says_so() -> None:
    predicted_mnsd, target_mnsd, left_out_mn = sets(0)
    predicted_mnsd.requires_grad_()
    loss = masked_reconstruction(predicted_mnsd, target_mnsd, left_out_mn & False)
    loss.value.backward()
    assert loss.value.item() == 0.0
    assert not predicted_mnsd.grad.any()
    assert loss.metrics == {"sets": 0.0}
    with pytest.raises(ValueError, match="do not fit"):
        masked_reconstruction(predicted_mnsd, target_mnsd, left_out_mn[:, :2])


@given(seed=st.integers(0, 10_000), absent=st.sampled_from([0.0, 0.3, 0.7]))
@quick
def test_one_of_the_present_is_drawn_where_there_are_two(seed: int, absent: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    present_mn = torch.rand(4, 30, generator=chance) >= absent
    left_out_mn = draw_left_out(present_mn, chance)
    assert not (left_out_mn & ~present_mn).any()
    assert torch.equal(left_out_mn.sum(dim=0), (present_mn.sum(dim=0) > 1).long())


def test_draws_are_even_and_repeatable() -> None:
    present_mn = torch.ones(4, 4000, dtype=torch.bool)
    left_out_mn = draw_left_out(present_mn, torch.Generator().manual_seed(0))
    assert torch.equal(left_out_mn, draw_left_out(present_mn, torch.Generator().manual_seed(0)))
    assert left_out_mn.sum(dim=1).float() == pytest.approx(torch.full((4,), 1000.0), rel=0.15)


def test_band_powers_are_those_of_scipy() -> None:
    x_rt = torch.randn(1, 3 * TOKEN_SAMPLES, generator=torch.Generator().manual_seed(0))
    target_d = band_powers(x_rt, torch.tensor([[1]]))[0, 0, 1].double().numpy()
    token = x_rt[0, TOKEN_SAMPLES : 2 * TOKEN_SAMPLES].double().numpy()
    _, density_f = periodogram(token, MODEL_RATE_HZ, window="hann", detrend=False, scaling="density", return_onesided=False)
    relative_f = density_f[: TOKEN_SAMPLES // 2 + 1] * MODEL_RATE_HZ  # white noise of unit variance has 1
    edges = band_edges()
    want_d = [np.log(relative_f[low:high].mean()) for low, high in pairwise(edges)]
    np.testing.assert_allclose(target_d, want_d, rtol=1e-4, atol=1e-5)
    assert (edges[0], edges[-1]) == (1, TOKEN_SAMPLES // 2 + 1)


def test_band_powers_average_over_channels_and_leave_absent_sets_empty() -> None:
    chance = torch.Generator().manual_seed(0)
    x_rt = torch.randn(4, 2 * TOKEN_SAMPLES, generator=chance)
    x_rt[3] = 0.0
    target_mnsd = band_powers(x_rt, torch.tensor([[2, 0], [1, 1]]))
    alone_rsd = torch.cat([band_powers(row.unsqueeze(0), torch.tensor([[1]]))[0] for row in x_rt])
    assert target_mnsd.shape == (2, 2, 2, len(band_edges()) - 1)
    torch.testing.assert_close(target_mnsd[0, 0], alone_rsd[:2].mean(dim=0))
    torch.testing.assert_close(target_mnsd[1, 0], alone_rsd[2])
    assert not target_mnsd[0, 1].any()
    torch.testing.assert_close(target_mnsd[1, 1], torch.full_like(target_mnsd[1, 1], math.log(FLOOR)))  # a flat channel
    with pytest.raises(ValueError, match="whole number"):
        band_powers(x_rt[:, :100], torch.tensor([[2, 0], [1, 1]]))
