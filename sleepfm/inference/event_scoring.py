"""Scoring the events of a night: what came out, and from what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sleepfm.progress import Progress, silent
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Event, Scoring

DEFAULT_PROFILE = "aasm_v3_rec"


@dataclass(frozen=True)
class EventIndex:
    """A rate per hour of sleep, with an interval where its maker gives one.

    Attributes
    ----------
    value
        Events per hour of sleep.
    low, high
        What stricter and looser readings of the rule give; None where nobody computed one. No confidence interval.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class EventScoring:
    """The events of a night as an engine scored them.

    Attributes
    ----------
    events
        In order of time, in every stage; `source` is the engine with version and profile.
    indices
        By key: "ahi", "odi3", "odi4", "arousal_index", "plmi"; what could not be scored has none.
    skipped
        What was not scored → why, a sentence.
    engine, model
        "psgscoring" and the profile of rules.
    provenance
        At least `engine`, `model`, `version`, `label`, `note`, `warnings`.
    """

    events: tuple[Event, ...]
    indices: dict[str, EventIndex]
    skipped: dict[str, str]
    engine: str
    model: str
    provenance: dict[str, Any]


def score_events(
    recording: Recording,
    scoring: Scoring,
    *,
    name: str,
    unusable: Sequence[int] = (),
    profile: str = DEFAULT_PROFILE,
    progress: Progress = silent,
) -> EventScoring:
    """Score respiratory events, desaturations, arousals and leg movements of a night with psgscoring, in a process of its own.

    Parameters
    ----------
    recording
        Open, with the user's channel corrections applied.
    scoring
        Stages of the night; an Unknown epoch counts as no sleep.
    name
        What to call the recording in messages.
    unusable
        0-based epochs that are not to be scored beside those that gaps touch.
    profile
        One of psgscoring's profiles of rules.
    progress
        May raise Cancelled: the process is ended then.

    Raises
    ------
    MissingChannelsError
        When the recording has no channel that anything can be scored from.
    RecordingError
        When the recording has no whole epoch, or the engine fails on it.
    """
    raise NotImplementedError
