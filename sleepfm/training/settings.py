"""What a training run is told: pydantic models that the YAML file, the command line and the app's forms share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sleepfm.models.card import PUBLISHED_KINDS, UNKNOWN, ModalityCoding, SignalCoding, check_name
from sleepfm.signals.recipes import RECIPES
from sleepfm.vocabulary import MODEL_RATE_HZ, TOKEN_SAMPLES, Kind, Modality

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
ChannelCount = Annotated[int, Field(ge=1)]
PUBLISHED_CHANNELS: dict[Modality, int] = {Modality.BAS: 10, Modality.RESP: 7, Modality.EKG: 2, Modality.EMG: 4}
"""Most channels of a modality in the published configuration."""


class Settings(BaseModel):
    """A group of settings: unknown keys are refused, nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(Settings):
    """Which recordings, and who is in which split.

    Attributes
    ----------
    signals
        Signals files (HDF5) or folders of them.
    trained_on
        The cohorts' names, for the model's card. Simulated recordings say so themselves, whatever stands here.
    splits
        The published JSON form: lists `pretrain`, `train`, `validation` and `test` of study ids or file names.
    lists
        Which lists of the splits are trained on: `pretrain`, `train` or both. `validation` is always for stopping, `test` never
        touched.
    cohort
        CSV with `Study ID` and `Subject ID`; without it each study counts as a subject of its own.
    fraction
        Share of the training subjects that is used (pretraining and label fractions); the choice depends on the seed only, and
        a smaller share is part of a larger one.
    """

    signals: tuple[Path, ...] = Field(min_length=1)
    trained_on: str = UNKNOWN
    splits: Path
    lists: tuple[Literal["pretrain", "train"], ...] = Field(default=("pretrain",), min_length=1)
    cohort: Path | None = None
    fraction: float = Field(default=1.0, gt=0.0, le=1.0)


class OptimiserSettings(Settings):
    """How weights follow the gradient.

    Attributes
    ----------
    kind
        `sgd` as published, or `adamw`.
    schedule
        `step` multiplies the rate by `step_factor` every `step_epochs`; `cosine` falls to zero at the end.
    warmup_steps
        The rate rises linearly over so many steps.
    clip
        Largest norm of the gradient; None for no limit.
    """

    kind: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Literal["constant", "step", "cosine"] = "cosine"
    step_epochs: float = Field(default=5.0, gt=0)
    step_factor: float = Field(default=0.1, gt=0, le=1)
    warmup_steps: int = Field(default=0, ge=0)
    clip: float | None = Field(default=1.0, gt=0)


class TrainingSettings(Settings):
    """The course of a run, whatever is trained.

    Attributes
    ----------
    batch_size
        Samples in a batch over all processes together.
    accumulate
        Batches whose loss is taken together: the loss sees batch_size × accumulate samples, exactly.
    patience
        The run ends after so many validations without a lower validation loss; None to run to the end.
    validate_every
        Steps between validations; None for once an epoch.
    checkpoint_minutes
        A checkpoint is written at each validation, and this often between.
    """

    epochs: int = Field(default=10, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)
    accumulate: int = Field(default=1, ge=1)
    optimiser: OptimiserSettings = OptimiserSettings()
    precision: Literal["fp32", "bf16"] = "fp32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    patience: int | None = Field(default=None, ge=1)
    validate_every: int | None = Field(default=None, ge=1)
    checkpoint_minutes: float = Field(default=5.0, gt=0)
    seed: int = Field(default=0, ge=0)
    loader_threads: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)


class ModalitySettings(Settings):
    """Which kinds of channels make a modality, and at most how many of them."""

    kinds: tuple[Kind, ...] = Field(min_length=1)
    max_channels: int = Field(ge=1)


class NetworkSettings(Settings):
    """A network: its architecture's word and the numbers that it is built from."""

    architecture: str = "SetTransformer"
    parameters: dict[str, int | float] = Field(default_factory=dict)


