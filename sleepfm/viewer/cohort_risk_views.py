"""The views "Compare nights" and "Cohort" of the risk page, one function each.

They take a second or so and load what the web server does not: ask for them through `sleepfm.library.resident.in_resident`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from sleepfm.analysis.risk import FEWEST_EVENTS
from sleepfm.analysis.risk_groups import RiskGroups
from sleepfm.home import Home
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library.cohort_answers import CohortAnswer, cohort_answer, matched_answer
from sleepfm.library.cohort_risk import NIGHT_RULE, CohortQuestion, MatchQuestion
from sleepfm.library.night_pair import night_pair
from sleepfm.models.card import SIMULATED
from sleepfm.text import printable
from sleepfm.viewer.cohort_risk_curves import survival_figure
from sleepfm.viewer.cohort_risk_enrichment import beside_words, enrichment_figure, enrichment_table, words
from sleepfm.viewer.cohort_risk_matched import matched_figure, matched_table
from sleepfm.viewer.cohort_risk_nights import (
    distance_figure,
    distance_table,
    measure_table,
    night_words,
    score_figure,
    score_table,
    shared_conditions,
    stage_figure,
)
from sleepfm.viewer.cohort_risk_view import RiskView, ViewFigure, ViewTable, condition_words
from sleepfm.viewer.map_words import counted
from sleepfm.viewer.risk_words import interval, minus


def nights_view(home: Home, first: str, second: str, model: str | None) -> RiskView:
    """Compare two nights: stages, indices, embeddings, and the scores of `model` side by side (None: no scores).

    Raises
    ------
    RequestError
        When a study is not in the library, both are the same, or they are known to be of two persons.
    ModelError
        The two nights were scored by different weights under the model's name.
    """
    pair = night_pair(home, first, second, model)
    said = f"{night_words(pair.nights[0])} beside {night_words(pair.nights[1])}."
    warnings = list(pair.notes)
    if model is not None and not shared_conditions(pair):
        lacking = [printable(night.person.study) for night in pair.nights if night.result is None]
        warnings.append(f"{' and '.join(lacking)} has no risk by {printable(model)} yet: assess it to see both scores.")
    for night in pair.nights:
        if night.result is not None:
            warnings += night.result.warnings
            if night.result.trained_on == SIMULATED:
                warnings.append(simulated_warning(night.result.model, simulated_recording=night.simulated))
    if any(not night.measures for night in pair.nights):
        lacking = [printable(night.person.study) for night in pair.nights if not night.measures]
        warnings.append(f"{' and '.join(lacking)} was not staged: its stages cannot be compared.")
    if not pair.distances:
        warnings.append("The nights were not both embedded by one encoder: assess or index both to see how far apart they are.")
    figures = (stage_figure(pair), score_figure(pair), distance_figure(pair))
    tables = (score_table(pair), measure_table(pair), distance_table(pair))
    return RiskView(
        words=(said, "Differences between two nights are changes of numbers; nothing here says why they changed."),
        figures=tuple(one for one in figures if one is not None),
        tables=tuple(one for one in tables if one is not None),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def matched_view(home: Home, question: MatchQuestion) -> RiskView:
    """Compare a person's score with those of people of the same sex and about the same age.

    Raises
    ------
    RequestError
        When the study has no stored risk by the model, or nobody stated its age and sex.
    ModelError
        When risks by different weights are stored under the model's name.
    """
    found = matched_answer(home, question)
    own, n = found.person, len(found.others)
    whom = f"{'women' if own.sex == 'female' else 'men'} within {question.caliper_years:g} years of {own.age:g}"
    said = [
        f"{n} of {found.within} {whom}, the nearest in age, one night a person, out of {found.candidates} other people with a"
        f" risk by {printable(found.model)}."
    ]
    warnings = []
    if n:
        place = found.standing
        said.append(
            f"{place.lower} of them score lower than {printable(own.study)}"
            + (f" and {place.equal} the same" if place.equal else "")
            + f": {words(place.share_lower, percent=True)}, 95 % interval in brackets."
        )
        if found.standing_demographics is not None:
            share = words(found.standing_demographics.share_lower, percent=True)
            said.append(f"By age and sex alone ({printable(found.demographics_model)}) it would be {share}.")
        else:
            said.append("Nothing is known of what age and sex alone would say of all of them.")
    else:
        warnings.append("Nobody can be compared: assess more people, widen the range of ages, or import their ages and sexes.")
    if found.trained_on == SIMULATED:
        warnings.append(simulated_warning(found.model, simulated_recording=found.simulated == n + 1))
    if not own.known_subject:
        warnings.append("Nobody stated whose night this is: another night of the same person may stand among the others.")
    return RiskView(tuple(said), (matched_figure(found),), (matched_table(found),), tuple(warnings))


def cohort_view(home: Home, question: CohortQuestion) -> RiskView:
    """Show a cohort: event-free curves by risk group with their log-rank test, and the enrichment of every condition.

    Raises
    ------
    RequestError
        When nobody of the cohort has a stored risk by the model.
    ModelError
        When the stored risks were made by different weights under the model's name.
    """
    found = cohort_answer(home, question)
    name = condition_words(found.condition)
    names = {one.phecode: condition_words(one) for one in found.conditions}
    events = int(found.event_n.sum())
    said = [
        f"{counted(found.scored, 'person', 'people')} with a risk by {printable(found.model)}; {len(found.people)} with a"
        f" follow-up of {name}: {counted(events, 'event', 'events')}. {NIGHT_RULE}",
        found.seen,
    ]
    figures: list[ViewFigure | None] = []
    tables: list[ViewTable] = []
    if found.groups is not None:
        said.append(f"{name}, by the model: {log_rank_words(found.groups)}")
        figures.append(_curves(found.groups, name, "the model's log hazard", "groups"))
        if found.demographics_groups is not None:
            said.append(f"{name}, by age and sex alone: {log_rank_words(found.demographics_groups)}")
            beside = f"age and sex alone ({printable(found.demographics_model)})"
            figures.append(_curves(found.demographics_groups, name, beside, "groups-age-and-sex"))
        tables.append(_group_table(found))
    if found.assessment is not None and found.assessment.conditions:
        this = next((one for one in found.assessment.conditions if one.name == found.condition.phecode), None)
        if this is not None and this.baseline is not None:
            said.append(
                f"{name}: C-index {words(this.model.c_index)}, by age and sex alone {words(this.baseline.c_index)}:"
                f" {beside_words(this)}."
            )
        figures.append(enrichment_figure(found.assessment, names))
        tables.append(enrichment_table(found.assessment, names, printable(found.demographics_model)))
        if found.conditions_followed > len(found.assessment.conditions):
            rest = found.conditions_followed - len(found.assessment.conditions)
            said.append(f"Not in the table, with fewer events or none: {rest} of the {found.conditions_followed} conditions.")
    if found.people:
        tables.append(_people_table(found))
    if found.left_out:
        data = pd.DataFrame({"study": list(found.left_out), "reason": list(found.left_out.values())})
        shown = data.rename(columns={"study": "Study", "reason": "Why"})
        tables.append(ViewTable(f"Left out (n = {len(data)})", shown, data, "left-out"))
    return RiskView(tuple(said), tuple(one for one in figures if one is not None), tuple(tables), _warnings(found, events))


def _warnings(found: CohortAnswer, events: int) -> tuple[str, ...]:
    warnings = [found.reason] if found.reason else []
    if found.people and events < FEWEST_EVENTS:
        warnings.append(f"Only {counted(events, 'event', 'events')}: too few to conclude anything from.")
    if found.trained_on == SIMULATED:
        warnings.append(simulated_warning(found.model, simulated_recording=found.simulated == len(found.people)))
    if 0 < found.simulated < len(found.people):
        warnings.append(
            f"{found.simulated} of these {len(found.people)} nights are simulated, the others are real: figures of both together"
            " mean nothing; choose a subset."
        )
    if found.night_alone:
        warnings.append(
            "The scores leave age and sex out, since nobody knows how the model takes them: they rank people of the same age and"
            " sex, and groups of mixed ages mean little."
        )
    if found.people and found.demographics_groups is None:
        warnings.append("Not everybody has a score from age and sex alone, so nothing stands beside the model here.")
    unknown = sum(not one.known_subject for one in found.people)
    if unknown:
        warnings.append(
            f"Nobody stated whose nights {unknown} of these studies are: each counts as a person, and a person with several of"
            " them counts several times."
        )
    if found.left_out:
        reasons = "; ".join(f"{count} {reason}" for reason, count in Counter(found.left_out.values()).most_common())
        warnings.append(f"Left out, of the studies asked for: {reasons}.")
    return tuple(warnings)


def log_rank_words(found: RiskGroups) -> str:
    """Return the log-rank test of groups as a sentence with n and events."""
    said = f"n = {found.n}, {found.events} events"
    if found.log_rank is None:
        return f"no log-rank test, {found.reason} ({said})."
    p = found.log_rank.p
    value = "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}"
    return (
        f"log-rank test of {len(found.groups)} groups: chi-squared {found.log_rank.statistic:.1f}, {found.log_rank.degrees}"
        f" degrees of freedom, {value} ({said})."
    )


def _curves(found: RiskGroups, condition: str, by: str, name: str) -> ViewFigure:
    return ViewFigure(
        f"{condition}: event-free by {by}",
        survival_figure(found, condition),
        f"event-free-by-{name}",
        f"Kaplan-Meier with pointwise 95 % bands; {log_rank_words(found)} Under the curves: people still followed.",
    )


def _group_table(found: CohortAnswer) -> ViewTable:
    """Return one row a risk group: n, events, and the share event-free at the horizon with its interval."""
    years = found.question.horizon_years
    shown, data = [], []
    for by, groups in (("the model", found.groups), ("age and sex alone", found.demographics_groups)):
        for group in () if groups is None else groups.groups:
            free = group.event_free_at(years)
            reached = (
                "follow-up ends before"
                if free is None
                else f"{100 * free[0]:.0f} % ({interval(100 * free[1], 100 * free[2], 0)})"
            )
            shown.append({
                "By": by,
                "Group": group.label,
                "Log hazard": f"{minus(group.lowest)} to {minus(group.highest)}",
                "n": group.n,
                "Events": group.events,
                f"Event-free after {years:g} years": reached,
            })  # fmt: skip
            value, low, high = free or (np.nan,) * 3
            data.append({
                "model": found.model, "phecode": found.condition.phecode, "by": by, "group": group.label, "n": group.n,
                "events": group.events, "lowest": group.lowest, "highest": group.highest, "years": years, "event_free": value,
                "event_free_low": low, "event_free_high": high,
            })  # fmt: skip
    return ViewTable("Risk groups", pd.DataFrame(shown), pd.DataFrame(data), "risk-groups", "Kaplan-Meier with 95 % interval.")


def _people_table(found: CohortAnswer) -> ViewTable:
    """Return one row a person: who, score, what came."""
    limits = [] if found.groups is None else [group.highest for group in found.groups.groups]
    labels = [] if found.groups is None else [group.label for group in found.groups.groups]
    data = pd.DataFrame(
        {
            "model": found.model,
            "phecode": found.condition.phecode,
            "study": [one.study for one in found.people],
            "subject": [printable(one.subject) if one.known_subject else "" for one in found.people],
            "site": [printable(one.site or "") for one in found.people],
            "age": [one.age for one in found.people],
            "sex": [one.sex or "" for one in found.people],
            "log_hazard": found.log_hazard_n,
            "low": found.low_n,
            "high": found.high_n,
            "age_and_sex": found.demographics_n,
            "group": [labels[int(np.searchsorted(limits, score))] if labels else "" for score in found.log_hazard_n],
            "event": found.event_n.astype(int),
            "years": found.years_n,
        }
    ).sort_values("log_hazard", ascending=False, kind="stable", ignore_index=True)
    shown = pd.DataFrame(
        {
            "Study": data["study"].map(printable),
            "Person": data["subject"],
            "Age": data["age"].map(lambda age: minus(np.nan if age is None else age, 0)),
            "Sex": data["sex"],
            "Log hazard": [
                f"{minus(value)} ({interval(low, high)})"
                for value, low, high in zip(data["log_hazard"], data["low"], data["high"], strict=True)
            ],
            "Age and sex alone": data["age_and_sex"].map(minus),
            "Group": data["group"],
            "What came": [
                f"{'event' if event else 'no event'} by {years:.1f} years"
                for event, years in zip(data["event"], data["years"], strict=True)
            ],
        }
    )
    return ViewTable(f"People (n = {len(data)})", shown, data, "people", "The highest scores first.")
