"""Two nights of one person as figures and tables: stages, what tables say, embeddings, scores."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sleepfm.inference.risk_result import RiskResult
from sleepfm.library.night_pair import NightPair, OneNight
from sleepfm.text import printable
from sleepfm.viewer.cohort_risk_enrichment import words
from sleepfm.viewer.cohort_risk_view import ViewFigure, ViewTable, condition_words, figure_text
from sleepfm.viewer.risk_words import PLAYER_WORDS, interval, minus, signed
from sleepfm.viewer.theme import GRID, HYPNOGRAM_ORDER, QUIET_INK, STAGE_COLOURS
from sleepfm.vocabulary import STAGE_SHORT

FIRST, SECOND = "#2f6fab", "#b3402a"
_MOST_DRAWN = 20


def night_words(night: OneNight) -> str:
    """Return a night's id with its date, where it has one."""
    return printable(night.person.study) + (f" ({night.start:%Y-%m-%d})" if isinstance(night.start, datetime) else "")


def stage_figure(pair: NightPair) -> ViewFigure | None:
    """Draw the minutes of each stage of both nights; None when neither was staged."""
    staged = [night for night in pair.nights if night.measures]
    if not staged:
        return None
    figure = go.Figure()
    minutes = [{one.name: one.value or 0.0 for one in night.measures} for night in staged]
    for stage in HYPNOGRAM_ORDER:
        name = STAGE_SHORT[stage]
        figure.add_bar(
            x=[of_night[name] for of_night in minutes],
            y=[night_words(night) for night in staged],
            orientation="h",
            name=name,
            marker={"color": STAGE_COLOURS[stage]},
            hovertemplate=f"%{{y}}: %{{x:.1f}} min of {name}<extra></extra>",
        )
    figure.update_layout(
        barmode="stack",
        height=110 + 46 * len(staged),
        margin={"l": 8, "r": 8, "t": 30, "b": 40},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
    )
    figure.update_xaxes(title="minutes", gridcolor=GRID)
    figure.update_yaxes(autorange="reversed")
    scorers = "; ".join(f"{night_words(night)}: {printable(night.scorer)}" for night in staged)
    return ViewFigure("Stages", figure, "nights-stages", f"Staged by: {scorers}.")


def measure_table(pair: NightPair) -> ViewTable | None:
    """Return what the stages add up to and what tables say of both nights; None when there is nothing."""
    first, second = pair.nights
    rows: list[tuple[str, str, float | None, float | None, str]] = []
    seconds = {one.name: one.value for one in second.measures}
    firsts = {one.name: one.value for one in first.measures}
    for one in first.measures or second.measures:
        rows.append((one.name, one.unit, firsts.get(one.name), seconds.get(one.name), one.definition))
    rows += [
        (printable(name), "as in the table", first.numbers[name], second.numbers[name], "from the cohort's table")
        for name in first.numbers
    ]
    if not rows:
        return None
    names = [night_words(night) for night in pair.nights]
    if names[0] == names[1]:
        names = [f"{name}, {place}" for name, place in zip(names, ("first", "second"), strict=True)]
    shown = pd.DataFrame(
        [
            {
                "Measure": name,
                names[0]: _one(one),
                names[1]: _one(other),
                "Change": "–" if one is None or other is None else signed(other - one, 1),
                "Unit": unit,
                "Counted": counted,
            }
            for name, unit, one, other, counted in rows
        ]
    )
    data = pd.DataFrame(
        [{"measure": name, "unit": unit, "first": one, "second": other, "definition": c} for name, unit, one, other, c in rows]
    )
    data.insert(0, "second_study", second.person.study)
    data.insert(0, "first_study", first.person.study)
    return ViewTable("Stages and indices", shown, data, "nights-measures", "One value a night each: they have no interval.")


def _one(value: float | None) -> str:
    return "–" if value is None else minus(value, 1)


