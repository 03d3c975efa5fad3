"""Tables of a cohort read into the library: who the people are, and what became of them.

A table of people has a column `Study ID` and any others; `Subject ID`, `site`, `age`, and `sex` or `gender` have a meaning.
Follow-up is the pair `is_event.csv` and `time_to_event.csv` with a column a condition. Comma, semicolon or tab; with or without a
byte-order mark. A table whose rows cannot be told apart is refused whole; a cell that makes no sense is left out and named with
its row.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.facts import AGE, LONGEST_TEXT, OLDEST_YEARS, SEX, SITE, SUBJECT, read_age, read_sex, store_many
from sleepfm.library.follow_up import store_outcomes
from sleepfm.library.library import Library
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.opening import RECORDING_SUFFIXES
from sleepfm.recording.scorings.tables import read_lines, spreadsheet_text
from sleepfm.signals.study_ids import study_id
from sleepfm.text import printable

PEOPLE_FILES = ("cohort.csv", "demographics.csv")
"""Names under which tables of people are looked for beside recordings."""
EVENT_FILE, TIME_FILE = "is_event.csv", "time_to_event.csv"

_STUDY = "study id"
_MEANINGS = {"subject id": SUBJECT, "subject": SUBJECT, "site": SITE, "age": AGE, "sex": SEX, "gender": SEX}
_NOTHING = {"", ".", "na", "n/a", "nan", "null", "none"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_MOST_NOTES = 20
_SUFFIXES = frozenset((*RECORDING_SUFFIXES, ".hdf5", ".h5"))


@dataclass(frozen=True)
class TableImport:
    """What a table brought.

    Attributes
    ----------
    columns
        Names that facts were stored under.
    studies
        Ids of the library's studies that something was stored of.
    unknown_studies
        Study IDs of the table that no study of the library has; nothing is stored of them.
    outcomes
        How many follow-ups (a study and a condition) are known.
    notes
        Cells that were left out, each with its file and line.
    """

    columns: tuple[str, ...]
    studies: tuple[str, ...]
    unknown_studies: tuple[str, ...]
    outcomes: int
    notes: tuple[str, ...]


def import_table(
    library: Library, csv_path: Path | str, *, studies: Collection[str] | None = None, progress: Progress = silent
) -> TableImport:
    """Store what a table says of the library's studies, in place of what was stored under the same name.

    An empty cell says nothing: what was known stays.

    A table of people takes the follow-up along that lies beside it under the usual names; one of the two follow-up tables
    reads both.

    Parameters
    ----------
    library
        Where the studies are.
    csv_path
        The table.
    studies
        Only of these; None for all of the library. A table that lies among recordings speaks of those only, since another
        cohort may use the same names.
    progress
        Told how far it is.

    Raises
    ------
    RequestError
        There is no such file, or only one table of a follow-up.
    SleepFMError
        It is no table of this form, or a study stands in two rows.
    """
    path = Path(csv_path).expanduser().absolute()
    finder = _StudyFinder(library, studies, path.parent)
    if path.name.lower() in (EVENT_FILE, TIME_FILE):
        found = [_import_follow_up(library, path.parent, finder, progress)]
    else:
        found = [_import_people(library, path, finder)]
        if all((path.parent / name).is_file() for name in (EVENT_FILE, TIME_FILE)):
            found.append(_import_follow_up(library, path.parent, finder, part(progress, 0.2, 1.0)))
    return TableImport(
        columns=tuple(dict.fromkeys(name for one in found for name in one.columns)),
        studies=tuple(dict.fromkeys(study for one in found for study in one.studies)),
        unknown_studies=tuple(dict.fromkeys(study for one in found for study in one.unknown_studies)),
        outcomes=sum(one.outcomes for one in found),
        notes=tuple(note for one in found for note in one.notes),
    )


def tables_in(folder: Path) -> list[Path]:
    """Return the tables of a folder that `import_table` is to be called for, follow-up included."""
    there = [folder / name for name in PEOPLE_FILES if (folder / name).is_file()]
    follow_up = [folder / EVENT_FILE] if all((folder / name).is_file() for name in (EVENT_FILE, TIME_FILE)) else []
    return there[:1] or follow_up


def files_with(table: Path) -> list[Path]:
    """Return the files that `import_table` reads for a table: itself, and the follow-up beside it."""
    return [table, *(file for name in (EVENT_FILE, TIME_FILE) if (file := table.parent / name).is_file() and file != table)]


@dataclass(frozen=True)
class _Row:
    line: int
    study: str
    cells: dict[str, str]


class _StudyFinder:
    """Finds the study of the library that a table's Study ID means: by the name of its file, or by its name in the library."""

    def __init__(self, library: Library, studies: Collection[str] | None, folder: Path) -> None:
        wanted = None if studies is None else set(studies)
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._by_file: dict[str, list[str]] = {}
        for row in library.connection.execute("SELECT id, path FROM studies"):
            if wanted is None or row["id"] in wanted:
                self._paths[row["id"]] = Path(row["path"])
                self._by_file.setdefault(study_id(Path(row["path"])), []).append(row["id"])

    def find(self, text: str, where: str) -> str | None:
        """Return the study's id, None when there is none; SleepFMError when two studies could be meant."""
        name = Path(text.replace("\\", "/"))
        stem = study_id(name if name.suffix.lower() in _SUFFIXES else Path(f"{name.name}.x"))
        meant = list(dict.fromkeys([*self._by_file.get(stem, []), *([text] if text in self._paths else [])]))
        if len(meant) > 1:  # of files of one name in several folders, the one beside the table
            meant = [one for one in meant if self._folder in self._paths[one].parents] or meant
        if len(meant) > 1:
            raise SleepFMError(
                f"{where}: {printable(text[:60])!r} may be {' or '.join(meant)}; put the table into the folder of its recordings"
            )
        return meant[0] if meant else None


