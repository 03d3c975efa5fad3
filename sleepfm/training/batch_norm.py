"""Batch normalisation whose statistics are those of the whole global batch, on CPU and GPU alike.

torch's own SyncBatchNorm refuses CPU tensors. Padding cannot reach these statistics because the encoder passes real rows only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
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
        count, mean_c, variance_c = _global_statistics(input.detach())
        if count < 2:
            raise ValueError(f"batch statistics need two values a channel, and all processes together have {count}")
        if self.track_running_stats:
            self._follow(count, mean_c, variance_c)
        weight, bias = (self.weight, self.bias) if self.affine else (torch.ones_like(mean_c), torch.zeros_like(mean_c))
        normal: Tensor = _Normalise.apply(input, weight, bias, (count, mean_c, variance_c, self.eps))
        return normal

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


def _global_statistics(x: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the number of values a channel and their mean and (biased) variance, (channel,) float32, over all processes.

    Every process sends its count, mean and summed squares about its *own* mean, which are merged as Chan et al. (1979) do: no
    difference of large numbers arises, however far the mean is from zero.
    """
    axes = (0,) if x.dim() == 2 else (0, 2)
    x = x.float()
    count = x.numel() // x.shape[1]
    mean_c = x.sum(dim=axes) / max(count, 1)
    squares_c = (x - (mean_c if x.dim() == 2 else mean_c.unsqueeze(-1))).square_().sum(dim=axes)
    # In float64 because float32 cannot count beyond 2^24 values.
    mine_s = torch.cat([mean_c.new_tensor([count], dtype=torch.float64), mean_c.double(), squares_c.double()])
    all_ps = gather_rows_plain(mine_s.unsqueeze(0), counts=[1] * world()[1])
    count_p1, mean_pc, squares_pc = all_ps.split([1, x.shape[1], x.shape[1]], dim=1)
    total = int(count_p1.sum())
    mean_c = (count_p1 * mean_pc).sum(dim=0) / max(total, 1)
    squares_c = (squares_pc + count_p1 * (mean_pc - mean_c).square()).sum(dim=0)
    return total, mean_c.float(), (squares_c / max(total, 1)).float()


class _Normalise(torch.autograd.Function):
    """Batch norm by statistics that depend on the x of all processes, with the gradients that flow through them.

    torch's own kernels do what they do in evaluation, where the statistics are constants; their gradients of weight and bias
    are the very sums that the gradient through the statistics needs from all processes (Ioffe and Szegedy 2015).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_c: Tensor, bias_c: Tensor, statistics: tuple[int, Tensor, Tensor, float]) -> Tensor:
        ctx.count, mean_c, variance_c, ctx.eps = statistics
        ctx.save_for_backward(x, weight_c, mean_c, variance_c)
        if not len(x):  # torch's kernels divide by the number of rows
            return x.clone()
        return F.batch_norm(x, mean_c, variance_c, weight_c, bias_c, training=False, eps=ctx.eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight_c, mean_c, variance_c = ctx.saved_tensors
        if len(x):
            to_x, to_weight_c, to_bias_c = torch.ops.aten.native_batch_norm_backward(
                gradient.contiguous(),
                x,
                weight_c,
                mean_c,
                variance_c,
                None,
                None,
                train=False,
                eps=ctx.eps,
                output_mask=[True] * 3,
            )
        else:
            to_x, to_weight_c, to_bias_c = gradient, torch.zeros_like(weight_c), torch.zeros_like(weight_c)
        slope_c, level_c = sum_all(torch.stack([to_weight_c, to_bias_c])) / ctx.count
        rate_c = torch.rsqrt(variance_c + ctx.eps)
        # What x moves by moving the mean and the variance: -weight * rate * (level + normal * slope), as a line in x.
        factor_c = -weight_c * rate_c.square() * slope_c
        offset_c = -weight_c * rate_c * level_c - factor_c * mean_c
        if x.dim() == 3:
            factor_c, offset_c = factor_c.unsqueeze(-1), offset_c.unsqueeze(-1)
        return (to_x + torch.addcmul(offset_c, x, factor_c)).to(x.dtype), to_weight_c, to_bias_c, None
