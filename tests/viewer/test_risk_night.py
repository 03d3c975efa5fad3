"""The change of the score over the night, beside the hypnogram."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import numpy as np
import pytest
from viewer.made_up_risk import made_up_result

from sleepfm.viewer.risk_night import (
    WindowChange,
    night_figure,
    strongest,
    time_words,
    window_changes,
    window_words,
    windows_csv,
)
from sleepfm.viewer.theme import STAGE_COLOURS
from sleepfm.vocabulary import Stage

START = datetime(2026, 3, 1, 22, 30)
EPOCHS = 960


def stages() -> np.ndarray:
    """A night with every stage, unknown at both ends."""
    night_e = np.repeat(np.array([0, 1, 2, 3, 2, 4, 2, 3], dtype=np.int8), EPOCHS // 8)
    night_e[:5] = night_e[-5:] = -1
    return night_e


def windows(staged: np.ndarray | None) -> list[WindowChange]:
    result = made_up_result()
    return window_changes(result.window_start_s, result.window_stop_s, result.occlusion_wk[:, 0], staged)


def test_each_window_has_the_epoch_it_begins_in() -> None:
    assert [one.epoch for one in windows(None)[:3]] == [21, 31, 41]
    odd = window_changes(np.array([45.0, 0.0]), np.array([300.0, 45.0]), np.array([0.5, -0.5]), None)
    assert [(one.start_s, one.epoch, one.change) for one in odd] == [(0.0, 1, -0.5), (45.0, 2, 0.5)]


def test_a_window_has_the_stage_most_of_its_epochs_have_and_unknown_does_not_count() -> None:
    staged = np.array([-1, -1, -1, -1, -1, -1, -1, 3, 3, 2] + [-1] * 10 + [0] * 4 + [4] * 6, dtype=np.int8)
    found = window_changes(np.array([0.0, 300.0, 600.0]), np.array([300.0, 600.0, 900.0]), np.zeros(3), staged)
    assert [one.stage for one in found] == [Stage.N3, Stage.UNKNOWN, Stage.REM]
    assert {one.stage for one in windows(None)} == {Stage.UNKNOWN}


def test_what_has_no_number_is_left_out() -> None:
    assert len(window_changes(np.array([0.0, 300.0]), np.array([300.0, 600.0]), np.array([np.nan, 0.1]), None)) == 1


def test_the_strongest_windows_come_first_whichever_way_they_change_the_score() -> None:
    ordered = strongest(windows(stages()), most=5)
    sizes = [abs(one.change) for one in windows(stages())]
    assert [abs(one.change) for one in ordered] == sorted(sizes, reverse=True)[:5]


def test_words_give_the_time_of_night_where_it_is_known() -> None:
    window = WindowChange(5400.0, 5700.0, 181, -0.0312, Stage.N3)
    assert window_words(window, START) == "00:00 · N3 · epoch 181 · change of the score −0.0312"
    assert time_words(None, 5400.0) == "1 h 30 min from the start"


@pytest.mark.parametrize("start", [START, None])
def test_bars_lead_to_epochs_and_stand_on_the_axis_of_the_hypnogram(start: datetime | None) -> None:
    found = windows(stages())
    figure = night_figure(found, stages=stages(), start=start, duration_s=EPOCHS * 30.0, assessed_s=(600.0, 27_600.0))
    bars = next(trace for trace in figure.data if trace.type == "bar")
    assert list(bars.customdata) == [one.epoch for one in found]
    assert list(bars.y) == [one.change for one in found]
    assert bars.x[0] == ("2026-03-01T22:42:30" if start else 750 / 3600)
    assert {trace.type for trace in figure.data} == {"bar", "scatter"}
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert figure.layout.xaxis2.title.text == ("time of night" if start else "hours from the start")
    assert "log hazard" in figure.layout.yaxis2.title.text
    shaded = {(shape.x0, shape.x1) for shape in figure.layout.shapes}
    end = "2026-03-02T06:30:00" if start else 8.0
    assert ("2026-03-01T22:30:00" if start else 0.0, "2026-03-01T22:40:00" if start else 600 / 3600) in shaded
    assert ("2026-03-02T06:10:00" if start else 27_600 / 3600, end) in shaded


def test_the_hypnogram_has_the_stages_of_the_scoring_and_never_draws_unknown() -> None:
    figure = night_figure(windows(stages()), stages=stages(), start=None, duration_s=28_800.0, assessed_s=(0.0, 28_800.0))
    drawn: dict[str, float] = {}
    for trace in figure.data:
        if trace.type == "scatter" and trace.name:
            places = [place for place in trace.x if place is not None]
            drawn[trace.name] = sum(stop - first for first, stop in zip(places[::2], places[1::2], strict=True)) * 120
            assert trace.line.color in STAGE_COLOURS.values()
    scored = {short: int((stages() == stage).sum()) for short, stage in zip(["W", "N1", "N2", "N3", "R"], range(5), strict=True)}
    assert {name: round(epochs) for name, epochs in drawn.items()} == scored


def test_a_night_without_a_scoring_has_the_bars_alone() -> None:
    figure = night_figure(windows(None), stages=None, start=None, duration_s=28_800.0, assessed_s=(0.0, 28_800.0))
    assert [trace.type for trace in figure.data] == ["bar"]


def test_the_file_has_every_window() -> None:
    rows = list(csv.DictReader(io.StringIO(windows_csv("night-1", "risky", "100.1", windows(stages()), START))))
    assert len(rows) == len(windows(None))
    assert rows[0]["clock"] == "2026-03-01T22:40:00"
    assert [float(row["change"]) for row in rows] == [one.change for one in windows(None)]
