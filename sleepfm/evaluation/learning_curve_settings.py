"""What a learning curve is told. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from sleepfm.analysis.resampling import RESAMPLES
from sleepfm.training.finetune_settings import HeadSettings, NightData, StageWeights
from sleepfm.training.settings import OptimiserSettings, Settings, TrainingSettings

NIGHTS: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
CURVE_TRAINING = TrainingSettings(
    epochs=10_000,
    max_steps=120,
    batch_size=8,
    validate_every=20,
    patience=2,
    optimiser=OptimiserSettings(learning_rate=2e-3, warmup_steps=10, weight_decay=0.01),
)
"""The same number of steps however few nights there are; it ends when the validation people gain nothing more."""


class CurveSettings(Settings):
    """How well sleep is staged after learning from 1, 2, 4, … labelled nights.

    Attributes
    ----------
    encoder
        A model's name on the shelf, or its folder.
    data
        The nights and their lists: those of `data.lists` are learned from, one night a person first; `validation` decides when to
        stop and how strong a probe's penalty is, for every method alike; `test` is tested on.
    scorings
        Folder of the scorings; None for the folders of the signals.
    recordings
        Folders of recordings (EDF), which YASA prefers to signals at 128 Hz.
    embeddings
        Folder of night embeddings, made where they are not there yet; None for the curve's own.
    nights
        How many labelled nights are learned from; what is more than there are is left out and said.
    seeds
        Each draws other nights and begins with other weights.
    yasa
        Stage the test nights with YASA too.
    validation_nights, test_nights
        At most so many.
    """

    encoder: str = Field(min_length=1)
    data: NightData
    scorings: Path | None = None
    recordings: tuple[Path, ...] = ()
    embeddings: Path | None = None
    nights: tuple[int, ...] = Field(default=NIGHTS, min_length=1)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    yasa: bool = True
    head: HeadSettings = HeadSettings()
    class_weights: StageWeights = "balanced"
    crop_tokens: int = Field(default=120, ge=6, multiple_of=6)
    modality_dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    training: TrainingSettings = CURVE_TRAINING
    validation_nights: int = Field(default=8, ge=1)
    test_nights: int = Field(default=64, ge=2)
    resamples: int = Field(default=RESAMPLES, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    memory_gb: float = Field(default=4.0, ge=0)

    @field_validator("nights", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        if min(values) < 0:
            raise ValueError("must not be below 0")
        return tuple(sorted(set(values)))

    @field_validator("nights")
    @classmethod
    def _some(cls, nights: tuple[int, ...]) -> tuple[int, ...]:
        if nights[0] < 1:
            raise ValueError("begins with 1 night at least")
        return nights
