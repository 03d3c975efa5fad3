"""A model's card (`model.json`): everything one must know about weights to use them rightly. Loads no torch."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sleepfm.errors import ModelError, RequestError
from sleepfm.text import printable
from sleepfm.vocabulary import MODEL_RATE_HZ, SCORED_STAGES, STAGE_NAMES, TOKEN_S, WINDOW_S, Kind, Modality

UNKNOWN: Literal["unknown"] = "unknown"
SIMULATED: Literal["simulated"] = "simulated"

CARD_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
README_FILE = "README.md"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Task(StrEnum):
    """What a model does."""

    ENCODER = "encoder"
    STAGING = "staging"
    BREATHING = "breathing"
    DISEASE = "disease"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModalityCoding(_Part):
    """Which channels make one modality: their kinds, and how many channels the encoder was made for.

    Where a recording has more, the kinds that stand first go first.
    """

    kinds: tuple[Kind, ...]
    max_channels: int = Field(ge=1)


PUBLISHED_KINDS: dict[Modality, tuple[Kind, ...]] = {
    Modality.BAS: (Kind.EEG, Kind.EOG),
    Modality.RESP: (
        Kind.FLOW,
        Kind.NASAL_PRESSURE,
        Kind.EFFORT_THORAX,
        Kind.EFFORT_ABDOMEN,
        Kind.SPO2,
        Kind.THERMISTOR,
        Kind.SNORE,
        Kind.PULSE,
        Kind.PLETH,
        Kind.EFFORT_SUM,
        Kind.CO2,
    ),
    Modality.EKG: (Kind.ECG,),
    Modality.EMG: (Kind.CHIN_EMG, Kind.LEG_EMG, Kind.ARM_EMG, Kind.OTHER_EMG),
}
"""The published grouping, which counts heart rate, pulse and plethysmogram as RESP; in each modality first the signals that the
AASM manual recommends for polysomnography."""


class SignalCoding(_Part):
    """What an encoder eats: 128-Hz signals made by one recipe, in modalities, windows and tokens."""

    recipe: str
    modalities: dict[Modality, ModalityCoding]
    rate_hz: int = MODEL_RATE_HZ
    window_s: float = WINDOW_S
    token_s: float = TOKEN_S


class EncoderLink(_Part):
    """The encoder whose embeddings a head was made for: what counts is the hash of its weights, the name helps people."""

    name: str
    weights_sha256: str


class Condition(_Part):
    """One output of a disease head."""

    phecode: str
    phenotype: str


class DemographicCoding(_Part):
    """How age and sex enter a disease head. Never guessed: what nobody stated stays unknown.

    Attributes
    ----------
    age_scale
        Years that stand for 1.0: the head is given age / age_scale.
    sex_code
        The number that stands for each sex.
    """

    age_scale: float | Literal["unknown"] = UNKNOWN
    sex_code: dict[Literal["female", "male"], float] | Literal["unknown"] = UNKNOWN

    @model_validator(mode="after")
    def _usable(self) -> DemographicCoding:
        if not isinstance(self.age_scale, str) and not (math.isfinite(self.age_scale) and self.age_scale > 0):
            raise ValueError("age_scale must be a number of years above 0")
        if not isinstance(self.sex_code, str) and (
            set(self.sex_code) != {"female", "male"} or len(set(self.sex_code.values())) != 2
        ):
            raise ValueError("sex_code must give different numbers for female and male")
        return self

    @property
    def known(self) -> bool:
        """Whether a person's age and sex can be coded at all."""
        return not (isinstance(self.age_scale, str) or isinstance(self.sex_code, str))

    def encode(self, age_years: float, sex: Literal["female", "male"]) -> tuple[float, float]:
        """Return age and sex as the head expects them; ModelError when the coding is unknown."""
        if isinstance(self.age_scale, str) or isinstance(self.sex_code, str):
            raise ModelError("the model does not say how age and sex are coded: import it with --age-scale and --sex-code")
        return age_years / self.age_scale, self.sex_code[sex]


