"""The stored risks of many people beside what became of them: one night a person, one model, and who is left out and why."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.analysis.horizon import HORIZON_YEARS, TOP_SHARE
from sleepfm.library.library import Library

NIGHT_RULE = "Of a person with several nights the earliest with a score counts."


@dataclass(frozen=True)
class CohortQuestion:
    """What is asked of a cohort.

    Attributes
    ----------
    model
        A disease model's name.
    phecode
        The condition whose curves are drawn.
    subset
        Name of a subset; None for the whole library.
    groups
        How many risk groups of equally many people (2 to 5).
    horizon_years, top_share
        Of the enrichment: the time, and which part of the people counts as the top.
    """

    model: str
    phecode: str
    subset: str | None = None
    groups: int = 3
    horizon_years: float = HORIZON_YEARS
    top_share: float = TOP_SHARE


@dataclass(frozen=True)
class MatchQuestion:
    """Whom to compare a person with.

    Attributes
    ----------
    study
        The person's night.
    model, phecode
        Which score.
    subset
        Where neighbours are looked for: a subset's name, None for the whole library.
    caliper_years
        Nobody further away in age counts.
    most
        At most so many, the nearest in age first.
    """

    study: str
    model: str
    phecode: str
    subset: str | None = None
    caliper_years: float = 5.0
    most: int = 50


@dataclass(frozen=True)
class Queued:
    """What came of asking for the risks of many studies.

    Attributes
    ----------
    queued
        Studies with a job now.
    there
        Studies that have a risk by this model already.
    left_out
        Reason by study.
    """

    queued: tuple[str, ...]
    there: tuple[str, ...]
    left_out: dict[str, str]


def queue_risks(library: Library, model: str, subset: str | None = None) -> Queued:
    """Queue a risk job for every study of a subset (None: of the library) whose age and sex are known.

    Raises
    ------
    RequestError
        When there is no such model or subset.
    """
    raise NotImplementedError


def several_nights(library: Library) -> dict[str, tuple[str, ...]]:
    """Return the people known to have several nights in the library: studies by subject, the earliest first."""
    raise NotImplementedError


def models_with_risks(library: Library) -> dict[str, int]:
    """Return the models that risks are stored of, with the number of studies, the most first."""
    raise NotImplementedError
