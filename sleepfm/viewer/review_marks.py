"""Which epochs deserve a look: where two scorings differ, or where the one that there is was least certain."""

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


def are_compared(scorings: Sequence[NamedScoring], proposed: Sequence[int] | None = None) -> bool:
    """Return whether the marks are where two scorings differ.

    A review over its own proposal is no comparison: they differ where somebody has looked already.

    Parameters
    ----------
    scorings
        Those on the screen, from top to bottom.
    proposed
        The stages that the upper one was begun from (numbers of `Stage`), None when it is no review.
    """
    if len(scorings) < 2:
        return False
    lower = scorings[1].scoring.stages
    length = 0 if proposed is None else min(len(lower), len(proposed))
    return length == 0 or not np.array_equal(lower[:length], np.asarray(proposed)[:length])


def review_marks(scorings: Sequence[NamedScoring], proposed: Sequence[int] | None = None) -> list[Mark]:
    """Return the epochs to look at, in order of time; parameters as in `are_compared`.

    Where two are compared: every epoch that both scored and scored differently. Else, of the upper one's probabilities: the 5 %
    of the scored epochs with the lowest winning probability, leaving out any at 0.9 or above. Of a review they are those of its
    proposal, also where somebody has looked since: the viewer leaves those out as they are looked at, and brings them back when
    that is undone.
    """
    if are_compared(scorings, proposed):
        return _disagreements(scorings[0], scorings[1])
    if not scorings or scorings[0].scoring.probabilities is None:
        return []
    stages = scorings[0].scoring.stages if proposed is None else np.asarray(proposed, dtype=np.int8)
    return _least_certain(stages, scorings[0].scoring.probabilities)


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
