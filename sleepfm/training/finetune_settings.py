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
    """A head's network; what is not said follows from the task, the encoder and the labels."""

    architecture: str | None = Field(default=None, description="The network's kind; empty for the task's own.")
    parameters: dict[str, int | float] = Field(
        default_factory=dict,
        description="What the network is built from; what is not said follows from the task and the encoder.",
    )


class NightData(DataSettings):
    """Which nights, and who is in which split; `lists` is `train` unless said otherwise."""

    signals: tuple[Path, ...] = Field(
        default=(),
        description="Signals files or recordings, or folders of them. May be empty where embeddings holds all nights.",
    )
    lists: tuple[Literal["pretrain", "train"], ...] = Field(
        default=("train",),
        min_length=1,
        title="Lists to train on",
        description="validation is always for stopping, test is never touched.",
    )


class FinetuneSettings(Settings):
    """What every task has in common."""

    name: str = Field(description="What the head is called on the shelf: letters, digits, dot, underscore, hyphen.")
    encoder: str = Field(min_length=1, description="A model's name on the shelf, or its folder.")
    data: NightData = Field(description="Which nights, and who is in which split.")
    embeddings: Path | None = Field(
        default=None,
        description="Folder of night embeddings, made where they are not there yet; empty for one in the run's folder. Runs may"
        " share one.",
        json_schema_extra={"made": True},
    )
    memory_gb: float = Field(
        default=4.0,
        ge=0,
        title="Nights in memory",
        description="Nights beyond this are read from the disk each time.",
        json_schema_extra={"unit": "GB"},
    )
    head: HeadSettings = Field(default=HeadSettings(), description="The head's network.")
    training: TrainingSettings = Field(default=TrainingSettings(), description="The course of the run.")
    crop_tokens: int | None = Field(
        default=None,
        ge=TOKENS_PER_EPOCH,
        title="Crop",
        description="Training looks at random stretches of so many 5-s tokens (whole 30-s epochs): the whole night in stretches"
        " for labels by epoch, one stretch of each night an epoch of training for hazards. Empty for whole nights.",
        json_schema_extra={"unit": "5-s tokens"},
    )
    modality_dropout: Share = Field(
        default=0.1,
        description="Chance that a modality of a crop is left out, so that the head copes with recordings that lack it; one"
        " always stays.",
    )
    validation_nights: int = Field(
        default=256,
        ge=1,
        title="Validate on",
        description="At most so many nights are validated on.",
        json_schema_extra={"unit": "nights"},
    )
    half_precision: bool = Field(
        default=False, title="Store in half precision", description="The model's file is half as large, its numbers coarser."
    )

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
    """`sleepfm finetune staging CONFIG`."""

    scorings: Path | None = Field(
        default=None,
        description="Folder of the scorings, searched with all below it; empty for the folders of the signals.",
    )
    class_weights: StageWeights = Field(
        default=PUBLISHED_STAGE_WEIGHTS,
        description="Weights of the stages in the loss; balanced weighs each by the inverse of how often it is in the training"
        " nights.",
        json_schema_extra={"parts": ["Wake", "N1", "N2", "N3", "REM"]},
    )
    normalise: Literal["weights", "mask"] = Field(
        default="weights",
        description="What the loss is divided by: the sum of the weights of the scored epochs (the weighted mean), or their"
        " number, as the published code does.",
    )
    crop_tokens: int | None = Field(
        default=240,
        ge=TOKENS_PER_EPOCH,
        title="Crop",
        description="Training looks at stretches of so many 5-s tokens (whole 30-s epochs) of the night; empty for whole nights.",
        json_schema_extra={"unit": "5-s tokens"},
    )
    training: TrainingSettings = Field(default=TrainingSettings(batch_size=16), description="The course of the run.")


class BreathingSettings(FinetuneSettings):
    """`sleepfm finetune breathing CONFIG`."""

    scorings: Path | None = Field(default=None, description="Folder of the scorings; empty for the folders of the signals.")
    events: Path | None = Field(
        default=None, description="Folder of the respiratory events; empty for the folders of the signals."
    )
    positive_weight: Annotated[float, Field(gt=0)] | Literal["balanced"] = Field(
        default="balanced",
        description="Weight of an epoch with an event, against 1 without; balanced makes both weigh the same in all.",
    )
    night_weight: Weight = Field(
        default=0.5, description="Weight of the night's losses (severity and presence) beside that of its epochs."
    )
    training: TrainingSettings = Field(default=TrainingSettings(batch_size=8), description="The course of the run.")