def _import_people(library: Library, path: Path, finder: _StudyFinder) -> TableImport:
    header, rows = _read(path)
    names = _fact_names(path, header)
    notes: list[str] = []
    facts_of: dict[str, dict[str, str]] = {}
    unknown: list[str] = []
    for row, study in _matched(path, rows, finder, unknown):
        facts: dict[str, str] = {}
        for column, name in names.items():
            cell = row.cells[column]
            value, problem = _value(name, cell)
            if problem:
                notes.append(f"{path}, line {row.line}: {printable(column[:40])} {problem}; left out")
            if value:
                facts[name] = value
        facts_of[study] = facts
    store_many(library, facts_of)
    return TableImport(tuple(names.values()), tuple(facts_of), tuple(unknown), 0, _first(notes))


def _fact_names(path: Path, header: list[str]) -> dict[str, str]:
    """Return the fact's name by column."""
    names: dict[str, str] = {}
    for column in header:
        name = _MEANINGS.get(_plain(column), column)
        if name in names.values():
            raise SleepFMError(f"{path}: two columns say {printable(name[:40])}; leave one of them out")
        names[column] = name
    if not names:
        raise SleepFMError(f"{path}: has no column but Study ID")
    return names


def _value(name: str, cell: str) -> tuple[str, str]:
    """Return what to store of a cell, the empty text when it says nothing, and what is wrong with it."""
    if cell.lower() in _NOTHING:
        return "", ""
    if len(cell) > LONGEST_TEXT:
        return "", f"has {len(cell)} characters, more than {LONGEST_TEXT}"
    try:
        if name == AGE:
            read_age(cell)
        elif name == SEX:
            read_sex(cell)
    except ValueError as error:
        return "", str(error)
    return cell, ""


def _import_follow_up(library: Library, folder: Path, finder: _StudyFinder, progress: Progress) -> TableImport:
    missing = [name for name in (EVENT_FILE, TIME_FILE) if not (folder / name).is_file()]
    if missing:
        raise RequestError(f"{folder / missing[0]}: is not there; follow-up needs {EVENT_FILE} and {TIME_FILE} in one folder")
    events, times = folder / EVENT_FILE, folder / TIME_FILE
    (event_columns, event_rows), (time_columns, time_rows) = _read(events), _read(times)
    odd = sorted(set(event_columns) ^ set(time_columns))
    if odd:
        raise SleepFMError(f"{events} and {times.name} name different conditions: {printable(odd[0][:60])} is in one only")
    notes: list[str] = []
    unknown: list[str] = []
    years_of = {study: row for row, study in _matched(times, time_rows, finder, unknown)}
    found: dict[str, dict[str, tuple[bool, float] | None]] = {}
    for row, study in _matched(events, event_rows, finder, unknown):
        time_row = years_of.get(study)
        if time_row is None:
            notes.append(f"{events}, line {row.line}: {study} is not in {times.name}; left out")
            continue
        found[study] = {}
        for condition in event_columns:
            one, problem = _outcome(row.cells[condition], time_row.cells[condition])
            if problem:
                line = f"line {row.line} (line {time_row.line} of {times.name})"
                notes.append(f"{events}, {line}: {printable(condition[:40])}: {problem}; left out")
            found[study][condition] = one
    known = store_outcomes(library, found, progress)
    return TableImport((), tuple(found), tuple(dict.fromkeys(unknown)), known, _first(notes))


