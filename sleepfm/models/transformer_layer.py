"""The transformer layer of all networks, whose training pass on a CPU takes two thirds of the time of torch's own.

torch draws dropout there one number at a time (12 ns each, an eighth of a training step); here four decisions come out of one
draw of 64 bits, and the wide feed-forward part keeps its hidden values once instead of four times.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16
"""Dropout decides by 16 random bits: a rate is rounded to a multiple of 1 / 65,536, and the scale follows the rounded rate."""


class TransformerLayer(nn.TransformerEncoderLayer):
    """`nn.TransformerEncoderLayer` with ReLU, its feed-forward width 2048 and the batch first.

    Parameters, results and evaluation are torch's own; dropout draws other numbers from the same generator.

    Parameters
    ----------
    embed_dim, num_heads, dropout
        Of the layer.
    norm_first
        Whether layer norm comes before attention and feed-forward, or after.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float, *, norm_first: bool = False) -> None:
        super().__init__(embed_dim, num_heads, dropout=dropout, batch_first=True, norm_first=norm_first)

    def _sa_block(
        self,
        x: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,  # noqa: FBT001, FBT002 - torch's signature
    ) -> Tensor:
        rate = self.self_attn.dropout
        if not self._trains_on_cpu(x) or rate == 0 or attn_mask is not None or key_padding_mask is not None:
            return super()._sa_block(x, attn_mask, key_padding_mask, is_causal)
        attention = self.self_attn
        qkv_bs3hd = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).unflatten(-1, (3, attention.num_heads, -1))
        q, k, v = qkv_bs3hd.permute(2, 0, 3, 1, 4)
        weight_bhss = torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), dim=-1)
        mixed_bhsd = drop(weight_bhss, rate).to(v.dtype) @ v
        out: Tensor = attention.out_proj(mixed_bhsd.transpose(1, 2).flatten(2))
        return drop(out, self.dropout1.p)

    def _ff_block(self, x: Tensor) -> Tensor:
        if not self._trains_on_cpu(x):
            return super()._ff_block(x)
        one, two = self.linear1, self.linear2
        out: Tensor = _FeedForward.apply(x, one.weight, one.bias, two.weight, two.bias, self.dropout.p)
        return drop(out, self.dropout2.p)

    def _trains_on_cpu(self, x: Tensor) -> bool:
        return self.training and x.device.type == "cpu"


def drop(x: Tensor, rate: float) -> Tensor:
    """Return x, on a CPU, with each number zeroed at a rate and the others scaled such that the expectation stays.

    Parameters
    ----------
    rate
        0 to 1 (exclusive), in steps of 1 / 65,536.
    """
    if rate == 0:
        return x
    kept, share = _kept(x.shape, rate, x.dtype)
    return x * kept.div_(share)


def _kept(shape: torch.Size, rate: float, dtype: torch.dtype) -> tuple[Tensor, float]:
    """Return a tensor of ones and, at a rate, zeros, from torch's generator; and the share of ones that is expected."""
    dropped = min(round(rate * _LEVELS), _LEVELS - 1)
    numbers = shape.numel()
    bits = torch.empty(-(-numbers // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:numbers]
    kept = torch.ge(bits, dropped - _LEVELS // 2, out=torch.empty(numbers, dtype=dtype))
    return kept.view(shape), 1.0 - dropped / _LEVELS


class _FeedForward(torch.autograd.Function):
    """linear2(dropout(relu(linear1(x)))); hidden values above zero tell what ReLU and dropout left, so no mask is kept."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes no keywords
        ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, rate: float
    ) -> Tensor:
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        x_ne = x.reshape(-1, x.shape[-1]).to(dtype)
        w1, b1, w2, b2 = (p.to(dtype) for p in (w1, b1, w2, b2))
        hidden_nf = torch.addmm(b1, x_ne, w1.t()).relu_()
        share = 1.0
        if rate:
            kept_nf, share = _kept(hidden_nf.shape, rate, dtype)
            hidden_nf.mul_(kept_nf)
        ctx.save_for_backward(x_ne, w1, w2, hidden_nf)
        ctx.share, ctx.shape, ctx.dtype = share, x.shape, x.dtype
        return torch.addmm(b2, hidden_nf, w2.t(), alpha=1 / share).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x_ne, w1, w2, hidden_nf = ctx.saved_tensors
        g_ne = gradient.reshape(len(x_ne), -1)
        scaled_ne = g_ne / ctx.share
        to_hidden_nf = torch.ops.aten.threshold_backward(scaled_ne @ w2, hidden_nf, 0)
        to_x = (to_hidden_nf @ w1).view(ctx.shape).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        gradients = (to_hidden_nf.t() @ x_ne, to_hidden_nf.sum(0), scaled_ne.t() @ hidden_nf, g_ne.sum(0))
        return (to_x, *(g.float() if g.dtype == torch.bfloat16 else g for g in gradients), None)
