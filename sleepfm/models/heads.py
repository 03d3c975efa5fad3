"""The heads on top of the encoder: sleep stages per 5 s, and log hazards of conditions per night."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from sleepfm.models.encoder import temporal_transformer
from sleepfm.models.pooling import AttentionPooling, Pooling, PositionalEncoding

_SETS_AT_A_TIME = 512


def pool_modalities(spatial: AttentionPooling, z_bmse: Tensor, padding_mask_bms: Tensor) -> Tensor:
    """Pool the modalities of every token into one vector, (batch, modality, token, E) to (batch, token, E)."""
    batch, modalities, tokens, embed_dim = z_bmse.shape
    z_nme = z_bmse.transpose(1, 2).reshape(batch * tokens, modalities, embed_dim)
    mask_nm = padding_mask_bms.transpose(1, 2).reshape(batch * tokens, modalities)
    if torch.is_grad_enabled():
        z_ne = spatial(z_nme, mask_nm)
    else:
        # A whole night at once would fill half a gigabyte between two matrix products.
        parts = zip(z_nme.split(_SETS_AT_A_TIME), mask_nm.split(_SETS_AT_A_TIME), strict=True)
        z_ne = torch.cat([spatial(some_nme, some_nm) for some_nme, some_nm in parts])
    return z_ne.reshape(batch, tokens, embed_dim)


def run_lstm(lstm: nn.LSTM, z_bse: Tensor, length_b: Tensor) -> Tensor:
    """Run a bidirectional LSTM over each sequence's own length, so that the backward pass never starts in padding."""
    length_b = length_b.clamp(min=1).cpu()
    if bool((length_b == z_bse.shape[1]).all()):
        whole_bse: Tensor = lstm(z_bse)[0]
        return whole_bse
    packed = pack_padded_sequence(z_bse, length_b, batch_first=True, enforce_sorted=False)
    out_bse, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=z_bse.shape[1])
    return out_bse


def token_lengths(padding_mask_bms: Tensor) -> tuple[Tensor, Tensor]:
    """Return which tokens are padding (no modality holds them), (batch, token), and how many are not, (batch,).

    Raises
    ------
    ValueError
        When padding stands before a token that is there: padding fills up the end only.
    """
    padded_bs = padding_mask_bms.all(dim=1)
    if bool((padded_bs[:, :-1] & ~padded_bs[:, 1:]).any()):
        raise ValueError("a padded token stands before a token that is there; padding belongs at the end")
    return padded_bs, (~padded_bs).sum(dim=1)


