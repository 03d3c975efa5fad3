"""Envelopes of a night: the same extremes as the whole night filtered at once, served only for what they were made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_edf import write_edf
from viewer.memory_recording import MemoryRecording

from sleepfm.errors import Cancelled, RecordingError
from sleepfm.recording.derivations import apply_corrections
from sleepfm.recording.opening import open_recording
from sleepfm.signals.display_filters import OPEN, DisplayFilter, apply_filter
from sleepfm.signals.envelopes import displayed_traces, open_envelopes, write_envelopes
from sleepfm.signals.trace_windows import Trace
from sleepfm.vocabulary import Kind

EEG = DisplayFilter(0.3, 35.0)


def memory(folder: Path, signals: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]], duration_s: float, **more: object):  # type: ignore[no-untyped-def]
    recording = MemoryRecording(signals, duration_s, **more)  # type: ignore[arg-type]
    recording.path = folder / "memory.edf"
    recording.path.touch()
    return recording


def noise(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    values = np.random.default_rng(seed).normal(0, 30, 400_000)
    return lambda t: np.interp(t, np.arange(values.size) / 128, values)


def stored(recording: MemoryRecording, traces: list[Trace], file: Path):  # type: ignore[no-untyped-def]
    write_envelopes(file, recording, traces)
    envelopes = open_envelopes(file, recording)
    assert envelopes is not None
    return envelopes


def extremes(values: np.ndarray, together: int) -> tuple[np.ndarray, np.ndarray]:
    rows = values.reshape(-1, together)
    return rows.min(axis=1), rows.max(axis=1)


def test_its_columns_hold_the_extremes_of_the_night_filtered_at_once(tmp_path: Path) -> None:
    signals = {"C4": (128.0, noise(1)), "M1": (128.0, noise(2))}
    recording = memory(tmp_path, signals, 2400.0)
    plain, derived = Trace(0, (), OPEN), Trace(0, (1,), EEG)
    with stored(recording, [plain, derived], tmp_path / "e") as envelopes:
        for trace in (plain, derived):
            night = apply_filter(
                trace.derive({0: recording.read(0, 0, 2400), 1: recording.read(1, 0, 2400)})[None], 128.0, trace.display_filter
            )
            window = envelopes.window(trace, 600.0, 1800.0, 400)
            assert window.dx_s == 1.5
            assert window.x0_s == 600.75
            pairs = window.values.reshape(-1, 2)
            low, high = extremes(night[0, 600 * 128 : 1800 * 128], 3 * 128)
            # half an int16 step, and what is left of a filter's settling at the pieces' edges
            step = 0.01 if trace is plain else 0.5
            assert np.abs(pairs.min(axis=1) - low).max() < step
            assert np.abs(pairs.max(axis=1) - high).max() < step


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rate=st.sampled_from([0.1, 0.5, 1.0, 1.5, 4.0, 33.3, 128.0, 199.9]),
    duration=st.sampled_from([700.0, 1203.5, 1800.0]),
    gap=st.tuples(st.integers(0, 900), st.integers(1, 400)),
    window_at=st.tuples(st.integers(0, 600), st.sampled_from([16, 300, 1230])),
)
def test_times_and_gaps_are_those_of_the_recording(
    tmp_path: Path, rate: float, duration: float, gap: tuple[int, int], window_at: tuple[int, int]
) -> None:
    """A ramp's value is its time: every point lies within a column and a cell of the time it claims, and none is in a gap."""
    stretch = (float(gap[0]), float(sum(gap)))
    start, bins = window_at
    recording = memory(tmp_path, {"ramp": (rate, lambda t: t)}, duration, gaps=(stretch,))
    with stored(recording, [Trace(0)], tmp_path / "e") as envelopes:
        window = envelopes.window(Trace(0), float(start), start + 900.0, bins)
    times = window.x0_s + window.dx_s * np.arange(window.values.size)
    present = np.isfinite(window.values)
    width = 2 * window.dx_s + max(1.0, 1 / rate)
    assert np.all(np.abs(times - window.values)[present] <= width + 0.05)
    inside = (times > stretch[0] + width) & (times < stretch[1] - width)
    assert not present[inside | (times > duration + width)].any()
    exact = recording.read(0, float(start), min(start + 900.0, duration))
    if np.isfinite(exact).any():
        assert np.nanmin(window.values) <= np.nanmin(exact) + 0.05
        assert np.nanmax(window.values) >= np.nanmax(exact) - 0.05


