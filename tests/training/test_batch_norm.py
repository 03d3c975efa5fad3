"""Batch statistics over all processes equal torch's own of the whole batch, with every gradient."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sleepfm.training.batch_norm import SharedBatchNorm1d, frozen_statistics, shared_statistics
from sleepfm.training.collectives import gather_rows
from tests.training.process_group import in_processes

ROWS = 10
CUTS = {"uneven": (0, 4, 10), "one has nothing": (0, 10, 10)}
FAR = 1000.0


def network(momentum: float | None = 0.1) -> nn.Sequential:
    """Return convolutions as in the tokenizer, then batch norm of vectors."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(1, 4, 5, stride=2),
        nn.BatchNorm1d(4, momentum=momentum),
        nn.ELU(),
        nn.Conv1d(4, 6, 5, stride=2),
        nn.BatchNorm1d(6, momentum=momentum),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.BatchNorm1d(6, affine=False, momentum=momentum),
    )
    for module in net:
        if isinstance(module, nn.BatchNorm1d) and module.affine:
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -1, 1)
    return net


def signals() -> Tensor:
    return torch.randn(ROWS, 1, 40, generator=torch.Generator().manual_seed(1))


def judged(net: nn.Module, x: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    """Return the global loss and the gradient in x of the rows' distance from where they should be."""
    x = x.clone().requires_grad_()
    loss = (gather_rows(net(x)) * to).square().mean()
    loss.backward()
    return loss.detach(), x.grad


TO = torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(2))


def share(rank: int, cut: tuple[int, ...]) -> dict[str, Any]:
    mine = slice(cut[rank], cut[rank + 1])
    results: dict[str, Any] = {}
    for momentum in (0.1, None):
        net = shared_statistics(network(momentum))
        loss, to_x = judged(net, signals()[mine], TO)
        with torch.no_grad():
            net(signals()[mine] * 2)
        with frozen_statistics(net), torch.no_grad():
            net(signals()[mine] * 3)
        results[f"momentum {momentum}"] = {
            "loss": loss,
            "to x": to_x,
            "gradients": {name: parameter.grad for name, parameter in net.named_parameters()},
            "state": net.state_dict(),
        }
    far = SharedBatchNorm1d(6)
    far_out = far((TO + FAR)[mine])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = (TO + 8).to(torch.bfloat16)[mine].requires_grad_()
        coarse = SharedBatchNorm1d(6)(rows)
    (coarse * TO[mine]).sum().backward()
    results["far"], results["far variance"] = far_out.detach(), far.running_var
    results["coarse"], results["to coarse"] = coarse.detach(), rows.grad
    try:
        shared_statistics(nn.BatchNorm1d(6))(TO[:1] if rank == 0 else TO[:0])
    except ValueError as problem:
        results["single"] = str(problem)
    return results


def shares(rank: int) -> dict[str, Any]:
    return {name: share(rank, cut) for name, cut in CUTS.items()}


@pytest.fixture(scope="module")
def processes() -> list[Any]:
    return in_processes(2, shares)


