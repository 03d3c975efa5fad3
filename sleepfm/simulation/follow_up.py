"""Follow-up of simulated people: conditions that never existed, called SIM-01 and so on: nobody takes them for diagnoses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.simulation.subject import Subject

CONDITIONS = ("SIM-01", "SIM-02", "SIM-03")
_YEARLY_HAZARD = 0.05
_FOLLOW_UP_YEARS = (4.0, 12.0)


@dataclass(frozen=True)
class FollowUp:
    """Whether each condition of `CONDITIONS` came, and the years until it came or the follow-up ended."""

    is_event: tuple[bool, ...]
    years: tuple[float, ...]


def follow_up(rng: np.random.Generator, subject: Subject) -> FollowUp:
    """Draw the follow-up of a person: proportional hazards, censored uniformly."""
    decades = (subject.age - 50) / 10
    breath = np.log1p(subject.apnea_index / 5)
    log_hazards = (
        0.25 * decades + 0.5 * breath + 0.03 * (subject.bmi - 27),
        0.6 * decades,
        0.5 * decades,
    )
    end = rng.uniform(*_FOLLOW_UP_YEARS)
    times = [rng.exponential(1 / (_YEARLY_HAZARD * np.exp(lp))) for lp in log_hazards]
    return FollowUp(
        is_event=tuple(bool(time <= end) for time in times),
        years=tuple(round(float(min(time, end)), 4) for time in times),
    )
