"""What a score rests on, as steps from a start to the score: the same numbers for the figure, the table and the file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from sleepfm.inference.risk_result import AGE, SEX, RiskResult
from sleepfm.models.reference import Reference
from sleepfm.viewer.risk_words import PLAYER_WORDS, interval, minus, signed
from sleepfm.viewer.table_csv import table_csv
from sleepfm.vocabulary import Modality

DIGITS = 5
"""Behind the point in the table: what stands there adds up to the score to 1e-4, however many steps there are."""

_SEEN = 0.5 * 10**-DIGITS

MEAN_SCORE = "Mean of the reference"
NO_SIGNAL = "Without any signal"
NO_PLAYER = "No signal, average age and sex"
SCORE = "Score of this night"
AGE_AND_SEX = "Age and sex"
OTHER_START = "Other starting point"


@dataclass(frozen=True)
class Step:
    """One change of the score.

    Attributes
    ----------
    player
        A modality, "age" or "sex"; empty for a step that is no player of the game.
    change
        Of the log hazard.
    low, high
        95 % interval by bootstrap over the night's 5-min windows; None where the change does not depend on the night.
    left_out
        Score minus the score without this player, with its interval; None where the night has no such player.
    """

    name: str
    player: str
    change: float
    low: float | None = None
    high: float | None = None
    left_out: float | None = None
    left_out_low: float | None = None
    left_out_high: float | None = None


@dataclass(frozen=True)
class Reasons:
    """The way from the start to the score of one condition; `start` and the changes of `steps` add up to `score`."""

    start_name: str
    start: float
    steps: tuple[Step, ...]
    score: float
    low: float
    high: float
    score_name: str = SCORE


def reasons(result: RiskResult, k: int, reference: Reference | None) -> Reasons:
    """Return what the score of condition k rests on.

    Parameters
    ----------
    result
        The night's result.
    k
        The condition's place.
    reference
        The reference people to measure the changes against: the start is then their mean score, and a step is what this night has
        more or less than they have on average (all of it is linear, so it still adds up). None for the plain values: these start
        at the score that the model gives when it is shown no signal.

    Raises
    ------
    ValueError
        When the reference was not assessed for this condition.
    """
    steps = [_player(result, p, k) for p in range(len(result.players))]
    score, low, high = (float(numbers[k]) for numbers in (result.log_hazard_k, result.low_k, result.high_k))
    base = float(result.base_k[k])
    people_play = bool({AGE, SEX} & set(result.players))
    if reference is None:
        return Reasons(NO_PLAYER if people_play else NO_SIGNAL, base, tuple(steps), score, low, high)
    of_people = reference.conditions[k]
    if of_people is None:
        raise ValueError(f"the reference does not speak of condition {k}")
    shifted = [
        _less(step, of_people.mean_shapley.get(Modality(step.player), 0.0)) if step.player in _MODALITIES else step
        for step in steps
    ]
    absent = [
        Step(f"{PLAYER_WORDS[modality]}: not there", modality, -mean)
        for modality, mean in of_people.mean_shapley.items()
        if modality not in result.players
    ]
    moved = base - of_people.mean_base
    # where age and sex are players both starts are averages over the reference people: the same, unless those have changed
    first = [Step(OTHER_START if people_play else AGE_AND_SEX, "", moved)] if not people_play or abs(moved) >= _SEEN else []
    return Reasons(MEAN_SCORE, of_people.mean_score, (*first, *shifted, *absent), score, low, high)


_MODALITIES = frozenset(Modality)


def _player(result: RiskResult, p: int, k: int) -> Step:
    name = result.players[p]
    values = (
        float(numbers[p, k])
        for numbers in (
            result.shapley_pk,
            result.shapley_low_pk,
            result.shapley_high_pk,
            result.ablation_pk,
            result.ablation_low_pk,
            result.ablation_high_pk,
        )
    )
    return Step(PLAYER_WORDS[name], name, *values)


def _less(step: Step, mean: float) -> Step:
    return Step(
        step.name,
        step.player,
        step.change - mean,
        None if step.low is None else step.low - mean,
        None if step.high is None else step.high - mean,
        step.left_out,
        step.left_out_low,
        step.left_out_high,
    )


def reasons_table(of: Reasons) -> pd.DataFrame:
    """Return the steps as the words of a table: start, each change, score; the first column of numbers adds up to its last."""
    rows = [(of.start_name, minus(of.start, DIGITS), "", "", "")]
    for step in of.steps:
        left_out = "" if step.left_out is None else signed(step.left_out, DIGITS)
        left_out_interval = "" if step.left_out is None else interval(step.left_out_low, step.left_out_high, 3)
        rows.append((step.name, signed(step.change, DIGITS), interval(step.low, step.high, 3), left_out, left_out_interval))
    rows.append((of.score_name, minus(of.score, DIGITS), interval(of.low, of.high, 3), "", ""))
    return pd.DataFrame(rows, columns=list(REASON_COLUMNS))


REASON_COLUMNS = ("", "Change of the score", "95 % interval", "With minus without it", "95 % interval ")
"""The last has a blank behind it: two columns of a table need different names."""


def reasons_csv(result: RiskResult, k: int, reference: Reference | None) -> str:
    """Return what `reasons` says as a CSV file with full numbers, one row a step, the study and the model in each."""
    of = reasons(result, k, reference)
    about = {
        "study": result.study,
        "model": result.model,
        "phecode": result.conditions[k].phecode,
        "measured_from": "reference" if reference is not None else "no signal",
    }
    rows = [{**about, "step": of.start_name, "change": of.start}]
    rows += [
        {
            **about,
            "step": step.name,
            "change": step.change,
            "low": step.low,
            "high": step.high,
            "with_minus_without": step.left_out,
            "with_minus_without_low": step.left_out_low,
            "with_minus_without_high": step.left_out_high,
        }
        for step in of.steps
    ]
    rows.append({**about, "step": of.score_name, "change": of.score, "low": of.low, "high": of.high})
    columns = [*about, "step", "change", "low", "high", "with_minus_without", "with_minus_without_low", "with_minus_without_high"]
    return table_csv(pd.DataFrame(rows, columns=columns))
