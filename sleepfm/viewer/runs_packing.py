"""Curves of runs as the bytes that travel to the browser: a header in JSON, then doubles."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sleepfm.runs.run_curves import Series, thinned
from sleepfm.text import printable
from sleepfm.viewer.runs_panels import panels, split_name


@dataclass(frozen=True)
class RunCurves:
    """What one run has written down.

    Attributes
    ----------
    name
        What it is called in the chart.
    open
        Whether more is to come.
    series
        By the metric's name.
    remarks
        What could not be read.
    """

    id: str
    name: str
    open: bool
    series: Mapping[str, Series]
    remarks: tuple[str, ...] = ()


def in_order(series: Series) -> Series:
    """Return a series by rising step: one that was put together by hand may go back and forth."""
    if np.all(np.diff(series.step) >= 0):
        return series
    order = np.argsort(series.step, kind="stable")
    return Series(series.step[order], series.value[order], series.time[order])


def pack_curves(runs: Sequence[RunCurves], *, points: int, every: bool, version: str) -> bytes:
    """Pack curves, thinned to about two points a pixel.

    The first four bytes are the header's length (uint32, little-endian), four more are empty, then follow the header and, for
    each of its `curves`, float64 steps, seconds since the run's first line, and values.

    Parameters
    ----------
    points
        Pixels of a chart's width.
    every
        Whether all figures travel, not only those that are always shown.
    version
        Comes back with the next request, which is answered only when something is new.
    """
    shown = panels((name for run in runs for name in run.series), every=every)
    wanted = {panel.key for panel in shown}
    curves: list[dict[str, Any]] = []
    arrays: list[bytes] = []
    for number, run in enumerate(runs):
        first_s = min((float(one.time[0]) for one in run.series.values() if len(one.time)), default=0.0)
        for name, series in run.series.items():
            key, part = split_name(name)
            if key not in wanted or not len(series.step):
                continue
            thin = thinned(in_order(series), points)
            curves.append({"run": number, "panel": key, "part": part, "n": len(thin.step)})
            arrays += [np.asarray(one, "<f8").tobytes() for one in (thin.step, thin.time - first_s, thin.value)]
    header = {
        "version": version,
        "open": any(run.open for run in runs),
        "runs": [
            {"id": run.id, "name": printable(run.name), "open": run.open, "remarks": [printable(one) for one in run.remarks]}
            for run in runs
        ],
        "panels": [{"key": one.key, "title": printable(one.title), "unit": one.unit} for one in shown],
        "curves": curves,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<II", len(text), 0) + text + b"".join(arrays)
