"""Models that are only a card in a folder: enough for everything that does not load weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sleepfm.models.card import PUBLISHED_KINDS, STAGE_LABELS, ModalityCoding, ModelCard, SignalCoding, Task, now
from sleepfm.models.shelf import ShelfEntry
from sleepfm.vocabulary import Modality


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put_card(
    root: Path, name: str, task: Task = Task.ENCODER, *, encoder: str = "base", weights: str = "", **more: Any
) -> ShelfEntry:
    """Put a card on a shelf and return the entry; heads belong to the encoder whose weights are made from its name."""
    about: dict[str, Any] = {
        "name": name,
        "task": task,
        "architecture": "SetTransformer",
        "parameters": {"embed_dim": 16},
        "trained_on": "MESA",
        "weights_sha256": sha256_of(weights or name),
        "sleepfm_version": "0.1.0",
        "imported_at": now(),
    }
    if task is Task.ENCODER:
        codings = {modality: ModalityCoding(kinds=PUBLISHED_KINDS[modality], max_channels=4) for modality in Modality}
        about["signals"] = SignalCoding(recipe="published", modalities=codings)
    else:
        about["encoder"] = {"name": encoder, "weights_sha256": sha256_of(encoder)}
        about["architecture"] = "SleepEventLSTMClassifier"
    if task is Task.STAGING:
        about["labels"] = STAGE_LABELS
    if task is Task.DISEASE:
        about |= {"architecture": "NightMLP", "parameters": {"embed_dim": 16, "demographics": 0}}
    card = ModelCard.model_validate(about | more)
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(card.model_dump_json(), encoding="utf-8")
    return ShelfEntry(folder, card)
