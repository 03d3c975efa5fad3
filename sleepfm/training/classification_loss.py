"""Cross entropies in which what is unknown takes no part: stages, events per epoch, severity classes, presence.

Labels of -1 (Unknown) are masked everywhere. Sums run over all processes, so each returns the loss of the global batch. When
everything is masked the loss is 0 with zero gradients, and its metrics say `n: 0`.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from sleepfm.training.collectives import sum_all
from sleepfm.training.loss import Loss

UNKNOWN = -1
"""The label of what is not known."""

Normalise = Literal["weights", "mask"]
"""What the sum of weighted losses is divided by: the sum of the weights (a weighted mean), or the number of labels, as the
published code does, where rare heavy classes in a batch raise the loss and the step."""


def masked_cross_entropy(
    logits_k: Tensor,
    labels: Tensor,
    *,
    class_weights_k: Tensor | None = None,
    normalise: Normalise = "weights",
) -> Loss:
    """Return the mean weighted cross entropy over the labels that are known.

    Parameters
    ----------
    logits_k
        (..., class) floating point.
    labels
        (...) integers 0 … classes - 1, or -1 where nothing is known.
    class_weights_k
        (class,) weights, at least 0; None weighs all alike.
    normalise
        See `Normalise`.

    Returns
    -------
    Loss
        Metrics: `n` known labels of all processes, and their `accuracy`.

    Raises
    ------
    ValueError
        When the shapes do not fit or a label is no class.
    """
    classes = logits_k.shape[-1]
    if logits_k.shape[:-1] != labels.shape:
        raise ValueError(f"logits {tuple(logits_k.shape)} and labels {tuple(labels.shape)} do not fit")
    if class_weights_k is not None and class_weights_k.shape != (classes,):
        raise ValueError(f"{class_weights_k.numel()} class weights for {classes} classes")
    logits_nk, labels_n = logits_k.reshape(-1, classes).float(), _integers(labels, classes)
    known_n = labels_n != UNKNOWN
    # A masked row may hold anything, also what is not finite.
    logits_nk = logits_nk.masked_fill(~known_n.unsqueeze(1), 0.0)
    loss_n = F.cross_entropy(logits_nk, labels_n, reduction="none", ignore_index=UNKNOWN)
    weights_n = known_n.float()
    if class_weights_k is not None:
        weights_n = weights_n * class_weights_k.to(loss_n)[labels_n.clamp(min=0)]
    right_n = known_n & (logits_nk.detach().argmax(dim=1) == labels_n)
    return _weighted_mean(loss_n, weights_n, known_n, right_n, normalise)


def masked_binary_cross_entropy(
    logits: Tensor, labels: Tensor, *, positive_weight: float = 1.0, normalise: Normalise = "weights"
) -> Loss:
    """Return the mean binary cross entropy over the labels that are known.

    Parameters
    ----------
    logits
        (...) floating point: the log odds of the event.
    labels
        (...) integers or bool: 1 the event, 0 none, -1 unknown.
    positive_weight
        Weight of a positive label; a negative one weighs 1.
    normalise
        See `Normalise`.

    Returns
    -------
    Loss
        Metrics: `n` known labels of all processes, and their `accuracy` at a probability of one half.

    Raises
    ------
    ValueError
        When the shapes do not fit or a label is something else.
    """
    if logits.shape != labels.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)} do not fit")
    labels_n = _integers(labels, 2)
    known_n = labels_n != UNKNOWN
    logits_n = logits.reshape(-1).float().masked_fill(~known_n, 0.0)
    loss_n = F.binary_cross_entropy_with_logits(logits_n, labels_n.clamp(min=0).float(), reduction="none")
    weights_n = torch.where(labels_n == 1, positive_weight, known_n.float())
    right_n = known_n & ((logits_n.detach() > 0) == (labels_n == 1))
    return _weighted_mean(loss_n, weights_n, known_n, right_n, normalise)


def _integers(labels: Tensor, classes: int) -> Tensor:
    """Return the labels as a row of int64; ValueError when one is neither a class nor unknown."""
    labels_n = labels.reshape(-1).long()
    strange_n = labels_n[(labels_n < UNKNOWN) | (labels_n >= classes)]
    if len(strange_n):
        raise ValueError(f"the label {int(strange_n[0])} is neither one of {classes} classes nor {UNKNOWN} (unknown)")
    return labels_n


def _weighted_mean(loss_n: Tensor, weights_n: Tensor, known_n: Tensor, right_n: Tensor, normalise: Normalise) -> Loss:
    known, right = sum_all(torch.stack([known_n.sum(), right_n.sum()])).tolist()
    with torch.no_grad():
        weight = sum_all(weights_n.sum()) if normalise == "weights" else torch.tensor(float(known), device=loss_n.device)
    # Nothing known, or only classes of weight 0: the sum is 0 as well.
    value = sum_all((loss_n * weights_n).sum()) / torch.where(weight > 0, weight, 1.0)
    metrics = {"n": float(known)}
    if known:
        metrics["accuracy"] = right / known
    return Loss(value, metrics, scored=metrics["n"])
