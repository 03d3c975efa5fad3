"""Conversion end to end: real EDF files in, signals files out; names stay with their signals; nothing half-written."""

from __future__ import annotations

import hashlib
import math
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sleepfm.cli.store import naming_remarks
from sleepfm.errors import Cancelled, RecordingError, RequestError, SleepFMError
from sleepfm.recording.edf import EdfRecording
from sleepfm.signals.conversion import ConvertRecord
from sleepfm.signals.convert import convert
from sleepfm.signals.store import SignalsFile, StoredChannel, open_signals
from sleepfm.signals.store_writing import LAYOUTS, Layout
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import Kind, Modality
from tests.signals.disk import disk_with_room
from tests.signals.edf_files import write_discontinuous, write_edf

SECONDS = 40
LABELS = {
    "EEG C3-M2": 256.0,
    "EEG C4-M1": 200.0,
    "EOG E1-M2": 256.0,
    "ECG II": 512.0,
    "EMG Chin": 100.0,
    "Thorax": 32.0,
    "SpO2": 4.0,
}


def sine(frequency_hz: float, rate_hz: float, seconds: float = SECONDS, amplitude: float = 100.0) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def a_night(path: Path, labels: dict[str, float] = LABELS, flat: frozenset[str] = frozenset()) -> Path:
    """Write channels that each hold a sine of their own frequency: 0.1 Hz, 0.2 Hz, …"""
    signals = [(label, rate, sine(0.1 * (k + 1), rate) * (label not in flat)) for k, (label, rate) in enumerate(labels.items())]
    return write_edf(path, signals)


