"""The tables of a simulated cohort: who was studied, what the night measured, and what became of them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from sleepfm.files import atomic_path
from sleepfm.simulation.follow_up import CONDITIONS, FollowUp
from sleepfm.simulation.measures import Measures
from sleepfm.simulation.people import Visit
from sleepfm.simulation.subject import LIABILITIES

COHORT_COLUMNS = (
    "Study ID",
    "Subject ID",
    "site",
    "age",
    "sex",
    "bmi",
    "ahi",
    "heart_bpm",
    "rmssd_ms",
    "spindles_per_min",
    "fragmentation",
    "plm_index",
    "n3_minutes",
    "sleep_minutes",
    *(f"liability_{name}" for name in LIABILITIES),
)
GENDER = {"female": 0, "male": 1}
"""How `demographics.csv` codes sex, as in the published form of that file."""


@dataclass(frozen=True)
class Participant:
    """One row of the cohort: the study, what its night measured, and the person's follow-up."""

    visit: Visit
    measures: Measures
    follow_up: FollowUp


def write_cohort(participants: list[Participant], folder: Path) -> None:
    """Write the cohort's tables, one row a study, into the folder.

    `cohort.csv` has the columns of `COHORT_COLUMNS`, counted from each night's true events (see
    `Measures`), with the simulated truth that no real cohort has in `liability_…`; `demographics.csv`
    has `Study ID,age,gender`, age in years and gender 0 female, 1 male; `is_event.csv` and `time_to_event.csv` (years) have a
    column a condition.
    """
    people, demographics, happened, times = [], [], [], []
    for one in participants:
        visit, who, found = one.visit, one.visit.subject, one.measures
        person = [visit.study_id, visit.subject_id, visit.site, who.age, who.sex, who.bmi]
        prone = [getattr(who.liabilities, name) for name in LIABILITIES]
        people.append([*person, *vars(found).values(), *prone])
        demographics.append([visit.study_id, who.age, GENDER[who.sex]])
        happened.append([visit.study_id, *map(int, one.follow_up.is_event)])
        times.append([visit.study_id, *one.follow_up.years])
    _write(folder / "cohort.csv", COHORT_COLUMNS, people)
    _write(folder / "demographics.csv", ("Study ID", "age", "gender"), demographics)
    _write(folder / "is_event.csv", ("Study ID", *CONDITIONS), happened)
    _write(folder / "time_to_event.csv", ("Study ID", *CONDITIONS), times)


def _write(path: Path, header: tuple[str, ...], rows: list[list[object]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
