"""Matched people and two nights: who is compared with whom, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sleepfm.analysis.matching import matched, standing
from sleepfm.analysis.night_comparison import distance_with_interval, night_distance, night_measures


@given(
    st.lists(st.tuples(st.one_of(st.just(np.nan), st.floats(0, 120)), st.sampled_from(["female", "male", ""])), max_size=40),
    st.floats(0, 120),
    st.floats(0, 20),
    st.integers(1, 10),
)
def test_the_nearest_of_the_same_sex_within_the_caliper(
    others: list[tuple[float, str]], age: float, caliper: float, most: int
) -> None:
    age_n, sex_n = np.array([one for one, _ in others], dtype=float), np.array([sex for _, sex in others], dtype=object)
    places = matched(age, "female", age_n, sex_n, caliper_years=caliper, most=most)
    every = [k for k in range(len(others)) if sex_n[k] == "female" and abs(age_n[k] - age) <= caliper + 1e-9]
    assert set(places) <= set(every)
    assert len(places) == min(most, len(every))
    away = np.abs(age_n[places] - age)
    assert list(away) == sorted(away)
    rest = [abs(age_n[k] - age) for k in every if k not in set(places)]
    assert not rest or max(away) <= min(rest)


def test_five_years_are_five_years() -> None:
    assert list(matched(60.1, "male", np.array([65.1, 55.1, 65.2]), np.array(["male"] * 3))) == [0, 1]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(-5, 5))
def test_standing_counts_ties_half_and_has_wilsons_interval(scores: list[int], own: int) -> None:
    found = standing(own, np.array(scores, dtype=float))
    assert (found.lower, found.equal) == (sum(s < own for s in scores), sum(s == own for s in scores))
    share = found.share_lower
    assert share.value == pytest.approx((found.lower + found.equal / 2) / len(scores))
    assert share.low - 1e-12 <= share.value <= share.high + 1e-12
    if found.equal == 0:
        wilson = binomtest(found.lower, len(scores)).proportion_ci(method="wilson")
        assert (share.low, share.high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_nobody_to_compare_with_is_said() -> None:
    assert standing(1.0, np.empty(0)).share_lower.reason == "nobody to compare with"


def test_measures_of_a_night_are_those_of_counting() -> None:
    stages_e = np.array([-1, 0, 0, 1, 2, 2, 0, 4, 4, 3, -1, 2, 0, 0], np.int8)
    found = {one.name: one.value for one in night_measures(stages_e)}
    assert found == {
        "Scored time": 6.0,
        "Sleep time": 3.5,
        "Asleep": pytest.approx(100 * 7 / 12),
        "Sleep latency": 1.0,
        "Awake after sleep onset": 0.5,
        "REM latency": 2.0,
        # W N1, N1 N2, N2 W, W R, R N3 and N2 W; nothing across the epoch that nobody scored
        "Stage changes": pytest.approx(6 / (3.5 / 60)),
        "W": 2.5,
        "N1": 0.5,
        "N2": 1.5,
        "N3": 0.5,
        "R": 1.0,
    }


def test_a_night_without_sleep_or_without_a_scoring_leaves_open_what_it_does_not_define() -> None:
    awake = {one.name: one.value for one in night_measures(np.zeros(10, np.int8))}
    assert (awake["Sleep time"], awake["Asleep"], awake["Sleep latency"], awake["Stage changes"]) == (0, 0, None, None)
    nothing = {one.name: one.value for one in night_measures(np.full(10, -1))}
    assert (nothing["Scored time"], nothing["Asleep"], nothing["REM latency"]) == (0, None, None)


def test_distance_is_that_of_the_mean_directions_and_passes_over_gaps() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(1, 1, (60, 8)), rng.normal([1] * 4 + [0] * 4, 1, (50, 8))
    holed = np.vstack([first, np.full((3, 8), np.nan), np.zeros((2, 8))])
    directions = [(some / np.linalg.norm(some, axis=1, keepdims=True)).mean(0) for some in (first, second)]
    cosine = directions[0] @ directions[1] / np.linalg.norm(directions[0]) / np.linalg.norm(directions[1])
    assert night_distance(holed, second) == pytest.approx(1 - cosine)
    assert night_distance(first, 7 * first) == pytest.approx(0, abs=1e-12)
    found = distance_with_interval(holed, second)
    assert found.low < found.value < found.high
    assert found.n == 110
    assert distance_with_interval(first[:1], second).low is None
    assert "no usable window" in distance_with_interval(np.full((4, 8), np.nan), second).reason
