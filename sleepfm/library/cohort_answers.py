"""What a cohort's stored risks are worth beside what became of its people, and a person among people of the same age and sex."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.matching import Standing, matched, standing
from sleepfm.analysis.risk import RiskAssessment, assess_risk
from sleepfm.analysis.risk_groups import FEWEST_GROUPS, MOST_GROUPS, RiskGroups, risk_groups
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library.cohort_risk import CohortQuestion, CohortRisk, MatchQuestion, collect, studies_of
from sleepfm.library.facts import Person, people
from sleepfm.library.follow_up import conditions, outcome_table
from sleepfm.library.library import Library
from sleepfm.models.card import CARD_FILE, Condition
from sleepfm.models.shelf import Shelf

MOST_CONDITIONS = 25
"""In the table over conditions: those with the most events, and the one that was asked for."""
RESAMPLES = 400
"""Of the bootstrap over people: somebody is waiting. `sleepfm evaluate disease` draws 1,000."""
NO_FOLLOW_UP = "without a follow-up of this condition"
_ASSESSMENTS_KEPT = 8
_assessments: OrderedDict[str, RiskAssessment] = OrderedDict()


@dataclass(frozen=True, eq=False)
class CohortAnswer:
    """A cohort's scores of one condition beside what came, and the worth of every condition's scores.

    Attributes
    ----------
    model, trained_on, demographics_model
        Who scored.
    conditions, condition
        What the model speaks of, and the condition that was asked for.
    people, log_hazard_n, low_n, high_n, demographics_n, years_n, event_n
        (person,) those with a score and a follow-up of it; years to the event or to the end of the follow-up.
    groups
        By quantiles of the log hazard; None with `reason`.
    demographics_groups
        The same people by age and sex alone; None without such a score of everybody.
    assessment
        C-index and enrichment of the condition that was asked for and of those with the most events, beside those of age and sex
        alone; None without events.
    conditions_followed
        How many of the model's conditions anybody has a follow-up of.
    scored
        People with a score; those without a follow-up of the condition are in no figure.
    left_out
        Reason by study, of those that were asked for and stand in no figure.
    simulated
        Studies of simulated signals among `people`.
    seen
        Sentence on who of them the model was trained on.
    night_alone
        The scores leave age and sex out.
    reason
        Why there are no groups.
    """

    question: CohortQuestion
    model: str
    trained_on: str
    demographics_model: str
    conditions: tuple[Condition, ...]
    condition: Condition
    people: tuple[Person, ...]
    log_hazard_n: np.ndarray
    low_n: np.ndarray
    high_n: np.ndarray
    demographics_n: np.ndarray
    years_n: np.ndarray
    event_n: np.ndarray
    groups: RiskGroups | None
    demographics_groups: RiskGroups | None
    assessment: RiskAssessment | None
    conditions_followed: int
    scored: int
    left_out: dict[str, str]
    simulated: int
    seen: str
    night_alone: bool
    reason: str


def cohort_answer(home: Home, question: CohortQuestion) -> CohortAnswer:
    """Follow a cohort by its scores.

    Raises
    ------
    RequestError
        When nobody has a risk by the model, or the model does not speak of the condition.
    ModelError
        When risks by different weights are stored under the model's name.
    """
    if not FEWEST_GROUPS <= question.groups <= MOST_GROUPS:
        raise RequestError(f"{question.groups} risk groups: choose {FEWEST_GROUPS} to {MOST_GROUPS}")
    with Library(home) as library:
        cohort = collect(library, question.model, studies_of(library, question.subset))
        k = cohort.index(question.phecode)
        columns = _follow_up_columns(cohort.conditions, conditions(library))
        studies = [person.study for person in cohort.people]
        followed = [j for j, column in enumerate(columns) if column]
        years_nj, event_nj = outcome_table(library, studies, [columns[j] for j in followed])
        seen = _seen(home, cohort)
    years_nk, event_nk = np.full(cohort.log_hazard_nk.shape, np.nan), np.zeros(cohort.log_hazard_nk.shape, dtype=bool)
    years_nk[:, followed], event_nk[:, followed] = years_nj, event_nj
    known_n = np.isfinite(years_nk[:, k]) & np.isfinite(cohort.log_hazard_nk[:, k])
    rows = np.flatnonzero(known_n)
    years_n, event_n = years_nk[rows, k], event_nk[rows, k]
    beside_n = cohort.demographics_nk[rows, k]
    reason = ""
    if not columns[k]:
        reason = "Nobody's follow-up of this condition is in the library: import is_event.csv and time_to_event.csv."
    elif not rows.size:
        reason = "Nobody has both a score and a follow-up of this condition."
    compared = rows.size > 0 and bool(np.isfinite(beside_n).all())
    return CohortAnswer(
        question=question,
        model=cohort.model,
        trained_on=cohort.trained_on,
        demographics_model=cohort.demographics_model,
        conditions=cohort.conditions,
        condition=cohort.conditions[k],
        people=tuple(cohort.people[n] for n in rows),
        log_hazard_n=cohort.log_hazard_nk[rows, k],
        low_n=cohort.low_nk[rows, k],
        high_n=cohort.high_nk[rows, k],
        demographics_n=beside_n,
        years_n=years_n,
        event_n=event_n,
        groups=None if reason else risk_groups(years_n, event_n, cohort.log_hazard_nk[rows, k], question.groups),
        demographics_groups=risk_groups(years_n, event_n, beside_n, question.groups) if compared else None,
        assessment=_assess(cohort, years_nk, event_nk, question),
        conditions_followed=len(followed),
        scored=len(cohort.people),
        left_out=cohort.left_out | {cohort.people[n].study: NO_FOLLOW_UP for n in np.flatnonzero(~known_n)},
        simulated=int(cohort.simulated_n[rows].sum()),
        seen=seen,
        night_alone=cohort.night_alone,
        reason=reason,
    )


def _follow_up_columns(of_model: tuple[Condition, ...], known: list[str]) -> list[str]:
    """Return the follow-up's name of each condition, by phecode or else by phenotype; empty where there is none."""
    names = set(known)
    return [next((name for name in (one.phecode, one.phenotype) if name in names), "") for one in of_model]


