"""Contrastive losses: the published values, what absence means, and which negatives count."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sleepfm.training.contrastive import leave_one_out, pairwise
from sleepfm.training.loss import Loss

NAMES = ("BAS", "RESP", "EKG", "EMG")
WARM = torch.tensor(1.2)
BOTH = pytest.mark.parametrize("objective", [leave_one_out, pairwise])
quick = settings(max_examples=12, deadline=None)


def batch(seed: int, samples: int = 7, width: int = 6, modalities: int = 4, absent: float = 0.3) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    z_mne = torch.randn(modalities, samples, width, generator=chance)
    present_mn = torch.rand(modalities, samples, generator=chance) >= absent
    return z_mne, present_mn


def oracle(z_mne: Tensor, present_mn: Tensor, scale: float | Tensor, objective: Callable[..., Loss]) -> Tensor:
    """Return the loss by the words of its definition, sample by sample, in float64."""
    unit_mne = z_mne.double() / z_mne.double().norm(dim=-1, keepdim=True)
    modalities, samples = present_mn.shape
    losses = []
    for own in range(modalities):
        if objective is leave_one_out:
            others = [[o for o in range(modalities) if o != own and present_mn[o, n]] for n in range(samples)]
            partner = {n: torch.stack([unit_mne[o, n] for o in others[n]]).mean(dim=0) for n in range(samples) if others[n]}
            comparisons = [partner]
        else:
            comparisons = [
                {n: unit_mne[other, n] for n in range(samples) if present_mn[other, n]} for other in range(own + 1, modalities)
            ]
        for partner in comparisons:
            members = [n for n in partner if present_mn[own, n]]
            if len(members) < 2:
                continue
            mine = torch.stack([unit_mne[own, n] for n in members])
            theirs = torch.stack([partner[n] for n in members])
            logits = mine @ theirs.T * scale
            losses += [*-logits.log_softmax(dim=1).diag(), *-logits.log_softmax(dim=0).diag()]
    return torch.stack(losses).mean() if losses else torch.zeros((), dtype=torch.float64)


@BOTH
@pytest.mark.parametrize("log_temperature", ["0.0", "2.302585"])
def test_values_are_the_published_ones(shared: Path, objective: Callable[..., Loss], log_temperature: str) -> None:
    folder = shared / "reference" / "vectors"
    z_mne = torch.from_numpy(np.load(folder / "losses.npz")["modality_embeddings"])
    want = json.loads((folder / "losses.json").read_text())[
        f"{objective.__name__}_log_temperature_{log_temperature}_mean_per_sample"
    ]
    loss = objective(z_mne, torch.ones(z_mne.shape[:2], dtype=torch.bool), torch.tensor(float(log_temperature)))
    assert loss.value.item() == pytest.approx(want, abs=1e-5)


@BOTH
@given(seed=st.integers(0, 10_000), absent=st.sampled_from([0.0, 0.3, 0.6, 0.9]))
@quick
def test_value_and_gradient_follow_the_definition(objective: Callable[..., Loss], seed: int, absent: float) -> None:
    z_mne, present_mn = batch(seed, absent=absent)
    ours = z_mne.clone().requires_grad_()
    theirs = z_mne.double().requires_grad_()
    log_temperature, log_scale = WARM.clone().requires_grad_(), WARM.double().requires_grad_()
    value = objective(ours, present_mn, log_temperature).value
    want = oracle(theirs, present_mn, log_scale.exp(), objective)
    assert value.item() == pytest.approx(want.item(), rel=1e-5, abs=1e-6)
    value.backward()
    if want.requires_grad:
        want.backward()
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(log_temperature.grad.double(), log_scale.grad, rtol=1e-4, atol=1e-6)
    else:
        assert not ours.grad.any()


@BOTH
@given(seed=st.integers(0, 10_000))
@quick
def test_order_and_scale_change_nothing(objective: Callable[..., Loss], seed: int) -> None:
    z_mne, present_mn = batch(seed)
    loss = objective(z_mne, present_mn, WARM)
    chance = torch.Generator().manual_seed(seed)
    samples, modalities = torch.randperm(z_mne.shape[1], generator=chance), torch.randperm(4, generator=chance)
    shuffled = objective(
        (z_mne * (torch.rand(4, 7, 1, generator=chance) + 0.1))[modalities][:, samples],
        present_mn[modalities][:, samples],
        WARM,
        names=[NAMES[m] for m in modalities],
    )
    assert shuffled.value.item() == pytest.approx(loss.value.item(), rel=1e-5)
    assert shuffled.metrics == pytest.approx(loss.metrics)


@BOTH
@given(seed=st.integers(0, 10_000), rubbish=st.sampled_from([0.0, 1e30, math.inf, math.nan]))
@quick
def test_what_absent_rows_hold_is_never_looked_at(objective: Callable[..., Loss], seed: int, rubbish: float) -> None:
    z_mne, present_mn = batch(seed)
    loss = objective(z_mne, present_mn, WARM)
    spoilt = z_mne.masked_fill(~present_mn.unsqueeze(-1), rubbish).requires_grad_()
    again = objective(spoilt, present_mn, WARM)
    assert torch.equal(again.value, loss.value)
    assert again.metrics == loss.metrics
    again.value.backward()
    assert spoilt.grad.isfinite().all()
    assert not spoilt.grad[~present_mn].any()


@BOTH
@given(seed=st.integers(0, 10_000), gone=st.integers(0, 6))
@quick
def test_absence_of_a_sample_is_its_removal(objective: Callable[..., Loss], seed: int, gone: int) -> None:
    z_mne, present_mn = batch(seed)
    rest = [n for n in range(7) if n != gone]
    removed = objective(z_mne[:, rest], present_mn[:, rest], WARM)
    hidden_mn = present_mn.clone()
    hidden_mn[:, gone] = False
    hidden = objective(z_mne, hidden_mn, WARM)
    lonely_mn = hidden_mn.clone()
    lonely_mn[2, gone] = True  # one modality alone has nothing to be compared with
    lonely = objective(z_mne, lonely_mn, WARM)
    for loss in (hidden, lonely):
        assert loss.value.item() == pytest.approx(removed.value.item(), rel=1e-5, abs=1e-6)
        assert loss.metrics == pytest.approx(removed.metrics)


@BOTH
def test_alignment_lowers_the_loss_and_wins_every_contest(objective: Callable[..., Loss]) -> None:
    z_mne, _ = batch(3, absent=0.0)
    present_mn = torch.ones(4, 7, dtype=torch.bool)
    apart = objective(z_mne, present_mn, torch.tensor(3.0))
    aligned = objective(z_mne[:1].expand(4, -1, -1), present_mn, torch.tensor(3.0))
    assert aligned.value < 0.1 * apart.value
    assert aligned.metrics["top1"] == 1.0
    assert apart.metrics["top1"] < 1.0
    assert aligned.metrics["chance"] == pytest.approx(1 / 7)


@BOTH
def test_collapsed_embeddings_win_nothing(objective: Callable[..., Loss]) -> None:
    loss = objective(torch.ones(4, 8, 5), torch.ones(4, 8, dtype=torch.bool), WARM)
    assert loss.metrics["top1"] == 0.0
    assert loss.value.item() == pytest.approx(math.log(8), rel=1e-5)


@BOTH
@pytest.mark.parametrize("what", ["one sample", "one modality each", "nothing", "no samples"])
def test_a_batch_without_queries_is_zero_and_says_so(objective: Callable[..., Loss], what: str) -> None:
    samples = {"one sample": 1, "no samples": 0}.get(what, 4)
    present_mn = torch.zeros(4, samples, dtype=torch.bool)
    if what == "one sample":
        present_mn[:] = True
    if what == "one modality each":
        present_mn[torch.arange(4), torch.arange(4)] = True
    z_mne = torch.randn(4, samples, 5, requires_grad=True)
    temperature = WARM.clone().requires_grad_()
    loss = objective(z_mne, present_mn, temperature, group_n=torch.zeros(samples, dtype=torch.long))
    loss.value.backward()
    assert loss.value.item() == 0.0
    assert not z_mne.grad.any()
    assert temperature.grad == 0.0
    assert loss.metrics == {"queries": 0.0}


@BOTH
@given(seed=st.integers(0, 10_000))
@quick
def test_same_night_negatives_are_reported_apart_and_can_be_dropped(objective: Callable[..., Loss], seed: int) -> None:
    z_mne, _ = batch(seed, samples=6)
    present_mn = torch.ones(4, 6, dtype=torch.bool)
    night_n = torch.tensor([5, 5, 9, 9, 5, 2])
    keep = objective(z_mne, present_mn, WARM, group_n=night_n)
    drop = objective(z_mne, present_mn, WARM, group_n=night_n, same_night="drop")
    assert drop.value < keep.value
    assert keep.metrics["same_night_negatives"] == pytest.approx((3 * 2 + 2 * 1) / 30)
    assert drop.metrics["top1"] == keep.metrics["top1_other_nights"] == drop.metrics["top1_other_nights"]
    assert keep.metrics["top1"] <= min(keep.metrics["top1_other_nights"], 1.0)

    # With every sample of another night there is nothing to drop; with all of one night, nothing is left.
    alone = objective(z_mne, present_mn, WARM, group_n=torch.arange(6), same_night="drop")
    assert torch.equal(alone.value, objective(z_mne, present_mn, WARM).value)
    assert alone.metrics["same_night_negatives"] == 0.0
    assert not any(name.startswith("top1_same_night") for name in alone.metrics)
    single = objective(z_mne, present_mn, WARM, group_n=torch.zeros(6, dtype=torch.long), same_night="drop")
    assert (single.value.item(), single.metrics["queries"]) == (0.0, 0.0)
    assert single.metrics["same_night_negatives"] == 1.0


def test_hard_negatives_of_the_same_night_show_in_their_own_accuracy() -> None:
    chance = torch.Generator().manual_seed(0)
    night_ne = torch.randn(3, 16, generator=chance).repeat_interleave(4, dim=0)
    z_mne = torch.stack([night_ne + 0.3 * torch.randn(12, 16, generator=chance) for _ in range(4)])
    metrics = pairwise(z_mne, torch.ones(4, 12, dtype=torch.bool), WARM, group_n=torch.arange(12) // 4).metrics
    assert metrics["top1_other_nights"] == 1.0
    assert metrics["top1_same_night"] < 0.7
    assert metrics["top1_other_nights/BAS>EKG"] == 1.0


def test_accuracy_by_term_counts_first_places() -> None:
    # Two samples; EKG's are swapped, the other modalities agree.
    right_ne = torch.eye(2)
    z_mne = torch.stack([right_ne, right_ne, right_ne.flip(0)])
    metrics = pairwise(z_mne, torch.ones(3, 2, dtype=torch.bool), WARM, names=NAMES[:3]).metrics
    terms = {name: accuracy for name, accuracy in metrics.items() if name.startswith("top1/")}
    assert terms == {f"top1/{a}>{b}": float("EKG" not in (a, b)) for a in NAMES[:3] for b in NAMES[:3] if a != b}
    assert metrics["top1"] == pytest.approx(2 / 6)


@BOTH
def test_a_temperature_below_zero_counts_as_zero_and_can_return(objective: Callable[..., Loss]) -> None:
    z_mne, present_mn = batch(1)
    below = torch.tensor(-0.7, requires_grad=True)
    value = objective(z_mne, present_mn, below).value
    assert value.item() == pytest.approx(objective(z_mne, present_mn, torch.tensor(0.0)).value.item(), rel=1e-6)
    value.backward()
    assert below.grad != 0.0


@BOTH
def test_autocast_does_not_coarsen_the_loss(objective: Callable[..., Loss]) -> None:
    z_mne, present_mn = batch(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = objective(z_mne, present_mn, WARM).value
    assert coarse.dtype == torch.float32
    assert torch.equal(coarse, objective(z_mne, present_mn, WARM).value)


def test_requests_that_do_not_fit_are_refused() -> None:
    z_mne, present_mn = batch(0)
    with pytest.raises(ValueError, match="do not fit"):
        leave_one_out(z_mne, present_mn[:3], WARM)
    with pytest.raises(ValueError, match="3 names"):
        pairwise(z_mne, present_mn, WARM, names=NAMES[:3])
    with pytest.raises(ValueError, match="group_n"):
        pairwise(z_mne, present_mn, WARM, same_night="drop")
    with pytest.raises(ValueError, match="recordings do not fit"):
        pairwise(z_mne, present_mn, WARM, group_n=torch.zeros(3, dtype=torch.long))
