"""From a card to a network: which word of the published configurations means which class, and reading its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sleepfm.errors import ModelError
from sleepfm.models.breathing_head import BreathingHead
from sleepfm.models.card import WEIGHTS_FILE, ModelCard, Task, read_card
from sleepfm.models.efficientnet import EfficientNet1D
from sleepfm.models.encoder import Encoder
from sleepfm.models.end_to_end import EndToEnd
from sleepfm.models.heads import DiseaseHead, StagingHead
from sleepfm.models.pooling import Pooling
from sleepfm.models.probe import LogisticProbe
from sleepfm.models.risk_heads import DemographicsHead, NightMLP
from sleepfm.text import printable


@dataclass(frozen=True)
class Architecture:
    """A network that we can build, and the numbers that it is built from.

    Attributes
    ----------
    task
        What it is for.
    network
        Its class. All take `dropout` beside these numbers.
    needs
        Whole numbers above 0 that must be given.
    may
        Whole numbers that may be given.
    pools
        Whether it takes `pooling`.
    """

    task: Task
    network: Callable[..., nn.Module]
    needs: tuple[str, ...]
    may: tuple[str, ...] = ()
    pools: bool = False

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every number that it knows."""
        return (*self.needs, *self.may, "dropout")


_HEAD_NEEDS = ("embed_dim", "num_heads", "num_layers", "num_classes", "pooling_head", "max_seq_length")
ARCHITECTURES: dict[str, Architecture] = {
    "SetTransformer": Architecture(
        Task.ENCODER, Encoder, ("embed_dim", "num_heads", "num_layers", "pooling_head", "patch_size"), pools=True
    ),
    "EfficientNet1D": Architecture(
        Task.ENCODER,
        EfficientNet1D,
        ("embed_dim", "patch_size"),
        may=("bas_channels", "resp_channels", "ekg_channels", "emg_channels", "width"),
    ),
    "SleepEventLSTMClassifier": Architecture(Task.STAGING, StagingHead, _HEAD_NEEDS, pools=True),
    "BreathingHead": Architecture(Task.BREATHING, BreathingHead, _HEAD_NEEDS, pools=True),
    "DiagnosisFinetuneFullLSTMCOXPHWithDemo": Architecture(
        Task.DISEASE, DiseaseHead, _HEAD_NEEDS, may=("demographics",), pools=True
    ),
    "NightMLP": Architecture(Task.DISEASE, NightMLP, ("embed_dim", "num_classes"), may=("hidden", "demographics")),
    "DemographicsHead": Architecture(Task.DISEASE, DemographicsHead, ("num_classes",), may=("num_demographics", "hidden")),
    "LogisticProbe": Architecture(Task.PROBE, LogisticProbe, ("embed_dim", "num_classes")),
}
"""By the `model` word of the published configurations, or by ours. `ENCODER+HEAD` is both as one network (see `build`)."""

_MOST_LAYERS = 1000
"""Each takes time to build, and a file may ask for any number."""
_PICKLES = (b"\x80", b"PK\x03\x04")
"""How pickles begin, bare or as PyTorch zips them."""
_JOINT = "+"
_SIDES = ("encoder", "head")


@dataclass(frozen=True, eq=False)
class Model:
    """A network in evaluation mode and the card that says what it is."""

    card: ModelCard
    network: nn.Module


