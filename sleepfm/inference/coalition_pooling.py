"""Pooling the modalities of every token for all coalitions at once, sharing what coalitions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from sleepfm.inference.device import Precision, available_cores, one_thread_each
from sleepfm.models.pooling import AttentionPooling

if TYPE_CHECKING:
    from collections.abc import Iterator

Given = TypeVar("Given")
Made = TypeVar("Made")

_TOKENS_AT_A_TIME = 128
"""Small enough that what lies between two matrix products stays in a core's cache."""


class CoalitionPooling:
    """`pool_modalities` for several coalitions of the modalities of one night.

    A modality's query, key and value are the same in every coalition, so they are computed once; scores between two modalities
    as well. What remains for each coalition is its softmax and the feed-forward part, on the coalition's own members.

    Parameters
    ----------
    pooling
        Of a head, "per_sample": a coalition of one member skips the transformer layer.
    coalitions
        The places of the modalities in each, rising, none empty.
    precision
        Of the feed-forward part of coalitions that lack a modality; the whole one, which is the head's score, is always float32.
    """

    def __init__(self, pooling: AttentionPooling, coalitions: Sequence[Sequence[int]], precision: Precision = "fp32") -> None:
        layer = pooling.transformer_layer
        if pooling.pooling != "per_sample" or layer.norm_first:
            raise ValueError("coalitions are pooled per sample, by a layer that normalises last")
        self._layer = layer
        self._coalitions = [list(one) for one in coalitions]
        most = max(len(one) for one in coalitions)
        half = torch.bfloat16 if precision == "bf16" else torch.float32
        self._dtype_c = [torch.float32 if len(one) == most else half for one in self._coalitions]
        first, second = layer.linear1, layer.linear2
        self._feed = {
            dtype: tuple(p.detach().to(dtype) for p in (first.weight, first.bias, second.weight, second.bias))
            for dtype in set(self._dtype_c)
        }

    def __call__(self, z_mse: Tensor, pooled_cse: Tensor) -> None:
        """Pool (modality, token, E) into (coalition, token, E)."""
        attention, norm1, norm2 = self._layer.self_attn, self._layer.norm1, self._layer.norm2
        tokens = z_mse.shape[1]
        qkv_mshd = F.linear(z_mse, attention.in_proj_weight, attention.in_proj_bias).unflatten(-1, (3 * attention.num_heads, -1))
        q_mshd, k_mshd, v_mshd = qkv_mshd.split(attention.num_heads, dim=2)
        q_mshd *= q_mshd.shape[-1] ** -0.5
        score_mmsh = torch.stack([(q_shd * k_mshd).sum(dim=-1) for q_shd in q_mshd])
        mixed_mshd = torch.empty(q_mshd.shape)
        hidden = {dtype: torch.empty(len(z_mse) * tokens, len(w1), dtype=dtype) for dtype, (w1, *_) in self._feed.items()}
        for c, who in enumerate(self._coalitions):
            if len(who) == 1:
                pooled_cse[c] = z_mse[who[0]]
                continue
            for member, i in enumerate(who):
                weight_msh1 = torch.softmax(score_mmsh[i, who], dim=0).unsqueeze(-1)
                mixed_shd = torch.mul(weight_msh1[0], v_mshd[who[0]], out=mixed_mshd[member])
                for weight_sh1, j in zip(weight_msh1[1:], who[1:], strict=True):
                    mixed_shd.addcmul_(weight_sh1, v_mshd[j])
            x_mse = attention.out_proj(mixed_mshd[: len(who)].flatten(2))
            for member, i in enumerate(who):
                x_mse[member] += z_mse[i]
            x_mse = norm1(x_mse)
            made_mse = self._feed_forward(x_mse, hidden[self._dtype_c[c]])
            torch.mean(norm2(made_mse.add_(x_mse)), dim=0, out=pooled_cse[c])

    def _feed_forward(self, x_mse: Tensor, hidden_nf: Tensor) -> Tensor:
        w1, b1, w2, b2 = self._feed[hidden_nf.dtype]
        x_ne = x_mse.flatten(0, 1).to(hidden_nf.dtype)
        some_nf = torch.addmm(b1, x_ne, w1.t(), out=hidden_nf[: len(x_ne)]).relu_()
        return torch.addmm(b2, some_nf, w2.t()).to(x_mse.dtype).view_as(x_mse)

    def night(self, z_mse: Tensor, side_by_side: Callable[..., list[None]]) -> Tensor:
        """Return (coalition, token, E) of a whole night, worked off in pieces."""
        pooled_cse = torch.empty(len(self._coalitions), *z_mse.shape[1:])
        pieces = zip(z_mse.split(_TOKENS_AT_A_TIME, dim=1), pooled_cse.split(_TOKENS_AT_A_TIME, dim=1), strict=True)
        side_by_side(lambda piece: self(*piece), list(pieces))
        return pooled_cse


@contextmanager
def workers() -> Iterator[Callable[[Callable[[Given], Made], Sequence[Given]], list[Made]]]:
    """Give a function that applies another to a list, on all cores that this process may use, each with one thread of torch's."""
    count = available_cores()

    def in_inference(function: Callable[[Given], Made], one: Given) -> Made:
        with torch.inference_mode():
            return function(one)

    with one_thread_each(), ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield lambda function, given: list(pool.map(lambda one: in_inference(function, one), given))
        finally:
            pool.shutdown(cancel_futures=True)
