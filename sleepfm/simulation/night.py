"""One simulated night as sensors see it: all signals of a montage, drawn from one course, with what a scorer would write down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sleepfm.recording.scorings.scoring import Event
from sleepfm.simulation.artefacts import wear
from sleepfm.simulation.breathing import RATE_HZ as BREATH_RATE_HZ
from sleepfm.simulation.breathing import SNORE_RATE_HZ, breathing
from sleepfm.simulation.course import SOURCE, Course, draw_course
from sleepfm.simulation.eeg import EEG_LABELS, eeg
from sleepfm.simulation.eyes_muscle import eyes, muscles
from sleepfm.simulation.happenings import Stretch
from sleepfm.simulation.heart import ecg
from sleepfm.simulation.oximetry import PLETH_RATE_HZ, plethysmogram, pulse_rate
from sleepfm.simulation.sites import FULL, Montage
from sleepfm.simulation.subject import Subject
from sleepfm.vocabulary import EventName

_EOG_LABELS = ("E1-M2", "E2-M2")
_EMG_LABELS = ("EMG Chin", "EMG LAT", "EMG RAT")


@dataclass(frozen=True)
class Signal:
    """One channel: (duration * rate_hz,) float32 in `unit`, within the physical range that its file may hold."""

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
    course
        What happened.
    signals
        In montage order.
    events
        The course's events and the artefacts of the leads, in order of their start, channels by the montage's labels; a channel
        that the montage lacks is "".
    """

    course: Course
    signals: tuple[Signal, ...]
    events: tuple[Event, ...]

    @property
    def subject(self) -> Subject:
        """Who sleeps."""
        return self.course.subject

    @property
    def duration_s(self) -> int:
        """Length in whole seconds."""
        return self.course.duration_s

    @property
    def stages(self) -> np.ndarray:
        """(n_epochs,) int8, the true stage of each whole 30-s epoch."""
        return self.course.stages

    @property
    def beats_s(self) -> np.ndarray:
        """(n_beats,) true times of the R peaks in seconds."""
        return self.course.beats_s

    def signal(self, label: str) -> Signal:
        """Return the signal with this label."""
        return next(signal for signal in self.signals if signal.label == label)


def simulate_night(
    seed: int | np.random.SeedSequence,
    hours: float,
    *,
    subject: Subject | None = None,
    montage: Montage = FULL,
    threads: int = 2,
) -> Night:
    """Simulate one study; the same arguments give the same samples whatever the number of threads.

    Parameters
    ----------
    seed, hours, subject
        See `sleepfm.simulation.course.draw_course`.
    montage
        What is recorded. The course of the night does not depend on it.
    threads
        Threads to work with.

    Raises
    ------
    RequestError
        When the length is out of range.
    """
    return record(draw_course(seed, hours, subject=subject), montage=montage, threads=threads)


def record(course: Course, *, montage: Montage = FULL, threads: int = 2) -> Night:
    """Record a night: draw what each sensor of the montage sees of it."""
    signals = {signal.label: signal for signal in _breath_and_blood(course, montage)}
    fast, faults = _electrodes(course, montage, threads)
    signals |= {signal.label: signal for signal in fast}
    faulty = [Event(fault.start_s, fault.stop_s, EventName.ARTIFACT, EEG_LABELS[row], SOURCE) for row, fault in faults]
    events = [*course.events, *(event for event in faulty if event.channel in montage.labels)]
    return Night(
        course=course,
        signals=tuple(replace(signals[full], label=label) for full, label in montage.labels.items()),
        events=tuple(
            replace(event, channel=montage.labels.get(event.channel, ""))
            for event in sorted(events, key=lambda e: (e.start_s, e.stop_s))
        ),
    )


def _electrodes(course: Course, montage: Montage, threads: int) -> tuple[list[Signal], list[tuple[int, Stretch]]]:
    """Return EEG, EOG, EMG and ECG, and where which row of the EEG is not to be used."""
    subject, timeline, seeds, rate_hz = course.subject, course.timeline, course.seeds, montage.rate_hz
    ecg_t = ecg(seeds["ecg"], subject, timeline, course.beats_s, rate_hz=rate_hz)
    eeg_ct = eeg(seeds["eeg"], subject, timeline, rate_hz=rate_hz, threads=threads)
    eog_ct = eyes(seeds["eyes"], timeline, eeg_ct, rate_hz=rate_hz, threads=threads)
    emg_ct = np.empty((0, len(ecg_t)), dtype=np.float32)
    if montage.labels.keys() & set(_EMG_LABELS):
        emg_ct = muscles(seeds["muscles"], subject, timeline, rate_hz=rate_hz, threads=threads)
    faults = wear(seeds["wear"], timeline, eeg_ct=eeg_ct, eog_ct=eog_ct, emg_ct=emg_ct, ecg_t=ecg_t, rate_hz=rate_hz)
    low_pass = f"LP:{min(100, 9 * rate_hz // 20)}Hz"
    microvolt, millivolt = (-1000.0, 1000.0), (-5.0, 5.0)
    signals = [
        Signal(label, rate_hz, "uV", x_t.clip(*microvolt), microvolt, f"HP:{high_pass}Hz {low_pass}")
        for labels, x_ct, high_pass in ((EEG_LABELS, eeg_ct, 0.3), (_EOG_LABELS, eog_ct, 0.3), (_EMG_LABELS, emg_ct, 10))
        for label, x_t in zip(labels, x_ct, strict=False)
    ]
    return [*signals, Signal("ECG", rate_hz, "mV", ecg_t.clip(*millivolt), millivolt, f"HP:0.05Hz {low_pass}")], faults


def _breath_and_blood(course: Course, montage: Montage) -> list[Signal]:
    """Return the other signals."""
    timeline, beats_s, seeds, wanted = course.timeline, course.beats_s, course.seeds, montage.labels.keys()
    air = breathing(seeds["breath"], course.subject, timeline, course.beats_s, with_snore="Snore" in wanted)
    ten, four = (-10.0, 10.0), (-4.0, 4.0)
    signals = [
        Signal("Nasal Pressure", BREATH_RATE_HZ, "cmH2O", air.nasal_pressure_t.clip(*ten), ten),
        Signal("Thermistor", BREATH_RATE_HZ, "", air.thermistor_t.clip(*ten), ten),
        Signal("Thorax", BREATH_RATE_HZ, "", air.thorax_t.clip(*ten), ten),
        Signal("Abdomen", BREATH_RATE_HZ, "", air.abdomen_t.clip(*ten), ten),
        Signal("Snore", SNORE_RATE_HZ, "", air.snore_t.clip(*four), four),
        Signal("SpO2", 1, "%", course.spo2_t, (0.0, 100.0)),
        Signal("Pulse", 1, "bpm", pulse_rate(timeline, beats_s), (0.0, 250.0)),
        Signal("Position", 1, "", timeline.position_t.astype(np.float32), (0.0, 10.0)),
    ]
    if "Pleth" in wanted:
        signals.append(
            Signal("Pleth", PLETH_RATE_HZ, "", plethysmogram(seeds["pleth"], course.subject, timeline, beats_s).clip(*four), four)
        )
    return signals
