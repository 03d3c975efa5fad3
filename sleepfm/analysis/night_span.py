"""From lights off to lights on: the stretch of the recording that statistics are about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, EventName

_MARKS = frozenset({EventName.LIGHTS_OFF.value, EventName.LIGHTS_ON.value})


@dataclass(frozen=True)
class NightSpan:
    """The stretch between lights off and lights on, on the grid of epochs.

    Attributes
    ----------
    off_s, on_s
        Seconds from the recording's start.
    seconds_n
        (n_epochs,) how many seconds of each epoch lie between the two; the statistics count in these.
    why_unusable
        Why the marks contradict each other; then the whole scoring is the span, and numbers that need the marks are
        undefined. Empty when all is well.
    remarks
        What was taken in place of a mark that is missing, each a sentence.
    """

    off_s: float
    on_s: float
    seconds_n: np.ndarray
    why_unusable: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def minutes(self) -> float:
        """Length in minutes."""
        return (self.on_s - self.off_s) / 60.0

    @property
    def inside_n(self) -> np.ndarray:
        """Return (n_epochs,) whether any of an epoch lies in the span."""
        inside_n: np.ndarray = self.seconds_n > 0
        return inside_n

    @property
    def starts_s(self) -> np.ndarray:
        """Return (n_epochs,) seconds from the recording's start at which each epoch's part of the span begins."""
        starts_s: np.ndarray = np.maximum(np.arange(len(self.seconds_n)) * EPOCH_S, self.off_s)
        return starts_s


def night_span(
    n_epochs: int, events: Iterable[Event] = (), *, lights_off_s: float | None = None, lights_on_s: float | None = None
) -> NightSpan:
    """Return the stretch between lights off and lights on.

    Of several marks the first "Lights off" and the last "Lights on" count. A mark before the scoring's start or behind its end
    is moved there.

    Parameters
    ----------
    n_epochs
        Whole epochs of the scoring, from the recording's start.
    events
        Among which the marks may be; others are passed over.
    lights_off_s, lights_on_s
        Count before the events.
    """
    end_s = n_epochs * EPOCH_S
    remarks: list[str] = []
    marks = [event for event in events if event.name in _MARKS]
    off_s = _mark(lights_off_s, marks, EventName.LIGHTS_OFF, remarks)
    on_s = _mark(lights_on_s, marks, EventName.LIGHTS_ON, remarks)
    if off_s is not None and on_s is not None and on_s <= off_s:
        return _whole(n_epochs, f"Lights on ({_clock(on_s)}) does not lie behind Lights off ({_clock(off_s)})", remarks)
    if off_s is not None and off_s >= end_s:
        return _whole(n_epochs, f"Lights off ({_clock(off_s)}) lies behind the end of the scoring ({_clock(end_s)})", remarks)
    if on_s is not None and on_s <= 0:
        return _whole(n_epochs, f"Lights on ({_clock(on_s)}) lies before the start of the recording", remarks)
    for word, value, edge in (("off", off_s, "start of the recording"), ("on", on_s, "end of the scoring")):
        if value is None:
            remarks.append(f"Lights {word} is not marked: the {edge} was taken.")
        elif not 0 <= value <= end_s:
            remarks.append(f"Lights {word} ({_clock(value)}) lies outside the scoring: the {edge} was taken.")
    first_s = 0.0 if off_s is None else max(off_s, 0.0)
    last_s = end_s if on_s is None else min(on_s, end_s)
    return NightSpan(first_s, last_s, _seconds(n_epochs, first_s, last_s), "", tuple(remarks))


def _mark(given_s: float | None, marks: Sequence[Event], name: EventName, remarks: list[str]) -> float | None:
    if given_s is not None:
        return given_s if math.isfinite(given_s) else None
    times = sorted(event.start_s for event in marks if event.name == name)
    if not times:
        return None
    chosen, which = (times[0], "first") if name is EventName.LIGHTS_OFF else (times[-1], "last")
    if len(times) > 1:
        remarks.append(f"{name.value} is marked {len(times)} times: the {which} counts.")
    return chosen


def _whole(n_epochs: int, why: str, remarks: list[str]) -> NightSpan:
    end_s = n_epochs * EPOCH_S
    said = (*remarks, f"{why}: the numbers that need them are left out, the others are of the whole recording.")
    return NightSpan(0.0, end_s, _seconds(n_epochs, 0.0, end_s), why, said)


def _seconds(n_epochs: int, first_s: float, last_s: float) -> np.ndarray:
    starts_s = np.arange(n_epochs) * EPOCH_S
    seconds_n: np.ndarray = np.clip(np.minimum(last_s, starts_s + EPOCH_S) - np.maximum(first_s, starts_s), 0.0, None)
    return seconds_n


def _clock(seconds: float) -> str:
    sign, whole = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{int(whole // 3600)}:{int(whole // 60 % 60):02d}:{int(whole % 60):02d} from the start"
