"""What the processes of one run tell each other: rows gathered and numbers added up, with gradients.

Every process computes its share of the global batch and then the *same global loss*; the engine averages the parameters'
gradients over the processes. For that average to be the gradient one process would have found, the backward pass of each
collective adds up what all processes send back (they all hold a copy of the loss, so the sum is `size` times the gradient,
and the average takes the factor away again). Without a process group, or in a group of one, each collective is the identity.

All processes must call the collectives in the same order, also in the backward pass. That is why results require a gradient
whenever gradients are recorded, even if this process's own rows do not: a process without rows must not stay away from the
backward collective that the others wait in.

Only `all_gather` and `all_reduce` are used, which gloo (CPU) and NCCL (CUDA) both have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def world() -> tuple[int, int]:
    """Return (rank of this process, number of processes); (0, 1) without a process group."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def row_counts(rows: int, device: torch.device) -> list[int]:
    """Return the number of rows that each process has, in rank order; `device` carries the message."""
    if world()[1] == 1:
        return [rows]
    mine_1 = _on_wire(torch.tensor([rows], dtype=torch.int64, device=device))
    return torch.cat(_all_gather(mine_1)).tolist()


def gather_rows(x: Tensor, counts: Sequence[int] | None = None) -> Tensor:
    """Concatenate the rows of all processes, with gradients.

    Parameters
    ----------
    x
        (row, ...) floating point; the number of rows may differ between processes and be 0, the other axes may not.
    counts
        The rows of each process (`row_counts`), where they are known already; None asks for them.

    Returns
    -------
    Tensor
        (row of all processes, ...) in rank order. Backward: the sum of the gradients that all processes have for my rows.
    """
    if world()[1] == 1:
        return x
    counts = row_counts(x.shape[0], x.device) if counts is None else counts
    gathered: Tensor = _GatherRows.apply(_differentiable(x), counts)
    return gathered


def gather_rows_plain(x: Tensor, counts: Sequence[int] | None = None) -> Tensor:
    """Concatenate the rows of all processes without gradients: masks, recording numbers, labels; see `gather_rows`."""
    if world()[1] == 1:
        return x.detach()
    counts = row_counts(x.shape[0], x.device) if counts is None else counts
    return _concatenated(x.detach(), counts)


def sum_all(x: Tensor) -> Tensor:
    """Add up a tensor of equal shape over all processes.

    A floating-point sum carries gradients (backward: the sum of all processes' gradients); a sum of integers does not.
    """
    if world()[1] == 1:
        return x
    if not x.is_floating_point():
        return _reduced(x)
    total: Tensor = _SumAll.apply(_differentiable(x))
    return total


def _differentiable(x: Tensor) -> Tensor:
    """Return x such that the backward collective runs here too, even when nothing before x wants a gradient."""
    if torch.is_grad_enabled() and not x.requires_grad:
        return x.detach().requires_grad_()
    return x


def _on_wire(x: Tensor) -> Tensor:
    """Return x, contiguous, where the backend can send it: NCCL knows GPUs only."""
    return x.cuda() if dist.get_backend() == "nccl" and not x.is_cuda else x.contiguous()


def _all_gather(x: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(x) for _ in range(world()[1])]
    dist.all_gather(parts, x)
    return parts


def _concatenated(x: Tensor, counts: Sequence[int]) -> Tensor:
    wire = _on_wire(x.to(torch.uint8) if x.dtype == torch.bool else x)
    short = max(counts) - wire.shape[0]  # a gather wants equal shapes
    if short:
        wire = torch.cat([wire, wire.new_zeros((short, *wire.shape[1:]))])
    parts = [part[:count] for part, count in zip(_all_gather(wire), counts, strict=True)]
    return torch.cat(parts).to(device=x.device, dtype=x.dtype)


def _reduced(x: Tensor) -> Tensor:
    wire = _on_wire(x.detach()).clone()
    dist.all_reduce(wire)
    return wire.to(x.device)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, counts: Sequence[int]) -> Tensor:
        first = sum(counts[: world()[0]])
        ctx.mine = slice(first, first + x.shape[0])
        return _concatenated(x, counts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _reduced(gradient)[ctx.mine], None


class _SumAll(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return _reduced(x)

    @staticmethod
    @once_differentiable
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return _reduced(gradient)
