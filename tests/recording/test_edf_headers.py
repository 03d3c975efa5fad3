"""Headers as they should not be: what can be recovered is, and is named; what cannot is refused in one clear line."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal, smooth, tal

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.recording.edf import EdfRecording
from sleepfm.recording.opening import open_recording


def two_signals() -> list[Signal]:
    return [Signal("C3-M2", smooth(5, 64)), Signal("SpO2", np.full((5, 1), 95), unit="%", physical=(-32768, 32767))]


@pytest.fixture
def opened(tmp_path: Path):
    recordings: list[EdfRecording] = []

    def open_file(file: File | bytes, **options: bool) -> EdfRecording:
        path = tmp_path / f"file{len(recordings)}.edf"
        path.write_bytes(file if isinstance(file, bytes) else file.bytes())
        recordings.append(open_recording(path, **options))
        return recordings[-1]

    yield open_file
    for recording in recordings:
        recording.close()


def all_problems(recording: EdfRecording) -> str:
    return " ".join((*recording.problems, *(problem for channel in recording.channels for problem in channel.problems)))


def refusal(path: Path) -> str:
    with pytest.raises(SleepFMError) as caught:
        open_recording(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_sound_file_has_no_problems(opened) -> None:
    recording = opened(File(two_signals()))
    assert (recording.format, recording.duration_s, recording.start) == ("EDF", 5.0, datetime(2021, 3, 2, 22, 30, 15))
    assert all_problems(recording) == ""


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("n_records", -1, "does not say how many"),
        ("n_records", 9, "its end is missing"),
        ("n_records", 3, "all are read"),
        ("n_records", "many", "number of data records"),
        ("n_signals", 7, "number of signals"),
        ("n_signals", "", "number of signals"),
        ("header_bytes", 512, "header's own length"),
        ("header_bytes", "", "header's own length"),
        ("version", b"1", "version field"),
    ],
)
def test_a_lying_header_is_corrected_from_the_file(opened, field: str, value: object, words: str) -> None:
    file = File(two_signals(), **{field: value})
    recording = opened(file)
    assert words in all_problems(recording)
    assert (recording.duration_s, [c.label for c in recording.channels]) == (5.0, ["C3-M2", "SpO2"])
    np.testing.assert_array_equal(recording.digital(0, 0), file.signals[0].data.reshape(-1))


def test_a_header_that_is_really_longer_is_skipped(opened) -> None:
    file = File(two_signals(), header_bytes=256 * 4)
    recording = opened(file.header() + b" " * 256 + file.body())
    np.testing.assert_array_equal(recording.digital(0, 0), file.signals[0].data.reshape(-1))
    assert "1024 bytes" in all_problems(recording)


def test_a_truncated_last_record_is_left_out_and_named(opened) -> None:
    raw = File(two_signals()).bytes()
    recording = opened(raw[:-50])
    assert recording.duration_s == 4.0
    assert "last data record is cut" in all_problems(recording)


@pytest.mark.parametrize(
    ("physical", "digital", "words"),
    [
        (("-100,5", "100,5"), (-1000, 1000), "comma"),
        ((-100, 100), (1000, -1000), "above the digital maximum"),
        ((-100, 100), (7, 7), "both 7"),
        ((5, 5), (-1000, 1000), "both 5"),
        (("low", 100), (-1000, 1000), "is not a number"),
        ((-100, 100), ("", 1000), "is empty"),
        ((-100, 100), (0, 70000), "exceed"),
        ((-100, 100), ("-1000uV", 1000), "more than a number"),
        (("-1e300", "1e300"), (-1000, 1000), "no usable scale"),
        (("nan", "inf"), (-1000, 1000), "is not a number"),
    ],
)
def test_odd_limits_are_named_and_values_stay_finite(opened, physical: tuple, digital: tuple, words: str) -> None:
    recording = opened(File([Signal("C3", smooth(2, 32), physical=physical, digital=digital)]))
    channel = recording.channel(0)
    assert words in " ".join(channel.problems)
    assert channel.digital_min <= channel.digital_max
    values = recording.read(0, 0, 2)
    np.testing.assert_allclose(values, recording.digital(0, 0) * channel.gain + channel.offset, rtol=1e-6)
    assert np.isfinite(values).all()
    if "unit" in " ".join(channel.problems):
        assert (channel.unit, channel.gain, channel.offset) == ("", 1.0, 0.0)


def test_inverted_physical_limits_are_a_polarity_not_a_problem(opened) -> None:
    recording = opened(File([Signal("C3", smooth(2, 32), physical=(100, -100), digital=(-1000, 1000))]))
    assert recording.channel(0).gain == pytest.approx(-0.1)
    assert recording.channel(0).problems == ()


@pytest.mark.parametrize(
    ("raw", "label", "words"),
    [
        ("Impédance".encode(), "Impédance", "UTF-8"),
        ("Impédance".encode("latin-1"), "Impédance", "Latin-1"),
        ("Kehlkopf-Sättigüng".encode()[:16], "Kehlkopf-Sättig", ""),
        ("Respiration Nez é".encode()[:17][:16], "Respiration Nez", ""),
        ("abcdefghijklmnoé".encode()[:16], "abcdefghijklmno", "cut in the middle"),
        (b"C3\x00garbage", "C3", ""),
        (b"\x00\x00", "", "label is empty"),
        ("電極".encode(), "電極", "UTF-8"),
    ],
)
def test_labels_in_any_encoding(opened, raw: bytes, label: str, words: str) -> None:
    channel = opened(File([Signal(raw, smooth(2, 32))])).channel(0)
    assert channel.label == label
    assert words in " ".join(channel.problems)


def test_duplicate_labels_are_told_apart_by_index(opened) -> None:
    recording = opened(File([Signal("C3", smooth(2, 8, 1)), Signal("C3", smooth(2, 8, 2))]))
    assert "0, 1" in all_problems(recording)
    assert not np.array_equal(recording.read(0, 0, 2), recording.read(1, 0, 2))


@pytest.mark.parametrize(
    ("date", "time", "text", "start"),
    [
        ("02.03.21", "22.30.15", "", datetime(2021, 3, 2, 22, 30, 15)),
        ("02.03.85", "22.30.15", "", datetime(1985, 3, 2, 22, 30, 15)),
        ("02.03.84", "22.30.15", "", datetime(2084, 3, 2, 22, 30, 15)),
        ("02/03/21", "22:30:15", "", datetime(2021, 3, 2, 22, 30, 15)),
        ("02.03.yy", "22.30.15", "Startdate 02-MAR-2091 X X X", datetime(2091, 3, 2, 22, 30, 15)),
        ("02.03.91", "22.30.15", "Startdate 02-MAR-2091 X X X", datetime(2091, 3, 2, 22, 30, 15)),
        ("31.02.21", "22.30.15", "", None),
        ("02.03.21", "25.00.00", "", None),
        ("", "", "", None),
    ],
)
def test_dates(opened, date: str, time: str, text: str, start: datetime | None) -> None:
    recording = opened(File(two_signals(), date=date, time=time, recording=text))
    assert recording.start == start
    assert bool(recording.problems) == (start is None or "yy" in date)


def test_two_different_dates_are_named(opened) -> None:
    recording = opened(File(two_signals(), recording="Startdate 05-APR-2020 X X X"))
    assert recording.start == datetime(2021, 3, 2, 22, 30, 15)
    assert "two start dates" in all_problems(recording)


@pytest.mark.parametrize("record_s", ["0", "", "-1", "second", "nan", "1e-300", "9e9"])
def test_an_unusable_record_duration_becomes_one_second(opened, record_s: str) -> None:
    recording = opened(File(two_signals(), record_s=record_s))
    assert recording.duration_s == 5.0
    assert "1 s is assumed" in all_problems(recording)


def test_one_unreadable_sample_count_follows_from_the_size(opened) -> None:
    file = File(two_signals())
    file.signals[0].samples = "??"
    recording = opened(file)
    assert recording.channel(0).rate_hz == 64.0
    assert "file's size gives 64" in all_problems(recording)


def test_a_signal_without_samples_is_left_out(opened) -> None:
    recording = opened(File([*two_signals(), Signal("Empty", np.zeros((5, 0)))]))
    assert [channel.index for channel in recording.channels] == [0, 1]
    assert "no samples" in all_problems(recording)


def test_annotation_only_files_have_no_channels(opened) -> None:
    stages = [tal(0, "Sleep stage W", duration="30", width=80)]
    recording = opened(File([Signal("EDF Annotations", stages)], record_s=0, reserved="EDF+C"))
    assert (recording.channels, recording.duration_s, recording.gaps) == ((), 0.0, ())
    assert [(a.onset_s, a.duration_s, a.text) for a in recording.annotations()] == [(0.0, 30.0, "Sleep stage W")]


def test_annotations_with_channels_odd_bytes_and_several_signals(opened) -> None:
    first = [tal(0, "Limb movement@@EMG RAT"), tal(1, "Ronflement é")]
    second = [b"+0.5\x14Latin \xe9\x14\x00".ljust(40, b"\0"), b"what\x14?\x14\x00+1.5\x15x\x14dropped\x14\x00".ljust(40, b"\0")]
    data = Signal("C3", smooth(2, 8))
    recording = opened(File([Signal("EDF Annotations", first), data, Signal("EDF Annotations", second)], reserved="EDF+C"))
    assert [channel.index for channel in recording.channels] == [1]
    assert [(a.onset_s, a.text, a.channel) for a in recording.annotations()] == [
        (0.0, "Limb movement", "EMG RAT"),
        (0.5, "Latin é", None),
        (1.0, "Ronflement é", None),
    ]
    assert "2 annotations are malformed" in all_problems(recording)


UNITS = """
    uV C3 µV 1 | µV C3 µV 1 | μV C3 µV 1 | V C3 µV 1e6 | mV E1 µV 1e3 | nV Chin µV 1e-3 | MV C3 µV 1e3
    microvol C3 µV 1 | UV C3 µV 1 | uV ECG mV 1e-3 | V ECG mV 1e3 | mv EKG mV 1 | V Battery V 1 | V Thorax mV 1e3
    % SpO2 % 1 | DegC Temp °C 1 | bpm HR bpm 1
    BPM Pulse bpm 1 | cmH2O CPAP cmH2O 1 | mbar CPAP cmH2O 1.01972 | kOhm Imp kΩ 1 | parsec C3 parsec 1 | ÂµV C3 µV 1
