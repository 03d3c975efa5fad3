"""A person's score among those of people of the same sex and about the same age."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sleepfm.library.cohort_answers import MatchAnswer
from sleepfm.text import printable
from sleepfm.viewer.cohort_risk_view import ViewFigure, ViewTable, condition_words
from sleepfm.viewer.risk_words import interval, minus
from sleepfm.viewer.theme import GRID, QUIET_INK

_OWN, _OTHER, _EVENT = "#2f6fab", "#8a8f98", "#b3402a"


def matched_figure(found: MatchAnswer) -> ViewFigure:
    """Draw scores over age: the person with its interval, the matched people, those with the event later marked."""
    figure = go.Figure()
    age_n = np.array([np.nan if one.age is None else one.age for one in found.others])
    came_n = np.isfinite(found.years_n) & found.event_n
    followed = bool(np.isfinite(found.years_n).any())
    for name, inside_n, colour, symbol in (
        ("matched people, the event came later" if followed else "", came_n, _EVENT, "circle"),
        ("matched people, no event known" if followed else "matched people", ~came_n, _OTHER, "circle-open"),
    ):
        if not inside_n.any():
            continue
        ids = [printable(one.study) for one, inside in zip(found.others, inside_n, strict=True) if inside]
        figure.add_scatter(
            x=age_n[inside_n],
            y=found.log_hazard_n[inside_n],
            customdata=list(zip(ids, found.low_n[inside_n], found.high_n[inside_n], strict=True)),
            mode="markers",
            marker={"color": colour, "size": 8, "symbol": symbol},
            name=name,
            hovertemplate="%{customdata[0]}: %{x:.1f} years, log hazard %{y:.2f}"
            " (%{customdata[1]:.2f} to %{customdata[2]:.2f})<extra></extra>",
        )
    if found.others:
        figure.add_hline(
            y=float(np.median(found.log_hazard_n)),
            line={"color": QUIET_INK, "width": 1, "dash": "dot"},
            annotation_text="their median",
        )
    figure.add_scatter(
        x=[found.person.age],
        y=[found.log_hazard],
        error_y={
            "type": "data",
            "array": [found.high - found.log_hazard],
            "arrayminus": [found.log_hazard - found.low],
            "symmetric": False,
            "color": _OWN,
        },
        mode="markers",
        marker={"color": _OWN, "size": 13, "symbol": "diamond"},
        name="this night, with 95 % interval",
        hovertemplate=f"{printable(found.person.study)}: %{{x:.1f}} years, log hazard %{{y:.2f}}"
        f" ({found.low:.2f} to {found.high:.2f})<extra></extra>",
    )
    figure.update_layout(
        height=380,
        margin={"l": 8, "r": 8, "t": 34, "b": 44},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="age at the night (years)", gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title="log hazard (relative)", gridcolor=GRID, zeroline=False)
    return ViewFigure(
        f"{condition_words(found.condition)} among matched people (n = {len(found.others)})",
        figure,
        f"matched-{found.person.study}",
        "Interval: bootstrap over the 5-min windows of the night; the model's own error is not in it.",
    )


def matched_table(found: MatchAnswer) -> ViewTable:
    """Return the matched people, the nearest in age first; the person stands in the first row."""
    people, own_age = (found.person, *found.others), found.person.age or 0.0
    years_n = np.array([found.years, *found.years_n])
    data = pd.DataFrame(
        {
            "model": found.model,
            "phecode": found.condition.phecode,
            "study": [one.study for one in people],
            "age": [one.age for one in people],
            "years_away": [abs((one.age or 0.0) - own_age) for one in people],
            "log_hazard": [found.log_hazard, *found.log_hazard_n],
            "low": [found.low, *found.low_n],
            "high": [found.high, *found.high_n],
            "age_and_sex": [found.demographics, *found.demographics_n],
            "event": np.where(np.isfinite(years_n), [found.event, *found.event_n], np.nan),
            "years": years_n,
        }
    )
    shown = pd.DataFrame(
        {
            "Study": data["study"].map(printable),
            "Age (years)": data["age"].map(lambda age: minus(age, 1)),
            "Away (years)": data["years_away"].map(lambda away: minus(away, 1)),
            "Log hazard": [
                f"{minus(value)} ({interval(low, high)})"
                for value, low, high in zip(data["log_hazard"], data["low"], data["high"], strict=True)
            ],
            "Age and sex alone": data["age_and_sex"].map(minus),
            "What came": [
                "–" if np.isnan(years) else f"{'event' if event else 'no event'} by {years:.1f} years"
                for event, years in zip(data["event"], data["years"], strict=True)
            ],
        }
    )
    return ViewTable("Who was compared", shown, data, f"matched-{found.person.study}", "The first row is the person.")
