"""The tokenizer: one 5-s patch of one channel becomes one vector, the same weights for every channel of every modality."""

from __future__ import annotations

from itertools import pairwise
from math import gcd
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from sleepfm.vocabulary import TOKEN_SAMPLES

WIDTHS: tuple[int, ...] = (1, 4, 8, 16, 32, 64, 128)
"""Feature maps before the first and after each of the six convolutions."""
KERNEL = 5
STRIDE = 2
PADDING = 2
_BLOCK = 8
"""Outputs of the first convolution that one row of a matrix product makes."""
_FLAT_FROM = 8
"""Feature maps from which torch's batch norm is faster on (row, channel) than on (patch, channel, time)."""

_Stage = tuple[nn.Conv1d, nn.BatchNorm1d, nn.ELU, nn.LayerNorm]


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
    The names of the parameters are those of the published checkpoints (Thapa et al., Nature Medicine 2026). What runs is the
    same arithmetic with the channels last in memory, which takes two thirds of the time on a CPU, forward and backward: the
    convolutions as 2-D ones, the first as a matrix product, ELU in place, and batch norm and layer norm, which do not care for
    the order, as they are.
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
        x_nt = x_ntc = x_bct.reshape(batch * channels * tokens, self.patch_size)
        layers = list(self.tokenizer)
        for step in range(len(WIDTHS) - 1):
            convolution, batch_norm, _, layer_norm = cast(_Stage, tuple(layers[4 * step : 4 * step + 4]))
            x_ntc = _convolution(convolution, x_ntc) if step else _first_convolution(convolution, x_nt)
            x_ntc = _normalised(x_ntc, batch_norm, layer_norm)
        z_ne: Tensor = layers[-1](x_ntc.mean(dim=1))
        return torch.unflatten(z_ne, 0, (batch, channels, tokens))


def _first_convolution(convolution: nn.Conv1d, x_nt: Tensor) -> Tensor:
    """Return (patch, time, channel): the convolution of one channel, a block of neighbouring outputs a row of a matrix product.

    Convolving one channel into four leaves torch's kernels almost idle. This stays in the weights' precision under autocast:
    it is cheap, and batch norm of four channels is slow in half precision.
    """
    weight_o1k, bias_o = convolution.weight, cast(Tensor, convolution.bias)
    patches, time = x_nt.shape
    out = (time + 2 * PADDING - KERNEL) // STRIDE + 1
    block = gcd(out, _BLOCK)
    # Column (j, o) of the matrix holds the kernel of feature map o, moved down to where output j of the block reads.
    last = STRIDE * (block - 1)
    moved = [F.pad(weight_o1k[:, 0].t(), (0, 0, STRIDE * j, last - STRIDE * j)) for j in range(block)]
    x_nt = F.pad(x_nt, (PADDING, STRIDE * (out - 1) + KERNEL - PADDING - time))
    x_nbk = x_nt.to(weight_o1k.dtype).unfold(1, last + KERNEL, STRIDE * block)
    with torch.autocast(x_nt.device.type, enabled=False):
        y_nbo = torch.addmm(bias_o.repeat(block), x_nbk.reshape(-1, last + KERNEL), torch.cat(moved, dim=1))
    return y_nbo.view(patches, out, len(weight_o1k))


def _convolution(convolution: nn.Conv1d, x_ntc: Tensor) -> Tensor:
    y_nc1t = F.conv2d(
        x_ntc.transpose(1, 2).unsqueeze(2),
        convolution.weight.unsqueeze(2),
        convolution.bias,
        stride=(1, STRIDE),
        padding=(0, PADDING),
    )
    return y_nc1t.squeeze(2).transpose(1, 2)


def _normalised(x_ntc: Tensor, batch_norm: nn.BatchNorm1d, layer_norm: nn.LayerNorm) -> Tensor:
    """Return (patch, time, channel) after batch norm, ELU and layer norm."""
    if x_ntc.shape[2] >= _FLAT_FROM:
        x_ntc = batch_norm(x_ntc.reshape(-1, x_ntc.shape[2])).view_as(x_ntc)
    else:
        x_ntc = batch_norm(x_ntc.transpose(1, 2)).transpose(1, 2)
    x_ntc = F.elu_(x_ntc)
    return F.layer_norm(x_ntc, list(x_ntc.shape[1:]), layer_norm.weight.t(), layer_norm.bias.t(), layer_norm.eps)
