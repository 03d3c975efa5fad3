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
    """A group of settings: unknown keys are refused, nothing changes after it was read.

    What a field means stands in its `description`, what it counts in its `unit`; the command line's help and the app's forms
    take both from there. `choices` names the words that a free text may be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Which recordings, and who is in which split."""

    signals: tuple[Path, ...] = Field(min_length=1, description="Signals files (HDF5) or folders of them.")
    trained_on: str = Field(
        default=UNKNOWN,
        title="Cohorts' names",
        description="The cohorts' names, for the model's card. Simulated recordings say so themselves, whatever stands here.",
    )
    splits: Path = Field(
        description="JSON with the lists pretrain, train, validation and test of study ids or file names; no subject in two."
    )
    lists: tuple[Literal["pretrain", "train"], ...] = Field(
        default=("pretrain",),
        min_length=1,
        title="Lists to train on",
        description="validation is always for stopping, test is never touched.",
    )
    cohort: Path | None = Field(
        default=None, description="CSV with Study ID and Subject ID; without it each study counts as a subject of its own."
    )
    fraction: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        title="Share of subjects",
        description="Share of the training subjects that is used. The choice depends on the seed only, and a smaller share is"
        " part of a larger one.",
    )


class OptimiserSettings(Settings):
    """How weights follow the gradient."""

    kind: Literal["sgd", "adamw"] = Field(default="adamw", description="sgd as published, or adamw.")
    learning_rate: float = Field(default=1e-3, gt=0, description="The rate after the warm-up, before the schedule lowers it.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of sgd; adamw has its own.")
    weight_decay: float = Field(default=0.0, ge=0, description="How strongly weights are drawn to zero at each step.")
    schedule: Literal["constant", "step", "cosine"] = Field(
        default="cosine", description="step multiplies the rate by a factor every few epochs; cosine falls to zero at the end."
    )
    step_epochs: float = Field(
        default=5.0,
        gt=0,
        title="Step every",
        description="Of the schedule step: how often the rate is lowered.",
        json_schema_extra={"unit": "epochs"},
    )
    step_factor: float = Field(
        default=0.1, gt=0, le=1, description="Of the schedule step: what the rate is multiplied by each time."
    )
    warmup_steps: int = Field(
        default=0,
        ge=0,
        title="Warm-up",
        description="The rate rises linearly over so many steps.",
        json_schema_extra={"unit": "steps"},
    )
    clip: float | None = Field(
        default=1.0,
        gt=0,
        title="Gradient limit",
        description="Largest norm of the gradient; empty for no limit.",
    )


class TrainingSettings(Settings):
    """The course of a run, whatever is trained."""

    epochs: int = Field(default=10, ge=1, description="How often training goes through the data.")
    max_steps: int | None = Field(
        default=None,
        ge=1,
        title="Stop after",
        description="The run ends after so many steps, even within an epoch; empty for no limit.",
        json_schema_extra={"unit": "steps"},
    )
    batch_size: int = Field(
        default=64,
        ge=1,
        title="Batch",
        description="Samples in a batch over all processes together: windows in pretraining, nights or crops in fine-tuning.",
        json_schema_extra={"unit": "samples"},
    )
    accumulate: int = Field(
        default=1,
        ge=1,
        title="Accumulate",
        description="Batches whose loss is taken together: the loss sees batch × accumulate samples, exactly.",
        json_schema_extra={"unit": "batches"},
    )
    optimiser: OptimiserSettings = Field(default=OptimiserSettings(), description="How weights follow the gradient.")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="bf16 halves the memory and is faster on GPUs made since 2020; fp32 for everything else."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes the GPU where there is one.")
    patience: int | None = Field(
        default=None,
        ge=1,
        description="The run ends after so many validations without a lower validation loss; empty to run to the end.",
        json_schema_extra={"unit": "validations"},
    )
    validate_every: int | None = Field(
        default=None,
        ge=1,
        description="Steps between validations; empty for once an epoch.",
        json_schema_extra={"unit": "steps"},
    )
    checkpoint_minutes: float = Field(
        default=5.0,
        gt=0,
        title="Checkpoint every",
        description="A checkpoint is written at each validation, and this often between.",
        json_schema_extra={"unit": "min"},
    )
    seed: int = Field(default=0, ge=0, description="Of everything drawn by chance: the same seed gives the same run.")
    loader_threads: int = Field(default=1, ge=1, description="Threads that read recordings while the network computes.")
    threads: int | None = Field(
        default=None,
        ge=1,
        title="CPU threads",
        description="Threads that compute on the CPU; empty for all that the run may use.",
    )


