"""What happens when during a night: the state of the sleeper second by second, and everything that interrupts it.

All signals of a study are drawn from one timeline, so they agree with each other because they share a physiology.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.simulation.breath_course import breath_clock, breath_events, periodic_breathing, sighs, snoring
from sleepfm.simulation.happenings import BreathEvent, LegMovement, PeriodicBreathing, Spindle, Stretch, by_stage
from sleepfm.simulation.hypnogram import Architecture
from sleepfm.simulation.movements import arousals, body_movements, leg_movements, positions
from sleepfm.simulation.subject import Subject
from sleepfm.vocabulary import EPOCH_S, Stage


@dataclass(frozen=True)
class Timeline:
    """A night's course.

    Attributes
    ----------
    duration_s
        Length in whole seconds.
    stage_t
        (duration_s,) int8, stage of each second; changes lie up to 8 s beside the epoch borders of the scoring.
    depth_t
        (duration_s,) float32, how near slow-wave sleep is: 0 in light sleep, 1 within N3.
    eyes_open_t
        (duration_s,) bool.
    position_t
        (duration_s,) int8, one of SUPINE, LEFT, RIGHT, PRONE, UPRIGHT.
    snoring_t
        (duration_s,) bool.
    rem_tone_t
        (duration_s,) bool, REM sleep with muscle tone.
    breath_phase_t
        (duration_s * BREATH_RATE_HZ,) breaths since the start; the fraction is 0 where a breath begins.
    """

    duration_s: int
    stage_t: np.ndarray
    depth_t: np.ndarray
    eyes_open_t: np.ndarray
    position_t: np.ndarray
    snoring_t: np.ndarray
    rem_tone_t: np.ndarray
    breath_phase_t: np.ndarray
    breath_events: tuple[BreathEvent, ...]
    periodic_breathing: tuple[PeriodicBreathing, ...]
    sighs_s: tuple[float, ...]
    arousals: tuple[Stretch, ...]
    leg_movements: tuple[LegMovement, ...]
    body_movements: tuple[Stretch, ...]
    k_complexes_s: tuple[float, ...]
    spindles: tuple[Spindle, ...]

    def by_stage(self, value: dict[Stage, float]) -> np.ndarray:
        """Return the value of each second's stage, (duration_s,) float64."""
        return by_stage(self.stage_t, value)


def draw_timeline(rng: np.random.Generator, subject: Subject, architecture: Architecture, duration_s: int) -> Timeline:
    """Draw what happens around the given stages."""
    stage_t = _stage_by_second(rng, architecture.stages, duration_s)
    movements = body_movements(rng, subject, stage_t)
    position_t = positions(rng, movements, duration_s, architecture.lights_off_s)
    breath_phase_t = breath_clock(rng, subject, stage_t)
    breaths = breath_events(rng, subject, stage_t, position_t, breath_phase_t)
    # Nobody turns over in the middle of an apnea: the movement would end it.
    movements = tuple(m for m in movements if not any(b.start_s < m.stop_s and m.start_s < b.stop_s for b in breaths))
    legs = leg_movements(rng, subject, stage_t, breaths)
    depth_t = _depth(stage_t)
    sighs_s = sighs(rng, stage_t, breath_phase_t, breaths)
    k_complexes_s = _k_complexes(rng, stage_t, sighs_s)
    return Timeline(
        duration_s=duration_s,
        stage_t=stage_t,
        depth_t=depth_t,
        eyes_open_t=_eyes_open(rng, stage_t, architecture.lights_off_s),
        position_t=position_t,
        snoring_t=snoring(rng, subject, stage_t, position_t),
        rem_tone_t=_rem_tone(rng, subject, stage_t),
        breath_phase_t=breath_phase_t,
        breath_events=breaths,
        periodic_breathing=periodic_breathing(rng, subject, stage_t, breaths),
        sighs_s=sighs_s,
        arousals=arousals(rng, subject, stage_t, breaths, legs),
        leg_movements=legs,
        body_movements=movements,
        k_complexes_s=k_complexes_s,
        spindles=_spindles(rng, subject, stage_t, depth_t, k_complexes_s),
    )


