"""The probability of staying free of a condition over the years, beside what age and sex alone say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sleepfm.inference.risk_curves import Curve
from sleepfm.viewer.table_csv import table_csv
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

_OF_MODEL, _BAND, _OF_AGE_AND_SEX = "#2f6fab", "rgba(47, 111, 171, 0.18)", QUIET_INK
_HEIGHT = 300


def event_free_figure(curve: Curve, demographics: Curve | None, *, year: float | None = None) -> go.Figure:
    """Draw the event-free curve with its band, the demographics-only curve beside it, and a line at the chosen year.

    Both are steps: a baseline hazard changes only at the times it is known for. Years on x, probability from 0 to 1 on y.
    """
    figure = go.Figure()
    steps = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=curve.years, y=curve.high, line={"width": 0, "shape": "hv"}, **steps)
    figure.add_scatter(x=curve.years, y=curve.low, line={"width": 0, "shape": "hv"}, fill="tonexty", fillcolor=_BAND, **steps)
    if demographics is not None:
        figure.add_scatter(
            x=demographics.years,
            y=demographics.event_free,
            mode="lines",
            line={"color": _OF_AGE_AND_SEX, "width": 2, "dash": "dash", "shape": "hv"},
            name="age and sex alone",
            hovertemplate="after %{x:g} years: %{y:.3f}<extra>age and sex alone</extra>",
        )
    figure.add_scatter(
        x=curve.years,
        y=curve.event_free,
        customdata=list(zip(curve.low, curve.high, strict=True)),
        mode="lines+markers",
        line={"color": _OF_MODEL, "width": 2.5, "shape": "hv"},
        marker={"size": 5},
        name="this night, with 95 % band",
        hovertemplate="after %{x:g} years: %{y:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra>this night</extra>",
    )
    if year is not None:
        figure.add_vline(x=year, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 8, "r": 8, "t": 34, "b": 40},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(title="years after the night", gridcolor=GRID, range=[0, float(curve.years[-1]) * 1.02], zeroline=False)
    figure.update_yaxes(title="probability of no event", gridcolor=GRID, range=[0, 1.02], zeroline=False)
    return figure


def curve_csv(study: str, model: str, phecode: str, curve: Curve, demographics: Curve | None) -> str:
    """Return both curves as a CSV file, a row for each time of the first."""
    beside = [np.nan if demographics is None else (demographics.at(year) or [np.nan])[0] for year in curve.years]
    columns = {
        "study": study,
        "model": model,
        "phecode": phecode,
        "years": curve.years,
        "event_free": curve.event_free,
        "low": curve.low,
        "high": curve.high,
        "event_free_age_and_sex": beside,
    }
    return table_csv(pd.DataFrame(columns))
