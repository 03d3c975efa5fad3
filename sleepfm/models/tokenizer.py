"""The tokenizer: one 5-s patch of one channel becomes one vector, the same weights for every channel of every modality."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from sleepfm.vocabulary import TOKEN_SAMPLES

WIDTHS: tuple[int, ...] = (1, 4, 8, 16, 32, 64, 128)
"""Feature maps before the first and after each of the six convolutions."""
KERNEL = 5
STRIDE = 2
PADDING = 2


def lengths(patch_size: int) -> list[int]:
    """Return the patch's length in samples before the first and after each convolution.

    Examples
    --------
    >>> lengths(640)
    [640, 320, 160, 80, 40, 20, 10]
    """
    sizes = [patch_size]
    for _ in WIDTHS[1:]:
        sizes.append((sizes[-1] + 2 * PADDING - KERNEL) // STRIDE + 1)
    return sizes


class Tokenizer(nn.Module):
    """Six strided convolutions, each followed by batch norm, ELU and layer norm, then the mean over time and a linear map.

    Parameters
    ----------
    embed_dim
        Length E of a token's vector.
    patch_size
        Samples in a patch (640: 5 s at 128 Hz).

    Notes
    -----
    The names of the parameters are those of the published checkpoints (Thapa et al., Nature Medicine 2026).
    """

    def __init__(self, embed_dim: int, patch_size: int = TOKEN_SAMPLES) -> None:
        super().__init__()
        self.patch_size = patch_size
        sizes = lengths(patch_size)
        layers: list[nn.Module] = []
        for step, (narrow, wide) in enumerate(pairwise(WIDTHS)):
            layers += [
                nn.Conv1d(narrow, wide, KERNEL, stride=STRIDE, padding=PADDING),
                nn.BatchNorm1d(wide),
                nn.ELU(),
                nn.LayerNorm([wide, sizes[step + 1]]),
            ]
        layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], embed_dim)]
        self.tokenizer = nn.Sequential(*layers)

    def forward(self, x_bct: Tensor) -> Tensor:
        """Cut each channel into patches and embed them.

        Parameters
        ----------
        x_bct
            (batch, channel, time) standardised signal; time is a whole number of patches.

        Returns
        -------
        Tensor
            z_bcse, (batch, channel, token, E).
        """
        batch, channels, time = x_bct.shape
        if time % self.patch_size:
            raise ValueError(f"{time} samples are not a whole number of patches of {self.patch_size}")
        tokens = time // self.patch_size
        rows_n1p = x_bct.reshape(batch * channels * tokens, 1, self.patch_size)
        z_ne: Tensor = self.tokenizer(rows_n1p)
        return torch.unflatten(z_ne, 0, (batch, channels, tokens))
