"""Which encoders the page of neighbours offers: one trained on simulated signals only ever by its name."""

from __future__ import annotations

from pathlib import Path

from library.simulated_models import bundle

from sleepfm.models.shelf import Shelf
from sleepfm.viewer.similar_encoders import encoder_choices, first_choice, offered_by_name


def test_an_encoder_trained_on_simulated_signals_is_marked_and_never_the_first_choice(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "models", bundle(tmp_path / "bundled"))
    (only,) = encoder_choices(shelf)
    assert only.simulated
    assert only.label == f"{only.name} (simulated)"
    assert first_choice(shelf) is None
    assert offered_by_name(shelf) == only.name


def test_an_encoder_trained_on_real_recordings_is_taken_and_stands_first(tmp_path: Path) -> None:
    real = Shelf(bundle(tmp_path / "real", trained_on="SHHS"), bundle(tmp_path / "bundled"))
    assert [(one.label, one.simulated) for one in encoder_choices(real)] == [("demo-encoder", False)]
    assert first_choice(real) == "demo-encoder"
    assert offered_by_name(real) is None


def test_an_empty_shelf_offers_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "models", tmp_path / "nothing")
    assert encoder_choices(shelf) == []
    assert first_choice(shelf) is None
    assert offered_by_name(shelf) is None