def distance_figure(pair: NightPair) -> ViewFigure | None:
    """Draw how far apart the nights are in each modality, beside nights of other people; None without embeddings."""
    if not pair.distances:
        return None
    several = len({one.encoder for one in pair.distances}) > 1
    labels = [PLAYER_WORDS[one.modality] + (f", {figure_text(one.encoder)}" if several else "") for one in pair.distances]
    value = np.array([one.distance.value for one in pair.distances], dtype=float)
    low = np.array([np.nan if one.distance.low is None else one.distance.low for one in pair.distances])
    high = np.array([np.nan if one.distance.high is None else one.distance.high for one in pair.distances])
    figure = go.Figure()
    figure.add_scatter(
        x=value,
        y=labels,
        mode="markers",
        marker={"color": FIRST, "size": 10},
        error_x={"type": "data", "array": high - value, "arrayminus": value - low, "symmetric": False, "color": FIRST},
        name="between the two nights, with 95 % interval",
        hovertemplate="%{y}: %{x:.3f}<extra>between the two nights</extra>",
    )
    others = [(label, one) for label, one in zip(labels, pair.distances, strict=True) if one.others is not None]
    if others:
        figure.add_scatter(
            x=[one.others for _, one in others],
            y=[label for label, _ in others],
            mode="markers",
            marker={"color": QUIET_INK, "size": 10, "symbol": "diamond-open"},
            name="to other people's nights (median)",
            hovertemplate="%{y}: %{x:.3f}<extra>median to other people's nights</extra>",
        )
    figure.update_layout(
        height=130 + 34 * len(labels),
        margin={"l": 8, "r": 8, "t": 30, "b": 44},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="distance of the nights' mean embeddings (1 - cosine)", gridcolor=GRID, rangemode="tozero")
    figure.update_yaxes(autorange="reversed", gridcolor=GRID)
    return ViewFigure("Embeddings", figure, "nights-embeddings", "Interval: bootstrap over the 5-min windows of both nights.")


def distance_table(pair: NightPair) -> ViewTable | None:
    """Return the distances by modality beside those to other people's nights; None without embeddings."""
    if not pair.distances:
        return None
    shown = pd.DataFrame(
        [
            {
                "Modality": PLAYER_WORDS[one.modality],
                "Encoder": printable(one.encoder),
                "Between the nights": words(one.distance, digits=3),
                "Windows": one.distance.n,
                "To other people (median)": None if one.others is None else minus(one.others, 3),
                "Other people": one.standing.share_lower.n,
                "Nearer than the second night": None if one.others is None else words(one.standing.share_lower, percent=True),
            }
            for one in pair.distances
        ]
    ).dropna(axis="columns", how="all")
    data = pd.DataFrame(
        [
            {
                "first_study": pair.nights[0].person.study,
                "second_study": pair.nights[1].person.study,
                "encoder": one.encoder,
                "modality": one.modality.value,
                "distance": one.distance.value,
                "low": one.distance.low,
                "high": one.distance.high,
                "windows": one.distance.n,
                "others_median": one.others,
                "others": one.standing.share_lower.n,
                "others_nearer": one.standing.lower,
            }
            for one in pair.distances
        ]
    )
    return ViewTable(
        "How far apart the nights are",
        shown,
        data,
        "nights-embeddings",
        "Distance: 1 minus the cosine of the nights' mean 5-min embeddings. Other people: one night each, at most 100 drawn by a"
        " fixed seed; nearer: which share of them lies nearer to the first night than the second night does.",
    )


def shared_conditions(pair: NightPair) -> list[tuple[int, int]]:
    """Return the places of the conditions that both results speak of."""
    first, second = (night.result for night in pair.nights)
    if first is None or second is None:
        return []
    places = [(k, second.index(one.phecode)) for k, one in enumerate(first.conditions)]
    return [(k, other) for k, other in places if other is not None]


def score_figure(pair: NightPair) -> ViewFigure | None:
    """Draw the scores of both nights side by side for the conditions that changed most; None without both."""
    first, second = (night.result for night in pair.nights)
    places = shared_conditions(pair)
    if first is None or second is None or not places:
        return None
    change = [abs(float(second.log_hazard_k[other] - first.log_hazard_k[k])) for k, other in places]
    chosen = [places[n] for n in np.argsort(change, kind="stable")[::-1][:_MOST_DRAWN]]
    chosen.sort()
    labels = [figure_text(condition_words(first.conditions[k])[:44]) for k, _ in chosen]
    figure = go.Figure()
    ks = ([k for k, _ in chosen], [other for _, other in chosen])
    _add_scores(figure, first, ks[0], name=night_words(pair.nights[0]), colour=FIRST, shift=-0.12)
    _add_scores(figure, second, ks[1], name=night_words(pair.nights[1]), colour=SECOND, shift=0.12)
    figure.update_layout(
        height=140 + 32 * len(chosen),
        margin={"l": 8, "r": 8, "t": 30, "b": 44},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="log hazard (relative, no probability)", gridcolor=GRID, zeroline=False)
    figure.update_yaxes(
        tickvals=list(range(len(chosen))), ticktext=labels, range=[len(chosen) - 0.4, -0.6], gridcolor=GRID, zeroline=False
    )
    rest = len(places) - len(chosen)
    note = "Bars: 95 % interval by bootstrap over the 5-min windows of the night; the model's own error is not in it."
    note += " Open diamonds: age and sex alone." if first.demographics_log_hazard_k is not None else ""
    note += f" The {len(chosen)} conditions that changed most; {rest} more are in the table." if rest else ""
    return ViewFigure("Scores", figure, "nights-scores", note)


