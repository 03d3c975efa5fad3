"""How fast the embedding engine is, beside a plain forward pass of the same encoder on the same night.

The encoder has the published size and random weights: time does not depend on what the weights are. Both are run in turn, so
that whatever else the machine does hits both alike.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import sleepfm
from sleepfm.inference.channel_choice import choose_channels
from sleepfm.inference.device import Precision
from sleepfm.inference.embedding import coding_of, embed
from sleepfm.inference.embedding_files import read_embeddings
from sleepfm.models.card import PUBLISHED_KINDS, SIMULATED, ModalityCoding, ModelCard, SignalCoding, Task
from sleepfm.models.encoder import Encoder
from sleepfm.models.networks import Model, build
from sleepfm.signals.store import open_signals
from sleepfm.vocabulary import Modality

PUBLISHED_SIZE: dict[str, int | float] = {
    "embed_dim": 128,
    "num_heads": 8,
    "num_layers": 6,
    "pooling_head": 8,
    "patch_size": 640,
    "dropout": 0.3,
}
PUBLISHED_CHANNELS: dict[Modality, int] = {Modality.BAS: 10, Modality.RESP: 7, Modality.EKG: 2, Modality.EMG: 4}


@dataclass(frozen=True)
class EmbeddingBenchmark:
    """Seconds for one night by each way, run in turn, and the smallest cosine between their embeddings."""

    embed_s: tuple[float, ...]
    plain_s: tuple[float, ...]
    cosine: float

    @property
    def ratio(self) -> float:
        """How many times faster the engine is, by the best run of each."""
        return min(self.plain_s) / min(self.embed_s)


def published_size_model(recipe: str = "published", seed: int = 0) -> Model:
    """Return an encoder of the published size with random weights; its card says simulated, so nothing ever picks it."""
    torch.manual_seed(seed)
    network = build("SetTransformer", PUBLISHED_SIZE).eval()
    coding = {m: ModalityCoding(kinds=PUBLISHED_KINDS[m], max_channels=count) for m, count in PUBLISHED_CHANNELS.items()}
    card = ModelCard(
        name="random-weights",
        task=Task.ENCODER,
        architecture="SetTransformer",
        parameters=PUBLISHED_SIZE,
        signals=SignalCoding(recipe=recipe, modalities=coding),
        trained_on=SIMULATED,
        weights_sha256="0" * 64,
        sleepfm_version=sleepfm.__version__,
        imported_at=datetime.now(UTC),
    )
    return Model(card, network)


def benchmark_embedding(
    signals_path: Path, *, precision: Precision = "fp32", repeats: int = 3, batch: int = 16
) -> EmbeddingBenchmark:
    """Time the embedding of one signals file, file to files, against a plain forward pass.

    Parameters
    ----------
    precision
        Of the engine; the plain forward pass is always fp32.
    batch
        Windows at a time in the plain forward pass.
    """
    model = published_size_model()
    embed_s, plain_s, cosine = [], [], 1.0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(repeats):
            started = time.perf_counter()
            plain = plain_forward(signals_path, model, batch)
            plain_s.append(time.perf_counter() - started)
            record = embed(signals_path, model, Path(folder), device="cpu", precision=precision)
            embed_s.append(record.seconds)
        for path, rows in zip(record.files, plain, strict=True):
            ours = read_embeddings(path).rows
            cosine = min(cosine, *(_cosine(ours[modality], rows[modality]) for modality in rows))
    return EmbeddingBenchmark(tuple(embed_s), tuple(plain_s), cosine)


def plain_forward(
    signals_path: Path, model: Model, batch: int = 16
) -> tuple[dict[Modality, np.ndarray], dict[Modality, np.ndarray]]:
    """Return (token, E) and (window, E) of each modality as the network itself computes them, whole windows only."""
    encoder = model.network
    assert isinstance(encoder, Encoder)
    tokens: dict[Modality, np.ndarray] = {}
    windows: dict[Modality, np.ndarray] = {}
    with open_signals(signals_path) as signals, torch.inference_mode():
        chosen, _ = choose_channels(signals, coding_of(model), {})
        for modality, channels in chosen.items():
            parts = []
            for start in range(0, signals.n_windows, batch):
                some = range(start, min(start + batch, signals.n_windows))
                x_bct = torch.from_numpy(np.stack([signals.window(modality, k, channels).x_ct for k in some]))
                parts.append(encoder(x_bct))
            windows[modality] = torch.cat([window_be for window_be, _ in parts]).numpy()
            tokens[modality] = torch.cat([tokens_bse for _, tokens_bse in parts]).flatten(0, 1).numpy()
    return tokens, windows


def _cosine(a_ne: np.ndarray, b_ne: np.ndarray) -> float:
    n = min(len(a_ne), len(b_ne))  # the plain pass embeds padding too
    a_ne, b_ne = a_ne[:n], b_ne[:n]
    return float(((a_ne * b_ne).sum(1) / (np.linalg.norm(a_ne, axis=1) * np.linalg.norm(b_ne, axis=1))).min())
