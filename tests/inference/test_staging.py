"""Staging: the engines, which of them `auto` takes, and that every result says what made it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sleepfm.analysis.agreement import agree
from sleepfm.errors import ModelError, RecordingError, RequestError
from sleepfm.inference import yasa_engine
from sleepfm.inference.night import open_night
from sleepfm.inference.staging import StagingResult, stage
from sleepfm.inference.yasa_engine import Lead
from sleepfm.models.importing import import_model
from sleepfm.models.shelf import Shelf
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.signals.convert import convert
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import Kind, Stage
from tests.make_edf import write_edf


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    return Path(simulate(folder, 1, 1.5, 3)["studies"][0]["edf"])


@pytest.fixture
def empty_shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models")


@pytest.fixture(scope="module")
def vector_shelf(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with the encoder and staging head of the test vectors: the published architecture, small, random weights."""
    vectors = shared / "reference/vectors"
    shelf = Shelf(tmp_path_factory.mktemp("models"))
    import_model(shelf, vectors / "model_base.pt", "base")
    import_model(shelf, vectors / "model_sleep_staging.pth", "staging", config=vectors / "heads.config.json")
    return shelf


def staged(path: Path, shelf: Shelf, **words: object) -> StagingResult:
    with open_night(path) as night:
        return stage(night, **({"engine": "auto", "model": None, "shelf": shelf} | words))


def test_yasa_agrees_with_the_expert_on_a_real_night(shared: Path, empty_shelf: Shelf) -> None:
    found = staged(shared / "data/psg/ucddb018_eeg.edf", empty_shelf)
    expert = read_scoring(shared / "data/psg/ucddb018_expert.csv")
    assert found.engine == "yasa"
    assert agree(found.scoring.stages, expert.stages).kappa >= 0.78
    assert found.provenance["signals"] == ["EEG"]
    assert len(found.provenance["weights_sha256"]) == 64
    assert np.allclose(found.scoring.probabilities.sum(axis=1), 1, atol=1e-3)


def test_yasa_takes_the_central_lead_an_eye_and_the_chin(simulated: Path, empty_shelf: Shelf) -> None:
    found = staged(simulated, empty_shelf, engine="yasa")
    eeg, eye, chin = found.provenance["signals"]
    assert eeg == "C4-M1"
    assert eye.startswith("E")
    assert "chin" in chin.lower()
    assert len(found.scoring.stages) == 180


def test_the_converted_night_is_staged_like_the_recording(simulated: Path, empty_shelf: Shelf, tmp_path: Path) -> None:
    from_edf = staged(simulated, empty_shelf, engine="yasa")
    signals = Path(convert(simulated, tmp_path / "signals", recipe="hq").out)
    from_signals = staged(signals, empty_shelf, engine="yasa")
    assert agree(from_edf.scoring.stages, from_signals.scoring.stages).kappa > 0.9
    assert from_signals.provenance["signals"] == from_edf.provenance["signals"]


def test_a_flat_signals_file_without_units_cannot_be_staged_by_yasa(empty_shelf: Shelf, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "old.hdf5", "w") as file:
        file["C4-M1"] = np.random.default_rng(0).normal(size=128 * 600).astype(np.float16)
    with pytest.raises(RecordingError, match="EEG"):
        staged(tmp_path / "old.hdf5", empty_shelf, engine="yasa")


def _lead(label: str, pieces: Sequence[tuple[float, np.ndarray]], rate_hz: float = 100.0, kind: Kind = Kind.EEG) -> Lead:
    return Lead(label, kind, rate_hz, lambda: pieces)


def test_gaps_and_silence_come_out_unknown_and_the_rest_does_not() -> None:
    rng = np.random.default_rng(1)
    noise = [(0.0, rng.normal(0, 20, 60_000)), (900.0, rng.normal(0, 20, 60_000))]
    noise[1][1][30_000:36_000] = 0.0  # a minute of a lead that is off
    found = yasa_engine.stage([_lead("C4-M1", noise)], 1500.0, name="night")
    unknown = np.flatnonzero(found.scoring.stages == Stage.UNKNOWN)
    assert unknown.tolist() == [*range(20, 30), 40, 41]
    assert np.isnan(found.scoring.probabilities[unknown]).all()
    known = found.scoring.stages != Stage.UNKNOWN
    assert np.isfinite(found.scoring.probabilities[known]).all()
    assert "12 of 50" in " ".join(found.scoring.warnings)


def test_a_tie_of_yasas_probabilities_is_unknown_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = np.tile(np.array([0.1, 0.1, 0.6, 0.1, 0.1], np.float32), (10, 1))
    shares[3] = 0.2
    monkeypatch.setattr(yasa_engine, "_predict", lambda *_: (shares, "weights"))
    noise = [(0.0, np.random.default_rng(4).normal(0, 20, 30_000))]
    found = yasa_engine.stage([_lead("C4-M1", noise)], 300.0, name="night").scoring
    assert found.stages.tolist() == [2, 2, 2, -1, 2, 2, 2, 2, 2, 2]
    assert np.isnan(found.probabilities[3]).all()
    assert any("1 of 10 epochs have no likeliest stage but a tie" in warning for warning in found.warnings)


