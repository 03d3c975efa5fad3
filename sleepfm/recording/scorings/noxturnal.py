"""Event tables of Noxturnal (CSV in the program's language, often UTF-16): start, end, event, duration; read only.

Which column is which is seen from what stands in it, because the header is translated: the first two of dates and times are the
start and the end, the event is the next one that is no number. Stages and events stand in one table, at local clock times.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.stage_names import StageWords, is_stage_word
from sleepfm.recording.scorings.tables import read_lines
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

_MOMENT = re.compile(
    r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})[ T]+(\d{1,2})[:.](\d{2})[:.](\d{2}(?:[.,]\d+)?)(?:\s*([AaPp])\.?\s?[Mm]\.?)?"
)
_UNITS = re.compile(r"\[[^\]]*\]")
_NIGHTS = timedelta(hours=60)
"""A table of a night, or of two: read with day and month swapped it would last weeks."""
_WAKE_WORDS = {
    "éveil", "eveil", "wach", "vigilia", "veglia", "vigília", "waak", "wakker", "vaken", "våken", "vågen", "vaka", "vakandi",
    "hereillä", "valve", "czuwanie", "bdění", "uyanık", "budnost", "despierto", "acordado", "sveglio",
    "覚醒", "清醒", "бодрствование",
}  # fmt: skip
"""Wake in the languages of the program."""


@dataclass(frozen=True)
class _Row:
    """One line: where, its start and end as the numbers of a date and time, and what it is."""

    where: str
    start: re.Match[str]
    stop: re.Match[str]
    text: str


def is_noxturnal(head: str) -> bool:
    """Tell whether a table begins with a header, perhaps a line of units, and then two dates with times in a row."""
    lines = [line for line in head.lstrip("\ufeff").splitlines()[:4] if line.strip()]
    if len(lines) < 2:
        return False
    delimiter = _delimiter(lines[0])
    cells = [[cell.strip() for cell in line.split(delimiter)] for line in lines]
    first = next((row for row in cells[1:] if not _is_units(row)), None)
    if first is None:
        return _is_units(cells[1]) and any("s" in unit for unit in cells[1])
    return len(first) >= 3 and sum(_MOMENT.fullmatch(cell) is not None for cell in first) >= 2


def read_noxturnal(path: Path, known: Known) -> Contents:
    """Read stages and events.

    Raises
    ------
    ScoringError
        Naming the line: a date or time that is none, an end before its start.
    """
    rows = _rows(path)
    if not rows:
        raise ScoringError(f"{path}: the table is empty")
    day_first, said = _day_first(rows, known.start)
    words, marks = StageWords(), MarkCollector("noxturnal")
    stretches = []
    moments = [
        (_moment(row.start, row, path, day_first=day_first), _moment(row.stop, row, path, day_first=day_first)) for row in rows
    ]
    begins = min(start for start, _ in moments)
    for row, (start, stop) in zip(rows, moments, strict=True):
        start_s, lasts_s = (start - begins).total_seconds(), (stop - start).total_seconds()
        if lasts_s < 0:
            raise ScoringError(f"{path}, {row.where}: ends {-lasts_s:g} s before it starts")
        if row.text.lower() in _WAKE_WORDS or is_stage_word(row.text):
            stage = words.stage(row.text, row.where, Stage.WAKE if row.text.lower() in _WAKE_WORDS else None)
            stretches.append(Stretch(start_s, start_s + lasts_s, stage, row.where))
        else:
            marks.add(row.text, start_s, lasts_s, row.where)
    return Contents(
        tuple(stretches), tuple(marks.marks), begins=begins, by_clock=True, warnings=(*said, *words.said(), *marks.said())
    )


def _rows(path: Path) -> list[_Row]:
    text = read_lines(path)
    delimiter = _delimiter(text.lstrip().partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[_Row] = []
    times: list[int] = []
    event_at = -1
    try:
        for raw in reader:
            cells = [cell.strip() for cell in raw]
            if reader.line_num == 1 or not any(cells) or _is_units(cells):
                continue
            where = f"line {reader.line_num}"
            if not times:
                times = [k for k, cell in enumerate(cells) if _MOMENT.fullmatch(cell)][:2]
                if len(times) < 2:
                    raise ScoringError(f"{path}, {where}: has no start and end with a date and a time")
                event_at = next(
                    (k for k, cell in enumerate(cells) if k not in times and cell and not re.fullmatch(r"[\d.,:]+", cell)), -1
                )
            if len(cells) <= max(*times, event_at) or event_at < 0:
                raise ScoringError(f"{path}, {where}: has {len(cells)} column(s), too few for a start, an end and an event")
            start, stop = (_MOMENT.fullmatch(cells[k]) for k in times)
            if start is None or stop is None:
                shown = printable(cells[times[0] if start is None else times[1]])[:40]
                raise ScoringError(f"{path}, {where}: {shown!r} is not a date and a time")
            rows.append(_Row(where, start, stop, cells[event_at]))
    except csv.Error as error:
        raise ScoringError(f"{path}, line {reader.line_num}: {error}") from None
    return rows


def _delimiter(line: str) -> str:
    return max(("\t", ";", ","), key=line.count)


def _is_units(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_UNITS.fullmatch(cell) for cell in filled)


def _day_first(rows: list[_Row], start: datetime | None) -> tuple[bool, list[str]]:
    """Return whether dates like 03/04/2016 begin with the day, judged by all of them, and what there is to say."""
    found = [match for row in rows for match in (row.start, row.stop)]
    if len(found[0][1]) == 4 or any(int(match[1]) > 12 for match in found):
        return True, []
    if any(int(match[2]) > 12 for match in found) or any(match[7] for match in found):
        return False, []
    spans = {}
    for day_first in (True, False):
        days = [_date(match, day_first=day_first) for match in found]
        spans[day_first] = max(days) - min(days)
    likely = [day_first for day_first, span in spans.items() if span <= _NIGHTS]
    if len(likely) == 1:
        return likely[0], []
    if start is not None:
        matching = [d for d in likely if abs(_date(found[0], day_first=d) - start) <= _NIGHTS]
        if len(matching) == 1:
            return matching[0], []
    return True, [] if found[0][1] == found[0][2] else [f"{found[0][0][:10]!r} is read as day, month, year"]


def _date(match: re.Match[str], *, day_first: bool) -> datetime:
    day, month = (int(match[1]), int(match[2])) if day_first else (int(match[2]), int(match[1]))
    year = int(match[3])
    return datetime(year + 2000 if year < 100 else year or 1, min(max(month, 1), 12), min(max(day, 1), 28))


def _moment(match: re.Match[str], row: _Row, path: Path, *, day_first: bool) -> datetime:
    first, month, last = int(match[1]), int(match[2]), int(match[3])
    if len(match[1]) == 4:
        year, day = first, last
    else:
        year, day = last, first
        if not day_first:
            day, month = month, day
    year += 2000 if year < 100 else 0
    hour = int(match[4])
    if match[7]:
        hour = hour % 12 + (12 if match[7].lower() == "p" else 0)
    try:
        return datetime(year, month, day, hour, int(match[5])) + timedelta(seconds=float(match[6].replace(",", ".")))
    except (ValueError, OverflowError):
        raise ScoringError(f"{path}, {row.where}: {printable(match[0])[:40]!r} is not a date and a time") from None
