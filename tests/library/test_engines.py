"""What the app offers to stage with: the best engine first, a simulated model last and by its name only."""

from __future__ import annotations

from pathlib import Path

from sleepfm.library.engines import EngineChoice, engine_choices, event_choices
from sleepfm.models.shelf import Shelf
from tests.library.simulated_models import bundle


def test_a_simulated_model_stands_last_under_a_name_that_says_so(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "models", bundle(tmp_path / "bundled"))
    assert engine_choices(shelf) == [
        EngineChoice("auto", None, "Best engine"),
        EngineChoice("yasa", None, "YASA"),
        EngineChoice("sleepfm", "demo-staging", "demo-staging (simulated)", simulated=True),
    ]


def test_real_models_come_before_simulated_ones_and_unknown_ones_say_so(tmp_path: Path) -> None:
    own = Shelf(bundle(tmp_path / "models", trained_on="unknown"), tmp_path / "nothing")
    for name, trained_on in (("zeta", "MESA"), ("alpha", "simulated")):
        card = own.get("demo-staging").card
        folder = own.export("demo-staging", tmp_path / name)
        card = card.model_copy(update={"name": name, "trained_on": trained_on})
        (folder / "model.json").write_text(card.model_dump_json())
        folder.rename(own.root / name)
    assert [one.label for one in engine_choices(own)] == [
        "Best engine",
        "YASA",
        "demo-staging (unknown origin)",
        "zeta",
        "alpha (simulated)",
    ]
    assert [one.simulated for one in engine_choices(own)] == [False, False, False, False, True]


def test_without_a_model_only_what_is_always_there_is_offered(tmp_path: Path) -> None:
    assert [one.engine for one in engine_choices(Shelf(tmp_path / "models", tmp_path / "nothing"))] == ["auto", "yasa"]


def test_events_have_a_simulated_second_opinion_only_by_its_name_and_a_real_one_by_themselves(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "assets" / "models"
    shelf = Shelf(tmp_path / "models", shipped)
    assert event_choices(shelf) == [
        EngineChoice("psgscoring", None, "psgscoring"),
        EngineChoice("psgscoring", "demo-breathing", "psgscoring, demo-breathing (simulated)", simulated=True),
    ]
    folder = shelf.export("demo-breathing", tmp_path / "mesa-breathing")
    card = shelf.get("demo-breathing").card.model_copy(update={"name": "mesa-breathing", "trained_on": "MESA"})
    (folder / "model.json").write_text(card.model_dump_json())
    shelf.root.mkdir(exist_ok=True)
    folder.rename(shelf.root / "mesa-breathing")
    assert [(one.label, one.model) for one in event_choices(shelf)] == [
        ("psgscoring, mesa-breathing", None),
        ("psgscoring, demo-breathing (simulated)", "demo-breathing"),
    ]
