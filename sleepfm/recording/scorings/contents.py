"""What a scoring file says, on the file's own clock, before it is laid over a recording."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.epochs import MAX_SCORING_S, Stretch
from sleepfm.recording.scorings.event_texts import event_name
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import Stage

_LISTED = 8


@dataclass(frozen=True)
class Known:
    """What is known about the recording and the file before the file is read.

    Attributes
    ----------
    duration_s
        Length of the recording in seconds.
    start
        The recording's start in local time.
    codes
        What a file's integers mean.
    stated
        Whether a person said which format the file has: then its integers mean what that format says.
    """

    duration_s: float | None = None
    start: datetime | None = None
    codes: Mapping[int, Stage] | None = None
    stated: bool = False


@dataclass(frozen=True)
class Mark:
    """An event and where it stands in the file ("line 12")."""

    event: Event
    where: str


@dataclass(frozen=True)
class Contents:
    """Stages and events of a file.

    Attributes
    ----------
    stretches, marks
        In seconds on the file's own axis.
    begins
        Clock time of second 0 of that axis, where the file says it.
    dated
        Whether the date of `begins` is one: a time of day alone, or an anonymous date, is none.
    day_of_header
        Whether that date is only the file's header's, put before a time of day: a first row after midnight is of the next day.
    by_clock
        Whether the file gives clock times only, so that without the recording's start nothing says where it belongs.
    duration_s
        Length of the recording in seconds as the file states it.
    warnings
        What the reader has to say.
    """

    stretches: tuple[Stretch, ...] = ()
    marks: tuple[Mark, ...] = ()
    begins: datetime | None = None
    dated: bool = True
    day_of_header: bool = False
    by_clock: bool = False
    duration_s: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class MarkCollector:
    """Collects events by their texts, and counts the texts that name none."""

    source: str
    marks: list[Mark] = field(default_factory=list)
    unnamed: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        text: str,
        start_s: float,
        duration_s: float,
        where: str,
        *,
        channel: str = "",
        extra: Mapping[str, float | str] | None = None,
    ) -> None:
        """Add one event; `duration_s` 0 is a point in time.

        Raises
        ------
        ScoringError
            When its times are no stretch of time, naming the place.
        """
        name = event_name(text)
        if name is None:
            self.unnamed[printable(text)[:40]] += 1
            return
        require_stretch(name, start_s, start_s + duration_s, where)
        event = Event(start_s, start_s + duration_s, name.value, printable(channel)[:80], self.source, dict(extra or {}))
        self.marks.append(Mark(event, where))

    def said(self) -> list[str]:
        """Return one sentence on what was left out."""
        if not self.unnamed:
            return []
        named = ", ".join(f"{n} × '{text}'" for text, n in self.unnamed.most_common(_LISTED))
        more = f" and {len(self.unnamed) - _LISTED} more kinds" if len(self.unnamed) > _LISTED else ""
        return [f"{self.unnamed.total()} annotation(s) are none of our events and were left out: {named}{more}"]


def require_stretch(name: str, start_s: float, stop_s: float, where: str) -> None:
    """Raise ScoringError when an event's times are not finite, run backwards or are absurd."""
    if not (math.isfinite(start_s) and math.isfinite(stop_s)) or stop_s < start_s or abs(start_s) + stop_s > 2 * MAX_SCORING_S:
        raise ScoringError(f"{where}: {name} from {start_s:g} to {stop_s:g} s is not a stretch of time")
