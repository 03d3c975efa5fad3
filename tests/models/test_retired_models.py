"""Retired models: neither offered nor taken, still there by their name; and what people decided stays true whatever they do."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.errors import ModelError, RequestError
from sleepfm.inference.risk_request import choose_risk_model
from sleepfm.inference.staging import choose
from sleepfm.library.encoder_choice import choose_encoder
from sleepfm.library.engines import engine_choices
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.viewer.risk_choices import model_choices
from sleepfm.viewer.similar_encoders import encoder_choices
from tests.models.made_up_cards import put_card


@pytest.fixture
def full(tmp_path: Path) -> Shelf:
    """Give a shelf with two encoders, two staging heads and a disease head of the first."""
    root = tmp_path / "models"
    for name in ("base", "other"):
        put_card(root, name)
    for name in ("old", "new"):
        put_card(root, name, Task.STAGING)
    put_card(root, "risky", Task.DISEASE)
    return Shelf(root, tmp_path / "nothing came with the software")


def names(shelf: Shelf) -> list[str]:
    return [entry.name for entry in shelf.entries()]


def test_a_retired_model_is_offered_and_taken_nowhere_but_by_its_name(full: Shelf) -> None:
    full.choose("new")
    assert full.retire("new") == ()
    assert full.retire("risky") == ()
    assert names(full) == ["base", "old", "other"]
    assert [entry.name for entry in full.entries(retired=True)] == ["base", "new", "old", "other", "risky"]
    assert "new" not in [choice.model for choice in engine_choices(full)]
    assert model_choices(full) == []
    for engine in ("auto", "sleepfm"):
        found = choose(engine, None, full)
        assert found is not None
        assert found.name == "old"
    with pytest.raises(RequestError, match=r"no disease model .*\(retired: risky\)"):
        choose_risk_model(full, None)
    assert choose_risk_model(full, "risky").name == "risky"
    named = choose("sleepfm", "new", full)
    assert named is not None
    assert named.name == "new"
    assert (full.is_retired("new"), full.is_retired("old"), full.chosen(Task.STAGING)) == (True, False, None)
    full.bring_back("new")
    assert names(full) == ["base", "new", "old", "other"]
    assert full.chosen(Task.STAGING) is None


def test_the_heads_of_a_retired_encoder_rest_with_it(full: Shelf) -> None:
    assert [entry.name for entry in full.retire("base")] == ["new", "old", "risky"]
    assert names(full) == ["other"]
    assert not full.is_retired("old")
    assert not full.is_offered("old")
    assert choose("auto", None, full) is None
    assert choose_encoder(full).name == "other"
    assert [one.name for one in encoder_choices(full)] == ["other"]
    assert [one.label for one in encoder_choices(full, named="base")] == ["base (retired)", "other"]
    assert full.encoder_of(full.get("old").card).name == "base"
    with pytest.raises(RequestError, match="its encoder, base, is retired"):
        full.choose("old")
    with pytest.raises(RequestError, match=r"encoder of new, old, risky"):
        full.remove("base")
    full.bring_back("base")
    assert names(full) == ["base", "new", "old", "other", "risky"]


def test_a_second_encoder_of_the_same_weights_keeps_the_heads_awake(full: Shelf) -> None:
    put_card(full.root, "twin", weights="base")
    assert full.retire("base") == ()
    assert names(full) == ["new", "old", "other", "risky", "twin"]


def test_another_model_under_the_name_of_a_retired_one_is_not_retired(full: Shelf) -> None:
    full.retire("other")
    (full.root / "other" / "model.json").unlink()
    (full.root / "other").rmdir()
    put_card(full.root, "other", weights="new weights")
    assert not full.is_retired("other")
    assert "other" in names(full)


def test_a_retired_model_is_no_default_and_a_choice_is_taken_back(full: Shelf) -> None:
    full.retire("old")
    with pytest.raises(RequestError, match="old is retired"):
        full.choose("old")
    full.choose("new")
    full.unchoose(Task.STAGING)
    assert full.chosen(Task.STAGING) is None


def test_a_model_that_came_with_the_software_can_rest_too(tmp_path: Path) -> None:
    put_card(tmp_path / "bundled", "demo")
    shelf = Shelf(tmp_path / "models", tmp_path / "bundled")
    shelf.retire("demo")
    assert shelf.entries() == []
    assert shelf.get("demo").bundled
    assert [path.name for path in (tmp_path / "bundled").rglob("*")] == ["demo", "model.json"]


def test_what_is_removed_is_forgotten(full: Shelf) -> None:
    full.choose("new")
    full.retire("old")
    for name in ("new", "old"):
        full.remove(name)
        put_card(full.root, name, Task.STAGING)
    assert full.chosen(Task.STAGING) is None
    assert not full.is_retired("old")


def test_a_damaged_note_names_its_file(full: Shelf) -> None:
    (full.root / "retired.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"retired\.json: cannot be read; delete it"):
        full.entries()


def test_decisions_at_the_same_time_are_all_kept(full: Shelf) -> None:
    started = threading.Barrier(4)

    def retire(name: str) -> None:
        started.wait()
        Shelf(full.root, full.bundled).retire(name)

    threads = [threading.Thread(target=retire, args=(name,)) for name in ("base", "other", "old", "risky")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [name for name in ("base", "other", "old", "risky", "new") if full.is_retired(name)] == [
        "base",
        "other",
        "old",
        "risky",
    ]


DEEDS = ("retire", "bring_back", "choose", "unchoose", "remove")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from(["base", "other", "old", "new", "risky"])), max_size=8))
def test_whatever_is_done_only_what_is_offered_is_taken(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("shelf") / "models"
    for name, task in (
        ("base", Task.ENCODER),
        ("other", Task.ENCODER),
        ("old", Task.STAGING),
        ("new", Task.STAGING),
        ("risky", Task.DISEASE),
    ):
        put_card(root, name, task)
    shelf = Shelf(root, root.parent / "nothing")
    retired: set[str] = set()
    there = {"base", "other", "old", "new", "risky"}
    for deed, name in deeds:
        try:
            if deed == "unchoose":
                shelf.unchoose(Task.STAGING)
            else:
                getattr(shelf, deed)(name)
        except RequestError:
            continue
        there -= {name} if deed == "remove" else set()
        retired = (retired | {name} if deed == "retire" else retired - {name} if deed == "bring_back" else retired) & there
    resting = retired | ({"old", "new", "risky"} & there if "base" in retired else set())
    assert {entry.name for entry in shelf.entries(retired=True)} == there
    assert {entry.name for entry in shelf.entries()} == there - resting
    for task in Task:
        offered = {entry.name for entry in shelf.entries() if entry.card.task is task}
        taken = {one.name for one in (shelf.default(task), shelf.pick(task)) if one is not None}
        assert taken <= offered
        assert bool(taken) == bool(offered)
        chosen = shelf.chosen(task)
        assert chosen is None or (chosen in there and chosen not in retired)
