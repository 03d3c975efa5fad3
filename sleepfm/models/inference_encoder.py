"""The encoder's forward pass arranged for inference: the same numbers, up to rounding, in half the time on a CPU.

The windows are worked off in pieces whose activations stay in cache; batch norm is folded into the convolutions, which run with
channels last in memory; ELU runs in place; a modality of one channel skips the pooling layer; all modalities of a window share
one pass through the transformer over time; no mask is ever needed, since every modality comes with exactly its own channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from sleepfm.models.efficientnet import EfficientNet1D
from sleepfm.models.encoder import Encoder
from sleepfm.models.tokenizer import PADDING, STRIDE, WIDTHS
from sleepfm.vocabulary import Modality

CPU_ROWS = 160
"""Patches tokenized at a time on a CPU: 160 × 1,280 × 4 bytes of activations stay in a core's second-level cache."""

Name = TypeVar("Name")
Engine = Callable[[Mapping[Modality, Tensor]], dict[Modality, tuple[Tensor, Tensor]]]
"""From (window, channel, time) of each modality to its windows' and its tokens' embeddings."""


def inference_engine(encoder: nn.Module, rows: int = CPU_ROWS) -> Engine:
    """Return the fastest way to infer with an encoder in evaluation mode, whatever its architecture.

    Parameters
    ----------
    encoder
        As `build` makes it.
    rows
        See `InferenceEncoder`.

    Raises
    ------
    TypeError
        When the network is no encoder.
    """
    if isinstance(encoder, Encoder):
        return InferenceEncoder(encoder, rows)
    if isinstance(encoder, EfficientNet1D):
        return encoder.embed_modalities
    raise TypeError(f"{type(encoder).__name__} is no encoder")


class InferenceEncoder:
    """An encoder to infer with; give it whole modalities without padding.

    Parameters
    ----------
    encoder
        In evaluation mode. Its weights are shared, not copied, except for the convolutions.
    rows
        Patches tokenized at a time (see `CPU_ROWS`); more on a GPU.
    """

    def __init__(self, encoder: Encoder, rows: int = CPU_ROWS) -> None:
        self._encoder = encoder
        self._rows = rows
        self._patch = encoder.patch_embedding.patch_size
        with torch.no_grad():
            layers = encoder.patch_embedding.tokenizer
            self._stages = [_Stage(layers, 4 * step) for step in range(len(WIDTHS) - 1)]
        self._project = layers[-1]

    def __call__(self, x_nct: Mapping[Name, Tensor]) -> dict[Name, tuple[Tensor, Tensor]]:
        """Embed some windows of several modalities.

        Parameters
        ----------
        x_nct
            For each modality (window, channel, time), the same windows and time for all, at least one channel.

        Returns
        -------
        dict
            For each modality window_ne (window, E) and tokens_nse (window, token, E) in float32.
        """
        pooled = torch.cat([self._pooled_channels(x) for x in x_nct.values()])
        encoder = self._encoder
        z_bse = encoder.layer_norm(encoder.positional_encoding(pooled))
        for layer in encoder.transformer_encoder.layers:
            z_bse.add_(_attention(layer, layer.norm1(z_bse)))
            z_bse.add_(_feed_forward(layer, layer.norm2(z_bse)))
        window_be = _post_norm(encoder.temporal_pooling.transformer_layer, z_bse).mean(dim=1)
        parts = [len(x) for x in x_nct.values()]
        return dict(zip(x_nct, zip(window_be.split(parts), z_bse.split(parts), strict=True), strict=True))

    def _pooled_channels(self, x_nct: Tensor) -> Tensor:
        """Return (window, token, E): tokens of one modality, pooled over its channels."""
        windows, channels, time = x_nct.shape
        tokens = time // self._patch
        z_re = self._tokens(x_nct.reshape(windows * channels * tokens, 1, self._patch))
        z_ncse = z_re.view(windows, channels, tokens, -1)
        if channels == 1:
            return z_ncse[:, 0]
        z_mce = z_ncse.transpose(1, 2).reshape(windows * tokens, channels, -1)
        z_me = _post_norm(self._encoder.spatial_pooling.transformer_layer, z_mce).mean(dim=1)
        return z_me.view(windows, tokens, -1)

    def _tokens(self, x_r1p: Tensor) -> Tensor:
        means = []
        for x_r1p_some in x_r1p.split(self._rows):
            x_rc1t = x_r1p_some.unsqueeze(2)
            for stage in self._stages:
                x_rc1t = stage(x_rc1t)
            means.append(x_rc1t.mean(dim=(2, 3)))
        tokens: Tensor = self._project(torch.cat(means))
        return tokens.float()


class _Stage:
    """Convolution, batch norm, ELU and layer norm of the tokenizer, on (row, channel, 1, time) with the channels last in memory.

    Channels last spares the convolution its reordering, and layer norm over channels and time does not care for the order.
    """

    def __init__(self, layers: nn.Sequential, first: int) -> None:
        convolution, batch_norm, norm = layers[first], layers[first + 1], layers[first + 3]
        if not (isinstance(convolution, nn.Conv1d) and isinstance(batch_norm, nn.BatchNorm1d) and isinstance(norm, nn.LayerNorm)):
            raise TypeError("the tokenizer's stages are convolution, batch norm, ELU, layer norm")
        mean, variance, bias = batch_norm.running_mean, batch_norm.running_var, convolution.bias
        if mean is None or variance is None or bias is None:
            raise ValueError("the tokenizer's batch norms must carry statistics and its convolutions a bias")
        scale_c = batch_norm.weight * torch.rsqrt(variance + batch_norm.eps)
        weight_oik = convolution.weight * scale_c.view(-1, 1, 1)
        self._weight = weight_oik.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        self._bias = (bias - mean) * scale_c + batch_norm.bias
        self._norm_weight = norm.weight.t().reshape(-1)
        self._norm_bias = norm.bias.t().reshape(-1)
        self._eps = norm.eps

    def __call__(self, x_rc1t: Tensor) -> Tensor:
        y_ro1t = F.conv2d(x_rc1t, self._weight, self._bias, stride=(1, STRIDE), padding=(0, PADDING))
        rows, channels, _, time = y_ro1t.shape
        y_rn = y_ro1t.permute(0, 2, 3, 1).reshape(rows, time * channels)
        # ELU(y) + 1 without the costly expm1; layer norm takes the 1 away again.
        negative_rn = y_rn.clamp(max=0).exp_()
        y_rn = F.layer_norm(y_rn.clamp_(min=0).add_(negative_rn), y_rn.shape[1:], self._norm_weight, self._norm_bias, self._eps)
        return y_rn.view(rows, 1, time, channels).permute(0, 3, 1, 2)


def _attention(layer: nn.TransformerEncoderLayer, x_bse: Tensor) -> Tensor:
    attention = layer.self_attn
    batch, length, embed_dim = x_bse.shape
    qkv = F.linear(x_bse, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.view(batch, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, embed_dim)
    out: Tensor = attention.out_proj(mixed)
    return out


def _feed_forward(layer: nn.TransformerEncoderLayer, x_bse: Tensor) -> Tensor:
    out: Tensor = layer.linear2(F.relu_(layer.linear1(x_bse)))
    return out


def _post_norm(layer: nn.TransformerEncoderLayer, x_bse: Tensor) -> Tensor:
    x_bse = layer.norm1(x_bse + _attention(layer, x_bse))
    out: Tensor = layer.norm2(x_bse + _feed_forward(layer, x_bse))
    return out
