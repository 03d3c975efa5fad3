"""What one may choose about an evaluation; the same model reads the YAML, the command line and the form."""

from __future__ import annotations

from typing import TypedDict

from pydantic import BaseModel, ConfigDict, Field

from sleepfm.analysis.horizon import HORIZON_YEARS, TOP_SHARE
from sleepfm.analysis.resampling import CONFIDENCE, RESAMPLES
from sleepfm.analysis.subgroups import SMALLEST_GROUP


class BootstrapOptions(TypedDict):
    """The arguments that every metric takes."""

    resamples: int
    seed: int
    confidence: float


class EvaluationSettings(BaseModel):
    """Settings of every evaluation.

    Attributes
    ----------
    resamples
        Bootstrap resamples over subjects; 0 for none.
    seed
        Of the resamples.
    confidence
        Share of the resamples inside an interval.
    groups
        Columns of the cohort's table by which results are divided; one that is not there is named in the warnings.
    smallest_group
        A group of fewer subjects is named as too small and not measured.
    horizon_years
        For the AUROC, calibration and enrichment of disease risk.
    top_share
        Part of the people that counts as the top by hazard.
    sdb_threshold, presence_threshold
        Probability from which an epoch counts as disordered breathing, and a night as AHI >= 15; never chosen on the test set.
    candidates
        Sizes at which retrieval is reported; those larger than the test set are left out.
    allow_seen
        Count recordings of people that the encoder saw in pretraining among the held-out ones. The report then says so first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    resamples: int = Field(default=RESAMPLES, ge=0)
    seed: int = Field(default=0, ge=0)
    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    groups: tuple[str, ...] = ("sex", "age", "site")
    smallest_group: int = Field(default=SMALLEST_GROUP, ge=2)
    horizon_years: float = Field(default=HORIZON_YEARS, gt=0)
    top_share: float = Field(default=TOP_SHARE, gt=0, lt=1)
    sdb_threshold: float = Field(default=0.5, ge=0, le=1)
    presence_threshold: float = Field(default=0.5, ge=0, le=1)
    candidates: tuple[int, ...] = (1_000, 10_000, 90_000)
    allow_seen: bool = False

    @property
    def bootstrap(self) -> BootstrapOptions:
        """The arguments that every metric takes."""
        return {"resamples": self.resamples, "seed": self.seed, "confidence": self.confidence}
