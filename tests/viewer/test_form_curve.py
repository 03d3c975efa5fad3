"""The learning curve as a figure and a table: every number with its interval and count, and why one is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleepfm.home import open_home
from sleepfm.library.job_curve import submit_curve
from sleepfm.runs.table import JobTable
from sleepfm.training.finetune_settings import NightData
from sleepfm.viewer.form_curve import curve_figure, curve_rows
from sleepfm.viewer.form_curve_panel import newest_curve


def row(method: str, nights: int, kappa: float | None, **more: Any) -> dict[str, Any]:
    around = {"low": None, "high": None} if kappa is None else {"low": kappa - 0.1, "high": kappa + 0.05}
    return {"method": method, "nights": nights, "kappa": kappa, **around, "n": 1200, "why": ""} | more


ROWS = [
    row("fine-tuned", 4, 0.5),
    row("fine-tuned", 1, 0.3),
    row("fine-tuned", 16, None, why="there are 5 labelled nights"),
    row("logistic probe", 1, 0.35, low=None, high=None, why="one person has no interval"),
    row("YASA", 0, 0.6),
]


def test_a_line_a_method_over_a_logarithmic_axis() -> None:
    figure = curve_figure(ROWS)
    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [1, 4]
    assert figure.layout.yaxis.title.text == "Cohen's kappa"
    lines = {one.name: one for one in figure.data if one.name}
    assert set(lines) == {"fine-tuned", "logistic probe", "YASA (learns from none of them)"}
    tuned = lines["fine-tuned"]
    assert (list(tuned.x), list(tuned.y)) == ([1, 4], [0.3, 0.5])
    assert [round(one, 6) for one in tuned.error_y.array] == [0.05, 0.05]
    assert [round(one, 6) for one in tuned.error_y.arrayminus] == [0.1, 0.1]
    assert list(lines["YASA (learns from none of them)"].y) == [0.6, 0.6]
    assert len({one.line.dash for one in lines.values()}) == 3  # apart without colour


def test_a_curve_of_one_count_and_of_nothing_can_be_drawn() -> None:
    assert len(curve_figure([row("fine-tuned", 2, 0.4), row("YASA", 0, 0.6)]).data) == 3
    assert len(curve_figure([row("fine-tuned", 2, None)]).data) == 0


def test_every_number_stands_in_the_table_with_its_interval() -> None:
    said = [one["Cohen's kappa (95 % interval)"] for one in curve_rows(ROWS)]
    assert said == [
        "0.50 (0.40 to 0.55), n = 1,200 epochs",
        "0.30 (0.20 to 0.35), n = 1,200 epochs",
        "there are 5 labelled nights",
        "0.35, n = 1,200 epochs; one person has no interval",
        "0.60 (0.50 to 0.65), n = 1,200 epochs",
    ]
    assert [one["Labelled nights"] for one in curve_rows(ROWS)] == ["4", "1", "16", "1", "none"]


def test_a_curve_is_shown_only_for_the_data_that_it_was_measured_on(tmp_path: Path) -> None:
    home = open_home(tmp_path / "home")
    table = JobTable(home)
    here, there = (NightData(signals=(tmp_path / name,), splits=tmp_path / name / "splits.json") for name in ("here", "there"))
    first = submit_curve(home, "staging", "base", here, scorings=tmp_path / "signed", start=False)
    second = submit_curve(home, "staging", "base", here, scorings=tmp_path / "signed", nights=(1, 2), start=False)
    other = submit_curve(home, "staging", "base", there, start=False)
    assert first.id != second.id
    assert newest_curve(table, "base", here, tmp_path / "signed") == table.list(kinds=("curve",))[1]
    assert newest_curve(table, "base", there, None) == table.get(other.id)
    assert newest_curve(table, "base", here, None) is None, "the labels are others"
    assert newest_curve(table, "base", here.model_copy(update={"lists": ("pretrain",)}), tmp_path / "signed") is None
    assert newest_curve(table, "another", there, None) is None
