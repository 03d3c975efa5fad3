"""The job that indexes: what is missing and no more, on after a bad study, and never a simulated encoder unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import Cancelled, RequestError
from sleepfm.inference.embedding_files import read_embeddings
from sleepfm.library import job_index
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.job_index import index, submit_index
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.library.present_embeddings import present_embeddings
from sleepfm.library.second_opinion import second_opinion
from sleepfm.models.shelf import Shelf
from sleepfm.progress import silent
from sleepfm.runs.kinds import function_of
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import TOKEN_S, WINDOW_S, Kind, Modality
from tests.library.simulated_models import bundle
from tests.make_edf import write_edf

NAMED = {"encoder": "demo-encoder", "studies": None}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    return Library.open(tmp_path / "home")


def indexes(library: Library) -> tuple[EmbeddingIndex, EmbeddingIndex]:
    weights = Shelf(library.home.models).get("demo-encoder").card.weights_sha256
    return EmbeddingIndex(library, weights), EmbeddingIndex(library, weights, Grain.EPOCH)


def test_what_is_missing_is_indexed_once(library: Library, tmp_path: Path) -> None:
    for number in range(2):
        library.add(write_edf(tmp_path / f"night_{number}.edf", seconds=330, seed=number))
    assert index(library.home, NAMED, silent) == {
        "encoder": "demo-encoder",
        "indexed": ["night_0", "night_1"],
        "failed": [],
        "rows": 4,
    }
    assert index(library.home, NAMED, silent)["indexed"] == []
    assert index(library.home, {**NAMED, "studies": ["night_1"]}, silent)["indexed"] == []
    windows, epochs = indexes(library)
    assert epochs.n == 0  # nobody scored them
    made = read_embeddings(next((library.home.studies / "night_1").glob("embeddings/*/5min/*.hdf5")))
    row = made.rows[Modality.EKG][0]
    np.testing.assert_allclose(windows.rows("night_1", Modality.EKG)[0], row / np.linalg.norm(row), atol=1e-6)


def test_a_corrected_channel_is_indexed_anew(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=330)).id
    index(library.home, NAMED, silent)
    windows, _ = indexes(library)
    as_ecg = windows.rows(study, Modality.EKG)
    library.correct_channel(study, 3, Kind.CHIN_EMG)
    library.correct_channel(study, 2, Kind.ECG)
    assert windows.missing() == [study]
    assert index(library.home, NAMED, silent)["indexed"] == [study]
    assert windows.missing() == []
    assert np.abs(windows.rows(study, Modality.EKG)[0] - as_ecg[0]).max() > 0.01


def test_embeddings_of_other_channels_are_not_those_of_the_present_ones(library: Library, tmp_path: Path) -> None:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=330)).id
    index(library.home, NAMED, silent)
    weights = indexes(library)[0].weights_sha256

    def present() -> bool:
        return present_embeddings(library, study, weights, WINDOW_S) is not None

    assert present()
    library.correct_channel(study, 0, Kind.EEG)  # it was taken for one already: nothing is computed again
    assert not present()
    index(library.home, NAMED, silent)
    assert present()
    for grain in (TOKEN_S, WINDOW_S):
        kept = present_embeddings(library, study, weights, grain)
        assert kept is not None
        assert kept.origin.corrections == "0=EEG"
    library.correct_channel(study, 0, None)
    assert not present()
    index(library.home, NAMED, silent)
    for file in (library.home.studies / study).glob("embeddings/*/*/*.hdf5"):
        file.unlink()  # as tidying does: the rows of the index stay
    with pytest.raises(RequestError, match=f"`sleepfm index {study}` makes them anew"):
        second_opinion(library.home, "demo-encoder", study, 1)
    assert index(library.home, {**NAMED, "studies": [study]}, silent)["indexed"] == [study]
    with pytest.raises(RequestError, match="no night of another person"):
        second_opinion(library.home, "demo-encoder", study, 1)


def test_epochs_are_indexed_where_the_file_brought_a_scoring(library: Library, tmp_path: Path) -> None:
    made = simulate(tmp_path / "sim", 1, 0.1, 2)["studies"][0]
    study = library.add(made["edf"]).id
    assert index(library.home, {"encoder": None, "studies": None}, silent)["indexed"] == [study]  # simulated itself
    windows, epochs = indexes(library)
    assert (windows.n, epochs.n) == (2, 0)
    prepare(library.home, {"study": study}, silent)
    assert index(library.home, NAMED, silent)["indexed"] == [study]
    assert (windows.n, epochs.n) == (2, 12)
    assert len(epochs.rows(study, Modality.BAS)) == 12


def test_a_bad_study_is_listed_and_the_others_go_on(library: Library, tmp_path: Path) -> None:
    for number, seconds in enumerate((330, 100, 330)):
        library.add(write_edf(tmp_path / f"night_{number}.edf", seconds=seconds, seed=number))
    (tmp_path / "night_0.edf").unlink()
    made = index(library.home, {**NAMED, "studies": ["night_0", "night_1", "nobody", "night_2"]}, silent)
    assert made["indexed"] == ["night_2"]
    reasons = {one["study"]: one["error"] for one in made["failed"]}
    assert list(reasons) == ["night_0", "night_1", "nobody"]
    assert "night_0.edf" in reasons["night_0"]
    assert "not one 5-min window" in reasons["night_1"]
    assert "no study 'nobody'" in reasons["nobody"]
    assert all("\n" not in reason for reason in reasons.values())


def test_a_simulated_encoder_is_not_used_unasked_on_real_recordings(library: Library, tmp_path: Path) -> None:
    library.add(write_edf(tmp_path / "night.edf", seconds=330))
    made = index(library.home, {"encoder": None, "studies": None}, silent)
    assert made["indexed"] == []
    assert "--model demo-encoder" in made["failed"][0]["error"]
    with pytest.raises(RequestError, match="not an encoder"):
        index(library.home, {"encoder": "demo-staging", "studies": None}, silent)


def test_asking_twice_is_one_job(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = []
    monkeypatch.setattr(job_index, "ensure_running", woken.append)
    job = submit_index(library.home, "demo-encoder", ["night_0"])
    assert submit_index(library.home, "demo-encoder", ["night_0"]).id == job.id
    assert submit_index(library.home).id != job.id
    assert (job.kind, job.parameters) == ("index", {"encoder": "demo-encoder", "studies": ["night_0"]})
    assert job.title == "Index night_0 for neighbours"
    assert function_of(job.kind) is index
    assert woken == [library.home] * 3


def test_a_stopped_job_keeps_what_it_did(library: Library, tmp_path: Path) -> None:
    for number in range(2):
        library.add(write_edf(tmp_path / f"night_{number}.edf", seconds=330, seed=number))

    def stop_at_the_second(_fraction: float, message: str) -> None:
        if "night_1" in message:
            raise Cancelled("stopped by the user")

    with pytest.raises(Cancelled):
        index(library.home, NAMED, stop_at_the_second)
    assert indexes(library)[0].missing() == ["night_1"]
