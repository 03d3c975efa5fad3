"""Really swapped channels light up in the quality strip, untouched nights do not, and a small library does not judge."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.job_demo_cohort import DEMO_ENCODER
from sleepfm.library.job_index import index
from sleepfm.library.library import Library
from sleepfm.library.study_agreement import StudyAgreement, study_agreement
from sleepfm.progress import silent
from sleepfm.vocabulary import Modality
from tests.explore_home import SHIPPED, explore_home
from tests.make_edf import write_edf

BAS, RESP, EKG, EMG = Modality
STUDY = "sim-3-0002"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return explore_home(tmp_path / "home-of-eight")


@pytest.fixture(autouse=True)
def shipped_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))


def relabelled(source: Path, target: Path, labels: dict[str, str]) -> Path:
    """Copy an EDF with other labels in its header (EDF specification: 16 characters each, from byte 256)."""
    content = bytearray(source.read_bytes())
    signals = int(content[252:256])
    for k in range(signals):
        field = slice(256 + 16 * k, 272 + 16 * k)
        label = content[field].decode("ascii").strip()
        content[field] = labels.get(label, label).ljust(16).encode("ascii")
    target.write_bytes(content)
    return target


def channels(library: Library, study: str) -> dict[Modality, list[str]]:
    with library.recording(study) as recording:
        return {m: [c.label for c in recording.channels if c.modality is m] for m in Modality}


def flags(found: StudyAgreement) -> dict[Modality, str]:
    return {strip.modality: strip.flag for strip in found.strips}


def test_a_good_night_is_good(home: Home) -> None:
    found = study_agreement(home, DEMO_ENCODER, STUDY)
    assert flags(found) == dict.fromkeys(Modality, "good")
    assert (found.other_people, found.other_windows) == (6, 36)


def test_swapped_labels_of_ecg_and_chin_emg_light_up(home: Home, tmp_path: Path) -> None:
    with Library(home) as library:
        labels = channels(library, STUDY)
        (ecg,), (chin,) = labels[EKG], labels[EMG]
        recording = relabelled(library.study(STUDY).path, tmp_path / "swapped.edf", {ecg: chin, chin: ecg})
        swapped = library.add(recording).id
        facts.store(library, swapped, {"subject": facts.person(library, STUDY).subject})
    assert index(home, {"encoder": DEMO_ENCODER, "studies": [swapped]}, silent)["failed"] == []
    found = study_agreement(home, DEMO_ENCODER, swapped)
    # chin EMG at an ECG's gain is left out as bad before it reaches the encoder
    assert flags(found) == {BAS: "good", RESP: "good", EKG: "alarm", EMG: "alarm"}
    why = {strip.modality: strip.why for strip in found.strips}
    assert "not one could be embedded" in why[EKG]
    assert why[EMG] == "6 of 6 windows look more like other people's EKG than their EMG: mislabelled or swapped?"


@pytest.fixture
def embedded_anew(home: Home, tmp_path: Path) -> Callable[[Callable[[h5py.Group], None]], StudyAgreement]:
    """Return what is found when the study's signals are changed before they are embedded."""
    from sleepfm.inference.embedding import embed_into
    from sleepfm.inference.embedding_files import read_embeddings
    from sleepfm.models.networks import load_model

    def change(alter: Callable[[h5py.Group], None]) -> StudyAgreement:
        (stored,) = (home.studies / STUDY).glob("signals-*.hdf5")
        signals = tmp_path / "signals.hdf5"
        shutil.copy(stored, signals)
        with h5py.File(signals, "r+") as file:
            alter(file[STUDY])
        model = load_model(SHIPPED / DEMO_ENCODER)
        files = tmp_path / "5s.hdf5", tmp_path / "5min.hdf5"
        embed_into(signals, model, files, record_id=STUDY, device="cpu", workers=1)
        with Library(home) as library:
            EmbeddingIndex(library, model.card.weights_sha256).add(STUDY, read_embeddings(files[1]))
        return study_agreement(home, DEMO_ENCODER, STUDY)

    return change


def the_dataset(group: h5py.Group) -> h5py.Dataset:
    (dataset,) = group.values()
    return dataset


def test_swapped_signals_find_their_partners_and_light_up_all_the_same(
    embedded_anew: Callable[[Callable[[h5py.Group], None]], StudyAgreement],
) -> None:
    def swap(record: h5py.Group) -> None:
        ecg, chin = the_dataset(record["EKG"]), the_dataset(record["EMG"])
        ecg[...], chin[...] = chin[...], ecg[...]

    found = embedded_anew(swap)
    assert flags(found) == {BAS: "good", RESP: "good", EKG: "alarm", EMG: "alarm"}
    why = {strip.modality: strip.why for strip in found.strips}
    assert "look more like other people's EMG than their EKG, and EMG like their EKG: mislabelled or swapped?" in why[EKG]
    assert "look more like other people's EKG than their EMG" in why[EMG]
    assert np.median(found.rank_w[EKG, RESP]) < 2
    assert set(found.candidates.values()) == {6}
    by_modality = {strip.modality: strip for strip in found.strips}
    assert by_modality[EKG].score_w.max() < 0.3 < by_modality[BAS].score_w.min()


def test_noise_for_breathing_lights_up_alone(
    embedded_anew: Callable[[Callable[[h5py.Group], None]], StudyAgreement],
) -> None:
    def make_noise(record: h5py.Group) -> None:
        rng = np.random.default_rng(0)
        for dataset in record["RESP"].values():
            dataset[...] = rng.standard_normal(dataset.shape).astype(np.float16)

    found = embedded_anew(make_noise)
    assert flags(found) == {BAS: "good", RESP: "alarm", EKG: "good", EMG: "good"}
    assert "do not go with the other modalities" in next(strip.why for strip in found.strips if strip.modality is RESP)


def test_few_people_are_not_enough_to_judge(home: Home, tmp_path: Path) -> None:
    shutil.copytree(home.root, tmp_path / "home", ignore=shutil.ignore_patterns("signals-*"))
    with Library.open(tmp_path / "home") as library:
        small = library.home
        library.remove(next(study for study, who in facts.people(library).items() if who.subject.endswith("p0001")))
    found = study_agreement(small, DEMO_ENCODER, STUDY)
    assert set(flags(found).values()) == {"doubtful"}
    assert {strip.why for strip in found.strips} == {
        "Not enough other nights to compare: 5 other people in the index, 6 are needed."
    }
    assert set(found.strips[0].flag_w) == {""}
    assert (found.rank_w[BAS, RESP] >= 1).all()


def test_what_cannot_be_compared_is_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no study"):
        study_agreement(home, DEMO_ENCODER, "nobody")
    with pytest.raises(RequestError, match="not an encoder"):
        study_agreement(home, "demo-staging", STUDY)
    with Library(home) as library:
        other = library.add(write_edf(tmp_path / "new.edf", seconds=2)).id
    with pytest.raises(RequestError, match="sleepfm index"):
        study_agreement(home, DEMO_ENCODER, other)
