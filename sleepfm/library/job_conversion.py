"""Converting and embedding a cohort as a job: on this machine in worker processes, on a cluster as an array of parts.

The ids of all files are settled when the job is queued, so a part knows by itself its files and what they are to be called.
What is done already, from the same bytes in the same way, is not done again: resuming a job does what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.launchers import LAUNCHERS
from sleepfm.runs.launchers.cluster_settings import cluster_settings
from sleepfm.runs.table import Job, JobTable, Lane
from sleepfm.signals.conversion import check_options
from sleepfm.signals.convert import STUDY_SUFFIXES, convert_planned, find_recordings
from sleepfm.signals.store_writing import make_folder
from sleepfm.signals.study_ids import study_ids
from sleepfm.text import printable

Plan = list[tuple[Path, str]]


def submit_conversion(
    home: Home,
    files: Sequence[Path],
    out: Path,
    *,
    launcher: str = "local",
    recipe: str = "published",
    layout: str = "grouped",
    jobs: int = 1,
    submitted_by: str = "",
    start: bool = True,
) -> Job:
    """Queue the conversion of recordings, and of all below folders, to `out`/<id>.hdf5.

    Parameters
    ----------
    launcher
        "local", or "slurm" for an array of as many parts as the cluster's settings say.
    jobs
        Recordings at a time, here or in each part.
    start
        See that it is worked off.

    Raises
    ------
    RequestError
        An input is missing, a folder holds no recording, `out` cannot be made, or an option is not known; nothing was queued.
    """
    check_options(recipe, layout)
    parameters = {"recipe": recipe, "layout": layout, "jobs": jobs}
    found = find_recordings(files)
    return _Queue(home, launcher, submitted_by, start=start).add("conversion", "Convert", found, out, parameters)


def submit_embedding(
    home: Home,
    files: Sequence[Path],
    out: Path,
    *,
    model: str,
    launcher: str = "local",
    device: str = "auto",
    precision: str = "fp32",
    submitted_by: str = "",
    start: bool = True,
) -> Job:
    """Queue the embedding of recordings and signals files, and of all below folders, into `out`/5s and `out`/5min.

    Parameters
    ----------
    model
        An encoder on the shelf.

    Otherwise as `submit_conversion`.
    """
    Shelf(home.models).get(model)
    parameters = {"model": model, "device": device, "precision": precision}
    found = find_recordings(files, STUDY_SUFFIXES)
    return _Queue(home, launcher, submitted_by, start=start).add("embedding", "Embed", found, out, parameters)


def convert_cohort(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:  # noqa: ARG001
    """Convert the files of the job, or of its part.

    Parameters
    ----------
    parameters
        `files` (path and id of each), `out`, `recipe`, `layout`, `jobs`; for a part also `part` and `parts`.

    Returns
    -------
    dict
        `records` and `failed`, as `sleepfm convert --json` prints them.
    """
    return convert_planned(
        plan_of(parameters),
        Path(parameters["out"]),
        jobs=parameters["jobs"],
        recipe=parameters["recipe"],
        layout=parameters["layout"],
        progress=progress,
    )


def embed_cohort(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Embed the files of the job, or of its part.

    Parameters
    ----------
    parameters
        `files` (path and id of each), `out`, `model`, `device`, `precision`; for a part also `part` and `parts`.

    Returns
    -------
    dict
        `records` and `failed`, as `sleepfm embed --json` prints them.
    """
    from sleepfm.inference.embed_many import embed_planned  # noqa: PLC0415 - torch

    return embed_planned(
        plan_of(parameters),
        Path(parameters["out"]),
        encoder=Shelf(home.models).get(parameters["model"]),
        device=parameters["device"],
        precision=parameters["precision"],
        progress=progress,
    )


def plan_of(parameters: dict[str, Any]) -> Plan:
    """Return the files and ids of a job, or of its part: neighbours, so that joined results stand in the order of the inputs."""
    files = [(Path(file), str(identifier)) for file, identifier in parameters["files"]]
    part, parts = parameters.get("part", 0), parameters.get("parts", 1)
    return files[len(files) * part // parts : len(files) * (part + 1) // parts]


class _Queue:
    """Where a job over many files is put."""

    def __init__(self, home: Home, launcher: str, submitted_by: str, *, start: bool) -> None:
        if launcher not in LAUNCHERS:
            raise RequestError(f"{printable(launcher)!r} is no launcher; known are {', '.join(LAUNCHERS)}")
        self._home = home
        self._launcher = launcher
        self._submitted_by = submitted_by
        self._start = start

    def add(self, kind: str, verb: str, files: Sequence[Path], out: Path, parameters: dict[str, Any]) -> Job:
        make_folder(out)
        plan = [[os.fspath(file.absolute()), identifier] for file, identifier in zip(files, study_ids(files), strict=True)]
        parameters = parameters | {"files": plan, "out": os.fspath(out.absolute())}
        cluster = self._launcher != "local"
        if cluster:
            parameters["parts"] = min(len(plan), cluster_settings(self._home).array_jobs)
        many = f"{len(plan)} recordings" if len(plan) > 1 else printable(files[0].name)
        table = JobTable(self._home)
        try:
            job = table.add(
                kind,
                lane=Lane.CLUSTER if cluster else Lane.HEAVY,
                title=f"{verb} {many} to {printable(out.name)}",
                parameters=parameters,
                launcher=self._launcher,
                submitted_by=self._submitted_by,
            )
        finally:
            table.close()
        if self._start:
            ensure_running(self._home)
        return job
