"""What fine-tuning is told: one pydantic model a task, all with a common part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from sleepfm.models.card import SexCode
from sleepfm.training.settings import (
    AugmentationSettings,
    DataSettings,
    EncoderSettings,
    OptimiserSettings,
    Settings,
    Share,
    TrainingSettings,
    _model_name,
)
from sleepfm.vocabulary import TOKENS_PER_EPOCH

PUBLISHED_STAGE_WEIGHTS: tuple[float, float, float, float, float] = (1.0, 4.0, 2.0, 4.0, 3.0)
"""Weights of Wake, N1, N2, N3 and REM in the published staging head's loss."""

Weight = Annotated[float, Field(ge=0)]
StageWeights = tuple[Weight, Weight, Weight, Weight, Weight] | Literal["balanced"]
"""Of Wake, N1, N2, N3 and REM; `balanced` weighs each by the inverse of how often it is in the training nights."""


class HeadSettings(Settings):
    """A head's network; what is not said follows from the task, the encoder and the labels.

    Attributes
    ----------
    architecture
        A word of `sleepfm.models.networks.ARCHITECTURES`; None for the task's own.
    parameters
        Its numbers.
    """

    architecture: str | None = None
    parameters: dict[str, int | float] = Field(default_factory=dict)


class NightData(DataSettings):
    """Which nights, and who is in which split; `lists` is `train` unless said otherwise.

    Attributes
    ----------
    signals
        Signals files or recordings, or folders of them. May be empty where `embeddings` holds all nights.
    """

    signals: tuple[Path, ...] = ()
    lists: tuple[Literal["pretrain", "train"], ...] = Field(default=("train",), min_length=1)


class FinetuneSettings(Settings):
    """What every task has in common.

    Attributes
    ----------
    encoder
        A model's name on the shelf, or its folder.
    embeddings
        Folder of night embeddings, made where they are not there yet; None for `embeddings` in the run's folder. Runs may
        share one.
    memory_gb
        Nights beyond this are read from the disk each time.
    head
        The network.
    crop_tokens
        Training looks at random stretches of so many 5-s tokens (whole 30-s epochs): the whole night in stretches for labels by
        epoch, one stretch of each night an epoch of training for hazards. None for whole nights.
    modality_dropout
        Chance that a modality of a crop is left out, so that the head copes with recordings that lack it; one always stays.
    validation_nights
        At most so many nights are validated on.
    half_precision
        Store the weights in half precision.
    """

    name: str
    encoder: str = Field(min_length=1)
    data: NightData
    embeddings: Path | None = None
    memory_gb: float = Field(default=4.0, ge=0)
    head: HeadSettings = HeadSettings()
    training: TrainingSettings = TrainingSettings()
    crop_tokens: int | None = Field(default=None, ge=TOKENS_PER_EPOCH)
    modality_dropout: Share = 0.1
    validation_nights: int = Field(default=256, ge=1)
    half_precision: bool = False

    @field_validator("name")
    @classmethod
    def _shelf_name(cls, name: str) -> str:
        return _model_name(name)

    @field_validator("crop_tokens")
    @classmethod
    def _whole_epochs(cls, crop_tokens: int | None) -> int | None:
        if crop_tokens is not None and crop_tokens % TOKENS_PER_EPOCH:
            raise ValueError(f"must be a multiple of {TOKENS_PER_EPOCH}: whole 30-s epochs")
        return crop_tokens

    @model_validator(mode="after")
    def _somewhere(self) -> FinetuneSettings:
        if not self.data.signals and self.embeddings is None:
            raise ValueError("data.signals: give signals files or folders, or embeddings")
        return self


class StagingSettings(FinetuneSettings):
    """`sleepfm finetune staging CONFIG`.

    Attributes
    ----------
    scorings
        Folder of the scorings, searched with all below it; None for the folders of the signals.
    class_weights
        See `StageWeights`.
    normalise
        See `sleepfm.training.classification_loss.Normalise`.
    """

    scorings: Path | None = None
    class_weights: StageWeights = PUBLISHED_STAGE_WEIGHTS
    normalise: Literal["weights", "mask"] = "weights"
    crop_tokens: int | None = Field(default=240, ge=TOKENS_PER_EPOCH)
    training: TrainingSettings = TrainingSettings(batch_size=16)


