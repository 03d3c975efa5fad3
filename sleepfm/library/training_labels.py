"""Whose scorings a training run learns from: people's first, a program's only when it is asked for by its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.study import AUTOMATIC_ENGINES, SCORINGS_IN_ORDER
from sleepfm.text import printable

PEOPLE = "people"
"""The labels that are taken unless others are asked for: the newest scoring by a person, else the one that came with the
recording."""
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


@dataclass(frozen=True)
class LabelSource:
    """The scoring that a study's labels are taken from."""

    id: int
    file: Path
    engine: str
    model: str
    label: str


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
    by_people = len(label_sources(library, json.loads(wanted), PEOPLE))
    first = [Scorer(PEOPLE, "scorings by people and those that came with the recordings", by_people, by_people=True)]
    return [*(first if by_people else []), *sorted(programs, key=lambda one: -one.studies)]


def _program_words(row: Any) -> str:
    return f"{row['label']}{' ' + row['model'] if row['model'] else ''}, a program"


def label_sources(library: Library, studies: Sequence[str], scorings: str = PEOPLE) -> dict[str, LabelSource]:
    """Return the scoring of each study that has one of these, by study id; one made from other bytes does not count.

    Raises
    ------
    RequestError
        `scorings` is neither `PEOPLE` nor `NO_LABELS` nor an engine.
    """
    if scorings == NO_LABELS:
        return {}
    engine, _, model = scorings.partition(":")
    programs = ", ".join(f"'{name}'" for name in AUTOMATIC_ENGINES)
    if scorings == PEOPLE:
        which, values = f"r.engine NOT IN ({programs})", tuple[str, ...]()
    elif engine in AUTOMATIC_ENGINES:
        which, values = "r.engine = ? AND r.model = ?", (engine, model)
    else:
        raise RequestError(
            f"scorings {printable(scorings[:60])!r}: take {PEOPLE!r}, {NO_LABELS!r} or a program: {', '.join(AUTOMATIC_ENGINES)},"
            " with its model behind a colon"
        )
    rows = library.connection.execute(
        "SELECT r.id, r.study, r.engine, r.model, r.file, json_extract(r.provenance, '$.label') AS label"
        " FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
        f" WHERE s.id IN (SELECT value FROM json_each(?)) AND {which} ORDER BY r.study, {SCORINGS_IN_ORDER}",
        (json.dumps([*studies]), *values),
    )
    found: dict[str, LabelSource] = {}
    for row in rows:
        file = library.home.studies / row["study"] / "scorings" / row["file"]
        if row["study"] not in found and file.is_file():
            found[row["study"]] = LabelSource(row["id"], file, row["engine"], row["model"], str(row["label"]))
    return found
