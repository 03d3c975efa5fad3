"""The statistics of a study's scoring: all of them for pages and reports, a few for the strip that lives beside the viewer."""

from __future__ import annotations

from typing import Any

from sleepfm.analysis.sleep_statistics import NightStatistics
from sleepfm.library.library import Library


def study_statistics(library: Library, study: str, scoring: int) -> NightStatistics:
    """Return the statistics of one scoring of a study, with its events, vitals and the intervals of its proposal.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    """
    raise NotImplementedError


def numbers(library: Library, study: str, scoring: int) -> dict[str, Any]:
    """Return {"version", "numbers": [{"key", "name", "value", "low", "high", "unit", "text"}]} of a scoring.

    `text` is the number as people read it, or the reason why there is none.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    """
    raise NotImplementedError
