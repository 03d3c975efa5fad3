"""Which epochs of a review to look at next."""

from __future__ import annotations

from typing import Any

from sleepfm.library.library import Library


def queue(library: Library, study: str, scoring: int, *, epochs: int = 40) -> dict[str, Any]:
    """Return {"epochs": [{"epoch", "why", "gain"}], "calibration"} of a scoring: first what would move the numbers most.

    `epoch` is 1-based; `gain` is the expected change in units of each number's grain; `calibration` says how the
    probabilities were calibrated.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    """
    raise NotImplementedError
