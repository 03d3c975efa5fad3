"""What sleepers and recorders really do: quality must not take it for a fault, nor miss the faults that look like signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal
from quality_cases import RATE, recorded, wave

from sleepfm.recording import _epoch_measures as measures
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import UNUSABLE, QualityFlag, QualityReport, assess

LINE, OFF, FLAT = QualityFlag.LINE_NOISE, QualityFlag.DISCONNECTED, QualityFlag.FLAT


def seconds(data: np.ndarray, rate: int) -> np.ndarray:
    """Return times of the samples of (epochs, samples)."""
    return (np.arange(data.size) / rate).reshape(data.shape)


def epochs_of(report: QualityReport) -> list[int]:
    """Return the only channel's flags, without a unit suspicion."""
    assert report.suspicions == ("",)
    return report.flags[0].tolist()


# mains ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["C3-M2", "E1-M2", "EMG Chin"])
@pytest.mark.parametrize("mains", [50, 60])
@pytest.mark.parametrize(("rate", "seen"), [(512, True), (256, True), (200, True), (128, True), (100, True), (64, False)])
def test_an_open_lead_is_disconnected_where_its_hum_can_be_seen(
    tmp_path: Path, label: str, mains: int, rate: int, seen: bool
) -> None:
    """A recorder without an anti-aliasing filter mirrors mains; below 30 Hz it would pass for a brain rhythm."""
    data = wave("EEG", rate=rate) if label != "EMG Chin" else wave("EMG", rate=rate)
    lost = 90 * np.sqrt(2) * np.cos(2 * np.pi * mains * seconds(data, rate)) + 0.2 * data
    data[2:4] = lost[2:4]
    flags = recorded(tmp_path, label, data).flags[0]
    assert ((flags & OFF) != 0).tolist() == [False, False, seen, seen, False, False]
    assert not flags[[0, 1, 4, 5]].any()


@pytest.mark.parametrize(("hum", "flags"), [(0.3, 0), (2.0, 0), (20.0, LINE), (45.0, LINE | OFF)])
def test_hum_is_noted_before_it_makes_an_epoch_unusable(tmp_path: Path, hum: float, flags: int) -> None:
    data = wave("EEG", rate=256)
    data[3] += hum * np.sqrt(2) * np.sin(2 * np.pi * 50 * seconds(data, 256)[3])
    assert epochs_of(recorded(tmp_path, "O1-M2", data)) == [0, 0, 0, flags, 0, 0]


def test_strong_alpha_and_spindles_are_no_hum(tmp_path: Path) -> None:
    for rate in (64, 100, 128, 256):
        data = wave("EEG", rate=rate) / 5
        t = seconds(data, rate)
        data[1] += 60 * np.sin(2 * np.pi * 10 * t[1])
        data[3] += 45 * np.sin(2 * np.pi * 14 * t[3])
        assert not any(epochs_of(recorded(tmp_path, "O1-M2", data)))


# pops ----------------------------------------------------------------------------------------------------------------------


def popping(rate: int, fade_s: float, size: float, seed: int = 0) -> np.ndarray:
    data = wave("EEG", rate=rate, seed=seed)
    t = np.arange(30 * rate) / rate
    for at in (3.2, 17.9):
        data[3] += size * np.where(t >= at, np.exp(-(t - at) / fade_s), 0)
    return data


@pytest.mark.parametrize("size", [160, -300])
@pytest.mark.parametrize("rate", [200, 256, 500, 1000])
def test_electrode_pops_are_noted_but_the_epoch_stays_usable(tmp_path: Path, rate: int, size: float) -> None:
    report = recorded(tmp_path, "F4-M1", popping(rate, 0.5, size))
    assert epochs_of(report) == [0, 0, 0, QualityFlag.POPS, 0, 0]
    assert not QualityFlag.POPS & UNUSABLE
    assert report.words(0) == "17 % electrode pops"
    assert report.share_good() == 1.0


