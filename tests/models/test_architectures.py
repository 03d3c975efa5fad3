"""Every network that we know goes onto the shelf and comes back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sleepfm.errors import ModelError
from sleepfm.models.card import PUBLISHED_KINDS, DemographicCoding, EncoderLink, ModalityCoding, SignalCoding, Task
from sleepfm.models.importing import import_model
from sleepfm.models.networks import ARCHITECTURES, build, load_model
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import EPOCH_S, Modality
from tests.models.random_models import ENCODER, HEAD, random_network

SIGNALS = SignalCoding(
    recipe="published",
    modalities={Modality.BAS: ModalityCoding(kinds=PUBLISHED_KINDS[Modality.BAS], max_channels=2)},
    window_s=EPOCH_S,
    token_s=EPOCH_S,
)
NUMBERS: dict[str, dict[str, Any]] = {
    "SetTransformer": ENCODER,
    "EfficientNet1D": {"embed_dim": 16, "patch_size": 640, "bas_channels": 2, "width": 10},
    "SleepEventLSTMClassifier": {**HEAD, "num_classes": 5},
    "BreathingHead": {**HEAD, "num_classes": 4},
    "DiagnosisFinetuneFullLSTMCOXPHWithDemo": {**HEAD, "num_classes": 3, "demographics": 0},
    "NightMLP": {"embed_dim": 16, "num_classes": 3, "hidden": 8},
    "DemographicsHead": {"num_classes": 3},
    "LogisticProbe": {"embed_dim": 16, "num_classes": 1},
}
NUMBERS["EfficientNet1D+LogisticProbe"] = {
    f"{side}.{name}": value
    for side, word in (("encoder", "EfficientNet1D"), ("head", "LogisticProbe"))
    for name, value in NUMBERS[word].items()
}


def about(word: str) -> dict[str, Any]:
    task = ARCHITECTURES[word].task if word in ARCHITECTURES else Task.STAGING
    takes_signals = task is Task.ENCODER or "+" in word
    return {
        "task": task,
        "architecture": word,
        "parameters": NUMBERS[word],
        "signals": SIGNALS if takes_signals else None,
        "encoder": None if takes_signals else EncoderLink(name="base", weights_sha256="0" * 64),
        "demographics": DemographicCoding() if task is Task.DISEASE else None,
    }


def test_every_architecture_is_tried_here() -> None:
    assert set(ARCHITECTURES) <= set(NUMBERS)


@pytest.mark.parametrize("word", NUMBERS)
def test_a_network_comes_back_from_the_shelf(shelf: Shelf, word: str) -> None:
    state = random_network({"model": word, "model_params": NUMBERS[word]}, seed=3).state_dict()
    loaded = load_model(shelf.add("m", state, about(word)).folder)
    assert not loaded.network.training
    for name, tensor in loaded.network.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


@pytest.mark.parametrize("word", ["SetTransformer", "BreathingHead"])
def test_half_precision_takes_half_the_space_and_loads_as_float32(shelf: Shelf, word: str) -> None:
    network = random_network({"model": word, "model_params": NUMBERS[word]}, seed=3)
    full, half = (shelf.add(str(half), network.state_dict(), about(word), half=half) for half in (False, True))
    size = (half.folder / "weights.safetensors").stat().st_size / (full.folder / "weights.safetensors").stat().st_size
    assert 0.5 <= size < 0.55
    loaded = load_model(half.folder).network
    for name, tensor in network.state_dict().items():
        assert loaded.state_dict()[name].dtype == tensor.dtype
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=2**-10, atol=1e-7)
    again = shelf.add("True", network.state_dict(), about(word), half=True)
    assert again.card.weights_sha256 == half.card.weights_sha256 != full.card.weights_sha256


def test_a_half_precision_model_that_is_imported_stays_what_its_heads_know(shelf: Shelf) -> None:
    word = "SetTransformer"
    entry = shelf.add("half", random_network({"model": word, **ENCODER}).state_dict(), about(word), half=True)
    assert import_model(shelf, entry.folder, "copy").card.weights_sha256 == entry.card.weights_sha256


def test_what_does_not_fit_half_precision_is_refused(shelf: Shelf) -> None:
    state = random_network({"model": "LogisticProbe", **NUMBERS["LogisticProbe"]}).state_dict()
    state["scale_f"][0] = 1e6
    with pytest.raises(ModelError, match="scale_f holds numbers too large"):
        shelf.add("m", state, about("LogisticProbe"), half=True)
    assert shelf.entries() == []
    assert shelf.add("m", state, about("LogisticProbe")).card.task is Task.PROBE


@pytest.mark.parametrize(
    ("word", "numbers", "what"),
    [
        ("NightMLP", {"embed_dim": 16}, "needs num_classes"),
        ("NightMLP", {"embed_dim": 16, "num_classes": 0}, "num_classes must be at least 1"),
        ("NightMLP", {"embed_dim": 16, "num_classes": 1, "demographics": -1}, "demographics must be at least 0"),
        ("SetTransformer", {**ENCODER, "num_heads": 3}, "cannot be built"),
        ("ResNet", {}, "unknown architecture"),
    ],
)
def test_numbers_that_make_no_network_are_refused(word: str, numbers: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelError, match=what):
        build(word, numbers)
