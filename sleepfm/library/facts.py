"""What is known of the people behind the studies: subject, site, age, sex, and any column of a cohort's table.

A fact is a text under a name. Four names have a meaning: "subject", "site", "age" (years) and "sex" (female or male); every other
column of a table stands under its own name. Nothing is ever guessed: what nobody stated is None.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.runs.database import transaction
from sleepfm.text import printable

Sex = Literal["female", "male"]

SUBJECT, SITE, AGE, SEX = "subject", "site", "age", "sex"
OLDEST_YEARS = 120.0
"""Ages from 0 to this are taken for ages."""
LONGEST_TEXT = 200
"""Characters of a name or a value."""
_SEX_WORDS: dict[str, Sex] = {"female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male"}


@dataclass(frozen=True)
class Person:
    """Who was recorded in a study, as far as somebody stated it.

    Attributes
    ----------
    study
        The study.
    subject
        The person's name in the tables; the study's id where nobody stated one, so that each study counts as its own person.
    known_subject
        Whether somebody stated it.
    site
        Where it was recorded, None when nobody stated it.
    age
        Years at the recording, None when nobody stated it.
    sex
        None when nobody stated it.
    """

    study: str
    subject: str
    known_subject: bool
    site: str | None
    age: float | None
    sex: Sex | None


def person(library: Library, study: str) -> Person:
    """Return who was recorded in a study.

    Raises
    ------
    RequestError
        When there is no such study.
    """
    return people(library, [library.study(study).id])[study]


def people(library: Library, studies: Iterable[str] | None = None) -> dict[str, Person]:
    """Return who was recorded, by study id; None asks for every study, and what is not in the library is left out."""
    found: dict[str, dict[str, str]] = {}
    some, values = ("", ()) if studies is None else ("WHERE s.id IN (SELECT value FROM json_each(?))", (json.dumps([*studies]),))
    rows = library.connection.execute(
        "SELECT s.id AS study, f.name AS name, f.value AS value FROM studies s"
        f" LEFT JOIN facts f ON f.study = s.id AND f.name IN (?, ?, ?, ?) {some} ORDER BY s.id",
        (SUBJECT, SITE, AGE, SEX, *values),
    )
    for row in rows:
        of_study = found.setdefault(row["study"], {})
        if row["name"] is not None:
            of_study[row["name"]] = row["value"]
    return {study: _person(study, values) for study, values in found.items()}


def _person(study: str, values: Mapping[str, str]) -> Person:
    age, sex = values.get(AGE), values.get(SEX)
    return Person(
        study=study,
        subject=values.get(SUBJECT, study),
        known_subject=SUBJECT in values,
        site=values.get(SITE),
        age=None if age is None else float(age),
        sex=None if sex is None else read_sex(sex),
    )


def columns(library: Library) -> list[str]:
    """Return the names that anything is known under: the four of a person first, then the others in alphabetical order."""
    names = [row["name"] for row in library.connection.execute("SELECT DISTINCT name FROM facts")]
    first = [SUBJECT, SITE, AGE, SEX]
    return [name for name in first if name in names] + sorted((n for n in names if n not in first), key=str.casefold)


def column(library: Library, name: str) -> dict[str, str]:
    """Return what is stored under a name, by study id; studies without it are not in the result."""
    rows = library.connection.execute("SELECT study, value FROM facts WHERE name = ? ORDER BY study", (name,))
    return {row["study"]: row["value"] for row in rows}


def store(library: Library, study: str, values: Mapping[str, str]) -> None:
    """Store facts of a study beside those that are there; an empty text forgets one.

    Raises
    ------
    RequestError
        There is no such study, an age is none, a sex is neither female nor male, or a text is too long.
    """
    store_many(library, {library.study(study).id: values})


def store_many(library: Library, values_of: Mapping[str, Mapping[str, str]]) -> None:
    """Store the facts of many studies in one transaction; errors as for `store`."""
    checked = [
        (study, name.strip(), _checked(study, name.strip(), value))
        for study, values in values_of.items()
        for name, value in values.items()
    ]
    with transaction(library.connection):
        library.connection.executemany("DELETE FROM facts WHERE study = ? AND name = ?", [row[:2] for row in checked])
        # a study that was removed meanwhile has no facts
        library.connection.executemany(
            "INSERT INTO facts (study, name, value) SELECT id, ?, ? FROM studies WHERE id = ?",
            [(name, value, study) for study, name, value in checked if value],
        )


def _checked(study: str, name: str, value: str) -> str:
    value = value.strip()
    where = f"{study}: {printable(name[:40])}"
    if not name or len(name) > LONGEST_TEXT or len(value) > LONGEST_TEXT:
        raise RequestError(f"{where}: a name and its value have 1 to {LONGEST_TEXT} characters")
    try:
        if name == AGE and value:
            return f"{read_age(value):.10g}"
        if name == SEX and value:
            return read_sex(value)
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from None
    return value


def read_age(text: str) -> float:
    """Return an age in years; ValueError, with the reason, for what is none."""
    try:
        age = math.nan if "_" in text else float(text)  # Python reads "6_5" as 65
    except ValueError:
        age = math.nan
    if not 0 <= age <= OLDEST_YEARS:
        raise ValueError(f"{printable(text[:20])!r} is no age in years (0 to {OLDEST_YEARS:g})")
    return age


def read_sex(text: str) -> Sex:
    """Return a sex; ValueError, with the reason, for a word or a number that does not say which."""
    sex = _SEX_WORDS.get(text.strip().lower())
    if sex is None:
        raise ValueError(f"{printable(text[:20])!r} is neither female nor male")
    return sex


def age_band(age: float) -> str:
    """Return the ten years that an age lies in, such as "40 to 49"."""
    first = 10 * int(age // 10)
    return f"{first} to {first + 9}"
