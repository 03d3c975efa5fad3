"""How pure the neighbourhoods of a map are, as sentences and a figure: beside the map, so that site effects are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from sleepfm.analysis.neighbour_purity import Purity, purity
from sleepfm.library.map_columns import SITE_COLUMN, MapColumn
from sleepfm.library.map_making import numbered
from sleepfm.library.maps import StoredMap
from sleepfm.text import printable
from sleepfm.viewer.theme import GRID, INK, QUIET_INK

MOST_BARS = 8
_MEASURED = "#2f6fab"
_ROW_PX = 24
_MOST_LETTERS = 14


@dataclass(frozen=True, eq=False)
class ColumnPurity:
    """The purity of one column on a map; `names` are the groups' names, `neighbours` how many were looked at."""

    title: str
    is_site: bool
    found: Purity
    names: tuple[str, ...]
    fifths: bool
    neighbours: int

    @property
    def above_chance(self) -> bool | None:
        """Whether the interval lies above chance; None where there is no interval."""
        if self.found.share.low is None or self.found.chance is None:
            return None
        return self.found.share.low > self.found.chance


def column_purity(stored: StoredMap, column: MapColumn) -> ColumnPurity:
    """Compute the purity of a column; numbers are put into fifths."""
    code_n, names = column.groups(stored)
    subject_n = numbered(stored.subjects)[stored.study_n]
    found = purity(code_n, subject_n, stored.query_q, stored.neighbour_qk)
    return ColumnPurity(
        column.title, column.key == SITE_COLUMN, found, names, column.labels is None, stored.neighbour_qk.shape[1]
    )


def purity_words(one: ColumnPurity, unit: str) -> tuple[str, str]:
    """Return the number with its interval beside chance, and a sentence on what it says; plain text."""
    share, chance = one.found.share, one.found.chance
    if share.value is None or chance is None:
        return "no purity", share.reason
    interval = "" if share.low is None or share.high is None else f" ({_percent(share.low)} to {_percent(share.high)})"
    head = f"{_percent(share.value)} %{interval}, by chance {_percent(chance)} %"
    same = f"lie in the same fifth of {one.title}" if one.fifths else f"are of the same {one.title.lower()}"
    nearest = f"the {one.neighbours} nearest" if one.neighbours > 1 else "the nearest"
    rest = f"of {nearest} {unit} of other people {same}; n = {share.n:,} {unit} of {share.subjects:,} people"
    if one.above_chance is None:
        return head, f"{rest}. {share.reason[:1].upper()}{share.reason[1:]}."
    if not one.above_chance:
        return head, f"{rest}. Not shown to be more than by chance."
    caution = " A difference between groups may be one between sites." if one.is_site else ""
    return head, f"{rest}. More than by chance: the embedding knows it.{caution}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _shortened(name: str, *, fifths: bool) -> str:
    """Return a group's name for the figure's margin; the limits of a fifth stay whole, since a cut number is another one."""
    name = printable(name)
    return name if fifths or len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def purity_figure(one: ColumnPurity) -> go.Figure | None:
    """Draw the share of each group with its interval, and chance as a line; None where there is nothing to draw."""
    groups = sorted(one.found.by_label.items(), key=lambda item: (-item[1][0].n, item[0]))[:MOST_BARS]
    if one.found.share.value is None or not groups:
        return None
    groups = sorted(groups, key=lambda item: item[0], reverse=True)
    names = [f"{_shortened(one.names[label], fifths=one.fifths)} (n {estimate.n:,})" for label, (estimate, _) in groups]
    value = np.array([np.nan if estimate.value is None else 100 * estimate.value for _, (estimate, _) in groups])
    low = np.array([np.nan if estimate.low is None else 100 * estimate.low for _, (estimate, _) in groups])
    high = np.array([np.nan if estimate.high is None else 100 * estimate.high for _, (estimate, _) in groups])
    chance = [np.nan if by_chance is None else 100 * by_chance for _, (_, by_chance) in groups]
    error = {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num(high - value),
        "arrayminus": np.nan_to_num(value - low),
        "color": INK,
        "thickness": 1.2,
        "width": 3,
    }
    rows = list(range(len(groups)))
    figure = go.Figure()
    figure.add_bar(
        x=value,
        y=rows,
        orientation="h",
        marker_color=_MEASURED,
        error_x=error,
        name="measured",
        hovertemplate="%{x:.0f} %<extra></extra>",
    )
    figure.add_scatter(
        x=chance,
        y=rows,
        mode="markers",
        marker={"symbol": "line-ns", "size": 15, "line": {"width": 2.5, "color": "#d55e00"}},
        name="by chance",
        hovertemplate="by chance %{x:.0f} %<extra></extra>",
    )
    figure.update_layout(
        height=64 + _ROW_PX * len(rows) + 22,
        margin={"l": 4, "r": 8, "t": 4, "b": 4},
        bargap=0.35,
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        font={"size": 12, "color": INK},
        plot_bgcolor="#ffffff",
        xaxis={
            "title": {"text": "share of neighbours (%)", "font": {"size": 11, "color": QUIET_INK}, "standoff": 4},
            "range": [0, 104],  # room for the 100 and for a whisker's end
            "tickvals": [0, 50, 100],
            "gridcolor": GRID,
            "zeroline": False,
        },
        yaxis={"tickvals": rows, "ticktext": names, "automargin": True},
    )
    return figure
