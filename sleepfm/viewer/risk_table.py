"""The conditions of a result as one table: for the screen, for searching, and for a file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sleepfm.inference.risk_curves import Curve, event_free_curve, ranks_only
from sleepfm.inference.risk_result import RiskResult
from sleepfm.models.card import UNKNOWN, Condition, ModelCard
from sleepfm.models.reference import ConditionReference, Measured, Reference
from sleepfm.text import printable
from sleepfm.viewer.risk_words import BETTER, NO_BETTER, NOT_COMPARED, TOO_FEW, interval


@dataclass(frozen=True, eq=False)
class Assessment:
    """A result with what it is read beside.

    Attributes
    ----------
    result
        The scores of one night.
    card
        Of the model that made it; None when the shelf has it no more, or other weights under its name.
    reference
        That model's reference people.
    demographics
        The card of the model of age and sex alone, where it is on the shelf.
    rank_k, ranked
        (condition,) where the night stands among the `ranked` nights of the library, 1 the highest score.
    """

    result: RiskResult
    card: ModelCard | None = None
    reference: Reference | None = None
    demographics: ModelCard | None = None
    rank_k: np.ndarray | None = None
    ranked: int = 0

    def ranks_only(self, k: int) -> str:
        """Return why condition k has no numbers but ranks; empty when it has."""
        if self.card is None:
            return (
                f"{printable(self.result.model)} is no longer on the shelf with the weights that made this result:"
                " its scores rank people and give no probabilities."
            )
        return ranks_only(self.card, self.result, k)

    def curve(self, k: int) -> Curve | None:
        """Return the event-free curve of condition k; None where there are ranks only."""
        if self.card is None or self.ranks_only(k):
            return None
        of = self.result
        return event_free_curve(self.card, k, float(of.log_hazard_k[k]), float(of.low_k[k]), float(of.high_k[k]))

    def demographics_curve(self, k: int) -> Curve | None:
        """Return the curve of age and sex alone; None where nobody can tell."""
        log_hazard_k = self.result.demographics_log_hazard_k
        there = self._of_demographics.get(self.result.conditions[k].phecode)
        if self.demographics is None or log_hazard_k is None or there is None or not np.isfinite(log_hazard_k[k]):
            return None
        return event_free_curve(self.demographics, there, *[float(log_hazard_k[k])] * 3)

    @cached_property
    def _of_demographics(self) -> dict[str, int]:
        """The place of each phecode in the model of age and sex alone."""
        labels = () if self.demographics is None or self.demographics.labels == UNKNOWN else self.demographics.labels
        return {one.phecode: place for place, one in enumerate(labels) if isinstance(one, Condition)}

    def of_reference(self, k: int) -> ConditionReference | None:
        """Return what the reference says of condition k."""
        return None if self.reference is None else self.reference.conditions[k]

    def percentile(self, k: int) -> float | None:
        """Return how many per cent of the reference people score lower."""
        return None if self.reference is None else self.reference.percentile(k, float(self.result.log_hazard_k[k]))

    def beside_demographics(self, k: int) -> str:
        """Return in words whether the model tells condition k better than age and sex do."""
        of_people = self.of_reference(k)
        if self.reference is None or of_people is None:
            return NOT_COMPARED
        beats = self.reference.beats_demographics(k)
        if beats is None:
            return TOO_FEW if of_people.few_events else NOT_COMPARED
        return BETTER if beats else NO_BETTER


def years_known(of: Assessment) -> tuple[float, ...]:
    """Return the years that there are probabilities for; none when the result is ranks only throughout."""
    if of.card is None or of.card.baseline_hazard is None or of.result.demographics_left_out:
        return ()
    return tuple(year for year in of.card.baseline_hazard.years if year > 0)


def condition_table(of: Assessment, year: float | None) -> pd.DataFrame:
    """Return one row a condition in the model's order, with full numbers; NaN where there is none.

    `year` is the time that the probabilities belong to.
    """
    return pd.DataFrame([_row(of, k, year) for k in range(len(of.result.conditions))])


def _row(of: Assessment, k: int, year: float | None) -> dict[str, object]:
    result, condition, people = of.result, of.result.conditions[k], of.of_reference(k)
    why = of.ranks_only(k)
    curve, beside = (of.curve(k), of.demographics_curve(k)) if year is not None else (None, None)
    free, low, high = _at(curve, year)
    c_index, c_low, c_high = _measured(None if people is None else people.c_index)
    c_beside, c_beside_low, c_beside_high = _measured(None if people is None else people.demographics_c_index)
    return {
        "phecode": condition.phecode,
        "phenotype": condition.phenotype,
        "log_hazard": np.nan if why else float(result.log_hazard_k[k]),
        "log_hazard_low": np.nan if why else float(result.low_k[k]),
        "log_hazard_high": np.nan if why else float(result.high_k[k]),
        "percentile": _number(of.percentile(k)),
        "rank": np.nan if of.rank_k is None else float(of.rank_k[k]),
        "ranked": of.ranked if of.rank_k is not None else np.nan,
        "years": _number(year),
        "event_free": free,
        "event_free_low": low,
        "event_free_high": high,
        "event_free_age_and_sex": _at(beside, year)[0],
        "c_index": c_index,
        "c_index_low": c_low,
        "c_index_high": c_high,
        "c_index_age_and_sex": c_beside,
        "c_index_age_and_sex_low": c_beside_low,
        "c_index_age_and_sex_high": c_beside_high,
        "p": _number(None if people is None else people.p),
        "n": _number(None if people is None else people.n),
        "events": _number(None if people is None else people.events),
        "beside_age_and_sex": of.beside_demographics(k),
        "ranks_only": why,
    }


def _at(curve: Curve | None, year: float | None) -> tuple[float, float, float]:
    found = None if curve is None or year is None else curve.at(year)
    return (np.nan, np.nan, np.nan) if found is None else found


def _measured(value: Measured | None) -> tuple[float, float, float]:
    return (np.nan, np.nan, np.nan) if value is None else (value.value, _number(value.low), _number(value.high))


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def found(table: pd.DataFrame, search: str) -> pd.DataFrame:
    """Return the rows whose phecode or name holds every word of the search, ignoring case; their index stays."""
    kept_k = np.ones(len(table), dtype=bool)
    both = (table["phecode"] + " " + table["phenotype"]).str.casefold()
    for word in search.casefold().split():
        kept_k &= both.str.contains(word, regex=False).to_numpy()
    return table[kept_k]


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the highest percentile first, else the highest rank, else as the model has them."""
    for column, ascending in (("percentile", False), ("rank", True)):
        if table[column].notna().any():
            return table.sort_values(column, ascending=ascending, na_position="last", kind="stable")
    return table


