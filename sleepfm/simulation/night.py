"""One simulated night: all signals of a usual montage, drawn from one timeline, with what a scorer would write down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.simulation.artefacts import wear
from sleepfm.simulation.breathing import RATE_HZ as BREATH_RATE_HZ
from sleepfm.simulation.breathing import SNORE_RATE_HZ, breathing
from sleepfm.simulation.eeg import EEG_LABELS, RATE_HZ, eeg
from sleepfm.simulation.eyes_muscle import eyes, muscles
from sleepfm.simulation.heart import beat_times, ecg
from sleepfm.simulation.hypnogram import draw_architecture
from sleepfm.simulation.oximetry import PLETH_RATE_HZ, plethysmogram, pulse_rate, saturation
from sleepfm.simulation.subject import Subject, draw_subject
from sleepfm.simulation.timeline import Timeline, draw_timeline
from sleepfm.vocabulary import EPOCH_S, EventName

MAX_HOURS = 24.0
SOURCE = "simulated"
_SCORED_BREATHS = "Nasal Pressure"
_SCORED_AROUSALS = "C4-M1"
_LEG_LABELS = {"L": "EMG LAT", "R": "EMG RAT"}
_EOG_LABELS = ("E1-M2", "E2-M2")
_EMG_LABELS = ("EMG Chin", "EMG LAT", "EMG RAT")
_UV_RANGE = (-1000.0, 1000.0)
_EEG_FILTER, _EMG_FILTER = "HP:0.3Hz LP:100Hz", "HP:10Hz LP:100Hz"


@dataclass(frozen=True)
class Signal:
    """One channel: (duration * rate_hz,) float32 in `unit`, and the physical range that its file may hold."""

    label: str
    rate_hz: int
    unit: str
    data: np.ndarray
    physical_range: tuple[float, float]
    prefilter: str = ""


@dataclass(frozen=True)
class Night:
    """A simulated study.

    Attributes
    ----------
    subject
        Who sleeps.
    duration_s
        Whole seconds.
    stages
        (n_epochs,) int8, the true stage of each whole 30-s epoch.
    signals
        In montage order.
    events
        The true events in order of their start, `Source` "simulated".
    beats_s
        (n_beats,) true times of the R peaks in seconds.
    """

    subject: Subject
    duration_s: int
    stages: np.ndarray
    signals: tuple[Signal, ...]
    events: tuple[Event, ...]
    beats_s: np.ndarray

    def signal(self, label: str) -> Signal:
        """Return the signal with this label."""
        return next(signal for signal in self.signals if signal.label == label)


def simulate_night(seed: int | np.random.SeedSequence, hours: float, *, threads: int = 2) -> Night:
    """Simulate one study; the same seed and hours give the same samples whatever the number of threads.

    Parameters
    ----------
    seed
        Seed, or a branch of one.
    hours
        Length, from one epoch (1/120) to 24 h, rounded to whole seconds. Nights under 3 h have shorter cycles.
    threads
        Threads to work with.

    Raises
    ------
    RequestError
        When the length is out of range.
    """
    if not EPOCH_S / 3600 <= hours <= MAX_HOURS:
        raise RequestError(
            f"a study of {hours:g} h cannot be simulated: choose between {EPOCH_S / 3600:.4f} h (one epoch) and {MAX_HOURS:g} h"
        )
    # A fresh copy, because spawning counts in the object itself: the caller may use the same branch again.
    branch = (
        np.random.SeedSequence(seed) if isinstance(seed, int) else np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    )
    rooms = ("plan", "eeg", "eyes", "muscles", "breath", "heart", "ecg", "spo2", "pleth", "wear")
    seeds = dict(zip(rooms, branch.spawn(len(rooms)), strict=True))
    rng = np.random.default_rng(seeds["plan"])
    duration_s = round(hours * 3600)
    subject = draw_subject(rng)
    architecture = draw_architecture(rng, int(duration_s // EPOCH_S), age=subject.age)
    timeline = draw_timeline(rng, subject, architecture, duration_s)

    air = breathing(seeds["breath"], timeline)
    beats_s = beat_times(seeds["heart"], subject, timeline)
    ecg_t = ecg(seeds["ecg"], timeline, beats_s)
    eeg_ct = eeg(seeds["eeg"], subject, timeline, threads=threads)
    eog_ct = eyes(seeds["eyes"], timeline, eeg_ct, threads=threads)
    emg_ct = muscles(seeds["muscles"], subject, timeline, threads=threads)
    spo2_t, desaturations = saturation(seeds["spo2"], subject, timeline)
    faults = wear(seeds["wear"], timeline, eeg_ct=eeg_ct, eog_ct=eog_ct, emg_ct=emg_ct, ecg_t=ecg_t)

    signals = [Signal(label, RATE_HZ, "uV", x_t, _UV_RANGE, _EEG_FILTER) for label, x_t in zip(EEG_LABELS, eeg_ct, strict=True)]
    signals += [Signal(label, RATE_HZ, "uV", x_t, _UV_RANGE, _EEG_FILTER) for label, x_t in zip(_EOG_LABELS, eog_ct, strict=True)]
    signals += [Signal(label, RATE_HZ, "uV", x_t, _UV_RANGE, _EMG_FILTER) for label, x_t in zip(_EMG_LABELS, emg_ct, strict=True)]
    signals += [
        Signal("ECG", RATE_HZ, "mV", ecg_t, (-5.0, 5.0), "HP:0.05Hz LP:100Hz"),
        Signal(_SCORED_BREATHS, BREATH_RATE_HZ, "cmH2O", air.nasal_pressure_t, (-10.0, 10.0)),
        Signal("Thermistor", BREATH_RATE_HZ, "", air.thermistor_t, (-10.0, 10.0)),
        Signal("Thorax", BREATH_RATE_HZ, "", air.thorax_t, (-10.0, 10.0)),
        Signal("Abdomen", BREATH_RATE_HZ, "", air.abdomen_t, (-10.0, 10.0)),
        Signal("Snore", SNORE_RATE_HZ, "", air.snore_t, (-4.0, 4.0)),
        Signal("SpO2", 1, "%", spo2_t, (0.0, 100.0)),
        Signal("Pulse", 1, "bpm", pulse_rate(timeline, beats_s), (0.0, 250.0)),
        Signal("Pleth", PLETH_RATE_HZ, "", plethysmogram(seeds["pleth"], timeline, beats_s), (-4.0, 4.0)),
        Signal("Position", 1, "", timeline.position_t.astype(np.float32), (0.0, 10.0)),
    ]
    events = _events(timeline, desaturations, architecture.lights_off_s, architecture.lights_on_s)
    events += [Event(fault.start_s, fault.stop_s, EventName.ARTIFACT, EEG_LABELS[row], SOURCE) for row, fault in faults]
    return Night(
        subject,
        duration_s,
        architecture.stages,
        tuple(signals),
        tuple(sorted(events, key=lambda e: (e.start_s, e.stop_s))),
        beats_s,
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
