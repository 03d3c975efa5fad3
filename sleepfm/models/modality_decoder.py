"""The decoder of masked self-supervision: what a hidden modality looks like, from the tokens of those that are visible."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sleepfm.models.encoder import MAX_TOKENS, temporal_transformer
from sleepfm.models.pooling import PositionalEncoding
from sleepfm.vocabulary import Modality


class ModalityDecoder(nn.Module):
    """Predicts every modality's tokens (as features of the signal, or as embeddings) from the visible modalities.

    The mean of the visible modalities' tokens, each marked with its modality, passes a transformer over the window; each modality
    has its own linear map from there. Used only in training.

    Parameters
    ----------
    embed_dim
        Length E of the tokens.
    features
        Numbers that describe a token of the target.
    num_heads, num_layers, dropout
        Of the transformer.
    max_tokens
        Longest window.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        features: int,
        num_heads: int = 4,
        num_layers: int = 1,
        dropout: float = 0.1,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        super().__init__()
        self.modality_embedding = nn.Parameter(0.02 * torch.randn(len(Modality), embed_dim))
        self.positional_encoding = PositionalEncoding(max_tokens, embed_dim)
        self.layer_norm = nn.LayerNorm(embed_dim)
        self.transformer_encoder = temporal_transformer(embed_dim, num_heads, num_layers, dropout)
        self.last_norm = nn.LayerNorm(embed_dim)
        self.outputs = nn.ModuleList([nn.Linear(embed_dim, features) for _ in Modality])

    def forward(self, tokens_mnse: Tensor, visible_mn: Tensor) -> Tensor:
        """Predict all modalities, hidden or not.

        Parameters
        ----------
        tokens_mnse
            (modality, window, token, E), as `embed_sets` gives them.
        visible_mn
            (modality, window) bool: which of them may be looked at.

        Returns
        -------
        Tensor
            predicted_mnsd, (modality, window, token, feature). A window in which nothing is visible gets what is predicted
            without knowing anything.

        Raises
        ------
        ValueError
            When the shapes do not go together.
        """
        if tokens_mnse.shape[:2] != visible_mn.shape or len(visible_mn) != len(Modality):
            raise ValueError(f"tokens {tuple(tokens_mnse.shape)} and what is visible {tuple(visible_mn.shape)} do not fit")
        visible_mn11 = visible_mn.to(tokens_mnse.device)[:, :, None, None]
        marked_mnse = tokens_mnse + self.modality_embedding[:, None, None, :]
        count_n11 = visible_mn11.sum(dim=0).clamp(min=1)
        z_nse = marked_mnse.masked_fill(~visible_mn11, 0.0).sum(dim=0) / count_n11
        z_nse = self.layer_norm(self.positional_encoding(z_nse))
        z_nse = self.last_norm(self.transformer_encoder(z_nse))
        return torch.stack([output(z_nse) for output in self.outputs])
