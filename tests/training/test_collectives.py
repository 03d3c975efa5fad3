"""Collectives between processes: what arrives, what flows back, and that every loss is that of one process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise as neighbours
from typing import Any

import pytest
import torch
from torch import Tensor

from sleepfm.training.classification_loss import masked_binary_cross_entropy, masked_cross_entropy
from sleepfm.training.collectives import gather_rows, gather_rows_plain, row_counts, sum_all, world
from sleepfm.training.contrastive import leave_one_out, pairwise
from sleepfm.training.loss import Loss
from sleepfm.training.reconstruction_loss import masked_reconstruction
from sleepfm.training.survival_loss import cox
from tests.training.process_group import in_processes

SAMPLES = 9
CUTS = {"uneven": (0, 2, 9), "one has nothing": (0, 9, 9)}
"""Where the samples of the second process begin."""


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.randn(SAMPLES, 6, generator=chance(0))
PRESENT = torch.rand(4, SAMPLES, generator=chance(1)) > 0.2
NIGHT = torch.arange(SAMPLES) // 2
STAGE = torch.randint(-1, 3, (SAMPLES, 5), generator=chance(2))
TIME = torch.randint(1, 5, (SAMPLES, 3), generator=chance(3)).double()
EVENT = torch.rand(SAMPLES, 3, generator=chance(4)) < 0.6
KNOWN = torch.rand(SAMPLES, 3, generator=chance(5)) < 0.8
TARGET = torch.randn(4, SAMPLES, 3, 2, generator=chance(6))

# Each objective from what a linear network says of this process's samples, (sample, 24).
OBJECTIVES: dict[str, Callable[[Tensor, slice, Tensor], Loss]] = {
    "leave one out": lambda y, n, t: leave_one_out(y.view(-1, 4, 6).transpose(0, 1), PRESENT[:, n], t, group_n=NIGHT[n]),
    "pairwise": lambda y, n, t: pairwise(y.view(-1, 4, 6).transpose(0, 1), PRESENT[:, n], t, group_n=NIGHT[n], same_night="drop"),
    "stages": lambda y, n, t: masked_cross_entropy(
        y[:, :15].view(-1, 5, 3) * t, STAGE[n], class_weights_k=torch.arange(1.0, 4.0)
    ),
    "stages, published": lambda y, n, t: masked_cross_entropy(
        y[:, :15].view(-1, 5, 3) * t, STAGE[n], class_weights_k=torch.arange(1.0, 4.0), normalise="mask"
    ),
    "events": lambda y, n, t: masked_binary_cross_entropy(y[:, :5] * t, STAGE[n].clamp(max=1), positive_weight=2.0),
    "Efron": lambda y, n, t: cox(y[:, :3] * t, TIME[n], EVENT[n], KNOWN[n]),
    "Breslow": lambda y, n, t: cox(y[:, :3] * t, TIME[n], EVENT[n], KNOWN[n], ties="breslow"),
    "reconstruction": lambda y, n, t: masked_reconstruction(y.view(-1, 4, 3, 2).transpose(0, 1) * t, TARGET[:, n], PRESENT[:, n]),
}


def losses(rank: int, cut: tuple[int, ...]) -> dict[str, list[Any]]:
    mine = slice(cut[rank], cut[rank + 1])
    results: dict[str, list[Any]] = {}
    for name, objective in OBJECTIVES.items():
        weight = (torch.randn(24, 6, generator=chance(7)) * 0.5).requires_grad_()
        scale = torch.tensor(0.8, requires_grad=True)
        loss = objective(X[mine] @ weight.T, mine, scale)
        loss.value.backward()
        results[name] = [loss.value.detach(), loss.metrics, weight.grad, scale.grad]
    return results


def exchanges(rank: int, cut: tuple[int, ...]) -> dict[str, Any]:
    mine = slice(cut[rank], cut[rank + 1])
    assert world() == (rank, 2)
    rows = X[mine].clone().requires_grad_()
    gathered = gather_rows(rows)
    # Each process has another gradient for every row, so that the sum of them can be told from any one.
    (gathered * (rank + 1.0) * torch.arange(SAMPLES).unsqueeze(1)).sum().backward()
    number = torch.tensor([1.0 + rank, 2.0], requires_grad=True)
    total = sum_all(number)
    (total * (rank + 1.0)).sum().backward()
    # Here the first process's rows want no gradient, the others' do: nobody may wait for it.
    constant = X[mine].clone().requires_grad_(rank > 0)
    gather_rows(constant).sum().backward()
    return {
        "counts": row_counts(len(rows), rows.device),
        "gathered": gathered.detach(),
        "to my rows": rows.grad,
        "total": total.detach(),
        "to my number": number.grad,
        "integers": sum_all(torch.tensor([rank, 1])),
        "mask": gather_rows_plain(PRESENT[:, mine].T),
        "stages": gather_rows_plain(STAGE[mine].to(torch.int8)),
        "plain": gather_rows_plain(rows).requires_grad,
        "without gradients": _without_gradients(rows),
    }


def _without_gradients(rows: Tensor) -> bool:
    with torch.no_grad():
        return gather_rows(rows).requires_grad or sum_all(rows.sum()).requires_grad


def everything(rank: int) -> dict[str, Any]:
    return {name: (exchanges(rank, cut), losses(rank, cut)) for name, cut in CUTS.items()}


@pytest.fixture(scope="module")
def processes() -> list[Any]:
    return in_processes(2, everything)


@pytest.fixture(params=CUTS)
def team(request: pytest.FixtureRequest, processes: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """Return where the samples are cut, and what each process found."""
    return CUTS[request.param], [result[request.param] for result in processes]


def test_everybody_gets_all_rows_in_rank_order(team: tuple[tuple[int, ...], list[Any]]) -> None:
    cut, results = team
    for rank, (got, _) in enumerate(results):
        mine = slice(cut[rank], cut[rank + 1])
        assert got["counts"] == [stop - start for start, stop in neighbours(cut)]
        assert torch.equal(got["gathered"], X)
        assert torch.equal(got["mask"], PRESENT.T)
        assert got["stages"].dtype == torch.int8
        assert torch.equal(got["stages"].long(), STAGE)
        assert not got["plain"]
        assert not got["without gradients"]
        # 1 + 2: the sum over the processes of the gradients that each has for these rows
        assert torch.allclose(got["to my rows"], 3.0 * torch.arange(SAMPLES)[mine].unsqueeze(1).expand(-1, 6))
        assert got["total"].tolist() == [3.0, 4.0]
        assert got["to my number"].tolist() == [3.0, 3.0]
        assert got["integers"].tolist() == [1, 2]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_and_gradients_are_those_of_one_process(team: tuple[tuple[int, ...], list[Any]], name: str) -> None:
    value, metrics, to_weight, to_scale = losses(0, (0, SAMPLES))[name]
    shares = [result[name] for _, result in team[1]]
    assert to_weight.abs().max() > 1e-3
    for share in shares:
        torch.testing.assert_close(share[0], value, rtol=1e-5, atol=1e-7)
        assert share[1] == pytest.approx(metrics, rel=1e-5)
    torch.testing.assert_close(torch.stack([share[2] for share in shares]).mean(dim=0), to_weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.stack([share[3] for share in shares]).mean(dim=0), to_scale, rtol=1e-5, atol=1e-6)


def test_without_a_process_group_nothing_happens() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert world() == (0, 1)
    assert row_counts(3, x.device) == [3]
    assert gather_rows(x) is x
    assert sum_all(x) is x
    assert not gather_rows_plain(x).requires_grad
