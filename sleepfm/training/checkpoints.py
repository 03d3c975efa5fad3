"""Checkpoints: everything that a run needs to go on as if it had never stopped, written whole or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from sleepfm.errors import ModelError, RequestError
from sleepfm.files import atomic_path

LAST = "last.pt"
BEST = "best.pt"


def save_checkpoint(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Write a checkpoint in the place of the one before.

    Raises
    ------
    SleepFMError
        When the disk is full or refuses; the checkpoint before is untouched.
    """
    with atomic_path(folder / name) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # what torch's own writer makes of a full disk
            raise OSError(str(error).splitlines()[0]) from None


def load_checkpoint(folder: Path, name: str) -> dict[str, Any]:
    """Read a checkpoint.

    Raises
    ------
    RequestError
        There is none.
    ModelError
        It is damaged.
    """
    path = folder / name
    if not path.is_file():
        raise RequestError(f"{path}: there is no checkpoint to go on from")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: not a whole checkpoint ({str(error).splitlines()[0]}); start the run anew") from None
    return content
