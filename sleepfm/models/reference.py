"""A disease model's reference people (`reference.json`): where a score stands among them, and what the model was worth there.

Written by `sleepfm evaluate disease … --update-card` from held-out people. Loads no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sleepfm.errors import ModelError
from sleepfm.models.card import CARD_FILE, Sex, read_card
from sleepfm.text import printable
from sleepfm.vocabulary import Modality

REFERENCE_FILE = "reference.json"
QUANTILES = 101
"""Of the log hazard: 0 %, 1 %, … 100 %."""
SIGNIFICANT_P = 0.05
"""A condition whose one-sided p (Bonferroni) is below it counts as told better than by age and sex."""


OLDEST_STORED = 90
"""Ages above it are stored as this: so old a person could be known again."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Measured(_Part):
    """A number with its 95 % interval (bootstrap over people); without one where it is undefined."""

    value: float
    low: float | None = None
    high: float | None = None


class AgeSex(_Part):
    """How many reference people were of one age (whole years, at most `OLDEST_STORED`) and sex."""

    age: int = Field(ge=0)
    sex: Sex
    people: int = Field(ge=1)


class ConditionReference(_Part):
    """One condition among the reference people.

    Attributes
    ----------
    phecode
        As the model's card names it.
    quantiles
        101 of the log hazard, 0 % to 100 %, one value a person.
    mean_base
        Mean score of the empty coalition (no signal, the person's own age and sex).
    mean_shapley
        Mean Shapley value of each modality, 0 for a person who lacks it: `mean_base` and these add up to the mean score.
    n, events
        People with a known follow-up, and events among them.
    c_index, demographics_c_index, difference
        Harrell's C of the model, of age and sex alone on the same people, and the first minus the second; None where undefined.
    p
        One-sided, of a difference above 0, times the number of conditions tested (Bonferroni); None where it was not tested.
    few_events
        Too few events for a test.
    """

    phecode: str
    quantiles: tuple[float, ...] = Field(min_length=QUANTILES, max_length=QUANTILES)
    mean_base: float
    mean_shapley: dict[Modality, float]
    n: int = Field(ge=0)
    events: int = Field(ge=0)
    c_index: Measured | None = None
    demographics_c_index: Measured | None = None
    difference: Measured | None = None
    p: float | None = Field(default=None, ge=0, le=1)
    few_events: bool

    @model_validator(mode="after")
    def _rising(self) -> ConditionReference:
        if list(self.quantiles) != sorted(self.quantiles):
            raise ValueError("quantiles never fall")
        return self

    @property
    def mean_score(self) -> float:
        """Mean log hazard of the reference people."""
        return self.mean_base + sum(self.mean_shapley.values())


class DemographicsLink(_Part):
    """The model that knows age and sex alone: what counts is the hash of its weights, the name helps people."""

    name: str
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Reference(_Part):
    """The reference people of one disease model.

    Attributes
    ----------
    weights_sha256
        Of the model whose scores these are.
    data
        Who they are, for people: cohort, split, recordings, whether the encoder has seen them.
    simulated
        Whether the signals were simulated.
    people
        How many.
    conditions
        In the order of the model's outputs; None for an output that was not assessed.
    demographics
        The model of age and sex alone that the C-indices stand beside; None without one.
    ages_sexes
        The people by age and sex: over them the score is averaged where age or sex is taken for absent.
    """

    format: Literal[1] = 1
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    data: str
    simulated: bool
    people: int = Field(ge=1)
    conditions: tuple[ConditionReference | None, ...]
    demographics: DemographicsLink | None = None
    ages_sexes: tuple[AgeSex, ...] = ()

    def percentile(self, k: int, log_hazard: float) -> float | None:
        """Return how many per cent of the reference people have a lower score for condition k; None when it was not assessed.

        Between the quantiles by straight lines; 0 below the lowest and 100 above the highest score of the reference.
        """
        condition = self.conditions[k]
        if condition is None or not np.isfinite(log_hazard):
            return None
        quantiles = np.asarray(condition.quantiles)
        # a score that several quantiles share lies in the middle of them
        low, high = (np.searchsorted(quantiles, log_hazard, side=side) for side in ("left", "right"))
        if high > low:
            return float((low + high - 1) / 2 * 100 / (QUANTILES - 1))
        return float(np.interp(log_hazard, quantiles, np.linspace(0.0, 100.0, QUANTILES)))

    def beats_demographics(self, k: int) -> bool | None:
        """Return whether condition k was told better than by age and sex alone; None when that was not or could not be tested."""
        condition = self.conditions[k]
        return None if condition is None or condition.p is None else condition.p < SIGNIFICANT_P


def read_reference(folder: Path) -> Reference | None:
    """Return the reference in a model's folder, None when it has none.

    Raises
    ------
    ModelError
        When it cannot be read, or speaks of other weights than the card.
    """
    path = folder / REFERENCE_FILE
    if not path.is_file():
        return None
    try:
        reference = Reference.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise ModelError(
            f"{path}: no reference ({printable(where)}: {printable(first['msg'])}); evaluate the model again"
        ) from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    card = read_card(folder)
    if reference.weights_sha256 != card.weights_sha256:
        raise ModelError(f"{path}: speaks of other weights than {CARD_FILE}; delete it, and evaluate the model again")
    if card.labels != "unknown" and len(reference.conditions) != len(card.labels):
        raise ModelError(
            f"{path}: has {len(reference.conditions)} conditions, the model {len(card.labels)}; evaluate the model again"
        )
    return reference
