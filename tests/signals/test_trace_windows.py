"""Windows of traces: nothing is lost by thinning, filters come first, gaps stay gaps, times stay times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from viewer.memory_recording import MemoryRecording

from sleepfm.errors import RequestError
from sleepfm.signals.display_filters import DisplayFilter
from sleepfm.signals.trace_windows import PIECE_S, Trace, WindowReader, minmax, read_window


def ramp(t: np.ndarray) -> np.ndarray:
    return t


@st.composite
def signals_and_bins(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    x = draw(hnp.arrays(np.float64, st.integers(2, 300), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
    inner = draw(st.lists(st.integers(1, x.size - 1), unique=True, max_size=40))
    return x, np.array([0, *sorted(inner)])


@given(signals_and_bins())
def test_thinning_keeps_the_extremes_of_every_bin_and_nothing_else(case: tuple[np.ndarray, np.ndarray]) -> None:
    x, edges = case
    pairs = minmax(x[None], edges)[0].reshape(-1, 2)
    for pair, part in zip(pairs, np.split(x, edges[1:]), strict=True):
        if np.isnan(part).all():
            assert np.isnan(pair).all()
        else:
            assert sorted(pair) == [np.nanmin(part), np.nanmax(part)]


def test_thinning_runs_along_the_envelope() -> None:
    x = np.tile([-1.0, 1.0], 40)
    assert minmax(x[None], np.arange(0, 80, 4))[0].tolist() == [-1, 1, 1, -1] * 10


@pytest.mark.parametrize("rate", [256.0, 199.9, 512.0, 1.0, 0.5, 100.0 / 3])
@pytest.mark.parametrize("bins", [64, 1200])
@pytest.mark.parametrize(("start_s", "stop_s"), [(0.0, 30.0), (90.0, 120.0), (100.0, 110.0), (60.0, 720.0), (580.0, 610.0)])
def test_points_lie_where_their_time_is(rate: float, bins: int, start_s: float, stop_s: float) -> None:
    """A ramp's value is its time: each point must show the time it claims, to a column's width."""
    recording = MemoryRecording({"ramp": (rate, ramp)}, duration_s=900.0)
    (window,) = read_window(recording, [Trace(0)], start_s, stop_s, bins)
    times = window.x0_s + window.dx_s * np.arange(window.values.size)
    present = np.isfinite(window.values)
    is_thinned = (stop_s - start_s) * rate > 2 * bins
    tolerance = (stop_s - start_s) / bins if is_thinned else 1e-4 * (1 + stop_s / 100)
    assert np.abs(times - window.values)[present].max() <= tolerance
    assert times[0] <= start_s + max(1 / rate, window.dx_s)
    assert times[-1] >= stop_s - max(1 / rate, window.dx_s)
    assert window.values.size <= 2 * bins + 2


def test_a_slow_channel_reaches_both_edges() -> None:
    """At 1 Hz the line must run to the page's edges: a neighbour on each side comes along."""
    recording = MemoryRecording({"SpO2": (1.0, ramp)}, duration_s=300.0)
    (window,) = read_window(recording, [Trace(0)], 60.0, 90.0, 1200)
    assert window.values.tolist() == list(range(59, 91))
    assert window.x0_s == 59.0


def test_a_night_is_read_in_pieces_and_equals_one_window() -> None:
    recording = MemoryRecording({"EEG": (64.0, lambda t: np.sin(t) + 0.01 * t), "slow": (0.1, ramp)}, duration_s=7200.0)
    traces = [Trace(0), Trace(1)]
    long, slow = read_window(recording, traces, 0.0, 7200.0, 1440)
    assert recording.longest_read_s <= PIECE_S + 45
    whole = recording.read(0, 0.0, 7200.0).reshape(1440, -1)
    assert np.array_equal(long.values.reshape(-1, 2).min(axis=1), whole.min(axis=1))
    assert np.array_equal(long.values.reshape(-1, 2).max(axis=1), whole.max(axis=1))
    assert np.allclose(slow.values[np.isfinite(slow.values)], np.arange(720) * 10.0)


