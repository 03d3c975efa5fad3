"""A file that changes while it is open, and one that was mangled before."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal, smooth, tal

from sleepfm.errors import RecordingChangedError, RecordingError, RequestError
from sleepfm.recording.fingerprint import fingerprint, quick_stamp
from sleepfm.recording.opening import open_recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "night.edf"
    path.write_bytes(File([Signal("C3", smooth(20, 256))]).bytes())
    return path


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 700)


def replace(path: Path) -> None:
    other = path.with_suffix(".tmp")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(1, 1))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [(shrink, "shrank"), (replace, "replaced"), (rewrite, "written"), (grow, "written"), (Path.unlink, "gone")],
)
def test_every_read_notices_a_change(path: Path, change, words: str, mapped: bool) -> None:
    with open_recording(path, mapped=mapped) as recording:
        assert recording.read(0, 0, 1).size == 256
        change(path)
        for read in (lambda: recording.read(0, 0, 1), lambda: recording.digital(0, 0), lambda: recording.read(0, 100, 101)):
            with pytest.raises(RecordingChangedError, match=words):
                read()


def test_a_closed_recording_says_so(path: Path) -> None:
    recording = open_recording(path)
    recording.close()
    recording.close()
    with pytest.raises(RecordingError, match="closed"):
        recording.read(0, 0, 1)


def test_no_permission_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # whoever runs the tests as root may read every file
    with pytest.raises(RecordingError, match="permission"):
        open_recording(path)


def conversions(raw: bytes) -> dict[str, bytes]:
    return {
        "LF to CRLF": raw.replace(b"\n", b"\r\n"),
        "unix2dos": raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        "CRLF to LF": raw.replace(b"\r\n", b"\n"),
        "CR dropped": raw.replace(b"\r", b""),
    }


@pytest.mark.parametrize("kind", ["LF to CRLF", "unix2dos", "CRLF to LF", "CR dropped"])
@pytest.mark.parametrize(
    "name",
    ["psg/short_psg.edf", "psg/nox_a1_2min_90ch.edf", "psg/ucddb018_eeg.edf", "edge/test_generator_datarec_generator_0_5.bdf"],
)
def test_line_break_conversion_is_recognised(shared: Path, tmp_path: Path, name: str, kind: str) -> None:
    raw = (shared / "data" / name).read_bytes()
    mangled = conversions(raw)[kind]
    path = tmp_path / "mangled.edf"
    path.write_bytes(mangled)
    if len(mangled) == len(raw):  # nothing in it to convert
        open_recording(path).close()
        return
    with pytest.raises(RecordingError, match="CRLF/LF"):
        open_recording(path)


@pytest.mark.parametrize(
    "name",
    ["psg/short_psg.edf", "psg/nox_a1_2min_90ch.edf", "psg/ucddb018_eeg.edf", "edge/test_generator_datarec_generator_0_5.bdf"],
)
@pytest.mark.parametrize("cut", [1, 2, 3, 57, 1000, 0.1, 0.5])
def test_a_cut_file_is_not_taken_for_a_converted_one(shared: Path, tmp_path: Path, name: str, cut: float) -> None:
    raw = (shared / "data" / name).read_bytes()
    path = tmp_path / "cut.edf"
    path.write_bytes(raw[: len(raw) - (cut if isinstance(cut, int) else int(len(raw) * cut))])
    with open_recording(path) as recording:
        assert any("its end is missing" in problem for problem in recording.problems)


LOOK_ALIKES = {
    "every sample is 0D 0A": np.full((40, 128), 0x0A0D),
    "some samples are 0D 0A": np.where(np.random.default_rng(0).random((40, 128)) < 0.02, 0x0A0D, 0),
    "no odd byte": smooth(40, 128) // 2 * 2,
    "a byte shifted": smooth(40, 128, amplitude=100) * 256,
    "noise": np.random.default_rng(1).integers(-32768, 32768, (40, 128)),
}


@pytest.mark.parametrize("n_records", [40, -1])
@pytest.mark.parametrize("cut", [1, 2, 3, 40, 257, 3001])
@pytest.mark.parametrize("kind", sorted(LOOK_ALIKES))
def test_data_that_look_converted_are_read_when_they_are_only_cut(tmp_path: Path, kind: str, cut: int, n_records: int) -> None:
    path = tmp_path / "cut.edf"
    path.write_bytes(File([Signal("C3", LOOK_ALIKES[kind])], n_records=n_records).bytes()[:-cut])
    with open_recording(path) as recording:
        np.testing.assert_array_equal(recording.digital(0, 0), LOOK_ALIKES[kind].reshape(-1)[: recording.digital(0, 0).size])


def test_appended_bytes_are_not_taken_for_a_conversion(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\r\n")
    with open_recording(path) as recording:
        assert recording.duration_s == 20.0


def test_shifted_time_stamps_give_a_conversion_away(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(-32768, 32768, (600, 256))  # noise has no alignment; the stamps must do
    stamps = Signal("EDF Annotations", [tal(k) for k in range(600)], unit="", physical=(-1, 1))
    raw = File([Signal("C3", noise), stamps], reserved="EDF+C").bytes()
    assert raw.count(b"\r\n") >= 2
    path = tmp_path / "mangled.edf"
    path.write_bytes(raw.replace(b"\r\n", b"\n"))
    with pytest.raises(RecordingError, match="CRLF/LF"):
        open_recording(path)


def test_fingerprint_is_sha256_and_notices_change(path: Path) -> None:
    import hashlib

    fractions: list[float] = []
    assert fingerprint(path, lambda fraction, _: fractions.append(fraction)) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fractions[-1] == 1.0
    before = quick_stamp(path)
    assert before[0] == path.stat().st_size

    def meddle(_: float, __: str) -> None:
        grow(path)

    with pytest.raises(RecordingChangedError):
        fingerprint(path, meddle)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of POSIX")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.edf"
    os.mkfifo(path)
    with pytest.raises(RequestError, match="a device or a pipe"):
        open_recording(path)


@pytest.mark.parametrize("member", ["stat", "open"])
def test_what_may_not_be_read_is_said_so(path: Path, monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    """The file itself may be closed to us, or a folder on the way to it."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, member, refuse)
    with pytest.raises(RecordingError, match="you may not read this file"):
        open_recording(path)