def _assess(cohort: CohortRisk, years_nk: np.ndarray, event_nk: np.ndarray, question: CohortQuestion) -> RiskAssessment | None:
    usable_nk = np.isfinite(years_nk) & np.isfinite(cohort.log_hazard_nk)
    events_k = (event_nk & usable_nk).sum(axis=0)
    asked = cohort.index(question.phecode)
    every = sorted(np.flatnonzero(events_k).tolist(), key=lambda k: (-events_k[k], k))
    most = every[:MOST_CONDITIONS]
    if asked in every and asked not in most:
        most[-1] = asked
    if not most:
        return None
    beside_nk = cohort.demographics_nk[:, most]
    # a row without the second score would be in neither: only where everybody has one are both measured on everybody
    compared = bool(np.isfinite(beside_nk[usable_nk[:, most]]).all())
    score_nk = cohort.log_hazard_nk[:, most]
    told = [cohort.conditions[k].phecode for k in most], [person.subject for person in cohort.people]
    digest = hashlib.sha256(repr((told, question.horizon_years, question.top_share, compared)).encode())
    for array in (years_nk[:, most], event_nk[:, most], score_nk, beside_nk):
        digest.update(array.tobytes())
    key = digest.hexdigest()
    if key not in _assessments:  # another condition or other groups of the same people: the table stays the same
        _assessments[key] = assess_risk(
            told[0],
            years_nk[:, most],
            event_nk[:, most],
            score_nk,
            np.array(told[1]),
            baseline_score_nk=beside_nk if compared else None,
            horizon=question.horizon_years,
            top_share=question.top_share,
            resamples=RESAMPLES,
        )
        while len(_assessments) > _ASSESSMENTS_KEPT:
            _assessments.popitem(last=False)
    return _assessments[key]


def _seen(home: Home, cohort: CohortRisk) -> str:
    """Return what is known of whether the model was trained on these people."""
    shelf = Shelf(home.models)
    entry = next((one for one in shelf.entries(retired=True) if one.card.weights_sha256 == cohort.weights_sha256), None)
    if entry is None:
        return (
            "The model that made these scores is no longer on the shelf: nobody can tell whether it was trained on these people."
        )
    unknown = (
        "Nobody can tell whether the model was trained on some of these people; of those it was, it knows what came, and the"
        " figures look better than they are."
    )
    if not any(home.runs.glob(f"*/model/{CARD_FILE}")):
        return unknown
    from sleepfm.evaluation.training_people import trained_on  # noqa: PLC0415 - torch, slow to load

    training = trained_on(entry.card, home.runs, (), shelf)
    if not training.known:
        return unknown
    subjects = {dict(training.subject_of).get(study, study) for study in training.studies}
    seen = sum(one.study in training.studies or (one.known_subject and one.subject in subjects) for one in cohort.people)
    if not seen:
        return "The model was trained on none of these people."
    return (
        f"The model was trained on {seen} of these {len(cohort.people)} people: it knows what came of them, and the figures look"
        " better than they are."
    )