def test_it_is_filtered_before_it_is_thinned() -> None:
    """A 50 Hz hum on a slow wave: filtering after thinning would leave its envelope, a constant 100 µV band."""
    recording = MemoryRecording(
        {"EEG": (512.0, lambda t: 20 * np.sin(2 * np.pi * 1.0 * t) + 100 * np.sin(2 * np.pi * 50 * t))}, duration_s=600.0
    )
    band = DisplayFilter(0.3, 10.0)
    (window,) = read_window(recording, [Trace(0, display_filter=band)], 300.0, 330.0, 300)
    assert np.nanmax(np.abs(window.values)) < 24
    low, high = window.values.reshape(-1, 2).min(axis=1), window.values.reshape(-1, 2).max(axis=1)
    assert (high - low).max() < 20


@pytest.mark.parametrize("start_s", [0.0, 300.0, 570.0])
def test_a_window_looks_like_the_same_stretch_of_the_whole_night_filtered(start_s: float) -> None:
    rng = np.random.default_rng(3)
    noise = np.cumsum(rng.standard_normal(600 * 128)) * 2
    noise -= np.linspace(noise[0], noise[-1], noise.size)
    recording = MemoryRecording({"EEG": (128.0, lambda t: np.interp(t, np.arange(noise.size) / 128, noise))}, duration_s=600.0)
    trace = Trace(0, display_filter=DisplayFilter(0.3, 35.0))
    (window,) = read_window(recording, [trace], start_s, start_s + 30.0, 4096)
    (night,) = read_window(recording, [trace], 0.0, 600.0, 131072)
    first = round((window.x0_s - night.x0_s) * 128)
    theirs = night.values[first : first + window.values.size]
    both = np.isfinite(theirs) & np.isfinite(window.values)
    assert both.sum() > 3800
    assert np.abs(theirs - window.values)[both].max() < 0.05 * np.nanstd(night.values)


def test_gaps_stay_gaps_and_do_not_ring() -> None:
    recording = MemoryRecording({"EEG": (256.0, lambda t: np.full_like(t, 500.0))}, duration_s=300.0, gaps=((100.0, 110.0),))
    (window,) = read_window(recording, [Trace(0, display_filter=DisplayFilter(0.3, 35.0))], 90.0, 120.0, 4096)
    times = window.x0_s + window.dx_s * np.arange(window.values.size)
    inside = (times >= 100.0) & (times < 110.0)
    assert np.isnan(window.values[inside]).all()
    assert np.isfinite(window.values[~inside]).all()
    assert np.abs(window.values[~inside]).max() < 1.0


def test_a_derivation_is_a_difference_of_means_and_missing_where_either_is() -> None:
    recording = MemoryRecording(
        {"C4": (128.0, lambda t: t * 0 + 10), "M1": (128.0, lambda t: t * 0 + 2), "M2": (128.0, lambda t: t * 0 + 4)},
        duration_s=60.0,
    )
    single, linked = read_window(recording, [Trace(0, (1,)), Trace(0, (1, 2))], 0.0, 30.0, 4096)
    assert np.nanmin(single.values) == np.nanmax(single.values) == 8
    assert np.nanmin(linked.values) == np.nanmax(linked.values) == 7


def test_a_derivation_of_two_rates_is_refused() -> None:
    recording = MemoryRecording({"C4": (256.0, ramp), "M1": (128.0, ramp)}, duration_s=60.0)
    with pytest.raises(RequestError, match="one rate"):
        WindowReader(recording, [Trace(0, (1,))], 0.0, 30.0, 100)


@settings(max_examples=40)
@given(
    rate=st.sampled_from([0.5, 1.0, 10.0, 64.0, 200.0, 256.0]),
    start=st.integers(0, 20),
    span=st.sampled_from([10.0, 15.0, 30.0, 60.0, 600.0]),
    bins=st.integers(16, 500),
    gap=st.tuples(st.floats(0, 600), st.floats(0.1, 300)),
)
def test_any_window_has_its_extremes_and_fits_the_screen(
    rate: float, start: int, span: float, bins: int, gap: tuple[float, float]
) -> None:
    recording = MemoryRecording({"x": (rate, lambda t: np.sin(t * 7) * 100)}, duration_s=630.0, gaps=((gap[0], gap[0] + gap[1]),))
    (window,) = read_window(recording, [Trace(0)], start * 30.0, start * 30.0 + span, bins)
    exact = recording.read(0, start * 30.0, start * 30.0 + span)
    assert window.values.size <= 2 * bins + 2
    if np.isfinite(exact).any():
        assert np.nanmax(window.values) >= np.nanmax(exact)
        assert np.nanmin(window.values) <= np.nanmin(exact)
    else:
        assert np.isfinite(window.values).sum() <= 2  # at most the neighbours beyond the edges
