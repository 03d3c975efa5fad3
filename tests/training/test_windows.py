"""Windows as the trainer reads them, against the store's own reader."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.signals.store import open_signals
from sleepfm.training.settings import AugmentationSettings, EncoderSettings
from sleepfm.training.window_loader import WindowBatch, WindowLoader
from sleepfm.training.windows import Store, open_store
from sleepfm.vocabulary import MODEL_RATE_HZ, Modality
from tests.training.conftest import Cohort, write_study

CODING = EncoderSettings().coding()
LENGTH = 30 * MODEL_RATE_HZ


def _store(*paths: Path, least: int = LENGTH) -> Store:
    return open_store(paths, CODING, least_samples=least)


def _loader(store: Store, *, augmentation: AugmentationSettings | None = None, batch: int = 4, **more: int) -> WindowLoader:
    return WindowLoader(store, batch_size=batch, window_samples=LENGTH, seed=3, augmentation=augmentation, **more)


def _published_copy(source: Path, target: Path) -> Path:
    """Write the same signals as the published code does: flat, single precision, compressed."""
    with open_signals(source) as signals, h5py.File(target, "w") as file:
        for channel in signals.channels:
            file.create_dataset(channel.label, data=signals.read(channel), dtype=np.float32, chunks=(5000,), compression="gzip")
    return target


@pytest.mark.parametrize("layout", ["grouped", "flat", "published"])
def test_rows_are_what_the_store_holds(tmp_path: Path, layout: str) -> None:
    path = write_study(tmp_path / "a.hdf5", seconds=400.0, layout="grouped" if layout == "published" else layout)
    if layout == "published":
        path = _published_copy(path, tmp_path / "published" / "a.hdf5") if (tmp_path / "published").mkdir() is None else path
    (batch,) = _loader(_store(path), batch=13).batches(0)
    with open_signals(path) as signals:
        by_modality = signals.modalities()
        row = 0
        for m, modality in enumerate(Modality):
            for n in range(batch.size):
                channels = by_modality.get(modality, ())
                assert batch.counts_mn[m, n] == len(channels)
                for channel in channels:
                    start = int(batch.start_n[n])
                    expected = signals.read(channel, start, start + LENGTH)
                    np.testing.assert_allclose(batch.x_rt[row].float().numpy(), expected, atol=4e-3)
                    row += 1
    assert row == len(batch.x_rt)


def test_a_window_across_chunks_is_whole(tmp_path: Path) -> None:
    path = write_study(tmp_path / "a.hdf5", seconds=620.0)
    store = _store(path)
    recording = store.recordings[0]
    places = recording.channels[Modality.BAS]
    out = np.empty((len(places), 50_000), np.float16)
    store.reader.read(recording, places, 20_000, out)
    with open_signals(path) as signals:
        expected = [signals.read(channel, 20_000, 70_000) for channel in signals.modalities()[Modality.BAS]]
    np.testing.assert_array_equal(out, np.array(expected, np.float16))


def _all(loader: WindowLoader, epoch: int, start: int = 0) -> list[WindowBatch]:
    return list(loader.batches(epoch, start))


def _same(one: WindowBatch, other: WindowBatch) -> bool:
    return (
        torch.equal(one.x_rt, other.x_rt)
        and torch.equal(one.counts_mn, other.counts_mn)
        and torch.equal(one.start_n, other.start_n)
        and torch.equal(one.recording_n, other.recording_n)
    )


HIDING = AugmentationSettings(modality_dropout=0.3, channel_dropout=0.4, most_channels=2)


def test_threads_and_interruptions_change_nothing(cohort: Cohort) -> None:
    store = _store(cohort.folder)
    whole = _all(_loader(store, augmentation=HIDING), 1)
    assert len(whole) > 4
    assert all(_same(a, b) for a, b in zip(whole, _all(_loader(store, augmentation=HIDING, threads=3), 1), strict=True))
    assert all(_same(a, b) for a, b in zip(whole[3:], _all(_loader(store, augmentation=HIDING), 1, start=3), strict=True))
    other = _all(_loader(store, augmentation=HIDING), 2)
    assert not any(_same(a, b) for a, b in zip(whole, other, strict=False))


def test_processes_share_each_batch(cohort: Cohort) -> None:
    store = _store(cohort.folder)
    for whole, *parts in zip(
        _all(_loader(store, augmentation=HIDING), 0),
        *(_all(_loader(store, augmentation=HIDING, rank=rank, world=2), 0) for rank in range(2)),
        strict=True,
    ):
        assert torch.equal(whole.start_n, torch.cat([part.start_n for part in parts]))
        assert torch.equal(whole.recording_n, torch.cat([part.recording_n for part in parts]))
        assert torch.equal(whole.counts_mn, torch.cat([part.counts_mn for part in parts], dim=1))


def test_what_is_hidden_leaves_two_modalities_and_one_channel_each(cohort: Cohort) -> None:
    harsh = AugmentationSettings(modality_dropout=0.9, channel_dropout=0.9, most_channels=1)
    for batch in _all(_loader(_store(cohort.folder), augmentation=harsh), 0):
        assert ((batch.counts_mn > 0).sum(dim=0) >= 2).all()
        assert batch.counts_mn.max() == 1


def test_gaps_and_short_recordings_take_no_part(tmp_path: Path) -> None:
    with_gap = write_study(tmp_path / "gap.hdf5", seconds=150.0)
    with h5py.File(with_gap, "r+") as file:
        file.attrs["gaps"] = np.array([[40.0, 50.0]])
    short = write_study(tmp_path / "short.hdf5", seconds=20.0)
    store = _store(with_gap, short)
    assert [recording.id for recording in store.recordings] == ["gap"]
    assert store.left_out[0].id == "short"
    assert "shorter than one window" in store.left_out[0].reason
    starts = sorted(int(start) for batch in _all(_loader(store, batch=1), 0) for start in batch.start_n)
    assert starts == [0, 2 * LENGTH, 3 * LENGTH, 4 * LENGTH]


def test_a_file_that_breaks_in_the_middle_of_an_epoch_is_named_and_counted(tmp_path: Path) -> None:
    for number in range(3):
        write_study(tmp_path / f"s{number}.hdf5", seed=number, seconds=330.0)
    loader = _loader(_store(tmp_path), batch=3)
    batches = loader.batches(0)
    next(batches)
    with (tmp_path / "s1.hdf5").open("r+b") as file:
        file.truncate(20_000)
    rest = list(batches)
    assert rest
    assert set(loader.unreadable.reasons) == {"s1"}
    assert "convert the recording again" in loader.unreadable.reasons["s1"]
    whole = loader.plan(0)
    given = 3 + sum(batch.size for batch in rest)
    assert given + loader.unreadable.windows == loader.steps(0) * 3 <= len(whole)


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    path = write_study(tmp_path / "a.hdf5", seconds=60.0)
    with h5py.File(path, "r+") as file:
        file["a/EKG/ECG"][100] = np.inf
    loader = _loader(_store(path), batch=2)
    with pytest.raises(SleepFMError, match="not numbers"):
        list(loader.batches(0))


def test_nothing_usable_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.hdf5").write_bytes(b"not a file of signals")
    with pytest.raises(RequestError, match=r"no recording can be used; broken"):
        _store(tmp_path)
    other = write_study(tmp_path / "other" / "a.hdf5") if (tmp_path / "other").mkdir() is None else tmp_path
    with h5py.File(other, "r+") as file:
        file.attrs["recipe"] = "hq"
    store_error = pytest.raises(RequestError, match="made by the recipe hq, not published")
    with store_error:
        _store(tmp_path / "other")
