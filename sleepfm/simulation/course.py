"""The course of a simulated night: everything that happens, before any sensor sees it.

It costs a small part of what the signals cost, so a cohort's tables can be drawn without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.simulation.heart import beat_times
from sleepfm.simulation.hypnogram import draw_architecture
from sleepfm.simulation.oximetry import saturation
from sleepfm.simulation.subject import Subject, draw_subject
from sleepfm.simulation.timeline import Timeline, draw_timeline
from sleepfm.vocabulary import EPOCH_S, EventName

MAX_HOURS = 24.0
SOURCE = "simulated"
_SCORED_BREATHS = "Nasal Pressure"
_SCORED_AROUSALS = "C4-M1"
_LEG_LABELS = {"L": "EMG LAT", "R": "EMG RAT"}
_ROOMS = ("plan", "eeg", "eyes", "muscles", "breath", "heart", "ecg", "spo2", "pleth", "wear", "who")


@dataclass(frozen=True)
class Course:
    """A night without its signals.

    Attributes
    ----------
    subject
        Who sleeps.
    duration_s
        Whole seconds.
    stages
        (n_epochs,) int8, the true stage of each whole 30-s epoch.
    timeline
        What happens when.
    beats_s
        (n_beats,) true times of the R peaks in seconds.
    spo2_t
        (duration_s,) float32, saturation in %.
    events
        The true events in order of their start, `Source` "simulated", channels by the labels of the full montage.
    seeds
        A source of chance for each sensor.
    """

    subject: Subject
    duration_s: int
    stages: np.ndarray
    timeline: Timeline
    beats_s: np.ndarray
    spo2_t: np.ndarray
    events: tuple[Event, ...]
    seeds: dict[str, np.random.SeedSequence]


def draw_course(seed: int | np.random.SeedSequence, hours: float, *, subject: Subject | None = None) -> Course:
    """Draw what happens in a night.

    Parameters
    ----------
    seed
        Seed, or a branch of one.
    hours
        Length, from one epoch (1/120) to 24 h, rounded to whole seconds. Nights under 4 h have shorter cycles.
    subject
        Who sleeps (default: somebody drawn from the seed).

    Raises
    ------
    RequestError
        When the length is out of range.
    """
    check_hours(hours)
    # A fresh copy, because spawning counts in the object itself: the caller may use the same branch again.
    branch = (
        np.random.SeedSequence(seed) if isinstance(seed, int) else np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    )
    seeds = dict(zip(_ROOMS, branch.spawn(len(_ROOMS)), strict=True))
    rng = np.random.default_rng(seeds["plan"])
    duration_s = round(hours * 3600)
    subject = subject or draw_subject(np.random.default_rng(seeds["who"]))
    architecture = draw_architecture(
        rng, int(duration_s // EPOCH_S), age=subject.age, fragmentation=subject.fragmentation, n3_gain=subject.n3_gain
    )
    timeline = draw_timeline(rng, subject, architecture, duration_s)
    spo2_t, desaturations = saturation(seeds["spo2"], subject, timeline)
    events = _events(timeline, desaturations, architecture.lights_off_s, architecture.lights_on_s)
    return Course(
        subject=subject,
        duration_s=duration_s,
        stages=architecture.stages,
        timeline=timeline,
        beats_s=beat_times(seeds["heart"], subject, timeline),
        spo2_t=spo2_t,
        events=tuple(sorted(events, key=lambda e: (e.start_s, e.stop_s))),
        seeds=seeds,
    )


def check_hours(hours: float) -> None:
    """Raise RequestError when a night cannot be that long."""
    if not EPOCH_S / 3600 <= hours <= MAX_HOURS:
        raise RequestError(
            f"a study of {hours:g} h cannot be simulated: choose between {EPOCH_S / 3600:.4f} h (one epoch) and {MAX_HOURS:g} h"
        )


def _events(timeline: Timeline, desaturations: tuple[Event, ...], lights_off_s: float, lights_on_s: float) -> list[Event]:
    """Return what a scorer would mark; a hypopnea with neither a desaturation nor an arousal is none by the AASM rule."""
    events = [
        Event(t, t, name, "", SOURCE) for t, name in ((lights_off_s, EventName.LIGHTS_OFF), (lights_on_s, EventName.LIGHTS_ON))
    ]
    for breath in timeline.breath_events:
        seen = breath.stop_s + breath.lag_s
        marked = any(breath.start_s < d.start_s + 1 and d.start_s < seen for d in desaturations) or any(
            breath.start_s < a.start_s < breath.stop_s + 3 for a in timeline.arousals
        )
        if marked or breath.name is not EventName.HYPOPNEA:
            events.append(Event(breath.start_s, breath.stop_s, breath.name, _SCORED_BREATHS, SOURCE))
    events += [Event(d.start_s, d.stop_s, d.name, "SpO2", SOURCE, d.extra) for d in desaturations]
    events += [Event(a.start_s, a.stop_s, EventName.AROUSAL, _SCORED_AROUSALS, SOURCE) for a in timeline.arousals]
    for leg in timeline.leg_movements:
        name = EventName.PLM if leg.periodic else EventName.LEG_MOVEMENT
        events.append(Event(leg.start_s, leg.stop_s, name, _LEG_LABELS[leg.side], SOURCE))
    edges = np.flatnonzero(np.diff(timeline.snoring_t.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    events += [Event(float(a), float(b), EventName.SNORE, "Snore", SOURCE) for a, b in edges if b - a >= 10]
    return events
