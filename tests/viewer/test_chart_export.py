"""What a chart shows, as a file: every point with its words and ends, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import numpy as np
import plotly.graph_objects as go
import pytest

from sleepfm.models.card import Metric
from sleepfm.viewer.chart_export import chart_config, figure_csv
from sleepfm.viewer.form_curve import curve_figure
from sleepfm.viewer.models_figure import quality_figure


def rows(figure: go.Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figure_csv(figure).decode())))


def test_points_with_error_bars_and_titles_of_the_axes() -> None:
    figure = curve_figure([
        {"nights": 2, "method": "head", "kappa": 0.5, "low": 0.4, "high": 0.6, "n": 900, "why": ""},
        {"nights": 8, "method": "head", "kappa": 0.7, "low": 0.6, "high": 0.75, "n": 900, "why": ""},
    ])  # fmt: skip
    first, last = rows(figure)
    assert float(first["x: labelled nights learned from"]) == 2
    assert float(last["y: Cohen's kappa"]) == 0.7
    assert (float(last["y_low"]), float(last["y_high"])) == pytest.approx((0.6, 0.75))
    assert "0.50 (0.40 to 0.60)" in first["text"]


def test_words_on_an_axis_stand_in_place_of_their_places() -> None:
    metric = Metric(name="kappa", value=0.7, low=0.6, high=0.8, n=100, data="test")
    figure = quality_figure([metric])
    assert figure is not None
    (one,) = rows(figure)
    assert one["y"].startswith("kappa")
    assert (float(one["x_low"]), float(one["x_high"])) == pytest.approx((0.6, 0.8))


def test_cells_of_a_heat_map_and_values_that_are_missing() -> None:
    figure = go.Figure(go.Heatmap(z=np.array([[1.0, np.nan], [3.0, 4.0]]), x=["W", "N1"], y=["W", "N1"], name="epochs"))
    assert [tuple(row.values()) for row in rows(figure)] == [
        ("epochs", "W", "W", "1.0"),
        ("epochs", "N1", "W", ""),
        ("epochs", "W", "N1", "3.0"),
        ("epochs", "N1", "N1", "4.0"),
    ]


def test_a_text_that_a_spreadsheet_would_run_is_a_text_and_a_negative_number_a_number() -> None:
    figure = go.Figure(go.Scatter(x=["=cmd|' /C calc'!A0", "<b>night</b> 1"], y=[-1.5, 2], name="@sum"))
    figure.update_xaxes(title="+night")
    one, other = rows(figure)
    assert list(one.values())[1:] == ["'=cmd|' /C calc'!A0", "-1.5"]
    assert one["series"] == "'@sum"
    assert list(other.values())[1:] == ["night 1", "2"]


@pytest.mark.parametrize("picture", ["PNG", "SVG"])
def test_the_picture_is_saved_under_the_charts_name(picture: str) -> None:
    image = chart_config("night_bland-altman", picture)["toImageButtonOptions"]
    assert (image["format"], image["filename"]) == (picture.lower(), "night_bland-altman")
