"""The breathing head: which 30-s epochs hold disordered breathing, and how bad the night is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from sleepfm.models.encoder import temporal_transformer
from sleepfm.models.heads import pool_modalities, run_lstm, token_lengths
from sleepfm.models.pooling import AttentionPooling, Pooling, PositionalEncoding
from sleepfm.vocabulary import TOKENS_PER_EPOCH

PRESENT_FROM = 2
"""The first severity class with an AHI of at least 15 (the classes are < 5, 5 to 15, 15 to 30, and 30 or more events an hour)."""


class Breathing(NamedTuple):
    """What the head says of a night.

    Attributes
    ----------
    sdb_bn
        (batch, epoch) logit of sleep-disordered breathing in the epoch; what stands at padded epochs means nothing.
    severity_bk
        (batch, class) logits of the AHI's severity.
    presence_b
        (batch,) log odds of an AHI of at least 15: what `severity_bk` says of it, so that the two never contradict each other.
    """

    sdb_bn: Tensor
    severity_bk: Tensor
    presence_b: Tensor


class BreathingHead(nn.Module):
    """Sleep-disordered breathing per 30-s epoch and per night.

    The six tokens of an epoch become one vector for each modality, modalities are pooled, then a transformer and a bidirectional
    LSTM run over the night's epochs: a sixth of the staging head's sequence. The night's severity is read from the mean of
    the LSTM's output and the share of epochs that seem to hold events.

    Parameters
    ----------
    embed_dim, num_heads, num_layers, pooling_head, dropout, max_seq_length
        As for `sleepfm.models.heads.StagingHead`; `max_seq_length` counts tokens.
    num_classes
        Classes of severity, in rising order; more than `PRESENT_FROM`.
    pooling
        Only `per_sample`: nothing was published that depends on the batch.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 1,
        num_classes: int = 4,
        pooling_head: int = 4,
        dropout: float = 0.3,
        max_seq_length: int = 8196,
        pooling: Pooling = "per_sample",
    ) -> None:
        super().__init__()
        if num_classes <= PRESENT_FROM:
            raise ValueError(f"severity has more than {PRESENT_FROM} classes, not {num_classes}")
        if pooling != "per_sample":
            raise ValueError("the breathing head pools per sample only")
        self.epoch_embedding = nn.Sequential(nn.Linear(TOKENS_PER_EPOCH * embed_dim, embed_dim), nn.GELU())
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, dropout)
        self.positional_encoding = PositionalEncoding(math.ceil(max_seq_length / TOKENS_PER_EPOCH), embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.transformer_encoder = temporal_transformer(embed_dim, num_heads, num_layers, dropout)
        self.lstm = nn.LSTM(embed_dim, embed_dim // 2, num_layers=num_layers, batch_first=True, bidirectional=True)
        self.sdb = nn.Linear(embed_dim, 1)
        self.severity = nn.Linear(embed_dim + 1, num_classes)

    def forward(self, z_bmse: Tensor, padding_mask_bms: Tensor) -> Breathing:
        """Judge nights.

        Parameters
        ----------
        z_bmse
            (batch, modality, token, E) embeddings of the 5-s tokens.
        padding_mask_bms
            (batch, modality, token) bool, True where there is nothing.

        Returns
        -------
        Breathing
            With one logit for each begun epoch: the last one may have fewer than six tokens.

        Raises
        ------
        ValueError
            When padding stands before a token that is there, or the night is longer than `max_seq_length`.
        """
        token_lengths(padding_mask_bms)  # padding must stand at the end
        short = -z_bmse.shape[2] % TOKENS_PER_EPOCH
        there_bms = F.pad(~padding_mask_bms.bool(), (0, short))
        z_bmse = F.pad(z_bmse.masked_fill(padding_mask_bms.bool().unsqueeze(-1), 0.0), (0, 0, 0, short))
        z_bmne = self.epoch_embedding(z_bmse.unflatten(2, (-1, TOKENS_PER_EPOCH)).flatten(3))
        absent_bmn = ~there_bms.unflatten(2, (-1, TOKENS_PER_EPOCH)).any(dim=3)
        padded_bn, length_b = token_lengths(absent_bmn)
        z_bne = self.layer_norm(self.positional_encoding(pool_modalities(self.spatial_pooling, z_bmne, absent_bmn)))
        # A night without any epoch still needs a key to attend to, else its softmax is NaN.
        hidden_bn = padded_bn & (length_b > 0).unsqueeze(1)
        z_bne = self.transformer_encoder(z_bne, src_key_padding_mask=hidden_bn if bool(hidden_bn.any()) else None)
        z_bne = run_lstm(self.lstm, z_bne, length_b)
        sdb_bn = self.sdb(z_bne).squeeze(-1)
        seen_bn1 = torch.cat([z_bne, torch.sigmoid(sdb_bn).unsqueeze(-1)], dim=2).masked_fill(padded_bn.unsqueeze(-1), 0.0)
        severity_bk = self.severity(seen_bn1.sum(dim=1) / length_b.clamp(min=1).unsqueeze(-1))
        presence_b = severity_bk[:, PRESENT_FROM:].logsumexp(dim=1) - severity_bk[:, :PRESENT_FROM].logsumexp(dim=1)
        return Breathing(sdb_bn, severity_bk, presence_b)
