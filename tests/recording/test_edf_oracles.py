"""Every real EDF and BDF file must read as independent readers read it, wherever they can open it."""

from __future__ import annotations

from pathlib import Path

import edfio
import mne
import numpy as np
import pyedflib
import pytest

from sleepfm.recording.opening import open_recording

FILES = (
    "edge/bdf_test.edf",
    "edge/duplicate_channel_labels.edf",
    "edge/test_edfann.edf",
    "edge/test_generator_datarec_generator_0_5.bdf",
    "edge/test_subsecond.edf",
    "edge/test_uneven_samp.edf",
    "edge/test_utf8.edf",
    "psg/SC4001EC-Hypnogram.edf",
    "psg/nox_a1_2min_90ch.edf",
    "psg/short_psg.edf",
    "psg/ucddb018_eeg.edf",
    "scorings/SC4011EH-Hypnogram.edf",
    "scorings/nihon_kohden_nap_1.edf",
    "scorings/nihon_kohden_nap_2.edf",
)
REFUSED_BY_PYEDFLIB = {"edge/bdf_test.edf", "psg/nox_a1_2min_90ch.edf"}
TO_HEADER_UNIT = {("µV", "V"): 1e-6, ("mV", "V"): 1e-3, ("mV", "uV"): 1e3}


def _edfio(path: Path) -> edfio.Edf | edfio.Bdf:
    if path.suffix == ".bdf":
        return edfio.read_bdf(path, header_encoding="utf-8")
    return edfio.read_edf(path, lazy_load_data=False, header_encoding="utf-8")


def test_every_shared_file_is_in_the_list(shared: Path) -> None:
    found = {str(path.relative_to(shared / "data")) for end in ("edf", "bdf") for path in (shared / "data").rglob(f"*.{end}")}
    assert found == set(FILES)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_samples_rates_and_labels_are_those_of_edfio(shared: Path, name: str, mapped: bool) -> None:
    path = shared / "data" / name
    with open_recording(path, mapped=mapped) as recording:
        oracle = _edfio(path)
        assert len(recording.channels) == oracle.num_signals
        windows = recording.read_many([channel.index for channel in recording.channels], 0.0, recording.duration_s)
        for channel, window, signal in zip(recording.channels, windows, oracle.signals, strict=True):
            assert channel.label == signal.label
            assert channel.rate_hz == pytest.approx(signal.sampling_frequency, rel=1e-12)
            assert channel.original_unit == signal.physical_dimension
            factor = TO_HEADER_UNIT.get((channel.unit, channel.original_unit), 1.0)
            scale = np.ptp(signal.data)
            np.testing.assert_allclose(window * factor, signal.data, rtol=1e-5, atol=1e-6 * scale)
            if name != "psg/nox_a1_2min_90ch.edf" or channel.index % 9 == 1:
                np.testing.assert_array_equal(recording.digital(channel.index, 0), signal.digital)


@pytest.mark.parametrize("name", FILES)
def test_annotations_and_start_are_those_of_edfio(shared: Path, name: str) -> None:
    path = shared / "data" / name
    with open_recording(path) as recording:
        oracle = _edfio(path)
        assert recording.start is not None
        if "Startdate X" not in path.read_bytes()[:256].decode("latin-1"):
            assert recording.start.replace(microsecond=0) == oracle.startdatetime.replace(microsecond=0)
        if recording.channels:
            assert recording.duration_s == pytest.approx(oracle.duration)
        ours = [(a.text if a.channel is None else f"{a.text}@@{a.channel}", a.duration_s) for a in recording.annotations()]
        theirs = sorted((a for a in oracle.annotations if a.text), key=lambda a: a.onset)
        assert ours == [(a.text.strip(), a.duration) for a in theirs]
        np.testing.assert_allclose([a.onset_s for a in recording.annotations()], [a.onset for a in theirs], atol=1e-6)


@pytest.mark.parametrize("name", FILES)
def test_samples_are_those_of_pyedflib_where_it_opens_the_file(shared: Path, name: str) -> None:
    path = shared / "data" / name
    if name in REFUSED_BY_PYEDFLIB:
        with pytest.raises(OSError, match=r"(?i)edf|file"):
            pyedflib.EdfReader(str(path))
        return
    with pyedflib.EdfReader(str(path)) as oracle, open_recording(path) as recording:
        assert len(recording.channels) == oracle.signals_in_file
        assert recording.start is not None
        assert recording.start.replace(microsecond=0) == oracle.getStartdatetime().replace(microsecond=0)
        for position, channel in enumerate(recording.channels):
            factor = TO_HEADER_UNIT.get((channel.unit, channel.original_unit), 1.0)
            theirs = oracle.readSignal(position)
            ours = recording.read(channel.index, 0.0, recording.duration_s) * factor
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6 * max(np.ptp(theirs), 1e-9))


@pytest.mark.parametrize(
    "name", ["psg/short_psg.edf", "psg/ucddb018_eeg.edf", "edge/test_subsecond.edf", "psg/nox_a1_2min_90ch.edf"]
)
def test_a_window_is_what_mne_reads(shared: Path, name: str) -> None:
    path = shared / "data" / name
    with open_recording(path) as recording:
        fastest = max(channel.rate_hz for channel in recording.channels)
        channel = next(c for c in recording.channels if c.rate_hz == fastest and c.kind in {"EEG", "EOG"})
        raw = mne.io.read_raw_edf(path, include=[channel.label], preload=False, verbose="error", encoding="latin-1")
        first, last = round(31 * fastest), round(57 * fastest)
        theirs = raw.get_data(picks=[0], start=first, stop=last)[0] * 1e6
        np.testing.assert_allclose(recording.read(channel.index, 31.0, 57.0), theirs, rtol=1e-4, atol=1e-3)


def test_nox_labels_are_utf8_and_its_rates_are_eight(shared: Path) -> None:
    with open_recording(shared / "data" / "psg/nox_a1_2min_90ch.edf") as recording:
        assert recording.format == "EDF+C"
        assert len(recording.channels) == 89
        assert {channel.rate_hz for channel in recording.channels} == {1.0, 3.0, 5.0, 20.0, 25.0, 75.0, 100.0, 200.0}
        assert recording.channel(2).label == "1 Impédance"
        assert recording.channel(72).unit == "°"
        assert recording.annotations() == ()