class EncoderSettings(NetworkSettings):
    """An encoder, and the signals that it takes."""

    recipe: str = "published"
    window_s: float = Field(default=300.0, gt=0)
    modalities: dict[Modality, ModalitySettings] = Field(
        default_factory=lambda: {
            modality: ModalitySettings(kinds=PUBLISHED_KINDS[modality], max_channels=PUBLISHED_CHANNELS[modality])
            for modality in Modality
        },
        min_length=2,
    )

    @field_validator("recipe")
    @classmethod
    def _known_recipe(cls, recipe: str) -> str:
        if recipe not in RECIPES:
            raise ValueError(f"unknown recipe {recipe!r}; known are {', '.join(RECIPES)}")
        return recipe

    @property
    def patch_size(self) -> int:
        """Samples in a token."""
        return int(self.parameters.get("patch_size", TOKEN_SAMPLES))

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * MODEL_RATE_HZ)

    @model_validator(mode="after")
    def _whole_tokens(self) -> EncoderSettings:
        if self.patch_size < 1 or self.window_samples % self.patch_size:
            raise ValueError(
                f"window_s: {self.window_s:g} s is not a whole number of tokens of {self.patch_size / MODEL_RATE_HZ:g} s"
            )
        return self

    def coding(self) -> SignalCoding:
        """Return how the model's card says it."""
        return SignalCoding(
            recipe=self.recipe,
            modalities={
                modality: ModalityCoding(kinds=one.kinds, max_channels=one.max_channels)
                for modality, one in self.modalities.items()
            },
            window_s=self.window_s,
            token_s=self.patch_size / MODEL_RATE_HZ,
        )


class ObjectiveSettings(Settings):
    """What pretraining asks for.

    Attributes
    ----------
    kind
        `leave_one_out` and `pairwise` are the contrastive objectives of the papers; `reconstruction` predicts a left-out
        modality's tokens from the others.
    log_temperature
        Logits are multiplied by its exponential. The published code starts at 0 and learns it.
    temperature_rate
        Factor on the temperature's learning rate: one number needs larger steps than a matrix of them.
    same_night
        Whether windows of the same recording count as negatives.
    """

    kind: Literal["leave_one_out", "pairwise", "reconstruction"] = "leave_one_out"
    log_temperature: float = Field(default=0.0, ge=0)
    learn_temperature: bool = True
    temperature_rate: float = Field(default=1.0, gt=0)
    same_night: Literal["keep", "drop"] = "keep"


class AugmentationSettings(Settings):
    """What training hides from the encoder, so that it copes with any montage.

    Attributes
    ----------
    modality_dropout
        Chance that a modality of a window is left out; two always stay.
    channel_dropout
        Chance that a channel is left out; one of each modality always stays.
    most_channels
        At most so many channels of a modality in a window, drawn anew each time: a number for all modalities, or one for each
        that is to be limited; None for all channels.
    random_offset
        Windows start anywhere (on a 5-s token), not only at multiples of a window.
    """

    modality_dropout: Share = 0.0
    channel_dropout: Share = 0.0
    most_channels: dict[Modality, ChannelCount] | ChannelCount | None = None
    random_offset: bool = True

    def most(self, modality: Modality) -> int | None:
        """Return the most channels of a modality."""
        return self.most_channels.get(modality) if isinstance(self.most_channels, dict) else self.most_channels


class PretrainSettings(Settings):
    """`sleepfm pretrain CONFIG`.

    Attributes
    ----------
    name
        What the encoder is called on the shelf.
    start_from
        An encoder on the shelf, or a model's folder, whose weights training begins with; None for random ones.
    validation_windows
        How many windows decide when to stop.
    half_precision
        Store the weights in half precision.
    """

    name: str
    half_precision: bool = False
    data: DataSettings
    start_from: str | None = None
    encoder: EncoderSettings = EncoderSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    validation_windows: int = Field(default=512, ge=2)

    @field_validator("name")
    @classmethod
    def _shelf_name(cls, name: str) -> str:
        return _model_name(name)

    @model_validator(mode="after")
    def _enough(self) -> PretrainSettings:
        if self.training.batch_size < 2:
            raise ValueError("training.batch_size: a contrastive loss needs at least 2 windows")
        return self


def _model_name(name: str) -> str:
    from sleepfm.errors import RequestError  # noqa: PLC0415 - pydantic wants a ValueError

    try:
        return check_name(name)
    except RequestError as error:
        raise ValueError(str(error)) from None
