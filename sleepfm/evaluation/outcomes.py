"""The follow-up of a test set, condition by condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Outcomes:
    """The follow-up of some recordings.

    Attributes
    ----------
    conditions
        Names, in the order of the columns.
    years_nk, event_nk
        (recording, condition) years to the event or to the end of the follow-up, and whether it was an event.
    known_nk
        (recording, condition) False where nobody knows, or where the condition was there before the recording.
    """

    conditions: tuple[str, ...]
    years_nk: np.ndarray
    event_nk: np.ndarray
    known_nk: np.ndarray

    def __post_init__(self) -> None:
        for name in ("years_nk", "event_nk", "known_nk"):
            shape = np.shape(getattr(self, name))
            if shape != np.shape(self.years_nk) or len(shape) != 2 or shape[1] != len(self.conditions):
                raise ValueError(f"{name} has shape {shape} for {len(self.conditions)} conditions")
