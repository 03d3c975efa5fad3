"""What each head is asked for: stages, breathing events and severity, hazards. The network reads embeddings, never signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sleepfm.models.heads import DiseaseHead
from sleepfm.models.risk_heads import DemographicsHead, NightMLP
from sleepfm.training.classification_loss import Normalise, masked_binary_cross_entropy, masked_cross_entropy
from sleepfm.training.engine import Outputs
from sleepfm.training.loss import Loss
from sleepfm.training.night_labels import DEMOGRAPHICS, EVENT, KNOWN, PRESENCE, SDB, SEVERITY, STAGES, YEARS
from sleepfm.training.nights import NightBatch
from sleepfm.training.survival_loss import Ties, cox
from sleepfm.vocabulary import TOKENS_PER_EPOCH

_NIGHTS_AT_A_TIME = 8


class HeadLearner(ABC):
    """What all heads share: a batch is read when it is needed, and in validation a few nights at a time.

    Parameters
    ----------
    network
        The head.
    device
        Where it runs.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network.to(device)
        self._device = device

    def outputs(self, batch: NightBatch) -> Outputs:
        """Return what the head makes of each stretch."""
        if self.network.training:
            # Also where no gradient is wanted: without one a head pools in parts, and dropout would fall differently in the
            # second pass of an accumulated step.
            with torch.enable_grad():
                return self._forward(batch, 0, batch.size)
        parts = [self._forward(batch, first, first + _NIGHTS_AT_A_TIME) for first in range(0, batch.size, _NIGHTS_AT_A_TIME)]
        return tuple(torch.cat(some) for some in zip(*parts, strict=True))

    @abstractmethod
    def loss(self, outputs: Sequence[Outputs], batches: Sequence[NightBatch]) -> Loss:
        """Judge the outputs of one or several batches together."""

    def describe(self, batch: NightBatch) -> str:
        """Return whose nights a batch is made of."""
        return batch.describe()

    def _forward(self, batch: NightBatch, first: int, last: int) -> Outputs:
        z_bmse, padding_bms = batch.embeddings(first, last)
        found = self.network(z_bmse.to(self._device), padding_bms.to(self._device))
        return found if isinstance(found, tuple) else (found,)


class StagingLearner(HeadLearner):
    """Stages of 5-s tokens, each token with the stage of its epoch; Unknown takes no part.

    Parameters
    ----------
    class_weights_k
        (5,) see `masked_cross_entropy`.
    """

    def __init__(
        self, network: nn.Module, device: torch.device, *, class_weights_k: Tensor, normalise: Normalise = "weights"
    ) -> None:
        super().__init__(network, device)
        self._class_weights_k = class_weights_k
        self._normalise = normalise

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[NightBatch]) -> Loss:
        """Judge the tokens of all batches together."""
        logits_nk = torch.cat([logits_bsk.flatten(0, 1) for (logits_bsk,) in outputs])
        labels_n = torch.cat([batch.by_epoch[STAGES].repeat_interleave(TOKENS_PER_EPOCH, dim=1).flatten() for batch in batches])
        return masked_cross_entropy(
            logits_nk, labels_n.to(logits_nk.device), class_weights_k=self._class_weights_k, normalise=self._normalise
        )


class BreathingLearner(HeadLearner):
    """Breathing events by epoch, and the night's severity and presence of sleep-disordered breathing.

    Parameters
    ----------
    positive_weight
        Of an epoch with an event.
    night_weight
        Of severity and presence, half each, beside the epochs.
    """

    def __init__(self, network: nn.Module, device: torch.device, *, positive_weight: float, night_weight: float) -> None:
        super().__init__(network, device)
        self._positive_weight = positive_weight
        self._night_weight = night_weight

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[NightBatch]) -> Loss:
        """Judge the epochs of all batches together, and their nights."""
        sdb_n = torch.cat([sdb_be.flatten() for sdb_be, _, _ in outputs])
        severity_bk = torch.cat([severity_bk for _, severity_bk, _ in outputs])
        presence_b = torch.cat([presence_b for _, _, presence_b in outputs])
        device = sdb_n.device
        labels_n = torch.cat([batch.by_epoch[SDB].flatten() for batch in batches]).to(device)
        epochs = masked_binary_cross_entropy(sdb_n, labels_n, positive_weight=self._positive_weight)
        severity = masked_cross_entropy(severity_bk, torch.cat([batch.by_night[SEVERITY] for batch in batches]).to(device))
        presence = masked_binary_cross_entropy(presence_b, torch.cat([batch.by_night[PRESENCE] for batch in batches]).to(device))
        parts = {SDB: epochs, SEVERITY: severity, PRESENCE: presence}
        return Loss(
            epochs.value + self._night_weight * (severity.value + presence.value) / 2,
            {f"{name}_loss": float(part.value.detach()) for name, part in parts.items()}
            | {f"{name}_{figure}": value for name, part in parts.items() for figure, value in part.metrics.items()},
            scored=epochs.scored,
        )


def takes_demographics(network: nn.Module) -> bool:
    """Return whether a disease head is given age and sex."""
    if isinstance(network, DiseaseHead):
        return network.demo_embedding is not None
    return isinstance(network, DemographicsHead) or (isinstance(network, NightMLP) and network.demographics)


class DiseaseLearner(HeadLearner):
    """Log hazards of conditions, judged by the partial likelihood over all nights of an optimiser step.

    Parameters
    ----------
    columns
        Which of the labels' conditions the head speaks of, in its order.
    ties
        See `sleepfm.training.survival_loss.Ties`.
    """

    def __init__(self, network: nn.Module, device: torch.device, *, columns: np.ndarray, ties: Ties = "efron") -> None:
        super().__init__(network, device)
        self._takes_demographics = takes_demographics(network)
        self._columns = torch.from_numpy(columns.astype(np.int64))
        self._ties: Ties = ties

    def loss(self, outputs: Sequence[Outputs], batches: Sequence[NightBatch]) -> Loss:
        """Compare each event with everyone who was still at risk."""
        log_hazard_nk = torch.cat([log_hazard_bk for (log_hazard_bk,) in outputs])
        years_nk, event_nk, known_nk = (
            torch.cat([batch.by_night[name][:, self._columns] for batch in batches]).to(log_hazard_nk.device)
            for name in (YEARS, EVENT, KNOWN)
        )
        return cox(log_hazard_nk, years_nk, event_nk, known_nk, ties=self._ties)

    def _forward(self, batch: NightBatch, first: int, last: int) -> Outputs:
        night = (None, None) if isinstance(self.network, DemographicsHead) else batch.embeddings(first, last)
        inputs = [*night, batch.by_night[DEMOGRAPHICS][first:last] if self._takes_demographics else None]
        return (self.network(*(None if x is None else x.to(self._device) for x in inputs)),)
