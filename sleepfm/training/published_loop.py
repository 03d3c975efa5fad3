"""A plain re-creation of the published pretraining loop, for ours to be measured against; nothing is trained with it.

It does what the published loop is described to do: each sample opens its HDF5 file and reads channel after channel of the four
modalities; a batch is padded to its widest sample; each modality takes a forward pass of its own, padding included; the loss is
leave-one-out; the precision is float32. It is written anew from torch's own modules, and where a detail was in doubt, the faster
way was taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import h5py
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.utils.data import Dataset

from sleepfm.models.encoder import Encoder
from sleepfm.models.tokenizer import Tokenizer
from sleepfm.models.transformer_layer import TransformerLayer
from sleepfm.training.windows import TrainingRecording
from sleepfm.vocabulary import Modality

PaddedBatch = tuple[list[Tensor], list[Tensor]]
"""For each modality (window, channel, time) float32, and (window, channel) bool, True where a channel only fills up."""


class PlainWindows(Dataset[list[Tensor]]):
    """Windows by (number of the recording, first sample): for each modality (channel, time) float32."""

    def __init__(self, recordings: Sequence[TrainingRecording], window_samples: int) -> None:
        self._recordings = recordings
        self._length = window_samples

    def __getitem__(self, place: tuple[int, int]) -> list[Tensor]:
        number, start = place
        recording = self._recordings[number]
        window = []
        with h5py.File(recording.path, "r") as file:
            for modality in Modality:
                channels = recording.channels[modality]
                x_ct = np.zeros((len(channels), self._length))  # in double precision, as published
                for row, channel in zip(x_ct, channels, strict=True):
                    row[:] = file[channel.path][start : start + self._length]
                window.append(torch.from_numpy(x_ct).float())
        return window


def padded(windows: Sequence[list[Tensor]]) -> PaddedBatch:
    """Put windows together, each modality as wide as its widest sample."""
    x_nct, mask_nc = [], []
    for samples in zip(*windows, strict=True):
        widest = max(len(x) for x in samples)
        x_nct.append(torch.stack([F.pad(x, (0, 0, 0, widest - len(x))) for x in samples]))
        mask_nc.append(torch.tensor([[channel >= len(x) for channel in range(widest)] for x in samples]))
    return x_nct, mask_nc


class PlainLearner(nn.Module):
    """The encoder of torch's own modules, one after the other, with the temperature and the loss."""

    def __init__(self, parameters: Mapping[str, int | float]) -> None:
        super().__init__()
        self.encoder = plain_encoder(parameters)
        self.log_temperature = nn.Parameter(torch.tensor(0.0))

    def forward(self, batch: PaddedBatch) -> Tensor:
        """Return the loss of a batch."""
        z_ne = [self.encoder(x_nct, mask_nc)[0] for x_nct, mask_nc in zip(*batch, strict=True)]
        return plain_leave_one_out(z_ne, self.log_temperature)


def plain_encoder(parameters: Mapping[str, int | float]) -> Encoder:
    """Return an encoder whose layers run as torch brings them; its results are those of the encoder with published pooling."""
    encoder = Encoder(**parameters, pooling="published_batch")  # type: ignore[arg-type]
    encoder.patch_embedding.__class__ = _PlainTokenizer
    for module in encoder.modules():
        if isinstance(module, TransformerLayer):
            module.__class__ = nn.TransformerEncoderLayer  # type: ignore[assignment]
    return encoder


class _PlainTokenizer(Tokenizer):
    def forward(self, x_bct: Tensor) -> Tensor:
        batch, channels, time = x_bct.shape
        z_ne: Tensor = self.tokenizer(x_bct.reshape(-1, 1, self.patch_size))
        return z_ne.view(batch, channels, time // self.patch_size, -1)


def plain_leave_one_out(z_ne: Sequence[Tensor], log_temperature: Tensor) -> Tensor:
    """Return the leave-one-out loss of a batch whose samples have all modalities: one (window, E) each."""
    z_mne = F.normalize(torch.stack(list(z_ne)), dim=-1)
    own_n = torch.arange(z_mne.shape[1])
    terms = []
    for number, one_ne in enumerate(z_mne):
        others_ne = torch.cat([z_mne[:number], z_mne[number + 1 :]]).mean(dim=0)
        logits_nn = one_ne @ others_ne.t() * log_temperature.exp()
        terms += [F.cross_entropy(logits_nn, own_n), F.cross_entropy(logits_nn.t(), own_n)]
    return torch.stack(terms).mean()
