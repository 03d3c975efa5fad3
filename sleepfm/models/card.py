"""A model's card (`model.json`): everything one must know about weights to use them rightly. Loads no torch."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sleepfm.errors import ModelError, RequestError
from sleepfm.text import printable
from sleepfm.vocabulary import MODEL_RATE_HZ, SCORED_STAGES, STAGE_NAMES, TOKEN_S, WINDOW_S, Kind, Modality

UNKNOWN: Literal["unknown"] = "unknown"
SIMULATED: Literal["simulated"] = "simulated"

CARD_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
README_FILE = "README.md"
WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
"""Of weights that can be imported."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Task(StrEnum):
    """What a model does. A probe answers whatever its labels say, from embeddings, by one linear layer."""

    ENCODER = "encoder"
    STAGING = "staging"
    BREATHING = "breathing"
    DISEASE = "disease"
    PROBE = "probe"


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


Sex = Literal["female", "male", "unknown"]
"""As a person is asked. "unknown" is an answer only for a head that has a code for it."""
SEXES: tuple[Sex, ...] = get_args(Sex)
SexCode = dict[Sex, float]


class DemographicCoding(_Part):
    """How age and sex enter a disease head. Never guessed: what nobody stated stays unknown.

    Attributes
    ----------
    age_scale
        Years that stand for 1.0: the head is given age / age_scale.
    sex_code
        The number that stands for each sex; with one for "unknown", where the head was made for people whose sex nobody told.
    """

    age_scale: float | Literal["unknown"] = UNKNOWN
    sex_code: SexCode | Literal["unknown"] = UNKNOWN

    @model_validator(mode="after")
    def _usable(self) -> DemographicCoding:
        if not isinstance(self.age_scale, str) and not (math.isfinite(self.age_scale) and self.age_scale > 0):
            raise ValueError("age_scale must be a number of years above 0")
        if not isinstance(self.sex_code, str) and (
            not {"female", "male"} <= set(self.sex_code)
            or len(set(self.sex_code.values())) != len(self.sex_code)
            or not all(math.isfinite(code) for code in self.sex_code.values())
        ):
            raise ValueError("sex_code must give different numbers for female and male, and for unknown where it is there")
        return self

    @property
    def known(self) -> bool:
        """Whether a person's age and sex can be coded at all."""
        return not (isinstance(self.age_scale, str) or isinstance(self.sex_code, str))

    def encode(self, age_years: float, sex: Sex) -> tuple[float, float]:
        """Return age and sex as the head expects them; ModelError when the coding, or the code of this sex, is unknown."""
        if isinstance(self.age_scale, str) or isinstance(self.sex_code, str):
            raise ModelError("the model does not say how age and sex are coded: import it with --age-scale and --sex-code")
        if sex not in self.sex_code:
            raise ModelError("the model has no code for an unknown sex: say female or male")
        return age_years / self.age_scale, self.sex_code[sex]


def parse_sex_code(text: str) -> SexCode:
    """Read "female=0,male=1", or "female=0,male=1,unknown=0.5"; RequestError when it is not of that form.

    Examples
    --------
    >>> parse_sex_code("female=0,male=1,unknown=0.5")
    {'female': 0.0, 'male': 1.0, 'unknown': 0.5}
    """
    found = [re.fullmatch(r"\s*(female|male|unknown)\s*[=:]\s*(-?[\d.]+)\s*", part) for part in text.split(",")]
    try:
        codes = {one[1]: float(one[2]) for one in found if one is not None}
    except ValueError:
        codes = {}
    if len(codes) != len(found) or not {"female", "male"} <= set(codes):
        raise RequestError(
            f"sex code {printable(text)!r}: write it as female=0,male=1 (and unknown=0.5 where the head knows that)"
        )
    return {sex: codes[sex] for sex in SEXES if sex in codes}