def test_a_slow_channel_keeps_its_samples(tmp_path: Path) -> None:
    recording = memory(tmp_path, {"SpO2": (0.5, lambda t: 90 + np.sin(t))}, 3600.0)
    with stored(recording, [Trace(0)], tmp_path / "e") as envelopes:
        window = envelopes.window(Trace(0), 1200.0, 2400.0, 1000)
    assert (window.x0_s, window.dx_s) == (1200.0, 2.0)
    assert np.abs(window.values - recording.read(0, 1200, 2400)).max() < 1e-3


def test_it_holds_what_the_montages_show_filtered_and_not(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=700, labels=("C4", "M1", "ECG"))
    with open_recording(path) as recording:
        write_envelopes(tmp_path / "e", recording, displayed_traces(recording))
        envelopes = open_envelopes(tmp_path / "e", recording)
        assert envelopes is not None
        for trace in (
            Trace(0, (1,), EEG),
            Trace(0, (1,)),
            Trace(0, (), EEG),
            Trace(2),
            Trace(2, (), DisplayFilter(0.3, None)),
        ):  # 128 Hz: no 70 Hz to cut
            assert envelopes.holds(trace)
        for trace in (Trace(0, (), DisplayFilter(0.3, 35.0, 50.0)), Trace(0, (2,), EEG), Trace(2, (), EEG)):
            assert not envelopes.holds(trace)
        envelopes.close()


def test_another_content_of_the_file_gets_none(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=700)
    with open_recording(path) as recording:
        write_envelopes(tmp_path / "e", recording, [Trace(0)])
    write_edf(path, seconds=700, seed=5)
    with open_recording(path) as recording:
        assert open_envelopes(tmp_path / "e", recording) is None
        assert open_envelopes(tmp_path / "none", recording) is None


def test_a_corrected_kind_that_changes_the_unit_is_not_served_the_old_numbers(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=700, labels=("C4-M1", "ECG"))
    with open_recording(path) as recording:
        write_envelopes(tmp_path / "e", recording, displayed_traces(recording))
        corrected = apply_corrections(recording, {1: Kind.EEG})
        assert corrected.channel(1).unit != recording.channel(1).unit
        envelopes = open_envelopes(tmp_path / "e", corrected)
        assert envelopes is not None
        assert envelopes.holds(Trace(0, (), EEG))
        assert not envelopes.holds(Trace(1))
        envelopes.close()


@pytest.mark.parametrize("length", [0, 10, 60])
def test_a_damaged_file_is_said_so(tmp_path: Path, length: int) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=700)
    with open_recording(path) as recording:
        write_envelopes(tmp_path / "e", recording, [Trace(0)])
        content = (tmp_path / "e").read_bytes()
        (tmp_path / "e").write_bytes(content[:length])
        with pytest.raises(RecordingError, match="delete it"):
            open_envelopes(tmp_path / "e", recording)
        (tmp_path / "e").write_bytes(content[:-8])
        cut = open_envelopes(tmp_path / "e", recording)
        assert cut is not None
        with cut, pytest.raises(RecordingError, match="ends early"):
            cut.window(Trace(0), 0.0, 700.0, 100)


def test_a_cancelled_job_leaves_the_older_file(tmp_path: Path) -> None:
    path = write_edf(tmp_path / "night.edf", seconds=700)

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.4:
            raise Cancelled("stopped")

    with open_recording(path) as recording:
        write_envelopes(tmp_path / "e", recording, [Trace(0)])
        before = (tmp_path / "e").read_bytes()
        with pytest.raises(Cancelled):
            write_envelopes(tmp_path / "e", recording, displayed_traces(recording), stop)
    assert (tmp_path / "e").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"night.edf", "e"}
