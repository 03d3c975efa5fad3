"""Batch normalisation whose statistics are those of the whole global batch, on CPU and GPU alike.

torch's own SyncBatchNorm refuses CPU tensors. Padding cannot reach these statistics because the encoder passes real rows only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sleepfm.training.collectives import gather_rows_plain, sum_all, world


class SharedBatchNorm1d(nn.BatchNorm1d):
    """`nn.BatchNorm1d` with the mean and variance over the rows of all processes while it trains.

    Parameters, buffers, evaluation and a run of one process are torch's own. A process may have no rows in a batch, but must
    pass its (0, channel, time) tensor so that it takes part in the exchange, forward and backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (row, channel) or (row, channel, time); ValueError below two values a channel over all processes."""
        if not self.training or world()[1] == 1:
            return super().forward(input)
        self._check_input_dim(input)
        x_rc = input.float()
        count, mean_c, variance_c = _global_statistics(x_rc.detach())
        if count < 2:
            raise ValueError(f"batch statistics need two values a channel, and all processes together have {count}")
        if self.track_running_stats:
            self._follow(count, mean_c, variance_c)
        normal: Tensor = _Normalise.apply(x_rc, mean_c, torch.rsqrt(variance_c + self.eps), count)
        if self.affine:
            normal = torch.addcmul(_along(self.bias, normal), normal, _along(self.weight, normal))
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, count: int, mean_c: Tensor, variance_c: Tensor) -> None:
        """Move the running statistics by `momentum` (None: their plain average), with the unbiased variance as torch does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_c.to(self.running_mean.dtype), share)
        self.running_var.lerp_((variance_c * (count / (count - 1))).to(self.running_var.dtype), share)


def shared_statistics(network: nn.Module) -> nn.Module:
    """Make every `nn.BatchNorm1d` of a network share its statistics over all processes.

    The modules stay the same objects with the same parameters and buffers (only their class changes), so state dicts,
    optimisers and hooks that know them remain valid. Returns the same network.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm1d:
            module.__class__ = SharedBatchNorm1d
    return network


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Within this context, training passes normalise by the batch as always but leave the running statistics alone.

    For a pass that is computed again, as exact gradient accumulation does: its batch must be counted once.
    """
    # torch reads `track_running_stats` in each pass: False means neither running averages nor the batch counter move, and
    # evaluation still uses the buffers because they are there.
    tracking = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for module in tracking:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True


def _axes(x: Tensor) -> tuple[int, ...]:
    """Return the axes of (row, channel) or (row, channel, time) that statistics run over."""
    return (0,) if x.dim() == 2 else (0, 2)


def _along(values_c: Tensor, x: Tensor) -> Tensor:
    """Return one value a channel in a shape that broadcasts over (row, channel) or (row, channel, time)."""
    return values_c if x.dim() == 2 else values_c.unsqueeze(-1)


def _global_statistics(x: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the number of values a channel and their mean and (biased) variance, (channel,) float32, over all processes.

    Every process sends its count, mean and summed squares about its *own* mean, which are merged as Chan et al. (1979) do: no
    difference of large numbers arises, however far the mean is from zero.
    """
    count = x.numel() // x.shape[1]
    if count:
        variance_c, mean_c = torch.var_mean(x, dim=_axes(x), correction=0)
    else:
        variance_c = mean_c = x.new_zeros(x.shape[1])
    # In float64 because float32 cannot count beyond 2^24 values.
    mine_s = torch.cat([mean_c.new_tensor([count], dtype=torch.float64), mean_c.double(), variance_c.double() * count])
    all_ps = gather_rows_plain(mine_s.unsqueeze(0), counts=[1] * world()[1])
    count_p1, mean_pc, squares_pc = all_ps.split([1, x.shape[1], x.shape[1]], dim=1)
    total = int(count_p1.sum())
    mean_c = (count_p1 * mean_pc).sum(dim=0) / max(total, 1)
    squares_c = (squares_pc + count_p1 * (mean_pc - mean_c).square()).sum(dim=0)
    return total, mean_c.float(), (squares_c / max(total, 1)).float()


class _Normalise(torch.autograd.Function):
    """(x - mean) * rate, where mean and rate = 1 / sqrt(variance + eps) are those of the x of all processes, with gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mean_c: Tensor, rate_c: Tensor, count: int) -> Tensor:
        normal = (x - _along(mean_c, x)).mul_(_along(rate_c, x))
        ctx.save_for_backward(normal, rate_c)
        ctx.count = count
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        normal, rate_c = ctx.saved_tensors
        axes = _axes(normal)
        sums_2c = torch.stack([gradient.sum(dim=axes), (gradient * normal).sum(dim=axes)])
        level_c, slope_c = sum_all(sums_2c) / ctx.count
        to_x = gradient - _along(level_c, normal) - normal * _along(slope_c, normal)
        return to_x.mul_(_along(rate_c, normal)), None, None, None
