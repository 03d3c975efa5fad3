"""How the rows of a map were staged: shares of the five stages, from the scoring that counts for each study."""

from __future__ import annotations

import numpy as np

from sleepfm.library.library import Library
from sleepfm.library.stored_scorings import ScoringPlace, stages_at
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, WINDOW_S

EPOCHS_PER_WINDOW = int(WINDOW_S / EPOCH_S)


def stage_counts(library: Library, place: ScoringPlace | None, windows: int) -> np.ndarray:
    """Return (window, 5) how many epochs of each 5-min window were given each stage; zeros without a scoring.

    Parameters
    ----------
    place
        The scoring that counts for the study.
    windows
        How many, from the recording's start.
    """
    counts_w5 = np.zeros((windows, len(SCORED_STAGES)), np.int32)
    if place is not None:
        stage_e = stages_at(library, place)[: windows * EPOCHS_PER_WINDOW]
        window_e = np.arange(len(stage_e)) // EPOCHS_PER_WINDOW
        for column, stage in enumerate(SCORED_STAGES):
            counts_w5[:, column] = np.bincount(window_e[stage_e == stage], minlength=windows)
    return counts_w5


def shares(counts_n5: np.ndarray) -> np.ndarray:
    """Return (row, 5) float16 shares of the scored epochs; NaN where none was scored."""
    scored_n1 = counts_n5.sum(axis=1, keepdims=True)
    return np.where(scored_n1 > 0, counts_n5 / np.maximum(scored_n1, 1), np.nan).astype(np.float16)
