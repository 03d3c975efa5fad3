"""What one edit of a review changes: stages of epochs and events, each from what stood there to what stands there now."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import EventName, Stage

MOST_CHANGES = 20_000
"""Stages and events that one edit may change: more than any night has."""
_MOST_EXTRAS, _MOST_NAME, _MOST_TEXT = 20, 40, 200
_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_NAMES = frozenset(name.value for name in EventName)
_STAGES = frozenset(int(stage) for stage in Stage)
_EVENT_KEYS = frozenset({"start", "stop", "name", "channel", "source", "extra"})
PATCHED = ("score", "event", "lights")
"""Actions that say themselves what they change."""
LIGHTS = frozenset({EventName.LIGHTS_OFF.value, EventName.LIGHTS_ON.value})
"""Events that are points in time."""

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

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Patch:
        """Return the patch that `as_json` gave; for what was checked when it was stored."""
        return cls(
            tuple((epoch, before, after) for epoch, before, after in stored["stages"]),
            tuple((identifier, _stored_event(before), _stored_event(after)) for identifier, before, after in stored["events"]),
        )


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


def _stored_event(stored: dict[str, Any] | None) -> Event | None:
    if stored is None:
        return None
    return Event(stored["start"], stored["stop"], stored["name"], stored["channel"], stored["source"], stored["extra"])


def parse_patch(asked: object, *, epochs: int, duration_s: float) -> Patch:
    """Return the patch that a request asks for.

    Parameters
    ----------
    asked
        As `Patch.as_json` gives it, from anywhere.
    epochs
        Whole epochs of the recording.
    duration_s
        Its length in seconds; no event may reach beyond it, and none is cut to fit.

    Raises
    ------
    ScoringError
        Saying what is wrong with which change.
    """
    if not isinstance(asked, dict) or not asked.keys() <= {"stages", "events"}:
        raise ScoringError('an edit\'s patch is {"stages": [...], "events": [...]}')
    stages, events = asked.get("stages", []), asked.get("events", [])
    if not isinstance(stages, list) or not isinstance(events, list):
        raise ScoringError("the stages and the events of a patch are lists")
    if not 1 <= len(stages) + len(events) <= MOST_CHANGES:
        raise ScoringError(f"an edit changes 1 to {MOST_CHANGES:,} stages and events, not {len(stages) + len(events):,}")
    patch = Patch(
        tuple(_stage_change(change, epochs) for change in stages), tuple(_event_change(change, duration_s) for change in events)
    )
    for what, named in (("epoch", [one[0] for one in patch.stages]), ("event", [one[0] for one in patch.events])):
        if len(set(named)) < len(named):
            raise ScoringError(f"an edit changes the same {what} twice")
    return patch


def _stage_change(change: object, epochs: int) -> StageChange:
    if not isinstance(change, list) or len(change) != 3 or any(type(part) is not int for part in change):
        raise ScoringError(f"a change of a stage is [epoch, from, to] in whole numbers, not {_short(change)}")
    epoch, before, after = change
    if not 1 <= epoch <= epochs:
        raise ScoringError(f"epoch {epoch}: the recording has the whole epochs 1 to {epochs}")
    for stage in (before, after):
        if stage not in _STAGES:
            raise ScoringError(f"epoch {epoch}: {stage} is no stage (Wake 0, N1 1, N2 2, N3 3, REM 4, Unknown -1)")
    return epoch, before, after


def _event_change(change: object, duration_s: float) -> EventChange:
    if not isinstance(change, list) or len(change) != 3:
        raise ScoringError(f"a change of an event is [id, from, to], not {_short(change)}")
    identifier, before, after = change
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise ScoringError(f"an event's id has 1 to 40 letters, digits, - and _, not {_short(identifier)}")
    if before is None and after is None:
        raise ScoringError(f"event {identifier}: there is nothing before and nothing after")
    return (
        identifier,
        None if before is None else _event(before, identifier, duration_s),
        None if after is None else _event(after, identifier, duration_s),
    )


def _event(asked: object, identifier: str, duration_s: float) -> Event:
    where = f"event {identifier}"
    if not isinstance(asked, dict) or not {"start", "stop", "name"} <= asked.keys() <= _EVENT_KEYS:
        raise ScoringError(f"{where}: has start, stop and name, and may have channel, source and extra; not {_short(asked)}")
    name = asked["name"]
    if not isinstance(name, str) or name not in _NAMES:
        raise ScoringError(f"{where}: {_short(name)} is none of {', '.join(EventName)}")
    start_s, stop_s = (_number(asked[key], f"{where}: its {key}") for key in ("start", "stop"))
    if stop_s < start_s:
        raise ScoringError(f"{where}: ends at {stop_s:g} s, before it starts at {start_s:g} s")
    if not 0 <= start_s <= stop_s <= duration_s:
        raise ScoringError(
            f"{where}: {name} from {start_s:g} to {stop_s:g} s reaches beyond the recording (0 to {duration_s:g} s); it is not"
            " cut to fit, give times within"
        )
    if name in LIGHTS and start_s != stop_s:
        raise ScoringError(f"{where}: {name} is a point in time, so it starts and stops at once")
    extra = asked.get("extra", {})
    if not isinstance(extra, dict) or len(extra) > _MOST_EXTRAS:
        raise ScoringError(f"{where}: its extra has up to {_MOST_EXTRAS} named values")
    values = {_text(key, f"{where}: a name in its extra", _MOST_NAME): value for key, value in extra.items()}
    return Event(
        start_s,
        stop_s,
        name,
        _text(asked.get("channel", ""), f"{where}: its channel", _MOST_TEXT),
        _text(asked.get("source", ""), f"{where}: its source", _MOST_TEXT),
        {
            key: _text(value, f"{where}: {key}", _MOST_TEXT) if isinstance(value, str) else _number(value, f"{where}: {key}")
            for key, value in values.items()
        },
    )


def _number(value: object, what: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ScoringError(f"{what} is not a number: {_short(value)}")


def _text(value: object, what: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or printable(value) != value:
        raise ScoringError(f"{what} is not a text of up to {most} characters that can be printed: {_short(value)}")
    return value


def _short(value: object) -> str:
    return printable(repr(value))[:60]


def fitting(event: Event, duration_s: float) -> Event | None:
    """Return an event of an engine or a file as a review keeps it; None when no part of it lies within the recording.

    It is cut at the recording's ends, its texts are made printable and as long as they may be, and what of its extra is no finite
    number and no text is left out.
    """
    if event.stop_s < 0 or event.start_s > duration_s or event.name not in _NAMES:
        return None
    start_s, stop_s = max(float(event.start_s), 0.0), min(float(event.stop_s), duration_s)
    extra = {
        printable(key)[:_MOST_NAME]: printable(value)[:_MOST_TEXT] if isinstance(value, str) else float(value)
        for key, value in list(event.extra.items())[:_MOST_EXTRAS]
        if isinstance(value, str) or math.isfinite(value)
    }
    return Event(
        start_s,
        start_s if event.name in LIGHTS else stop_s,
        event.name,
        printable(event.channel)[:_MOST_TEXT],
        printable(event.source)[:_MOST_TEXT],
        extra,
    )