def _outcome(event: str, years: str) -> tuple[tuple[bool, float] | None, str]:
    """Return a follow-up, None where it is not known, and what is wrong with it."""
    if event.lower() in _NOTHING or years.lower() in _NOTHING:
        return None, ""
    happened, time = _number(event), _number(years)
    if happened not in (0.0, 1.0):
        return None, f"{printable(event[:20])!r} is neither 1, 0 nor empty (unknown)"
    if not math.isfinite(time):
        return None, f"{printable(years[:20])!r} is no number of years"
    if time <= 0:
        return None, f"{time:g} years: the condition was there before the night, or nobody was followed"
    if time > OLDEST_YEARS:
        return None, f"{time:g} years: nobody is followed so long; give the time in years, not in days or months"
    return (happened == 1.0, time), ""


def _number(text: str) -> float:
    try:
        return math.nan if "_" in text else float(text)  # Python reads "6_5" as 65
    except ValueError:
        return math.nan


def _matched(path: Path, rows: Iterable[_Row], finder: _StudyFinder, unknown: list[str]) -> list[tuple[_Row, str]]:
    """Return the rows whose study is in the library, with its id; the Study IDs of the others go to `unknown`."""
    found: list[tuple[_Row, str]] = []
    lines: dict[str, int] = {}
    for row in rows:
        where = f"{path}, line {row.line}"
        study = finder.find(row.study, where)
        if study is None:
            unknown.append(row.study)
            continue
        if study in lines:
            raise SleepFMError(
                f"{where}: {printable(row.study[:60])} is there for the second time (line {lines[study]}); keep one row a study"
            )
        lines[study] = row.line
        found.append((row, study))
    return found


def _read(path: Path) -> tuple[list[str], list[_Row]]:
    """Return the columns beside Study ID, and the rows, cells stripped."""
    text = read_lines(path)
    first_line = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=first_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    place = 0
    rows: list[_Row] = []
    lines: dict[str, int] = {}
    try:
        for raw in reader:
            cells = [spreadsheet_text(cell.strip()) for cell in raw]
            where = f"{path}, line {reader.line_num}"
            if not any(cells):
                continue
            if not header:
                header, place = _header(path, cells)
                continue
            if len(cells) != len(header):
                raise SleepFMError(f"{where}: has {len(cells)} cells, the first line {len(header)}")
            study = cells[place]
            if not study:
                raise SleepFMError(f"{where}: has no Study ID")
            if study in lines:
                raise SleepFMError(
                    f"{where}: {printable(study[:60])} is there for the second time (line {lines[study]}); keep one row a study"
                )
            lines[study] = reader.line_num
            if delimiter == ";":
                cells = [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
            named = {name: cell for k, (name, cell) in enumerate(zip(header, cells, strict=True)) if k != place and name}
            rows.append(_Row(reader.line_num, study, named))
    except csv.Error as error:
        raise SleepFMError(f"{path}, line {reader.line_num}: {error}") from None
    if not header:
        raise SleepFMError(f"{path}: is empty")
    return [name for k, name in enumerate(header) if k != place and name], rows


def _header(path: Path, cells: list[str]) -> tuple[list[str], int]:
    places = [k for k, cell in enumerate(cells) if _plain(cell) == _STUDY]
    if len(places) != 1:
        said = printable(", ".join(cells)[:120])
        raise SleepFMError(f"{path}: the first line must name one column Study ID; it says {said}")
    named = [cell for cell in cells if cell]
    twice = next((cell for cell in named if named.count(cell) > 1), None)
    if twice is not None:
        raise SleepFMError(f"{path}: column {printable(twice[:60])} stands there twice")
    long = next((cell for cell in named if len(cell) > LONGEST_TEXT), None)
    if long is not None:
        raise SleepFMError(f"{path}: column {printable(long[:40])}… has a name of more than {LONGEST_TEXT} characters")
    return cells, places[0]


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def _first(notes: list[str]) -> tuple[str, ...]:
    """Return the notes, or the first of them and how many more there are."""
    more = len(notes) - _MOST_NOTES
    return tuple(notes) if more <= 0 else (*notes[:_MOST_NOTES], f"and {more} more cells that were left out")
