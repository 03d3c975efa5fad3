from __future__ import annotations

import numpy as np
import pytest
from viewer.memory_recording import MemoryRecording

from sleepfm.signals.display_filters import default_filter
from sleepfm.signals.trace_windows import Trace
from sleepfm.viewer.display_scales import Scale, display_scales, standard_scale
from sleepfm.vocabulary import Kind


def scale_of(kind: Kind, unit: str, rate: float, function: object) -> Scale:
    recording = MemoryRecording({"x": (rate, function)}, 3600.0, kinds={"x": kind}, units={"x": unit})  # type: ignore[dict-item]
    (scale,) = display_scales(recording, [(Trace(0, display_filter=default_filter(kind)), kind, unit)])
    return scale


def test_eeg_has_the_standard_scale_in_any_unit_of_volts() -> None:
    assert standard_scale(Kind.EEG, "µV") == Scale(150.0, 0.0, fixed=True)
    assert standard_scale(Kind.ECG, "mV") == Scale(2.0, 0.0, fixed=True)
    assert standard_scale(Kind.EEG, "") is None
    assert standard_scale(Kind.FLOW, "µV") is None


@pytest.mark.parametrize("amplitude", [0.003, 1.0, 250.0])
def test_breathing_fills_its_row_whatever_its_unit(amplitude: float) -> None:
    scale = scale_of(Kind.FLOW, "L/min", 32.0, lambda t: 7 * amplitude + amplitude * np.sin(2 * np.pi * 0.25 * t))
    assert scale.centre == 0
    assert 2 * amplitude <= scale.per_lane <= 5 * amplitude


def test_saturation_is_shown_from_80_to_100_and_lower_when_it_falls() -> None:
    assert scale_of(Kind.SPO2, "%", 1.0, lambda t: 95 + np.sin(t)) == Scale(20.0, 90.0, fixed=False)
    low = scale_of(Kind.SPO2, "%", 1.0, lambda t: 80 + 15 * np.sin(t))
    assert low.centre - low.per_lane / 2 <= 65
    assert low.centre + low.per_lane / 2 == 100


def test_levels_are_held_in_their_row() -> None:
    scale = scale_of(Kind.PULSE, "bpm", 1.0, lambda t: 60 + 5 * np.sin(t / 30))
    assert scale.centre - scale.per_lane / 2 <= 55
    assert scale.centre + scale.per_lane / 2 >= 65


@pytest.mark.parametrize("function", [lambda t: t * 0, lambda t: t * np.nan, lambda t: 1e-30 * np.sin(t)])
def test_a_signal_without_a_range_gets_a_row_all_the_same(function: object) -> None:
    for kind in (Kind.FLOW, Kind.POSITION, Kind.SPO2):
        scale = scale_of(kind, "", 10.0, function)
        assert np.isfinite(scale.centre)
        assert scale.per_lane > 1e-9


def test_a_spike_does_not_flatten_the_night() -> None:
    scale = scale_of(Kind.EFFORT_THORAX, "", 32.0, lambda t: np.sin(2 * np.pi * 0.25 * t) + np.where(t < 5, 1e6, 0))
    assert scale.per_lane < 10
