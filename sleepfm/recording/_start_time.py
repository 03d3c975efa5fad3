"""When a recording started, from the header's date, time and the EDF+ recording field."""

from __future__ import annotations

import re
from datetime import date, datetime, time

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_EDF_PLUS_DATE = re.compile(r"\bStartdate\s+(\d{1,2})-([A-Za-z]{3})-(\d{4})\b", re.IGNORECASE)
_THREE_NUMBERS = re.compile(r"\s*(\d{1,4})\s*[.:/\-, ]\s*(\d{1,2})\s*[.:/\-, ]\s*(\d{1,4})\s*")
CENTURY_TURN = 85
"""Two-digit years from 85 are 1985 to 1999, those below are 2000 to 2084 (EDF+ clause 2.1.3.2)."""


def read_start(date_field: str, time_field: str, recording_field: str) -> tuple[datetime | None, tuple[str, ...]]:
    """Return the local start and what is wrong with how the header gives it.

    Parameters
    ----------
    date_field, time_field
        The header's "dd.mm.yy" and "hh.mm.ss"; other separators and four-digit years are understood.
    recording_field
        The EDF+ recording identification, whose "Startdate dd-MMM-yyyy" carries the full year.
    """
    problems: list[str] = []
    short, two_digits = _short_date(date_field)
    full = _full_date(recording_field)
    day = short
    if short is None:
        day = full
        problems.append(
            f"The start date {date_field!r} is not a date"
            + ("; the one in the recording field is used." if full else ", so the recording has no clock time.")
        )
    elif full is not None and full != short:
        if two_digits and (full.day, full.month) == (short.day, short.month):
            day = full
        else:
            problems.append(f"The header gives two start dates, {short} and {full} (recording field); the first is used.")
    clock = _clock(time_field)
    if clock is None:
        problems.append(f"The start time {time_field!r} is not a time, so the recording has no clock time.")
    start = datetime.combine(day, clock) if day is not None and clock is not None else None
    return start, tuple(problems)


def _short_date(field: str) -> tuple[date | None, bool]:
    found = _THREE_NUMBERS.fullmatch(field)
    if found is None:
        return None, False
    first, month, last = (int(number) for number in found.groups())
    year, day = (first, last) if len(found[1]) == 4 else (last, first)
    two_digits = year < 100
    if two_digits:
        year += 1900 if year >= CENTURY_TURN else 2000
    return _date(year, month, day), two_digits


def _full_date(field: str) -> date | None:
    found = _EDF_PLUS_DATE.search(field)
    if found is None or found[2].upper() not in _MONTHS:
        return None
    return _date(int(found[3]), _MONTHS.index(found[2].upper()) + 1, int(found[1]))


def _clock(field: str) -> time | None:
    found = _THREE_NUMBERS.fullmatch(field)
    if found is None:
        return None
    hour, minute, second = (int(number) for number in found.groups())
    return time(hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
