"""Which points lie inside a closed line, by the even-odd rule."""

from __future__ import annotations

import numpy as np

_STRIPS = 65_535


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
    (left, low), (right, high) = polygon_v2.min(axis=0), polygon_v2.max(axis=0)
    near_m = np.flatnonzero((x_n >= left) & (x_n <= right) & (y_n >= low) & (y_n <= high))
    if len(polygon_v2) < 3 or low == high or not near_m.size:
        return inside_n

    def strip(y: np.ndarray) -> np.ndarray:
        return ((y - low) * (_STRIPS / (high - low))).astype(np.uint16)

    # sorted into thin strips, an edge looks only at the points beside it; sorting small whole numbers takes no time
    strip_m = strip(y_n[near_m].astype(np.float64))
    order_m = np.argsort(strip_m, kind="stable")
    near_m, strip_m = near_m[order_m], strip_m[order_m]
    x_m, y_m = x_n[near_m].astype(np.float64), y_n[near_m].astype(np.float64)
    odd_m = np.zeros(len(near_m), bool)
    for (x0, y0), (x1, y1) in zip(polygon_v2, np.roll(polygon_v2, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        bottom, top = min(y0, y1), max(y0, y1)
        first, last = strip(np.array([bottom, top]))
        beside = slice(np.searchsorted(strip_m, first), np.searchsorted(strip_m, last, side="right"))
        y_b = y_m[beside]
        odd_m[beside] ^= (y_b >= bottom) & (y_b < top) & (x_m[beside] < x0 + (y_b - y0) * ((x1 - x0) / (y1 - y0)))
    inside_n[near_m] = odd_m
    return inside_n