def _stage_by_second(rng: np.random.Generator, stages: np.ndarray, duration_s: int) -> np.ndarray:
    """Spread epochs over seconds and move every change a little: bodies know no epochs, and each keeps its majority."""
    second = np.repeat(stages, int(EPOCH_S))
    padded = np.pad(second, (0, max(0, duration_s - len(second))), mode="edge")[:duration_s]
    moved = padded.copy()
    for border in np.flatnonzero(np.diff(padded)) + 1:
        shift = int(rng.integers(-8, 9))
        if shift > 0:
            moved[border : border + shift] = padded[border - 1]
        elif shift < 0:
            moved[border + shift : border] = padded[border]
    return moved


def _depth(stage_t: np.ndarray) -> np.ndarray:
    """Let sleep deepen towards N3 over minutes: a smoothed trace of N3, full within it and nothing outside NREM."""
    kernel = np.hanning(361)[1:-1]
    near = np.convolve(stage_t == Stage.N3, kernel / kernel.sum(), mode="same")[: len(stage_t)]
    depth = np.where(stage_t == Stage.N3, np.maximum(near, 0.75), near)
    return np.where(np.isin(stage_t, (Stage.N2, Stage.N3)), depth, 0).astype(np.float32)


def _eyes_open(rng: np.random.Generator, stage_t: np.ndarray, lights_off_s: float) -> np.ndarray:
    """Open while the lights are on, mostly closed once they are off, open now and then in awakenings."""
    bout = rng.exponential(25, size=max(4, len(stage_t) // 10)) + 4
    borders = np.cumsum(bout).astype(np.int64)
    open_draws = rng.random(len(borders) + 1)
    bout_of_second = np.searchsorted(borders, np.arange(len(stage_t)), side="right")
    lights_on = np.arange(len(stage_t)) < lights_off_s
    return (stage_t == Stage.WAKE) & (open_draws[bout_of_second] < np.where(lights_on, 0.85, 0.25))


def _rem_tone(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray) -> np.ndarray:
    """Draw the seconds of REM in which the chin keeps its tone: bouts of some 20 s."""
    bout = np.cumsum(rng.exponential(20, size=len(stage_t) // 5 + 8) + 3).astype(np.int64)
    toned = rng.random(len(bout) + 1) < subject.rem_tone_share
    return (stage_t == Stage.REM) & toned[np.searchsorted(bout, np.arange(len(stage_t)), side="right")]


def _k_complexes(rng: np.random.Generator, stage_t: np.ndarray, sighs_s: tuple[float, ...]) -> tuple[float, ...]:
    """Draw when K-complexes start: some two a minute of N2, and with most sighs in it."""
    own = np.flatnonzero((stage_t == Stage.N2) & (rng.random(len(stage_t)) < 1.9 / 60))
    found = [float(second) + rng.random() for second in own]
    found += [t + rng.uniform(0, 1) for t in sighs_s if stage_t[int(t)] == Stage.N2 and rng.random() < 0.7]
    return tuple(sorted(found))


def _spindles(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, depth_t: np.ndarray, k_complexes_s: tuple[float, ...]
) -> tuple[Spindle, ...]:
    """Draw spindles in N2, fewer as N3 comes near, in clusters of the infraslow rhythm (0.02 Hz), and on some K-complexes."""
    shallow = np.where(stage_t == Stage.N2, 1 - 0.5 * depth_t, 0.0) + np.where(stage_t == Stage.N3, 0.3, 0.0)
    per_min = subject.spindles_per_min * shallow
    clusters = 0.5 + 0.5 * (1 + np.sin(2 * np.pi * np.arange(len(stage_t)) / 50 + rng.uniform(0, 6)))
    own = np.flatnonzero(rng.random(len(stage_t)) < per_min * clusters / 60)
    starts_s = [float(second) + rng.random() for second in own]
    starts_s += [t + rng.uniform(0.7, 1.1) for t in k_complexes_s if rng.random() < 0.4 and t + 1.1 < len(stage_t)]
    found: list[Spindle] = []
    for start_s in sorted(starts_s):
        frontal = bool(rng.random() < 0.3)
        frequency = subject.spindle_hz - (1.3 if frontal else 0.0) + rng.normal(0, 0.25)
        amplitude = float(np.clip(rng.lognormal(np.log(22), 0.28), 11, 36))
        found.append(Spindle(round(start_s, 2), float(frequency), amplitude, frontal))
    return tuple(found)