class StagingHead(nn.Module):
    """Sleep stages per token (published as SleepEventLSTMClassifier).

    Modalities are pooled token by token, then a transformer and a bidirectional LSTM run over the night.

    Parameters
    ----------
    embed_dim, num_heads, num_layers, num_classes, pooling_head, dropout, max_seq_length
        As in the published configuration (128, 4, 1, 5, 4, 0.3, 8196).
    pooling
        `per_sample`: a modality that is masked at a token takes no part there, padding changes nothing.
        `published_batch`: as published, with the first token's mask for the whole night, the first modality's padding for
        all, and an LSTM that runs through the padding.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 1,
        num_classes: int = 5,
        pooling_head: int = 4,
        dropout: float = 0.3,
        max_seq_length: int = 8196,
        pooling: Pooling = "per_sample",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, dropout, pooling)
        self.positional_encoding = PositionalEncoding(max_seq_length, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.transformer_encoder = temporal_transformer(embed_dim, num_heads, num_layers, dropout)
        self.lstm = nn.LSTM(embed_dim, embed_dim // 2, num_layers=num_layers, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(embed_dim, num_classes)

    def forward(self, z_bmse: Tensor, padding_mask_bms: Tensor) -> Tensor:
        """Classify.

        Parameters
        ----------
        z_bmse
            (batch, modality, token, E) embeddings of the 5-s tokens, modalities in the order BAS, RESP, EKG, EMG.
        padding_mask_bms
            (batch, modality, token) bool, True where there is nothing (a modality that is absent, or the end of a shorter
            night).

        Returns
        -------
        Tensor
            logits_bsk, (batch, token, class); what stands at padded tokens means nothing.
        """
        padding_mask_bms = padding_mask_bms.bool()
        if self.pooling == "published_batch":
            members_bms = padding_mask_bms[:, :, :1].expand_as(padding_mask_bms)
            padded_bs = padding_mask_bms[:, 0]
            length_b = torch.full((len(z_bmse),), z_bmse.shape[2])
        else:
            members_bms = padding_mask_bms
            padded_bs, length_b = token_lengths(padding_mask_bms)
            # A night without any token still needs a key to attend to, else its softmax is NaN.
            padded_bs = padded_bs & (length_b > 0).unsqueeze(1)
        z_bse = pool_modalities(self.spatial_pooling, z_bmse, members_bms)
        z_bse = self.layer_norm(self.positional_encoding(z_bse))
        # Attention over a whole night is twice as fast without a mask.
        z_bse = self.transformer_encoder(z_bse, src_key_padding_mask=padded_bs if bool(padded_bs.any()) else None)
        logits_bsk: Tensor = self.fc(run_lstm(self.lstm, z_bse, length_b))
        return logits_bsk


class DiseaseHead(nn.Module):
    """Log hazards per night (published as DiagnosisFinetuneFullLSTMCOXPHWithDemo).

    Modalities are pooled token by token, a bidirectional LSTM runs over the night, its mean over the tokens that are there
    joins what age and sex say. The published checkpoint also carries a positional encoding and a layer norm; its forward
    pass uses neither (numbers agree with the published vectors only without them), so they are kept as weights alone.

    Parameters
    ----------
    embed_dim, num_heads, num_layers, num_classes, pooling_head, dropout, max_seq_length
        As in the published configuration (128, 8, 2, 1065, 8, 0.3, 6480). `num_heads` is unused, as published.
    demographics
        1: takes age and sex, as published; 0: does not.
    pooling
        See `StagingHead`; for nights without missing modalities both say the same.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 128,
        num_heads: int = 8,  # noqa: ARG002 - stands in every published configuration of this head
        num_layers: int = 2,
        num_classes: int = 1065,
        pooling_head: int = 8,
        dropout: float = 0.3,
        max_seq_length: int = 6480,
        demographics: int = 1,
        pooling: Pooling = "per_sample",
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, dropout, pooling)
        self.positional_encoding = PositionalEncoding(max_seq_length, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.lstm = nn.LSTM(
            embed_dim,
            embed_dim // 2,
            num_layers=num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        width = embed_dim // 4 if demographics else 0
        self.demo_embedding = nn.Sequential(nn.Linear(2, width), nn.ReLU()) if demographics else None
        self.disease_heads = nn.Linear(embed_dim + width, num_classes)

    def forward(self, z_bmse: Tensor, padding_mask_bms: Tensor, demographics_b2: Tensor | None = None) -> Tensor:
        """Return log hazards.

        Parameters
        ----------
        z_bmse, padding_mask_bms
            As for `StagingHead.forward`.
        demographics_b2
            (batch, 2): age and sex, coded as the model's card says; not looked at when the head takes none.

        Returns
        -------
        Tensor
            log_hazard_bk, (batch, condition), relative: without a baseline hazard they rank, they are no probabilities.

        Raises
        ------
        ValueError
            When the head takes age and sex and there are none.
        """
        padding_mask_bms = padding_mask_bms.bool()
        members_bms = padding_mask_bms
        if self.pooling == "published_batch":
            members_bms = padding_mask_bms[:, :, :1].expand_as(padding_mask_bms)
            padding_mask_bms = padding_mask_bms[:, :1]
        padded_bs, length_b = token_lengths(padding_mask_bms)
        z_bse = pool_modalities(self.spatial_pooling, z_bmse, members_bms)
        z_bse = run_lstm(self.lstm, z_bse, length_b).masked_fill(padded_bs.unsqueeze(-1), 0.0)
        night_be = z_bse.sum(dim=1) / length_b.clamp(min=1).unsqueeze(-1)
        if self.demo_embedding is not None:
            if demographics_b2 is None:
                raise ValueError("this head takes age and sex")
            night_be = torch.cat([night_be, self.demo_embedding(demographics_b2)], dim=1)
        log_hazard_bk: Tensor = self.disease_heads(night_be)
        return log_hazard_bk