class ModalitySettings(Settings):
    """Which kinds of channels make a modality, and at most how many of them."""

    kinds: tuple[Kind, ...] = Field(
        min_length=1, description="Kinds of channels that belong to it; where there are too many, those named first stay."
    )
    max_channels: int = Field(ge=1, title="Most channels", description="At most so many channels of a recording are taken.")


class NetworkSettings(Settings):
    """A network: its architecture's word and the numbers that it is built from."""

    architecture: str = Field(default="SetTransformer", description="The network's kind, a word of the published configurations.")
    parameters: dict[str, int | float] = Field(
        default_factory=dict, description="What the network is built from; patch_size is a token in samples at 128 Hz."
    )


class EncoderSettings(NetworkSettings):
    """An encoder, and the signals that it takes."""

    architecture: str = Field(
        default="SetTransformer",
        description="SetTransformer is the clinical model's network, EfficientNet1D that of 2024.",
        json_schema_extra={"choices": ["SetTransformer", "EfficientNet1D"]},
    )
    recipe: str = Field(
        default="published",
        description="How the signals were brought to 128 Hz; it must be the recipe that the signals files were made with.",
        json_schema_extra={"choices": list(RECIPES)},
    )
    window_s: float = Field(
        default=300.0,
        gt=0,
        title="Window",
        description="What the encoder sees at once; whole tokens.",
        json_schema_extra={"unit": "s"},
    )
    modalities: dict[Modality, ModalitySettings] = Field(
        default_factory=lambda: {
            modality: ModalitySettings(kinds=PUBLISHED_KINDS[modality], max_channels=PUBLISHED_CHANNELS[modality])
            for modality in Modality
        },
        min_length=2,
        description="Which channels make each modality; at least two modalities.",
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
    """What pretraining asks for."""

    kind: Literal["leave_one_out", "pairwise", "reconstruction"] = Field(
        default="leave_one_out",
        description="leave_one_out and pairwise are the contrastive objectives of the papers; reconstruction predicts a left-out"
        " modality's tokens from the others.",
    )
    log_temperature: float = Field(
        default=0.0,
        ge=0,
        title="Log temperature",
        description="Logits are multiplied by its exponential. The published code starts at 0 and learns it.",
    )
    learn_temperature: bool = Field(default=True, description="Whether training changes the temperature.")
    temperature_rate: float = Field(
        default=1.0,
        gt=0,
        description="Factor on the temperature's learning rate: one number needs larger steps than a matrix of them.",
    )
    same_night: Literal["keep", "drop"] = Field(
        default="keep", description="Whether windows of the same recording count as negatives."
    )


class AugmentationSettings(Settings):
    """What training hides from the encoder, so that it copes with any montage."""

    modality_dropout: Share = Field(default=0.0, description="Chance that a modality of a window is left out; two always stay.")
    channel_dropout: Share = Field(
        default=0.0, description="Chance that a channel is left out; one of each modality always stays."
    )
    most_channels: dict[Modality, ChannelCount] | ChannelCount | None = Field(
        default=None,
        title="Channels at once",
        description="At most so many channels of a modality in a window, drawn anew each time: a number for all modalities, or"
        " one for each that is to be limited.",
    )
    random_offset: bool = Field(
        default=True, description="Windows start anywhere (on a 5-s token), not only at multiples of a window."
    )

    def most(self, modality: Modality) -> int | None:
        """Return the most channels of a modality."""
        return self.most_channels.get(modality) if isinstance(self.most_channels, dict) else self.most_channels


class PretrainSettings(Settings):
    """`sleepfm pretrain CONFIG`."""

    name: str = Field(description="What the encoder is called on the shelf: letters, digits, dot, underscore, hyphen.")
    half_precision: bool = Field(
        default=False, title="Store in half precision", description="The model's file is half as large, its numbers coarser."
    )
    data: DataSettings = Field(description="Which recordings, and who is in which split.")
    start_from: str | None = Field(
        default=None,
        description="An encoder on the shelf, or a model's folder, whose weights training begins with; empty for random ones.",
    )
    encoder: EncoderSettings = Field(default=EncoderSettings(), description="The network, and the signals that it takes.")
    objective: ObjectiveSettings = Field(default=ObjectiveSettings(), description="What pretraining asks for.")
    augmentation: AugmentationSettings = Field(
        default=AugmentationSettings(),
        description="What training hides from the encoder, so that it copes with any montage.",
    )
    training: TrainingSettings = Field(default=TrainingSettings(), description="The course of the run.")
    validation_windows: int = Field(
        default=512,
        ge=2,
        title="Validate on",
        description="How many windows decide when to stop.",
        json_schema_extra={"unit": "windows"},
    )

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
