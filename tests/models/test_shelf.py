"""The shelf: what is there, what is taken by default, and that nothing half-written appears."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sleepfm
from sleepfm.errors import ModelError, RequestError
from sleepfm.models import networks
from sleepfm.models import shelf as shelf_module
from sleepfm.models.bundled import bundled_models
from sleepfm.models.card import Task, read_card
from sleepfm.models.importing import import_model
from sleepfm.models.networks import load_model
from sleepfm.models.shelf import Shelf, ShelfEntry
from tests.models.conftest import CheckpointMaker
from tests.models.random_models import ENCODER_CONFIG, STAGING_CONFIG


def retrained(entry: ShelfEntry, trained_on: str) -> None:
    card = read_card(entry.folder).model_copy(update={"trained_on": trained_on})
    (entry.folder / "model.json").write_text(card.model_dump_json())


@pytest.fixture
def stocked(shelf: Shelf, checkpoint: CheckpointMaker) -> Shelf:
    import_model(shelf, checkpoint(ENCODER_CONFIG), "base")
    for seed, name in enumerate(("first", "second", "third")):
        import_model(shelf, checkpoint(STAGING_CONFIG, name, seed=seed), name)
    return shelf


def test_an_empty_shelf(shelf: Shelf) -> None:
    assert shelf.entries() == []
    assert shelf.problems() == []
    assert shelf.default(Task.STAGING) is None
    assert shelf.pick(Task.STAGING) is None
    with pytest.raises(RequestError, match="no model named 'x'"):
        shelf.get("x")


def test_auto_takes_neither_unknown_nor_simulated(stocked: Shelf) -> None:
    assert stocked.pick(Task.STAGING) is None
    retrained(stocked.get("first"), "simulated")
    assert stocked.pick(Task.STAGING) is None
    retrained(stocked.get("second"), "MESA")
    picked, default = stocked.pick(Task.STAGING), stocked.default(Task.STAGING)
    assert picked is not None
    assert default is not None
    assert (picked.name, default.name) == ("second", "second")


def test_the_default_is_the_newest_unless_chosen_and_real_ones_go_first(stocked: Shelf) -> None:
    def default() -> str:
        entry = stocked.default(Task.STAGING)
        assert entry is not None
        return entry.name

    assert default() == "third"
    retrained(stocked.get("first"), "MESA")
    assert default() == "first"
    stocked.choose("second")
    assert default() == "second"
    picked = stocked.pick(Task.STAGING)
    assert picked is not None
    assert picked.name == "first"
    stocked.remove("second")
    assert default() == "first"


def test_names_that_would_leave_the_shelf_are_refused(stocked: Shelf, checkpoint: CheckpointMaker) -> None:
    folder = checkpoint(ENCODER_CONFIG, "again")
    for name in ("../x", "a/b", "", ".hidden", "a b", "ü", "x" * 200, "a\n"):
        with pytest.raises(RequestError, match="model name"):
            import_model(stocked, folder, name)
        with pytest.raises(RequestError, match="model name"):
            stocked.get(name)


def test_a_taken_name_keeps_its_weights(stocked: Shelf, checkpoint: CheckpointMaker) -> None:
    before = stocked.get("base")
    with pytest.raises(RequestError, match="other weights"):
        import_model(stocked, checkpoint(ENCODER_CONFIG, "other", seed=9), "base")
    assert stocked.get("base") == before
    assert load_model(before.folder).card == before.card


def test_the_same_weights_make_the_same_file(stocked: Shelf, checkpoint: CheckpointMaker) -> None:
    again = import_model(stocked, checkpoint(ENCODER_CONFIG, "again"), "twin")
    assert again.card.weights_sha256 == stocked.get("base").card.weights_sha256


def test_a_broken_folder_is_reported_and_the_rest_is_listed(stocked: Shelf) -> None:
    (stocked.root / "empty").mkdir()
    (stocked.root / "broken").mkdir()
    (stocked.root / "broken" / "model.json").write_text('{"name": "broken\\u202e"}')
    (stocked.root / "stray.txt").write_text("x")
    assert [entry.name for entry in stocked.entries()] == ["base", "first", "second", "third"]
    assert len(stocked.problems()) == 2
    assert all("\u202e" not in problem and "\n" not in problem for problem in stocked.problems())
    with pytest.raises(ModelError, match="not a model's card"):
        stocked.get("broken")


def test_weights_that_were_changed_are_not_loaded(stocked: Shelf) -> None:
    path = stocked.get("base").folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not the weights"):
        load_model(path.parent)
    path.write_bytes(content[:1000])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_model(path.parent)
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(path.parent)


def test_a_failed_write_leaves_the_shelf_as_it_was(
    stocked: Shelf, checkpoint: CheckpointMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    folder = checkpoint(ENCODER_CONFIG, "again", seed=5)
    before = sorted(path.name for path in stocked.root.iterdir())
    monkeypatch.setattr(networks, "save_weights", full)
    with pytest.raises(ModelError, match="No space left on device"):
        import_model(stocked, folder, "new")
    assert sorted(path.name for path in stocked.root.iterdir()) == before


def test_export_refuses_to_overwrite_and_an_encoder_in_use_stays(stocked: Shelf, tmp_path: Path) -> None:
    assert sorted(p.name for p in stocked.export("base", tmp_path / "out").iterdir()) == [
        "README.md",
        "model.json",
        "weights.safetensors",
    ]
    with pytest.raises(RequestError, match="is there already"):
        stocked.export("base", tmp_path / "out")
    with pytest.raises(RequestError, match="encoder of first, second, third"):
        stocked.remove("base")
    stocked.remove("third")
    with pytest.raises(RequestError, match="no model named"):
        stocked.get("third")


def test_a_head_whose_encoder_is_gone_says_which(stocked: Shelf) -> None:
    head = stocked.get("first").card
    assert head.encoder is not None
    other = head.encoder.model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(ModelError, match="made for the encoder base"):
        stocked.encoder_of(head.model_copy(update={"encoder": other}))


def test_listing_loads_no_torch(stocked: Shelf) -> None:
    code = (
        "import sys; from pathlib import Path; from sleepfm.models.shelf import Shelf; import sleepfm.models.importing;"
        " import sleepfm.models.fetch; shelf = Shelf(Path(sys.argv[1]));"
        " print(len(shelf.entries()), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(stocked.root)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "False"]


@pytest.fixture
def demo(tmp_path: Path, checkpoint: CheckpointMaker) -> Path:
    """Return a folder of an encoder and a staging head as they come with the software, trained on simulated signals."""
    made = Shelf(tmp_path / "bundled", tmp_path / "nothing")
    import_model(made, checkpoint(ENCODER_CONFIG, "demo-encoder", seed=21), "demo-encoder")
    import_model(made, checkpoint(STAGING_CONFIG, "demo-staging", seed=22), "demo-staging")
    for entry in made.entries():
        retrained(entry, "simulated")
    return made.root


def names(shelf: Shelf) -> list[str]:
    return [entry.name for entry in shelf.entries()]


def test_bundled_models_are_listed_found_and_never_removed_or_taken_by_auto(tmp_path: Path, demo: Path) -> None:
    shelf = Shelf(tmp_path / "mine", demo)
    assert names(shelf) == ["demo-encoder", "demo-staging"]
    entry = shelf.get("demo-staging")
    assert entry.bundled
    assert load_model(entry.folder).card == entry.card
    assert shelf.encoder_of(entry.card).name == "demo-encoder"
    assert shelf.pick(Task.STAGING) is None
    assert shelf.default(Task.STAGING) == entry
    with pytest.raises(RequestError, match="came with the software and cannot be removed"):
        shelf.remove("demo-staging")
    with pytest.raises(RequestError, match="cannot be changed"):
        shelf.describe("demo-staging", {"trained_on": "MESA"})
    with pytest.raises(RequestError, match="no encoder with embeddings of 16"):
        shelf.encoder_for(16)
    assert shelf.encoder_for(16, "demo-encoder").bundled
    assert names(shelf) == ["demo-encoder", "demo-staging"]
    assert (shelf.export("demo-staging", tmp_path / "out") / "README.md").is_file()


def test_any_model_of_the_user_goes_before_a_bundled_one_unless_that_is_chosen(stocked: Shelf, demo: Path) -> None:
    shelf = Shelf(stocked.root, demo)
    retrained(stocked.get("first"), "simulated")
    stocked.remove("second")
    stocked.remove("third")
    default = shelf.default(Task.STAGING)
    assert default is not None
    assert default.name == "first"
    shelf.choose("demo-staging")
    default = shelf.default(Task.STAGING)
    assert default is not None
    assert default.name == "demo-staging"
    assert shelf.pick(Task.STAGING) is None


def test_choosing_a_bundled_model_works_before_there_is_a_shelf(tmp_path: Path, demo: Path) -> None:
    shelf = Shelf(tmp_path / "not" / "yet", demo)
    shelf.choose("demo-staging")
    assert Shelf(shelf.root, demo).default(Task.STAGING) == shelf.get("demo-staging")


def test_a_users_model_hides_the_bundled_one_of_its_name_but_not_from_its_heads(
    stocked: Shelf, demo: Path, checkpoint: CheckpointMaker
) -> None:
    import_model(stocked, checkpoint(ENCODER_CONFIG, "another", seed=33), "demo-encoder")
    shelf = Shelf(stocked.root, demo)
    assert names(shelf).count("demo-encoder") == 1
    assert not shelf.get("demo-encoder").bundled
    found = shelf.encoder_of(shelf.get("demo-staging").card)
    assert found.bundled
    assert found.folder == demo / "demo-encoder"
    shelf.remove("demo-encoder")
    assert shelf.get("demo-encoder").bundled


def test_where_bundled_models_are(tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(demo))
    assert names(Shelf(tmp_path / "mine")) == ["demo-encoder", "demo-staging"]
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", "")
    assert names(Shelf(tmp_path / "mine")) == []
    monkeypatch.delenv("SLEEPFM_BUNDLED_MODELS")
    assert bundled_models() == Path(sleepfm.__file__).parents[1] / "assets" / "models"
    installed = tmp_path / "site-packages" / "sleepfm"
    (installed / "_app").mkdir(parents=True)
    monkeypatch.setattr(sleepfm, "__file__", str(installed / "__init__.py"))
    assert bundled_models() == installed / "_app" / "assets" / "models"


def test_a_baseline_is_taken_only_by_name(stocked: Shelf) -> None:
    for name in ("first", "second", "third"):
        stocked.describe(name, {"trained_on": "MESA", "baseline": name != "first"})
    for taken in (stocked.default(Task.STAGING), stocked.pick(Task.STAGING)):
        assert taken is not None
        assert taken.name == "first"
    stocked.choose("third")
    default = stocked.default(Task.STAGING)
    assert default is not None
    assert default.name == "third"


def test_new_facts_on_a_card_leave_what_the_weights_are(stocked: Shelf) -> None:
    before = stocked.get("first").card
    metric = {"name": "kappa", "value": 0.7, "n": 12}
    after = stocked.describe("first", {"metrics": [metric], "architecture": "NightMLP"}).card
    assert after == before.model_copy(update={"metrics": after.metrics})
    assert after.metrics[0].n == 12
    assert stocked.get("first").card == after
    assert "kappa: 0.7, n = 12" in (stocked.root / "first" / "README.md").read_text()
    with pytest.raises(ModelError, match="not both"):
        stocked.describe("first", {"signals": stocked.get("base").card.signals})
    assert stocked.get("first").card == after


def test_two_who_choose_the_same_name_at_once_do_not_lose_a_model(
    shelf: Shelf, checkpoint: CheckpointMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = (checkpoint(ENCODER_CONFIG, f"of {who}", seed=seed) for seed, who in enumerate(("mine", "the other")))
    refused = []

    def import_other() -> None:
        try:
            import_model(shelf, other, "base")
        except RequestError as error:
            refused.append(str(error))

    meanwhile = threading.Thread(target=import_other)
    new_folder = shelf_module._new_folder

    @contextmanager
    def slow_to_place(target: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
        with new_folder(target) as (folder, place):

            def after_the_other_has_tried() -> None:
                if threading.current_thread() is not meanwhile:
                    meanwhile.start()
                    meanwhile.join(1.0)
                place()

            yield folder, after_the_other_has_tried

    monkeypatch.setattr(shelf_module, "_new_folder", slow_to_place)
    first = import_model(shelf, mine, "base")
    meanwhile.join()
    assert refused == ["the shelf has a model named base with other weights: give another --name"]
    assert shelf.get("base").card.weights_sha256 == first.card.weights_sha256
