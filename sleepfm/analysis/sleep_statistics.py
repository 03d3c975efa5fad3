"""The statistics of a night: each number with its unit, its definition, how others define it, and the reason where there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import Vitals


@dataclass(frozen=True)
class Statistic:
    """One number of a night.

    Attributes
    ----------
    key
        Short name for programs ("tst"); stable.
    name
        Name for people.
    group
        "sleep", "breathing", "oxygen", "arousals", "limbs" or "heart".
    value
        The number in `unit`; None where it is undefined, then `why_none` says why.
    unit
        "min", "%", "/h", "bpm", or "" for a count.
    low, high
        95 % interval from the probabilities of the stages that nobody looked at; None where there is none.
    interval_note
        What the interval leaves out, empty when nothing is to be said.
    definition
        What is counted, in plain words, with its source.
    others
        How the AASM manual, YASA or Luna define it where they differ; empty where they agree.
    """

    key: str
    name: str
    group: str
    value: float | None
    unit: str
    definition: str
    low: float | None = None
    high: float | None = None
    interval_note: str = ""
    others: str = ""
    why_none: str = ""


@dataclass(frozen=True)
class NightStatistics:
    """All statistics of a night.

    Attributes
    ----------
    items
        In the order of a report.
    remarks
        What a reader has to know before the numbers (lights not marked, Unknown minutes), each a sentence.
    intervals
        Where the intervals come from, a sentence; empty when there are none.
    """

    items: tuple[Statistic, ...]
    remarks: tuple[str, ...] = ()
    intervals: str = ""

    def __getitem__(self, key: str) -> Statistic:
        """Return the statistic of this key; KeyError when there is none."""
        for item in self.items:
            if item.key == key:
                return item
        raise KeyError(key)

    def as_dict(self) -> dict[str, Any]:
        """Return what `statistics.json` holds: never NaN, an undefined number is null with its reason."""
        return {
            "statistics": [asdict(item) for item in self.items],
            "remarks": list(self.remarks),
            "intervals": self.intervals,
        }


def night_statistics(
    stages: np.ndarray,
    *,
    events: Sequence[Event] = (),
    looked_for: Collection[str] = (),
    vitals: Vitals | None = None,
    lights_off_s: float | None = None,
    lights_on_s: float | None = None,
    probabilities: np.ndarray | None = None,
    temperature: float | None = None,
) -> NightStatistics:
    """Return the statistics of a night.

    Parameters
    ----------
    stages
        (n_epochs,) numbers of `Stage`, 30-s epochs from the recording's start; Unknown is masked.
    events
        Everything that was marked, in every stage; "Lights off" and "Lights on" among them.
    looked_for
        Names of events that somebody or a program looked for: of these, none marked means 0, not unknown.
    vitals
        Oxygen, heart rate and position, one value a second.
    lights_off_s, lights_on_s
        In seconds from the recording's start; they count before the events. Without either the recording's start or end is
        taken, and a remark says so.
    probabilities
        (n_epochs, 5) of the model, in the order of `SCORED_STAGES`; NaN rows are epochs that somebody looked at, taken as certain.
        Without them there are no intervals.
    temperature
        Divides the logarithms of the probabilities; 1 unless told.
    """
    raise NotImplementedError
