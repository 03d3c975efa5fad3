"""Simulated studies as files: what `sleepfm simulate` writes, and the demo study of an empty library."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from sleepfm.errors import RequestError
from sleepfm.progress import Progress, part, silent
from sleepfm.simulation.cohort import write_cohort
from sleepfm.simulation.course import check_hours
from sleepfm.simulation.edf_writer import write_night
from sleepfm.simulation.night import simulate_night
from sleepfm.simulation.people import visits
from sleepfm.simulation.processes import make_in_processes
from sleepfm.simulation.sites import SITES
from sleepfm.simulation.study_files import FIRST_NIGHT, SignalFormat, StudyFiles

MAX_STUDIES = 9999
DEMO_SEED = 1
DEMO_HOURS = 8.0


def simulate(
    out_dir: Path,
    studies: int,
    hours: float,
    seed: int,
    progress: Progress = silent,
    *,
    format: SignalFormat = "edf",
    sites: int = 1,
    jobs: int = 1,
) -> dict[str, list[dict[str, str]]]:
    """Write simulated studies and their cohort tables.

    Each study gets its signals, `<id>.csv` (true scoring) and `<id>_events.csv`; the folder gets the tables of
    `sleepfm.simulation.cohort.write_cohort`. Study k of a seed is the same whatever the number of studies, and its night is the
    same at any site and in any format. A study whose files are there, written with the same settings, is not simulated again, so
    a call that was stopped goes on where it was; other files of the same names are replaced.

    Parameters
    ----------
    out_dir
        Folder to write to; made when it is not there.
    studies
        How many, 1 to 9999.
    hours
        Length of each, see `sleepfm.simulation.course.draw_course`.
    seed
        Seed, 0 or larger.
    progress
        Called before and after each step; may raise Cancelled, and then no file is half-written.
    format
        "edf": `<id>.edf` (EDF+, with true scoring and events as annotations). "hdf5": `<id>.hdf5`, model-ready signals as
        `convert` makes them of that EDF.
    sites
        Number of laboratories, 1 (the full montage) to 4, see `sleepfm.simulation.sites`.
    jobs
        Processes; the files are the same for any number.

    Returns
    -------
    dict
        `{"studies": [{"id", "edf" or "hdf5", "scoring", "events"}]}`, paths as text.

    Raises
    ------
    RequestError
        When a number is out of range or `out_dir` is a file.
    SleepFMError
        When the disk refuses, or a process dies.
    """
    if not 1 <= studies <= MAX_STUDIES:
        raise RequestError(f"{studies} studies cannot be simulated at once: choose between 1 and {MAX_STUDIES}")
    if seed < 0:
        raise RequestError(f"the seed {seed} is negative: choose 0 or more")
    check_hours(hours)
    if format not in get_args(SignalFormat):
        raise RequestError(f"unknown format {format!r}: choose {' or '.join(get_args(SignalFormat))}")
    if not 1 <= sites <= len(SITES):
        raise RequestError(f"{sites} sites cannot be simulated: choose between 1 and {len(SITES)}")
    if jobs < 1:
        raise RequestError(f"{jobs} processes cannot simulate anything: choose 1 or more")
    if out_dir.exists() and not out_dir.is_dir():
        raise RequestError(f"{out_dir} is a file: give a folder to write to")
    todo = [StudyFiles(visit, hours, out_dir, format) for visit in visits(seed, studies, sites)]
    if jobs > 1 and studies > 1:
        participants = make_in_processes(todo, jobs, progress)
    else:
        participants = [
            one.make(threads=2, progress=part(progress, k / studies, (k + 1) / studies)) for k, one in enumerate(todo)
        ]
    write_cohort(participants, out_dir)
    progress(1.0, f"{studies} simulated studies in {out_dir}")
    return {"studies": [{"id": one.visit.study_id} | {what: str(path) for what, path in one.paths.items()} for one in todo]}


def demo_study(path: Path, progress: Progress = silent) -> None:
    """Write the demo study, an 8-h night with something of everything and always the same, as one EDF+ file.

    Raises
    ------
    SleepFMError
        When the disk refuses.
    """
    progress(0.0, "simulating the demo night")
    night = simulate_night(DEMO_SEED, DEMO_HOURS)
    progress(0.7, "writing the demo night")
    write_night(night, path, start=FIRST_NIGHT)
    progress(1.0, "the demo night is written")
