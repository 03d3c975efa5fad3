"""Subsets of the library's studies under a name, and their division into training, validation and test people."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sleepfm.errors import RequestError
from sleepfm.files import atomic_path
from sleepfm.library.facts import people
from sleepfm.library.library import Library
from sleepfm.runs.database import transaction
from sleepfm.signals.study_ids import study_id
from sleepfm.text import printable
from sleepfm.training.splits import LISTS, Splits, make_splits, refuse_leakage, write_splits

SHARES: Mapping[str, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Of the people, where nobody asks for others."""
_NAME = re.compile(r"\w(?:[\w .-]{0,58}\w)?")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Subset:
    """Studies under a name.

    Attributes
    ----------
    studies
        Ids of those that are still in the library, in the order they were given in.
    gone
        How many were removed from the library since.
    note
        Where it came from, in the words of whoever saved it.
    """

    name: str
    studies: tuple[str, ...]
    gone: int
    note: str
    created_at: datetime


@dataclass(frozen=True)
class SubsetSplit:
    """A subset divided by person.

    Attributes
    ----------
    path
        The JSON file, to be named as `data.splits` of a training configuration.
    people_path
        CSV with `Study ID`, `Subject ID`, site, age and sex of the same studies, to be named as `data.cohort`.
    splits
        What the file holds.
    people
        How many people are in each list.
    notes
        What there is to know, each a sentence.
    """

    path: Path
    people_path: Path
    splits: Splits
    people: dict[str, int]
    notes: tuple[str, ...]


def save(library: Library, name: str, studies: Iterable[str], note: str = "", *, replace: bool = False) -> Subset:
    """Keep studies under a name.

    Raises
    ------
    RequestError
        The name cannot be a file's name or is taken (unless it is to be replaced), there is no study, or one is not in the
        library.
    """
    name = check_name(name)
    chosen = tuple(dict.fromkeys(studies))
    if not chosen:
        raise RequestError(f"{name}: a subset needs at least one study")
    known = _known(library)
    unknown = [study for study in chosen if study not in known]
    if unknown:
        raise RequestError(f"{name}: no study {printable(unknown[0])!r} in the library ({len(unknown)} of {len(chosen)} unknown)")
    created = datetime.now(UTC)
    with transaction(library.connection):
        taken = library.connection.execute("SELECT name FROM subsets WHERE name = ? COLLATE NOCASE", (name,)).fetchone()
        if taken is not None and not replace:
            raise RequestError(f"there is a subset {taken['name']!r} already; choose another name, or remove that one first")
        library.connection.execute("DELETE FROM subsets WHERE name = ? COLLATE NOCASE", (name,))
        library.connection.execute(
            "INSERT INTO subsets (name, studies, note, created_at) VALUES (?, ?, ?, ?)",
            (name, json.dumps(chosen), note, created.isoformat()),
        )
    return Subset(name, chosen, 0, note, created)


def check_name(name: str) -> str:
    """Return a subset's name without blanks around it; RequestError when it could not be a file's name on every system."""
    name = name.strip()
    if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
        raise RequestError(
            f"subset name {printable(name[:60])!r}: use up to 60 letters, digits, blanks, dots, underscores and hyphens,"
            " beginning and ending with a letter, digit or underscore"
        )
    return name


def load(library: Library, name: str) -> Subset:
    """Return a subset.

    Raises
    ------
    RequestError
        When there is none of this name.
    """
    row = library.connection.execute("SELECT * FROM subsets WHERE name = ?", (name,)).fetchone()
    if row is None:
        known = ", ".join(names(library)) or "none yet"
        raise RequestError(f"no subset {printable(name[:60])!r}; there is: {known}")
    stored = json.loads(row["studies"])
    known_studies = _known(library)
    studies = tuple(study for study in stored if study in known_studies)
    return Subset(row["name"], studies, len(stored) - len(studies), row["note"], datetime.fromisoformat(row["created_at"]))


def names(library: Library) -> list[str]:
    """Return the names of the subsets, the newest first."""
    rows = library.connection.execute("SELECT name FROM subsets ORDER BY created_at DESC, name")
    return [row["name"] for row in rows]


def remove(library: Library, name: str) -> None:
    """Forget a subset; its studies and the splits made from it stay. Nothing happens when it is gone already."""
    with transaction(library.connection):
        library.connection.execute("DELETE FROM subsets WHERE name = ?", (name,))


def split(
    library: Library,
    name: str,
    seed: int = 0,
    *,
    shares: Mapping[str, float] = SHARES,
    by_site: bool = False,
    out: Path | None = None,
) -> SubsetSplit:
    """Divide a subset by person and write the splits file of a training configuration.

    A study whose person nobody stated is a person of its own; the notes say how many there are, since two nights of one person
    could then stand in two lists.

    Parameters
    ----------
    library, name
        The subset.
    seed
        The same seed, shares and people give the same lists.
    shares
        Share of the people by list (`pretrain`, `train`, `validation`, `test`); they add up to 1.
    by_site
        Divide each site for itself, so that every list has people of every site.
    out
        Where the file goes; default `splits/<name>.json` in the home folder.

    Raises
    ------
    RequestError
        There is no such subset, the shares do not add up to 1, or a list would stay empty for want of people.
    """
    subset = load(library, name)
    who = people(library, subset.studies)
    subject_of = {study: who[study].subject for study in subset.studies}
    sites = {study: who[study].site or "" for study in subset.studies}
    splits = make_splits(subject_of, shares, seed=seed, strata=sites if by_site else None)
    refuse_leakage(splits, subject_of, where=subset.name)
    counts = {one: len({subject_of[study] for study in getattr(splits, one)}) for one in LISTS if shares.get(one)}
    empty = [one for one, people_there in counts.items() if not people_there]
    if empty:
        raise RequestError(
            f"{subset.name}: {len(set(subject_of.values()))} people are too few to divide: {empty[0]} would be empty;"
            " add studies, or leave that list out"
        )
    path = out or library.home.root / "splits" / f"{subset.name}.json"
    people_path = path.with_name(f"{path.stem}-people.csv")
    notes = _notes(library, subset, [study for study in subset.studies if not who[study].known_subject])
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("Study ID", "Subject ID", "site", "age", "sex"))
    for study in subset.studies:
        one = who[study]
        table.writerow((study, one.subject, one.site or "", "" if one.age is None else f"{one.age:.10g}", one.sex or ""))
    with atomic_path(people_path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    write_splits(splits, path)
    return SubsetSplit(path, people_path, splits, counts, notes)


def _notes(library: Library, subset: Subset, unknown: list[str]) -> tuple[str, ...]:
    notes = []
    if subset.gone:
        notes.append(f"{subset.gone} studies of the subset are not in the library any more and are left out.")
    if unknown:
        notes.append(
            f"Nobody stated whose nights {len(unknown)} of {len(subset.studies)} studies are: each counts as a person of its own,"
            " and two nights of one person could stand in two lists. Import a table with Subject ID to rule that out."
        )
    paths = library.connection.execute("SELECT id, path FROM studies")
    wanted = set(subset.studies)
    renamed = [row["id"] for row in paths if row["id"] in wanted and study_id(Path(row["path"])) != row["id"]]
    if renamed:
        notes.append(
            f"{len(renamed)} studies, such as {renamed[0]}, have another name here than their file has: where training reads"
            " folders of files it knows them by the file's name."
        )
    return tuple(notes)


def _known(library: Library) -> set[str]:
    return {row["id"] for row in library.connection.execute("SELECT id FROM studies")}
