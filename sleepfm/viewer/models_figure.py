"""A model's measured quality as a picture: every figure with its interval, figures of one unit on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sleepfm.models.card import Metric
from sleepfm.viewer.cohort_risk_view import figure_text
from sleepfm.viewer.models_words import count_words, unit_of, value_words
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

_ROW_PX = 26
_AXIS_PX = 62
_COLOUR = "#2f6fab"
_MOST_LETTERS = 52


def quality_figure(metrics: Sequence[Metric]) -> go.Figure | None:
    """Draw the figures of a card as points with their intervals, with those of age and sex alone beside where they are known.

    None without figures; one that is no finite number is left out. A share or coefficient stands on an axis from 0 (lower where
    one is below) to 1.
    """
    metrics = [metric for metric in metrics if all(math.isfinite(x) for x in _numbers(metric))]
    if not metrics:
        return None
    groups = [(unit, list(found)) for unit, found in groupby(sorted(metrics, key=unit_of), key=unit_of)]
    heights = [len(found) * _ROW_PX + _AXIS_PX for _, found in groups]
    total = sum(heights)
    figure = make_subplots(
        rows=len(groups), row_heights=[height / total for height in heights], vertical_spacing=_AXIS_PX / total * 0.8
    ) if len(groups) > 1 else make_subplots(rows=1)  # fmt: skip
    for row, (unit, found) in enumerate(groups, start=1):
        _add_group(figure, row, unit, found[::-1])
    compared = any(metric.baseline is not None for metric in metrics)
    if compared:
        _add_legend(figure)
    figure.update_layout(
        height=total + (34 if compared else 10),
        margin={"l": 8, "r": 16, "t": 28 if compared else 4, "b": 8},
        plot_bgcolor="white",
        showlegend=compared,
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        font={"color": INK, "size": 12, "family": "Source Sans, sans-serif"},
    )
    return figure


def _add_group(figure: go.Figure, row: int, unit: str, metrics: list[Metric]) -> None:
    places = list(range(len(metrics)))
    figure.add_scatter(
        x=[metric.value for metric in metrics],
        y=places,
        mode="markers",
        marker={"color": _COLOUR, "size": 8},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if metric.high is None else metric.high - metric.value for metric in metrics],
            "arrayminus": [0.0 if metric.low is None else metric.value - metric.low for metric in metrics],
            "color": _COLOUR,
            "thickness": 1.6,
            "width": 4,
        },
        hovertext=[f"{_label(metric)}<br>{figure_text(value_words(metric))}, {count_words(metric)}" for metric in metrics],
        hoverinfo="text",
        showlegend=False,
        row=row,
        col=1,
    )
    beside = [(place, metric.baseline) for place, metric in enumerate(metrics) if metric.baseline is not None]
    if beside:
        figure.add_scatter(
            x=[value for _, value in beside],
            y=[place for place, _ in beside],
            mode="markers",
            marker={"color": QUIET_INK, "size": 9, "symbol": "diamond-open"},
            hoverinfo="x",
            showlegend=False,
            row=row,
            col=1,
        )
    values = [x for metric in metrics for x in _numbers(metric)]
    figure.update_xaxes(
        title={"text": f"error ({unit})" if unit else "share or coefficient (no unit; 1 is best)", "font": {"size": 12}},
        range=[0, 1.08 * max(values)] if unit else [min(0.0, *values) * 1.05, max(1.02, *values)],
        gridcolor=GRID,
        zeroline=False,
        automargin=True,
        row=row,
        col=1,
    )
    figure.update_yaxes(
        tickvals=places,
        ticktext=[f"{_label(metric)} ({count_words(metric)})" for metric in metrics],
        range=[-0.7, len(metrics) - 0.3],
        gridcolor=GRID,
        zeroline=False,
        automargin=True,
        row=row,
        col=1,
    )


def _numbers(metric: Metric) -> list[float]:
    return [x for x in (metric.value, metric.low, metric.high, metric.baseline) if x is not None]


def _add_legend(figure: go.Figure) -> None:
    for name, colour, symbol in (("the model", _COLOUR, "circle"), ("age and sex alone", QUIET_INK, "diamond-open")):
        figure.add_scatter(
            x=[None], y=[None], mode="markers", marker={"color": colour, "symbol": symbol, "size": 8}, name=name, row=1, col=1
        )


def _label(metric: Metric) -> str:
    text = f"{metric.name}, {metric.group}" if metric.group else metric.name
    return figure_text(text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")
