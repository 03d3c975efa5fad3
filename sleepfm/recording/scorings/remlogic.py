"""Event exports of RemLogic and Somnologica (text, tab-separated, behind free header lines); read only.

A row is an epoch's stage (SLEEP-S0, SLEEP-S1 … SLEEP-REM, SLEEP-MT, SLEEP-UNSCORED) or an event, at a clock time that starts
anew at midnight, or at a date and time. The columns vary; the one of the time says "[hh:mm:ss]", in English or another language.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.clock import anonymous_day, as_clock
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.stage_names import StageWords
from sleepfm.recording.scorings.tables import read_lines
from sleepfm.recording.scorings.xml_tree import number_of
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

_MOST_HEADER_LINES = 200
_TIME_COLUMN = re.compile(r"[^\[]*\[hh:mm:ss.*\]", re.IGNORECASE)
_LENGTH_COLUMN = re.compile(r"(duration|dur[ée]e|dauer|duraci[óo]n|durata|dura[çc][ãa]o|duur).*", re.IGNORECASE)
_EVENT_COLUMN = re.compile(r"(event|[ée]v[ée]nement|ereignis|evento|gebeurtenis|h[äa]ndelse).*", re.IGNORECASE)
_CHANNEL_COLUMN = re.compile(r"(location|emplacement|ort|ubicaci[óo]n|posizione|locatie|lieu).*", re.IGNORECASE)
_DAY = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})")
_DATE_LINE = re.compile(r"(recording date|date d'enregistrement|aufnahmedatum)", re.IGNORECASE)
_MOMENT = re.compile(r"(?:(\d{4})-(\d{2})-(\d{2})T)?(\d{1,2}):(\d{2}):(\d{2}(?:[.,]\d+)?)")
_STAGE = re.compile(r"sleep-(.+)", re.IGNORECASE)
_UNUSUAL = {"s0": Stage.WAKE, "w": Stage.WAKE, "wake": Stage.WAKE, "mt": Stage.UNKNOWN, "unscored": Stage.UNKNOWN}
_HALF_DAY = timedelta(hours=12)


def is_remlogic(head: str) -> bool:
    """Tell whether one of the first lines names the columns of such an export."""
    return any(_columns(line) is not None for line in head.splitlines()[:_MOST_HEADER_LINES])


def read_remlogic(path: Path, _known: Known) -> Contents:
    """Read stages and events.

    Raises
    ------
    ScoringError
        Naming the line: a time or a length that is none.
    """
    lines = read_lines(path).splitlines()
    header = next((k for k, line in enumerate(lines[:_MOST_HEADER_LINES]) if _columns(line) is not None), None)
    columns = None if header is None else _columns(lines[header])
    if header is None or columns is None:
        raise ScoringError(f"{path}: no line names the columns (Time [hh:mm:ss], Event, Duration[s])")
    clock = _Clock(path, _recording_day(lines[:header]))
    words, marks = StageWords(), MarkCollector("remlogic")
    stretches = []
    for number, line in enumerate(lines[header + 1 :], start=header + 2):
        cells = [cell.strip() for cell in line.split("\t")]
        if not any(cells):
            continue
        where = f"line {number}"
        if len(cells) <= max(columns["time"], columns["event"], columns["length"]):
            raise ScoringError(f"{path}, {where}: has {len(cells)} column(s), the header names more")
        begin_s = clock.seconds(cells[columns["time"]], where)
        length_s = number_of(cells[columns["length"]])
        if length_s is None or length_s < 0:
            shown = printable(cells[columns["length"]])[:40]
            raise ScoringError(f"{path}, {where}: {shown!r} is not a length in seconds")
        text = cells[columns["event"]]
        stage = _STAGE.fullmatch(text)
        if stage is not None:
            scored = words.stage(stage[1] if stage[1].lower() != "mt" else "Movement time", where, _UNUSUAL.get(stage[1].lower()))
            stretches.append(Stretch(begin_s, begin_s + length_s, scored, where))
        else:
            channel = cells[columns["channel"]] if 0 <= columns["channel"] < len(cells) else ""
            marks.add(text.replace("-", " "), begin_s, length_s, where, channel=channel)
    return Contents(
        tuple(stretches),
        tuple(marks.marks),
        begins=clock.begins,
        dated=clock.dated,
        day_of_header=clock.day_of_header,
        by_clock=True,
        warnings=(*words.said(), *marks.said()),
    )


class _Clock:
    """Counts seconds from the first time, over midnights."""

    def __init__(self, path: Path, day: date | None) -> None:
        self.begins: datetime | None = None
        self.dated = day is not None
        self.day_of_header = False
        self._path = path
        self._day = day
        self._last: datetime | None = None

    def seconds(self, text: str, where: str) -> float:
        found = _MOMENT.fullmatch(text)
        moment, own_day = None, None
        if found is not None:
            own_day = anonymous_day(int(found[1]), int(found[2]), int(found[3])) if found[1] else None
            self.dated |= own_day is not None
            day = own_day or (self._last.date() if self._last else self._day) or date(2000, 1, 1)
            moment, _ = as_clock(day, int(found[4]), int(found[5]), float(found[6].replace(",", ".")))
        if found is None or moment is None:
            raise ScoringError(f"{self._path}, {where}: {printable(text)[:40]!r} is not a time (hh:mm:ss)")
        if self._last is not None and own_day is None:
            if self._last - moment > _HALF_DAY:
                moment += timedelta(days=1)
            elif moment - self._last > _HALF_DAY:
                moment -= timedelta(days=1)  # a row that is out of order around midnight
        if self.begins is None:
            self.begins = moment
            self.day_of_header = own_day is None and self._day is not None
        self._last = moment
        return (moment - self.begins).total_seconds()


def _columns(line: str) -> dict[str, int] | None:
    """Return which column is which; -1 for a channel that is not there, None when the line is no header."""
    cells = [cell.strip() for cell in line.split("\t")]
    time_at = next((k for k, cell in enumerate(cells) if _TIME_COLUMN.fullmatch(cell)), None)
    length_at = next((k for k, cell in enumerate(cells) if _LENGTH_COLUMN.fullmatch(cell)), None)
    event_at = next((k for k, cell in enumerate(cells) if _EVENT_COLUMN.fullmatch(cell)), None)
    if time_at is None or length_at is None or event_at is None:
        return None
    channel_at = next((k for k, cell in enumerate(cells) if _CHANNEL_COLUMN.fullmatch(cell)), -1)
    return {"time": time_at, "length": length_at, "event": event_at, "channel": channel_at}


def _recording_day(lines: list[str]) -> date | None:
    """Return the recording's date from the free header lines, day first (or month first where that alone is a date)."""
    for line in lines:
        found = _DAY.search(line)
        if found is not None and _DATE_LINE.search(line):
            first, second, year = (int(part) for part in found.groups())
            return anonymous_day(year, second, first) or anonymous_day(year, first, second)
    return None
