"""Embeddings of nights: made once, kept while they are right, from signals files before recordings."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest
import torch

from sleepfm.errors import RequestError
from sleepfm.inference.embedding_files import read_embeddings
from sleepfm.training import night_embeddings
from sleepfm.training.night_embeddings import embed_nights, find_encoder
from sleepfm.vocabulary import Modality
from tests.make_edf import write_edf
from tests.training.conftest import write_study
from tests.training.night_cohort import make_encoder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_are_made_once_and_again_when_the_signals_change(tmp_path: Path) -> None:
    _, encoder = make_encoder(tmp_path / "shelf")
    signals = tmp_path / "signals"
    signals.mkdir()
    write_study(signals / "a.hdf5", montage=2, seed=1)
    cache = signals / "embeddings"  # also among the signals they are not taken for signals

    first = embed_nights(["a", "b"], [signals], encoder, cache, workers=1)
    made = first.files["a"].stat().st_mtime_ns
    again = embed_nights(["a"], [signals], encoder, cache, workers=1)
    kept = again.files["a"].stat().st_mtime_ns
    write_study(signals / "a.hdf5", montage=2, seed=2)
    anew = embed_nights(["a"], [signals], encoder, cache, workers=1)

    assert "no signals file was found" in first.left_out["b"]
    assert kept == made
    assert anew.files["a"].stat().st_mtime_ns > made
    assert set(read_embeddings(anew.files["a"]).rows) == {Modality.BAS, Modality.RESP, Modality.EKG}


def test_a_recording_is_not_converted_again_to_find_that_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, encoder = make_encoder(tmp_path / "shelf")
    write_edf(tmp_path / "a.edf", seconds=90)
    first = embed_nights(["a"], [tmp_path], encoder, tmp_path / "cache", workers=1)

    def never(*_: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(night_embeddings, "open_night", never)

    assert embed_nights(["a"], [tmp_path], encoder, tmp_path / "cache", workers=1) == first
    assert first.left_out == {}
    write_edf(tmp_path / "a.edf", seconds=90, seed=1)
    with pytest.raises(AssertionError, match="opened again"):
        embed_nights(["a"], [tmp_path], encoder, tmp_path / "cache", workers=1)


def test_a_damaged_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    _, encoder = make_encoder(tmp_path / "shelf")
    write_study(tmp_path / "good.hdf5", montage=2)
    (tmp_path / "bad.hdf5").write_bytes(b"no signals at all")
    with h5py.File(tmp_path / "empty.hdf5", "w"):
        pass

    found = embed_nights(["bad", "empty", "good"], [tmp_path], encoder, tmp_path / "cache", workers=1)

    assert set(found.files) == {"good"}
    assert set(found.left_out) == {"bad", "empty"}
    assert all("\n" not in reason for reason in found.left_out.values())


def test_an_encoder_is_found_by_name_or_folder_and_a_head_is_none(tmp_path: Path) -> None:
    shelf, encoder = make_encoder(tmp_path / "shelf")

    assert find_encoder("tiny", shelf).card == encoder.card
    assert find_encoder(str(encoder.folder), shelf).card == encoder.card
    with pytest.raises(RequestError, match="no model named"):
        find_encoder("nobody", shelf)