def parse_sex_code(text: str) -> dict[Literal["female", "male"], float]:
    """Read "female=0,male=1"; RequestError when it is not of that form.

    Examples
    --------
    >>> parse_sex_code("female=0,male=1")
    {'female': 0.0, 'male': 1.0}
    """
    found = re.fullmatch(r"\s*female\s*[=:]\s*(-?[\d.]+)\s*,\s*male\s*[=:]\s*(-?[\d.]+)\s*", text)
    swapped = re.fullmatch(r"\s*male\s*[=:]\s*(-?[\d.]+)\s*,\s*female\s*[=:]\s*(-?[\d.]+)\s*", text)
    try:
        if found:
            return {"female": float(found[1]), "male": float(found[2])}
        if swapped:
            return {"female": float(swapped[2]), "male": float(swapped[1])}
    except ValueError:
        pass
    raise RequestError(f"sex code {text!r}: write it as female=0,male=1")


class Metric(_Part):
    """One measured figure of quality with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    data: str = ""


class ModelCard(_Part):
    """What `model.json` holds.

    Attributes
    ----------
    architecture, parameters
        The published word for the network, and its numbers.
    signals
        Only of an encoder.
    encoder
        Only of a head: the encoder that it belongs to.
    labels
        Names of a head's outputs in order: stages, or conditions; "unknown" when nobody gave them.
    demographics
        Only of a disease head.
    trained_on
        "simulated", the cohorts' names, or "unknown". `auto` takes only models trained on real cohorts.
    source_blobs
        Git blob ids of the files that were imported.
    imported_at
        When the model came onto this shelf (UTC).
    """

    format: Literal[1] = 1
    name: str
    task: Task
    architecture: str
    parameters: dict[str, int | float]
    signals: SignalCoding | None = None
    encoder: EncoderLink | None = None
    labels: tuple[str, ...] | tuple[Condition, ...] | Literal["unknown"] = UNKNOWN
    demographics: DemographicCoding | None = None
    trained_on: str = UNKNOWN
    training_data: str = ""
    metrics: tuple[Metric, ...] = ()
    licence: str = UNKNOWN
    source: str = ""
    source_blobs: dict[str, str] = Field(default_factory=dict)
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    sleepfm_version: str
    imported_at: datetime

    @field_validator("name")
    @classmethod
    def _folder_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a model's name is letters, digits, dot, underscore and hyphen")
        return name

    @model_validator(mode="after")
    def _whole(self) -> ModelCard:
        if (self.task is Task.ENCODER) != (self.signals is not None):
            raise ValueError("an encoder, and only an encoder, says what signals it takes")
        if (self.task is Task.ENCODER) == (self.encoder is not None):
            raise ValueError("a head, and only a head, names its encoder")
        if (self.task is Task.DISEASE) != (self.demographics is not None):
            raise ValueError("a disease head, and only a disease head, says how age and sex are coded")
        return self

    @property
    def real(self) -> bool:
        """Whether the model is known to be trained on real recordings."""
        return self.trained_on not in (UNKNOWN, SIMULATED)

    @property
    def embed_dim(self) -> int:
        """Length of the embeddings that it makes or takes."""
        return int(self.parameters["embed_dim"])


STAGE_LABELS: tuple[str, ...] = tuple(STAGE_NAMES[stage] for stage in SCORED_STAGES)


def check_name(name: str) -> str:
    """Return a model's name, or raise RequestError when it cannot be a folder's name."""
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"model name {printable(name)!r}: use letters, digits, dot, underscore and hyphen, beginning with a letter or digit"
        )
    return name


def read_card(folder: Path) -> ModelCard:
    """Read the card in a model's folder; ModelError when it is missing or not a card."""
    path = folder / CARD_FILE
    try:
        return ModelCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ModelError(f"{path}: not a model's card ({printable(where)}: {printable(first['msg'])})") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None


def now() -> datetime:
    """Return the time that goes into a card."""
    return datetime.now(UTC)
