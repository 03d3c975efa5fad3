"""Numbers as people say them."""

from __future__ import annotations


def duration_words(seconds: float) -> str:
    """Return a length of time: "7 h 58 min", "5 min 10 s", "10 s"."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def time_left_words(seconds: float | None) -> str:
    """Return ", 20 s left" for the end of a progress line, nothing when it is not known."""
    return "" if seconds is None else f", {duration_words(max(1.0, seconds))} left"