def frequency(file: SignalsFile, channel: StoredChannel) -> float:
    """Return the strongest frequency of a stored channel, in tenths of Hz."""
    z = file.read(channel)
    return round(np.argmax(np.abs(np.fft.rfft(z))) * 128 / len(z) * 10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("recipe", ["published", "hq"])
def test_a_recording_becomes_a_signals_file(tmp_path: Path, recipe: str, layout: Layout) -> None:
    edf = a_night(tmp_path / "Night 1.edf")
    record = convert(edf, tmp_path / "out", recipe=recipe, layout=layout)
    assert (record.id, record.out) == ("Night_1", str(tmp_path / "out" / "Night_1.hdf5"))
    assert [channel["label"] for channel in record.channels] == list(LABELS)
    assert (record.left_out, record.gaps, record.duration_s) == ([], [], SECONDS)
    assert record.seconds > 0
    with open_signals(Path(record.out)) as file:
        assert (file.layout, file.recipe, file.record_id) == (layout, recipe, "Night_1")
        assert file.source_sha256 == record.source_sha256 == hashlib.sha256(edf.read_bytes()).hexdigest()
        assert {str(m): len(c) for m, c in file.modalities().items()} == {"BAS": 3, "RESP": 2, "EKG": 1, "EMG": 1}
        assert [frequency(file, channel) for channel in file.channels] == [1, 2, 3, 4, 5, 6, 7]
        assert [channel.rate_hz for channel in file.channels] == list(LABELS.values())
        assert {channel.n_samples for channel in file.channels} == {SECONDS * 128}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_original_units_come_back_within_half_precision(tmp_path: Path, layout: Layout) -> None:
    rng = np.random.default_rng(0)
    x = signal.sosfiltfilt(signal.butter(4, 20, fs=128, output="sos"), rng.standard_normal(128 * 400)) * 30 + 12
    record = convert(write_edf(tmp_path / "a.edf", [("EEG C3-M2", 128.0, x)]), tmp_path, layout=layout)
    with open_signals(Path(record.out)) as file:
        (channel,) = file.channels
        restored = file.read(channel, units="original")
        assert channel.unit == "µV"
        assert channel.std is not None
        step_of_the_file = 6000 / 65535
        half_precision = channel.std * np.abs(file.read(channel)).max() * 2**-11
        assert np.abs(restored - x).max() < step_of_the_file + half_precision


@settings(max_examples=15, deadline=None)
@given(flat=st.frozensets(st.sampled_from(sorted(LABELS))), order=st.permutations(sorted(LABELS)), unused=st.integers(0, 6))
def test_names_never_shift(tmp_path_factory: pytest.TempPathFactory, flat: frozenset[str], order: list[str], unused: int) -> None:
    """Whatever is flat, unused or first, each name keeps the signal that was recorded under it."""
    folder = tmp_path_factory.mktemp("names")
    labels = {label: LABELS[label] for label in order}
    labels = dict([*list(labels.items())[:unused], ("Position", 1.0), *list(labels.items())[unused:]])
    record = convert(a_night(folder / "night.edf", labels, flat), folder)
    tenths = {label: k + 1 for k, label in enumerate(labels)}
    with open_signals(Path(record.out)) as file:
        assert [channel.label for channel in file.channels] == order
        for channel in file.channels:
            assert channel.flat == (channel.label in flat)
            if not channel.flat:
                assert frequency(file, channel) == tenths[channel.label]
    assert [left["label"] for left in record.left_out] == ["Position"]
    assert "does not use it" in record.left_out[0]["reason"]


@pytest.mark.parametrize("gone", [0, 1, 6])
def test_a_channel_without_usable_samples_is_left_out_by_name_and_shifts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    """The published code drops a bad signal but not its name, so that every later channel gets the wrong one."""
    samples = EdfRecording.digital

    def digital(self: EdfRecording, index: int, segment: int) -> np.ndarray:
        x = samples(self, index, segment)
        return np.full(len(x), np.nan) if index == gone else x

    monkeypatch.setattr(EdfRecording, "digital", digital)
    record = convert(a_night(tmp_path / "night.edf"), tmp_path)
    labels = list(LABELS)
    assert [left["label"] for left in record.left_out] == [labels[gone]]
    assert "not numbers" in record.left_out[0]["reason"]
    assert [channel["label"] for channel in record.channels] == labels[:gone] + labels[gone + 1 :]
    with open_signals(Path(record.out)) as file:
        for channel in file.channels:
            assert frequency(file, channel) == labels.index(channel.label) + 1


def test_no_usable_channel_at_all_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdfRecording, "digital", lambda *_: np.empty(0, np.int16))
    edf = a_night(tmp_path / "night.edf")
    with pytest.raises(RecordingError, match=r"night\.edf: none of its channels can be used: it has no samples"):
        convert(edf, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_channel_whose_header_has_no_scale_is_kept_and_said(tmp_path: Path) -> None:
    edf = a_night(tmp_path / "night.edf")
    content = bytearray(edf.read_bytes())
    for width_before in (16 + 80 + 8, 16 + 80 + 8 + 8):  # physical minimum and maximum of the second channel
        at = 256 + len(LABELS) * width_before + 8
        content[at : at + 8] = b"5".ljust(8)
    edf.write_bytes(content)
    record = convert(edf, tmp_path)
    assert [channel["label"] for channel in record.channels] == list(LABELS)
    (problem,) = record.problems
    assert problem.startswith("EEG C4-M1: ")


@pytest.mark.parametrize("recipe", ["published", "hq"])
def test_swapped_physical_limits_turn_the_signal_over(tmp_path: Path, recipe: str) -> None:
    """EDF lets the physical maximum lie below the minimum: the gain is negative, and z must follow the physical values."""
    edf = write_edf(tmp_path / "a.edf", [("EEG C3-M2", 128.0, sine(1, 128))])
    content = bytearray(edf.read_bytes())
    content[256 + 104 : 256 + 120] = b"3000    -3000   "
    edf.write_bytes(content)
    record = convert(edf, tmp_path, recipe=recipe)
    with open_signals(Path(record.out)) as file:
        (channel,) = file.channels
        assert np.abs(file.read(channel, units="original") + sine(1, 128)).max() < 0.2


def test_what_a_user_corrected_is_followed(tmp_path: Path) -> None:
    signals = [(label, 128.0, sine(1, 128)) for label in ("Position", "EEG C3-M2", "Channel 7")]
    edf = write_edf(tmp_path / "a.edf", signals)
    record = convert(edf, tmp_path, corrections={1: Kind.MARKER, 2: Kind.ECG})
    assert [(channel["label"], channel["modality"]) for channel in record.channels] == [("Channel 7", "EKG")]
    assert [left["label"] for left in record.left_out] == ["Position", "EEG C3-M2"]


def test_duplicate_labels_keep_their_signals(tmp_path: Path) -> None:
    signals = [("EEG C3-M2", 128.0, sine(0.1 * (k + 1), 128)) for k in range(3)]
    record = convert(write_edf(tmp_path / "a.edf", signals), tmp_path)
    with open_signals(Path(record.out)) as file:
        assert [(c.name, c.label, frequency(file, c)) for c in file.channels] == [
            ("EEG C3-M2", "EEG C3-M2", 1), ("EEG C3-M2_1", "EEG C3-M2", 2), ("EEG C3-M2_2", "EEG C3-M2", 3),
        ]  # fmt: skip


@pytest.mark.parametrize("seconds", [2, 10, 299, 300, 301])
def test_short_recordings(tmp_path: Path, seconds: int) -> None:
    record = convert(write_edf(tmp_path / "a.edf", [("EEG C3-M2", 256.0, sine(1, 256, seconds))]), tmp_path)
    with open_signals(Path(record.out)) as file:
        assert file.n_windows == math.ceil(seconds / 300)
        last = file.window(Modality.BAS, file.n_windows - 1)
        assert last.valid_samples == (seconds - 300 * (file.n_windows - 1)) * 128
        assert not last.x_ct[:, last.valid_samples :].any()


def test_gaps_stay_on_the_time_axis(tmp_path: Path) -> None:
    """EDF+D: 20 s, a gap of 7.25 s, 15 s. After the gap the sine still runs on the recording's clock."""
    onsets = [float(k) for k in range(20)] + [27.25 + k for k in range(15)]
    t = np.concatenate([onset + np.arange(256) / 256 for onset in onsets])
    x = np.round(1000 * np.sin(2 * np.pi * 1.3 * t)).astype(np.int16)
    edf = write_discontinuous(
        tmp_path / "gap.edf", onsets, [("EEG C3-M2", 256, x), ("SpO2", 4, np.arange(35 * 4, dtype=np.int16))]
    )
    record = convert(edf, tmp_path)
    assert record.gaps == [(20.0, 27.25)]
    with open_signals(Path(record.out)) as file:
        assert (file.gaps, file.duration_s) == (((20.0, 27.25),), 42.25)
        for channel in file.channels:
            z = file.read(channel)
            present = np.r_[0 : 20 * 128, math.ceil(27.25 * 128) : len(z)]
            assert len(z) == 42.25 * 128
            assert not np.delete(z, present).any()
            assert z[present].mean(dtype=float) == pytest.approx(0, abs=1e-3)
            assert z[present].std(dtype=float) == pytest.approx(1, abs=1e-3)
        eeg = file.read(file.channels[0], units="original")[present]
        expected = 100 * np.sin(2 * np.pi * 1.3 * np.arange(len(z)) / 128)[present]
        assert np.abs(eeg - expected).max() < 0.5


def test_the_real_night_is_what_the_recipe_makes_of_it(shared: Path, tmp_path: Path) -> None:
    """Against edfio's reading and the recipe in scipy's words (128 Hz: only the z-score is left)."""
    import edfio

    edf = shared / "data" / "psg" / "ucddb018_eeg.edf"
    record = convert(edf, tmp_path)
    x = edfio.read_edf(edf).signals[0].data
    with open_signals(Path(record.out)) as file:
        (channel,) = file.channels
        z = file.read(channel)
    expected = (x - x.mean()) / x.std()
    assert len(z) == len(expected)
    assert np.abs(z - expected).max() <= np.abs(expected).max() * 2**-11
    assert (record.channels[0]["modality"], channel.modality) == ("BAS", Modality.BAS)


def test_a_real_montage_of_90_channels(shared: Path, tmp_path: Path) -> None:
    record = convert(shared / "data" / "psg" / "nox_a1_2min_90ch.edf", tmp_path)
    assert len(record.channels) + len(record.left_out) == 89
    with open_signals(Path(record.out)) as file:
        assert set(file.modalities()) == set(Modality)
        names = {(channel.modality, channel.name) for channel in file.channels}
        assert len(names) == len(record.channels)
        for modality in Modality:
            assert np.isfinite(file.window(modality, 0).x_ct).all()


def test_converting_again_replaces_but_another_night_of_that_name_does_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = tmp_path / "a" / "night.edf", tmp_path / "b" / "night.edf"
    for number, path in enumerate((first, second)):
        path.parent.mkdir()
        write_edf(path, [("EEG C3-M2", 128.0, sine(1 + number, 128))])
    assert [convert(path, out).id for path in (first, second, first, second)] == ["night", "night-2", "night", "night-2"]
    assert convert(first, out, layout="flat", record_id="mine").id == "mine"
    assert sorted(path.name for path in out.iterdir()) == ["mine.hdf5", "night-2.hdf5", "night.hdf5"]


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda stem: not set(stem) & {"/", "\0"}), st.integers(0, 3))
def test_study_ids_are_safe_names(stem: str, taken: int) -> None:
    path = Path(f"folder/{stem}.edf")
    identifiers: list[str] = []
    for _ in range(taken + 1):
        identifiers.append(study_id(path, identifiers))
    assert len(set(identifiers)) == taken + 1
    for identifier in identifiers:
        assert identifier.isascii()
        assert all(c.isalnum() or c in "._-" for c in identifier)
        assert identifier.strip(".")


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("SC4001E0-PSG.edf", [], "SC4001E0-PSG"),
        ("Müller, Nacht 1.edf", [], "M_ller__Nacht_1"),
        ("a.b.EDF", ["a.b", "a.b-2"], "a.b-3"),
    ],
)
def test_study_id_by_the_contract(name: str, taken: list[str], expected: str) -> None:
    assert study_id(Path(name), taken) == expected