class DiseaseSettings(FinetuneSettings):
    """`sleepfm finetune disease CONFIG`."""

    is_event: Path = Field(description="CSV with Study ID and a column a condition: 1 for an event, 0 for none.")
    time_to_event: Path = Field(
        description="CSV with Study ID and a column a condition: years to the event or to the end of the follow-up."
    )
    demographics: Path | None = Field(
        default=None,
        description="CSV with Study ID, age in years and gender (female, male, or the numbers of sex_code). Needed by every head"
        " that takes age and sex.",
    )
    labels: Path | None = Field(
        default=None,
        title="Names of conditions",
        description="CSV with label_idx, phecode and phenotype in the order of the conditions' columns; empty names them by"
        " column.",
    )
    age_scale: float = Field(
        default=100.0, gt=0, description="The head is given age / age scale.", json_schema_extra={"unit": "years"}
    )
    sex_code: SexCode = Field(
        default={"female": 0.0, "male": 1.0}, description="The number that stands for each sex; different ones."
    )
    ties: Literal["efron", "breslow", "published"] = Field(
        default="efron",
        description="How people whose events fall on the same time enter Cox's partial likelihood; published knows no ties: who"
        " is sorted first among equals leaves first.",
    )
    crop_tokens: int | None = Field(
        default=240,
        ge=TOKENS_PER_EPOCH,
        title="Crop",
        description="Training looks at one random stretch of so many 5-s tokens of each night an epoch; empty for whole nights.",
        json_schema_extra={"unit": "5-s tokens"},
    )
    training: TrainingSettings = Field(
        default=TrainingSettings(batch_size=16, accumulate=4, optimiser=OptimiserSettings(learning_rate=1e-3, weight_decay=0.01)),
        description="The course of the run.",
    )

    @field_validator("sex_code")
    @classmethod
    def _both_sexes(cls, sex_code: dict[str, float]) -> dict[str, float]:
        if set(sex_code) != {"female", "male"} or len(set(sex_code.values())) != 2:
            raise ValueError("give different numbers for female and male")
        return sex_code


class ScoredData(DataSettings):
    """Which recordings, and who is in which split; `lists` is `train` unless said otherwise."""

    lists: tuple[Literal["pretrain", "train"], ...] = Field(
        default=("train",),
        min_length=1,
        title="Lists to train on",
        description="validation is always for stopping, test is never touched.",
    )


class EndToEndSettings(Settings):
    """Staging from signals, without a pretrained encoder; what is not said here is as for `StagingSettings`."""

    name: str = Field(description="What the head is called on the shelf; its encoder is <name>-encoder.")
    data: ScoredData
    scorings: Path | None = None
    encoder: EncoderSettings = Field(default=EncoderSettings(), description="As in the pretraining that is compared with.")
    head: HeadSettings = Field(default=HeadSettings(), description="As in the fine-tuning that is compared with.")
    class_weights: StageWeights = "balanced"
    normalise: Literal["weights", "mask"] = "weights"
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    validation_windows: int = Field(default=512, ge=1, description="How many windows decide when to stop.")
    half_precision: bool = False

    @field_validator("name")
    @classmethod
    def _shelf_name(cls, name: str) -> str:
        return _model_name(name)


class DistillSettings(Settings):
    """A fast stand-in for a disease head (`sleepfm.training.distillation`); what is not said here is as for fine-tuning."""

    name: str = Field(description="What it is called on the shelf.")
    teacher: str = Field(min_length=1, description="The disease head's name on the shelf.")
    data: NightData
    embeddings: Path | None = None
    memory_gb: float = Field(default=4.0, ge=0)
    demographics: Path | None = Field(default=None, description="CSV with age and sex, for a teacher that takes them.")
    hidden: int = Field(default=256, ge=1, description="Width of the hidden layer.")
    stretches: int = Field(
        default=4, ge=0, description="Random stretches of each night that the teacher is asked about beside the whole."
    )
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
