"""A scoring: one stage an epoch over the recording, with probabilities when a model made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from sleepfm.vocabulary import EPOCH_S


@dataclass(frozen=True)
class Scoring:
    """Stages on the grid of 30-s epochs that starts at the recording's start.

    Attributes
    ----------
    stages
        (n_epochs,) int8 with the numbers of `sleepfm.vocabulary.Stage`; -1 is Unknown.
    probabilities
        (n_epochs, 5) float32 in the order of `SCORED_STAGES`, NaN rows where Unknown; None when a person scored.
    scorer
        Who or what made it ("expert", "yasa 0.8.1", a model's name); free text.
    warnings
        What was done to make the file fit (clipped, resampled epochs), each a sentence.
    start
        Local clock time at which the first epoch begins, where a file says so; None otherwise. Where it says the time of day
        alone, the date is EDF+'s anonymous one (1 January 1985).
    """

    stages: np.ndarray
    probabilities: np.ndarray | None = None
    scorer: str = ""
    epoch_s: float = EPOCH_S
    warnings: tuple[str, ...] = ()
    start: datetime | None = None


@dataclass(frozen=True)
class Event:
    """Something scored on a stretch of time; `extra` holds the columns of its kind (Desaturation, NadirSpO2, …)."""

    start_s: float
    stop_s: float
    name: str
    channel: str = ""
    source: str = ""
    extra: dict[str, float | str] = field(default_factory=dict)
