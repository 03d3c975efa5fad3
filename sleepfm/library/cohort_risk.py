"""The stored risks of many people: one night a person, one model, who is left out and why; and asking for those that lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.horizon import HORIZON_YEARS, TOP_SHARE
from sleepfm.errors import ModelError, RequestError, SleepFMError
from sleepfm.library import facts, subsets
from sleepfm.library.facts import Person
from sleepfm.library.job_risk import submit_risk
from sleepfm.library.library import Library
from sleepfm.library.risks import newest_summaries, present_rows
from sleepfm.models.card import Condition, Task
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable

NIGHT_RULE = "Of a person with several nights the earliest with a score counts."
NO_SCORE = "without a risk by this model"
TOLD_OTHERWISE = "scored for another age or sex than the tables state"
LATER_NIGHT = "later nights of people who are there already"
NIGHT_ALONE = "scored without age and sex, unlike the others"


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


@dataclass(frozen=True, eq=False)
class CohortRisk:
    """The scores of some people by one model, one row a person.

    Attributes
    ----------
    model, weights_sha256, trained_on
        The head.
    conditions
        Its outputs.
    people
        Who stands in each row.
    simulated_n
        (person,) whether the recording is simulated.
    log_hazard_nk, low_nk, high_nk
        (person, condition) scores with their intervals over windows.
    demographics_nk
        (person, condition) scores from age and sex alone, NaN where there is none.
    demographics_model
        Its name; empty without one.
    night_alone
        The scores leave age and sex out: they rank people of the same age and sex, and nothing else.
    left_out
        Reason by study.
    """

    model: str
    weights_sha256: str
    trained_on: str
    conditions: tuple[Condition, ...]
    people: tuple[Person, ...]
    simulated_n: np.ndarray
    log_hazard_nk: np.ndarray
    low_nk: np.ndarray
    high_nk: np.ndarray
    demographics_nk: np.ndarray
    demographics_model: str
    night_alone: bool
    left_out: dict[str, str]

    def index(self, phecode: str) -> int:
        """Return the place of a condition.

        Raises
        ------
        RequestError
            When the model does not speak of it.
        """
        found = next((k for k, one in enumerate(self.conditions) if one.phecode == phecode), None)
        if found is None:
            raise RequestError(f"{self.model} does not speak of condition {printable(phecode[:40])!r}")
        return found


def collect(library: Library, model: str, studies: Iterable[str] | None = None) -> CohortRisk:
    """Return the newest stored risks by a model, one night a person (`NIGHT_RULE`), for the age and sex that the tables state.

    Parameters
    ----------
    library
        Where they are stored.
    model
        The model's name.
    studies
        Only of these; None for the whole library.

    Raises
    ------
    RequestError
        When none of the studies has a risk by the model.
    ModelError
        When the risks were made by different weights under this name: scores of different models are never compared.
    """
    who = facts.people(library, studies)
    newest, told_otherwise = newest_summaries(library, model, who)
    if not newest:
        stated = " for the age and sex that the tables state" if told_otherwise else ""
        raise RequestError(f"none of these {len(who)} studies has a risk by {printable(model)}{stated}; assess them first")
    weights = Counter(stored.weights_sha256 for stored in newest.values())
    if len(weights) > 1:
        said = " and ".join(f"{count} by {sha256[:8]}…" for sha256, count in weights.most_common())
        raise ModelError(
            f"{printable(model)}: risks by different weights are stored under this name ({said}); assess the studies again, so"
            " that all scores come from one model"
        )
    left_out = {study: TOLD_OTHERWISE if study in told_otherwise else NO_SCORE for study in who if study not in newest}
    alone = [study for study, stored in newest.items() if stored.demographics_left_out]
    if len(alone) < len(newest):
        left_out |= dict.fromkeys(alone, NIGHT_ALONE)
    usable = [study for study in newest if study not in left_out]
    kept: dict[str, str] = {}
    for study in _in_time(library, usable):
        if kept.setdefault(who[study].subject, study) != study:
            left_out[study] = LATER_NIGHT
    results = [newest[study] for study in kept.values()]
    first = results[0]
    nothing_k = np.full(len(first.conditions), np.nan)
    beside = [one.demographics_log_hazard_k for one in results]
    return CohortRisk(
        model=model,
        weights_sha256=first.weights_sha256,
        trained_on=first.trained_on,
        conditions=first.conditions,
        people=tuple(who[study] for study in kept.values()),
        simulated_n=np.array([one.simulated_recording for one in results]),
        log_hazard_nk=np.stack([one.log_hazard_k for one in results]),
        low_nk=np.stack([one.low_k for one in results]),
        high_nk=np.stack([one.high_k for one in results]),
        demographics_nk=np.stack([nothing_k if one is None else one for one in beside]),
        demographics_model=next((one.demographics_model for one in results if one.demographics_model), ""),
        night_alone=first.demographics_left_out,
        left_out=left_out,
    )


def _in_time(library: Library, studies: Iterable[str]) -> list[str]:
    """Return studies by the time of their recording, those without one last."""
    starts = {row["id"]: row["start"] for row in library.connection.execute("SELECT id, start FROM studies")}
    return sorted(studies, key=lambda study: (starts.get(study) is None, starts.get(study) or "", study))


def studies_of(library: Library, subset: str | None) -> tuple[str, ...] | None:
    """Return the studies of a subset, None for the whole library; RequestError when there is no such subset."""
    return None if subset is None else subsets.load(library, subset).studies


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

    Studies with a risk by the model's present weights for that age and sex are not asked for again.

    Raises
    ------
    RequestError
        When there is no such model or subset, or the model is no disease model.
    """
    card = Shelf(library.home.models).get(model).card
    if card.task is not Task.DISEASE or card.baseline:
        raise RequestError(f"{model} is no disease model that looks at a night; sleepfm models list shows which are there")
    done = {(row["study"], row["age"], row["sex"]) for row in present_rows(library, weights_sha256=card.weights_sha256)}
    queued: list[str] = []
    there: list[str] = []
    left_out: dict[str, str] = {}
    for study, person in facts.people(library, studies_of(library, subset)).items():
        age, sex = (person.age, person.sex) if card.takes_demographics else (None, None)
        if card.takes_demographics and (age is None or sex is None):
            lacking = " and ".join(name for name, value in (("age", age), ("sex", sex)) if value is None)
            left_out[study] = f"{lacking} unknown: import a table that states it, or assess the night by itself"
        elif (study, age, sex) in done:
            there.append(study)
        else:
            try:
                submit_risk(library, study, model=model, age=age, sex=sex)
            except SleepFMError as error:
                left_out[study] = str(error)
            else:
                queued.append(study)
    return Queued(tuple(queued), tuple(there), left_out)


def several_nights(library: Library) -> dict[str, tuple[str, ...]]:
    """Return the people known to have several nights in the library: studies by subject, the earliest first."""
    who = facts.people(library)
    nights: dict[str, list[str]] = {}
    for study in _in_time(library, [study for study, person in who.items() if person.known_subject]):
        nights.setdefault(who[study].subject, []).append(study)
    return {subject: tuple(studies) for subject, studies in nights.items() if len(studies) > 1}


def models_with_risks(library: Library) -> dict[str, int]:
    """Return the models that risks are stored of, with the number of studies, the most first."""
    studies: dict[str, set[str]] = {}
    for row in present_rows(library):
        studies.setdefault(row["model"], set()).add(row["study"])
    return {model: len(studies[model]) for model in sorted(studies, key=lambda model: (-len(studies[model]), model))}