def _add_scores(figure: go.Figure, result: RiskResult, ks: list[int], *, name: str, colour: str, shift: float) -> None:
    score, low, high = result.log_hazard_k[ks], result.low_k[ks], result.high_k[ks]
    y = np.arange(len(ks)) + shift
    figure.add_scatter(
        x=score,
        y=y,
        mode="markers",
        marker={"color": colour, "size": 9},
        error_x={"type": "data", "array": high - score, "arrayminus": score - low, "symmetric": False, "color": colour},
        name=name,
        customdata=list(zip(low, high, strict=True)),
        hovertemplate=f"%{{x:.2f}} (%{{customdata[0]:.2f}} to %{{customdata[1]:.2f}})<extra>{name}</extra>",
    )
    if result.demographics_log_hazard_k is not None:
        figure.add_scatter(
            x=result.demographics_log_hazard_k[ks],
            y=y,
            mode="markers",
            marker={"color": colour, "size": 8, "symbol": "diamond-open"},
            showlegend=False,
            hovertemplate=f"%{{x:.2f}}<extra>{name}, age and sex alone</extra>",
        )


def score_table(pair: NightPair) -> ViewTable | None:
    """Return the scores of both nights with their intervals and the change; None without both."""
    first, second = (night.result for night in pair.nights)
    places = shared_conditions(pair)
    if first is None or second is None or not places:
        return None
    shown, data = [], []
    for k, other in places:
        change, low, high = _change(first, k, second, other)
        beside = [_beside(result, place) for result, place in ((first, k), (second, other))]
        shown.append({
            "Condition": condition_words(first.conditions[k]),
            "First night": f"{minus(first.log_hazard_k[k])} ({interval(first.low_k[k], first.high_k[k])})",
            "Second night": f"{minus(second.log_hazard_k[other])} ({interval(second.low_k[other], second.high_k[other])})",
            "Change": f"{signed(change)} ({interval(low, high)})",
            "Age and sex alone, first": minus(beside[0]),
            "Age and sex alone, second": minus(beside[1]),
        })  # fmt: skip
        data.append({
            "model": first.model,
            "weights_sha256": first.weights_sha256,
            "phecode": first.conditions[k].phecode,
            "phenotype": first.conditions[k].phenotype,
            **_numbers("first", first, k),
            **_numbers("second", second, other),
            "change": change,
            "change_low": low,
            "change_high": high,
        })  # fmt: skip
    return ViewTable(
        "Log hazards",
        pd.DataFrame(shown),
        pd.DataFrame(data),
        "nights-scores",
        "The interval of the change takes the two nights as independent; it says how much the change depends on which parts of"
        " the nights were recorded.",
    )


def _numbers(which: str, result: RiskResult, k: int) -> dict[str, object]:
    return {
        f"{which}_study": result.study,
        which: result.log_hazard_k[k],
        f"{which}_low": result.low_k[k],
        f"{which}_high": result.high_k[k],
        f"{which}_age_and_sex": _beside(result, k),
    }


def _change(first: RiskResult, k: int, second: RiskResult, other: int) -> tuple[float, float, float]:
    """Return the change with the interval that follows from both: their reaches add up in squares, on each side."""
    change = float(second.log_hazard_k[other] - first.log_hazard_k[k])
    down = np.hypot(second.log_hazard_k[other] - second.low_k[other], first.high_k[k] - first.log_hazard_k[k])
    up = np.hypot(second.high_k[other] - second.log_hazard_k[other], first.log_hazard_k[k] - first.low_k[k])
    return change, change - float(down), change + float(up)


def _beside(result: RiskResult, k: int) -> float:
    return float("nan") if result.demographics_log_hazard_k is None else float(result.demographics_log_hazard_k[k])
