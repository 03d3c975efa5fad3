"""Who is trained on and who is tested: studies of the library divided by person. Loads no torch.

Two studies are of one person when a table says so, or when their files hold the same bytes; a study whose person nobody stated is
otherwise a person of its own, and that is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.text import printable
from sleepfm.training.splits import LISTS, Splits, make_splits, refuse_leakage


def subjects(library: Library, studies: Sequence[str]) -> dict[str, str]:
    """Return a person for each study: the same for nights of one person, and for files of the same bytes."""
    who = facts.people(library, studies)
    rows = library.connection.execute(
        "SELECT id, sha256 FROM studies WHERE id IN (SELECT value FROM json_each(?))", (json.dumps([*studies]),)
    )
    sha256_of = {row["id"]: row["sha256"] for row in rows}
    first_of: dict[tuple[str, str], str] = {}
    root = {study: study for study in studies}

    def find(study: str) -> str:
        while root[study] != study:
            study = root[study]
        return study

    for study in studies:
        marks = [("person", who[study].subject)]
        if sha256_of.get(study):
            marks.append(("file", sha256_of[study]))
        for mark in marks:
            root[find(study)] = find(first_of.setdefault(mark, study))
    return {study: who[find(study)].subject for study in studies}


def split_by_subject(
    library: Library, studies: Sequence[str], shares: Mapping[str, float], seed: int = 0, *, by: str | None = None
) -> Splits:
    """Divide studies by person.

    Parameters
    ----------
    library, studies
        Which studies of the library.
    shares
        Share of the people by list (`pretrain`, `train`, `validation`, `test`); they add up to 1.
    seed
        The same seed, people and shares give the same lists; who is in the first of the lists at a smaller share is in it at a
        larger one too.
    by
        A fact (site, sex, age, or any column of a table): each group is divided for itself, so that every list has people of
        every group. Ages count by ten years.

    Raises
    ------
    RequestError
        The shares do not add up to 1, nobody knows the fact of any study, or a list would stay empty for want of people.
    """
    subject_of = subjects(library, studies)
    return divide(subject_of, shares, seed, strata=None if by is None else _groups(library, studies, by), by=by)


def divide(
    subject_of: Mapping[str, str],
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    strata: Mapping[str, str] | None = None,
    by: str | None = None,
) -> Splits:
    """Divide studies whose people are known; see `split_by_subject`."""
    if seed < 0:
        raise RequestError(f"seed {seed}: choose 0 or more")
    if not subject_of:
        raise RequestError("there is no study to divide")
    splits = make_splits(subject_of, shares, seed=seed, strata=strata)
    refuse_leakage(splits, subject_of, where="the library")
    empty = [name for name in LISTS if shares.get(name) and not getattr(splits, name)]
    if empty:
        people = len(set(subject_of.values()))
        apart = f"; or do not divide by {printable(str(by))}, whose groups are too small" if by is not None else ""
        raise RequestError(
            f"{people} {'person is' if people == 1 else 'people are'} too few to divide like this: {' and '.join(empty)} would be"
            f" empty; give {'it' if len(empty) == 1 else 'them'} a larger share, or add studies of other people{apart}"
        )
    return splits


def _groups(library: Library, studies: Sequence[str], by: str) -> dict[str, str]:
    known = facts.column(library, by)
    groups = {study: known[study] for study in studies if study in known}
    if not groups:
        there = ", ".join(printable(name) for name in facts.columns(library)) or "nothing"
        raise RequestError(f"nobody stated {printable(by)!r} of any of these studies; known of studies is {there}")
    if by == facts.AGE:
        groups = {study: facts.age_band(float(age)) for study, age in groups.items()}
    return groups


def kinds_of_nights(library: Library, studies: Sequence[str]) -> tuple[int, int]:
    """Return how many of the studies are simulated, and how many are real."""
    row = library.connection.execute(
        "SELECT SUM(simulated) AS made_up, COUNT(*) AS every FROM studies WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps([*studies]),),
    ).fetchone()
    made_up = int(row["made_up"] or 0)
    return made_up, int(row["every"]) - made_up


def require_one_kind(library: Library, studies: Sequence[str], *, mixed: bool) -> None:
    """Raise RequestError when simulated and real nights are put together and nobody said that they may be."""
    made_up, real = kinds_of_nights(library, studies)
    if made_up and real and not mixed:
        raise RequestError(
            f"{made_up} of the studies are simulated and {real} are real: a model of both counts as simulated and must not be"
            " compared with one of real nights. Choose one kind, or say that they may be mixed"
        )


def notes_on(library: Library, studies: Sequence[str]) -> tuple[str, ...]:
    """Return what there is to know of studies that are divided by person, each a sentence."""
    who = facts.people(library, studies)
    unknown = [study for study in studies if not who[study].known_subject]
    made_up, real = kinds_of_nights(library, studies)
    notes = []
    if unknown:
        notes.append(
            f"Nobody stated whose nights {len(unknown)} of {len(studies)} studies are: each counts as a person of its own, and"
            " two nights of one person could stand in two lists. Import a table with Subject ID to rule that out."
        )
    if made_up and real:
        notes.append(f"{made_up} simulated and {real} real nights are mixed: what is trained on them counts as simulated.")
    elif made_up:
        notes.append("All nights are simulated: what is trained on them says nothing about people.")
    return tuple(notes)
