"""What each five minutes of a night change of the score, drawn below the hypnogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sleepfm.viewer.risk_waterfall import LOWERS, RAISES
from sleepfm.viewer.risk_words import signed
from sleepfm.viewer.table_csv import table_csv
from sleepfm.viewer.theme import GAP, GRID, GRID_STRONG, HYPNOGRAM_ORDER, QUIET_INK, STAGE_COLOURS
from sleepfm.viewer.words import duration_words
from sleepfm.vocabulary import EPOCH_S, STAGE_SHORT, Stage

_STAGE_PX = 8
_HEIGHT = 350


@dataclass(frozen=True)
class WindowChange:
    """What one 5-min window changes of the score.

    Attributes
    ----------
    start_s, stop_s
        In seconds from the recording's start; the first and the last window of a night may be shorter than the others.
    epoch
        The epoch (1-based) it begins in.
    change
        Score minus the score without this window (log hazard).
    stage
        The stage most of its epochs were scored with, Unknown where there is no scoring.
    """

    start_s: float
    stop_s: float
    epoch: int
    change: float
    stage: Stage


def window_changes(
    window_start_s: np.ndarray, window_stop_s: np.ndarray, change_w: np.ndarray, stages: np.ndarray | None
) -> list[WindowChange]:
    """Return the windows in the order of time; those without a number are left out.

    Parameters
    ----------
    window_start_s, window_stop_s
        (window,) seconds from the recording's start.
    change_w
        (window,) of one condition.
    stages
        (epoch,) of a scoring of the whole recording, None where there is none.
    """
    order_w = np.argsort(window_start_s, kind="stable")
    return [
        WindowChange(
            float(window_start_s[w]),
            float(window_stop_s[w]),
            int(window_start_s[w] // EPOCH_S) + 1,
            float(change_w[w]),
            Stage.UNKNOWN if stages is None else _most_frequent(stages, float(window_start_s[w]), float(window_stop_s[w])),
        )
        for w in order_w.tolist()
        if np.isfinite(change_w[w])
    ]


def _most_frequent(stages: np.ndarray, start_s: float, stop_s: float) -> Stage:
    inside = stages[int(start_s // EPOCH_S) : math.ceil(stop_s / EPOCH_S)]
    scored = inside[inside != Stage.UNKNOWN]
    return Stage(int(np.bincount(scored).argmax())) if scored.size else Stage.UNKNOWN


def strongest(windows: list[WindowChange], most: int = 12) -> list[WindowChange]:
    """Return the windows that change the score most, up or down, the strongest first."""
    return sorted(windows, key=lambda one: (-abs(one.change), one.start_s))[:most]


def time_words(start: datetime | None, seconds: float) -> str:
    """Return the time of night ("23:05"), or the time from the start where nobody knows when the recording began."""
    return f"{duration_words(seconds)} from the start" if start is None else f"{start + timedelta(seconds=seconds):%H:%M}"


def window_words(window: WindowChange, start: datetime | None) -> str:
    """Return a window as a choice: "02:35 · N3 · epoch 311 · change of the score −0.031"."""
    stage = "" if window.stage is Stage.UNKNOWN else f" · {STAGE_SHORT[window.stage]}"
    return f"{time_words(start, window.start_s)}{stage} · epoch {window.epoch} · change of the score {signed(window.change, 4)}"


def night_figure(
    windows: list[WindowChange],
    *,
    stages: np.ndarray | None,
    start: datetime | None,
    duration_s: float,
    assessed_s: tuple[float, float],
) -> go.Figure:
    """Draw the hypnogram and, below it on the same time axis, the change of the score of each window.

    Each window is one bar; its customdata is the window's epoch. What lies outside `assessed_s` (start, stop) took no part in the
    score and is shaded.
    """
    hypnogram = stages is not None
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.38, 0.62])
    x = _Axis(start)
    if stages is not None:
        _draw_hypnogram(figure, stages, x)
    colours = [RAISES if one.change > 0 else LOWERS for one in windows]
    middles = [x.at((one.start_s + one.stop_s) / 2) for one in windows]
    texts = [window_words(one, start) for one in windows]
    figure.add_bar(
        x=middles,
        y=[one.change for one in windows],
        width=[x.length(0.9 * (one.stop_s - one.start_s)) for one in windows],
        marker={"color": colours},
        customdata=[one.epoch for one in windows],
        hovertext=texts,
        hovertemplate="%{hovertext}<br>click to see its traces<extra></extra>",
        showlegend=False,
        row=2,
        col=1,
    )
    for low, high in ((0.0, assessed_s[0]), (assessed_s[1], duration_s)):
        if high - low > EPOCH_S:
            figure.add_vrect(x0=x.at(low), x1=x.at(high), fillcolor=GAP, opacity=0.7, line_width=0, layer="below")
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 8, "r": 8, "t": 26, "b": 40},
        plot_bgcolor="white",
        dragmode=False,
        hovermode="closest",
        bargap=0,
    )
    rows = list(HYPNOGRAM_ORDER)
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[STAGE_SHORT[stage] for stage in rows],
        range=[len(rows) - 0.5, -0.5],
        gridcolor=GRID,
        zeroline=False,
        fixedrange=True,
        visible=hypnogram,
        title="stage",
        automargin=True,
        row=1,
        col=1,
    )
    figure.update_yaxes(
        title="change of the score<br>(log hazard)",
        gridcolor=GRID,
        zeroline=True,
        zerolinecolor=QUIET_INK,
        automargin=True,
        row=2,
        col=1,
    )
    figure.update_xaxes(range=[x.at(0.0), x.at(duration_s)], gridcolor=GRID, **x.ticks())
    figure.update_xaxes(title=x.title, row=2, col=1)
    return figure


class _Axis:
    """The time axis: the clock where the start is known, else hours from the start."""

    def __init__(self, start: datetime | None) -> None:
        self._start = start
        self.title = "hours from the start" if start is None else "time of night"

    def at(self, seconds: float) -> float | str:
        return seconds / 3600 if self._start is None else (self._start + timedelta(seconds=seconds)).isoformat()

    def length(self, seconds: float) -> float:
        return seconds / 3600 if self._start is None else seconds * 1000

    def ticks(self) -> dict[str, str]:
        return {} if self._start is None else {"type": "date", "tickformat": "%H:%M"}


def _draw_hypnogram(figure: go.Figure, stages: np.ndarray, x: _Axis) -> None:
    edges = np.flatnonzero(np.diff(stages, prepend=np.int8(-9), append=np.int8(-9)))
    bouts = [(Stage(int(stages[first])), first * EPOCH_S, stop * EPOCH_S) for first, stop in pairwise(edges.tolist())]
    rows = {stage: row for row, stage in enumerate(HYPNOGRAM_ORDER)}
    steps_x: list[float | str | None] = []
    steps_y: list[float | None] = []
    for stage, first_s, stop_s in bouts:
        if stage is Stage.UNKNOWN:  # a gap in the line: nobody knows
            steps_x, steps_y = [*steps_x, None], [*steps_y, None]
        else:
            steps_x += [x.at(first_s), x.at(stop_s)]
            steps_y += [rows[stage]] * 2
    figure.add_scatter(
        x=steps_x,
        y=steps_y,
        mode="lines",
        line={"color": GRID_STRONG, "width": 1},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=1,
    )
    for stage in HYPNOGRAM_ORDER:  # one trace a stage: a shape for each bout would be slow
        of_stage = [(first_s, stop_s) for one, first_s, stop_s in bouts if one is stage]
        if of_stage:
            figure.add_scatter(
                x=[place for first_s, stop_s in of_stage for place in (x.at(first_s), x.at(stop_s), None)],
                y=[rows[stage]] * (3 * len(of_stage)),
                mode="lines",
                line={"color": STAGE_COLOURS[stage], "width": _STAGE_PX},
                name=STAGE_SHORT[stage],
                hovertemplate=f"{STAGE_SHORT[stage]}<extra></extra>",
                showlegend=False,
                row=1,
                col=1,
            )


def windows_csv(study: str, model: str, phecode: str, windows: list[WindowChange], start: datetime | None) -> str:
    """Return the change of the score by window as a CSV file."""
    rows = [
        {
            "study": study,
            "model": model,
            "phecode": phecode,
            "start_s": one.start_s,
            "stop_s": one.stop_s,
            "clock": "" if start is None else (start + timedelta(seconds=one.start_s)).isoformat(),
            "epoch": one.epoch,
            "stage": STAGE_SHORT[one.stage],
            "change": one.change,
        }
        for one in windows
    ]
    columns = ["study", "model", "phecode", "start_s", "stop_s", "clock", "epoch", "stage", "change"]
    return table_csv(pd.DataFrame(rows, columns=columns))
