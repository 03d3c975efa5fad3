"""How long a night's risk takes after its embedding: all coalitions, their intervals, and the night without each window.

The head has the published size and random weights: time does not depend on what the weights are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import torch

import sleepfm
from sleepfm.analysis.shapley import shapley_values
from sleepfm.inference.device import Precision, lean_attention, one_thread_each
from sleepfm.inference.night_coalitions import NightCoalitions, People, night_coalitions
from sleepfm.inference.risk import RESAMPLES, coalition_scores, window_intervals
from sleepfm.models.card import SIMULATED, DemographicCoding, EncoderLink, ModelCard, Task
from sleepfm.models.networks import Model, build
from sleepfm.vocabulary import TOKEN_S, WINDOW_S, Modality

Made = TypeVar("Made")

PUBLISHED_SIZE: dict[str, int | float] = {
    "embed_dim": 128,
    "num_heads": 8,
    "num_layers": 2,
    "num_classes": 1065,
    "pooling_head": 8,
    "max_seq_length": 6480,
    "dropout": 0.3,
}
_PERSON = People.one(0.57, 1.0)


@dataclass(frozen=True)
class RiskBenchmark:
    """Seconds for one night, each repeat.

    Attributes
    ----------
    coalitions_s
        Scores and Shapley values of all coalitions and conditions, from the embeddings.
    intervals_s
        The bootstrap over windows, after that.
    occlusion_s
        The night without each window, after that.
    difference
        Largest difference between a coalition's score and what the head itself says of it, over some coalitions and all
        conditions.
    """

    coalitions_s: tuple[float, ...]
    intervals_s: tuple[float, ...]
    occlusion_s: tuple[float, ...]
    difference: float


def published_size_head(seed: int = 0) -> Model:
    """Return a disease head of the published size with random weights; its card says simulated, so nothing ever picks it."""
    torch.manual_seed(seed)
    architecture = "DiagnosisFinetuneFullLSTMCOXPHWithDemo"
    card = ModelCard(
        name="random-weights",
        task=Task.DISEASE,
        architecture=architecture,
        parameters=PUBLISHED_SIZE,
        encoder=EncoderLink(name="random-weights", weights_sha256="0" * 64),
        demographics=DemographicCoding(age_scale=100.0, sex_code={"female": 0.0, "male": 1.0}),
        trained_on=SIMULATED,
        weights_sha256="0" * 64,
        sleepfm_version=sleepfm.__version__,
        imported_at=datetime.now(UTC),
    )
    return Model(card, build(architecture, PUBLISHED_SIZE).eval())


def benchmark_risk(
    *, hours: float = 8.0, repeats: int = 3, precision: Precision = "fp32", occlusion: bool = True
) -> RiskBenchmark:
    """Time the risk of a made-up night with all four modalities, 1,065 conditions.

    Parameters
    ----------
    precision
        See `CoalitionPooling`.
    occlusion
        Also the night without each window.
    """
    model = published_size_head()
    tokens = round(hours * 3600 / TOKEN_S)
    rng = np.random.default_rng(0)
    rows = {modality: rng.standard_normal((tokens, 128), dtype=np.float32) for modality in Modality}
    window_n = np.arange(tokens) // round(WINDOW_S / TOKEN_S)

    def all_coalitions() -> tuple[NightCoalitions, np.ndarray]:
        night = night_coalitions(model, rows, window_n, precision=precision)
        value_ck = coalition_scores(night, [_PERSON], np.ones((1, night.windows)))[0]
        shapley_values(value_ck)
        return night, value_ck

    runs = [_timed(all_coalitions) for _ in range(repeats)]
    night, value_ck = runs[-1][1]
    with one_thread_each():
        intervals = [_timed(lambda: window_intervals(night, [_PERSON], RESAMPLES, value_ck.size))[0] for _ in range(repeats)]
    occluded = [_timed(lambda: night.occluded(_PERSON))[0] for _ in range(repeats if occlusion else 0)]
    return RiskBenchmark(
        tuple(seconds for seconds, _ in runs), tuple(intervals), tuple(occluded), _difference(model, rows, value_ck)
    )


def _timed(work: Callable[[], Made]) -> tuple[float, Made]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def _difference(model: Model, rows: dict[Modality, np.ndarray], value_ck: np.ndarray) -> float:
    z_bmse = torch.from_numpy(np.stack(list(rows.values()))[None])
    most = 0.0
    for coalition in (0b1111, 0b0011, 0b1110):
        padding_bms = torch.ones(z_bmse.shape[:3], dtype=torch.bool)
        padding_bms[0, [m for m in range(len(rows)) if coalition >> m & 1]] = False
        with one_thread_each(), lean_attention(), torch.inference_mode():
            own_k = model.network(z_bmse, padding_bms, torch.from_numpy(_PERSON.coded_n2.astype(np.float32)))[0].numpy()
        most = max(most, float(np.abs(own_k - value_ck[coalition]).max()))
    return most
