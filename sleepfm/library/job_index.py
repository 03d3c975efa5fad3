"""The job that puts studies into the index that neighbours are looked up in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sleepfm.home import Home
from sleepfm.progress import Progress
from sleepfm.runs.table import Job


def submit_index(home: Home, encoder: str | None = None, studies: Sequence[str] | None = None) -> Job:
    """Queue the indexing of studies (None: all that are missing) and see that it is worked off."""
    raise NotImplementedError


def index(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed studies and add them to the index of windows, and to that of epochs where their scoring is from a person or the file.

    Parameters
    ----------
    parameters
        "encoder": its name, None for the best one that was trained on real recordings (for a simulated recording also one that
        was trained on simulated signals); "studies": their ids, None for all that are missing.

    Returns
    -------
    dict
        `encoder`; `indexed`: ids; `failed`: `study` and `error` of each that could not be; `rows`: windows in the index now.
    """
    raise NotImplementedError