class BreathingSettings(FinetuneSettings):
    """`sleepfm finetune breathing CONFIG`.

    Attributes
    ----------
    scorings, events
        Folders of the scorings and of the respiratory events; None for the folders of the signals.
    positive_weight
        Of an epoch with an event, against 1 without; `balanced` makes both weigh the same in all.
    night_weight
        Of the night's losses (severity and presence) beside that of its epochs.
    """

    scorings: Path | None = None
    events: Path | None = None
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced"] = "balanced"
    night_weight: Weight = 0.5
    training: TrainingSettings = TrainingSettings(batch_size=8)


class DiseaseSettings(FinetuneSettings):
    """`sleepfm finetune disease CONFIG`.

    Attributes
    ----------
    is_event, time_to_event
        CSVs with `Study ID` and a column a condition: 1 or 0, and years to the event or to the end of the follow-up.
    demographics
        CSV with `Study ID`, `age` in years and `gender` (female, male, or the numbers of `sex_code`). Needed by every head
        that takes age and sex.
    labels
        CSV with `label_idx`, `phecode` and `phenotype` in the order of the conditions' columns; None names them by column.
    age_scale, sex_code
        How age and sex enter the head: age / age_scale, and a number for each sex.
    ties
        See `sleepfm.training.survival_loss.cox`.
    """

    is_event: Path
    time_to_event: Path
    demographics: Path | None = None
    labels: Path | None = None
    age_scale: float = Field(default=100.0, gt=0)
    sex_code: SexCode = {"female": 0.0, "male": 1.0}  # noqa: RUF012 - pydantic copies it
    ties: Literal["efron", "breslow", "published"] = "efron"
    crop_tokens: int | None = Field(default=240, ge=TOKENS_PER_EPOCH)
    training: TrainingSettings = TrainingSettings(
        batch_size=16, accumulate=4, optimiser=OptimiserSettings(learning_rate=1e-3, weight_decay=0.01)
    )

    @field_validator("sex_code")
    @classmethod
    def _both_sexes(cls, sex_code: dict[str, float]) -> dict[str, float]:
        if set(sex_code) != {"female", "male"} or len(set(sex_code.values())) != 2:
            raise ValueError("give different numbers for female and male")
        return sex_code


class ScoredData(DataSettings):
    """Which recordings, and who is in which split; `lists` is `train` unless said otherwise."""

    lists: tuple[Literal["pretrain", "train"], ...] = Field(default=("train",), min_length=1)


class EndToEndSettings(Settings):
    """Staging from signals, without a pretrained encoder.

    Attributes
    ----------
    name
        What the head is called on the shelf; its encoder is `<name>-encoder`.
    scorings, class_weights, normalise
        As for `StagingSettings`.
    encoder
        As in the pretraining that is compared with.
    head
        As in the fine-tuning that is compared with.
    validation_windows
        How many windows decide when to stop.
    """

    name: str
    data: ScoredData
    scorings: Path | None = None
    encoder: EncoderSettings = EncoderSettings()
    head: HeadSettings = HeadSettings()
    class_weights: StageWeights = "balanced"
    normalise: Literal["weights", "mask"] = "weights"
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    validation_windows: int = Field(default=512, ge=1)
    half_precision: bool = False

    @field_validator("name")
    @classmethod
    def _shelf_name(cls, name: str) -> str:
        return _model_name(name)


class DistillSettings(Settings):
    """A fast stand-in for a disease head (`sleepfm.training.distillation`).

    Attributes
    ----------
    name
        What it is called on the shelf.
    teacher
        The disease head's name on the shelf.
    data, embeddings, memory_gb, validation_nights
        As for fine-tuning.
    demographics
        CSV with age and sex, for a teacher that takes them.
    hidden
        Width of the hidden layer.
    stretches
        Random stretches of each night that the teacher is asked about beside the whole.
    """

    name: str
    teacher: str = Field(min_length=1)
    data: NightData
    embeddings: Path | None = None
    memory_gb: float = Field(default=4.0, ge=0)
    demographics: Path | None = None
    hidden: int = Field(default=256, ge=1)
    stretches: int = Field(default=4, ge=0)
    validation_nights: int = Field(default=256, ge=1)
    half_precision: bool = False
    training: TrainingSettings = TrainingSettings(epochs=100, batch_size=64, patience=20)

    @field_validator("name")
    @classmethod
    def _shelf_name(cls, name: str) -> str:
        return _model_name(name)


SETTINGS_OF: dict[str, type[FinetuneSettings]] = {
    "staging": StagingSettings,
    "breathing": BreathingSettings,
    "disease": DiseaseSettings,
}
"""The settings of each task, by the word of the command line."""