@pytest.fixture(params=CUTS)
def team(request: pytest.FixtureRequest, processes: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """Return where the rows are cut, and what each process found."""
    return CUTS[request.param], [result[request.param] for result in processes]


@pytest.mark.parametrize("momentum", [0.1, None])
def test_two_processes_train_as_one(team: tuple[tuple[int, ...], list[Any]], momentum: float | None) -> None:
    net = network(momentum)  # torch's own batch norm, whole batch
    loss, to_x = judged(net, signals(), TO)
    with torch.no_grad():
        net(signals() * 2)
    shares = [result[f"momentum {momentum}"] for result in team[1]]
    for one in shares:
        torch.testing.assert_close(one["loss"], loss, rtol=1e-5, atol=0)
        for name, want in net.state_dict().items():
            torch.testing.assert_close(one["state"][name], want, rtol=1e-5, atol=1e-6, msg=name)
    # Backward adds up the processes' copies of the loss; the average over processes takes the factor away again.
    torch.testing.assert_close(torch.cat([one["to x"] for one in shares]) / 2, to_x, rtol=1e-4, atol=1e-6)
    for name, parameter in net.named_parameters():
        mean = torch.stack([one["gradients"][name] for one in shares]).mean(dim=0)
        torch.testing.assert_close(mean, parameter.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_mean_far_from_zero_costs_no_digits(team: tuple[tuple[int, ...], list[Any]]) -> None:
    cut, results = team
    rows = (TO + FAR).double()
    want = ((rows - rows.mean(dim=0)) / (rows.var(dim=0, correction=0) + 1e-5).sqrt()).float()
    for rank, result in enumerate(results):
        torch.testing.assert_close(result["far"], want[cut[rank] : cut[rank + 1]], rtol=1e-4, atol=5e-4)
        torch.testing.assert_close(result["far variance"], (0.9 + 0.1 * rows.var(dim=0)).float(), rtol=1e-5, atol=0)


def test_half_precision_is_normalised_in_full(team: tuple[tuple[int, ...], list[Any]]) -> None:
    cut, results = team
    rows = (TO + 8).to(torch.bfloat16).float().requires_grad_()
    want = nn.BatchNorm1d(6)(rows)
    (want * TO).sum().backward()
    for rank, result in enumerate(results):
        mine = slice(cut[rank], cut[rank + 1])
        assert result["coarse"].dtype == result["to coarse"].dtype == torch.bfloat16
        torch.testing.assert_close(result["coarse"].float(), want[mine].detach(), rtol=2**-8, atol=1e-6)
        torch.testing.assert_close(result["to coarse"].float(), rows.grad[mine], rtol=2**-6, atol=0.02)


def test_one_value_in_all_processes_is_refused(team: tuple[tuple[int, ...], list[Any]]) -> None:
    assert all("two values a channel" in result["single"] for result in team[1])


def test_one_process_is_torchs_own() -> None:
    theirs, ours = network(), shared_statistics(network())
    assert [type(m) for m in ours if isinstance(m, nn.BatchNorm1d)] == [SharedBatchNorm1d] * 3
    for x in (signals(), signals() * 2):
        want, got = judged(theirs, x, TO), judged(ours, x, TO)
        assert torch.equal(want[0], got[0])
        assert torch.equal(want[1], got[1])
    for (name, want), got in zip(theirs.state_dict().items(), ours.state_dict().values(), strict=True):
        assert torch.equal(want, got), name
    assert torch.equal(theirs.eval()(signals()), ours.eval()(signals()))


def test_state_dicts_and_parameters_stay_the_same() -> None:
    plain = network()
    parameters = list(plain.parameters())
    shared = shared_statistics(plain)
    assert shared is plain
    assert list(shared.state_dict()) == list(network().state_dict())
    assert [id(p) for p in shared.parameters()] == [id(p) for p in parameters]
    shared(signals())
    network().load_state_dict(shared.state_dict())
    assert isinstance(shared_statistics(nn.BatchNorm1d(3)), SharedBatchNorm1d)


@pytest.mark.parametrize("converts", [False, True])
def test_frozen_statistics_see_the_batch_but_do_not_remember_it(converts: bool) -> None:
    net = shared_statistics(network()) if converts else network()
    usual = copy.deepcopy(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with frozen_statistics(net):
        frozen = net(signals())
        net.eval()
        evaluated = net(signals())
        net.train()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(frozen, usual(signals()))
    assert not torch.equal(evaluated, frozen)
    net(signals())
    assert all(torch.equal(tensor, usual.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_frozen_statistics_thaw_after_an_error() -> None:
    net = network()
    with pytest.raises(RuntimeError, match="stop"), frozen_statistics(net):
        raise RuntimeError("stop")
    net(signals())
    assert int(net[1].num_batches_tracked) == 1
