"""How the rows of a map were staged: shares of the five stages, from the scoring that counts for each study."""

from __future__ import annotations

import numpy as np

from sleepfm.library.library import Library
from sleepfm.library.study import SCORINGS_IN_ORDER
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, WINDOW_S

EPOCHS_PER_WINDOW = int(WINDOW_S / EPOCH_S)


def scorings_that_count(library: Library) -> dict[str, tuple[int, str]]:
    """Return number and file of the first scoring of each study in the order of `SCORINGS_IN_ORDER`."""
    rows = library.connection.execute(
        f"SELECT study, id, file FROM (SELECT r.study, r.id, r.file, ROW_NUMBER() OVER"
        f" (PARTITION BY r.study ORDER BY {SCORINGS_IN_ORDER}) AS place"
        " FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256) WHERE place = 1"
    )
    return {row["study"]: (row["id"], row["file"]) for row in rows}


def stage_counts(library: Library, study: str, file: str, windows: int) -> np.ndarray:
    """Return (window, 5) how many epochs of each 5-min window were given each stage; zeros where the file is gone.

    Parameters
    ----------
    library, study, file
        As `scorings_that_count` gives them.
    windows
        How many, from the recording's start.
    """
    counts_w5 = np.zeros((windows, len(SCORED_STAGES)), np.int32)
    path = library.study_folder(study) / "scorings" / file
    if path.is_file():
        stage_e = read_scoring(path).stages[: windows * EPOCHS_PER_WINDOW]
        window_e = np.arange(len(stage_e)) // EPOCHS_PER_WINDOW
        for column, stage in enumerate(SCORED_STAGES):
            counts_w5[:, column] = np.bincount(window_e[stage_e == stage], minlength=windows)
    return counts_w5


def shares(counts_n5: np.ndarray) -> np.ndarray:
    """Return (row, 5) float16 shares of the scored epochs; NaN where none was scored."""
    scored_n1 = counts_n5.sum(axis=1, keepdims=True)
    return np.where(scored_n1 > 0, counts_n5 / np.maximum(scored_n1, 1), np.nan).astype(np.float16)
