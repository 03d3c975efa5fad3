"""What a cohort's tables say of its people, read column by column (some releases have a thousand columns)."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from pathlib import Path

from sleepfm.errors import ScoringError, SleepFMError
from sleepfm.recording.scorings.tables import read_lines
from sleepfm.signals.cohort_sources import CodedColumn, CohortSource, PeopleTable
from sleepfm.text import printable

Facts = dict[str, float | str]
_OLDEST = 120.0
_SEXES = ("female", "male")
_NOTHING = {"", ".", "na", "n/a", "nan", "null", "none"}
_WHOLE = re.compile(r"0*(\d+)(?:\.0*)?")


class People:
    """The tables of a cohort; `warnings` says what in them could not be used."""

    def __init__(self, root: Path, source: CohortSource) -> None:
        self.warnings: list[str] = []
        self._tables = [(table, self._rows(root, table)) for table in source.people]

    def of(self, found: dict[str, str]) -> Facts:
        """Return what is known of the person whose recording's path says `found`."""
        facts: Facts = {}
        for table, rows in self._tables:
            if not table.visit or table.visit == found.get("visit", ""):
                facts |= rows.get(tuple(_plain(found[key]) for key in table.matches), {})
        return facts

    def _rows(self, root: Path, table: PeopleTable) -> dict[tuple[str, ...], Facts]:
        """Return the facts by key; a key with two rows that differ has none."""
        releases = sorted((path for path in root.glob(table.file) if path.is_file()), key=_release)
        if not releases:
            self.warnings.append(f"{root / table.file}: there is no such table, so {', '.join(table.columns)} are unknown")
            return {}
        path = releases[-1]
        if len(releases) > 1:
            self.warnings.append(f"{path} is read; {len(releases) - 1} older release(s) beside it are not")
        try:
            return self._read(path, table)
        except SleepFMError as error:
            self.warnings.append(f"{error}; so {', '.join(table.columns)} are unknown")
            return {}

    def _read(self, path: Path, table: PeopleTable) -> dict[tuple[str, ...], Facts]:
        reader = csv.reader(io.StringIO(read_lines(path), newline=""))
        rows: dict[tuple[str, ...], Facts] = {}
        twice: set[tuple[str, ...]] = set()
        odd: Counter[str] = Counter()
        try:
            names = {name.strip().lower(): k for k, name in reversed(list(enumerate(next(reader, []))))}
            keys = [_column(names, name, path) for name in table.matches.values()]
            columns = {}
            for fact, column in table.columns.items():
                name = column.column if isinstance(column, CodedColumn) else column
                if name.lower() in names:
                    columns[fact] = (names[name.lower()], column)
                else:
                    self.warnings.append(f"{path}: has no column {name}, so {fact} is unknown")
            for cells in reader:
                if max(keys) >= len(cells):
                    continue
                key = tuple(_plain(cells[k]) for k in keys)
                facts: Facts = {}
                for fact, (k, column) in columns.items():
                    cell = cells[k].strip() if k < len(cells) else ""
                    value = _value(fact, cell, column)
                    if value is not None:
                        facts[fact] = value
                    elif cell.lower() not in _NOTHING:
                        odd[f"{fact} {printable(cell)[:20]!r}"] += 1
                if rows.setdefault(key, facts) != facts:
                    twice.add(key)
        except csv.Error as error:
            raise ScoringError(f"{path}, line {reader.line_num}: {error}") from None
        if odd:
            said = ", ".join(f"{text} ({n} times)" for text, n in odd.most_common(5))
            self.warnings.append(f"{path}: {said} are not understood and count as unknown")
        if twice:
            example = printable(" ".join(min(twice)))[:40]
            self.warnings.append(f"{path}: {len(twice)} people (such as {example}) have rows that contradict each other; unknown")
        return {key: facts for key, facts in rows.items() if key not in twice}


def _column(names: dict[str, int], name: str, path: Path) -> int:
    if name.lower() not in names:
        raise ScoringError(f"{path}: has no column {name} to know people by")
    return names[name.lower()]


def _value(fact: str, cell: str, column: str | CodedColumn) -> float | str | None:
    """Return a cell's value, None when it is empty or makes no sense."""
    if cell.lower() in _NOTHING:
        return None
    if isinstance(column, CodedColumn):
        text = {_plain(code): meaning for code, meaning in column.codes.items()}.get(_plain(cell))
        if text is None:
            return None
    else:
        text = cell
    if fact == "sex":
        return text.lower() if text.lower() in _SEXES else None
    if fact in {"subject", "site"}:
        return text
    number = _number(text)
    if fact == "age":
        return number if number is not None and 0 <= number <= _OLDEST else None
    return text if number is None else number


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _plain(text: str) -> str:
    """Return a key for comparing: without case, and numbers without leading zeros ("0001" is 1, "02" is 2.0)."""
    text = text.strip().casefold()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _release(path: Path) -> list[tuple[int, str]]:
    """Return what sorts file names by the numbers in them: 0.9.0 before 0.20.0."""
    return [(int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in re.split(r"(\d+)", path.as_posix())]
