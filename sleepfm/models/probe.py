"""The logistic probe: a linear layer on frozen embeddings, as the 2024 paper evaluates them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sleepfm.vocabulary import Modality

_MODALITIES = len(Modality)


class LogisticProbe(nn.Module):
    """A linear layer on the standardised, concatenated embeddings of all modalities of a token, an epoch or a window.

    Parameters
    ----------
    embed_dim
        Length E of one modality's embedding.
    num_classes
        Outputs; 1 for a yes-or-no question, whose logit it then gives.
    dropout
        Of the features, where it is trained by gradient (as the head of an end-to-end network).
    """

    mean_f: Tensor
    scale_f: Tensor

    def __init__(self, *, embed_dim: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        features = _MODALITIES * embed_dim
        self.register_buffer("mean_f", torch.zeros(features))
        self.register_buffer("scale_f", torch.ones(features))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(features, num_classes)

    @classmethod
    def fitted(
        cls, mean_f: np.ndarray, scale_f: np.ndarray, coefficient_kf: np.ndarray, intercept_k: np.ndarray
    ) -> LogisticProbe:
        """Return the probe of coefficients that were fitted elsewhere.

        Parameters
        ----------
        mean_f, scale_f
            (feature,) mean and standard deviation of each feature before the fit; features are the modalities' embeddings one
            after the other, in the order of `sleepfm.vocabulary.Modality`. A scale of 0 (it never varied) counts as 1.
        coefficient_kf, intercept_k
            (class, feature) and (class,), as scikit-learn's `coef_` and `intercept_`.

        Raises
        ------
        ValueError
            When the shapes do not go together.
        """
        classes, features = coefficient_kf.shape
        if (
            features % _MODALITIES
            or mean_f.shape != (features,)
            or scale_f.shape != (features,)
            or intercept_k.shape != (classes,)
        ):
            raise ValueError(
                f"coefficients {coefficient_kf.shape}, intercepts {intercept_k.shape}, means {mean_f.shape} and scales"
                f" {scale_f.shape} are not those of {_MODALITIES} modalities"
            )
        probe = cls(embed_dim=features // _MODALITIES, num_classes=classes)
        with torch.no_grad():
            probe.mean_f.copy_(torch.as_tensor(mean_f))
            probe.scale_f.copy_(torch.as_tensor(np.where(scale_f == 0, 1.0, scale_f)))
            probe.linear.weight.copy_(torch.as_tensor(coefficient_kf))
            probe.linear.bias.copy_(torch.as_tensor(intercept_k))
        return probe.eval()

    def forward(self, z_bmse: Tensor, padding_mask_bms: Tensor) -> Tensor:
        """Return logits_bsk, (batch, token, class).

        Parameters
        ----------
        z_bmse
            (batch, modality, token, E) with all modalities in their order; an epoch's or a window's vector stands as one token.
        padding_mask_bms
            (batch, modality, token) bool, True where there is nothing: it counts as average there.

        Raises
        ------
        ValueError
            When not all modalities have their place.
        """
        if z_bmse.shape[1] != _MODALITIES:
            raise ValueError(f"the probe takes all {_MODALITIES} modalities, absent ones masked, not {z_bmse.shape[1]}")
        mean_m1e, scale_m1e = (of_f.view(_MODALITIES, 1, -1) for of_f in (self.mean_f, self.scale_f))
        normal_bmse = ((z_bmse - mean_m1e) / scale_m1e).masked_fill(padding_mask_bms.bool().unsqueeze(-1), 0.0)
        logits_bsk: Tensor = self.linear(self.dropout(normal_bmse.transpose(1, 2).flatten(2)))
        return logits_bsk