@dataclass(frozen=True, eq=False)
class MatchAnswer:
    """A person's score among those of people of the same sex and about the same age.

    Attributes
    ----------
    person, log_hazard, low, high, demographics
        The person, the score with its interval over windows, and the score from age and sex alone (NaN without one).
    years, event
        What came of the person; NaN and False where it is unknown.
    others, log_hazard_n, low_n, high_n, demographics_n, years_n, event_n
        (matched,) the nearest in age first; follow-up NaN and False where it is unknown.
    within
        How many were within the caliper, those beyond the most that are shown among them.
    candidates
        People with a score by this model, the person not counted.
    standing, standing_demographics
        Where the person stands among `others`, by the score and by age and sex alone.
    """

    question: MatchQuestion
    model: str
    trained_on: str
    condition: Condition
    person: Person
    log_hazard: float
    low: float
    high: float
    demographics: float
    demographics_model: str
    years: float
    event: bool
    others: tuple[Person, ...]
    log_hazard_n: np.ndarray
    low_n: np.ndarray
    high_n: np.ndarray
    demographics_n: np.ndarray
    years_n: np.ndarray
    event_n: np.ndarray
    within: int
    candidates: int
    standing: Standing
    standing_demographics: Standing | None
    simulated: int


def matched_answer(home: Home, question: MatchQuestion) -> MatchAnswer:
    """Compare a person with matched people: same sex, nearest in age within the caliper, one night a person.

    A real night is compared with real ones only, a simulated one with simulated ones.

    Raises
    ------
    RequestError
        There is no such study, it has no risk by the model, or nobody stated the person's age and sex.
    ModelError
        When risks by different weights are stored under the model's name.
    """
    with Library(home) as library:
        own = people(library, [library.study(question.study).id])[question.study]
        if own.age is None or own.sex is None:
            raise RequestError(f"{own.study}: age or sex is not known, so nobody can be matched; import a table that states them")
        alone = collect(library, question.model, [own.study])
        wanted = studies_of(library, question.subset)
        cohort = collect(library, question.model, None if wanted is None else (*wanted, own.study))
        k = cohort.index(question.phecode)
        if cohort.night_alone != alone.night_alone:
            raise RequestError(f"{own.study}: its score leaves age and sex out, those of the others do not; assess it again")
        others_n = np.array([one.subject != own.subject for one in cohort.people], dtype=bool)
        rows = np.flatnonzero(others_n & (cohort.simulated_n == alone.simulated_n[0]))
        age_n = np.array([np.nan if cohort.people[n].age is None else cohort.people[n].age for n in rows])
        sex_n = np.array([cohort.people[n].sex or "" for n in rows], dtype=object)
        every = rows[matched(own.age, own.sex, age_n, sex_n, caliper_years=question.caliper_years)]
        every = every[np.isfinite(cohort.log_hazard_nk[every, k])]
        near = every[: question.most]
        column = _follow_up_columns((cohort.conditions[k],), conditions(library))[0]
        others = tuple(cohort.people[n] for n in near)
        years_nj, event_nj = outcome_table(library, [own.study, *(one.study for one in others)], [column])
    score, beside, beside_n = alone.log_hazard_nk[0, k], alone.demographics_nk[0, k], cohort.demographics_nk[near, k]
    compared = bool(np.isfinite(beside) and np.isfinite(beside_n).all())
    return MatchAnswer(
        question=question,
        model=cohort.model,
        trained_on=cohort.trained_on,
        condition=cohort.conditions[k],
        person=own,
        log_hazard=float(score),
        low=float(alone.low_nk[0, k]),
        high=float(alone.high_nk[0, k]),
        demographics=float(beside),
        demographics_model=cohort.demographics_model,
        years=float(years_nj[0, 0]),
        event=bool(event_nj[0, 0]),
        others=others,
        log_hazard_n=cohort.log_hazard_nk[near, k],
        low_n=cohort.low_nk[near, k],
        high_n=cohort.high_nk[near, k],
        demographics_n=beside_n,
        years_n=years_nj[1:, 0],
        event_n=event_nj[1:, 0],
        within=len(every),
        candidates=len(rows),
        standing=standing(float(score), cohort.log_hazard_nk[near, k]),
        standing_demographics=standing(float(beside), beside_n) if compared else None,
        simulated=int(cohort.simulated_n[near].sum() + alone.simulated_n.sum()),
    )
