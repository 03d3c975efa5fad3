"""Figures of a report as SVG, drawn by matplotlib without a display.

All text comes from files at some point: it is made printable, never read as formulas, and escaped by the SVG writer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from sleepfm.evaluation.evaluation import Figure, IntervalPlot, Line, LinePlot, MatrixPlot
from sleepfm.text import printable

INK = "#1f2933"
QUIET = "#5b6673"
GRID = "#e6e9ee"
FAINT = "#9aa3ae"
COLOURS = ("#1f5f99", "#d55e00", "#117a65", "#b0468f", "#8a6d00", "#3aa0d1", "#7a4b2a", "#4a5563")
"""Apart from each other with the common colour-vision deficiencies and in grey (after Okabe and Ito)."""
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MANY_POINTS = 60
_LONGEST_LABEL = 40
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sleepfm",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def draw(figure: Figure) -> str:
    """Return the figure as an `<svg>` element for an HTML page."""
    with rc_context(_STYLE):
        if isinstance(figure, LinePlot):
            canvas = _lines(figure)
        elif isinstance(figure, MatrixPlot):
            canvas = _matrix(figure)
        else:
            canvas = _intervals(figure)
        FigureCanvasSVG(canvas)
        written = io.StringIO()
        canvas.savefig(written, format="svg", bbox_inches="tight", pad_inches=0.06, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    # Several figures stand in one page: an id of one must not be found by a reference of another.
    return re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{re.sub('[^A-Za-z0-9]', '-', figure.key)}-", svg)


def _lines(figure: LinePlot) -> Canvas:
    canvas = Canvas(figsize=(4.6, 3.5))
    axes = canvas.add_subplot()
    axes.grid(visible=True)
    if figure.diagonal:
        axes.axline((0, 0), slope=1, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    strong = [line for line in figure.lines if not line.faint]
    for line in figure.lines:
        colour = FAINT if line.faint else COLOURS[strong.index(line) % len(COLOURS)]
        mark = MARKS[0] if line.faint else MARKS[strong.index(line) % len(MARKS)]
        _line(axes, line, colour, mark)
    axes.set_xlabel(printable(figure.x_label))
    axes.set_ylabel(printable(figure.y_label))
    for ends, setter in ((figure.x_range, axes.set_xlim), (figure.y_range, axes.set_ylim)):
        if ends is not None:
            room = 0.02 * (ends[1] - ends[0])
            setter(ends[0] - room, ends[1] + room)
    if len(figure.lines) > 1:
        axes.legend(loc="best")
    return canvas


def _line(axes: Axes, line: Line, colour: str, mark: str) -> None:
    curve, name = line.curve, printable(line.name)
    if line.style == "steps":
        axes.step(curve.x, curve.y, where="post", color=colour, linewidth=1.6, label=name)
    elif line.style == "points":
        crowd = curve.x.size > _MANY_POINTS
        size, alpha, edge = (3.2, 0.55, 0.0) if crowd else (4.5, 1.0, 1.0)
        axes.plot(
            curve.x,
            curve.y,
            linestyle="",
            marker=mark,
            color=colour,
            label=name,
            markersize=size,
            alpha=alpha,
            markeredgewidth=edge,
        )
    else:
        axes.plot(
            curve.x, curve.y, color=colour, linewidth=1.6, label=name, marker="" if curve.low is None else mark, markersize=4
        )
    if curve.low is None or curve.high is None:
        return
    if line.style == "points":
        reach = np.clip(np.stack([curve.y - curve.low, curve.high - curve.y]), 0, None)
        axes.errorbar(curve.x, curve.y, reach, fmt="none", ecolor=colour, elinewidth=1.1, capsize=2)
    else:
        axes.fill_between(
            curve.x, curve.low, curve.high, step="post" if line.style == "steps" else None, color=colour, alpha=0.13, linewidth=0
        )


def _matrix(figure: MatrixPlot) -> Canvas:
    counts = np.asarray(figure.counts, dtype=np.float64)
    of_row = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    canvas = Canvas(figsize=(1.6 + 0.75 * len(figure.columns), 1.2 + 0.5 * len(figure.rows)))
    axes = canvas.add_subplot()
    axes.pcolormesh(of_row, cmap="Blues", vmin=0, vmax=1.15, edgecolors="white", linewidth=1.5)  # vectors, unlike imshow
    axes.invert_yaxis()
    for i in range(len(figure.rows)):
        for j in range(len(figure.columns)):
            colour = "white" if of_row[i, j] > 0.55 else INK
            axes.text(j + 0.5, i + 0.38, f"{counts[i, j]:,.0f}", ha="center", va="center", color=colour)
            axes.text(j + 0.5, i + 0.74, f"{100 * of_row[i, j]:.0f} %", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(np.arange(len(figure.columns)) + 0.5, _short(figure.columns), rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(figure.rows)) + 0.5, _short(figure.rows))
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(printable(figure.column_label))
    axes.set_ylabel(printable(figure.row_label))
    return canvas


def _intervals(figure: IntervalPlot) -> Canvas:
    series = list(dict.fromkeys(name for _, estimates in figure.entries for name in estimates))
    canvas = Canvas(figsize=(5.6, 1.0 + 0.30 * max(len(figure.entries), 2)))
    axes = canvas.add_subplot()
    axes.grid(visible=True, axis="x")
    if figure.reference is not None:
        axes.axvline(figure.reference, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    apart = 0.5 / max(len(series), 1)
    for k, name in enumerate(series):
        named = False
        for place, (_, estimates) in enumerate(figure.entries):
            estimate = estimates.get(name)
            if estimate is None or estimate.value is None:
                continue
            y = place + apart * (k - (len(series) - 1) / 2)
            colour = COLOURS[k % len(COLOURS)]
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt")
            label = None if named else printable(name)
            axes.plot([estimate.value], [y], marker=MARKS[k % len(MARKS)], color=colour, markersize=5, linestyle="", label=label)
            named = True
    axes.set_yticks(range(len(figure.entries)), _short([label for label, _ in figure.entries]))
    axes.set_ylim(len(figure.entries) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, colors=INK)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(printable(figure.x_label))
    if len(series) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(series), borderaxespad=0)
    return canvas


def _short(labels: Sequence[str]) -> list[str]:
    texts = [printable(label) for label in labels]
    return [text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…" for text in texts]