class Metric(_Part):
    """One measured figure of quality.

    Attributes
    ----------
    low, high
        Its interval.
    data
        What it was measured on.
    n
        How many it was measured on (subjects, or what `data` says).
    baseline
        The same figure of the demographics-only model on the same data.
    group
        The part of the people that it holds for, such as "sex: female"; all of them when empty.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    data: str = ""
    n: int | None = Field(default=None, ge=0)
    baseline: float | None = None
    group: str = ""


class Training(_Part):
    """How the weights came about, so that anyone can do it again.

    Attributes
    ----------
    config_sha256, data_sha256
        Of the settings and of the list of recordings with their content.
    seed
        Of everything drawn by chance.
    git
        The commit of this software, and whether files were changed since.
    subjects
        Number of subjects of each split.
    machine
        On what it ran.
    seconds
        How long.
    """

    config_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    data_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    seed: int | None = None
    git: str = ""
    subjects: dict[str, int] = Field(default_factory=dict)
    machine: str = ""
    seconds: float | None = Field(default=None, ge=0)


class BaselineHazard(_Part):
    """Breslow's cumulative baseline hazard, which turns log hazards into probabilities.

    Attributes
    ----------
    years
        Times after the night, rising.
    cumulative
        For each condition the cumulative hazard at these times of a person whose log hazard is 0; None where it is unknown.
    standard_error
        Of each cumulative hazard, None where that is None; None altogether where nobody computed it.
    """

    years: tuple[float, ...] = Field(min_length=1)
    cumulative: tuple[tuple[float, ...] | None, ...]
    standard_error: tuple[tuple[float, ...] | None, ...] | None = None

    @model_validator(mode="after")
    def _rising(self) -> BaselineHazard:
        errors = (None,) * len(self.cumulative) if self.standard_error is None else self.standard_error
        if len(errors) != len(self.cumulative):
            raise ValueError("standard errors must speak of every condition")
        for numbers in (self.years, *(one for one in (*self.cumulative, *errors) if one is not None)):
            if len(numbers) != len(self.years):
                raise ValueError("a cumulative baseline hazard needs one number for each time")
            if not all(math.isfinite(number) and number >= 0 for number in numbers) or list(numbers) != sorted(numbers):
                raise ValueError("times, cumulative hazards and their errors are numbers from 0 that never fall")
        return self

    def event_free(self, condition: int, log_hazard: float) -> tuple[float, ...] | None:
        """Return the probability of no event until each of `years`, exp(-H(t) exp(log hazard)); None where H is unknown.

        Examples
        --------
        >>> BaselineHazard(years=(1.0, 5.0), cumulative=((0.0, 0.1),)).event_free(0, 0.0)
        (1.0, 0.9048374180359595)
        """
        cumulative = self.cumulative[condition]
        if cumulative is None:
            return None
        relative = math.exp(min(log_hazard, 700.0))  # beyond, a float ends; the probability is 0 long before
        return tuple(math.exp(-hazard * relative) for hazard in cumulative)


class ModelCard(_Part):
    """What `model.json` holds.

    Attributes
    ----------
    architecture, parameters
        The published word for the network, and its numbers.
    signals
        Of an encoder, and of a network that was trained end to end from signals.
    encoder
        Of a head: the encoder that it belongs to. A head that looks at no embedding may have none.
    labels
        Names of a head's outputs in order: stages, or conditions; "unknown" when nobody gave them.
    demographics
        Only of a disease head, and of each that takes age and sex.
    baseline_hazard
        Of a disease head, where it is known.
    thresholds
        By the name of an output: the probability from which it counts as yes.
    baseline
        Whether it is there to compare others with; it is never taken unless somebody names it.
    trained_on
        "simulated", the cohorts' names, or "unknown". `auto` takes only models trained on real cohorts.
    training
        How to train it again.
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
    baseline_hazard: BaselineHazard | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)
    baseline: bool = False
    trained_on: str = UNKNOWN
    training_data: str = ""
    training: Training | None = None
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
        if self.task is Task.ENCODER and (self.signals is None or self.encoder is not None):
            raise ValueError("an encoder says what signals it takes, and belongs to no other encoder")
        if self.signals is not None and self.encoder is not None:
            raise ValueError("a model takes signals or an encoder's embeddings, not both")
        if self.task is not Task.ENCODER and self.signals is self.encoder is None and not self.baseline:
            raise ValueError("a head names its encoder, or says what signals it takes")
        if self.demographics is not None and self.task is not Task.DISEASE:
            raise ValueError("only a disease head says how age and sex are coded")
        if self.demographics is None and self.takes_demographics:
            raise ValueError("a disease head that takes age and sex says how they are coded")
        if self.baseline_hazard is not None:
            if self.task is not Task.DISEASE:
                raise ValueError("only a disease head has a baseline hazard")
            if self.labels != UNKNOWN and len(self.baseline_hazard.cumulative) != len(self.labels):
                raise ValueError("the baseline hazard must speak of every condition")
        return self

    @property
    def takes_demographics(self) -> bool:
        """Whether it needs a person's age and sex."""
        return self.task is Task.DISEASE and self.parameters.get("demographics", 1) != 0

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