def blinks(t: np.ndarray) -> np.ndarray:
    return 250 * np.exp(-(((t % 4) - 2) ** 2) / (2 * 0.06**2))


def spikes(t: np.ndarray) -> np.ndarray:
    phase = (t % 1.5) - 0.7
    return 220 * np.exp(-(phase**2) / (2 * 0.012**2)) - 120 * np.exp(-((phase - 0.15) ** 2) / (2 * 0.06**2))


def muscle(t: np.ndarray) -> np.ndarray:
    return 60 * np.random.default_rng(3).standard_normal(t.size) * ((t > 10) & (t < 13))


def heart(t: np.ndarray) -> np.ndarray:
    return 180 * np.exp(-(((t % 0.9) - 0.4) ** 2) / (2 * 0.010**2))


@pytest.mark.parametrize("happening", [blinks, spikes, muscle, heart])
@pytest.mark.parametrize("rate", [200, 256, 500])
def test_what_is_quick_but_no_pop(tmp_path: Path, rate: int, happening) -> None:
    data = wave("EEG", rate=rate)
    data[2] += happening(np.arange(30 * rate) / rate)
    assert not any(flag & QualityFlag.POPS for flag in epochs_of(recorded(tmp_path, "Fp1-M2", data)))


def test_a_movement_is_no_pop_in_a_real_night(shared: Path) -> None:
    """Judged at this night's own 128 Hz, too slow to be judged at all by the rule: even so next to nothing looks like a pop."""
    with open_recording(shared / "data/psg/ucddb018_eeg.edf") as recording:
        x = recording.read(0, 0, 822 * 30).reshape(822, -1)
    assert (np.abs(np.diff(x, axis=1)).max(axis=1) > 100).sum() > 90
    assert measures.pops(x, measures.steps_over(x, 128), 128).sum() <= 2


# amplitudes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("deviation", [3.0, 5.0])
@pytest.mark.parametrize("rate", [100, 256, 1000])
def test_a_quiet_eeg_is_not_flat(tmp_path: Path, gain: float, deviation: float, rate: int) -> None:
    data = wave("EEG", rate=rate)
    data *= deviation / data.std(axis=1, keepdims=True)
    assert not any(epochs_of(recorded(tmp_path, "C4-M1", data, top=gain * 32767)))


@pytest.mark.parametrize("peak_to_peak", [150, 300, 500])
def test_the_slow_waves_of_a_child_are_in_range(tmp_path: Path, peak_to_peak: float) -> None:
    data = wave("EEG")
    data += peak_to_peak / 2 * np.sin(2 * np.pi * 0.9 * seconds(data, RATE)) * (1 + 0.3 * np.sin(0.8 * seconds(data, RATE)))
    assert not any(epochs_of(recorded(tmp_path, "F3-M2", data)))


def test_drift_is_no_muscle_activity_and_muscle_activity_no_drift(tmp_path: Path) -> None:
    data = wave("EMG", rate=200)
    t = seconds(data, 200)
    data[1] += 1500 * np.sin(2 * np.pi * 0.05 * t[1])  # an unfiltered recorder: SD 1060 µV
    data[2] += 400 * np.sin(2 * np.pi * 1.0 * t[2])  # a leg that is rocked
    data[4] *= 30
    assert epochs_of(recorded(tmp_path, "Leg L", data, top=4000)) == [0, 0, 0, 0, QualityFlag.OUT_OF_RANGE, 0]


@pytest.mark.parametrize("gain", [0.0003, 0.02])
@pytest.mark.parametrize("rate", [200, 1000])
def test_an_ecg_with_large_t_waves_is_fine(tmp_path: Path, rate: int, gain: float) -> None:
    t = np.arange(4 * 30 * rate) / rate
    phase = t % 0.85
    beats = 1.1 * np.exp(-(((phase - 0.2) / 0.010) ** 2)) + 0.9 * np.exp(-(((phase - 0.48) / 0.05) ** 2))
    beats += -0.2 * np.exp(-(((phase - 0.23) / 0.008) ** 2)) + 0.005 * np.random.default_rng(0).standard_normal(t.size)
    assert not any(epochs_of(recorded(tmp_path, "ECG", beats.reshape(4, -1), unit="mV", top=gain * 32767)))


