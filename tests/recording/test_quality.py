"""Each fault that is put into a signal is found in its epochs and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quality_cases import EPOCHS, RATE, T, recorded, wave

from sleepfm.errors import Cancelled, RecordingError, RequestError
from sleepfm.recording import quality
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityFlag, QualityReport, assess

LABELS = {
    "EEG": ("C3-M2", "uV", 1000.0),
    "EMG": ("Chin", "uV", 1000.0),
    "ECG": ("ECG", "mV", 10.0),
    "RESP": ("Thorax", "mV", 5.0),
    "SPO2": ("SpO2", "%", 200.0),
}


@pytest.mark.parametrize("kind", sorted(LABELS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_healthy_signals_are_good(tmp_path: Path, kind: str, seed: int) -> None:
    label, unit, top = LABELS[kind]
    report = recorded(tmp_path, label, wave(kind, seed=seed), unit=unit, top=top)
    assert report.flags.tolist() == [[0] * EPOCHS]
    assert (report.words(0), report.share_good(), report.bad_channels()) == ("good", 1.0, ())


def line(hz: float, amplitude: float) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * T)


@pytest.mark.parametrize(
    ("kind", "fault", "flag"),
    [
        ("EEG", lambda x: 0 * x, QualityFlag.FLAT),
        ("EEG", lambda x: x / 25, QualityFlag.FLAT),
        ("EEG", lambda x: np.where(T < 26, 3.0, x), QualityFlag.FLAT),
        ("EEG", lambda x: np.where(np.sin(2 * np.pi * T) > 0.5, 9999.0, x), QualityFlag.CLIPPED | QualityFlag.OUT_OF_RANGE),
        ("EEG", lambda x: np.where(np.sin(2 * np.pi * T / 5) > 0.5, x + 700, x), QualityFlag.OUT_OF_RANGE),
        ("EEG", lambda x: x + line(50, 30), QualityFlag.LINE_NOISE),
        ("EMG", lambda x: x + line(50, 30), QualityFlag.LINE_NOISE),
        ("EMG", lambda x: x * 40, QualityFlag.OUT_OF_RANGE),
        ("EMG", lambda x: x * 0.02, QualityFlag.FLAT),
        ("ECG", lambda x: x * 0.001, QualityFlag.FLAT),
        ("ECG", lambda x: x + line(50, 1.0), QualityFlag.LINE_NOISE),
        ("RESP", lambda x: 0 * x + 1, QualityFlag.FLAT),
        ("SPO2", lambda x: 0 * x, QualityFlag.DISCONNECTED),
        ("SPO2", lambda x: 0 * x + 40, QualityFlag.OUT_OF_RANGE),
        ("SPO2", lambda x: 0 * x + 127, QualityFlag.OUT_OF_RANGE),
        ("SPO2", lambda x: np.where((T > 9) & (T < 12), 80, x), QualityFlag.OUT_OF_RANGE),
    ],
)  # fmt: skip
def test_a_fault_is_found_in_its_epoch_only(tmp_path: Path, kind: str, fault, flag: QualityFlag) -> None:
    label, unit, top = LABELS[kind]
    data = wave(kind)
    data[3] = fault(data[3])
    found = recorded(tmp_path, label, data, unit=unit, top=top).flags[0].tolist()
    assert found == [0, 0, 0, int(flag), 0, 0]


def test_muscle_like_eeg_counts_as_a_loose_electrode(tmp_path: Path) -> None:
    data = wave("EEG")
    noise = np.random.default_rng(1).standard_normal(T.size + 1)
    data[2] = 60 * np.diff(noise)
    assert recorded(tmp_path, "C3-M2", data).flags[0].tolist() == [0, 0, int(QualityFlag.DISCONNECTED), 0, 0, 0]


def test_60_hz_needs_a_rate_that_shows_it(tmp_path: Path) -> None:
    data = wave("EMG", rate=256)
    data[1] += 30 * np.sin(2 * np.pi * 60 * np.arange(30 * 256) / 256)
    assert recorded(tmp_path, "Chin", data).flags[0].tolist() == [0, int(QualityFlag.LINE_NOISE), 0, 0, 0, 0]


def test_a_breathing_channel_without_breath_is_disconnected_but_an_apnea_is_not(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((12, 30 * 32)) * 0.02
    breath = wave("RESP", 12, 32)
    apnea = breath.copy()
    apnea[5] = noise[5]
    assert not recorded(tmp_path, "Flow", apnea, unit="mV", top=5.0).flags.any()
    lost = breath.copy()
    lost[4:] = noise[4:]
    found = recorded(tmp_path, "Flow", lost, unit="mV", top=5.0).flags[0]
    assert (found[:4] == 0).all()
    assert (found[7:] == QualityFlag.DISCONNECTED).all()


def test_gaps_are_gaps_and_count_for_no_one(tmp_path: Path) -> None:
    report = recorded(tmp_path, "C3-M2", wave("EEG"), onsets=[0, 30, 100, 130, 160, 190])
    flags = report.flags[0]
    assert flags.size == 8
    assert flags.tolist() == [0, 0, 32, 32, 0, 0, 0, 0]  # 60 to 100 is missing; the last epoch ends at 220
    assert report.share(0, QualityFlag.GAP) == 2 / 8
    assert report.share_good() == 1.0
    assert report.bad_channels() == ()


def test_numbers_at_the_converters_limit_are_not_clipped(tmp_path: Path) -> None:
    data = wave("SPO2")
    data[2:4] = np.where(T < 15, 100, 99)
    assert not recorded(tmp_path, "SpO2", data, unit="%", top=100.0).flags.any()


def test_an_amplifier_that_ends_before_its_converter_clips(tmp_path: Path) -> None:
    data = np.clip(wave("ECG") * 2, -10, 3.0)
    data[2:4] = np.clip(data[2:4] * 20, -10, 3.0)
    found = recorded(tmp_path, "ECG", data, unit="mV", top=10.0).flags[0].tolist()
    assert found == [0, 0, int(QualityFlag.CLIPPED), int(QualityFlag.CLIPPED), 0, 0]


@pytest.mark.parametrize(("step", "frozen"), [(0.1, 12), (1.0, 130)])
def test_a_frozen_oximeter_is_flat(tmp_path: Path, step: float, frozen: int) -> None:
    data = wave("SPO2", 150, 1) + step * (np.arange(30) % 2)
    data[12 : 12 + frozen] = 95
    flags = recorded(tmp_path, "SpO2", data, unit="%", top=200.0).flags[0]
    assert np.flatnonzero(flags).tolist() == list(range(12, 12 + frozen))
    assert set(flags.tolist()) == {0, int(QualityFlag.FLAT)}


def test_a_steady_healthy_sleeper_is_not_a_frozen_oximeter(tmp_path: Path) -> None:
    data = np.full((80, 30), 97.0)
    data[[0, 25, 50, 79]] = 96
    assert not recorded(tmp_path, "SpO2", data, unit="%", top=200.0).flags.any()


def test_bad_means_more_than_half_or_an_hour_on_end(tmp_path: Path) -> None:
    good, flat = wave("EEG", 2, 16)[0], np.zeros(480)

    def night(bad: set[int], epochs: int) -> QualityReport:
        return recorded(tmp_path, "C3-M2", np.stack([flat if k in bad else good for k in range(epochs)]))

    assert night(set(range(5)), 10).bad_channels() == ()
    assert night(set(range(6)), 10).bad_channels() == (0,)
    assert night(set(range(119)), 400).bad_channels() == ()
    assert night(set(range(100, 220)), 400).bad_channels() == (0,)
    assert night(set(range(0, 300, 2)), 400).bad_channels() == ()
    assert night({1, 2, 3}, 10).share_good() == 0.7


def test_signals_of_no_modality_are_not_judged(tmp_path: Path) -> None:
    report = recorded(tmp_path, "Position", np.zeros((3, 30)), unit="")
    assert not report.flags.any()
    assert (report.words(0), report.share_good()) == ("not judged", 0.0)


def test_ten_seconds_and_nothing_at_all(tmp_path: Path) -> None:
    path = tmp_path / "short.edf"
    data = np.round(wave("EEG")[0, : 10 * RATE] * 10).astype(int).reshape(10, RATE)
    path.write_bytes(File([Signal("C3-M2", data), Signal("C4-M1", 0 * data)]).bytes())
    with open_recording(path) as recording:
        assert assess(recording).flags.tolist() == [[0], [int(QualityFlag.FLAT)]]
    path.write_bytes(File([Signal(label, data) for label in ("C3-M2", "Flow", "SpO2", "Position")]).header())
    with open_recording(path, allow_empty=True) as recording:
        report = assess(recording)
    assert report.flags.shape == (4, 0)
    assert (report.share_good(), report.bad_channels(), report.words(0)) == (0.0, (), "not judged")


def test_the_size_of_pieces_does_not_matter(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    for size in (48 << 20, 1 << 10, 300_000):
        monkeypatch.setattr(quality, "_CHUNK_BYTES", size)
        with open_recording(shared / "data/psg/nox_a1_2min_90ch.edf") as recording:
            reports.append(assess(recording))
    for other in reports[1:]:
        np.testing.assert_array_equal(other.flags, reports[0].flags)
        assert other.suspicions == reports[0].suspicions


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([1, 4, 10, 25, 64, 100, 200]), st.integers(1, 5), st.integers(0, 50), st.floats(0.001, 3000))
def test_flatness_is_what_a_plain_computation_says(tmp_path: Path, rate: int, epochs: int, seed: int, scale: float) -> None:
    data = np.random.default_rng(seed).standard_normal((epochs, 30 * rate)) * scale
    path = tmp_path / "night.edf"
    path.write_bytes(
        File([Signal("C3", np.clip(np.round(data), -32768, 32767).astype(int), physical=(-3276.8, 3276.7))], record_s=30).bytes()
    )
    with open_recording(path) as recording:
        x = recording.read(0, 0, recording.duration_s).reshape(epochs, -1).astype(float)
        flags = assess(recording).flags[0]
    step = 0.1
    expected = np.ptp(x, axis=1) <= 2.05 * step
    if rate >= 10:
        lag = max(1, rate // 100)
        expected |= (x.std(axis=1) < 2.0) | ((np.abs(x[:, lag:] - x[:, :-lag]) < step / 2).mean(axis=1) >= 0.8)
    np.testing.assert_array_equal((flags & QualityFlag.FLAT) != 0, expected)


def test_reports_are_stored_and_read_back(tmp_path: Path) -> None:
    data = wave("EEG")
    data[3] = 0
    report = recorded(tmp_path, "C3-M2", data)
    target = tmp_path / "quality.npz"
    report.save(target)
    again = QualityReport.load(target)
    np.testing.assert_array_equal(again.flags, report.flags)
    assert (again.channels, again.suspicions, again.words(0)) == (report.channels, report.suspicions, "17 % flat")
    assert [path.name for path in tmp_path.iterdir() if "quality" in path.name] == ["quality.npz"]
    with pytest.raises(RequestError):
        again.of(5)
    target.write_bytes(b"not a report")
    with pytest.raises(RecordingError, match=r"quality\.npz"):
        QualityReport.load(target)


def test_assessing_can_be_cancelled(shared: Path) -> None:
    def cancel(fraction: float, _: str) -> None:
        if fraction >= 1.0:
            raise Cancelled("stopped")

    with open_recording(shared / "data/psg/short_psg.edf") as recording, pytest.raises(Cancelled):
        assess(recording, cancel)


def test_a_real_night_is_mostly_good(shared: Path) -> None:
    with open_recording(shared / "data/psg/ucddb018_eeg.edf") as recording:
        report = assess(recording)
    assert report.flags.shape == (1, 822)
    assert report.share_good() > 0.95
