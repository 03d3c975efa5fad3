"""The job that computes a study's risk, and how it is submitted."""

from __future__ import annotations

from typing import Any

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.models.card import Sex
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane


def submit_risk(
    library: Library, study: str, *, model: str, age: float | None, sex: Sex | None, demographic_players: bool = False
) -> Job:
    """Queue a study's risk and see that it is worked off.

    Parameters
    ----------
    model
        A disease model on the shelf.
    age, sex
        Of the person, in years, and as the person or the lab tells it; None only for a head that takes neither.
    demographic_players
        Whether age and sex get Shapley values of their own.

    Raises
    ------
    RequestError
        When there is no such study or model, or age and sex are missing or no possible ones.
    """
    raise NotImplementedError


def assess(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compute a study's risk and store it; one made from the same things before is not made again."""
    raise NotImplementedError
