"""Dates in the free fields of a header, and how a date may be written elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
BIRTHDATE = re.compile(r"(?<!\d)(\d{1,2})-([A-Za-z]{3})-(\d{4})(?!\d)")
SPACED_DATE = re.compile(rf"(?<!\d)(\d{{1,2}})[\s._/]+({'|'.join(MONTHS)})[a-z]*[\s._/,]+(\d{{4}})(?!\d)", re.IGNORECASE)
NUMERIC_DATE = re.compile(r"(?<!\d)(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})(?!\d)")


def dates_in(text: str) -> Iterator[date]:
    """Give the dates in a text: with the month by name, or in numbers; where day and month could change places, both."""
    for day, month, year in (*BIRTHDATE.findall(text), *SPACED_DATE.findall(text)):
        if month.casefold() in MONTHS and (found := _date(int(year), MONTHS.index(month.casefold()) + 1, int(day))):
            yield found
    for first, middle, last in NUMERIC_DATE.findall(text):
        year, day = (first, last) if len(first) == 4 else (last, first)
        full = int(year) if len(year) == 4 else int(year) + (1900 if int(year) >= 30 else 2000)
        for one in ((full, int(middle), int(day)), (full, int(day), int(middle))):  # 03/02/1961: either may be the month
            if found := _date(*one):
                yield found


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def date_pattern(day: date) -> str:
    """Return the pattern of a date in any usual way to write it."""
    d, m, two, four = f"0?{day.day}", f"0?{day.month}", f"{day.year % 100:02}", f"{day.year}"
    year, name, dash, gap = f"(?:{four}|{two})", f"{MONTHS[day.month - 1]}[a-z]*", r"\s?[./\-_ ]\s?", r"[\s.,/\-_]{0,2}"
    dd, mm = f"{day.day:02}", f"{day.month:02}"
    ways = [
        *(dash.join(parts) for parts in ((d, m, year), (m, d, year), (year, m, d), (four, d, m))),
        *(dd + mm + four, mm + dd + four, four + mm + dd, four + dd + mm, dd + mm + two, two + mm + dd, mm + dd + two),
        *(gap.join(parts) for parts in ((d, name, year), (name, d, year), (year, name, d))),
    ]
    return rf"(?<![\d.])(?:{'|'.join(ways)})(?!\d|\.\d)"
