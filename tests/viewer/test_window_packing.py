"""Packed windows: what the browser gets is what was read, to half a step of int16."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sleepfm.signals.trace_windows import TraceWindow
from sleepfm.viewer.window_packing import pack, unpack


@given(hnp.arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e7, 1e7, width=32) | st.just(np.nan)))
def test_packing_errs_by_half_a_step_at_most_and_keeps_gaps(values: np.ndarray) -> None:
    (window,) = unpack(pack([TraceWindow(12.5, 0.25, values)]))
    assert (window.x0_s, window.dx_s) == (12.5, 0.25)
    assert np.array_equal(np.isnan(window.values), np.isnan(values))
    if np.isfinite(values).any():
        half_a_step = (np.nanmax(values) - np.nanmin(values)) / 131068
        assert np.nanmax(np.abs(window.values - values)) <= half_a_step * 1.001 + 1e-9 * np.nanmax(np.abs(values)) + 1e-300


def test_the_packed_form_is_what_the_browser_reads() -> None:
    payload = pack([TraceWindow(0.0, 1.0, np.array([0.0, np.nan, 10.0])), TraceWindow(5.0, 0.5, np.array([7.0]))])
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    assert (4 + length) % 4 == 0
    assert [trace["n"] for trace in header["traces"]] == [3, 1]
    codes = np.frombuffer(payload, "<i2", offset=4 + length)
    assert codes[1] == -32768
    assert len(codes) == 4
    first = header["traces"][0]
    assert first["offset"] + first["scale"] * codes[2] == pytest.approx(10.0, abs=1e-3)
