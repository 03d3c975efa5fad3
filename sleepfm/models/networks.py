"""From a card to a network: which word of the published configurations means which class, and reading its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from sleepfm.errors import ModelError
from sleepfm.models.card import WEIGHTS_FILE, ModelCard, Task, read_card
from sleepfm.models.encoder import Encoder
from sleepfm.models.heads import DiseaseHead, StagingHead
from sleepfm.models.pooling import Pooling
from sleepfm.text import printable


@dataclass(frozen=True)
class Architecture:
    """A network that we can build, and the numbers that it is built from."""

    task: Task
    network: type[Encoder] | type[StagingHead] | type[DiseaseHead]
    needs: tuple[str, ...]


_HEAD_NEEDS = ("embed_dim", "num_heads", "num_layers", "num_classes", "pooling_head", "max_seq_length")
ARCHITECTURES: dict[str, Architecture] = {
    "SetTransformer": Architecture(Task.ENCODER, Encoder, ("embed_dim", "num_heads", "num_layers", "pooling_head", "patch_size")),
    "SleepEventLSTMClassifier": Architecture(Task.STAGING, StagingHead, _HEAD_NEEDS),
    "DiagnosisFinetuneFullLSTMCOXPHWithDemo": Architecture(Task.DISEASE, DiseaseHead, _HEAD_NEEDS),
}
"""By the `model` word of the published configurations."""


@dataclass(frozen=True, eq=False)
class Model:
    """A network in evaluation mode and the card that says what it is."""

    card: ModelCard
    network: nn.Module


def build(
    architecture: str, parameters: Mapping[str, int | float], pooling: Pooling = "per_sample", device: str = "cpu"
) -> nn.Module:
    """Build a network with random weights; on the device "meta" it has shapes and no memory, for `fit`.

    Raises
    ------
    ModelError
        When the architecture is unknown, a number is missing, or the numbers do not go together.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ModelError(f"unknown architecture {printable(architecture)!r}; known are {known}")
    made = ARCHITECTURES[architecture]
    missing = [name for name in made.needs if name not in parameters]
    if missing:
        raise ModelError(f"{architecture} needs {', '.join(missing)}, which the configuration does not give")
    whole = {name: int(parameters[name]) for name in made.needs}
    too_small = [name for name, value in whole.items() if value < 1]
    if too_small:
        raise ModelError(f"{architecture}: {', '.join(too_small)} must be at least 1")
    try:
        with torch.device(device):
            return made.network(**whole, dropout=float(parameters.get("dropout", 0.0)), pooling=pooling)
    except (AssertionError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{architecture} cannot be built from these numbers ({printable(str(error))})") from None


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


def save_weights(state: Mapping[str, Tensor], path: Path) -> str:
    """Write weights as safetensors and return the file's SHA-256, which is the same for the same weights."""
    content = safetensors.torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()})
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read a safetensors file and return its tensors and its SHA-256; ModelError when it is not one."""
    try:
        content = path.read_bytes()
        return dict(safetensors.torch.load(content)), hashlib.sha256(content).hexdigest()
    except SafetensorError as error:
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
