"""Reading checkpoints in the published form: PyTorch weights beside a `config.json`."""

from __future__ import annotations

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sleepfm.errors import ModelError, RequestError
from sleepfm.models.card import PUBLISHED_KINDS, WEIGHT_SUFFIXES, ModalityCoding, SignalCoding, Task
from sleepfm.models.networks import ARCHITECTURES, build, fit, read_weights
from sleepfm.text import printable
from sleepfm.vocabulary import MODEL_RATE_HZ, TOKEN_SAMPLES, WINDOW_S, Modality

CONFIG_FILE = "config.json"
_PREFIX = "module."
"""What torch.nn.DataParallel puts before every name."""


@dataclass(frozen=True, eq=False)
class PublishedModel:
    """What a published checkpoint and its configuration say."""

    task: Task
    architecture: str
    parameters: dict[str, int | float]
    signals: SignalCoding | None
    state: dict[str, Tensor]


def locate(path: Path, config: Path | None) -> tuple[Path, Path]:
    """Return the weights file and the configuration that a path stands for.

    Parameters
    ----------
    path
        A folder with one weights file, or a weights file.
    config
        The configuration; by default `<stem>.config.json`, then `config.json`, beside the weights.

    Raises
    ------
    RequestError
        When one of them is not there, or a folder holds several weights files.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix in WEIGHT_SUFFIXES and file.is_file())
        if len(found) != 1:
            names = ", ".join(printable(file.name) for file in found) or "none"
            raise RequestError(
                f"{path}: needs exactly one weights file ({', '.join(WEIGHT_SUFFIXES)}), has {names}; name the file"
            )
        path = found[0]
    elif not path.is_file():
        raise RequestError(f"{path}: no such file or folder")
    candidates = [config] if config else [path.with_name(f"{path.stem}.config.json"), path.with_name(CONFIG_FILE)]
    for candidate in candidates:
        if candidate.is_file():
            return path, candidate
    raise RequestError(f"{path}: no configuration at {' or '.join(str(c) for c in candidates)}; give one with --config")


def read_published(weights: Path, config: Path, task: Task | None = None) -> PublishedModel:
    """Read a checkpoint in the published form.

    Parameters
    ----------
    weights, config
        See `locate`.
    task
        Overrides what the configuration's `model` word says.

    Raises
    ------
    ModelError
        When a file cannot be read or holds code, or when they do not fit each other.
    RequestError
        When `task` does not go with the configuration.
    """
    state = read_state(weights)
    sections = _sections(config, task)
    failures = []
    for section in sections:
        try:
            return _matched(section, state, task)
        except ModelError as error:
            failures.append(str(error))
    raise ModelError(f"{weights}: {failures[0]} ({config.name})")


def read_state(path: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors without the `module.` prefix; ModelError when there is more in it than tensors."""
    if path.suffix == ".safetensors":
        state: Any = read_weights(path)[0]
    else:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read is refused below anyway
                state = torch.load(path, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError as error:
            found = re.search(r"GLOBAL (\S+)", str(error))
            what = f" ({printable(found[1])})" if found else ""
            raise ModelError(
                f"{path}: refused, it is no plain checkpoint: it holds Python objects{what}, and loading them could run code."
                " Ask for a safetensors file or a bare state dict"
            ) from None
        except OSError as error:
            raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None
        except Exception:  # on hostile bytes torch.load raises whatever its parser stumbles over
            raise ModelError(f"{path}: not a whole PyTorch checkpoint; fetch it again") from None
        if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
            state = state["state_dict"]
    if not isinstance(state, dict) or not state or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ModelError(f"{path}: holds no state dict (names with tensors)")
    for name, tensor in state.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise ModelError(f"{path}: {printable(str(name))} is no plain tensor (sparse, quantized or without numbers)")
        # a few bytes may stand for any shape, which takes no room until somebody looks at the numbers
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ModelError(f"{path}: {printable(str(name))} says it has more numbers than the file holds")
    return {str(name).removeprefix(_PREFIX): tensor for name, tensor in state.items()}


def _sections(config: Path, task: Task | None) -> list[Mapping[str, Any]]:
    """Return the configurations in a file: itself, or several named ones (one for each head)."""
    try:
        content = json.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{config}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{config}: not JSON") from None
    if not isinstance(content, dict):
        raise ModelError(f"{config}: not a configuration")
    if "model" in content or not any(isinstance(value, dict) and "model" in value for value in content.values()):
        return [content]
    sections: list[Mapping[str, Any]] = [value for value in content.values() if isinstance(value, dict) and "model" in value]
    words = {name for name, made in ARCHITECTURES.items() if made.task is task}
    return [section for section in sections if section["model"] in words] or sections


def _matched(section: Mapping[str, Any], state: Mapping[str, Tensor], task: Task | None) -> PublishedModel:
    architecture = section.get("model")
    if architecture is None and task is not None:
        architecture = next((word for word, made in ARCHITECTURES.items() if made.task is task), None)
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        raise ModelError(
            f"the configuration's model word is {printable(str(architecture))}; known are {', '.join(ARCHITECTURES)}"
        )
    made = ARCHITECTURES[architecture]
    if task is not None and (task is Task.ENCODER) != (made.task is Task.ENCODER):
        raise RequestError(f"--task {task} does not go with {architecture}, which is for {made.task}")
    numbers = section.get("model_params", section)
    if not isinstance(numbers, dict):
        raise ModelError("the configuration's model_params are not a table of numbers")
    parameters = {name: numbers[name] for name in made.numbers if name in numbers}
    not_numbers = [name for name, value in parameters.items() if isinstance(value, bool) or not isinstance(value, int | float)]
    if not_numbers:
        raise ModelError(f"the configuration's {', '.join(not_numbers)} are not numbers")
    signals = _signals(section) if made.task is Task.ENCODER else None
    network = build(architecture, parameters, device="meta")
    fit(network, state)
    return PublishedModel(task or made.task, architecture, parameters, signals, network.state_dict())


def _signals(section: Mapping[str, Any]) -> SignalCoding:
    """Return what the encoder eats; ModelError when it is not what this software makes."""
    for name, ours in (("sampling_freq", MODEL_RATE_HZ), ("sampling_duration", WINDOW_S / 60), ("patch_size", TOKEN_SAMPLES)):
        if section.get(name, ours) != ours:
            raise ModelError(f"the encoder wants {name} {printable(str(section[name]))}; supported is {ours:g}")
    words = section.get("modality_types", list(Modality))
    try:
        modalities = {
            Modality(word): ModalityCoding(kinds=PUBLISHED_KINDS[Modality(word)], max_channels=section[f"{word}_CHANNELS"])
            for word in words
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the configuration's modalities and their channel counts cannot be used ({printable(str(error))})"
        ) from None
    return SignalCoding(recipe="published", modalities=modalities)
