"""A shelf, and checkpoints in the published form made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sleepfm.models.shelf import Shelf
from tests.models.random_models import random_network

CheckpointMaker = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> CheckpointMaker:
    """Return a function that writes a checkpoint in the published form and returns its folder."""

    def write(config: dict[str, Any], name: str = "published", *, bare: bool = False, seed: int = 0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        state = {f"module.{key}": tensor for key, tensor in random_network(config, seed).state_dict().items()}
        torch.save(state if bare else {"state_dict": state, "epoch": 3, "temperature": 0.0, "best_loss": 1.0}, folder / "best.pt")
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Spinning threads of small matrix products slow each other down where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "models", tmp_path / "nothing came with the software")
