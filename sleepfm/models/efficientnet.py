"""The encoder of the 2024 paper: one EfficientNet-style convolutional network a modality, on clips of 30 s.

Thapa et al., ICML 2024 (arXiv 2405.17766): three modalities (BAS, ECG, RESP) at 256 Hz, embeddings of 512 numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sleepfm.models.sets import check_sets, spread_sets
from sleepfm.vocabulary import Modality

STEM_WIDTH = 32
DEPTHS: tuple[int, ...] = (1, 2, 2, 3, 3, 3, 3)
WIDTHS: tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320)
LAST_WIDTH = 1280
EXPANSION = 6
POOLED_STAGES = (3, 6)
"""Stages (from 1) that max pooling follows."""


class EfficientNet1D(nn.Module):
    """One convolutional network a modality; a clip is a token, and a window is the mean of its clips.

    Unlike the channel-agnostic encoder, each modality has a fixed number of channels whose order matters: a recording's
    channels take the places in the order given, and places without a channel hold zeros.

    Parameters
    ----------
    embed_dim
        Length E of a clip's vector (published: 512).
    patch_size
        Samples in a clip (published: 7680, 30 s at 256 Hz; 3840 at 128 Hz).
    bas_channels, resp_channels, ekg_channels, emg_channels
        Channels of each modality's network; 0 for a modality that the encoder does not know (published: EMG).
    width
        Per cent of the published widths.
    dropout
        Before the last linear layer.

    Raises
    ------
    ValueError
        When it would have no modality, or the widths vanish.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 512,
        patch_size: int = 7680,
        bas_channels: int = 0,
        resp_channels: int = 0,
        ekg_channels: int = 0,
        emg_channels: int = 0,
        width: int = 100,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        counts = (bas_channels, resp_channels, ekg_channels, emg_channels)
        self.channels = {modality: count for modality, count in zip(Modality, counts, strict=True) if count}
        if not self.channels:
            raise ValueError("no modality has a channel: give bas_channels, resp_channels, ekg_channels or emg_channels")
        if width < 1:
            raise ValueError("width is a percentage of at least 1")
        self.embed_dim = embed_dim
        self.patch_size = patch_size
        self.networks = nn.ModuleDict(
            {modality.value: _network(count, embed_dim, width / 100, dropout) for modality, count in self.channels.items()}
        )

    def forward(self, x_bct: Tensor, modality: Modality) -> tuple[Tensor, Tensor]:
        """Embed windows of one modality.

        Parameters
        ----------
        x_bct
            (batch, channel, time) standardised signal; at most the modality's channels, time a whole number of clips.
        modality
            Which network to use.

        Returns
        -------
        window_be, tokens_bse
            (batch, E), the mean over the clips, and (batch, clip, E).

        Raises
        ------
        ValueError
            When the encoder does not know the modality, there are more channels than it has places, or a clip is cut.
        """
        batch, channels, time = x_bct.shape
        if modality not in self.channels:
            raise ValueError(f"this encoder has no network for {modality}")
        places = self.channels[modality]
        if channels > places:
            raise ValueError(f"{channels} {modality} channels, but this encoder takes {places}")
        if time % self.patch_size:
            raise ValueError(f"{time} samples are not a whole number of clips of {self.patch_size}")
        clips = time // self.patch_size
        x_bct = nn.functional.pad(x_bct, (0, 0, 0, places - channels))
        x_ncp = x_bct.unflatten(2, (clips, self.patch_size)).transpose(1, 2).flatten(0, 1)
        z_bse: Tensor = self.networks[modality.value](x_ncp).unflatten(0, (batch, clips))
        return z_bse.mean(dim=1), z_bse

    def embed_modalities(self, x_nct: Mapping[Modality, Tensor]) -> dict[Modality, tuple[Tensor, Tensor]]:
        """Return `forward` of each modality, as `sleepfm.models.inference_encoder.InferenceEncoder` does."""
        return {modality: self.forward(x, modality) for modality, x in x_nct.items()}

    def embed_sets(self, x_rt: Tensor, counts_mn: Tensor) -> tuple[Tensor, Tensor]:
        """Embed windows of all modalities at once; see `sleepfm.models.encoder.Encoder.embed_sets`.

        Raises
        ------
        ValueError
            As `forward`, and when rows and counts do not belong together or the modalities are not the four of the vocabulary.
        """
        check_sets(x_rt, counts_mn)
        if len(counts_mn) != len(Modality):
            raise ValueError(f"counts of {len(counts_mn)} modalities instead of {len(Modality)}")
        rows = [int(count) for count in counts_mn.sum(dim=1)]
        sets_n = torch.nonzero(counts_mn.flatten()).flatten()
        made = [
            self.forward(_in_places(x_mt, count_n[count_n > 0]), modality)
            for modality, x_mt, count_n in zip(Modality, x_rt.split(rows), counts_mn, strict=True)
            if len(x_mt)
        ]
        windows_ne, tokens_nse = (torch.cat(parts) for parts in zip(*made, strict=True))
        exact = next(self.parameters()).dtype
        return spread_sets(windows_ne.to(exact), sets_n, counts_mn), spread_sets(tokens_nse.to(exact), sets_n, counts_mn)


