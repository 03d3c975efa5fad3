"""What pretraining asks of an encoder: to tell which modalities belong together, or to imagine the one that was left out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sleepfm.models.modality_decoder import ModalityDecoder
from sleepfm.training.contrastive import leave_one_out, pairwise
from sleepfm.training.engine import Outputs
from sleepfm.training.loss import Loss
from sleepfm.training.reconstruction_loss import band_edges, band_powers, draw_left_out, masked_reconstruction
from sleepfm.training.settings import EncoderSettings, ObjectiveSettings, PretrainSettings
from sleepfm.training.window_loader import WindowBatch


def learner_of(
    settings: PretrainSettings, encoder: nn.Module, device: torch.device
) -> ContrastiveLearner | ReconstructionLearner:
    """Return the learner of the objective that the settings name."""
    if settings.objective.kind == "reconstruction":
        return ReconstructionLearner(encoder, settings.encoder, device)
    return ContrastiveLearner(encoder, settings.objective, device)


def recordings_of(batch: WindowBatch) -> str:
    """Return the numbers that a batch's recordings have in the store, for a message."""
    return f"recordings {', '.join(str(int(number)) for number in batch.recording_n.unique())}"


class ContrastiveLearner:
    """An encoder with its learned temperature, judged by a contrastive loss between the modalities of a window."""

    def __init__(self, encoder: nn.Module, objective: ObjectiveSettings, device: torch.device) -> None:
        self.network = nn.Module()
        self.network.encoder = encoder
        temperature = nn.Parameter(torch.tensor(objective.log_temperature), requires_grad=objective.learn_temperature)
        temperature.rate_factor = objective.temperature_rate  # type: ignore[attr-defined]  # read by make_optimiser
        self.network.log_temperature = temperature
        self.network.to(device)
        self._device = device
        self._loss = leave_one_out if objective.kind == "leave_one_out" else pairwise
        self._same_night = objective.same_night

    def outputs(self, batch: WindowBatch) -> Outputs:
        """Return window embeddings, (window, modality, E)."""
        x_rt = batch.x_rt.to(self._device, non_blocking=True).float()
        window_mne, _ = self.network.encoder.embed_sets(x_rt, batch.counts_mn)  # type: ignore[operator,union-attr]
        return (window_mne.transpose(0, 1),)

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[WindowBatch]) -> Loss:
        """Contrast the windows of all batches with each other."""
        z_nme = torch.cat([z for (z,) in outputs])
        present_mn = torch.cat([batch.counts_mn > 0 for batch in batches], dim=1)
        recording_n = torch.cat([batch.recording_n for batch in batches])
        temperature: Tensor = self.network.log_temperature  # type: ignore[assignment]
        with torch.no_grad():
            temperature.clamp_(min=0.0)  # else it would sink while nothing is learned yet, and take as long to come back
        loss = self._loss(
            z_nme.transpose(0, 1),
            present_mn,
            temperature,
            group_n=recording_n,
            same_night=self._same_night,
        )
        return Loss(loss.value, {**loss.metrics, "log_temperature": float(temperature.detach())})

    def describe(self, batch: WindowBatch) -> str:
        """Return the batch's recordings."""
        return recordings_of(batch)


class ReconstructionLearner:
    """An encoder with a decoder that predicts the band powers of one left-out modality of each window from the others.

    Which one is left out follows from the batch itself, so that the same batch always asks the same.
    """

    def __init__(self, encoder: nn.Module, settings: EncoderSettings, device: torch.device) -> None:
        self._patch_size = settings.patch_size
        bands = len(band_edges(patch_size=self._patch_size)) - 1
        self.network = nn.Module()
        self.network.encoder = encoder
        self.network.decoder = ModalityDecoder(embed_dim=int(settings.parameters["embed_dim"]), features=bands)
        self.network.to(device)
        self._device = device

    def outputs(self, batch: WindowBatch) -> Outputs:
        """Return predictions and targets, (window, modality, token, band), and (window, modality) bool what was left out."""
        x_rt = batch.x_rt.to(self._device, non_blocking=True).float()
        present_mn = batch.counts_mn > 0
        chance = torch.Generator().manual_seed(int((batch.recording_n * 1_000_003 + batch.start_n).sum()) % 2**31)
        left_out_mn = draw_left_out(present_mn, chance)
        target_mnsd = band_powers(x_rt, batch.counts_mn, patch_size=self._patch_size)
        hidden_r = torch.repeat_interleave(left_out_mn.flatten(), batch.counts_mn.flatten())
        visible_mn = present_mn & ~left_out_mn
        _, tokens_mnse = self.network.encoder.embed_sets(  # type: ignore[operator,union-attr]
            x_rt[~hidden_r.to(self._device)], batch.counts_mn.masked_fill(left_out_mn, 0)
        )
        predicted_mnsd = self.network.decoder(tokens_mnse, visible_mn)  # type: ignore[operator]
        return predicted_mnsd.transpose(0, 1), target_mnsd.transpose(0, 1), left_out_mn.T

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[WindowBatch]) -> Loss:  # noqa: ARG002 - as every learner
        """Compare what was predicted of the left-out modalities with what they were."""
        predicted, target, left_out = (torch.cat(parts).transpose(0, 1) for parts in zip(*outputs, strict=True))
        return masked_reconstruction(predicted, target, left_out)

    def describe(self, batch: WindowBatch) -> str:
        """Return the batch's recordings."""
        return recordings_of(batch)
