"""One way to show a chart: Plotly's own bar saves its picture (PNG or SVG), and a button beside it its data as CSV."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from sleepfm.recording.scorings.tables import spreadsheet_safe
from sleepfm.viewer.role_widgets import export_button

PICTURES = ("PNG", "SVG")
_CHOSEN = "picture format"
_COLUMNS = ("series", "x", "y", "value", "x_low", "x_high", "y_low", "y_high", "text")
_TAG = re.compile(r"<[^<>]*>")
_PIXELS_A_PIXEL = 2
"""A PNG for a slide or a printed page is looked at from nearer than a screen."""


def show_chart(figure: go.Figure, name: str, *, key: str, alt: str, place: Any = st, **options: Any) -> Any:
    """Draw a chart with what takes it along, and return what `st.plotly_chart` returns.

    Parameters
    ----------
    figure
        Units on its axes.
    name
        Stem of the files that are saved of it.
    key, alt
        As `st.plotly_chart` takes them.
    place
        The column or container to draw in.
    **options
        Others of `st.plotly_chart`.
    """
    with place.container(gap=None):
        slot = st.container()
        with (
            st.container(horizontal=True, horizontal_alignment="right"),
            st.popover("Save", icon=":material/download:", type="tertiary", key=f"save {key}"),
        ):
            picture = st.segmented_control(
                "Picture",
                PICTURES,
                default=st.session_state.get(_CHOSEN, PICTURES[0]),
                required=True,
                key=f"{_CHOSEN} {key}",
                help="What the camera in the chart's own bar saves; the bar appears when the pointer is on the chart",
            )
            st.session_state[_CHOSEN] = picture
            export_button(
                "Data as CSV",
                lambda: figure_csv(figure),
                f"{name}.csv",
                "text/csv",
                icon=":material/table:",
                on_click="ignore",
                key=f"data of {key}",
            )
        return slot.plotly_chart(figure, key=key, alt=alt, config=chart_config(name, str(picture)), **options)


def chart_config(name: str, picture: str = PICTURES[0]) -> dict[str, Any]:
    """Return the settings of Plotly's own bar: no advertisement, the picture under this name in this format."""
    scale = _PIXELS_A_PIXEL if picture == "PNG" else 1
    return {
        "displaylogo": False,
        "modeBarButtonsToRemove": ["lasso2d", "select2d"],
        "toImageButtonOptions": {"format": picture.lower(), "filename": name, "scale": scale},
    }


def figure_csv(figure: go.Figure) -> bytes:
    """Return what a figure shows as a CSV file (UTF-8), a row a point.

    Columns: the series, x and y (the words of the axis where it has words instead of numbers), the value of a cell of a heat map,
    the ends of error bars, and the text of the point; those that no point has are left out. The titles of the axes, with their
    units, stand in the header. A text that a spreadsheet would run gets an apostrophe.
    """
    rows = [row for trace in figure.data if trace.visible is not False for row in _rows(figure, trace)]
    used = [column for column in _COLUMNS if any(row.get(column) is not None for row in rows)]
    titles = {"x": _title(figure, "xaxis"), "y": _title(figure, "yaxis")}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([spreadsheet_safe(f"{one}: {titles[one]}" if titles.get(one) else one) for one in used])
    table.writerows([[_cell(row.get(column)) for column in used] for row in rows])
    return text.getvalue().encode()


def _rows(figure: go.Figure, trace: Any) -> Iterator[dict[str, Any]]:
    name = _plain(trace.name) or trace.type
    words_x, words_y = (_axis_words(figure, getattr(trace, f"{axis}axis", None) or axis) for axis in ("x", "y"))
    if trace.type == "heatmap":
        for j, line in enumerate(trace.z if trace.z is not None else ()):
            for i, value in enumerate(line):
                x, y = _at(trace.x, i, i), _at(trace.y, j, j)
                yield {"series": name, "x": words_x.get(x, x), "y": words_y.get(y, y), "value": _number(value)}
        return
    count = max((len(one) for one in (trace.x, trace.y) if one is not None), default=0)
    texts = getattr(trace, "hovertext", None)
    texts = texts if texts is not None else getattr(trace, "text", None)
    for i in range(count):
        x, y = _at(trace.x, i, i), _at(trace.y, i, i)
        if x is None and y is None:
            continue  # the entry of a legend
        yield {
            "series": name,
            "x": words_x.get(x, x),
            "y": words_y.get(y, y),
            **_ends("x", x, getattr(trace, "error_x", None), i),
            **_ends("y", y, getattr(trace, "error_y", None), i),
            "text": _at(texts, i, None) if not isinstance(texts, str) else texts,
        }


def _ends(axis: str, value: Any, error: Any, i: int) -> dict[str, float]:
    """Return the ends of an error bar; nothing without one."""
    up = _at(getattr(error, "array", None), i, None)
    if up is None or not isinstance(value, int | float):
        return {}
    down = _at(error.arrayminus, i, up)
    return {f"{axis}_low": value - down, f"{axis}_high": value + up}


def _axis_words(figure: go.Figure, axis: str) -> dict[Any, str]:
    """Return the words that stand on an axis by the places they stand at."""
    found = figure.layout[f"{axis[0]}axis{axis[1:]}"]
    if found is None or found.tickvals is None or found.ticktext is None:
        return {}
    return {_number(value): _plain(text) for value, text in zip(found.tickvals, found.ticktext, strict=False)}


def _title(figure: go.Figure, axis: str) -> str:
    """Return the title of the figure's only axis of this direction; nothing where there are several."""
    found = [one for one in figure.select_xaxes() if one.title.text] if axis == "xaxis" else [
        one for one in figure.select_yaxes() if one.title.text
    ]  # fmt: skip
    titles = {one.title.text for one in found}
    return _plain(titles.pop()) if len(titles) == 1 else ""


def _at(values: Sequence[Any] | None, i: int, otherwise: Any) -> Any:
    if values is None or i >= len(values):
        return otherwise
    return _number(values[i])


def _number(value: Any) -> Any:
    """Return a plain number or text for what NumPy or pandas gave."""
    plain = value.item() if hasattr(value, "item") else value
    return float(plain) if isinstance(plain, float) else plain


def _plain(text: str | None) -> str:
    """Return a text of a figure without its tags."""
    return " ".join(html.unescape(_TAG.sub(" ", text or "")).split())


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool | int | float):
        return repr(value)
    return spreadsheet_safe(_plain(str(value)))
