"""Follow-up of simulated people: conditions that never existed, called SIM-01 and so on so that nobody takes them for diagnoses.

SIM-01 comes with apneas, SIM-02 with age and little N3, SIM-03 with age alone: a night says nothing more about it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.files import atomic_path
from sleepfm.simulation.night import Night
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

CONDITIONS = ("SIM-01", "SIM-02", "SIM-03")
_YEARLY_HAZARD = 0.05
_FOLLOW_UP_YEARS = (4.0, 12.0)
_BREATH_EVENTS = (EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA, EventName.HYPOPNEA)


@dataclass(frozen=True)
class Participant:
    """One row of the cohort: the person, what the night held (counted from its events), and the follow-up.

    Attributes
    ----------
    ahi
        Apneas and hypopneas an hour of sleep; 0 without sleep.
    n3_minutes, sleep_minutes
        From the true scoring.
    is_event, years
        One entry a condition: whether it came, and the years until it came or the follow-up ended.
    """

    study_id: str
    age: float
    sex: str
    bmi: float
    ahi: float
    n3_minutes: float
    sleep_minutes: float
    is_event: tuple[bool, ...]
    years: tuple[float, ...]


def follow_up(rng: np.random.Generator, study_id: str, night: Night) -> Participant:
    """Draw the follow-up of the person who slept this night: exponential times with proportional hazards, censored uniformly."""
    counts = Counter(event.name for event in night.events)
    sleep_minutes = float(np.isin(night.stages, (Stage.N1, Stage.N2, Stage.N3, Stage.REM)).sum()) * EPOCH_S / 60
    n3_minutes = float((night.stages == Stage.N3).sum()) * EPOCH_S / 60
    breath_events = sum(counts[name] for name in _BREATH_EVENTS)
    ahi = breath_events / (sleep_minutes / 60) if sleep_minutes else 0.0
    n3_share = n3_minutes / sleep_minutes if sleep_minutes else 0.0

    decades = (night.subject.age - 50) / 10
    log_hazards = (
        0.25 * decades + 0.5 * np.log1p(ahi / 5) + 0.03 * (night.subject.bmi - 27),
        0.6 * decades - 5.0 * (n3_share - 0.17),
        0.5 * decades,
    )
    end = rng.uniform(*_FOLLOW_UP_YEARS)
    times = [rng.exponential(1 / (_YEARLY_HAZARD * np.exp(lp))) for lp in log_hazards]
    return Participant(
        study_id=study_id,
        age=night.subject.age,
        sex=night.subject.sex,
        bmi=night.subject.bmi,
        ahi=round(ahi, 2),
        n3_minutes=n3_minutes,
        sleep_minutes=sleep_minutes,
        is_event=tuple(bool(time <= end) for time in times),
        years=tuple(round(float(min(time, end)), 4) for time in times),
    )


def write_cohort(participants: list[Participant], folder: Path) -> None:
    """Write `cohort.csv`, `is_event.csv` and `time_to_event.csv` (years), one row a study, into the folder."""
    people = [[p.study_id, p.age, p.sex, p.bmi, p.ahi, p.n3_minutes, p.sleep_minutes] for p in participants]
    _write(folder / "cohort.csv", ["Study ID", "age", "sex", "bmi", "ahi", "n3_minutes", "sleep_minutes"], people)
    _write(folder / "is_event.csv", ["Study ID", *CONDITIONS], [[p.study_id, *map(int, p.is_event)] for p in participants])
    _write(folder / "time_to_event.csv", ["Study ID", *CONDITIONS], [[p.study_id, *p.years] for p in participants])


def _write(path: Path, header: list[str], rows: list[list[object]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
