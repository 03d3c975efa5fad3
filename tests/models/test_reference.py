"""Reference people: percentiles, what beats age and sex, and that they go wherever their weights go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from sleepfm.errors import ModelError, RequestError
from sleepfm.models.card import parse_sex_code
from sleepfm.models.importing import import_model
from sleepfm.models.reference import REFERENCE_FILE, Measured, Reference, read_reference
from sleepfm.models.shelf import Shelf, ShelfEntry
from tests.inference.risk_material import head, reference


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", tmp_path / "bundled")


def put(shelf: Shelf, name: str = "fate") -> tuple[ShelfEntry, Reference]:
    of = head()
    kept = {
        field: getattr(of.card, field) for field in ("task", "architecture", "parameters", "encoder", "labels", "demographics")
    }
    entry = shelf.add(name, of.network.state_dict(), kept)
    made = reference(of).model_copy(update={"weights_sha256": entry.card.weights_sha256})
    (entry.folder / REFERENCE_FILE).write_text(made.model_dump_json())
    return entry, made


def with_scores(scores_n: np.ndarray) -> Reference:
    made = reference(head())
    condition = made.conditions[0]
    assert condition is not None
    quantiles = tuple(np.quantile(scores_n, np.linspace(0, 1, 101)).tolist())
    return made.model_copy(update={"conditions": (condition.model_copy(update={"quantiles": quantiles}), None)})


def test_percentiles_are_those_of_the_people_themselves() -> None:
    rng = np.random.default_rng(0)
    scores_n = rng.normal(0, 2, 2000)
    made = with_scores(scores_n)
    for score in rng.normal(0, 2, 50):
        assert made.percentile(0, score) == pytest.approx(percentileofscore(scores_n, score, "mean"), abs=0.3)
    assert made.percentile(0, -99) == 0
    assert made.percentile(0, 99) == 100
    assert made.percentile(1, 0.0) is None
    assert made.percentile(0, np.nan) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), min_size=1, max_size=30), st.floats(-4, 4), st.floats(0, 4))
def test_a_higher_score_never_has_a_lower_percentile(scores: list[float], score: float, more: float) -> None:
    made = with_scores(np.array(scores))
    low, high = made.percentile(0, score), made.percentile(0, score + more)
    assert low is not None
    assert high is not None
    assert 0 <= low <= high <= 100


def test_what_beats_age_and_sex_was_tested() -> None:
    made = reference(head())
    one = made.conditions[0]
    assert one is not None
    assert one.mean_score == pytest.approx(0.3)
    for p, expected in ((0.01, True), (0.2, False), (None, None)):
        assert made.model_copy(update={"conditions": (one.model_copy(update={"p": p}),)}).beats_demographics(0) is expected
    assert made.model_copy(update={"conditions": (None,)}).beats_demographics(0) is None
    assert Measured(value=0.7).low is None


def test_a_reference_of_other_weights_or_a_broken_one_is_refused(shelf: Shelf) -> None:
    entry, made = put(shelf)
    file = entry.folder / REFERENCE_FILE
    assert read_reference(entry.folder) == made
    file.write_text(made.model_copy(update={"weights_sha256": "0" * 64}).model_dump_json())
    with pytest.raises(ModelError, match="other weights"):
        read_reference(entry.folder)
    file.write_text(made.model_copy(update={"conditions": made.conditions[:1]}).model_dump_json())
    with pytest.raises(ModelError, match="1 conditions, the model 3"):
        read_reference(entry.folder)
    file.write_text(file.read_text()[:100])
    with pytest.raises(ModelError, match="no reference"):
        read_reference(entry.folder)
    file.unlink()
    assert read_reference(entry.folder) is None


def test_it_goes_along_with_its_weights(shelf: Shelf, tmp_path: Path) -> None:
    _, made = put(shelf)
    out = shelf.export("fate", tmp_path / "out")
    assert read_reference(out) == made
    assert read_reference(import_model(shelf, out, "again").folder) == made
    # a new card for the same weights keeps what was measured of them
    assert read_reference(import_model(shelf, out, "again", age_scale=50.0).folder) == made
    put(shelf)
    assert read_reference(shelf.get("fate").folder) == made
    wrong = made.model_copy(update={"weights_sha256": "0" * 64})
    (out / REFERENCE_FILE).write_text(wrong.model_dump_json())
    with pytest.raises(ModelError, match="other weights"):
        import_model(shelf, out, "third")
    assert not (shelf.root / "third").exists()


def test_a_code_for_an_unknown_sex_is_told_at_the_import(shelf: Shelf, tmp_path: Path) -> None:
    put(shelf)
    code = parse_sex_code("male=1, female=0,unknown=0.5")
    entry = import_model(shelf, shelf.export("fate", tmp_path / "out"), "coded", sex_code=code)
    assert entry.card.demographics is not None
    assert entry.card.demographics.encode(50, "unknown") == (0.5, 0.5)
    for text in ("female=0", "female=0,male=1,both=2", "female=0,male=1,unknown", "female=0,male=x"):
        with pytest.raises(RequestError, match="write it as"):
            parse_sex_code(text)
