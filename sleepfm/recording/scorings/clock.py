"""Laying a scoring over its recording by clock time, when the two did not start together."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.contents import Contents

ANONYMOUS = date(1985, 1, 1)
"""The date that EDF+ gives those whose date is nobody's business (clause 2.1.3.2); NSRR files have it too."""
_HALF_DAY_S = 12 * 3600.0
_DAY = timedelta(days=1)
_WHOLE_SECOND_S = 1.0
"""Headers of recordings hold whole seconds: starts that differ by less are the same."""


def anonymous_day(year: int, month: int, day: int) -> date | None:
    """Return a date from a file; None when it is none (00.00.00) or the anonymous one. Two digits are 1985 to 2084."""
    if year < 100:
        year += 1900 if year >= 85 else 2000
    try:
        found = date(year, month, day)
    except ValueError:
        return None
    return None if found == ANONYMOUS else found


def as_clock(day: date | None, hour: int, minute: int, second: float) -> tuple[datetime | None, bool]:
    """Return a clock time and whether it has a date; (None, False) when it is no time of day.

    Without a date midnight sharp is a field that nobody filled in: no clock time.
    """
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):
        return None, False
    moment = datetime.combine(day or ANONYMOUS, time(hour, minute)) + timedelta(seconds=second)
    if day is None and moment.time() == time(0):
        return None, False
    return moment, day is not None


def clock_of(moment: datetime | None) -> tuple[datetime | None, bool]:
    """Return a header's start and whether it has a date (see `as_clock`)."""
    if moment is None:
        return None, False
    dated = moment.date() != ANONYMOUS
    return (None, False) if not dated and moment.time() == time(0) else (moment, dated)


def shift_s(contents: Contents, start: datetime | None, duration_s: float | None) -> tuple[float, list[str]]:
    """Return how many seconds a file's times have to be moved so that they count from the recording's start, and what to say.

    Parameters
    ----------
    contents
        What the file says.
    start
        The recording's start in local time, None when it is not known.
    duration_s
        The recording's length in seconds, None when it is not known.

    Raises
    ------
    ScoringError
        When the two cannot be of one night: they have no second in common.
    """
    recorded, dated = clock_of(start)
    if contents.begins is None:
        return 0.0, []
    if recorded is None:
        if not contents.by_clock:
            return 0.0, []
        first_s = min((stretch.start_s for stretch in contents.stretches), default=0.0)
        first = _shown(contents.begins + timedelta(seconds=first_s), dated=contents.dated)
        return -first_s, [
            f"the file gives clock times and the recording's start is not known: times count from its first, {first}"
        ]
    both_dated = dated and contents.dated
    begins = contents.begins
    apart_s = (begins - recorded).total_seconds()
    said = []
    if not both_dated:
        apart_s = (apart_s + _HALF_DAY_S) % (2 * _HALF_DAY_S) - _HALF_DAY_S
    ends_s = max([s.stop_s for s in contents.stretches] + [m.event.stop_s for m in contents.marks], default=0.0)
    length_s = ends_s if duration_s is None else duration_s
    if both_dated and contents.day_of_header and apart_s < -_HALF_DAY_S and 0 <= apart_s + _DAY.total_seconds() < length_s:
        begins += _DAY
        apart_s += _DAY.total_seconds()
        said = [
            f"the file's header gives {begins - _DAY:%Y-%m-%d}, the day of the evening: "
            "its first row, after midnight, is of the next day"
        ]
    if abs(apart_s) < _WHOLE_SECOND_S:
        return 0.0, said
    ours, theirs = _shown(begins, dated=both_dated), _shown(recorded, dated=both_dated)
    if apart_s >= length_s or apart_s + ends_s <= 0:
        raise ScoringError(
            f"the scoring begins at {ours} and the recording at {theirs}, {_apart(apart_s)} apart: "
            "it is of another night, or one of the two clocks is wrong; give the scoring of this recording"
        )
    side = "after" if apart_s > 0 else "before"
    return apart_s, [
        *said,
        f"the scoring begins at {ours}, {_apart(apart_s)} {side} the recording ({theirs}): laid by clock time",
    ]


def _shown(moment: datetime, *, dated: bool) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S" if dated else "%H:%M:%S")


def _apart(seconds: float) -> str:
    seconds = abs(seconds)
    if seconds < 120:
        return f"{seconds:g} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h" if seconds < 72 * 3600 else f"{seconds / 86400:.0f} days"
