"""The stage that probabilities say: the likeliest one, and Unknown where several are equally likely."""

from __future__ import annotations

import numpy as np

from sleepfm.vocabulary import SCORED_STAGES, Stage


def likeliest_stages(probability_e5: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest stage of every epoch, and where there is none because of a tie.

    The first of equals would be Wake for no reason, so a tie is Unknown, as a row with NaN is.

    Parameters
    ----------
    probability_e5
        (n_epochs, 5) in the order of `SCORED_STAGES`.

    Returns
    -------
    stages_e
        (n_epochs,) int8, the numbers of `Stage`.
    tied_e
        (n_epochs,) bool.
    """
    given_e = ~np.isnan(probability_e5).any(axis=1)
    filled_e5 = np.where(given_e[:, None], probability_e5, 0)
    tied_e = given_e & ((filled_e5 == filled_e5.max(axis=1, keepdims=True)).sum(axis=1) > 1)
    stages_e = np.array(SCORED_STAGES, np.int8)[filled_e5.argmax(axis=1)]
    stages_e[~given_e | tied_e] = Stage.UNKNOWN
    return stages_e, tied_e


def said_of_ties(tied_e: np.ndarray) -> list[str]:
    """Return one sentence on the epochs in which several stages are equally likely; nothing where there are none."""
    count = int(tied_e.sum())
    first = int(tied_e.argmax()) + 1
    if not count:
        return []
    return [f"{count} of {len(tied_e)} epochs have no likeliest stage but a tie; they are Unknown (first: epoch {first})"]
