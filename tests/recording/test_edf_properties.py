"""Whatever the bytes are: a recording opens with its problems listed, or one clear line says why not."""

from __future__ import annotations

import warnings
from pathlib import Path

import edfio
import numpy as np
import pytest
from edf_bytes import File, Signal, smooth, tal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording.edf import EdfRecording
from sleepfm.recording.opening import open_recording

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def base_file(reserved: str) -> bytes:
    stamps = Signal("EDF Annotations", [tal(k if k < 3 else k + 7, "Arousal", duration="3") for k in range(6)], physical=(-1, 1))
    signals = [Signal("C3-M2", smooth(6, 32)), Signal("SpO2", np.full((6, 1), 96), unit="%"), stamps]
    return File(signals, reserved=reserved).bytes()


BASES = {reserved: base_file(reserved) for reserved in ("", "EDF+C", "EDF+D")}


def open_and_use(path: Path) -> None:
    """Open and read everything; only the errors meant for people may come out, and never more samples than the file holds."""
    try:
        recording = open_recording(path)
    except (RecordingError, RequestError) as error:
        refused = str(error)
    else:
        use(recording, path)
        return
    assert str(path) in refused
    assert "\n" not in refused


def use(recording: EdfRecording, path: Path) -> None:
    with recording, warnings.catch_warnings():
        warnings.simplefilter("error")
        held = 0
        for channel in recording.channels:
            digital = [recording.digital(channel.index, k) for k in range(len(recording.segments()))]
            held += sum(piece.nbytes for piece in digital)
            window = recording.read(channel.index, 0.0, min(recording.duration_s, 60.0))
            assert np.count_nonzero(np.isfinite(window)) <= sum(piece.size for piece in digital)
            assert np.isfinite(channel.gain)
            assert np.isfinite(channel.rate_hz)
        assert held <= path.stat().st_size
        assert all(isinstance(text, str) and text for text in recording.problems)
        for annotation in recording.annotations():
            assert np.isfinite(annotation.onset_s)
        edges = [edge for piece in recording.segments() for edge in piece]
        assert edges == sorted(edges)


@quick
@given(st.sampled_from(sorted(BASES)), st.integers(0, 4000))
def test_cut_anywhere(tmp_path: Path, reserved: str, length: int) -> None:
    path = tmp_path / "cut.edf"
    path.write_bytes(BASES[reserved][:length])
    open_and_use(path)


@settings(quick, max_examples=200)
@given(
    st.sampled_from(sorted(BASES)),
    st.lists(st.tuples(st.integers(0, 1300), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
)
def test_garbage_in_the_header(tmp_path: Path, reserved: str, patches: list[tuple[int, bytes]]) -> None:
    raw = bytearray(BASES[reserved])
    for offset, patch in patches:
        raw[offset : offset + len(patch)] = patch
    path = tmp_path / "garbage.edf"
    path.write_bytes(raw)
    open_and_use(path)


NUMBERS = st.one_of(
    st.integers(-(10**7), 10**8 - 1).map(str),
    st.floats(allow_nan=True, allow_infinity=True, width=16).map(str),
    st.sampled_from(
        ["", "-1", "0", "1e9", "1e99", "-1e-300", "1e-300", "1,5", "NaN", "--", "+", "99999999", "0x10", "1 000", "٣"]
    ),
    st.text(max_size=8),
)
FIELDS = {"n_records": 236, "record_s": 244, "n_signals": 252, "header_bytes": 184, "date": 168, "time": 176}
COLUMNS = {"unit": 96, "physical_min": 104, "physical_max": 112, "digital_min": 120, "digital_max": 128, "samples": 216}


@settings(quick, max_examples=200)
@given(st.sampled_from(sorted(BASES)), st.dictionaries(st.sampled_from([*FIELDS, *COLUMNS]), NUMBERS, min_size=1, max_size=4))
def test_any_number_in_any_field(tmp_path: Path, reserved: str, values: dict[str, str]) -> None:
    raw = bytearray(BASES[reserved])
    for name, value in values.items():
        width = 4 if name == "n_signals" else 8
        offset = FIELDS[name] if name in FIELDS else 256 + 3 * COLUMNS[name]
        raw[offset : offset + width] = value.encode("utf-8", "replace")[:width].ljust(width)
    path = tmp_path / "numbers.edf"
    path.write_bytes(raw)
    open_and_use(path)


@quick
@given(st.binary(max_size=1200))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.edf"
    path.write_bytes(content)
    open_and_use(path)


@quick
@given(st.lists(st.binary(max_size=60), min_size=6, max_size=6))
def test_any_annotation_bytes(tmp_path: Path, rows: list[bytes]) -> None:
    stamps = Signal("EDF Annotations", [row.ljust(60, b"\0") for row in rows], physical=(-1, 1))
    path = tmp_path / "stamps.edf"
    path.write_bytes(File([Signal("C3", smooth(6, 32)), stamps], reserved="EDF+D").bytes())
    open_and_use(path)


@settings(quick, max_examples=60)
@given(
    rates=st.lists(st.sampled_from([0.5, 1, 4, 10, 25, 100, 128, 200, 256, 512]), min_size=1, max_size=5),
    seconds=st.integers(2, 40).map(lambda n: 2 * n),
    fraction=st.sampled_from([0, 250000, 392000]),
    seed=st.integers(0, 99),
)
def test_what_edfio_writes_is_read_back(tmp_path: Path, rates: list[float], seconds: int, fraction: int, seed: int) -> None:
    import datetime

    rng = np.random.default_rng(seed)
    signals = [
        edfio.EdfSignal(
            rng.uniform(-200, 200, round(rate * seconds)),
            rate,
            label=f"EEG {k}",
            physical_dimension="uV",
            physical_range=(-200, 200),
        )
        for k, rate in enumerate(rates)
    ]
    marks = [edfio.EdfAnnotation(rng.integers(0, seconds * 10) / 10, None, f"mark {k}") for k in range(5)]
    path = tmp_path / "edfio.edf"
    edfio.Edf(signals, starttime=datetime.time(1, 2, 3, fraction), annotations=marks).write(path)
    with open_recording(path) as recording:
        assert [channel.rate_hz for channel in recording.channels] == pytest.approx(rates)
        assert recording.duration_s == seconds
        start, stop = sorted(rng.uniform(-1, seconds + 1, 2))
        oracle = edfio.read_edf(path)
        for channel, signal in zip(recording.channels, oracle.signals, strict=True):
            np.testing.assert_allclose(recording.read(channel.index, 0, seconds), signal.data, rtol=1e-5, atol=1e-4)
            times = np.arange(signal.data.size) / channel.rate_hz
            inside = signal.data[(times >= start) & (times < stop)]
            window = recording.read(channel.index, start, stop)
            np.testing.assert_allclose(window[np.isfinite(window)], inside, rtol=1e-5, atol=1e-4)
        ours = [(a.onset_s, a.text) for a in recording.annotations()]
        theirs = sorted((a.onset, a.text) for a in oracle.annotations)
        assert sorted(text for _, text in ours) == sorted(text for _, text in theirs)
        np.testing.assert_allclose([onset for onset, _ in ours], [onset for onset, _ in theirs], atol=1e-5)
