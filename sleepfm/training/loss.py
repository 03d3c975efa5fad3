"""What every objective returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """The loss of the global batch and what there is to say about it.

    Parameters
    ----------
    value
        Scalar, equal in all processes, and attached to the graph even when nothing in the batch could be scored (then 0).
    scored
        How many judgements the value is the mean of (queries, epochs, events), by which means over batches are weighted; None for
        the number of samples.
    metrics
        Plain numbers, detached. A rate that nothing was there to compute from is left out, never NaN.
    """

    value: Tensor
    metrics: dict[str, float] = field(default_factory=dict)
    scored: float | None = None
