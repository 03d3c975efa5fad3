"""The learning curve: how well sleep is staged after learning from 1, 2, 4, … labelled nights, as a figure and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from sleepfm.text import printable
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

COLOURS = ("#2c6fab", "#b3402a", "#5b6673")
DASHES = ("solid", "dash", "dot")
SYMBOLS = ("circle", "square", "diamond")
"""So that the methods stay apart without colour too."""


def curve_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw kappa against labelled nights on a logarithmic axis, one line a method with its interval.

    Parameters
    ----------
    rows
        `nights` (0 for a method that learns from none: a level line), `method`, `kappa`, `low`, `high`, `n`; a row without a
        kappa is left out.
    """
    measured = [row for row in rows if row["kappa"] is not None]
    nights = sorted({int(row["nights"]) for row in measured if row["nights"] > 0}) or [1]
    figure = go.Figure()
    for number, method in enumerate(dict.fromkeys(str(row["method"]) for row in measured)):
        of_method = sorted((row for row in measured if row["method"] == method), key=lambda row: row["nights"])
        style = {"color": COLOURS[number % 3], "dash": DASHES[number % 3], "width": 2}
        if all(row["nights"] == 0 for row in of_method):
            _level(figure, of_method[0], nights, style)
            continue
        of_method = [row for row in of_method if row["nights"] > 0]
        figure.add_scatter(
            x=[row["nights"] for row in of_method],
            y=[row["kappa"] for row in of_method],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_gap(row["high"], row["kappa"]) for row in of_method],
                "arrayminus": [_gap(row["kappa"], row["low"]) for row in of_method],
                "thickness": 1.2,
                "width": 4,
            },
            mode="lines+markers",
            line=style,
            marker={"symbol": SYMBOLS[number % 3], "size": 8},
            name=printable(method),
            text=[interval_words(row) for row in of_method],
            hovertemplate="%{x} nights: %{text}<extra></extra>",
        )
    figure.update_layout(
        height=320,
        margin={"l": 4, "r": 8, "t": 6, "b": 4},
        font={"size": 12, "color": INK},
        plot_bgcolor="#ffffff",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        xaxis={
            "title": {"text": "labelled nights learned from", "font": {"size": 12, "color": QUIET_INK}},
            "type": "log",
            "tickvals": nights,
            "ticktext": [str(count) for count in nights],
            "gridcolor": GRID,
        },
        yaxis={"title": {"text": "Cohen's kappa", "font": {"size": 12, "color": QUIET_INK}}, "gridcolor": GRID},
    )
    return figure


def _level(figure: go.Figure, row: Mapping[str, Any], nights: Sequence[int], style: Mapping[str, Any]) -> None:
    across = [nights[0], nights[-1]] if len(nights) > 1 else [nights[0] * 0.9, nights[0] * 1.1]
    if row["low"] is not None and row["high"] is not None:
        figure.add_scatter(
            x=[*across, *reversed(across)],
            y=[row["low"], row["low"], row["high"], row["high"]],
            fill="toself",
            fillcolor=style["color"],
            opacity=0.12,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
        )
    name = f"{printable(str(row['method']))} (learns from none of them)"
    figure.add_scatter(
        x=across, y=[row["kappa"]] * 2, mode="lines", line=dict(style), name=name, text=[interval_words(row)] * 2,
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def _gap(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else max(upper - lower, 0.0)


def interval_words(row: Mapping[str, Any]) -> str:
    """Return a kappa with its interval and count: "0.62 (0.55 to 0.68), n = 9,120 epochs"; and what there is to know of it."""
    why = printable(str(row.get("why") or ""))
    if row["kappa"] is None:
        return why or "not measured"
    interval = "" if row["low"] is None or row["high"] is None else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"{row['kappa']:.2f}{interval}, n = {row['n']:,} epochs{'; ' if why else ''}{why}"


def curve_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the same as a table."""
    return [
        {
            "Method": printable(str(row["method"])),
            "Labelled nights": str(row["nights"]) if row["nights"] else "none",
            "Cohen's kappa (95 % interval)": interval_words(row),
        }
        for row in rows
    ]
