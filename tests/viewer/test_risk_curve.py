"""The event-free figure, and what the page offers to choose."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from viewer.made_up_risk import YEARS, made_up_assessment, made_up_card, made_up_reference, made_up_result

from sleepfm.models.card import SIMULATED, UNKNOWN, ModelCard
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import Job, JobState, Lane
from sleepfm.viewer.risk_choices import batch_seconds_left, chosen_at_first, model_choices, players_refused, result_words
from sleepfm.viewer.risk_curve import curve_csv, event_free_figure


def test_the_curve_stands_in_its_band_beside_that_of_age_and_sex() -> None:
    of = made_up_assessment()
    curve, beside = of.curve(0), of.demographics_curve(0)
    assert curve is not None
    figure = event_free_figure(curve, beside)
    drawn = {trace.name: trace for trace in figure.data if trace.name}
    night = drawn["this night, with 95 % band"]
    assert list(night.x) == [0.0, *YEARS]
    assert night.y[0] == 1.0
    assert (np.diff(night.y) <= 0).all()
    assert all(low <= free <= high for free, (low, high) in zip(night.y, night.customdata, strict=True))
    assert "age and sex alone" in drawn
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert {trace.line.shape for trace in figure.data} == {"hv"}
    assert figure.layout.xaxis.title.text == "years after the night"
    assert figure.layout.yaxis.range[0] == 0
    assert "age and sex alone" not in {trace.name for trace in event_free_figure(curve, None).data}


def test_the_file_has_both_curves() -> None:
    of = made_up_assessment()
    curve, beside = of.curve(0), of.demographics_curve(0)
    assert curve is not None
    assert beside is not None
    rows = list(csv.DictReader(io.StringIO(curve_csv("night-1", "risky", "100.1", curve, beside))))
    assert [float(row["years"]) for row in rows] == [0.0, *YEARS]
    assert [float(row["event_free"]) for row in rows] == curve.event_free.tolist()
    assert [float(row["event_free_age_and_sex"]) for row in rows] == beside.event_free.tolist()
    alone = list(csv.DictReader(io.StringIO(curve_csv("night-1", "risky", "100.1", curve, None))))
    assert {row["event_free_age_and_sex"] for row in alone} == {""}


def put(root: Path, card: ModelCard) -> None:
    (root / card.name).mkdir(parents=True)
    (root / card.name / "model.json").write_text(card.model_dump_json(), encoding="utf-8")


def test_a_simulated_model_is_taken_for_a_simulated_night_only(tmp_path: Path) -> None:
    put(tmp_path, made_up_card(name="demo", trained_on=SIMULATED))
    put(tmp_path, made_up_card(name="nobody-knows", trained_on=UNKNOWN))
    put(tmp_path, made_up_card(name="age-and-sex-only", trained_on="a cohort", baseline=True))
    shelf = Shelf(tmp_path)
    choices = model_choices(shelf)
    assert [one.label for one in choices] == ["nobody-knows (unknown origin)", "demo (simulated)"]
    assert chosen_at_first(shelf, choices, simulated_recording=False) is None
    first = chosen_at_first(shelf, choices, simulated_recording=True)
    assert first is not None
    assert first.name == "demo"
    put(tmp_path, made_up_card(name="real", trained_on="a cohort"))
    for simulated in (False, True):
        first = chosen_at_first(shelf, model_choices(shelf), simulated_recording=simulated)
        assert first is not None
        assert first.name == "real"


def test_age_and_sex_are_players_only_where_there_are_people_to_average_over(tmp_path: Path) -> None:
    put(tmp_path, made_up_card())
    (choice,) = model_choices(Shelf(tmp_path))
    assert "no reference people" in players_refused(choice)
    (choice.folder / "reference.json").write_text(made_up_reference().model_dump_json(), encoding="utf-8")
    assert players_refused(choice) == ""


def test_a_stored_result_says_of_whom_it_was_made() -> None:
    words = result_words(made_up_result(players=True), datetime(2026, 11, 20, 17, 40, tzinfo=UTC))
    assert words.endswith("· risky · 54 y, female · age and sex as players")
    assert result_words(made_up_result(age=None, sex=None), datetime.now(UTC)).endswith("· risky")


def test_the_time_left_for_many_nights_comes_from_how_long_the_last_ones_took() -> None:
    start = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)

    def job(seconds: float | None) -> Job:
        ended = None if seconds is None else start + timedelta(seconds=seconds)
        states = {"state": JobState.QUEUED if ended is None else JobState.FINISHED, "started_at": start, "finished_at": ended}
        rest = dict.fromkeys(("subject", "result", "error", "pid", "pid_started"))
        texts = dict.fromkeys(("id", "kind", "title", "message"), "")
        return Job(
            **texts, **rest, **states, lane=Lane.HEAVY, parameters={}, progress=0.0, stop_requested=False, created_at=start
        )

    waiting = [job(None)] * 5
    assert batch_seconds_left(waiting, [job(10.0), job(20.0)]) == pytest.approx(75.0)
    assert batch_seconds_left(waiting, []) is None
