"""What the people with the highest scores had of all events: against chance, and against age and sex alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.risk import FEWEST_EVENTS, ConditionRisk, RiskAssessment
from sleepfm.viewer.cohort_risk_view import ViewFigure, ViewTable, figure_text
from sleepfm.viewer.risk_words import NO_BETTER, interval, minus
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

_MODEL, _BESIDE = "#2f6fab", QUIET_INK
_MOST_DRAWN = 15
_ROW_PX = 30
_SIGNIFICANT_P = 0.05


def enrichment_figure(found: RiskAssessment, names: dict[str, str]) -> ViewFigure | None:
    """Draw, for the conditions with the most events, which share of them fell on the people with the highest scores.

    Parameters
    ----------
    found
        Every condition of it has an enrichment.
    names
        Words for each condition.
    """
    shown = [one for one in found.conditions if one.enrichment is not None][:_MOST_DRAWN][::-1]
    if not shown:
        return None
    share = next(one.enrichment.share for one in shown if one.enrichment is not None)
    figure = go.Figure()
    compared = any(one.baseline_enrichment is not None for one in shown)
    model = [None if one.enrichment is None else one.enrichment.events_in_top for one in shown]
    _add_shares(figure, shown, model, name="the model", colour=_MODEL, symbol="circle", shift=0.14 if compared else 0.0)
    if compared:
        beside = [None if one.baseline_enrichment is None else one.baseline_enrichment.events_in_top for one in shown]
        _add_shares(figure, shown, beside, name="age and sex alone", colour=_BESIDE, symbol="diamond-open", shift=-0.14)
    figure.add_vline(x=100 * share, line={"color": INK, "width": 1, "dash": "dot"}, annotation_text="chance")
    figure.update_layout(
        height=_ROW_PX * len(shown) + 130,
        margin={"l": 8, "r": 8, "t": 34, "b": 44},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(title=f"events that fell on the top {100 * share:g} % by hazard (%)", gridcolor=GRID, range=[0, 102])
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[f"{figure_text(names.get(one.name, one.name)[:40])} ({one.events})" for one in shown],
        gridcolor=GRID,
        range=[-0.6, len(shown) - 0.4],
        zeroline=False,
    )
    rest = len(found.conditions) - len(shown)
    note = f"In brackets the number of events. By chance the top {100 * share:g} % hold {100 * share:g} % of the events."
    return ViewFigure(
        f"Events among the top {100 * share:g} % by hazard",
        figure,
        "enrichment",
        note + (f" The {len(shown)} conditions with the most events; {rest} more are in the table." if rest else ""),
    )


def _add_shares(
    figure: go.Figure,
    shown: Sequence[ConditionRisk],
    estimates: Sequence[Estimate | None],
    *,
    name: str,
    colour: str,
    symbol: str,
    shift: float,
) -> None:
    value, low, high = _percent(estimates)
    figure.add_scatter(
        x=value,
        y=np.arange(len(shown)) + shift,
        mode="markers",
        marker={"color": colour, "size": 9, "symbol": symbol},
        error_x={"type": "data", "array": high - value, "arrayminus": value - low, "symmetric": False, "color": colour},
        name=name,
        customdata=[(figure_text(one.name), one.subjects, one.events, low[k], high[k]) for k, one in enumerate(shown)],
        hovertemplate="%{customdata[0]}: %{x:.0f} % of the events (%{customdata[3]:.0f} to %{customdata[4]:.0f} %),"
        f" n = %{{customdata[1]}}, %{{customdata[2]}} events<extra>{name}</extra>",
    )


def _percent(estimates: Sequence[Estimate | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, low and high in per cent, NaN where there is none."""
    rows = [
        (np.nan,) * 3 if one is None else tuple(np.nan if x is None else 100 * x for x in (one.value, one.low, one.high))
        for one in estimates
    ]
    value, low, high = np.array(rows, dtype=float).T
    return value, low, high


