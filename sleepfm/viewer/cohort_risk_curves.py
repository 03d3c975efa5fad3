"""Event-free curves by risk group, with the people at risk under them."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sleepfm.analysis.risk_groups import RiskGroups
from sleepfm.viewer.cohort_risk_view import figure_text
from sleepfm.viewer.theme import GRID, INK

GROUP_COLOURS: dict[int, tuple[str, ...]] = {
    1: ("#5b6673",),
    2: ("#2c6fab", "#b3402a"),
    3: ("#2c6fab", "#8a8f98", "#b3402a"),
    4: ("#2c6fab", "#7fb0dc", "#e0954a", "#b3402a"),
    5: ("#2c6fab", "#7fb0dc", "#8a8f98", "#e0954a", "#b3402a"),
}
"""From the lowest to the highest scores; lightness tells neighbours apart where hue does not."""
_CURVES_PX, _ROW_PX, _MARGIN_PX = 300, 22, 96


def survival_figure(found: RiskGroups, condition: str) -> go.Figure:
    """Draw Kaplan-Meier curves with 95 % bands and, under them, how many people of each group are still followed.

    Parameters
    ----------
    found
        The groups, from the lowest to the highest scores.
    condition
        What did not come, for the axis.
    """
    colours = GROUP_COLOURS[len(found.groups)]
    table_px = _ROW_PX * (len(found.groups) + 1)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.17, row_heights=[_CURVES_PX, table_px])
    for group, colour in zip(found.groups, colours, strict=True):
        curve, name = group.curve, f"{group.label} (n = {group.n}, {group.events} events)"
        band = {"x": curve.years_t, "mode": "lines", "hoverinfo": "skip", "showlegend": False, "legendgroup": name}
        edge = {"width": 0, "shape": "hv"}
        figure.add_scatter(y=curve.high_t, line=edge, row=1, col=1, **band)
        figure.add_scatter(y=curve.low_t, line=edge, fill="tonexty", fillcolor=_faint(colour), row=1, col=1, **band)
        figure.add_scatter(
            x=curve.years_t,
            y=curve.event_free_t,
            customdata=list(zip(curve.low_t, curve.high_t, curve.at_risk_t, strict=True)),
            mode="lines",
            line={"color": colour, "width": 2.2, "shape": "hv"},
            name=name,
            legendgroup=name,
            hovertemplate="after %{x:.2f} years: %{y:.3f} event-free (%{customdata[0]:.3f} to %{customdata[1]:.3f}),"
            f" %{{customdata[2]}} at risk<extra>{group.label}</extra>",
            row=1,
            col=1,
        )
    for row, group in enumerate(found.groups):
        figure.add_scatter(
            x=found.ticks_t,
            y=[-row] * len(found.ticks_t),
            text=[str(count) for count in group.at_risk_t],
            mode="text",
            textfont={"color": INK, "size": 12},
            hoverinfo="skip",
            showlegend=False,
            row=2,
            col=1,
        )
    last = max(float(group.curve.years_t[-1]) for group in found.groups)
    years = {"range": [-0.03 * last, 1.03 * last], "tickvals": list(found.ticks_t), "zeroline": False}
    figure.update_layout(
        height=_CURVES_PX + table_px + _MARGIN_PX,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        plot_bgcolor="white",
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(gridcolor=GRID, showticklabels=True, title="years after the night", **years, row=1, col=1)
    figure.update_yaxes(title=f"share without {figure_text(condition[:40])}", gridcolor=GRID, range=[0, 1.02], row=1, col=1)
    figure.update_xaxes(showgrid=False, showticklabels=False, **years, row=2, col=1)
    figure.update_yaxes(
        title="at risk",
        showgrid=False,
        zeroline=False,
        range=[-len(found.groups) + 0.4, 0.6],
        tickvals=[-row for row in range(len(found.groups))],
        ticktext=[group.label for group in found.groups],
        tickfont={"color": INK},
        row=2,
        col=1,
    )
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.14)"
