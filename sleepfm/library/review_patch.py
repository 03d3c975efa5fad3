"""What one edit of a review changes: stages of epochs and events, each from what stood there to what stands there now."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import EventName, Stage

MOST_CHANGES = 20_000
"""Stages and events that one edit may change: more than any night has."""
MOST_EVENTS = 50_000
"""Events that a review may hold."""
_MOST_EXTRAS, _MOST_NAME, _MOST_TEXT = 20, 40, 200
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_NAMES = frozenset(name.value for name in EventName)
_STAGES = frozenset(int(stage) for stage in Stage)
_EVENT_KEYS = frozenset({"start", "stop", "name", "channel", "source", "extra"})
_LIGHTS = frozenset({EventName.LIGHTS_OFF.value, EventName.LIGHTS_ON.value})

StageChange = tuple[int, int, int]
"""Epoch (1-based), the stage's number before and after."""
EventChange = tuple[str, Event | None, Event | None]
"""Id of an event, the event before and after; None where there is none."""


@dataclass(frozen=True)
class Patch:
    """One edit's changes; reversible, since each says what stood there before."""

    stages: tuple[StageChange, ...] = ()
    events: tuple[EventChange, ...] = ()

    def __len__(self) -> int:
        return len(self.stages) + len(self.events)

    def inverse(self) -> Patch:
        """Return the patch that takes this one back."""
        return Patch(
            tuple((epoch, after, before) for epoch, before, after in self.stages),
            tuple((identifier, after, before) for identifier, before, after in self.events),
        )

    def as_json(self) -> dict[str, Any]:
        """Return `{"stages": [[epoch, from, to], ...], "events": [[id, from, to], ...]}`."""
        return {
            "stages": [list(change) for change in self.stages],
            "events": [[identifier, event_json(before), event_json(after)] for identifier, before, after in self.events],
        }


@dataclass(frozen=True)
class Bounds:
    """What a patch must keep within.

    Attributes
    ----------
    epochs
        Whole epochs of the recording.
    duration_s
        Length of the recording in seconds.
    """

    epochs: int
    duration_s: float = field(default=math.inf)


def event_json(event: Event | None) -> dict[str, Any] | None:
    """Return an event as the routes and the log give it: start, stop (s), name, channel, source, extra."""
    if event is None:
        return None
    return {
        "start": event.start_s,
        "stop": event.stop_s,
        "name": event.name,
        "channel": event.channel,
        "source": event.source,
        "extra": event.extra,
    }
