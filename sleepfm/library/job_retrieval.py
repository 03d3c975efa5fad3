"""The job that measures how well the modalities of what is indexed find each other."""

from __future__ import annotations

from typing import Any

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.library_retrieval import library_retrieval
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobState, JobTable, Lane

_LOOKED_THROUGH = 50
"""How many of the newest measurements are looked through for one of the same things."""


def measure(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the numbers of `sleepfm evaluate retrieval` for an encoder's index (see `library_retrieval`)."""
    return library_retrieval(home, parameters["encoder"], progress=progress)


def submit_retrieval(home: Home, encoder: str, indexed: str) -> Job:
    """Queue the measurement and see that it is worked off.

    Parameters
    ----------
    encoder
        Its name on the shelf.
    indexed
        Anything that stands for what is in the index now; `measured` finds the numbers again by it.
    """
    table = JobTable(home)
    try:
        parameters = {"encoder": encoder, "indexed": indexed}
        job = table.add("retrieval", lane=Lane.HEAVY, title="Measure retrieval", parameters=parameters)
    finally:
        table.close()
    ensure_running(home)
    return job


def measured(library: Library, encoder: str, indexed: str) -> dict[str, Any] | None:
    """Return the newest numbers of this encoder and this state of its index, None when they were not measured."""
    done = library.jobs.list(states=(JobState.FINISHED,), kinds=("retrieval",), limit=_LOOKED_THROUGH)
    wanted = {"encoder": encoder, "indexed": indexed}
    return next((job.result for job in done if job.parameters == wanted), None)