def enrichment_table(found: RiskAssessment, names: dict[str, str], demographics_model: str) -> ViewTable:
    """Return one row a condition: n, events, C-index and enrichment, each with its interval, beside age and sex alone."""
    shown, data = zip(*((_shown(one, names), _data(one, names)) for one in found.conditions), strict=True)
    top = 100 * next((one.enrichment.share for one in found.conditions if one.enrichment is not None), 0.2)
    years = f"{found.horizon:g} years"
    beside = (
        f" Beside it {demographics_model}, which knows age and sex alone, on the same people; p: one-sided, of a higher C than"
        f" its, times the {found.averaged} conditions with at least {FEWEST_EVENTS} events (Bonferroni)."
        if found.mean_c_baseline is not None
        else " Nothing is known of what age and sex alone would say: not everybody has such a score."
    )
    return ViewTable(
        f"What the scores were worth, condition by condition ({len(found.conditions)})",
        pd.DataFrame(list(shown)).dropna(axis="columns", how="all"),
        pd.DataFrame(list(data)),
        "conditions",
        f"C: how often the person with the higher hazard has the event first, 0.5 is chance. Top {top:g} %: share of all events"
        f" that fell on the {top:g} % of people with the highest hazard, {top:g} % by chance; ratio: their risk within {years}"
        f" over everybody's, 1 by chance. 95 % intervals by bootstrap over people.{beside}",
    )


def _shown(one: ConditionRisk, names: dict[str, str]) -> dict[str, object]:
    top, beside = one.enrichment, one.baseline_enrichment
    return {
        "Condition": names.get(one.name, one.name),
        "n": one.subjects,
        "Events": one.events,
        "C-index": words(one.model.c_index),
        "C, age and sex": None if one.baseline is None else words(one.baseline.c_index),
        "Difference of C": None if one.c_difference is None else words(one.c_difference),
        "Events in the top": None if top is None else words(top.events_in_top, percent=True),
        "In the top by age and sex": None if beside is None else words(beside.events_in_top, percent=True),
        "Ratio of risk": None if top is None else words(top.ratio),
        "Ratio, age and sex": None if beside is None else words(beside.ratio),
        "Beside age and sex": beside_words(one),
    }


def beside_words(one: ConditionRisk) -> str | None:
    """Return whether a condition's scores told more than age and sex alone; None where that was not compared."""
    if one.baseline is None:
        return None
    if one.few_events:
        return "too few events to compare"
    if one.above_baseline is None:  # the same in every resample
        return NO_BETTER
    p = one.above_baseline.p_bonferroni
    better = "beats age and sex" if p < _SIGNIFICANT_P else NO_BETTER
    return f"{better} (p {'< 0.001' if p < 0.001 else f'= {p:.3f}'})"


def _data(one: ConditionRisk, names: dict[str, str]) -> dict[str, object]:
    top, beside = one.enrichment, one.baseline_enrichment
    row: dict[str, object] = {
        "condition": one.name,
        "name": names.get(one.name, one.name),
        "n": one.subjects,
        "events": one.events,
    }
    parts: list[tuple[str, Estimate | None]] = [
        ("c_index", one.model.c_index),
        ("c_index_age_and_sex", None if one.baseline is None else one.baseline.c_index),
        ("c_difference", one.c_difference),
        ("events_in_top", None if top is None else top.events_in_top),
        ("events_in_top_age_and_sex", None if beside is None else beside.events_in_top),
        ("risk_in_top", None if top is None else top.risk_in_top),
        ("risk_in_all", None if top is None else top.risk_in_all),
        ("risk_ratio", None if top is None else top.ratio),
        ("risk_ratio_age_and_sex", None if beside is None else beside.ratio),
    ]
    for name, estimate in parts:
        row[name] = None if estimate is None else estimate.value
        row[f"{name}_low"] = None if estimate is None else estimate.low
        row[f"{name}_high"] = None if estimate is None else estimate.high
    row["p"] = None if one.above_baseline is None else one.above_baseline.p_bonferroni
    row["few_events"] = one.few_events
    return row


def words(estimate: Estimate, *, percent: bool = False, digits: int = 2) -> str:
    """Return "0.71 (0.62 to 0.80)", in whole per cent where asked for; the reason where there is no value.

    Where every resample gave the same value, as of a handful of people, that is no interval: none is said.
    """
    if estimate.value is None:
        return f"– ({estimate.reason})"
    factor, digits, unit = (100.0, 0, " %") if percent else (1.0, digits, "")
    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return f"{minus(factor * estimate.value, digits)}{unit}"
    return f"{minus(factor * estimate.value, digits)}{unit} ({interval(factor * estimate.low, factor * estimate.high, digits)})"
