"""The job that makes a simulated cohort to try the explore pages with: nights, what is known of their people, the index."""

from __future__ import annotations

from typing import Any

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.cohort_tables import import_table
from sleepfm.library.job_index import index
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable, Lane

STUDIES = 24
HOURS = 1.0
SITES = 3
SEED = 4
SIZE_MB = 800
"""About what the recordings and what is derived from them take on the disk."""
DEMO_ENCODER = "demo-encoder"


def make(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Simulate a cohort, add its studies with their true scorings and tables, and index them with the demo encoder.

    What is there already is not made again, so a run that was stopped goes on where it was.
    """
    from sleepfm.simulation.study import simulate  # noqa: PLC0415 - only this job needs it

    shelf = Shelf(home.models)
    if not any(entry.name == DEMO_ENCODER for entry in shelf.entries()):
        raise RequestError(
            f"{DEMO_ENCODER} is not on the shelf{shelf.retired_words(Task.ENCODER)}: nights can be simulated, but nothing could"
            " be looked up in them"
        )
    folder = home.root / "demo" / "cohort"
    made = simulate(
        folder,
        parameters["studies"],
        parameters["hours"],
        parameters["seed"],
        part(progress, 0.0, 0.35),
        sites=parameters["sites"],
        jobs=2,
    )["studies"]
    added: list[str] = []
    failed: list[dict[str, str]] = []
    for number, one in enumerate(made):
        here = part(progress, 0.35 + 0.3 * number / len(made), 0.35 + 0.3 * (number + 1) / len(made))
        try:
            with Library(home) as library:
                study = library.add(one["edf"])
            if study.quality is None:
                prepare(home, {"study": study.id}, here)
            added.append(study.id)
        except Cancelled:
            raise
        except SleepFMError as error:
            failed.append({"file": one["edf"], "error": str(error)})
    with Library(home) as library:
        import_table(library, folder / "cohort.csv")
    indexed = index(home, {"encoder": DEMO_ENCODER, "studies": added}, part(progress, 0.65, 1.0))
    return {"added": added, "failed": [*failed, *indexed["failed"]]}


def submit_demo_cohort(home: Home) -> Job:
    """Queue the making of the simulated cohort and see that it is worked off."""
    table = JobTable(home)
    try:
        parameters = {"studies": STUDIES, "hours": HOURS, "sites": SITES, "seed": SEED}
        job = table.add("demo-cohort", lane=Lane.HEAVY, title="Make a simulated cohort", parameters=parameters)
    finally:
        table.close()
    ensure_running(home)
    return job
