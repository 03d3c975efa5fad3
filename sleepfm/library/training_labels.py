"""Whose scorings a training run learns from: people's first, a program's only when it is asked for by its name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.stored_scorings import BY_PEOPLE, ScoringPlace, first_places
from sleepfm.library.study import AUTOMATIC_ENGINES
from sleepfm.text import printable

PEOPLE = "people"
"""The labels that are taken unless others are asked for: of people's scorings the signed one, else a reviewed one, else one that
is open, else the one that came with the recording."""
NO_LABELS = "none"


@dataclass(frozen=True)
class Scorer:
    """Who or what scored studies, as it is offered.

    Attributes
    ----------
    key
        For `LibraryChoice.scorings`.
    label
        For people.
    studies
        How many of the studies have such a scoring.
    by_people
        False for what a program made.
    """

    key: str
    label: str
    studies: int
    by_people: bool


def scorers(library: Library, studies: Iterable[str]) -> list[Scorer]:
    """Return who scored the studies, people first; `PEOPLE` stands first whenever anybody did."""
    wanted = json.dumps([*studies])
    rows = library.connection.execute(
        "SELECT r.engine AS engine, r.model AS model, COUNT(DISTINCT r.study) AS studies,"
        " json_extract(r.provenance, '$.label') AS label"
        " FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
        " WHERE s.id IN (SELECT value FROM json_each(?)) GROUP BY r.engine, CASE WHEN r.engine IN (?, ?) THEN r.model END",
        (wanted, *AUTOMATIC_ENGINES),
    ).fetchall()
    programs = [
        Scorer(f"{row['engine']}:{row['model']}" if row["model"] else row["engine"], _program_words(row), row["studies"], False)  # noqa: FBT003 - a field
        for row in rows
        if row["engine"] in AUTOMATIC_ENGINES
    ]
    by_people = label_sources(library, json.loads(wanted), PEOPLE)
    first = [Scorer(PEOPLE, _people_words(by_people.values()), len(by_people), by_people=True)]
    return [*(first if by_people else []), *sorted(programs, key=lambda one: -one.studies)]


def _people_words(places: Iterable[ScoringPlace]) -> str:
    """Return what is taken of people, in the order in which it is looked for."""
    counted = Counter("other" if place.state is None else place.state for place in places)
    words = {"signed": "signed", "reviewed": "reviewed", "open": "still open", "other": "imported or with the recording"}
    return f"people's scorings: {', '.join(f'{counted[name]} {word}' for name, word in words.items() if counted[name])}"


def _program_words(row: Any) -> str:
    return f"{row['label']}{' ' + row['model'] if row['model'] else ''}, a program"


def label_sources(library: Library, studies: Sequence[str], scorings: str = PEOPLE) -> dict[str, ScoringPlace]:
    """Return the scoring of each study that has one of these, by study id; one made from other bytes does not count.

    Raises
    ------
    RequestError
        `scorings` is neither `PEOPLE` nor `NO_LABELS` nor an engine.
    """
    if scorings == NO_LABELS:
        return {}
    engine, _, model = scorings.partition(":")
    if scorings == PEOPLE:
        which, values = BY_PEOPLE, tuple[str, ...]()
    elif engine in AUTOMATIC_ENGINES:
        which, values = "r.engine = ? AND r.model = ?", (engine, model)
    else:
        raise RequestError(
            f"scorings {printable(scorings[:60])!r}: take {PEOPLE!r}, {NO_LABELS!r} or a program: {', '.join(AUTOMATIC_ENGINES)},"
            " with its model behind a colon"
        )
    return first_places(library, f"s.id IN (SELECT value FROM json_each(?)) AND {which}", (json.dumps([*studies]), *values))
