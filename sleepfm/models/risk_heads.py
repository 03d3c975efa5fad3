"""Hazards from little: age and sex alone, and a night's mean embedding. Both stand in for `sleepfm.models.heads.DiseaseHead`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sleepfm.vocabulary import Modality

_MODALITIES = len(Modality)


class DemographicsHead(nn.Module):
    """Log hazards from age and sex (and more numbers, such as BMI): what a night's risk must be compared with.

    Parameters
    ----------
    num_classes
        Conditions.
    num_demographics
        Numbers that describe a person: 2 for age and sex, 3 with BMI.
    hidden
        Width of the two hidden layers.
    dropout
        After each of them.
    """

    def __init__(self, *, num_classes: int, num_demographics: int = 2, hidden: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(num_demographics, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, z_bmse: Tensor | None, padding_mask_bms: Tensor | None, demographics_bd: Tensor) -> Tensor:  # noqa: ARG002
        """Return log hazards, (batch, condition), of (batch, number) demographics; the embeddings are not looked at."""
        log_hazard_bk: Tensor = self.network(demographics_bd)
        return log_hazard_bk


def night_means(z_bmse: Tensor, padding_mask_bms: Tensor) -> tuple[Tensor, Tensor]:
    """Return each modality's mean over the tokens that are there, and whether there are any.

    Returns
    -------
    night_bme, present_bm
        (batch, modality, E), zeros for a modality without tokens, and (batch, modality) bool. A mean can be given in place of
        its night, as a night of one token: it is its own mean.
    """
    there_bms = (~padding_mask_bms.bool()).to(z_bmse.dtype)
    count_bm1 = there_bms.sum(dim=2, keepdim=True)
    # One matrix product reads the night once, where masking would copy it.
    night_bme = torch.matmul((there_bms / count_bm1.clamp(min=1)).unsqueeze(2), z_bmse).squeeze(2)
    return night_bme, count_bm1.squeeze(2) > 0


class NightMLP(nn.Module):
    """Log hazards from the night's mean embedding by two layers: a fast stand-in, made to be distilled from the disease head.

    Its input are the mean token of each modality (zeros where it is absent), which modalities are there, and age and sex.

    Parameters
    ----------
    embed_dim, num_classes
        Of the embeddings, and conditions.
    hidden
        Width of the hidden layer.
    demographics
        1: takes age and sex; 0: does not.
    dropout
        After the hidden layer.
    """

    def __init__(
        self, *, embed_dim: int, num_classes: int, hidden: int = 256, demographics: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.demographics = bool(demographics)
        self.layer_norm = nn.LayerNorm(embed_dim)
        width = _MODALITIES * (embed_dim + 1) + (2 if self.demographics else 0)
        self.network = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))

    def forward(self, z_bmse: Tensor, padding_mask_bms: Tensor, demographics_b2: Tensor | None = None) -> Tensor:
        """Return log hazards.

        Parameters
        ----------
        z_bmse
            (batch, modality, token, E) with all modalities in the order of `sleepfm.vocabulary.Modality`, since each has its own
            weights; or their `night_means`, as one token.
        padding_mask_bms
            (batch, modality, token) bool, True where there is nothing.
        demographics_b2
            (batch, 2): age and sex, coded as the model's card says; not looked at when the head takes none.

        Returns
        -------
        Tensor
            log_hazard_bk, (batch, condition).

        Raises
        ------
        ValueError
            When not all modalities have their place, or age and sex are missing.
        """
        if z_bmse.shape[1] != _MODALITIES:
            raise ValueError(f"the night MLP takes all {_MODALITIES} modalities, absent ones masked, not {z_bmse.shape[1]}")
        night_bme, present_bm = night_means(z_bmse, padding_mask_bms)
        normal_bme = self.layer_norm(night_bme).masked_fill(~present_bm.unsqueeze(-1), 0.0)
        parts = [normal_bme.flatten(1), present_bm.to(normal_bme.dtype)]
        if self.demographics:
            if demographics_b2 is None:
                raise ValueError("this head takes age and sex")
            parts.append(demographics_b2)
        log_hazard_bk: Tensor = self.network(torch.cat(parts, dim=1))
        return log_hazard_bk
