"""The channel-agnostic encoder: any set of channels of one modality in, one vector per 5 s and one per window out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sleepfm.models.pooling import AttentionPooling, Pooling, PositionalEncoding
from sleepfm.models.sets import check_sets, sets_by_size, spread_sets
from sleepfm.models.tokenizer import Tokenizer
from sleepfm.models.transformer_layer import TransformerLayer
from sleepfm.vocabulary import TOKEN_SAMPLES

MAX_TOKENS = 128
"""Longest sequence of tokens that the published encoder holds positions for (a window has 60)."""


def temporal_transformer(embed_dim: int, num_heads: int, num_layers: int, dropout: float) -> nn.TransformerEncoder:
    """Return the pre-norm transformer over tokens that encoder and staging head share in form."""
    layer = TransformerLayer(embed_dim, num_heads, dropout, norm_first=True)
    return nn.TransformerEncoder(layer, num_layers=num_layers, enable_nested_tensor=False)


class Encoder(nn.Module):
    """SleepFM's encoder, one for all modalities (published as SetTransformer).

    Tokens of each channel are pooled over the channels, get their position, pass a transformer over time, and are pooled
    into one vector of the window.

    Parameters
    ----------
    embed_dim, num_heads, num_layers, dropout
        Of the transformer over time (published: 128, 8, 6, 0.3).
    pooling_head
        Attention heads of the two poolings (published: 8).
    patch_size
        Samples in a token.
    pooling
        See `sleepfm.models.pooling.Pooling`.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 128,
        num_heads: int = 8,
        num_layers: int = 6,
        pooling_head: int = 8,
        dropout: float = 0.3,
        patch_size: int = TOKEN_SAMPLES,
        pooling: Pooling = "per_sample",
    ) -> None:
        super().__init__()
        self.patch_embedding = Tokenizer(embed_dim, patch_size)
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, dropout, pooling)
        self.positional_encoding = PositionalEncoding(MAX_TOKENS, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.transformer_encoder = temporal_transformer(embed_dim, num_heads, num_layers, dropout)
        self.temporal_pooling = AttentionPooling(embed_dim, pooling_head, dropout, pooling)

    def forward(self, x_bct: Tensor, padding_mask_bc: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embed windows of one modality.

        Parameters
        ----------
        x_bct
            (batch, channel, time) standardised signal at 128 Hz; time is a whole number of tokens, at most `MAX_TOKENS`.
        padding_mask_bc
            (batch, channel) bool, True for a channel that only fills up the batch; None when there is none.

        Returns
        -------
        window_be, tokens_bse
            (batch, E) for the window and (batch, token, E) for its 5-s tokens. A sample without any channel says nothing:
            its rows are finite but mean nothing, and a caller leaves such a modality out.
        """
        batch, channels, _ = x_bct.shape
        z_bcse = self.patch_embedding(x_bct)
        tokens = z_bcse.shape[2]
        z_nce = z_bcse.transpose(1, 2).reshape(batch * tokens, channels, -1)
        if padding_mask_bc is None:
            padding_mask_bc = torch.zeros((batch, channels), dtype=torch.bool, device=x_bct.device)
        mask_nc = padding_mask_bc.bool().repeat_interleave(tokens, dim=0)
        return self._over_time(self.spatial_pooling(z_nce, mask_nc).reshape(batch, tokens, -1))

    def embed_sets(self, x_rt: Tensor, counts_mn: Tensor) -> tuple[Tensor, Tensor]:
        """Embed windows of all modalities at once, without any padding.

        Each set gets what `forward` gives it alone (up to rounding); batch norm sees real channels only.

        Parameters
        ----------
        x_rt
            (row, time) standardised signal, one row a channel, set after set, modality-major (see `sleepfm.models.sets`).
        counts_mn
            (modality, window) int64 on the CPU: rows of each set, 0 where the window lacks the modality.

        Returns
        -------
        window_mne, tokens_mnse
            (modality, window, E) and (modality, window, token, E) in the weights' precision, zeros where a modality is lacking.

        Raises
        ------
        ValueError
            When the counts do not add up to the rows, when there is no row, or when the encoder pools by batch
            (`published_batch`), which depends on padding.
        """
        check_sets(x_rt, counts_mn)
        if self.spatial_pooling.pooling != "per_sample":
            raise ValueError("sets have no padding, on which the pooling published_batch depends: use per_sample")
        z_rse = self.patch_embedding(x_rt.unsqueeze(1)).squeeze(1)
        groups = [(sets_n, rows_nc.to(x_rt.device)) for sets_n, rows_nc in sets_by_size(counts_mn)]
        z_nse = torch.cat([self._over_channels(z_rse[rows_nc]) for _, rows_nc in groups])
        window_ne, z_nse = self._over_time(z_nse)
        sets_n = torch.cat([sets_n for sets_n, _ in groups])
        exact = self.layer_norm.weight.dtype
        return spread_sets(window_ne.to(exact), sets_n, counts_mn), spread_sets(z_nse.to(exact), sets_n, counts_mn)

    def _over_channels(self, z_ncse: Tensor) -> Tensor:
        """Pool sets of one size, (set, channel, token, E) to (set, token, E); one channel is its own pool."""
        sets, channels, tokens, _ = z_ncse.shape
        if channels == 1:
            return z_ncse.squeeze(1)
        z_mce = z_ncse.transpose(1, 2).reshape(sets * tokens, channels, -1)
        pooled_me: Tensor = self.spatial_pooling(z_mce)
        return pooled_me.unflatten(0, (sets, tokens))

    def _over_time(self, z_bse: Tensor) -> tuple[Tensor, Tensor]:
        z_bse = self.layer_norm(self.positional_encoding(z_bse))
        z_bse = self.transformer_encoder(z_bse)
        window_be = self.temporal_pooling(z_bse)
        return window_be, z_bse


def parameter_count(network: nn.Module) -> int:
    """Return how many trainable numbers a network has (4.83 million for the published encoder)."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