def screen_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the words and units of the screen, columns without any number left out; the same rows and index."""
    year = table["years"].iloc[0] if len(table) else np.nan
    percent = {name: 100 * table[name] for name in ("event_free", "event_free_low", "event_free_high", "event_free_age_and_sex")}
    shown = pd.DataFrame(index=table.index)
    shown["Phecode"] = table["phecode"].map(printable)
    shown["Condition"] = table["phenotype"].map(printable)
    shown["Log hazard"] = table["log_hazard"]
    shown["95 % interval"] = _intervals(table["log_hazard_low"], table["log_hazard_high"], 2)
    shown["Percentile"] = table["percentile"]
    if table["percentile"].isna().all() and (table["ranked"] > 1).any():  # the first among one says nothing
        shown["Rank"] = [
            None if np.isnan(rank) else f"{rank:.0f} of {of:.0f}" for rank, of in zip(table["rank"], table["ranked"], strict=True)
        ]
    shown["Beside age and sex"] = table["beside_age_and_sex"]
    shown[f"Free at {year:g} y, %"] = percent["event_free"]
    shown["95 % band"] = _intervals(percent["event_free_low"], percent["event_free_high"], 1)
    shown["Age + sex, %"] = percent["event_free_age_and_sex"]
    shown["C-index"] = table["c_index"]
    shown["C interval"] = _intervals(table["c_index_low"], table["c_index_high"], 2)
    shown["C age + sex"] = table["c_index_age_and_sex"]
    shown["n"] = table["n"]
    shown["Events"] = table["events"]
    return shown.dropna(axis="columns", how="all")


def _intervals(low: pd.Series, high: pd.Series, digits: int) -> list[str | None]:
    return [
        None if np.isnan(one) or np.isnan(other) else interval(one, other, digits) for one, other in zip(low, high, strict=True)
    ]


def result_name(of: RiskResult) -> str:
    """Return the start of an exported file's name, which says that model or recording were simulated."""
    model = "_simulated-model" if of.trained_on == "simulated" else ""
    recording = "_simulated" if of.simulated_recording else ""
    return f"{of.study}_{of.model}{model}{recording}"
