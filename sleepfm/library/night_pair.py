"""Two nights of one person: stages, what is known of each, how far apart their embeddings are, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.matching import Standing, standing
from sleepfm.analysis.night_comparison import NightMeasure, distance_with_interval, night_distance, night_measures
from sleepfm.errors import ModelError, RequestError
from sleepfm.home import Home
from sleepfm.inference.embedding_files import Embeddings, embedding_paths
from sleepfm.inference.risk_result import RiskResult
from sleepfm.library import facts
from sleepfm.library.facts import Person
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.present_embeddings import present_embeddings
from sleepfm.library.risks import risks, told_as_stated
from sleepfm.text import printable
from sleepfm.vocabulary import WINDOW_S, Modality

_MOST_OTHERS = 100
"""Nights of other people that a distance is read beside: enough to tell a rank, few enough for a page to wait for."""


@dataclass(frozen=True, eq=False)
class OneNight:
    """One of two nights.

    Attributes
    ----------
    start
        Of the recording, None where the file does not say.
    scorer
        Who staged it; empty when nobody did.
    measures
        What the stages add up to.
    numbers
        What tables say of the night, by column: every column that is a number for both.
    """

    person: Person
    start: datetime | None
    simulated: bool
    scorer: str
    measures: tuple[NightMeasure, ...]
    numbers: dict[str, float]
    result: RiskResult | None


@dataclass(frozen=True)
class Distance:
    """How far apart two nights are in one modality.

    Attributes
    ----------
    encoder
        Name of the encoder.
    distance
        1 minus the cosine of the nights' mean directions.
    others
        Median of the distances from the first night to nights of other people; None when there are none.
    standing
        Where the distance stands among those: how many other people's nights are nearer than this one.
    """

    encoder: str
    modality: Modality
    distance: Estimate
    others: float | None
    standing: Standing


@dataclass(frozen=True, eq=False)
class NightPair:
    """Two nights, the earlier first where both have a date.

    Attributes
    ----------
    same_scorer
        Whether both were staged by the same.
    known_person
        Whether somebody stated that both are of one person.
    notes
        What there is to know, each a sentence.
    """

    nights: tuple[OneNight, OneNight]
    model: str | None
    same_scorer: bool
    known_person: bool
    distances: tuple[Distance, ...]
    notes: tuple[str, ...]


def night_pair(home: Home, first: str, second: str, model: str | None) -> NightPair:
    """Put two nights side by side.

    Raises
    ------
    RequestError
        A study is not in the library, both are the same, or they are known to be of two persons.
    ModelError
        The two nights were scored by different weights under the model's name.
    """
    if first == second:
        raise RequestError("choose two different nights")
    with Library(home) as library:
        studies = [library.study(one) for one in (first, second)]
        if all(study.start is not None for study in studies):
            studies.sort(key=lambda study: (study.start or datetime.min, study.id))
        who = facts.people(library, [study.id for study in studies])
        people = [who[study.id] for study in studies]
        known = all(one.known_subject for one in people)
        if known and people[0].subject != people[1].subject:
            raise RequestError(
                f"{first} and {second} are nights of two people; choose two of one person, or compare people by matching"
            )
        notes = [] if known else ["Nobody stated that both nights are of one person."]
        scorings = _scorings(library, studies[0].id, studies[1].id)
        same_scorer = None not in scorings and len({_scorer(one) for one in scorings if one is not None}) == 1
        if None not in scorings and not same_scorer:
            notes.append("The nights were staged by different scorers: what differs may be the scorer, not the night.")
        results = [] if model is None else [_scored(library, one, model) for one in people]
        _require_comparable(model, results)
        notes += [] if model is None else _told(library, people, results, model)
        numbers = _numbers(library, studies[0].id, studies[1].id)
        nights = tuple(
            OneNight(
                person=person,
                start=study.start,
                simulated=study.simulated,
                scorer="" if scoring is None else scoring.label,
                measures=() if scoring is None else night_measures(scoring.scoring.stages),
                numbers={column: values[place] for column, values in numbers.items()},
                result=result,
            )
            for place, (study, person, scoring, result) in enumerate(
                zip(studies, people, scorings, results or (None, None), strict=True)
            )
        )
        distances = _distances(library, studies[0].id, studies[1].id, {one.subject for one in people})
    return NightPair((nights[0], nights[1]), model, same_scorer, known, distances, tuple(notes))


def _scorer(stored: StoredScoring) -> tuple[str, str]:
    return stored.engine, "" if stored.engine == "file" else stored.model


def _scorings(library: Library, first: str, second: str) -> tuple[StoredScoring | None, StoredScoring | None]:
    """Return a scoring of each night, by the same scorer where there is one."""
    of_first, of_second = library.scorings(first), library.scorings(second)
    for one in of_first:
        for other in of_second:
            if _scorer(one) == _scorer(other):
                return one, other
    return next(iter(of_first), None), next(iter(of_second), None)


def _scored(library: Library, person: Person, model: str) -> RiskResult | None:
    """Return the newest result of a night for the age and sex that the tables state of it."""
    stored = risks(library, person.study, model)
    return next((one.result for one in stored if told_as_stated(person, one.age, one.sex)), None)


def _require_comparable(model: str | None, results: list[RiskResult | None]) -> None:
    there = [one for one in results if one is not None]
    if len({one.weights_sha256 for one in there}) > 1:
        raise ModelError(
            f"{printable(model or '')}: the two nights were scored by different weights of this name; assess both again"
        )
    if len({one.demographics_left_out for one in there}) > 1:
        raise ModelError(f"{printable(model or '')}: one score leaves age and sex out, the other does not; assess both again")


def _told(library: Library, people: list[Person], results: list[RiskResult | None], model: str) -> list[str]:
    """Return what to know of the ages and sexes that the nights were scored for."""
    notes = [
        f"{printable(one.study)} was scored by {printable(model)} for another age or sex than the tables state: that is left out."
        for one, result in zip(people, results, strict=True)
        if result is None and risks(library, one.study, model)
    ]
    first, second = results
    if first is not None and second is not None and (first.age, first.sex) != (second.age, second.sex):
        ages = " and ".join(_person_words(one) for one in (first, second))
        notes.append(f"The nights were scored for different people ({ages}): part of the change is theirs, not the night's.")
    return notes


def _person_words(result: RiskResult) -> str:
    told = ("" if result.age is None else f"{result.age:g} years", result.sex or "")
    return " ".join(word for word in told if word)


def _numbers(library: Library, first: str, second: str) -> dict[str, tuple[float, float]]:
    """Return the columns that hold a number for both nights."""
    found: dict[str, tuple[float, float]] = {}
    for column in facts.columns(library):
        if column in (facts.SUBJECT, facts.SITE, facts.SEX):
            continue
        cells = facts.column(library, column)
        try:
            values = float(cells[first]), float(cells[second])
        except (KeyError, ValueError):
            continue  # not stated for both, or no number
        if np.isfinite(values).all():
            found[column] = values
    return found


def _distances(library: Library, first: str, second: str, subjects: set[str]) -> tuple[Distance, ...]:
    """Return the distances of two nights by every encoder that both were embedded with."""
    found: list[Distance] = []
    folders = sorted(path.name for path in (library.study_folder(first) / "embeddings").glob("*") if path.is_dir())
    for folder in folders:
        one, other = (present_embeddings(library, study, folder, WINDOW_S) for study in (first, second))
        if one is None or other is None:
            continue
        if one.origin.recipe != other.origin.recipe:
            continue  # signals of different recipes make embeddings that are not compared
        others = _other_nights(library, folder, one, subjects)
        for modality in one.rows:
            if modality not in other.rows:
                continue
            distance = distance_with_interval(one.rows[modality], other.rows[modality])
            if distance.value is None:
                continue
            beside_n = np.array(
                [night_distance(one.rows[modality], far.rows[modality]) for far in others if modality in far.rows]
            )
            beside_n = beside_n[np.isfinite(beside_n)]
            median = float(np.median(beside_n)) if beside_n.size else None
            found.append(Distance(one.origin.model, modality, distance, median, standing(distance.value, beside_n)))
    return tuple(found)


def _other_nights(library: Library, folder: str, like: Embeddings, subjects: set[str]) -> list[Embeddings]:
    """Return nights of other people by the same encoder, one a person, at most `_MOST_OTHERS` drawn by a fixed seed.

    Beside a real night stand real ones only, beside a simulated one simulated ones.
    """
    of_subject: dict[str, str] = {}
    for study, person in facts.people(library).items():
        if person.subject not in subjects and _file(library.home.studies / study, folder, study).is_file():
            of_subject.setdefault(person.subject, study)
    studies = sorted(of_subject.values())
    chosen = np.random.default_rng(0).permutation(len(studies))[:_MOST_OTHERS]
    read = (present_embeddings(library, studies[place], folder, WINDOW_S) for place in chosen)
    same = (like.origin.recipe, like.origin.simulated)
    return [one for one in read if one is not None and (one.origin.recipe, one.origin.simulated) == same]


def _file(study_folder: Path, folder: str, study: str) -> Path:
    return embedding_paths(study_folder / "embeddings" / folder, study)[1]
