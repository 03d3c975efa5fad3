"""Which epochs deserve a look: where two scorings differ, or where the only one was least certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.viewer.study_source import NamedScoring
from sleepfm.vocabulary import STAGE_SHORT, Stage

LEAST_CERTAIN = 0.05
"""Share of the scored epochs put forward when there is one scoring: what a technician can look through in a few minutes."""
CERTAIN_ENOUGH = 0.9
"""Highest probability above which an epoch is not put forward however certain the others are (ambiguity limits in the
hypnodensity literature lie between 0.9 and 0.95)."""


@dataclass(frozen=True)
class Mark:
    """One epoch (1-based) and why it should be looked at."""

    epoch: int
    why: str


def review_marks(scorings: Sequence[NamedScoring]) -> list[Mark]:
    """Return the epochs to look at, in order of time.

    With two scorings: every epoch that both scored and scored differently. With one that has probabilities: the 5 % of its
    scored epochs with the lowest winning probability, leaving out any at 0.9 or above and any that a person has given another
    stage.
    """
    if len(scorings) >= 2:
        return _disagreements(scorings[0], scorings[1])
    if len(scorings) == 1 and scorings[0].scoring.probabilities is not None:
        return _least_certain(scorings[0].scoring.stages, scorings[0].scoring.probabilities)
    return []


def _disagreements(first: NamedScoring, second: NamedScoring) -> list[Mark]:
    length = min(len(first.scoring.stages), len(second.scoring.stages))
    a, b = first.scoring.stages[:length], second.scoring.stages[:length]
    differ = np.flatnonzero((a != b) & (a != Stage.UNKNOWN) & (b != Stage.UNKNOWN))
    return [
        Mark(int(e) + 1, f"{first.label} {STAGE_SHORT[Stage(a[e])]}, {second.label} {STAGE_SHORT[Stage(b[e])]}") for e in differ
    ]


def _least_certain(stages: np.ndarray, probabilities: np.ndarray) -> list[Mark]:
    known = (stages != Stage.UNKNOWN) & np.isfinite(probabilities).all(axis=1)
    scored = np.flatnonzero(known & (np.argmax(np.nan_to_num(probabilities), axis=1) == stages))
    if not scored.size:
        return []
    certainty = probabilities[scored].max(axis=1)
    count = int(np.ceil(LEAST_CERTAIN * scored.size))
    order = np.argsort(certainty, kind="stable")[:count]
    chosen = np.sort(order[certainty[order] < CERTAIN_ENOUGH])
    return [Mark(int(scored[k]) + 1, f"{STAGE_SHORT[Stage(stages[scored[k]])]} with only {certainty[k]:.2f}") for k in chosen]