"""


@pytest.mark.parametrize(
    ("unit", "label", "ours", "factor"),
    [
        *(tuple(entry.split()) for line in UNITS.strip().splitlines() for entry in line.split(" | ")),
        (b"\xb5V", "C3", "µV", "1"),
        (b"\x91V", "C3", "µV", "1"),
        ("cm H2O", "CPAP", "cmH2O", "1"),
        ("", "C3", "", "1"),
    ],
)
def test_units(opened, unit: object, label: str, ours: str, factor: str) -> None:
    signal = Signal(label, smooth(2, 32), unit=unit, physical=(-1000, 1000), digital=(-1000, 1000))
    recording = opened(File([signal]))
    assert recording.channel(0).unit == ours
    np.testing.assert_allclose(recording.read(0, 0, 2), signal.data.reshape(-1) * float(factor), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("patient", "recording", "simulated"),
    [
        ("X SIMULATED sleepfm", "X", True),
        ("X X X X", "Startdate X X SIMULATED sleepfm", True),
        ("X X X X", "Startdate X X X_SIMULATED_X", True),
        ("X X X DISSIMULATED", "X", False),
        ("X X X X", "X", False),
    ],
)
def test_simulated_files_say_so(opened, patient: str, recording: str, simulated: bool) -> None:
    assert opened(File(two_signals(), patient=patient, recording=recording)).simulated is simulated


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"Dear colleague, please find the recording attached.\n" * 20, "not an EDF or BDF"),
        (b"short", "not an EDF or BDF"),
        (b"\x1f\x8b" + bytes(400), "gzip"),
        (b"PK\x03\x04" + bytes(400), "zip"),
        (bytes(2000), "not an EDF or BDF"),
        (File(two_signals()).header()[:600], "cut off within its header"),
        (File(two_signals()).header(), "not one whole data record"),
        (File(two_signals(), n_signals="?", header_bytes="?").bytes(), "number of signals"),
        (File([Signal("a", smooth(2, 8), samples="?"), Signal("b", smooth(2, 8), samples="?")]).bytes(), "number of samples"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.edf"
    path.write_bytes(content)
    assert words in refusal(path)
    with pytest.raises(RecordingError):
        open_recording(path)


def test_a_header_without_data_can_be_looked_at(opened) -> None:
    recording = opened(File(two_signals()).header(), allow_empty=True)
    assert (recording.duration_s, recording.segments(), len(recording.channels)) == (0.0, (), 2)
    assert "no data records" in all_problems(recording)
    assert np.isnan(recording.read(0, 0, 1)).all()


def test_wrong_requests(tmp_path: Path, opened) -> None:
    for path in (tmp_path, tmp_path / "nowhere.edf"):
        with pytest.raises(RequestError, match=str(path)):
            open_recording(path)
    recording = opened(File(two_signals()))
    for wrong in (lambda: recording.read(2, 0, 1), lambda: recording.read(0, 2, 1), lambda: recording.read(0, float("nan"), 1)):
        with pytest.raises(RequestError):
            wrong()
    with pytest.raises(RequestError):
        recording.digital(0, 1)