@pytest.mark.parametrize(("arguments", "says"), [({"recipe": "best"}, "hq, published"), ({"layout": "deep"}, "grouped, flat")])
def test_wrong_requests(tmp_path: Path, arguments: dict[str, str], says: str) -> None:
    edf = a_night(tmp_path / "night.edf")
    with pytest.raises(RequestError, match=says):
        convert(edf, tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_recording_without_a_channel_for_the_model_says_so(tmp_path: Path) -> None:
    edf = write_edf(tmp_path / "a.edf", [("Position", 10.0, sine(1, 10)), ("Light", 10.0, sine(1, 10))])
    with pytest.raises(RecordingError, match="none of its 2 channels belongs to a modality"):
        convert(edf, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_scoring_is_no_recording(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"SC4001EC-Hypnogram\.edf: holds annotations but no signals"):
        convert(shared / "data" / "psg" / "SC4001EC-Hypnogram.edf", tmp_path / "out")


def test_a_missing_file_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nobody\.edf"):
        convert(tmp_path / "nobody.edf", tmp_path)


@pytest.mark.parametrize("after", [1, 3, len(LABELS)])
def test_cancelling_leaves_nothing(tmp_path: Path, after: int) -> None:
    calls = 0

    def cancel(_fraction: float, _message: str) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Cancelled("enough")

    edf = a_night(tmp_path / "night.edf")
    with pytest.raises(Cancelled):
        convert(edf, tmp_path / "out", progress=cancel)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("room", [1000, 100_000])
def test_a_full_disk_leaves_the_older_file_and_one_line(tmp_path: Path, room: int) -> None:
    edf = a_night(tmp_path / "night.edf")
    record = convert(edf, tmp_path / "out")
    before = Path(record.out).read_bytes()
    with disk_with_room(room), pytest.raises(SleepFMError, match=r"night\.hdf5: cannot be written \(.*\); free some disk space"):
        convert(edf, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["night.hdf5"]
    assert Path(record.out).read_bytes() == before


def test_two_conversions_of_one_file_at_once_are_safe(tmp_path: Path) -> None:
    edf = a_night(tmp_path / "night.edf")
    records: list[ConvertRecord] = []
    threads = [threading.Thread(target=lambda: records.append(convert(edf, tmp_path / "out"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {record.id for record in records} == {"night"}
    assert len(records) == 3
    with open_signals(tmp_path / "out" / "night.hdf5") as file:
        assert [frequency(file, channel) for channel in file.channels] == [1, 2, 3, 4, 5, 6, 7]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["night.hdf5"]


def test_plain_h5py_reads_it_without_plug_ins(tmp_path: Path) -> None:
    record = convert(a_night(tmp_path / "night.edf"), tmp_path)
    with h5py.File(record.out) as file:
        dataset = file["night/BAS/EEG C3-M2"]
        assert (dataset.compression, dataset.dtype, dataset.chunks) == (None, np.float16, (38_400,))
        assert file.attrs["simulated"] == np.False_


def test_what_names_the_person_in_a_signals_file_is_said(tmp_path: Path) -> None:
    records = []
    for stem, label, patient in (
        ("Müller_Åsa", "EEG C3-M2", "4711 F 12-NOV-1961 Müller_Åsa"),
        ("night-1", "EEG Doe", "X F X Doe_Jane"),
        ("1961-11-12", "EEG C3-M2", "X F 12-NOV-1961 X"),
        ("night-2", "EEG C3-M2", "4711 F 12-NOV-1961 Doe_Jane"),
    ):
        edf = a_night(tmp_path / f"{stem}.edf", {label: 256.0})
        raw = bytearray(edf.read_bytes())
        raw[8:88] = patient.encode("latin-1").ljust(80)
        edf.write_bytes(raw)
        records.append(convert(edf, tmp_path / "out"))
    assert [one.naming for one in records] == [("id",), ("labels",), ("id",), ()]
    with open_signals(records[1].out) as signals:
        assert signals.channels[0].label == "EEG Doe"  # by contract
    said = naming_remarks([one.as_dict() for one in records])
    assert [line.partition(":")[0] for line in said] == ["M_ller__sa, 1961-11-12", "night-1"]
    assert all("sleepfm deidentify" in line and "Doe" not in line for line in said)
