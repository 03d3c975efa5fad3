"""Submitting the library's background work, from the app and the command line; what the jobs do stands in `job_*.py`."""

from __future__ import annotations

from pathlib import Path

from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable, Lane


def submit_study(library: Library, identifier: str, *, stage: bool, scoring: Path | None = None) -> None:
    """Queue what every new study needs (see `queue_study`) and see that it is worked off."""
    queue_study(library, identifier, stage=stage, scoring=scoring)
    ensure_running(library.home)


def queue_study(library: Library, identifier: str, *, stage: bool, scoring: Path | None = None) -> None:
    """Queue what every new study needs: looking it through, with a scoring that lies beside it, and staging when wanted."""
    parameters = {"study": identifier} | ({} if scoring is None else {"scoring": str(scoring)})
    library.jobs.add("prepare", lane=Lane.QUICK, title=f"Prepare {identifier}", subject=identifier, parameters=parameters)
    if stage:
        _queue_staging(library, identifier, "auto", None)


def submit_staging(library: Library, identifier: str, *, engine: str = "auto", model: str | None = None) -> Job:
    """Queue the staging of a study and see that it is worked off.

    Raises
    ------
    RequestError
        When there is no such study.
    """
    job = _queue_staging(library, library.study(identifier).id, engine, model)
    ensure_running(library.home)
    return job


def _queue_staging(library: Library, identifier: str, engine: str, model: str | None) -> Job:
    parameters = {"study": identifier, "engine": engine, "model": model}
    return library.jobs.add("stage", lane=Lane.HEAVY, title=f"Stage {identifier}", subject=identifier, parameters=parameters)


def submit_events(
    library: Library,
    identifier: str,
    *,
    scoring: int | None = None,
    profile: str | None = None,
    breathing_model: str | None = None,
) -> Job:
    """Queue the scoring of a study's events and see that it is worked off.

    Parameters
    ----------
    scoring
        Number of the scoring whose stages count; None: the one that counts for the study when the job begins.
    profile
        psgscoring's rules; None: the usual ones.
    breathing_model
        A breathing head to judge the night beside; None: one that was trained on real recordings, where there is one.

    Raises
    ------
    RequestError
        When there is no such study.
    """
    study = library.study(identifier).id
    job = library.jobs.add(
        "events",
        lane=Lane.HEAVY,
        title=f"Score events of {study}",
        subject=study,
        parameters={"study": study, "scoring": scoring, "profile": profile, "breathing_model": breathing_model},
    )
    ensure_running(library.home)
    return job


def submit_folder_import(home: Home, folder: Path, *, stage: bool) -> Job:
    """Queue the import of every recording below a folder."""
    table = JobTable(home)
    job = table.add(
        "import",
        lane=Lane.QUICK,
        title=f"Import {folder}",
        parameters={"folder": str(folder.absolute()), "stage": stage},
    )
    table.close()
    ensure_running(home)
    return job


def add_demo_when_empty(home: Home) -> None:
    """Queue the simulated demo study when the library holds nothing, so that there is something to see."""
    with Library(home) as library:
        if library.count() == 0:
            library.jobs.add("demo", lane=Lane.QUICK, title="Make the simulated demo study")
            ensure_running(home)
