"""The second opinion counts what people staged, of other people's epochs only, and comes close to the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from sklearn.neighbors import NearestNeighbors

from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.embedding_index import EmbeddingIndex, Grain
from sleepfm.library.job_demo_cohort import DEMO_ENCODER
from sleepfm.library.library import Library
from sleepfm.library.second_opinion import second_opinion
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import TOKEN_S, TOKENS_PER_EPOCH, Modality, Stage
from tests.explore_home import SHIPPED, explore_home
from tests.library.made_up_index import WIDTH, add_study, embeddings_of
from tests.training.night_cohort import make_encoder

BAS = Modality.BAS
EPOCHS = 20
ENCODER = "tiny"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "home")
    make_encoder(library.home.models)
    return library


@pytest.fixture
def index(library: Library) -> EmbeddingIndex:
    from sleepfm.models.shelf import Shelf

    return EmbeddingIndex(library, Shelf(library.home.models).get(ENCODER).card.weights_sha256, Grain.EPOCH)


def rows(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(EPOCHS, WIDTH)).astype(np.float32)


def stages(seed: int, *, unknown: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random(EPOCHS) < unknown, -1, rng.integers(0, 5, EPOCHS)).astype(np.int8)


def add_night(
    library: Library,
    index: EmbeddingIndex,
    folder: Path,
    number: int,
    *,
    subject: str,
    engines: dict[str, np.ndarray],
    gaps: tuple[tuple[float, float], ...] = (),
) -> str:
    """Add a night whose six tokens of an epoch are equal, with scorings by engine."""
    study = add_study(library, folder, f"night_{number}", seed=number)
    facts.store(library, study, {"subject": subject})
    tokens = {BAS: np.repeat(rows(number), TOKENS_PER_EPOCH, axis=0)}
    made = embeddings_of(library, study, tokens, row_s=TOKEN_S, weights=index.weights_sha256, gaps=gaps)
    index.add(study, made)
    for engine, stages_e in engines.items():
        about = {"label": engine, "note": "", "source_sha256": library.study(study).sha256}
        library.store_scoring(study, Scoring(stages_e), engine=engine, model="", provenance=about)
    return study


def test_counts_are_those_of_scikit_learns_neighbours_among_scored_epochs_of_others(
    library: Library, index: EmbeddingIndex, tmp_path: Path
) -> None:
    own = add_night(library, index, tmp_path, 0, subject="own", engines={"file": stages(0)})
    add_night(library, index, tmp_path, 1, subject="own", engines={"file": stages(1)})
    candidates, truth = [], []
    for number in (2, 3, 4):
        stages_e = stages(number, unknown=0.4)
        # the newest by a person counts, what came with the file less, what a machine staged not at all
        engines = {"file": stages(90 + number), "manual": stages_e, "yasa": stages(95)} if number == 2 else {"file": stages_e}
        add_night(library, index, tmp_path, number, subject=f"p{number // 2}", engines=engines)
        candidates.append(rows(number)[stages_e >= 0])
        truth.append(stages_e[stages_e >= 0])
    add_night(library, index, tmp_path, 5, subject="p5", engines={"yasa": stages(5), "sleepfm": stages(6)})
    flat = np.concatenate(candidates)
    unit_ne = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    nearest = NearestNeighbors(n_neighbors=9, metric="cosine", algorithm="brute").fit(unit_ne)
    for epoch in (1, 7, EPOCHS):
        expected = np.concatenate(truth)[nearest.kneighbors(rows(0)[epoch - 1 : epoch], return_distance=False)[0]]
        found = second_opinion(library.home, ENCODER, own, epoch, k=9)
        assert found.counts == {Stage(s): int((expected == s).sum()) for s in range(5)}
        assert (found.epochs, found.scored_people) == (9, 2)
        assert found.people <= 2
        assert "simulated signals" in " ".join(found.notes)  # the encoder's
    everything = second_opinion(library.home, ENCODER, own, 1, k=1000)
    assert everything.epochs == everything.scored_epochs == len(flat)


def test_a_night_without_a_scoring_or_a_name_is_asked_about_too(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    add_night(library, index, tmp_path, 1, subject="p1", engines={"file": stages(1)})
    study = add_night(library, index, tmp_path, 2, subject="", engines={}, gaps=((65.0, 66.0),))
    found = second_opinion(library.home, ENCODER, study, 1, k=5)
    assert found.epochs == 5
    assert any("Nobody stated who was recorded in night_2" in note for note in found.notes)
    with pytest.raises(RequestError, match="gap"):
        second_opinion(library.home, ENCODER, study, 3)
    with pytest.raises(RequestError, match="no whole epoch 21"):
        second_opinion(library.home, ENCODER, study, EPOCHS + 1)
    with pytest.raises(RequestError, match="no whole epoch 0"):
        second_opinion(library.home, ENCODER, study, 0)
    with pytest.raises(RequestError, match="one neighbour"):
        second_opinion(library.home, ENCODER, study, 1, k=0)


def test_nobody_to_compare_with_is_said(library: Library, index: EmbeddingIndex, tmp_path: Path) -> None:
    study = add_night(library, index, tmp_path, 1, subject="p1", engines={"file": stages(1)})
    add_night(library, index, tmp_path, 2, subject="p1", engines={"file": stages(2)})
    with pytest.raises(RequestError, match="no night of another person"):
        second_opinion(library.home, ENCODER, study, 1)
    add_night(library, index, tmp_path, 3, subject="p3", engines={"yasa": stages(3)})
    with pytest.raises(RequestError, match="no night of another person"):
        second_opinion(library.home, ENCODER, study, 1)
    with pytest.raises(RequestError, match="sleepfm index"):
        second_opinion(library.home, ENCODER, add_study(library, tmp_path, "new", seed=9), 1)


def test_on_simulated_nights_the_majority_is_right_far_beyond_chance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = explore_home(tmp_path / "home")
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
    true, said = [], []
    with Library(home) as library:
        truth = {study.id: library.scorings(study.id)[0].scoring.stages for study in library.studies()}
        unstaged = library.studies(order="Name")[1].id
    for study, stages_e in truth.items():
        for epoch in range(3, len(stages_e), 8):
            found = second_opinion(home, DEMO_ENCODER, study, epoch + 1, k=15)
            true.append(int(stages_e[epoch]))
            said.append(int(max(found.counts, key=lambda stage: found.counts[stage])))
    assert "These are the true stages of simulated nights." in found.notes
    assert len(true) > 50
    assert cohen_kappa_score(true, said) > 0.6
    # without its scoring the same night is asked about by its embeddings
    before = second_opinion(home, DEMO_ENCODER, unstaged, 9)
    with Library(home) as library:
        library.connection.execute("DELETE FROM index_blocks WHERE study = ? AND grain = 'epoch'", (unstaged,))
    assert second_opinion(home, DEMO_ENCODER, unstaged, 9) == before
