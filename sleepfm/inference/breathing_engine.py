"""A second opinion on a night's breathing from a SleepFM breathing head.

The head marks no events: it says of each epoch how likely it holds disordered breathing, and of the night which severity its AHI
has. So it stands beside the events, never among them. A head that was trained on simulated signals speaks only when it is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sleepfm.analysis.breathing import SEVERITIES
from sleepfm.errors import RequestError
from sleepfm.inference.device import Device, Precision, lean_attention, one_thread_each
from sleepfm.inference.embedding_files import Embeddings
from sleepfm.inference.heads import check_fits, night_warnings
from sleepfm.inference.night import Night
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.models.breathing_head import PRESENT_FROM, BreathingHead
from sleepfm.models.card import SIMULATED, Task
from sleepfm.models.networks import Model, load_model
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.vocabulary import TOKEN_S


@dataclass(frozen=True, eq=False)
class BreathingEstimate:
    """What a breathing head says of a night.

    Attributes
    ----------
    model, trained_on
        Its name, and the origin of its training data.
    severities
        Probability of each class of the AHI (`sleepfm.analysis.breathing.SEVERITIES`), adding up to 1.
    present
        Probability of an AHI of at least 15.
    sdb_e
        (epochs,) float32 probability of disordered breathing in each begun epoch that was looked at.
    metrics
        How well it did where it was tested, each with n and interval where the model's card has them.
    warnings
        Each a sentence.
    """

    model: str
    trained_on: str
    severities: tuple[float, ...]
    present: float
    sdb_e: np.ndarray
    metrics: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return what fits in JSON: for provenance and reports, without the epochs."""
        return {
            "model": self.model,
            "trained_on": self.trained_on,
            "severity": {name: round(chance, 4) for name, chance in zip(SEVERITIES, self.severities, strict=True)},
            "ahi_at_least_15": round(self.present, 4),
            "metrics": list(self.metrics),
            "warnings": list(self.warnings),
        }


def choose_breathing(shelf: Shelf, model: str | None) -> ShelfEntry | None:
    """Return the breathing head that speaks: the named one, else one that was trained on real recordings, else None.

    Raises
    ------
    RequestError
        When the named model is none.
    """
    if model is None:
        real = shelf.pick(Task.BREATHING)
        return real if real is not None and real.card.encoder is not None else None
    entry = shelf.get(model)
    if entry.card.task is not Task.BREATHING:
        raise RequestError(f"{model} is a model for {entry.card.task.value}, not for breathing")
    return entry


def estimate_breathing(
    night: Night,
    head: ShelfEntry,
    shelf: Shelf,
    *,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> BreathingEstimate:
    """Embed a night, where that was not done, and let a breathing head judge it.

    Raises
    ------
    ModelError
        When the head's encoder is not on the shelf.
    RecordingError
        When no channel of the night is usable.
    """
    encoder = shelf.encoder_of(head.card)
    embeddings = night.embeddings(encoder, device=device, precision=precision, progress=part(progress, 0.0, 0.95))
    found = judge(embeddings, load_model(head.folder))
    progress(1.0, f"{head.name} has judged the night's breathing")
    return found


def judge(embeddings: Embeddings, model: Model) -> BreathingEstimate:
    """Let a breathing head judge a night's embeddings.

    Raises
    ------
    RequestError
        When the model is no breathing head.
    ModelError
        When the embeddings are not those of the head's encoder.
    """
    head, card = model.network, model.card
    if not isinstance(head, BreathingHead):
        raise RequestError(f"{card.name} is a model for {card.task}, not for breathing")
    check_fits(embeddings, model)
    tokens = min(embeddings.n, int(card.parameters["max_seq_length"]))
    warnings = night_warnings(embeddings)
    if tokens < embeddings.n:
        warnings.append(f"Only the first {tokens * TOKEN_S / 3600:.1f} h were looked at; the head takes no more.")
    if card.trained_on == SIMULATED:
        warnings.insert(0, simulated_warning(card.name, simulated_recording=embeddings.origin.simulated))
    z_mse = np.stack([rows[:tokens] for rows in embeddings.rows.values()])
    with one_thread_each(), lean_attention(), torch.inference_mode():
        said = head(torch.from_numpy(z_mse).unsqueeze(0), torch.zeros(1, *z_mse.shape[:2], dtype=torch.bool))
    severities = torch.softmax(said.severity_bk[0].double(), dim=-1)
    return BreathingEstimate(
        model=card.name,
        trained_on=card.trained_on,
        severities=tuple(severities.tolist()),
        present=float(severities[PRESENT_FROM:].sum()),
        sdb_e=torch.sigmoid(said.sdb_bn[0]).numpy(),
        metrics=tuple(
            {"name": one.name, "value": one.value, "low": one.low, "high": one.high, "n": one.n, "data": one.data}
            for one in card.metrics
            if not one.group
        ),
        warnings=tuple(warnings),
    )
