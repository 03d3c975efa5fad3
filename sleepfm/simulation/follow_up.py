"""Follow-up of simulated people: conditions that never existed, called SIM-01 and so on so that nobody takes them for real ones.

Times are Weibull with proportional hazards (Bender, Augustin & Blettner 2005), censored when the study ends. What drives each
condition is in `CONDITIONS`; SIM-03 comes with age alone, so a night adds nothing to it, and SIM-08 is rare.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from sleepfm.simulation.subject import Subject

_FOLLOW_UP_YEARS = (6.0, 14.0)


@dataclass(frozen=True)
class Condition:
    """What brings a condition on.

    Attributes
    ----------
    scale_years
        Time by which 63 % of people with a linear predictor of 0 have it.
    shape
        Of the Weibull distribution: above 1, the hazard rises with time.
    drivers
        Log hazard ratio of each: a liability, "apnea" (standardised logarithm of the apnea index), "decades" of age from 50, or
        "male".
    """

    scale_years: float
    shape: float
    drivers: dict[str, float]


CONDITIONS: MappingProxyType[str, Condition] = MappingProxyType({
    "SIM-01": Condition(32.0, 1.2, {"apnea": 1.9}),
    "SIM-02": Condition(20.0, 1.3, {"cardiac": 2.0, "decades": 0.2, "male": 0.15}),
    "SIM-03": Condition(18.0, 1.5, {"decades": 0.9}),
    "SIM-04": Condition(30.0, 1.4, {"neuro": 2.2, "decades": 0.1}),
    "SIM-05": Condition(36.0, 1.2, {"respiratory": 2.0, "apnea": 0.3}),
    "SIM-06": Condition(55.0, 1.1, {"inflammatory": 2.0, "male": -0.2}),
    "SIM-07": Condition(22.0, 1.4, {"cardiac": 1.5, "neuro": 1.4}),
    "SIM-08": Condition(190.0, 1.2, {"cardiac": 1.4, "respiratory": 1.5}),
})  # fmt: skip


@dataclass(frozen=True)
class FollowUp:
    """Whether each condition of `CONDITIONS` came, and the years until it came or the follow-up ended."""

    is_event: tuple[bool, ...]
    years: tuple[float, ...]


def log_hazard(condition: str, subject: Subject) -> float:
    """Return the true linear predictor of a condition for a person."""
    values = {
        **vars(subject.liabilities),
        "apnea": (np.log(subject.apnea_index) - 1.9) / 0.85,
        "decades": (subject.age - 50) / 10,
        "male": 1.0 if subject.sex == "male" else -1.0,
    }
    return float(sum(weight * values[name] for name, weight in CONDITIONS[condition].drivers.items()))


def follow_up(rng: np.random.Generator, subject: Subject) -> FollowUp:
    """Draw the follow-up of a person: one end of the study, and a time for each condition."""
    end = rng.uniform(*_FOLLOW_UP_YEARS)
    times = [
        condition.scale_years * (rng.exponential() * np.exp(-log_hazard(name, subject))) ** (1 / condition.shape)
        for name, condition in CONDITIONS.items()
    ]
    return FollowUp(
        is_event=tuple(bool(time <= end) for time in times),
        years=tuple(max(1e-4, round(float(min(time, end)), 4)) for time in times),
    )
