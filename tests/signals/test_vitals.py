"""Oxygen, heart rate and position once a second; heart beats; falls of oxygen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RecordingError
from sleepfm.signals.desaturations import LEAST_FALL, desaturations
from sleepfm.signals.heart_beats import believable, heart_rate
from sleepfm.signals.vitals import NO_POSITION, Vitals, measure_vitals, per_second, without_slips
from sleepfm.vocabulary import Kind
from tests.inference.hand_made_night import HandMadeRecording, Signal, heart, noise, saturation

BEATS = np.cumsum(np.random.default_rng(3).normal(0.9, 0.04, 260))
"""About 67 beats a minute over 234 s."""


def vitals_of(duration_s: float = 240.0, **signals: tuple) -> Vitals:
    return measure_vitals(HandMadeRecording(signals, duration_s))


# oxygen


def test_oxygen_outside_50_to_100_percent_is_left_out_and_said() -> None:
    def off(t: np.ndarray) -> np.ndarray:
        return np.where((t >= 60) & (t < 84), 0.0, saturation(95.0, [(200, 210, 3.0)])(t))

    found = vitals_of(SpO2=(Kind.SPO2, "%", 4.0, off))
    assert np.isnan(found.spo2_1hz[60:84]).all()
    assert found.spo2_1hz[59] == found.spo2_1hz[84] == 95.0
    assert (found.spo2_1hz[200:210] == 92.0).all()
    assert found.spo2_share == pytest.approx(0.9)
    assert "SpO2: 10.0 % of the recorded time" in found.remarks[0]
    assert (found.spo2_channel, found.heart_source, found.position_channel) == ("SpO2", "", "")


def test_full_saturation_is_believed_whatever_the_file_s_steps() -> None:
    """16 bits from 0 to 102.3 or to 200 % hold no 100, but 100.0007 and 100.0015."""
    found = vitals_of(SpO2=(Kind.SPO2, "%", 1.0, saturation(100.0015, [(100, 110, 3.0015)])))
    assert found.spo2_share == 1.0
    assert set(found.spo2_1hz.tolist()) == {100.0, 97.0}


def test_a_sensor_that_slips_is_no_desaturation_and_a_deep_fall_is_one() -> None:
    level = saturation(96.0, [(60, 62, 36.0), (100, 130, 20.0), (150, 151, 11.0), (151, 152, 26.0), (152, 160, 96.0)])

    def finger(t: np.ndarray) -> np.ndarray:
        asleep = 4 * np.clip(np.minimum(t - 200, 220 - t), 0, 4)  # by 4 % a second, as fast as a body does
        return level(t) - asleep

    found = vitals_of(SpO2=(Kind.SPO2, "%", 4.0, finger))
    left_out = np.flatnonzero(np.isnan(found.spo2_1hz))
    assert left_out.tolist() == [60, 61, *range(100, 130), *range(150, 160)]
    (fall,) = desaturations(found.spo2_1hz)
    assert fall.depth == pytest.approx(16.0, abs=0.5)
    assert "falls and comes back at a jump" in found.remarks[0]


def test_a_fall_between_two_samples_of_a_slow_channel_is_believed() -> None:
    found = vitals_of(SpO2=(Kind.SPO2, "%", 0.1, saturation(96.0, [(100, 120, 10.0)])))
    assert found.spo2_share == 1.0
    assert (found.spo2_1hz[100:120] == 86.0).all()


def test_a_level_that_stays_is_believed() -> None:
    stays = np.array([96.0] * 10 + [80.0] * 100 + [96.0] * 10)
    assert without_slips(stays).tolist() == stays.tolist()
    assert without_slips(stays[:60]).tolist() == stays[:60].tolist()


def test_the_better_of_two_oximeters_is_read_and_gaps_are_no_fault_of_theirs() -> None:
    bad = Kind.SPO2, "%", 1.0, lambda t: np.where(t < 200, 20.0, 97.0)
    good = Kind.SPO2, "%", 1.0, saturation(94.0, [])
    recording = HandMadeRecording({"Ear": bad, "Finger": good}, 300.0, gaps=[(100.0, 150.0)])
    found = measure_vitals(recording)
    assert found.spo2_channel == "Finger"
    assert found.spo2_share == 1.0
    assert np.isnan(found.spo2_1hz[100:150]).all()


def test_a_channel_slower_than_a_second_is_held() -> None:
    assert per_second(np.array([90, 92], np.float32), 0.25, 8).tolist() == [90] * 4 + [92] * 4
    assert per_second(np.array([90, np.nan, 94, 96], np.float32), 2.0, 2).tolist() == [90.0, 95.0]


# the heart


@pytest.mark.parametrize("rate_hz", [128.0, 256.0])
def test_beats_are_found_where_they_are(rate_hz: float) -> None:
    found = vitals_of(ECG=(Kind.ECG, "mV", rate_hz, heart(BEATS)))
    nearest = np.abs(BEATS[:, None] - found.beats_s[None]).min(axis=1)
    assert np.mean(nearest < 0.02) > 0.99
    assert len(found.beats_s) == pytest.approx(len(BEATS), abs=2)
    assert found.heart_source == "ECG"
    assert found.heart_share is not None
    assert found.heart_share > 0.95
    instant = np.interp(np.arange(240) + 0.5, BEATS[1:], 60 / np.diff(BEATS))
    inside = slice(5, 228)
    assert np.abs(found.heart_rate_1hz[inside] - instant[inside]).max() < 6
    assert np.nanmean(found.heart_rate_1hz) == pytest.approx(60 / 0.9, rel=0.01)


def hum(t: np.ndarray) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 50 * t) + noise(0.05, 5)(t)


@pytest.mark.parametrize("off", [np.zeros_like, noise(0.2, 5), hum])
def test_where_the_lead_is_off_there_is_no_heart_rate(off: Signal) -> None:
    def signal(t: np.ndarray) -> np.ndarray:
        return np.where(t < 150, heart(BEATS)(t), off(t))

    found = vitals_of(ECG=(Kind.ECG, "mV", 200.0, signal))
    assert np.isfinite(found.heart_rate_1hz[5:145]).all()
    assert np.isnan(found.heart_rate_1hz[155:]).all()
    assert found.heart_share == pytest.approx(150 / 240, abs=0.02)
    assert "of the recorded time has no believable heart beats" in " ".join(found.remarks)


def test_no_interval_spans_a_gap() -> None:
    rate = heart_rate([np.arange(0, 50, 1.0), np.arange(80, 120, 0.5)], 120)
    assert np.isnan(rate[55:78]).all()
    assert rate[20] == pytest.approx(60)
    assert rate[100] == pytest.approx(120)


def test_a_missed_and_a_false_beat_do_not_count() -> None:
    beats = np.delete(np.arange(0, 60, 1.0), 30)
    beats = np.sort(np.append(beats, 45.2))
    intervals = np.diff(beats)
    assert intervals[~believable(intervals)] == pytest.approx([2.0, 0.2])


@given(st.floats(0.3, 2.3), st.integers(12, 60))
def test_a_steady_heart_has_its_rate(interval: float, count: int) -> None:
    rate = heart_rate([np.arange(count) * interval], int(count * interval) + 10)
    assert rate[np.isfinite(rate)] == pytest.approx(60 / interval, rel=1e-4)


def test_without_an_ecg_the_pulse_is_read() -> None:
    flat = Kind.ECG, "mV", 200.0, lambda t: np.zeros(len(t))
    slow = Kind.ECG, "mV", 25.0, heart(BEATS)
    pulse = Kind.PULSE, "bpm", 1.0, lambda t: np.where(t < 24, 0.0, 61.0)
    found = vitals_of(Flat=flat, Slow=slow, Pulse=pulse)
    assert (found.heart_source, found.heart_channel) == ("pulse", "Pulse")
    assert np.isnan(found.heart_rate_1hz[:24]).all()
    assert (found.heart_rate_1hz[24:] == 61).all()
    assert len(found.beats_s) == 0
    assert any("too slowly" in remark for remark in found.remarks)


# position


def test_positions_are_codes_and_have_names_only_where_the_file_gives_them() -> None:
    codes = Kind.POSITION, "", 1.0, lambda t: np.where(t < 100, 2.0, 5.0) + 1e-4
    unnamed = vitals_of(Position=codes)
    assert unnamed.position_names == {}
    assert unnamed.position_1hz[[0, 99, 100]].tolist() == [2, 2, 5]
    named = measure_vitals(
        HandMadeRecording({"Position": codes}, 240.0, gaps=[(50, 60)], transducers={"Position": "2=Supine; 5=Left side"})
    )
    assert named.position_names == {2: "Supine", 5: "Left side"}
    assert (named.position_1hz[50:60] == NO_POSITION).all()


def test_angles_are_no_codes() -> None:
    found = vitals_of(Angle=(Kind.POSITION, "°", 4.0, lambda t: 90 * np.sin(t / 30)))
    assert (found.position_1hz == NO_POSITION).all()
    assert found.position_channel == ""
    assert "no codes of positions" in found.remarks[0]


# files


def test_vitals_are_read_as_they_were_written(tmp_path: Path) -> None:
    ecg = Kind.ECG, "mV", 200.0, heart(BEATS)
    made = vitals_of(**{"ECG": ecg, "SpO2 \u202e": (Kind.SPO2, "%", 1.0, saturation(96.0, []))})
    made.save(tmp_path / "vitals.npz")
    read = Vitals.load(tmp_path / "vitals.npz")
    for name, value in vars(made).items():
        assert np.array_equal(getattr(read, name), value, equal_nan=isinstance(value, np.ndarray)), name


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"nothing of the kind"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vitals.npz").write_bytes(content)
    with pytest.raises(RecordingError, match=r"vitals\.npz: holds no vitals"):
        Vitals.load(tmp_path / "vitals.npz")


# falls of oxygen


def falls(values: list[float]) -> list[tuple[int, int, float, float]]:
    return [(f.start_s, f.stop_s, f.depth, f.nadir) for f in desaturations(np.array(values, dtype=np.float32))]


def test_a_fall_that_lasts_is_one_and_a_rise_is_none() -> None:
    assert falls([96] * 100 + [91] * 200) == [(99, 100, 5, 91)]
    assert falls([91] * 200 + [96] * 200) == []
    assert falls([96] * 100 + [93.1] * 20 + [96] * 50) == []


def test_a_drift_is_no_fall_and_two_dips_are_two_where_it_recovers_between() -> None:
    assert falls(list(np.repeat(np.arange(98.0, 90.0, -0.5), 60))) == []
    two = [96] * 60 + [92] * 20 + [95] * 10 + [90] * 20 + [96] * 60
    assert falls(two) == [(59, 80, 4, 92), (89, 110, 5, 90)]
    one = [96] * 60 + [92] * 20 + [93] * 10 + [90] * 20 + [96] * 60
    assert falls(one) == [(59, 110, 6, 90)]


def test_short_holes_are_bridged_and_long_ones_not() -> None:
    missing = [float("nan")]
    assert falls([96] * 60 + missing * 4 + [92] * 10 + [96] * 60) == [(63, 74, 4, 92)]
    assert falls([96] * 60 + missing * 30 + [92] * 10 + [92] * 60) == []
    assert falls([]) == falls(missing * 50) == []


@given(st.lists(st.sampled_from([88.0, 90.0, 92.0, 93.0, 94.0, 95.0, 96.0, 97.0, float("nan")]), max_size=400))
def test_falls_are_deep_enough_in_order_and_apart(values: list[float]) -> None:
    found = desaturations(np.array(values))
    for fall in found:
        assert fall.depth >= LEAST_FALL
        assert 0 <= fall.start_s < fall.stop_s < len(values)
        assert np.nanmin(np.array(values)[fall.start_s : fall.stop_s + 1]) == fall.nadir
    assert all(a.stop_s <= b.start_s for a, b in pairwise(found))
    raised = desaturations(np.array(values) + 1)
    assert [(f.start_s, f.stop_s, f.depth) for f in raised] == [(f.start_s, f.stop_s, f.depth) for f in found]
