"""A folder of models as they come with the software, tiny and with random weights: an encoder and its staging head."""

from __future__ import annotations

from pathlib import Path

from sleepfm.models.card import PUBLISHED_KINDS, SIMULATED, STAGE_LABELS, EncoderLink, ModalityCoding, SignalCoding, Task
from sleepfm.models.shelf import Shelf
from sleepfm.vocabulary import Modality
from tests.models.random_models import ENCODER, HEAD, random_network


def bundle(folder: Path, trained_on: str = SIMULATED) -> Path:
    """Make `demo-encoder` and `demo-staging` in the folder and return it."""
    shelf = Shelf(folder, folder / "nothing came with the software")
    modalities = {modality: ModalityCoding(kinds=PUBLISHED_KINDS[modality], max_channels=4) for modality in Modality}
    about = {
        "task": Task.ENCODER,
        "architecture": "SetTransformer",
        "parameters": ENCODER,
        "signals": SignalCoding(recipe="published", modalities=modalities),
        "trained_on": trained_on,
    }
    network = random_network({"model": "SetTransformer", **ENCODER})
    encoder = shelf.add("demo-encoder", network.state_dict(), about)
    parameters = {**HEAD, "num_classes": len(STAGE_LABELS)}
    about = {
        "task": Task.STAGING,
        "architecture": "SleepEventLSTMClassifier",
        "parameters": parameters,
        "encoder": EncoderLink(name=encoder.name, weights_sha256=encoder.card.weights_sha256),
        "labels": STAGE_LABELS,
        "trained_on": trained_on,
    }
    head = random_network({"model": "SleepEventLSTMClassifier", "model_params": parameters}, seed=1)
    shelf.add("demo-staging", head.state_dict(), about)
    return folder
