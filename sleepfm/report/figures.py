"""The figures of a report: stacked rows over one time axis, drawn by matplotlib without a display."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sleepfm.report.figure_rows import (
    FAINT,
    GRID,
    INK,
    draw_events,
    draw_heart_rate,
    draw_hypnodensity,
    draw_hypnogram,
    draw_position,
    draw_quality,
    draw_spectrogram,
    draw_spo2,
    draw_stage_strip,
    has_heart_rate,
    has_spo2,
    lanes_of,
    positions_of,
    shown_channels,
)
from sleepfm.report.fonts import register_font
from sleepfm.report.report_data import ReportData
from sleepfm.vocabulary import EPOCH_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_DPI = 220
WIDTH_IN = 7.2
"""Of the figures: that of A4 and Letter between their margins."""
_LEFT_IN, _RIGHT_IN, _TOP_IN, _BOTTOM_IN, _BETWEEN_IN = 0.98, 0.22, 0.2, 0.36, 0.13
_STYLE: Any = {
    "svg.hashsalt": "sleepfm",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}


@dataclass(frozen=True)
class _Row:
    """One row of a figure: its height and what draws it."""

    height_in: float
    draw: Callable[[Axes], None]


@dataclass(frozen=True)
class Figures:
    """The figures of one report, drawn once for the page and for paper."""

    night: Figure
    detail: Figure


def draw(data: ReportData) -> Figures:
    """Draw the figures of a report."""
    return Figures(_night(data), _detail(data))


def _night(data: ReportData) -> Figure:
    """Return the hypnogram with lights, the events and the oxygen saturation under it."""
    lanes = lanes_of(data)
    alone = not lanes and not has_spo2(data)
    rows = [_Row(2.4 if alone else 1.55, lambda axes: draw_hypnogram(axes, data))]
    if lanes:
        rows.append(_Row(0.135 * len(lanes) + 0.06, lambda axes: draw_events(axes, data, lanes)))
    if has_spo2(data):
        rows.append(_Row(0.85, lambda axes: draw_spo2(axes, data)))
    return _stacked(rows, data)


def _detail(data: ReportData) -> Figure:
    """Return hypnodensity, spectrogram, heart rate, position and the quality by channel, each where it is there."""
    rows = [_Row(0.13, lambda axes: draw_stage_strip(axes, data))]
    if data.scoring.probabilities is not None:
        rows.append(_Row(1.0, lambda axes: draw_hypnodensity(axes, data)))
    if data.spectrum is not None:
        rows.append(_Row(1.35, lambda axes: draw_spectrogram(axes, data)))
    if has_heart_rate(data):
        rows.append(_Row(0.8, lambda axes: draw_heart_rate(axes, data)))
    positions = positions_of(data)
    if positions:
        rows.append(_Row(0.14 * len(positions) + 0.06, lambda axes: draw_position(axes, data, positions)))
    shown = shown_channels(data)
    if shown:
        rows.append(_Row(0.145 * len(shown) + 0.04, lambda axes: draw_quality(axes, shown)))
    return _stacked(rows, data)


def svg(figure: Figure, key: str) -> str:
    """Return a figure as one `<svg>` element whose words are text.

    Parameters
    ----------
    key
        Put before every id, so that figures of one page do not find each other's.
    """
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context(_STYLE | {"svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = written.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)", lambda found: _few_colours(found[1]), drawn)
    return re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{key}-", drawn)


def _few_colours(coded: str) -> str:
    """Return a picture inside a figure with a palette, which a colour scale of 256 steps needs a quarter of the room for."""
    from PIL import Image  # noqa: PLC0415 - matplotlib brings it, and only where reports are made

    with Image.open(io.BytesIO(base64.b64decode(coded))) as picture:
        full = picture.convert("RGBA")
    smaller, written = full.quantize(256, Image.Quantize.FASTOCTREE), io.BytesIO()
    smaller.save(written, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def png(figure: Figure) -> bytes:
    """Return a figure as a picture that is sharp on paper."""
    from matplotlib import rc_context

    written = io.BytesIO()
    with rc_context(_STYLE):
        figure.savefig(written, format="png", dpi=PAPER_DPI, metadata={"Software": None})
    return written.getvalue()


def _stacked(rows: Sequence[_Row], data: ReportData) -> Figure:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    register_font()
    height_in = _TOP_IN + sum(row.height_in for row in rows) + _BETWEEN_IN * (len(rows) - 1) + _BOTTOM_IN
    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in))
        top = height_in - _TOP_IN
        for number, row in enumerate(rows):
            top -= row.height_in
            place = (
                _LEFT_IN / WIDTH_IN,
                top / height_in,
                (WIDTH_IN - _LEFT_IN - _RIGHT_IN) / WIDTH_IN,
                row.height_in / height_in,
            )
            axes = figure.add_axes(place)
            row.draw(axes)
            _time_axis(axes, data, last=number == len(rows) - 1)
            top -= _BETWEEN_IN
    return figure


def _time_axis(axes: Axes, data: ReportData, *, last: bool) -> None:
    """Set the hours of the night; clock times where the header has a start."""
    hours = max(data.facts.duration_s, EPOCH_S) / 3600
    axes.set_xlim(0, hours)
    start = data.facts.start_time
    first = 0.0 if start is None else (start.hour * 3600 + start.minute * 60 + start.second) / 3600
    most = max(4, int(WIDTH_IN * 1.7))
    step = next((step for step in (1 / 60, 1 / 12, 1 / 6, 1 / 4, 1 / 2, 1.0, 2.0, 3.0, 6.0) if hours / step <= most), 12.0)
    marks = np.arange(np.ceil(first / step - 1e-9) * step, first + hours + 1e-9, step)
    axes.set_xticks(marks - first)
    if not last:
        axes.tick_params(axis="x", labelbottom=False, length=0)
        return
    if start is None:
        axes.set_xticklabels([f"{_clock(mark)}" for mark in marks])
        axes.set_xlabel("hours and minutes from the start of the recording", labelpad=2)
    else:
        axes.set_xticklabels([_clock(mark % 24) for mark in marks])
        axes.set_xlabel("time of night", labelpad=2)


def _clock(hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
