"""Signals files: both layouts round trip, published files are read, windows are padded and marked, failures leave nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.signals.dataset_names import encode, unique_names
from sleepfm.signals.store import open_signals
from sleepfm.signals.store_writing import LAYOUTS, Layout, SignalsHeader, SignalToStore, create_signals
from sleepfm.vocabulary import Kind, Modality
from tests.signals.disk import disk_with_room

WINDOW = 38_400
HEADER = SignalsHeader("night", "grouped", "published", 700.0, datetime(2026, 1, 2, 22, 30, 0, 250_000), ((10.0, 12.5),), False)


def a_header(layout: Layout, **changes: object) -> SignalsHeader:
    return replace(HEADER, layout=layout, **changes)  # type: ignore[arg-type]


def a_signal(
    label: str = "C3-M2", modality: Modality = Modality.BAS, n: int = 700 * 128, seed: int = 0, **changes: object
) -> SignalToStore:
    z = np.random.default_rng(seed).standard_normal(n).astype(np.float16)
    signal = SignalToStore(encode(label), seed, label, modality, Kind.EEG, 256.0, "µV", 3.5, 20.25, flat=False, z=z)
    return replace(signal, **changes)  # type: ignore[arg-type]


def write(path: Path, header: SignalsHeader, *signals: SignalToStore) -> Path:
    with create_signals(path, header) as writer:
        for signal in signals:
            writer.add(signal)
        writer.set_source("ab" * 32)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_is_read_back(tmp_path: Path, layout: Layout) -> None:
    signals = [
        a_signal("Thorax", Modality.RESP, seed=0, kind=Kind.EFFORT_THORAX, rate_hz=32.0, unit="mV"),
        a_signal("C4-M1", seed=1),
        a_signal("C3-M2", seed=2, flat=True, std=0.0),
    ]
    path = write(tmp_path / "night.hdf5", a_header(layout), *signals)
    with open_signals(path) as file:
        assert (file.layout, file.record_id, file.recipe, file.source_sha256) == (layout, "night", "published", "ab" * 32)
        assert (file.duration_s, file.start, file.gaps, file.simulated) == (700.0, HEADER.start, HEADER.gaps, False)
        assert [channel.label for channel in file.channels] == ["Thorax", "C4-M1", "C3-M2"]  # the recording's order
        assert {m: [c.label for c in channels] for m, channels in file.modalities().items()} == {
            "BAS": ["C4-M1", "C3-M2"],
            "RESP": ["Thorax"],
        }
        assert [channel.flat for channel in file.channels] == [False, False, True]
        for stored, signal in zip(file.channels, signals, strict=True):
            assert (stored.kind, stored.rate_hz, stored.unit, stored.mean, stored.std) == (
                signal.kind, signal.rate_hz, signal.unit, signal.mean, signal.std,
            )  # fmt: skip
            assert np.array_equal(file.read(stored), signal.z.astype(np.float32))
            original = file.read(stored, 100, 200, units="original")
            assert np.allclose(original, signal.z[100:200].astype(float) * signal.std + signal.mean, rtol=1e-6)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_file_is_what_the_contract_says(tmp_path: Path, layout: Layout) -> None:
    path = write(tmp_path / "night.hdf5", a_header(layout), a_signal("C3-M2"))
    with h5py.File(path) as file:
        dataset = file["night/BAS/C3-M2" if layout == "grouped" else "C3-M2"]
        assert dataset.dtype == np.float16
        assert dataset.chunks == (WINDOW,)
        expected = {
            "sampling_frequency": 128,
            "original_label": "C3-M2",
            "original_rate": 256.0,
            "original_unit": "µV",
            "mean": 3.5,
            "std": 20.25,
        }
        assert {name: dataset.attrs[name] for name in expected} == expected
        assert {"recipe", "source_sha256", "sleepfm_version"} <= set(file.attrs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_last_window_is_padded_and_marked(tmp_path: Path, layout: Layout) -> None:
    signal = a_signal(n=WINDOW + 1000)
    path = write(tmp_path / "night.hdf5", a_header(layout), signal, a_signal("C4-M1", seed=1, n=WINDOW + 1000))
    with open_signals(path) as file:
        assert file.n_windows == 2
        x_ct, valid, tokens = file.window(Modality.BAS, 0)
        assert (x_ct.shape, x_ct.dtype, valid, tokens) == ((2, WINDOW), np.float32, WINDOW, 60)
        assert np.array_equal(x_ct[0], signal.z[:WINDOW].astype(np.float32))
        x_ct, valid, tokens = file.window(Modality.BAS, 1)
        assert (x_ct.shape, valid, tokens) == ((2, WINDOW), 1000, 2)
        assert np.array_equal(x_ct[0, :1000], signal.z[WINDOW:].astype(np.float32))
        assert not x_ct[:, 1000:].any()
        only, *_ = file.window(Modality.BAS, 1, channels=file.channels[1:])
        assert np.array_equal(only, x_ct[1:])
        with pytest.raises(RequestError, match="no window 2"):
            file.window(Modality.BAS, 2)
        with pytest.raises(RequestError, match="no EMG channel"):
            file.window(Modality.EMG, 0)


@pytest.mark.parametrize("n", [1, 640, 1280, 10 * 128])
def test_a_recording_of_seconds_is_one_window(tmp_path: Path, n: int) -> None:
    path = write(tmp_path / "short.hdf5", a_header("grouped", duration_s=n / 128, gaps=()), a_signal(n=n))
    with open_signals(path) as file:
        assert (file.n_windows, file.n_samples, file.gaps) == (1, n, ())
        assert file.window(Modality.BAS, 0)[1:] == (n, -(-n // 640))


def published_file(path: Path, signals: dict[str, np.ndarray]) -> Path:
    """Write a file as the published code does: bare datasets at the root, gzip, no attributes."""
    with h5py.File(path, "w") as file:
        for label, z in signals.items():
            file.create_dataset(label, data=z, dtype="float16", chunks=(WINDOW,), maxshape=(None,), compression="gzip")
    return path


def test_a_flat_file_of_the_published_code_is_placed_by_its_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = ["EEG C3-A2", "ECG", "Chin EMG", "Thorax", "Position", "EOG/L"]  # HDF5 makes a folder of the slash
    signals = {label: rng.standard_normal(2 * WINDOW + 5) for label in labels}
    signals["EEG O1"] = np.zeros(2 * WINDOW + 5)
    with open_signals(published_file(tmp_path / "SUBJECT.hdf5", signals)) as file:
        assert (file.layout, file.record_id, file.recipe, file.start, file.gaps) == ("flat", "SUBJECT", "", None, ())
        assert {channel.label: str(channel.modality) for channel in file.channels} == {
            "EEG C3-A2": "BAS", "EEG O1": "BAS", "ECG": "EKG", "Chin EMG": "EMG", "Thorax": "RESP", "EOG/L": "BAS",
        }  # fmt: skip
        assert [label for label, _ in file.left_out] == ["Position"]
        assert [channel.label for channel in file.channels if channel.flat] == ["EEG O1"]
        assert file.duration_s == (2 * WINDOW + 5) / 128
        assert file.window(Modality.EKG, 2).valid_samples == 5
        (ecg,) = file.modalities()[Modality.EKG]
        with pytest.raises(RequestError, match="does not say the units"):
            file.read(ecg, units="original")


def test_a_grouped_file_by_the_contract_alone_is_read(tmp_path: Path) -> None:
    """Other people's files have the contract's attributes and none of ours."""
    path = tmp_path / "other.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["recipe"] = "hq"
        for where in ("rec/BAS/C3", "rec/EKG/ECG", "rec/NOISE/X"):
            dataset = file.create_dataset(where, data=np.ones(WINDOW, np.float16), chunks=(WINDOW,))
            dataset.attrs.update(sampling_frequency=128, original_label=where[-3:], original_rate=200.0, mean=1.0, std=2.0)
    with open_signals(path) as file:
        assert (file.record_id, file.recipe, file.n_windows) == ("rec", "hq", 1)
        assert [(str(c.modality), c.name) for c in file.channels] == [("BAS", "C3"), ("EKG", "ECG")]
        assert file.left_out == (("E/X", "'NOISE' is no modality of the model"),)


LABELS = st.text(max_size=16) | st.sampled_from(
    ["", ".", "..", "a/b", "/", "%", "%2F", "EEG", "EEG_1", "\0", "x\0y", "é\u202e", "./EEG"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LABELS, max_size=8))
def test_any_labels_become_unique_legal_names_that_lead_back(labels: list[str]) -> None:
    names = unique_names(labels)
    assert len(set(names)) == len(labels)
    for name in names:
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert name.isprintable()
    for label in labels:
        assert unquote(encode(label)) == (label or "%")


@settings(max_examples=25, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=5), st.sampled_from(LAYOUTS))
def test_hostile_labels_survive_the_file(tmp_path_factory: pytest.TempPathFactory, labels: list[str], layout: Layout) -> None:
    signals = [
        a_signal(label, n=700, seed=k, name=name)
        for k, (label, name) in enumerate(zip(labels, unique_names(labels), strict=True))
    ]
    path = write(tmp_path_factory.mktemp("labels") / "night.hdf5", a_header(layout, duration_s=700 / 128), *signals)
    with open_signals(path) as file:
        assert [channel.label for channel in file.channels] == [label.replace("\0", "\ufffd") for label in labels]
        for stored, signal in zip(file.channels, signals, strict=True):
            assert np.array_equal(file.read(stored), signal.z.astype(np.float32))


def test_thousands_of_gaps_fit(tmp_path: Path) -> None:
    gaps = tuple((float(k), k + 0.5) for k in range(10_000))
    path = write(tmp_path / "night.hdf5", a_header("grouped", gaps=gaps), a_signal())
    with open_signals(path) as file:
        assert file.gaps == gaps


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text", "truncated", "wrong rate", "two records"])
def test_what_is_no_signals_file_says_so(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.hdf5"
    if what == "folder":
        path.mkdir()
    elif what in ("empty", "text"):
        path.write_text("" if what == "empty" else "hello " * 500)
    elif what == "truncated":
        write(path, a_header("grouped"), a_signal())
        path.write_bytes(path.read_bytes()[:5000])
    elif what != "missing":
        with h5py.File(path, "w") as file:
            file.create_dataset("a/BAS/C3", data=np.ones(5)).attrs["sampling_frequency"] = 256 if what == "wrong rate" else 128
            if what == "two records":
                file.create_dataset("b/BAS/C3", data=np.ones(5))
    with pytest.raises(RequestError if what in ("missing", "folder") else RecordingError, match=r"x\.hdf5: "), open_signals(path):
        pass


@pytest.mark.parametrize("how", ["samples", "chunk", "datasets", "duration", "gaps"])
def test_a_small_file_that_claims_a_lot_is_refused_at_once(tmp_path: Path, how: str) -> None:
    with h5py.File(tmp_path / "night.hdf5", "w") as file:
        file.create_dataset("C3", data=np.ones(38400, "f2"))
        if how == "samples":
            file.create_dataset("C4", (1 << 60,), "f2", chunks=(38400,))
        elif how == "chunk":
            file.create_dataset("C4", (1 << 27,), "f2", chunks=(1 << 27,), compression="gzip")
        elif how == "datasets":
            for number in range(2001):
                file.create_dataset(f"x{number}", (1,), "f2")
        else:
            file.attrs[how] = 1e300 if how == "duration" else [[np.nan, 3.0]]
            file.attrs["duration_s"] = 1e300 if how == "duration" else 300.0
    with pytest.raises(RecordingError), open_signals(tmp_path / "night.hdf5"):
        pass


def test_what_was_never_written_is_flat_without_being_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "night.hdf5", "w") as file:
        file.create_dataset("C3", (31 * 86400 * 128,), "f2", chunks=(38400,))
    with open_signals(tmp_path / "night.hdf5") as signals:
        assert [one.flat for one in signals.channels] == [True]


@pytest.mark.parametrize("how", ["link", "link to a group", "hidden link", "external", "virtual"])
def test_a_file_opens_no_other_file(tmp_path: Path, how: str) -> None:
    other = write(tmp_path / "secret.hdf5", a_header("flat"), a_signal())
    (tmp_path / "raw").write_bytes(bytes(2 * 128 * 700))
    path = write(tmp_path / "x.hdf5", a_header("flat"), a_signal())
    with h5py.File(path, "r+") as file:
        if how == "external":
            file.create_dataset("C4", (700 * 128,), "f2", external=[(str(tmp_path / "raw"), 0, h5py.h5f.UNLIMITED)])
        elif how == "virtual":
            layout = h5py.VirtualLayout((700 * 128,), "f2")
            layout[:] = h5py.VirtualSource(other, "C3-M2", shape=(700 * 128,))
            file.create_virtual_dataset("C4", layout)
        else:
            name = "a/b/C4" if how == "hidden link" else "C4"
            file[name] = h5py.ExternalLink(str(other), "/" if how == "link to a group" else "/C3-M2")
    with pytest.raises(RecordingError, match=r"C4' lies in another file"), open_signals(path):
        pass


class Interrupted(BaseException):
    pass


@pytest.mark.parametrize("stops", [KeyboardInterrupt, Interrupted, ValueError])
def test_stopping_half_way_leaves_what_was_there(tmp_path: Path, stops: type[BaseException]) -> None:
    path = write(tmp_path / "night.hdf5", a_header("grouped"), a_signal())
    before = path.read_bytes()
    with pytest.raises(stops), create_signals(path, a_header("flat")) as writer:  # noqa: PT012 - a block that is left half-way
        writer.add(a_signal("C4-M1"))
        raise stops
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("room", [100, 5_000, 100_000, 700_000])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    tmp_path: Path, room: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the header, between channels, and when HDF5 closes: no damaged file, and no noise from HDF5."""
    signals = [a_signal(f"C{k}", seed=k) for k in range(4)]
    with disk_with_room(room), pytest.raises(SleepFMError, match=r"night\.hdf5: cannot be written \(.*\); free some disk space"):
        write(tmp_path / "night.hdf5", a_header("grouped"), *signals)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_cannot_be_made_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RequestError, match="choose another --out"):
        write(tmp_path / "file" / "out" / "night.hdf5", a_header("grouped"))


def test_an_unknown_layout_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="grouped, flat"):
        write(tmp_path / "night.hdf5", a_header("deep"))  # type: ignore[arg-type]


def test_what_a_killed_process_left_a_day_ago_is_swept(tmp_path: Path) -> None:
    import os
    import time

    old, new, other = (tmp_path / name for name in (".night.hdf5.a.tmp", ".night.hdf5.b.tmp", ".day.hdf5.a.tmp"))
    for path in (old, new, other):
        path.write_text("half")
    for path in (old, other):
        os.utime(path, (time.time() - 90_000,) * 2)
    write(tmp_path / "night.hdf5", a_header("grouped"), a_signal())
    assert {path.name for path in tmp_path.iterdir()} == {"night.hdf5", new.name, other.name}


def test_a_name_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    write(tmp_path / ("n" * 250 + ".hdf5"), a_header("grouped"), a_signal())
    with pytest.raises(SleepFMError, match=r"n\.hdf5: cannot be written \(File name too long\)"):
        write(tmp_path / ("n" * 251 + ".hdf5"), a_header("grouped"), a_signal())
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 250 + ".hdf5"]
