"""Which points lie inside a closed line, by the even-odd rule."""

from __future__ import annotations

import numpy as np


def inside(polygon_v2: np.ndarray, x_n: np.ndarray, y_n: np.ndarray) -> np.ndarray:
    """Return (point,) bool: whether a ray to the right of the point crosses the polygon's edges an odd number of times.

    Edges are half open (they hold their lower end, not their upper), so that two polygons with an edge in common never both hold,
    nor both miss, a point on it. The browser computes the same in the same order of operations (`assets/map/points.js`).

    Parameters
    ----------
    polygon_v2
        (vertex, 2) of finite numbers; the last vertex is joined to the first.
    x_n, y_n
        (point,) places.
    """
    polygon_v2 = np.asarray(polygon_v2, np.float64)
    inside_n = np.zeros(len(x_n), bool)
    if len(polygon_v2) < 3:
        return inside_n
    (left, low), (right, high) = polygon_v2.min(axis=0), polygon_v2.max(axis=0)
    near_m = np.flatnonzero((x_n >= left) & (x_n <= right) & (y_n >= low) & (y_n <= high))
    # from low to high, so that an edge looks only at the points beside it
    near_m = near_m[np.argsort(y_n[near_m], kind="stable")]
    x_m, y_m = x_n[near_m].astype(np.float64), y_n[near_m].astype(np.float64)
    odd_m = np.zeros(len(near_m), bool)
    for (x0, y0), (x1, y1) in zip(polygon_v2, np.roll(polygon_v2, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        beside = slice(*np.searchsorted(y_m, (min(y0, y1), max(y0, y1))))
        odd_m[beside] ^= x_m[beside] < x0 + (y_m[beside] - y0) * ((x1 - x0) / (y1 - y0))
    inside_n[near_m] = odd_m
    return inside_n