# breathing and oximetry ----------------------------------------------------------------------------------------------------


def breathing(rate: int, epochs: int) -> np.ndarray:
    return wave("RESP", epochs, rate)


@pytest.mark.parametrize("label", ["Nasal Pressure", "Thermistor", "Abdomen"])
@pytest.mark.parametrize("gain", [0.0005, 0.05])
def test_a_central_apnea_is_a_finding_of_the_sleeper_not_of_the_channel(tmp_path: Path, label: str, gain: float) -> None:
    data = breathing(32, 20)
    data[7] = 0.4 * gain * np.sin(2 * np.pi * 1.2 * seconds(data, 32)[7]) + 0.5 * gain  # the last bit toggles with the heart
    assert not any(epochs_of(recorded(tmp_path, label, data, unit="", top=gain * 32767)))


def test_breathing_that_rests_for_minutes_or_does_not_change_a_bit_is_flat(tmp_path: Path) -> None:
    data = breathing(32, 40)
    toggling = 0.02 * (np.arange(30 * 32) % 50 < 25)
    data[3] = 0.0
    data[10:16] = toggling
    data[20:32] = toggling
    flags = np.array(epochs_of(recorded(tmp_path, "Nasal Pressure", data, unit="cmH2O", top=0.02 * 32767)))
    assert np.flatnonzero(flags & FLAT).tolist() == [3, *range(20, 32)]


def test_flow_without_a_sign_rests_at_zero(tmp_path: Path) -> None:
    data = np.maximum(breathing(32, 10), 0)
    assert not any(epochs_of(recorded(tmp_path, "Nasal Pressure", data, unit="cmH2O", top=5.0)))


def test_nobody_snores_for_half_an_hour(tmp_path: Path) -> None:
    data = np.abs(wave("EMG", 130, 10))
    data[5:65] = 0
    assert not any(epochs_of(recorded(tmp_path, "Snore", data, unit="", top=100)))
    data[5:125] = 0
    flags = np.array(epochs_of(recorded(tmp_path, "Snore", data, unit="", top=100)))
    assert np.flatnonzero(flags & FLAT).tolist() == list(range(5, 125))


@pytest.mark.parametrize("unit", ["%", ""])
def test_a_few_artefact_seconds_make_no_bad_oximeter(tmp_path: Path, unit: str) -> None:
    data = wave("SPO2", 20, 1)
    data[4, 10:12] = 0
    data[9, 3] = 60
    report = recorded(tmp_path, "SpO2", data, unit=unit, top=200)
    out = int(QualityFlag.OUT_OF_RANGE)
    assert np.flatnonzero(report.flags[0]).tolist() == [4, 9]
    assert {out} == set(report.flags[0][[4, 9]].tolist())
    assert report.bad_channels() == ()


def test_a_deep_but_believable_desaturation_is_fine(tmp_path: Path) -> None:
    t = seconds(np.zeros((8, 30)), 1)
    data = np.round(95 - 30 * np.exp(-((((t % 80) - 40) / 14) ** 2)))
    assert not any(epochs_of(recorded(tmp_path, "SpO2", data, unit="%", top=200)))


def test_numbers_and_positions_are_not_judged_by_rules_for_waves(tmp_path: Path) -> None:
    pulse = np.repeat([62.0, 62.0, 62.0, 64.0], 30).reshape(4, 30)
    assert not any(epochs_of(recorded(tmp_path, "Pulse", pulse, unit="bpm", top=250)))
    position = np.full((4, 30 * RATE), 2.0)
    assert not any(epochs_of(recorded(tmp_path, "Body Position", position, unit="uV", top=250)))


