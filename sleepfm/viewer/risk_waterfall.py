"""From the start to the score, step by step, as a waterfall."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from sleepfm.viewer.risk_reasons import Reasons
from sleepfm.viewer.risk_words import interval, minus, signed
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

RAISES, LOWERS, LEVEL = "#7b5aa6", "#2b8a7e", "#8a94a0"
"""Of a change upwards, downwards, and of a level: neither alarm nor praise, apart in grey and for the colour-blind, and no
colour of a stage."""

_ROW_PX, _MARGIN_PX = 30, 82  # room above for Plotly's own bar


def waterfall(reasons: Reasons) -> go.Figure:
    """Draw the start, each change with its interval where it ends, and the score; the numbers are those of `reasons`.

    From top to bottom in the order of the steps; log hazard on x. Start and score are marks and no bars: a log hazard has no zero
    that means anything, and bars from there would dwarf the changes.
    """
    names = [reasons.start_name, *(step.name for step in reasons.steps), reasons.score_name]
    levels_s = reasons.start + np.concatenate([[0.0], np.cumsum([step.change for step in reasons.steps])])
    figure = go.Figure()
    for step, before in zip(reasons.steps, levels_s[:-1].tolist(), strict=True):
        figure.add_bar(
            y=[step.name],
            x=[step.change],
            base=[before],
            orientation="h",
            marker={"color": RAISES if step.change > 0 else LOWERS},
            error_x=_whiskers(step.change, step.low, step.high),
            hovertemplate=(
                f"%{{y}}<br>change of the score {signed(step.change, 4)}<br>95 % interval"
                f" {interval(step.low, step.high, 4)}<extra></extra>"
            ),
            showlegend=False,
        )
    # a line from each level to the next row says where the next bar begins
    for row, level in enumerate(levels_s.tolist()):
        figure.add_scatter(
            x=[level, level],
            y=[names[row], names[row + 1]],
            mode="lines",
            line={"color": QUIET_INK, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    for name, level, low, high in (
        (reasons.start_name, reasons.start, None, None),
        (reasons.score_name, reasons.score, reasons.low, reasons.high),
    ):
        figure.add_scatter(
            y=[name],
            x=[level],
            mode="markers",
            marker={"color": LEVEL, "size": 13, "symbol": "diamond"},
            error_x=_whiskers(level, low, high),
            hovertemplate=f"%{{y}}: {minus(level, 4)}<br>95 % interval {interval(low, high, 4)}<extra></extra>",
            showlegend=False,
        )
    words = [minus(reasons.start), *(signed(step.change) for step in reasons.steps), minus(reasons.score)]
    lefts, rights = _reach(reasons, levels_s)
    left, right = min(lefts), max(rights)
    width = max(right - left, 1e-6)
    figure.add_scatter(
        x=[end + 0.03 * width for end in rights],
        y=names,
        mode="text",
        text=words,
        textposition="middle right",
        textfont={"color": INK, "size": 12},
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_layout(
        height=_MARGIN_PX + _ROW_PX * len(names),
        margin={"l": 8, "r": 8, "t": 28, "b": 44},
        bargap=0.35,
        barmode="overlay",
        plot_bgcolor="white",
    )
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True, tickfont={"size": 12, "color": INK})
    figure.update_xaxes(
        title="score (log hazard)", range=[left - 0.05 * width, right + 0.2 * width], gridcolor=GRID, zeroline=False
    )
    return figure


def _whiskers(change: float, low: float | None, high: float | None) -> dict[str, object] | None:
    if low is None or high is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, high - change)],
        "arrayminus": [max(0.0, change - low)],
        "color": INK,
        "thickness": 1.2,
        "width": 5,
    }


def _reach(reasons: Reasons, levels_s: np.ndarray) -> tuple[list[float], list[float]]:
    """Return how far to the left and to the right each row is drawn, whiskers included."""
    rows = [(reasons.start, reasons.start)]
    for step, before in zip(reasons.steps, levels_s[:-1].tolist(), strict=True):
        ends = [0.0, step.change, *(end for end in (step.low, step.high) if end is not None)]
        rows.append((before + min(ends), before + max(ends)))
    rows.append((min(reasons.low, reasons.score), max(reasons.high, reasons.score)))
    return [low for low, _ in rows], [high for _, high in rows]
