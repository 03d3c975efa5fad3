"""Pooling of a set of vectors into one: over channels, over modalities and over the tokens of a window."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sleepfm.models.transformer_layer import TransformerLayer

Pooling = Literal["per_sample", "published_batch"]
"""When a set of one member skips the transformer layer.

`per_sample`: whenever the sample itself has one member, whatever else is in the batch. `published_batch`: as the published
code does, only when the whole batch is one member wide, so that a sample's result depends on its batch mates.
"""


class AttentionPooling(nn.Module):
    """One post-norm transformer layer over the members of a set, then their mean.

    Members are unordered: permuting them changes nothing. A member under the mask takes no part, and a set that has no
    member at all becomes a zero vector (never NaN); whoever reads it must know that nothing was there.

    Parameters
    ----------
    embed_dim, num_heads, dropout
        Of the transformer layer; its feed-forward width is 2048 as published.
    pooling
        See `Pooling`.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.1, pooling: Pooling = "per_sample") -> None:
        super().__init__()
        self.pooling = pooling
        self.transformer_layer = TransformerLayer(embed_dim, num_heads, dropout)

    def forward(self, x_bme: Tensor, padding_mask_bm: Tensor | None = None) -> Tensor:
        """Pool.

        Parameters
        ----------
        x_bme
            (batch, member, E).
        padding_mask_bm
            (batch, member) bool, True where there is no member; None for a sequence that is whole, which always passes the
            transformer layer, however short.

        Returns
        -------
        Tensor
            z_be, (batch, E).
        """
        members = x_bme.shape[1]
        if padding_mask_bm is None:
            return self._attend(x_bme, None).mean(dim=1)
        count_b = (~padding_mask_bm).sum(dim=1)
        if self.pooling == "published_batch":
            attends_b = (count_b > 0) if members > 1 else torch.zeros_like(count_b, dtype=torch.bool)
        else:
            attends_b = count_b > 1
        if attends_b.all():
            x_bme = self._attend(x_bme, padding_mask_bm)
        elif attends_b.any():
            attended = self._attend(x_bme[attends_b], padding_mask_bm[attends_b])
            x_bme = x_bme.to(attended.dtype).index_put((attends_b,), attended)
        kept_bm1 = (~padding_mask_bm).unsqueeze(-1)
        return x_bme.masked_fill(~kept_bm1, 0.0).sum(dim=1) / count_b.clamp(min=1).unsqueeze(-1)

    def _attend(self, x_bme: Tensor, padding_mask_bm: Tensor | None) -> Tensor:
        # Without a mask torch takes its faster attention, so a mask that hides nothing is not passed on.
        hides = padding_mask_bm is not None and bool(padding_mask_bm.any())
        attended: Tensor = self.transformer_layer(x_bme, src_key_padding_mask=padding_mask_bm if hides else None)
        return attended


class PositionalEncoding(nn.Module):
    """Adds sines and cosines of the position (Vaswani et al. 2017) to a sequence.

    Parameters
    ----------
    max_length
        The longest sequence; a longer one is refused.
    embed_dim
        Length E of the vectors; even.
    """

    pe: Tensor

    def __init__(self, max_length: int, embed_dim: int) -> None:
        super().__init__()
        position_s1 = torch.arange(max_length, dtype=torch.float32).unsqueeze(1)
        rate_h = torch.exp(torch.arange(0, embed_dim, 2, dtype=torch.float32) * (-torch.log(torch.tensor(10_000.0)) / embed_dim))
        pe_se = torch.zeros(max_length, embed_dim)
        pe_se[:, 0::2] = torch.sin(position_s1 * rate_h)
        pe_se[:, 1::2] = torch.cos(position_s1 * rate_h)
        self.register_buffer("pe", pe_se.unsqueeze(0))

    def forward(self, x_bse: Tensor) -> Tensor:
        """Return x_bse plus its positions' encoding; ValueError when the sequence is longer than `max_length`."""
        length = x_bse.shape[1]
        if length > self.pe.shape[1]:
            raise ValueError(f"a sequence of {length} tokens is longer than the model's {self.pe.shape[1]}")
        return x_bse + self.pe[:, :length]