def _in_places(x_rt: Tensor, count_n: Tensor) -> Tensor:
    """Return (set, place, time): each set's rows in the first places, zeros in the rest."""
    places = int(count_n.max())
    start_n = count_n.cumsum(0) - count_n
    set_r = torch.repeat_interleave(torch.arange(len(count_n)), count_n)
    place_r = torch.arange(len(x_rt)) - start_n[set_r]
    x_qt = x_rt.new_zeros(len(count_n) * places, x_rt.shape[1])
    return x_qt.index_copy(0, (set_r * places + place_r).to(x_rt.device), x_rt).unflatten(0, (len(count_n), places))


def _network(channels: int, embed_dim: int, scale: float, dropout: float) -> nn.Sequential:
    stem, *widths = (max(4, round(scale * width)) for width in (STEM_WIDTH, *WIDTHS))
    last = max(4, round(scale * LAST_WIDTH))
    layers: list[nn.Module] = [*_convolution(channels, stem, kernel=3, stride=2), nn.SiLU()]
    narrow = stem
    for stage, (depth, wide) in enumerate(zip(DEPTHS, widths, strict=True), start=1):
        for block in range(1, depth + 1):
            layers.append(_Bottleneck(narrow, wide, stride=2 if block == depth else 1))
            narrow = wide
        if stage in POOLED_STAGES:
            layers.append(nn.MaxPool1d(3, stride=2, padding=1))
    layers += [*_convolution(narrow, last, kernel=1), nn.SiLU()]
    layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(last, embed_dim)]
    return nn.Sequential(*layers)


class _Bottleneck(nn.Module):
    """Inverted bottleneck: widen, convolve each feature map by itself, narrow; added to its input where the shapes allow."""

    def __init__(self, narrow: int, wide: int, *, stride: int) -> None:
        super().__init__()
        inner = EXPANSION * narrow
        self.layers = nn.Sequential(
            *_convolution(narrow, inner, kernel=1),
            nn.SiLU(),
            *_convolution(inner, inner, kernel=3, stride=stride, groups=inner),
            nn.SiLU(),
            *_convolution(inner, wide, kernel=1),
        )
        self.adds = stride == 1 and narrow == wide

    def forward(self, x_bct: Tensor) -> Tensor:
        y_bct: Tensor = self.layers(x_bct)
        return x_bct + y_bct if self.adds else y_bct


def _convolution(narrow: int, wide: int, *, kernel: int, stride: int = 1, groups: int = 1) -> Sequence[nn.Module]:
    convolution = nn.Conv1d(narrow, wide, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
    return convolution, nn.BatchNorm1d(wide)
