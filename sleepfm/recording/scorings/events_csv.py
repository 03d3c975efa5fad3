"""The events CSV: `Start,Stop,Event,Channel,Source` plus the columns of the events that have more to say."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.contents import Contents, Mark, require_stretch
from sleepfm.recording.scorings.scoring import Event
from sleepfm.recording.scorings.tables import Row, number, read_table, spreadsheet_safe, spreadsheet_text
from sleepfm.vocabulary import EventName

COLUMNS = ("Start", "Stop", "Event", "Channel", "Source")
_NAMES = {name.value for name in EventName}


def is_events_csv(head: str) -> bool:
    """Tell whether the first line of `head` names the columns of this format."""
    first = head.lstrip("\ufeff").partition("\n")[0]
    return set(COLUMNS[:3]) <= {cell.strip() for cell in first.split(",")}


def read_events_table(path: Path) -> Contents:
    """Read an events CSV.

    Returns
    -------
    Contents
        Events in the file's order; times in seconds from the recording's start. A cell of a further column becomes a number
        where it is one; an empty cell is left out.

    Raises
    ------
    ScoringError
        Naming the line: a time that is no number or runs backwards, an event with an unknown name.
    RequestError
        When there is no such file.
    """
    columns, rows = read_table(path, keep_case=True)
    missing = [name for name in COLUMNS[:3] if name not in columns]
    if missing:
        raise ScoringError(f"{path}: the first line must name the columns {','.join(COLUMNS)}; {','.join(missing)} is missing")
    return Contents(marks=tuple(Mark(_event(row), row.where) for row in rows))


def write_events(events: Iterable[Event], path: Path) -> None:
    """Write events in the order given, whole or not at all.

    Raises
    ------
    ScoringError
        When an event's name is none of `EventName`, or its times are not finite or run backwards.
    """
    listed = list(events)
    for k, event in enumerate(listed):
        _check(event.start_s, event.stop_s, event.name, f"event {k + 1}")
    further = list(dict.fromkeys(key for event in listed for key in event.extra))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, *map(_cell, further)])
    for event in listed:
        cells = [_digits(event.start_s), _digits(event.stop_s), event.name, _cell(event.channel), _cell(event.source)]
        table.writerow([*cells, *(_cell(event.extra.get(key, "")) for key in further)])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def _event(row: Row) -> Event:
    start_s, stop_s = number(row, "Start"), number(row, "Stop")
    name = row.cells.get("Event", "")
    _check(start_s, stop_s, name, row.where)
    extra = {key: _value(cell) for key, cell in row.cells.items() if key not in COLUMNS and cell}
    channel, source = (spreadsheet_text(row.cells.get(column, "")) for column in ("Channel", "Source"))
    return Event(start_s, stop_s, name, channel, source, extra)


def _check(start_s: float, stop_s: float, name: str, where: str) -> None:
    if name not in _NAMES:
        raise ScoringError(f"{where}: {name[:40]!r} is none of the events {', '.join(EventName)}")
    require_stretch(name, start_s, stop_s, where)


def _digits(value: float) -> str:
    """Write a number without losing any of it, and an integer as one."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _cell(value: float | str) -> str:
    if not isinstance(value, str):
        return _digits(value)
    return spreadsheet_safe(value.replace("\r", " ").replace("\n", " "))  # one line an event, for readers that know no quotes


def _value(cell: str) -> float | str:
    try:
        value = float(cell)
    except ValueError:
        return spreadsheet_text(cell)
    return value if math.isfinite(value) else cell