def build(
    architecture: str, parameters: Mapping[str, int | float], pooling: Pooling = "per_sample", device: str = "cpu"
) -> nn.Module:
    """Build a network with random weights; on the device "meta" it has shapes and no memory, for `fit`.

    Parameters
    ----------
    architecture
        A word of `ARCHITECTURES`; or an encoder's and a head's with a plus between them, for `EndToEnd`.
    parameters
        Its numbers; those of an end-to-end network are called `encoder.…` and `head.…`. What it does not know is not looked at.
    pooling
        For the networks that know it.

    Raises
    ------
    ModelError
        When the architecture is unknown, a number is missing, or the numbers do not go together.
    """
    if _JOINT in architecture:
        return _end_to_end(architecture, parameters, pooling, device)
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"unknown architecture {printable(architecture)!r}; known are {known}")
    made = ARCHITECTURES[architecture]
    missing = [name for name in made.needs if name not in parameters]
    if missing:
        raise ModelError(f"{architecture} needs {', '.join(missing)}, which the configuration does not give")
    options: dict[str, Any] = {name: int(parameters[name]) for name in (*made.needs, *made.may) if name in parameters}
    for names, least in ((made.needs, 1), (made.may, 0)):
        too_small = [name for name in names if options.get(name, least) < least]
        if too_small:
            raise ModelError(f"{architecture}: {', '.join(too_small)} must be at least {least}")
    if options.get("num_layers", 0) > _MOST_LAYERS:
        raise ModelError(f"{architecture}: num_layers must be at most {_MOST_LAYERS}")
    if made.pools:
        options["pooling"] = pooling
    try:
        with torch.device(device):
            return made.network(**options, dropout=float(parameters.get("dropout", 0.0)))
    except (AssertionError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{architecture} cannot be built from these numbers ({printable(str(error))})") from None


def _end_to_end(architecture: str, parameters: Mapping[str, int | float], pooling: Pooling, device: str) -> EndToEnd:
    words = dict(zip(_SIDES, architecture.split(_JOINT, 1), strict=True))
    tasks = {side: ARCHITECTURES[word].task if word in ARCHITECTURES else None for side, word in words.items()}
    if tasks["encoder"] is not Task.ENCODER or tasks["head"] in (None, Task.ENCODER):
        raise ModelError(f"unknown architecture {printable(architecture)!r}: it is not an encoder's word, a plus and a head's")
    numbers = {
        side: {name.removeprefix(f"{side}."): value for name, value in parameters.items() if name.startswith(f"{side}.")}
        for side in _SIDES
    }
    if numbers["encoder"].get("embed_dim") != numbers["head"].get("embed_dim"):
        raise ModelError(f"{architecture}: encoder.embed_dim and head.embed_dim must be the same")
    return EndToEnd(*(build(words[side], numbers[side], pooling, device) for side in _SIDES))


def fit(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put weights into a network and set it to evaluation; ModelError when a name, a shape or a value does not fit."""
    own = network.state_dict()
    problems = [f"{printable(name)} is missing" for name in own if name not in state]
    problems += [f"{printable(name)} is not part of it" for name in state if name not in own]
    problems += [
        f"{name} has shape {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems += [f"{name} holds values that are not finite" for name in own if name in state and not _finite(state[name])]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ModelError(f"the weights do not fit the configuration: {'; '.join(problems[:3])}{more}")
    network.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in state.items()}, assign=True)
    network.eval()


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def save_weights(state: Mapping[str, Tensor], path: Path, *, half: bool = False) -> str:
    """Write weights as safetensors and return the file's SHA-256, which is the same for the same weights.

    Parameters
    ----------
    half
        Store float32 as float16, in half the space; `fit` makes them float32 again.

    Raises
    ------
    ModelError
        When a number is too large for float16.
    """
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    if half:
        stored = {name: tensor.half() if tensor.dtype is torch.float32 else tensor for name, tensor in stored.items()}
        large = [name for name, tensor in stored.items() if not _finite(tensor) and _finite(state[name])]
        if large:
            raise ModelError(f"{printable(large[0])} holds numbers too large for half precision: store it in full")
    content = safetensors.torch.save(stored)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a safetensors file and return its tensors and its SHA-256; ModelError when it is not one."""
    try:
        content = path.read_bytes()
        return dict(safetensors.torch.load(content)), hashlib.sha256(content).hexdigest()
    except SafetensorError as error:
        if content.startswith(_PICKLES):
            raise ModelError(
                f"{path}: refused, it is a PyTorch pickle under the name of a safetensors file. A pickle can run code when it is"
                " loaded; under its own name (.pt) its plain tensors are read, and nothing else"
            ) from None
        raise ModelError(f"{path}: not a whole safetensors file ({printable(str(error))})") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None


def load_model(folder: Path, pooling: Pooling = "per_sample") -> Model:
    """Load a model from its folder on the shelf.

    Raises
    ------
    ModelError
        When the card or the weights cannot be read, do not fit each other, or the weights are not those that the card names.
    """
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    state, sha256 = read_weights(path)
    if sha256 != card.weights_sha256:
        raise ModelError(f"{path}: not the weights that {card.name}'s card names; import the model again")
    network = build(card.architecture, card.parameters, pooling, device="meta")
    try:
        fit(network, state)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return Model(card, network)