def test_an_incomplete_last_epoch_is_not_staged() -> None:
    x = np.random.default_rng(0).normal(0, 20, 33_900)
    assert len(yasa_engine.stage([_lead("Cz", [(0.0, x)])], 339.0, name="night").scoring.stages) == 11


def test_a_dead_central_lead_is_passed_over_for_a_living_one() -> None:
    rng = np.random.default_rng(2)
    dead, alive = np.zeros(60_000), rng.normal(0, 20, 60_000)
    found = yasa_engine.stage([_lead("C4-M1", [(0.0, dead)]), _lead("O1-M2", [(0.0, alive)])], 600.0, name="night")
    assert found.leads == ("O1-M2",)


def test_referenced_leads_are_taken_before_single_ones(shared: Path, empty_shelf: Shelf) -> None:
    found = staged(shared / "data/psg/nox_a1_2min_90ch.edf", empty_shelf)
    assert found.provenance["signals"] == ["C4-M1", "E1-M2", "1-2"]
    assert len(found.scoring.stages) == 4
    assert "5 minutes" in " ".join(found.scoring.warnings)


@pytest.mark.parametrize(
    ("leads", "duration_s", "message"),
    [
        ([], 600.0, "no EEG"),
        ([_lead("ECG", [(0.0, np.ones(60_000))], kind=Kind.EOG)], 600.0, "no EEG"),
        ([_lead("C4", [(0.0, np.ones(30_000))], rate_hz=50.0)], 600.0, "no EEG"),
        ([_lead("C4", [(0.0, np.zeros(60_000))])], 600.0, "no EEG channel carries a signal"),
        ([_lead("C4", [(0.0, np.ones(1_000))])], 10.0, "at least one whole"),
    ],
)
def test_what_cannot_be_staged_is_said_in_one_line(leads: list[Lead], duration_s: float, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as error:
        yasa_engine.stage(leads, duration_s, name="night.edf")
    assert "night.edf" in str(error.value)
    assert "\n" not in str(error.value)


def test_sleepfm_stages_with_the_model_on_the_shelf_and_says_so(simulated: Path, vector_shelf: Shelf) -> None:
    found = staged(simulated, vector_shelf, engine="sleepfm")
    assert (found.engine, found.model) == ("sleepfm", "staging")
    assert len(found.scoring.stages) == 180
    assert np.allclose(found.scoring.probabilities.sum(axis=1), 1, atol=1e-4)
    assert set(found.provenance["signals"]) == {"BAS", "RESP", "EKG", "EMG"}
    assert found.provenance["trained_on"] == "unknown"
    assert "unknown" in found.provenance["label"]


def test_sleepfm_names_the_modalities_that_are_missing(shared: Path, vector_shelf: Shelf) -> None:
    found = staged(shared / "data/psg/ucddb018_eeg.edf", vector_shelf, engine="sleepfm")
    assert {one["modality"] for one in found.provenance["left_out"]} == {"RESP", "EKG", "EMG"}
    assert len(found.scoring.stages) == 822
    assert any("EKG" in warning for warning in found.scoring.warnings)


def test_auto_never_takes_a_model_of_unknown_origin(vector_shelf: Shelf, simulated: Path) -> None:
    assert staged(simulated, vector_shelf).engine == "yasa"


def test_sleepfm_without_a_model_and_yasa_with_one_are_wrong_requests(empty_shelf: Shelf, simulated: Path) -> None:
    with pytest.raises(RequestError, match="fetch official"):
        staged(simulated, empty_shelf, engine="sleepfm")
    with pytest.raises(RequestError, match="YASA"):
        staged(simulated, empty_shelf, engine="yasa", model="staging")


def test_an_encoder_is_no_staging_model(vector_shelf: Shelf, simulated: Path) -> None:
    with pytest.raises(RequestError, match="not for staging"):
        staged(simulated, vector_shelf, engine="sleepfm", model="base")


def test_signals_of_another_recipe_are_refused_by_sleepfm(vector_shelf: Shelf, simulated: Path, tmp_path: Path) -> None:
    signals = Path(convert(simulated, tmp_path / "signals", recipe="hq").out)
    with pytest.raises(ModelError, match="published"):
        staged(signals, vector_shelf, engine="sleepfm")


def test_a_recording_without_known_channels_has_no_eeg(tmp_path: Path, empty_shelf: Shelf) -> None:
    with pytest.raises(RecordingError, match="no EEG"):
        staged(write_edf(tmp_path / "x.edf", seconds=60, labels=("Xyzzy",)), empty_shelf)


def test_yasa_is_loaded_where_its_compiled_parts_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    usual, loaded = numba.jit, []

    def load(name: str) -> str:
        loaded.append(name)
        if name == "antropy":
            assert numba.jit is not usual
            raise RuntimeError(why)
        return name

    monkeypatch.setattr(yasa_engine, "import_module", load)
    why = "cannot cache function '_numba_sampen': no locator available"
    assert yasa_engine._yasa() == "yasa"
    assert numba.jit is usual
    why = "something else"
    with pytest.raises(RuntimeError, match="something else"):
        yasa_engine._yasa()
    assert numba.jit is usual
    assert loaded == ["antropy", "yasa", "antropy"]
