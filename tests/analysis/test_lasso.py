"""Points inside a closed line: against matplotlib's path, and against the rule itself."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Line

from sleepfm.analysis.lasso import inside

corner = st.tuples(st.integers(-8, 8), st.integers(-8, 8))


def by_the_rule(polygon: np.ndarray, x: float, y: float) -> bool:
    """Count the edges that a ray to the right crosses, one after the other."""
    odd = False
    for k in range(len(polygon)):
        (x0, y0), (x1, y1) = polygon[k], polygon[(k + 1) % len(polygon)]
        if (y0 <= y) != (y1 <= y) and x < x0 + (y - y0) * ((x1 - x0) / (y1 - y0)):
            odd = not odd
    return odd


@settings(deadline=None)
@given(st.lists(corner, min_size=3, max_size=12), arrays(np.float32, (40, 2), elements=st.integers(-10, 10).map(float)))
def test_points_on_a_grid_follow_the_rule_even_on_edges_and_corners(corners: list[tuple[int, int]], points: np.ndarray) -> None:
    polygon = np.array(corners, float)
    found = inside(polygon, points[:, 0], points[:, 1])
    assert found.tolist() == [by_the_rule(polygon, float(x), float(y)) for x, y in points]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 60))
def test_a_drawn_line_holds_what_matplotlib_says(seed: int, corners: int) -> None:
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.3, 1.5, corners)
    polygon = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    x_n, y_n = rng.normal(0, 1, (2, 500)).astype(np.float32)
    # a star about the middle never crosses itself unless the middle is outside; the two rules are one only then
    expected = Line(polygon).contains_points(np.stack([x_n, y_n], axis=1))
    if np.diff(np.append(angle, angle[0] + 2 * np.pi)).max() < np.pi:
        np.testing.assert_array_equal(inside(polygon, x_n, y_n), expected)


@given(st.integers(0, 1000))
def test_two_halves_share_no_point_and_miss_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x_n, y_n = rng.integers(0, 5, (2, 200)).astype(np.float32)
    left = inside(np.array([[0, 0], [2, 0], [2, 4], [0, 4]]), x_n, y_n)
    right = inside(np.array([[2, 0], [4, 0], [4, 4], [2, 4]]), x_n, y_n)
    whole = inside(np.array([[0, 0], [4, 0], [4, 4], [0, 4]]), x_n, y_n)
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, whole)


def test_a_line_without_an_area_holds_nothing() -> None:
    x_n = np.array([0.0, 1.0, 2.0], np.float32)
    for corners in ([[0, 0], [1, 1]], [[0, 0], [2, 0], [1, 0]], [[5, 5], [6, 5], [6, 6]]):
        assert not inside(np.array(corners, float), x_n, x_n).any()
