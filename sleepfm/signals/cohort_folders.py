"""A cohort's tree to a cohort folder: 128-Hz signals, a stage an epoch, events, and one table of its people."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.opening import RECORDING_SUFFIXES
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_events, read_scoring, write_scoring
from sleepfm.signals.cohort_trees import Cohort, CohortStudy
from sleepfm.signals.convert import convert_many

_FIRST_COLUMNS = ("Study ID", "Subject ID", "visit", "site", "age", "sex")


def convert_cohort(
    cohort: Cohort, out_dir: Path, *, jobs: int = 1, recipe: str = "published", progress: Progress = silent
) -> dict[str, list[Any]]:
    """Convert a cohort's recordings, and write its scorings, events and people beside them.

    Each study gets `<id>.hdf5` (grouped layout), `<id>.csv` (one row an epoch of 30 s, as many as the recording has whole ones;
    what nobody scored is Unknown) and `<id>_events.csv`; the folder gets `cohort.csv`. A study whose scoring cannot be read
    keeps its signals and is named.

    Parameters
    ----------
    cohort
        What `sleepfm.signals.cohort_trees.read_cohort` found.
    out_dir
        Folder to write to; made when it is not there.
    jobs
        Recordings converted at a time.
    recipe
        See `sleepfm.signals.recipes.RECIPES`.

    Returns
    -------
    dict
        `records` as of `convert_many`, each with the warnings of its scoring; `failed`: `file` and `error` of each recording,
        scoring or events file that could not be read; `left_out` (`file`, `reason`) and `warnings` of the cohort.

    Raises
    ------
    RequestError
        There is nothing to convert, the folder cannot be made, or the recipe is not known.
    Cancelled
        `progress` raised it.
    """
    by_file = {str(study.recording): study for study in cohort.studies if study.recording.suffix.lower() in RECORDING_SUFFIXES}
    if not by_file:
        raise RequestError(f"{cohort.root}: holds no recording to convert; signals files are used as they are.")
    made = convert_many(
        [study.recording for study in by_file.values()], out_dir, jobs=jobs, recipe=recipe, progress=part(progress, 0.0, 0.9)
    )
    failed = list(made["failed"])
    people: list[dict[str, str]] = []
    for number, record in enumerate(made["records"]):
        study = by_file[record["file"]]
        progress(0.9 + 0.1 * number / len(made["records"]), f"scoring of {study.id}")
        people.append(_person(record["id"], study))
        record["scoring_warnings"] = []
        try:
            if study.scoring is not None:
                scoring = read_scoring(study.scoring, duration_s=record["duration_s"])
                write_scoring(scoring, out_dir / f"{record['id']}.csv")
                record["scoring_warnings"] = list(scoring.warnings)
        except SleepFMError as error:
            failed.append({"file": str(study.scoring), "error": str(error)})
        try:
            if study.events is not None:
                write_events(read_events(study.events), out_dir / f"{record['id']}_events.csv")
        except SleepFMError as error:
            failed.append({"file": str(study.events), "error": str(error)})
    _write_people(people, out_dir / "cohort.csv")
    return {
        "records": made["records"],
        "failed": failed,
        "left_out": [{"file": str(one.path), "reason": one.reason} for one in cohort.left_out],
        "warnings": list(cohort.warnings),
    }


def _person(identifier: str, study: CohortStudy) -> dict[str, str]:
    known = {"Study ID": identifier, "Subject ID": study.subject, "visit": study.visit, "site": study.site}
    return known | {name: f"{value:.10g}" if isinstance(value, float) else value for name, value in study.facts.items()}


def _write_people(people: list[dict[str, str]], path: Path) -> None:
    further = sorted({name for person in people for name in person} - set(_FIRST_COLUMNS))
    text = io.StringIO()
    table = csv.DictWriter(text, [*_FIRST_COLUMNS, *further], restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(people)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