def test_amplitude_limits_need_a_known_unit(tmp_path: Path) -> None:
    eeg, emg = wave("EEG"), wave("EMG")
    eeg[2] *= 0.01
    eeg[3] += 700 * (np.sin(2 * np.pi * seconds(eeg, RATE)[3] / 5) > 0.5)
    emg[2] *= 100
    eeg[4] = 0
    assert epochs_of(recorded(tmp_path, "C3-M2", eeg, unit="", top=2000)) == [0, 0, 0, 0, FLAT, 0]
    assert not any(epochs_of(recorded(tmp_path, "Chin", emg, unit="", top=9000)))
    saturation = wave("SPO2") / 10
    assert not any(epochs_of(recorded(tmp_path, "SpO2", saturation, unit="V", top=20)))
    assert not any(epochs_of(recorded(tmp_path, "Heart Rate", saturation * 7, unit="mV", top=200)))


def test_limits_that_say_nothing_clip_nothing(tmp_path: Path) -> None:
    digital = np.round(wave("EEG") * 10).astype(int)
    for limits in ((5, 5), (0, 0), (-100, 100)):
        path = tmp_path / "night.edf"
        path.write_bytes(File([Signal("C3-M2", digital, digital=limits)], record_s=30).bytes())
        with open_recording(path) as recording:
            assert not (assess(recording).flags & QualityFlag.CLIPPED).any()


# units ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "unit", "data", "words"),
    [
        ("C3-M2", "uV", wave("EEG"), ""),
        ("C3-M2", "uV", wave("EEG") / 8, ""),
        ("C3-M2", "mV", wave("EEG"), "23,389 µV where 1 to 500 µV is usual: µV labelled as mV?"),
        ("C3-M2", "V", wave("EEG"), "µV labelled as V?"),
        ("C3-M2", "uV", wave("EEG") * 1e-3, "0.023 µV where 1 to 500 µV is usual: mV labelled as uV?"),
        ("C3-M2", "uV", wave("EEG") * 1e-6, "V labelled as uV?"),
        ("C3-M2", "", wave("EEG") * 1e-3, ""),
        ("E1-M2", "mV", wave("EEG"), "µV labelled as mV?"),
        ("Chin", "V", wave("EMG") * 1e-3, "mV labelled as V?"),
        ("ECG", "mV", wave("ECG"), ""),
        ("ECG", "mV", wave("ECG") * 1000, "µV labelled as mV?"),
        ("ECG", "uV", wave("ECG"), "mV labelled as uV?"),
        ("ECG", "uV", wave("ECG") * 1000, ""),
        ("SpO2", "%", wave("SPO2") / 100, "0.96 looks like a fraction"),
        ("SpO2", "", wave("SPO2") / 100, "0.96 looks like a fraction"),
        ("SpO2", "%", wave("SPO2"), ""),
        ("Temp rectal", "degC", wave("SPO2") - 60, ""),
        ("Temp rectal", "degC", wave("SPO2"), "it looks like Fahrenheit"),
        ("Temp rectal", "degC", wave("SPO2") * 40, "no temperature of a body or a room"),
    ],
)
def test_wrong_units_are_suspected_and_amplitudes_then_not_judged(
    tmp_path: Path, label: str, unit: str, data: np.ndarray, words: str
) -> None:
    report = recorded(tmp_path, label, data, unit=unit, top=float(np.abs(data).max() * 1.5))
    (suspicion,) = report.suspicions
    assert bool(suspicion) == bool(words)
    assert words in suspicion
    assert suspicion in report.words(0)
    assert not report.flags.any()  # the signal itself is fine


def test_a_dead_input_is_flat_not_of_another_unit(tmp_path: Path) -> None:
    data = 0.05 * np.random.default_rng(0).standard_normal((4, 30 * RATE))
    assert epochs_of(recorded(tmp_path, "C3-M2", data, top=0.03 * 32767)) == [FLAT] * 4
