"""Gaps, sub-second starts and fractional records: where samples lie in time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal, smooth, tal

from sleepfm.recording.opening import open_recording


def discontinuous(
    onsets: list[float], record_s: float = 1.0, samples: int = 8, reserved: str = "EDF+D", **fields: object
) -> File:
    data = np.arange(len(onsets) * samples).reshape(len(onsets), samples)
    stamps = Signal("EDF Annotations", [tal(onset) for onset in onsets], unit="", physical=(-1, 1))
    return File([Signal("C3-M2", data, physical=(-32768, 32767)), stamps], record_s=record_s, reserved=reserved, **fields)


@pytest.fixture
def written(tmp_path: Path):
    def write(file: File, name: str = "file.edf") -> Path:
        path = tmp_path / name
        path.write_bytes(file.bytes())
        return path

    return write


@pytest.mark.parametrize("mapped", [False, True])
def test_gaps_stay_gaps(written, mapped: bool) -> None:
    path = written(discontinuous([0, 1, 2, 10, 11, 20.5]))
    with open_recording(path, mapped=mapped) as recording:
        assert recording.format == "EDF+D"
        assert recording.segments() == ((0.0, 3.0), (10.0, 12.0), (20.5, 21.5))
        assert recording.gaps == ((3.0, 10.0), (12.0, 20.5))
        assert recording.duration_s == 21.5
        whole = recording.read(0, 0, 21.5)
        assert whole.dtype == np.float32
        assert whole.shape == (172,)
        expected = np.full(172, np.nan)
        expected[:24], expected[80:96], expected[164:] = np.arange(24), np.arange(24, 40), np.arange(40, 48)
        np.testing.assert_array_equal(whole, expected)
        np.testing.assert_array_equal(recording.read(0, 2.5, 10.25), expected[20:82])
        np.testing.assert_array_equal(recording.digital(0, 1), np.arange(24, 40))


def test_outside_the_recording_there_is_nothing(written) -> None:
    with open_recording(written(discontinuous([0, 1]))) as recording:
        window = recording.read(0, -1.0, 3.0)
        np.testing.assert_array_equal(np.isnan(window), [True] * 8 + [False] * 16 + [True] * 8)
        assert recording.read(0, 5.0, 5.0).shape == (0,)


def test_a_sub_second_start_moves_the_clock_not_the_samples(written) -> None:
    file = discontinuous([0.375, 1.375, 5.375])
    file.signals[1].data[0] = tal(0.375, "Lights off")
    with open_recording(written(file)) as recording:
        assert recording.start == datetime(2021, 3, 2, 22, 30, 15, 375000)
        assert recording.gaps == ((2.0, 5.0),)
        (annotation,) = recording.annotations()
        assert (annotation.onset_s, annotation.text) == (0.0, "Lights off")
        assert any("0.375 s" in problem for problem in recording.problems)


def test_a_contiguous_file_whose_stamps_jump_is_believed_by_its_stamps(written) -> None:
    with open_recording(written(discontinuous([0, 1, 2, 63, 64], reserved="EDF+C"))) as recording:
        assert recording.gaps == ((3.0, 63.0),)
        assert any("contiguous" in problem for problem in recording.problems)


def test_a_contiguous_file_whose_clock_drifts_stays_contiguous(written) -> None:
    with open_recording(written(discontinuous([k * 1.0001 for k in range(200)], reserved="EDF+C"))) as recording:
        assert recording.gaps == ()
        assert recording.duration_s == 200.0


def test_overlapping_and_unstamped_records_are_placed_and_named(written) -> None:
    file = discontinuous([0, 1, 1.5, 3, 4, 9])
    file.signals[1].data[4] = b"\x00" * 60
    with open_recording(written(file)) as recording:
        assert recording.segments() == ((0.0, 5.0), (9.0, 10.0))
        assert sum("before the one before" in problem for problem in recording.problems) == 1
        assert sum("no readable time" in problem for problem in recording.problems) == 1


def test_one_time_stamp_that_went_wrong_does_not_move_the_rest_of_the_night(written) -> None:
    with open_recording(written(discontinuous([0, 1, 2, 80_000, 4, 5, 30, 31]))) as recording:
        assert recording.segments() == ((0.0, 6.0), (30.0, 32.0))
        assert sum("1 data records have a time that cannot be right" in problem for problem in recording.problems) == 1


@pytest.mark.parametrize("far", [8 * 86400, 30 * 86400, 300 * 86400])
def test_nobody_waits_a_week_between_two_parts_of_a_recording(written, far: float) -> None:
    with open_recording(written(discontinuous([0, 1, 2, far, far + 1, far + 2]))) as recording:
        assert recording.duration_s == 6.0
        assert any("cannot be right" in problem or "no readable time" in problem for problem in recording.problems)


def test_two_nights_in_one_file_stay_apart(written) -> None:
    with open_recording(written(discontinuous([0, 1, 57_600, 57_601]))) as recording:
        assert recording.gaps == ((2.0, 57_600.0),)


@pytest.mark.parametrize("record_s", ["100000", "500000", "1e-7"])
def test_a_duration_that_makes_absurd_rates_is_not_believed(written, record_s: str) -> None:
    with open_recording(written(File([Signal("C3", smooth(20, 128))], record_s=record_s))) as recording:
        assert recording.channel(0).rate_hz == 128
        assert any("cannot be right" in problem for problem in recording.problems)


@pytest.mark.parametrize("record_s", ["0.5", "0,25", "0.1", "1.5", "30", "7.03125"])
def test_records_of_any_length_give_the_same_samples(written, record_s: str) -> None:
    data = smooth(12, 16)
    path = written(File([Signal("C4", data, physical=(-32768, 32767))], record_s=record_s))
    with open_recording(path) as recording:
        seconds = float(record_s.replace(",", "."))
        rate = recording.channel(0).rate_hz
        assert rate == pytest.approx(16 / seconds)
        assert recording.duration_s == pytest.approx(12 * seconds)
        flat = data.reshape(-1)
        np.testing.assert_array_equal(recording.read(0, 0, recording.duration_s), flat)
        for first, last in ((0, 1), (3, 50), (17, 192), (100, 100)):
            np.testing.assert_array_equal(recording.read(0, first / rate, last / rate), flat[first:last])


def test_one_sample_in_thirty_seconds(written) -> None:
    slow = Signal("SpO2", np.arange(90, 100).reshape(10, 1), unit="%", physical=(-32768, 32767))
    fast = Signal("C4", smooth(10, 30 * 64))
    with open_recording(written(File([slow, fast], record_s=30))) as recording:
        assert recording.channel(0).rate_hz == pytest.approx(1 / 30)
        np.testing.assert_array_equal(recording.read(0, 0, 300), np.arange(90, 100))
        np.testing.assert_array_equal(recording.read(0, 31, 89), [92])
        assert recording.read(1, 45, 75).shape == (30 * 64,)


def test_two_days_in_a_sparse_file_open_at_once_and_read_to_the_end(tmp_path: Path) -> None:
    file = File(
        [Signal("C3", smooth(1, 256)), Signal("SpO2", np.array([[95]]), unit="%", physical=(-32768, 32767))], n_records=172800
    )
    path = tmp_path / "two_days.edf"
    with path.open("wb") as out:
        out.write(file.header())
        out.truncate(len(file.header()) + 172800 * 514)
    with open_recording(path) as recording:
        assert recording.duration_s == 48 * 3600
        assert recording.problems == ()
        assert recording.read(0, 172790, 172810).shape == (20 * 256,)
        np.testing.assert_array_equal(np.isnan(recording.read(1, 172790, 172810)), [False] * 10 + [True] * 10)


def test_read_many_gives_what_read_gives(written) -> None:
    rng = np.random.default_rng(3)
    signals = [Signal(f"S{k}", rng.integers(-3000, 3000, (9, samples))) for k, samples in enumerate((256, 1, 64, 100, 7))]
    with open_recording(written(File(signals, record_s="2.5"))) as recording:
        for start, stop in ((0, 22.5), (1.1, 9.7), (-4, 30), (22.49, 22.5)):
            together = recording.read_many([4, 0, 2, 1, 3], start, stop)
            for index, window in zip([4, 0, 2, 1, 3], together, strict=True):
                np.testing.assert_array_equal(window, recording.read(index, start, stop))
                rate = recording.channel(index).rate_hz
                times = np.arange(-1000, 4000) / rate
                assert window.size == np.count_nonzero((times >= start - 1e-9) & (times < stop - 1e-9))


def test_24_bit_samples_of_bdf(tmp_path: Path) -> None:
    values = np.array([[-8388608, -1, 0, 1, 8388607, 65536, -65537, 255]])
    file = File(
        [Signal("Fz", values, physical=(-8388608, 8388607), digital=(-8388608, 8388607))], version=b"\xffBIOSEMI", sample_bytes=3
    )
    file.reserved = "24BIT"
    path = tmp_path / "file.bdf"
    path.write_bytes(file.bytes())
    with open_recording(path) as recording:
        assert recording.format == "BDF"
        assert recording.digital(0, 0).dtype == np.int32
        np.testing.assert_array_equal(recording.digital(0, 0), values[0])
        np.testing.assert_array_equal(recording.read(0, 0, 1), values[0].astype(np.float32))
