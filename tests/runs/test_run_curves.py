"""What a run writes down, read while it is written, cut back and mishandled."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.runs.run_curves import Curves, Series, thinned


def line(step: object, **figures: object) -> str:
    return json.dumps({"step": step, "time": 1000.0 + (step if isinstance(step, int) else 0), **figures}) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_a_run_that_has_not_begun_has_no_curves(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "nowhere")
    assert curves.read() == {}
    assert curves.remarks == ()


def test_only_what_is_new_is_read_and_a_line_that_is_being_written_waits(file: Path) -> None:
    curves = Curves(file.parent)
    file.write_text(line(1, loss=3.0) + line(2, loss=2.0) + '{"step": 3, "ti')
    assert curves.read()["loss"].step.tolist() == [1, 2]
    version = curves.version
    assert curves.read()["loss"].step.tolist() == [1, 2]
    assert curves.version == version
    with file.open("a") as more:
        more.write('me": 5, "loss": 1.5}\n' + line(3, other=1))
    found = curves.read()
    assert curves.version != version
    assert (found["loss"].value.tolist(), found["loss"].time.tolist()) == ([3.0, 2.0, 1.5], [1001.0, 1002.0, 5.0])
    assert found["other"].step.tolist() == [3]


def test_a_resumed_run_that_forgot_steps_is_read_anew(file: Path) -> None:
    curves = Curves(file.parent)
    file.write_text("".join(line(step, loss=step) for step in range(1, 6)))
    curves.read()
    replacement = file.with_suffix(".new")
    # as long as before, so that the size does not give it away
    replacement.write_text("".join(line(step, loss=step) for step in (1, 2, 7, 8, 9)))
    replacement.replace(file)
    assert curves.read()["loss"].step.tolist() == [1, 2, 7, 8, 9]
    file.write_text(line(1, loss=1))
    assert curves.read()["loss"].step.tolist() == [1]
    file.unlink()
    assert curves.read() == {}


def test_what_a_hand_wrote_is_left_out_and_counted(file: Path) -> None:
    nonsense = ["{", "[1, 2]", "null", '{"step": 2, "loss": 1}', '{"step": "x", "time": 1, "loss": 1}', "\x00\xff" * 9]
    nonsense += ['{"step": 1e400, "time": 1, "loss": 1}', "[" * 5000]
    file.write_text(line(1, loss=3.0) + "\n".join(nonsense) + "\n" + line(2, loss=2.0), encoding="latin-1")
    curves = Curves(file.parent)
    assert curves.read()["loss"].value.tolist() == [3.0, 2.0]
    assert str(len(nonsense)) in curves.remarks[0]


def test_what_is_no_number_is_no_point(file: Path) -> None:
    file.write_text(
        line(1, loss=None, left_out="0001", reason="12")
        + line(2, loss=1.0, notes=[1])
        + line(3, loss="4")
        + line(4, loss=10**400)
        + '{"step": 5, "time": 1, "loss": NaN}\n'
    )
    found = Curves(file.parent).read()
    assert found["loss"].step.tolist() == [2]
    assert set(found) == {"loss"}


FIGURES = st.dictionaries(
    st.sampled_from(["a", "b", "c/d"]), st.none() | st.text(max_size=3) | st.floats() | st.integers(), max_size=3
)


@given(st.lists(st.tuples(st.integers(0, 10**6), FIGURES), max_size=30), st.lists(st.integers(0, 4000), max_size=6))
def test_read_in_pieces_it_is_what_a_plain_reader_finds(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, dict[str, object]]], cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    content = "".join(json.dumps({"step": step, "time": 7.5, **figures}) + "\n" for step, figures in entries).encode()
    curves = Curves(folder)
    for end in [*sorted(cuts), len(content)]:
        with (folder / "metrics.jsonl").open("ab") as file:
            file.write(content[file.tell() : end])
        found = curves.read()
    wanted: dict[str, list[tuple[int, float]]] = {}
    for step, figures in entries:
        for name, value in figures.items():
            if isinstance(value, int | float) and abs(value) < 1e300 and math.isfinite(value):
                wanted.setdefault(name, []).append((step, float(value)))
    told = {name: list(zip(one.step.tolist(), one.value.tolist(), strict=True)) for name, one in found.items()}
    close = {name: [point for point in points if abs(point[1]) < 1e300] for name, points in told.items()}
    assert {name: points for name, points in close.items() if points} == wanted


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 40), st.booleans())
def test_thinning_keeps_ends_and_the_extremes_of_each_pixel(values: list[float], points: int, gaps: bool) -> None:
    n = len(values)
    step = np.cumsum(np.arange(n) % 7 + 1) if gaps else np.arange(n)
    series = Series(step, np.array(values), step * 2.0)
    thin = thinned(series, points)
    assert len(thin.step) <= max(2 * points + 2, 1)
    assert (thin.step[0], thin.step[-1]) == (step[0], step[-1])
    assert np.all(np.diff(thin.step) > 0)
    kept = dict(zip(thin.step.tolist(), thin.value.tolist(), strict=True))
    assert all(series.value[np.searchsorted(step, where)] == value for where, value in kept.items())
    pixel = ((step - step[0]) * points) // max(1, int(step[-1] - step[0]) + 1)
    for one in np.unique(pixel):
        here = [kept[where] for where in step[pixel == one].tolist() if where in kept]
        assert (min(here), max(here)) == (series.value[pixel == one].min(), series.value[pixel == one].max())
