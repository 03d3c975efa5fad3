"""Agreement as pictures: who calls what what, one number against its mean, and where in the night two differ."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import plotly.graph_objects as go

from sleepfm.analysis.batch_agreement import NumberAgreement
from sleepfm.text import printable
from sleepfm.viewer.theme import DISAGREEMENT, GRID, HYPNOGRAM_ORDER, INK, QUIET_INK, STAGE_COLOURS
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_SHORT

_COLOUR = "#2f6fab"
_FONT = {"size": 12, "color": INK, "family": "Source Sans, sans-serif"}
_BLUES = [[0.0, "#ffffff"], [0.5, "#8fb8dc"], [1.0, "#1b4f86"]]


def confusion_figure(confusion: np.ndarray, a: str, b: str) -> go.Figure:
    """Draw how B calls the epochs of each stage of A: shares of the row as colour, with the counts.

    Parameters
    ----------
    confusion
        (5, 5) counts, rows A, columns B, in the order of `SCORED_STAGES`.
    a, b
        Names of the scorers.
    """
    names = [STAGE_SHORT[stage] for stage in SCORED_STAGES]
    total_k = confusion.sum(axis=1, keepdims=True)
    share_kk = np.divide(100.0 * confusion, total_k, out=np.full(confusion.shape, np.nan), where=total_k > 0)
    texts = [
        [f"{count:,}<br>{share:.0f} %" if np.isfinite(share) else "" for count, share in zip(counts, shares, strict=True)]
        for counts, shares in zip(confusion.tolist(), share_kk.tolist(), strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=share_kk,
            x=names,
            y=names,
            text=texts,
            texttemplate="%{text}",
            colorscale=_BLUES,
            zmin=0,
            zmax=100,
            showscale=False,
            xgap=2,
            ygap=2,
            name="% of A's epochs of the stage",
            hovertemplate="A %{y}, B %{x}: %{text}<extra></extra>",
        )
    )
    _frame(figure, height=330)
    figure.update_xaxes(title=f"B: {_name(b)}", side="top", fixedrange=True)
    figure.update_yaxes(title=f"A: {_name(a)}", autorange="reversed", fixedrange=True)
    return figure


def bland_altman_figure(number: NumberAgreement, nights: Sequence[str]) -> go.Figure:
    """Draw A minus B against the mean of both, a point a night, with bias and limits of agreement and their intervals.

    Parameters
    ----------
    nights
        Names of the nights, in the order of the number's values.
    """
    mean_n, difference_n = (number.values_a + number.values_b) / 2, number.values_a - number.values_b
    known_n = np.isfinite(difference_n)
    unit = f" ({number.unit})" if number.unit else ""
    figure = go.Figure()
    limits = number.limits
    for words, value, interval, dash in (
        ("bias", limits.bias, limits.bias_interval, "solid"),
        ("upper limit", limits.high, limits.high_interval, "dash"),
        ("lower limit", limits.low, limits.low_interval, "dash"),
    ):
        if value is None:
            continue
        if interval is not None:
            figure.add_hrect(*interval, fillcolor=_COLOUR, opacity=0.12, line_width=0)
        figure.add_hline(
            value,
            line={"color": _COLOUR, "dash": dash, "width": 1.6},
            annotation={
                "text": f"{words} {signed(value)}",
                "font": {"size": 11, "color": _COLOUR},
                "bgcolor": "rgba(255,255,255,.7)",
            },
            annotation_position="top right",
        )
    figure.add_hline(0, line={"color": QUIET_INK, "width": 1, "dash": "dot"})
    figure.add_scatter(
        x=mean_n[known_n],
        y=difference_n[known_n],
        mode="markers",
        marker={"color": INK, "size": 7, "opacity": 0.75},
        name="night",
        text=[_name(night, 60) for night, known in zip(nights, known_n, strict=True) if known],
        hovertemplate="%{text}<br>mean %{x:.1f}, difference %{y:.1f}<extra></extra>",
        showlegend=False,
    )
    _frame(figure, height=330)
    figure.update_xaxes(title=f"mean of A and B, {number.name}{unit}", gridcolor=GRID, zeroline=False)
    figure.update_yaxes(title=f"A minus B{unit}", gridcolor=GRID, zeroline=False)
    return figure


def two_hypnograms_figure(a: np.ndarray, b: np.ndarray, names: tuple[str, str], *, start: datetime | None) -> go.Figure:
    """Draw two scorings above each other over the night, with the epochs that differ between them.

    Parameters
    ----------
    a, b
        (epoch,) numbers of `Stage`.
    start
        The recording's start; None counts hours from it instead.
    """
    common = min(len(a), len(b))
    levels = {stage: float(place) for place, stage in enumerate(reversed(HYPNOGRAM_ORDER))}
    top, gap = len(levels) - 1.0, 3.4  # room for the names, and for what differs above that of the lower one
    moments = _moments(common + 1, start)
    figure = go.Figure()
    for stages, name, offset in ((a, names[0], top + gap), (b, names[1], 0.0)):
        known = [levels.get(stage) for stage in stages[:common].tolist()]
        drawn = [None if level is None else level + offset for level in known]
        figure.add_scatter(
            x=moments,
            y=[*drawn, drawn[-1] if drawn else None],
            mode="lines",
            line={"shape": "hv", "color": INK, "width": 1.2},
            name=_name(name),
            text=[STAGE_SHORT.get(stage, "?") for stage in [*stages[:common].tolist(), *stages[common - 1 : common]]],
            hovertemplate="%{text}<extra>" + _name(name) + "</extra>",
            showlegend=False,
        )
        figure.add_annotation(
            x=0,
            xref="paper",
            y=top + offset + 0.35,
            text=f"<b>{_name(name)}</b>",
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
        )
    differ = np.isin(a[:common], SCORED_STAGES) & np.isin(b[:common], SCORED_STAGES) & (a[:common] != b[:common])
    at = np.flatnonzero(differ).tolist()
    figure.add_scatter(
        x=[moments[k] for k in at],
        y=[top + gap - 1.0] * len(at),
        mode="markers",
        marker={"symbol": "line-ns", "size": 12, "line": {"width": 1.4, "color": DISAGREEMENT}},
        customdata=[k + 1 for k in at],
        text=[f"epoch {k + 1}: {STAGE_SHORT[int(a[k])]} against {STAGE_SHORT[int(b[k])]}" for k in at],  # type: ignore[index]
        hovertemplate="%{text}<extra></extra>",
        name="differ",
        showlegend=False,
    )
    _frame(figure, height=260)
    rows = [(level + offset, STAGE_SHORT[stage]) for offset in (top + gap, 0.0) for stage, level in levels.items()]
    figure.update_yaxes(
        tickvals=[level for level, _ in rows],
        ticktext=[word for _, word in rows],
        range=[-0.5, 2 * top + gap + 1.3],
        gridcolor=GRID,
        zeroline=False,
        fixedrange=True,
    )
    title = {"text": "clock time" if start is not None else "hours from the start", "standoff": 4}
    figure.update_xaxes(title=title, gridcolor=GRID, zeroline=False, tickformat="%H:%M" if start is not None else None)
    return figure


def stage_colour(short: str) -> str:
    """Return the colour of a stage by its letters, for a table's cell."""
    return next((STAGE_COLOURS[stage] for stage, word in STAGE_SHORT.items() if word == short), "#ffffff")


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign: "+3.2", "−1.0", "0.0"."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _moments(count: int, start: datetime | None) -> list[datetime] | list[float]:
    if start is None:
        return [k * EPOCH_S / 3600 for k in range(count)]
    return [start + timedelta(seconds=k * EPOCH_S) for k in range(count)]


def _name(text: str, most: int = 40) -> str:
    """Return a name that a figure shows as text, not as the tags that Plotly reads."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return printable(short).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _frame(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(height=height, margin={"l": 8, "r": 8, "t": 8, "b": 8}, font=_FONT, plot_bgcolor="white")
