"""WFDB records, held against the wfdb package, and headers that lie."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from wfdb_files import CINC_LABELS, MAT_HEADER_BYTES, write_cinc, write_record

from sleepfm.errors import RecordingChangedError, RecordingError, RequestError, SleepFMError
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.inspection import inspect
from sleepfm.recording.opening import open_recording, recording_files
from sleepfm.signals.convert import convert, find_recordings
from sleepfm.signals.store import open_signals
from sleepfm.vocabulary import Kind, Modality

KINDS = [Kind.EEG] * 6 + [Kind.EOG, Kind.CHIN_EMG, Kind.EFFORT_ABDOMEN, Kind.EFFORT_THORAX, Kind.FLOW, Kind.SPO2, Kind.ECG]
FORMATS = {"16": 2**15, "212": 2**11, "24": 2**23, "32": 2**31, "80": 2**7}


def test_the_header_of_the_challenge(shared: Path, tmp_path: Path) -> None:
    """The published header of tr03-0005, over samples that are ours."""
    header = tmp_path / "tr03-0005.hea"
    header.write_bytes((shared / "data/scorings/tr03-0005.hea").read_bytes())
    n = 200 * 45
    digital_tc = np.random.default_rng(0).integers(-3000, 3000, (n, 13)).astype("<i2")
    (tmp_path / "tr03-0005.mat").write_bytes(bytes(MAT_HEADER_BYTES) + digital_tc.tobytes())
    with open_recording(header) as recording:
        assert recording.format == "WFDB"
        assert recording.start is None
        assert not recording.simulated
        assert recording.duration_s == 45.0
        assert recording.segments() == ((0.0, 45.0),)
        assert recording.gaps == ()
        assert any("promises 5147000 samples" in problem for problem in recording.problems)
        assert tuple(channel.label for channel in recording.channels) == CINC_LABELS
        assert [channel.kind for channel in recording.channels] == KINDS
        assert {channel.rate_hz for channel in recording.channels} == {200.0}
        assert [recording.channel(k).unit for k in (0, 7, 11, 12)] == ["µV", "µV", "%", "mV"]
        assert {channel.modality for channel in recording.channels} == set(Modality)
        np.testing.assert_array_equal(recording.digital(4, 0), digital_tc[:, 4])
        np.testing.assert_allclose(recording.read(0, 0, 45), digital_tc[:, 0])
        np.testing.assert_allclose(recording.read(11, 0, 45), (digital_tc[:, 11] + 32768.0) / 655.35, rtol=1e-6)
        np.testing.assert_allclose(recording.read(12, 10, 20), digital_tc[2000:4000, 12] / 1000, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), fmt=st.sampled_from(sorted(FORMATS)), n_signals=st.integers(1, 4), n=st.integers(1, 400))
def test_every_format_reads_as_wfdb_reads_it(data: st.DataObject, fmt: str, n_signals: int, n: int) -> None:
    limit = FORMATS[fmt]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    digital_tc = rng.integers(-limit, limit, (n, n_signals))  # the lowest value is "no sample"
    first = data.draw(st.integers(-20, n + 20))
    length = data.draw(st.integers(0, n + 20))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wfdb.wrsamp(
            "night", fs=50, units=["mmHg"] * n_signals, sig_name=[f"ABP{k}" for k in range(n_signals)], d_signal=digital_tc,
            fmt=[fmt] * n_signals, adc_gain=[7.5] * n_signals, baseline=[3] * n_signals, write_dir=name,
        )  # fmt: skip
        theirs = wfdb.rdrecord(str(folder / "night")).p_signal
        with open_recording(folder / "night.hea", mapped=data.draw(st.booleans())) as recording:
            assert recording.duration_s == n / 50
            windows = recording.read_many(range(n_signals), first / 50, (first + length) / 50)
            for index, window in enumerate(windows):
                expected = np.full(length, np.nan)
                low, high = max(first, 0), min(first + length, n)
                if low < high:
                    expected[low - first : high - first] = theirs[low:high, index]
                np.testing.assert_allclose(window, expected, rtol=1e-6, atol=1e-5)
            valid = digital_tc[:, 0] != -limit
            np.testing.assert_array_equal(recording.digital(0, 0)[valid], digital_tc[valid, 0])


@pytest.mark.parametrize(("fmt", "dtype", "shift"), [("61", ">i2", 0), ("160", "<u2", 32768)])
def test_formats_that_wfdb_only_reads(tmp_path: Path, fmt: str, dtype: str, shift: int) -> None:
    digital_tc = np.random.default_rng(1).integers(-32767, 32768, (120, 2))
    (tmp_path / "a.dat").write_bytes((digital_tc + shift).astype(dtype).tobytes())
    (tmp_path / "a.hea").write_text(f"a 2 60 120\na.dat {fmt} 10/uV 16 0 0 0 0 C3\na.dat {fmt} 10/uV 16 0 0 0 0 C4\n")
    theirs = wfdb.rdrecord(str(tmp_path / "a")).p_signal
    with open_recording(tmp_path / "a.hea") as recording:
        for index in (0, 1):
            np.testing.assert_allclose(recording.read(index, 0, 2), theirs[:, index], rtol=1e-6)


def test_several_rates_and_files_in_one_record(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    frames = rng.integers(-2000, 2000, (90, 6)).astype("<i2")  # four samples of one signal, one of each of two others
    (tmp_path / "a.dat").write_bytes(b"head" + frames.tobytes())
    other = rng.integers(-100, 100, 90).astype("<i2")
    (tmp_path / "b.dat").write_bytes(other.tobytes())
    (tmp_path / "a.hea").write_text(
        "a 4 30/30(0) 90 22:30:15.25 02/03/2021\n"
        "a.dat 16x4+4 4(10)/uV 12 0 0 0 0 EEG C3-A2\n"
        "a.dat 16+4 1/% 0 0 0 0 0 SaO2\n"
        "a.dat 16+4 1/bpm 0 0 0 0 0 Pulse\n"
        "b.dat 16 2 12 5 0 0 0 ECG\n"
        "# <age>: 61 <sex>: F\n"
    )
    theirs = wfdb.rdrecord(str(tmp_path / "a"), smooth_frames=False).e_p_signal
    with open_recording(tmp_path / "a.hea") as recording:
        assert [channel.rate_hz for channel in recording.channels] == [120.0, 30.0, 30.0, 30.0]
        assert recording.start is not None
        assert recording.start.isoformat() == "2021-03-02T22:30:15.250000"
        assert recording.patient == "<age>: 61 <sex>: F"
        assert (recording.channel(0).digital_min, recording.channel(0).digital_max) == (-2048, 2047)
        assert recording.problems == ()
        for index, values in enumerate(theirs):
            np.testing.assert_allclose(recording.read(index, 0, 3), values, rtol=1e-6, atol=1e-6)
            rate_hz = recording.channel(index).rate_hz
            np.testing.assert_allclose(
                recording.read(index, 0.7, 1.9), values[round(0.7 * rate_hz) : round(1.9 * rate_hz)], rtol=1e-6, atol=1e-6
            )
        np.testing.assert_array_equal(recording.digital(3, 0), other)
    assert recording_files(tmp_path / "a.hea") == (tmp_path / "a.hea", tmp_path / "a.dat", tmp_path / "b.dat")


def test_a_simulated_record_says_so(tmp_path: Path) -> None:
    header = write_cinc(tmp_path, seconds=2)
    with header.open("a") as file:
        file.write("# SIMULATED signals\n")
    with open_recording(header) as recording:
        assert recording.simulated


def test_invalid_samples_are_missing_and_leave_no_spike(tmp_path: Path) -> None:
    digital_tc = np.arange(1, 401).reshape(-1, 1)
    digital_tc[[0, 1, 100, 101, 399]] = -32768
    header = write_record(tmp_path, "a", digital_tc, ["C3-M2"])
    with open_recording(header) as recording:
        x = recording.read(0, 0, 2)
        assert np.flatnonzero(np.isnan(x)).tolist() == [0, 1, 100, 101, 399]
        held = recording.digital(0, 0)
        assert held[[0, 1, 2, 100, 101, 102, 399]].tolist() == [3, 3, 3, 100, 100, 103, 399]


def test_what_is_not_stated_is_assumed_aloud(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(np.arange(500, dtype="<i2").tobytes())
    (tmp_path / "a.hea").write_text("a 1\na.dat 16\n")
    with open_recording(tmp_path / "a.hea") as recording:
        assert recording.duration_s == 2.0
        said = " ".join((*recording.problems, *recording.channels[0].problems))
    for words in ("250 Hz are assumed", "does not say how many samples", "no usable gain", "label is empty"):
        assert words in said


def test_inspection_and_folders_know_wfdb(tmp_path: Path) -> None:
    header = write_cinc(tmp_path / "training" / "tr03-0001")
    found = inspect(header)
    assert found["format"] == "WFDB"
    assert [channel["label"] for channel in found["channels"]] == list(CINC_LABELS)
    assert found["quality"]["epochs"] == 2
    assert find_recordings([tmp_path]) == [header]
    with pytest.raises(RequestError, match=r"signal file of a WFDB record; name its header tr03-0001\.hea"):
        open_recording(header.with_suffix(".mat"))


def test_conversion_is_that_of_the_same_samples_in_an_edf(tmp_path: Path) -> None:
    from edf_bytes import File, Signal

    n_s = 61
    digital_tc = np.cumsum(np.random.default_rng(3).integers(-9, 10, (n_s * 200, 2)), axis=0)
    header = write_record(tmp_path, "wfdb", digital_tc, ["C3-M2", "E1-M2"])
    edf = tmp_path / "edf.edf"
    limits = {"physical": (-32768, 32767), "digital": (-32768, 32767)}
    signals = [Signal(label, digital_tc[:, k].reshape(n_s, 200), **limits) for k, label in enumerate(("C3-M2", "E1-M2"))]
    edf.write_bytes(File(signals).bytes())
    records = [convert(path, tmp_path / "out") for path in (header, edf)]
    assert [record.id for record in records] == ["wfdb", "edf"]
    assert records[0].source_sha256 == fingerprint(header)
    with open_signals(Path(records[0].out)) as one, open_signals(Path(records[1].out)) as other:
        for a, b in zip(one.modalities()[Modality.BAS], other.modalities()[Modality.BAS], strict=True):
            assert (a.label, a.unit, a.mean, a.std) == (b.label, b.unit, pytest.approx(b.mean), pytest.approx(b.std))
            np.testing.assert_allclose(one.dataset(a)[:], other.dataset(b)[:], atol=1e-3)


def test_the_fingerprint_covers_header_and_samples(tmp_path: Path) -> None:
    header = write_cinc(tmp_path, seconds=2)
    samples = header.with_suffix(".mat")
    before = fingerprint(header)
    assert before == hashlib.sha256(header.read_bytes() + samples.read_bytes()).hexdigest()
    raw = bytearray(samples.read_bytes())
    raw[-1] ^= 1
    samples.write_bytes(raw)
    changed = fingerprint(header)
    assert changed != before
    header.write_text(header.read_text() + "# a note\n")
    assert fingerprint(header) != changed


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("suffix", [".hea", ".mat"])
def test_every_read_notices_a_change(tmp_path: Path, suffix: str, mapped: bool) -> None:
    header = write_cinc(tmp_path, seconds=4)
    with open_recording(header, mapped=mapped) as recording:
        assert recording.read(0, 0, 1).size == 200
        os.utime(header.with_suffix(suffix), ns=(1, 1))
        for read in (lambda: recording.read(0, 0, 1), lambda: recording.digital(0, 0), lambda: recording.read(0, 100, 101)):
            with pytest.raises(RecordingChangedError, match="written"):
                read()


LINE = "a.dat 16 1/uV 16 0 0 0 0 C3"


def one(old: str = "", new: str = "") -> str:
    """Return a header of one signal with a part of its line replaced."""
    return f"a 1 200 10\n{LINE.replace(old, new, 1)}"


HOSTILE = {
    "empty": ("\n", "no record line"),
    "only comments": ("# nothing\n", "no record line"),
    "binary": ("a\x00b 1 200 10", "binary"),
    "no number": ("a b 200 10", "no number of signals"),
    "no signals": ("a 0 200 10", "0 signals"),
    "a billion signals": (f"a 1000000000 200 10\n{LINE}", "1000000000 signals"),
    "digits without end": (f"a {'9' * 6000} 200 10\n{LINE}", "no number of signals"),
    "more signals than lines": (f"a 3 200 10\n{LINE}", "announces 3 signals, 1 are described"),
    "fewer signals than lines": (f"a 1 200 10\n{LINE}\n{LINE}", "announces 1 signals, 2 are described"),
    "segments": (f"a/3 1 200 10\n{LINE}", "several segments"),
    "no frequency": (f"a 1 0 10\n{LINE}", "no sampling frequency"),
    "words for a frequency": (f"a 1 fast 10\n{LINE}", "no sampling frequency"),
    "a frequency beyond all": (f"a 1 1e300 10\n{LINE}", "no sampling frequency"),
    "samples for years": (f"a 1 200 99999999999\n{LINE}", "cannot be right"),
    "negative samples": (f"a 1 200 -5\n{LINE}", "cannot be right"),
    "absolute path": (one("a.dat", "/etc/passwd"), "only files beside the header"),
    "parent folder": (one("a.dat", "../a.dat"), "only files beside the header"),
    "windows path": (one("a.dat", "C:\\a.dat"), "only files beside the header"),
    "folder below": (one("a.dat", "b/a.dat"), "only files beside the header"),
    "the folder itself": (one("a.dat", ".."), "only files beside the header"),
    "standard input": (one("a.dat", "-"), "only files beside the header"),
    "address": (one("a.dat", "http://example.org/a.dat"), "only files beside the header"),
    "escape sequence": (one("a.dat", "a\x1b[2J.dat"), "only files beside the header"),
    "a format that is not read": (one("16 1/uV", "310 1/uV"), "format 310; read are 16, 212"),
    "no format": (one("16 1/uV", "x 1/uV"), "format x"),
    "a cut line": ("a 1 200 10\na.dat", "line of signal 0 is cut"),
    "samples a frame": (one("16 ", "16x9999999 "), "no sampling rate"),
    "no samples a frame": (one("16 ", "16x0 "), "no sampling rate"),
    "two formats in a file": (f"a 2 200 10\n{LINE}\n{LINE.replace('16 ', '80 ', 1)}", "different formats"),
    "signals apart": (f"a 3 200 10\n{LINE}\n{LINE.replace('a.dat', 'b.dat')}\n{LINE}", "do not stand together"),
    "nothing stored": ("a 1 200 10\n~ 0 1/uV 16 0 0 0 0 C3", "nothing is stored"),
    "missing file": (one("a.dat", "gone.dat"), r"gone\.dat is not beside it"),
    "offset behind the end": (one("16 ", "16+900000000000 "), "not one whole sample"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_header_that_lies_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    content, words = HOSTILE[kind]
    folder = tmp_path / "record"
    folder.mkdir()
    for file in (tmp_path / "a.dat", folder / "a.dat", folder / "b.dat"):
        file.write_bytes(bytes(100))
    header = folder / "a.hea"
    header.write_bytes(content.encode())
    with pytest.raises(RecordingError, match=words) as caught:
        open_recording(header)
    message = str(caught.value)
    assert message.startswith(str(header))
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 400 + len(str(header))


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such file"):
        open_recording(tmp_path / "a.hea")
    (tmp_path / "b.hea").mkdir()
    with pytest.raises(RequestError, match="is a folder"):
        open_recording(tmp_path / "b.hea")
    with pytest.raises(RequestError, match="no channel with index 13"), open_recording(write_cinc(tmp_path)) as recording:
        recording.read(13, 0, 1)


HEADS = ("a 1 200 10", LINE, "b.dat 212 2 12 0", "a.dat 16x3:7+2 1(5)/mV", "# note", "~ 0")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(HEADS), st.text("0123456789/()+x: .-e~", max_size=9)), max_size=5))
def test_any_header_opens_or_is_refused(lines: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("a.dat", "b.dat"):
            (folder / file).write_bytes(bytes(range(256)))
        (folder / "a.hea").write_text("\n".join(a + b for a, b in lines))
        try:
            recording = open_recording(folder / "a.hea")
        except SleepFMError:
            return
        with recording:
            assert 0 < recording.duration_s <= 31 * 86400
            for channel in recording.channels:
                assert len(recording.digital(channel.index, 0)) == round(recording.duration_s * channel.rate_hz)
