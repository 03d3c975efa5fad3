"""Simulated studies as files: what `sleepfm simulate` writes, and the demo study of an empty library."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.progress import Progress, silent
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.simulation.cohort import follow_up, write_cohort
from sleepfm.simulation.edf_writer import write_night
from sleepfm.simulation.night import MAX_HOURS, SOURCE, simulate_night
from sleepfm.vocabulary import EPOCH_S

MAX_STUDIES = 9999
_FIRST_NIGHT = datetime(2020, 1, 1, 22, 30)  # nobody's night: any date would do, and a fixed one keeps files equal
DEMO_SEED = 1
DEMO_HOURS = 8.0


def simulate(
    out_dir: Path, studies: int, hours: float, seed: int, progress: Progress = silent
) -> dict[str, list[dict[str, str]]]:
    """Write simulated studies and their cohort tables.

    Each study gets `<id>.edf` (EDF+, with true scoring and events as annotations), `<id>.csv` (true scoring) and
    `<id>_events.csv`; the folder gets `cohort.csv`, `is_event.csv` and `time_to_event.csv`. Study k of a seed is the same
    whatever the number of studies.

    Parameters
    ----------
    out_dir
        Folder to write to; made when it is not there. Files of the same names are replaced.
    studies
        How many, 1 to 9999.
    hours
        Length of each, see `simulate_night`.
    seed
        Seed, 0 or larger.
    progress
        Called before and after each step; may raise Cancelled, and then no file is half-written.

    Returns
    -------
    dict
        `{"studies": [{"id", "edf", "scoring", "events"}]}`, paths as text.

    Raises
    ------
    RequestError
        When a number is out of range or `out_dir` is a file.
    SleepFMError
        When the disk refuses.
    """
    if not 1 <= studies <= MAX_STUDIES:
        raise RequestError(f"{studies} studies cannot be simulated at once: choose between 1 and {MAX_STUDIES}")
    if seed < 0:
        raise RequestError(f"the seed {seed} is negative: choose 0 or more")
    if not EPOCH_S / 3600 <= hours <= MAX_HOURS:
        raise RequestError(f"a study of {hours:g} h cannot be simulated: choose between {EPOCH_S / 3600:.4f} and {MAX_HOURS:g} h")
    if out_dir.exists() and not out_dir.is_dir():
        raise RequestError(f"{out_dir} is a file: give a folder to write to")
    written: list[dict[str, str]] = []
    participants = []
    for k, branch in enumerate(np.random.SeedSequence(seed).spawn(studies)):
        study_id = f"sim-{seed}-{k + 1:04d}"
        progress(k / studies, f"simulating {study_id}")
        night_seed, life_seed = branch.spawn(2)
        night = simulate_night(night_seed, hours)
        progress((k + 0.7) / studies, f"writing {study_id}")
        edf, scoring, events = (out_dir / f"{study_id}{end}" for end in (".edf", ".csv", "_events.csv"))
        write_night(night, edf, start=_FIRST_NIGHT + timedelta(days=k))
        write_scoring(Scoring(night.stages, scorer=SOURCE), scoring)
        write_events(night.events, events)
        participants.append(follow_up(np.random.default_rng(life_seed), study_id, night))
        written.append({"id": study_id, "edf": str(edf), "scoring": str(scoring), "events": str(events)})
    write_cohort(participants, out_dir)
    progress(1.0, f"{studies} simulated studies in {out_dir}")
    return {"studies": written}


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
    write_night(night, path, start=_FIRST_NIGHT)
    progress(1.0, "the demo night is written")
