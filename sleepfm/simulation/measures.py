"""What a simulated night measured: counted from its true events, stages and heart beats."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from sleepfm.simulation.course import Course
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

_BREATH_EVENTS = (EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA, EventName.HYPOPNEA)
_NORMAL_CHANGE = 0.2  # an interval that differs more from the one before is a premature beat's or its pause


@dataclass(frozen=True)
class Measures:
    """Figures of one night; an index is 0 where there was no sleep of its kind.

    Attributes
    ----------
    ahi
        Apneas and hypopneas an hour of sleep.
    heart_bpm
        Resting heart rate: the median over sleep (over the night without sleep).
    rmssd_ms
        Root mean square of successive differences of normal intervals between beats.
    spindles_per_min
        Spindles a minute of N2.
    fragmentation
        Arousals and awakenings an hour of sleep.
    plm_index
        Periodic leg movements an hour of sleep.
    n3_minutes, sleep_minutes
        From the true scoring.
    """

    ahi: float
    heart_bpm: float
    rmssd_ms: float
    spindles_per_min: float
    fragmentation: float
    plm_index: float
    n3_minutes: float
    sleep_minutes: float


def measure(course: Course) -> Measures:
    """Count what a night held."""
    counts = Counter(event.name for event in course.events)
    asleep = course.stages != Stage.WAKE
    minutes = {stage: float((course.stages == stage).sum()) * EPOCH_S / 60 for stage in (Stage.N2, Stage.N3)}
    sleep_minutes = float(asleep.sum()) * EPOCH_S / 60
    hours = sleep_minutes / 60

    def an_hour(count: int) -> float:
        return round(count / hours, 2) if hours else 0.0

    intervals_s = np.diff(course.beats_s)
    normal = np.abs(np.diff(intervals_s)) < _NORMAL_CHANGE * intervals_s[:-1]
    steps_s = np.diff(intervals_s)[normal]
    second = np.minimum(course.beats_s[1:].astype(np.int64), course.duration_s - 1)
    resting = course.timeline.stage_t[second] != Stage.WAKE
    awakenings = int((asleep[:-1] & ~asleep[1:]).sum())
    in_n2 = course.timeline.stage_t == Stage.N2
    spindles = sum(bool(in_n2[int(spindle.start_s)]) for spindle in course.timeline.spindles)
    return Measures(
        ahi=an_hour(sum(counts[name] for name in _BREATH_EVENTS)),
        heart_bpm=round(float(60 / np.median(intervals_s[resting] if resting.any() else intervals_s)), 1),
        rmssd_ms=round(float(np.sqrt(np.mean(steps_s**2))) * 1000, 1) if len(steps_s) else 0.0,
        spindles_per_min=round(60 * spindles / float(in_n2.sum()), 2) if in_n2.any() else 0.0,
        fragmentation=an_hour(counts[EventName.AROUSAL] + awakenings),
        plm_index=an_hour(counts[EventName.PLM]),
        n3_minutes=minutes[Stage.N3],
        sleep_minutes=sleep_minutes,
    )
