"""What a folder's cohort.csv says of the people whose signals lie there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.signals.convert import SIGNAL_SUFFIXES, find_recordings
from sleepfm.signals.study_ids import study_id
from sleepfm.training.splits import read_subjects, read_table

_KEYS = ("Study ID", "Subject ID")


@dataclass(frozen=True)
class Cohort:
    """The studies of a folder whose person is known.

    Attributes
    ----------
    subject_of
        Person of each study that has signals there.
    about
        (study, column) the other cells of cohort.csv that are not empty.
    columns
        Their names.
    notes
        What was left out, as sentences.
    """

    subject_of: Mapping[str, str]
    about: Mapping[str, Mapping[str, str]]
    columns: frozenset[str]
    notes: tuple[str, ...]


def written_at(path: Path | None) -> int:
    """Return when a file or folder was written, in nanoseconds; 0 for one that is not there, which reading it then says."""
    try:
        return 0 if path is None else path.stat().st_mtime_ns
    except OSError:
        return 0


def cohort_of(folder: Path) -> Cohort:
    """Look at a folder's signals and cohort.csv.

    Raises
    ------
    RequestError
        It holds no signals, or nobody says whose nights they are.
    SleepFMError
        cohort.csv cannot be read.
    """
    table, signals = folder / "cohort.csv", folder / "signals"
    signals = signals if signals.is_dir() else folder
    return _cohort_of(signals, written_at(signals), table, written_at(table))


@lru_cache(maxsize=4)  # a form asks with every letter that is typed into it
def _cohort_of(signals: Path, _of_signals: int, table: Path, _of_table: int) -> Cohort:
    if not table.is_file():
        raise RequestError(
            f"{table}: is not there; people can be divided only where it says whose each night is (Study ID, Subject ID)"
        )
    there = {study_id(file) for file in find_recordings([signals], SIGNAL_SUFFIXES)}
    known = read_subjects(table)
    subject_of = {study: subject for study, subject in known.items() if study in there}
    if not subject_of:
        raise RequestError(f"{table}: names none of the {len(there)} studies in {signals}; its Study ID is the file's name")
    nameless = len(there) - len(subject_of)
    missing = len(known) - len(subject_of)
    notes = []
    if nameless:
        notes.append(f"{nameless} of {len(there)} nights stay in no list: cohort.csv does not say whose they are.")
    if missing:
        notes.append(f"{missing} of cohort.csv's studies have no signals here.")
    about = {study: row for study, row in about_people(table).items() if study in subject_of}
    return Cohort(subject_of, about, frozenset(name for row in about.values() for name in row), tuple(notes))


def about_people(table: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the cells of cohort.csv by study and column.

    Left out are those that say whose it is, empty ones, and columns without a name (the row numbers that pandas writes).
    """
    told = read_table(table)
    return {
        study: {name: cell for name, cell in row.items() if cell and name.strip() and name not in _KEYS}
        for study, row in told.items()
    }


def groups_of(cohort: Cohort, column: str) -> dict[str, str]:
    """Return the group of each study by a column; ages count by ten years, and an age that is none is a group of its own."""
    return {study: _group(column, row[column]) for study, row in cohort.about.items() if column in row}


def _group(column: str, cell: str) -> str:
    age = known_age(cell) if column == facts.AGE else None
    return cell if age is None else facts.age_band(age)


def known_age(cell: str) -> float | None:
    """Return the age in years that a cell says; None where it says none."""
    try:
        return facts.read_age(cell)
    except ValueError:
        return None


def known_sex(cell: str) -> str | None:
    """Return the sex that a cell says; None where it says none."""
    try:
        return facts.read_sex(cell)
    except ValueError:
        return None
