"""Cox partial likelihood against torchsurv, lifelines and scikit-survival, heavy ties and empty conditions included."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from sksurv.linear_model import CoxPHSurvivalAnalysis
from torch import Tensor
from torchsurv.loss.cox import neg_partial_log_likelihood

from sleepfm.training.survival_loss import cox

quick = settings(max_examples=12, deadline=None)
TIES = pytest.mark.parametrize("ties", ["efron", "breslow"])
ALL_TIES = pytest.mark.parametrize("ties", ["efron", "breslow", "published"])


def cohort(seed: int, nights: int = 40, conditions: int = 3, times: int | None = 6, events: float = 0.5) -> tuple[Tensor, ...]:
    """Return log hazards, times (so many different ones, None for no ties) and events."""
    chance = torch.Generator().manual_seed(seed)
    shape = (nights, conditions)
    log_hazard_nk = 1.5 * torch.randn(shape, generator=chance, dtype=torch.float64)
    time_nk = (
        torch.randint(1, times + 1, shape, generator=chance).double() if times else torch.rand(shape, generator=chance).double()
    )
    return log_hazard_nk, time_nk, torch.rand(shape, generator=chance) < events


def test_value_is_the_published_one(shared: Path) -> None:
    folder = shared / "reference" / "vectors"
    vectors = np.load(folder / "losses.npz")
    log_hazard_nk, time_nk, event_nk = (
        torch.from_numpy(vectors[f"cox_{name}"]) for name in ("log_hazards", "event_times", "is_event")
    )
    want = json.loads((folder / "losses.json").read_text())["cox_ph"]
    assert cox(log_hazard_nk, time_nk, event_nk, ties="published").value.item() == pytest.approx(want, abs=1e-5)
    # No ties here, so that only the condition without events makes a difference: it is left out, not averaged in as zero.
    proper = cox(log_hazard_nk, time_nk, event_nk)
    assert proper.value.item() == pytest.approx(want * 6 / 5, abs=1e-5)
    assert proper.metrics == {
        "nights": 40,
        "events": event_nk.sum().item(),
        "conditions_with_events": 5,
        "conditions_without_events": 1,
    }
    assert proper.events_k.tolist() == event_nk.sum(dim=0).tolist()
    assert torch.isnan(proper.loss_k).tolist() == [False] * 5 + [True]


@TIES
@pytest.mark.filterwarnings("ignore:Ties in `time` detected")
@given(seed=st.integers(0, 10_000), times=st.sampled_from([None, 1, 3, 20]))
@quick
def test_likelihood_and_gradient_are_those_of_torchsurv(ties: Any, seed: int, times: int | None) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(seed, times=times)
    event_nk[0] = True
    ours, theirs = log_hazard_nk.clone().requires_grad_(), log_hazard_nk.clone().requires_grad_()
    loss = cox(ours, time_nk, event_nk, ties=ties)
    want_k = torch.stack(
        [
            neg_partial_log_likelihood(theirs[:, k], event_nk[:, k], time_nk[:, k], ties_method=ties, reduction="sum")
            / event_nk[:, k].sum()
            for k in range(3)
        ]
    )
    # torchsurv goes through float32 where there are no ties
    torch.testing.assert_close(loss.loss_k, want_k.detach().double(), rtol=1e-5, atol=1e-6)
    loss.value.backward()
    want_k.mean().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def covariates(times: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    x_nc = chance.normal(size=(80, 2))
    frame = pd.DataFrame(x_nc, columns=["a", "b"])
    frame["time"] = np.ceil(chance.exponential(np.exp(-x_nc @ [0.8, -0.5])) * times / 4).clip(1, times)
    frame["event"] = chance.random(80) < 0.7
    return frame, x_nc, frame[["time", "event"]].to_numpy()


def test_efron_likelihood_is_that_of_lifelines() -> None:
    frame, x_nc, _ = covariates(times=6)
    fitted = CoxPHFitter().fit(frame, "time", "event")
    log_hazard_n1 = torch.from_numpy(x_nc @ fitted.params_.to_numpy()).unsqueeze(1)
    loss = cox(log_hazard_n1, torch.from_numpy(frame[["time"]].to_numpy()), torch.from_numpy(frame[["event"]].to_numpy()))
    assert loss.value.item() * frame["event"].sum() == pytest.approx(-fitted.log_likelihood_, rel=1e-8)


@TIES
def test_optimum_is_that_of_scikit_survival(ties: Any) -> None:
    frame, x_nc, _ = covariates(times=5)
    outcome = np.array(list(zip(frame["event"], frame["time"], strict=True)), dtype=[("event", bool), ("time", float)])
    fitted = CoxPHSurvivalAnalysis(ties=ties, tol=1e-12).fit(x_nc, outcome)
    labels = torch.from_numpy(frame[["time"]].to_numpy()), torch.from_numpy(frame[["event"]].to_numpy())

    def slope(method: Any) -> float:
        weights = torch.from_numpy(fitted.coef_).requires_grad_()
        cox((torch.from_numpy(x_nc) @ weights).unsqueeze(1), *labels, ties=method).value.backward()
        return float(weights.grad.abs().max())

    assert slope(ties) < 1e-7
    assert slope("breslow" if ties == "efron" else "efron") > 1e-3  # the other method's optimum lies elsewhere


@ALL_TIES
def test_gradient_is_the_derivative(ties: Any) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(1, nights=12)
    known_nk = torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    assert torch.autograd.gradcheck(
        lambda x: cox(x, time_nk, event_nk, known_nk, ties=ties).value, (log_hazard_nk.requires_grad_(),)
    )


@given(seed=st.integers(0, 10_000))
@quick
def test_without_ties_all_methods_agree(seed: int) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(seed, times=None)
    event_nk[0] = True
    values = [cox(log_hazard_nk, time_nk, event_nk, ties=ties).value.item() for ties in ("efron", "breslow", "published")]
    assert values[1:] == pytest.approx(values[:1] * 2, rel=1e-12)


@TIES
@given(seed=st.integers(0, 10_000), shift=st.floats(-30, 30), stretch=st.floats(0.1, 100))
@quick
def test_order_of_nights_level_and_unit_of_time_change_nothing(ties: Any, seed: int, shift: float, stretch: float) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(seed)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
    loss = cox(log_hazard_nk, time_nk, event_nk, ties=ties)
    again = cox((log_hazard_nk + shift)[order], (time_nk * stretch)[order], event_nk[order], ties=ties)
    torch.testing.assert_close(again.loss_k, loss.loss_k, equal_nan=True)


@ALL_TIES
@given(seed=st.integers(0, 10_000), rubbish=st.sampled_from([0.0, math.inf, math.nan]))
@quick
def test_unknown_labels_are_as_if_the_night_were_not_there(ties: Any, seed: int, rubbish: float) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(seed)
    known_nk = torch.rand(40, 3, generator=torch.Generator().manual_seed(seed)) < 0.6
    spoilt_nk = log_hazard_nk.masked_fill(~known_nk, rubbish).requires_grad_()
    loss = cox(spoilt_nk, time_nk.masked_fill(~known_nk, rubbish), event_nk | ~known_nk, known_nk, ties=ties)
    for k in range(3):
        kept = known_nk[:, k]
        alone = cox(log_hazard_nk[kept, k, None], time_nk[kept, k, None], event_nk[kept, k, None], ties=ties)
        torch.testing.assert_close(loss.loss_k[k], alone.loss_k[0], equal_nan=True)
        assert loss.events_k[k] == alone.events_k[0]
    loss.value.backward()
    assert spoilt_nk.grad.isfinite().all()
    assert not spoilt_nk.grad[~known_nk].any()


@ALL_TIES
def test_conditions_without_events_are_counted_not_averaged(ties: Any) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(2, conditions=4)
    event_nk[:, 1::2] = False
    loss = cox(log_hazard_nk, time_nk, event_nk, ties=ties)
    with_events = cox(log_hazard_nk[:, ::2], time_nk[:, ::2], event_nk[:, ::2], ties=ties)
    assert loss.value.item() == pytest.approx(with_events.value.item() * (0.5 if ties == "published" else 1.0))
    assert (loss.metrics["conditions_with_events"], loss.metrics["conditions_without_events"]) == (2, 2)


@ALL_TIES
@pytest.mark.parametrize("nights", [0, 1, 5])
def test_no_event_at_all_is_zero_and_says_so(ties: Any, nights: int) -> None:
    log_hazard_nk = torch.randn(nights, 3, requires_grad=True)
    loss = cox(log_hazard_nk, torch.ones(nights, 3), torch.zeros(nights, 3), ties=ties)
    loss.value.backward()
    assert loss.value.item() == 0.0
    assert not log_hazard_nk.grad.any()
    assert loss.metrics == {"nights": nights, "events": 0, "conditions_with_events": 0, "conditions_without_events": 3}


@ALL_TIES
def test_extreme_hazards_stay_finite(ties: Any) -> None:
    log_hazard_nk, time_nk, event_nk = cohort(3, nights=60)
    wild = (log_hazard_nk.float() * 200).requires_grad_()
    loss = cox(wild, time_nk, event_nk, ties=ties)
    loss.value.backward()
    assert loss.value.isfinite()
    assert wild.grad.isfinite().all()
    torch.testing.assert_close(
        loss.value.double(), cox(log_hazard_nk * 200, time_nk, event_nk, ties=ties).value, rtol=1e-5, atol=0
    )


def test_higher_hazard_of_the_earlier_event_lowers_the_loss() -> None:
    time_nk = torch.tensor([[1.0], [2.0], [3.0], [3.0]])
    event_nk = torch.tensor([[True], [True], [True], [True]])
    right = cox(-time_nk, time_nk, event_nk).value
    wrong = cox(time_nk, time_nk, event_nk).value
    assert right < cox(torch.zeros(4, 1), time_nk, event_nk).value < wrong


def test_requests_that_do_not_fit_are_refused() -> None:
    log_hazard_nk, time_nk, event_nk = cohort(0)
    with pytest.raises(ValueError, match="differ in shape"):
        cox(log_hazard_nk, time_nk[:, :2], event_nk)
    with pytest.raises(ValueError, match="not finite"):
        cox(log_hazard_nk, time_nk.masked_fill(event_nk, math.nan), event_nk)
