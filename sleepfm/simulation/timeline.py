"""What happens when during a night: the state of the sleeper second by second, and everything that interrupts it.

All signals of a study are drawn from one timeline, so they agree with each other because they share a physiology.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sleepfm.simulation.hypnogram import Architecture
from sleepfm.simulation.noise import wander
from sleepfm.simulation.subject import Subject
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, EventName, Stage

BREATH_RATE_HZ = 32
SUPINE, LEFT, RIGHT, PRONE, UPRIGHT = 1, 2, 3, 4, 0
_EVENT_RATE_BY_STAGE = {Stage.WAKE: 0.0, Stage.N1: 1.3, Stage.N2: 1.0, Stage.N3: 0.3, Stage.REM: 1.5}
_BREATH_FACTOR = {Stage.WAKE: 1.08, Stage.N1: 1.02, Stage.N2: 1.0, Stage.N3: 1.0, Stage.REM: 1.06}
_BREATH_SPREAD = {Stage.WAKE: 0.14, Stage.N1: 0.08, Stage.N2: 0.05, Stage.N3: 0.025, Stage.REM: 0.13}
_SUPINE_FACTOR, _SIDE_FACTOR = 1.35, 0.6
_AROUSALS_PER_H = {Stage.WAKE: 0.0, Stage.N1: 18.0, Stage.N2: 8.0, Stage.N3: 2.0, Stage.REM: 9.0}
_QUIET_BEFORE_AROUSAL_S = 10.0  # AASM: at least 10 s of stable sleep before an arousal
_MIN_DESATURATION = 3.6  # a dip drawn at least this deep is still 3 % after the oximeter's rounding


@dataclass(frozen=True)
class Stretch:
    """A stretch of time in seconds from the start."""

    start_s: float
    stop_s: float


@dataclass(frozen=True)
class BreathEvent(Stretch):
    """An apnea or hypopnea.

    `flow` is the fraction of airflow left, `effort_from` the fraction of the event after which there is respiratory effort (0 for
    obstructive, 1 for central), `dip` the desaturation in %, `lag_s` the circulation's delay from lung to finger.
    """

    name: EventName
    flow: float
    effort_from: float
    dip: float
    lag_s: float


@dataclass(frozen=True)
class LegMovement(Stretch):
    """A leg movement, `side` "L" or "R", and whether it belongs to a periodic series."""

    side: str
    periodic: bool = False


@dataclass(frozen=True)
class Spindle:
    """A sleep spindle: its frequency in Hz, its largest amplitude in µV, and whether it is one of the slower, frontal ones."""

    start_s: float
    frequency_hz: float
    amplitude: float
    frontal: bool


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
    breath_phase_t
        (duration_s * BREATH_RATE_HZ,) breaths since the start; the fraction is 0 where a breath begins.
    """

    duration_s: int
    stage_t: np.ndarray
    depth_t: np.ndarray
    eyes_open_t: np.ndarray
    position_t: np.ndarray
    snoring_t: np.ndarray
    breath_phase_t: np.ndarray
    breath_events: tuple[BreathEvent, ...]
    arousals: tuple[Stretch, ...]
    leg_movements: tuple[LegMovement, ...]
    body_movements: tuple[Stretch, ...]
    k_complexes_s: tuple[float, ...]
    spindles: tuple[Spindle, ...]

    def by_stage(self, value: dict[Stage, float]) -> np.ndarray:
        """Return the value of each second's stage, (duration_s,) float64."""
        return by_stage(self.stage_t, value)


def by_stage(stages: np.ndarray, value: dict[Stage, float]) -> np.ndarray:
    """Return `value` of each of the stages, which hold no Unknown."""
    return np.array([value[stage] for stage in SCORED_STAGES])[stages]


def draw_timeline(rng: np.random.Generator, subject: Subject, architecture: Architecture, duration_s: int) -> Timeline:
    """Draw what happens around the given stages."""
    stage_t = _stage_by_second(rng, architecture.stages, duration_s)
    movements = _body_movements(rng, stage_t)
    position_t = _positions(rng, movements, duration_s, architecture.lights_off_s)
    breath_phase_t = _breath_clock(rng, subject, stage_t)
    breaths = _breath_events(rng, subject, stage_t, position_t, breath_phase_t)
    # Nobody turns over in the middle of an apnea: the movement would end it.
    movements = tuple(m for m in movements if not any(b.start_s < m.stop_s and m.start_s < b.stop_s for b in breaths))
    legs = _leg_movements(rng, subject, stage_t, breaths)
    arousals = _arousals(rng, stage_t, breaths, legs)
    depth_t = _depth(stage_t)
    k_complexes_s = _k_complexes(rng, stage_t)
    return Timeline(
        duration_s=duration_s,
        stage_t=stage_t,
        depth_t=depth_t,
        eyes_open_t=_eyes_open(rng, stage_t, architecture.lights_off_s),
        position_t=position_t,
        snoring_t=_snoring(rng, subject, stage_t, position_t),
        breath_phase_t=breath_phase_t,
        breath_events=breaths,
        arousals=arousals,
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


def _body_movements(rng: np.random.Generator, stage_t: np.ndarray) -> tuple[Stretch, ...]:
    """Draw turns and stretches: some 25 an hour awake, one an hour asleep, and often at a change to wakefulness."""
    rate = np.where(stage_t == Stage.WAKE, 25.0, 1.0) / 3600
    starts = np.flatnonzero(rng.random(len(stage_t)) < rate)
    waking = np.flatnonzero((stage_t[1:] == Stage.WAKE) & (stage_t[:-1] != Stage.WAKE)) + 1
    starts = np.union1d(starts, waking[rng.random(len(waking)) < 0.5])
    movements: list[Stretch] = []
    for start in starts:
        length = float(np.clip(rng.lognormal(np.log(4), 0.5), 1.5, 12))
        if start + length < len(stage_t) and (not movements or start > movements[-1].stop_s + 2):
            movements.append(Stretch(float(start) + rng.random() * 0.9, float(start) + 0.9 + length))
    return tuple(movements)


def _positions(rng: np.random.Generator, movements: tuple[Stretch, ...], duration_s: int, lights_off_s: float) -> np.ndarray:
    position_t = np.full(duration_s, SUPINE, dtype=np.int8)
    last = 0.0
    for movement in movements:
        if movement.start_s > lights_off_s and movement.start_s - last > 900 and rng.random() < 0.6:
            now = position_t[-1]
            choices = [p for p in (SUPINE, LEFT, RIGHT, PRONE) if p != now]
            weights = np.array([{SUPINE: 0.45, LEFT: 0.35, RIGHT: 0.35, PRONE: 0.06}[p] for p in choices])
            position_t[int(movement.start_s) :] = rng.choice(choices, p=weights / weights.sum())
            last = movement.start_s
    return position_t


def _breath_clock(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray) -> np.ndarray:
    """Let the breaths run: steady in N3, uneven in REM and awake."""
    n = len(stage_t)
    spread = by_stage(stage_t, _BREATH_SPREAD) * (0.8 * wander(rng, n, 6) + 0.6 * wander(rng, n, 40))
    rate = subject.breaths_per_min / 60 * by_stage(stage_t, _BREATH_FACTOR) * (1 + spread)
    at = np.arange(n * BREATH_RATE_HZ) / BREATH_RATE_HZ
    return np.asarray(np.cumsum(np.interp(at, np.arange(n), np.clip(rate, 0.12, 0.5))) / BREATH_RATE_HZ)


def _snoring(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, position_t: np.ndarray) -> np.ndarray:
    """Draw stretches of some minutes, longer and more often on the back and in those with a narrow airway."""
    snoring_t = np.zeros(len(stage_t), dtype=bool)
    share = float(np.clip(0.08 + subject.apnea_index / 80, 0, 0.5))
    t = 0
    while t < len(stage_t):
        length = int(rng.uniform(90, 400))
        factor = 1.3 if position_t[t] == SUPINE else 0.6
        snoring_t[t : t + length] = rng.random() < share * factor
        t += length
    return snoring_t & np.isin(stage_t, (Stage.N2, Stage.N3, Stage.REM))


def _breath_events(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, position_t: np.ndarray, breath_phase_t: np.ndarray
) -> tuple[BreathEvent, ...]:
    """Draw apneas and hypopneas: more in REM and on the back, few in N3, never awake; each lasts whole breaths, at least 10 s."""
    breath_starts = np.interp(
        np.arange(1, int(breath_phase_t[-1]) + 1), breath_phase_t, np.arange(1, len(breath_phase_t) + 1) / BREATH_RATE_HZ
    )
    factor_t = by_stage(stage_t, _EVENT_RATE_BY_STAGE) * np.where(position_t == SUPINE, _SUPINE_FACTOR, _SIDE_FACTOR)
    asleep = np.concatenate([[0], np.cumsum(stage_t != Stage.WAKE)])
    rate = subject.apnea_index / 3600 / max(0.3, 1 - subject.apnea_index * 28 / 3600)  # time within events has no new ones
    names = [EventName.HYPOPNEA, EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA]
    events: list[BreathEvent] = []
    t = 30.0
    while t < len(stage_t) - 100:
        t += rng.exponential(1 / (rate * 2.1))
        second = int(t)
        if second >= len(stage_t) - 100 or rng.random() > factor_t[second] / 2.1:
            continue
        rem = stage_t[second] == Stage.REM
        wanted = float(np.clip(rng.lognormal(np.log(24 if rem else 19), 0.32), 10.5, 65))
        start = float(breath_starts[np.searchsorted(breath_starts, t)])
        stop = float(breath_starts[np.searchsorted(breath_starts, start + max(10.0, wanted - 2))])
        length = stop - start
        window = slice(second - 10, int(stop) + 3)
        if asleep[window.stop] - asleep[window.start] < window.stop - window.start:
            t += 5
            continue
        name = names[int(rng.choice(4, p=[0.55, 0.33, 0.08, 0.04]))]
        hypopnea = name is EventName.HYPOPNEA
        dip = (length - 5) * (0.2 if hypopnea else 0.3) * rng.lognormal(0, 0.25) * (1.15 if rem else 1)
        effort_from = {EventName.CENTRAL_APNEA: 1.0, EventName.MIXED_APNEA: float(rng.uniform(0.4, 0.6))}.get(name, 0.0)
        events.append(
            BreathEvent(
                start_s=round(start, 2),
                stop_s=round(stop, 2),
                name=name,
                flow=float(rng.uniform(0.3, 0.55)) if hypopnea else float(rng.uniform(0.0, 0.05)),
                effort_from=effort_from,
                dip=float(np.clip(dip, 0.5, 26)),
                lag_s=float(rng.uniform(11, 19)),
            )
        )
        t = stop + 12
    return tuple(events)


def _leg_movements(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, breaths: tuple[BreathEvent, ...]
) -> tuple[LegMovement, ...]:
    """Draw series with steady intervals in NREM and single movements anywhere asleep, none beside a respiratory event."""
    hours_asleep = float((stage_t != Stage.WAKE).sum()) / 3600
    wanted = rng.poisson(subject.leg_index * hours_asleep)
    starts: list[tuple[float, str]] = []
    nrem = np.flatnonzero(np.isin(stage_t, (Stage.N1, Stage.N2)))
    tries = 0
    while wanted >= 4 and len(starts) < wanted and tries < 200 and len(nrem):
        tries += 1
        t = float(rng.choice(nrem)) + rng.random()
        interval, side = float(np.clip(rng.lognormal(np.log(25), 0.25), 12, 60)), rng.choice(["L", "R"])
        for _ in range(int(rng.integers(5, 26))):
            if t >= len(stage_t) - 5 or stage_t[int(t)] not in (Stage.N1, Stage.N2, Stage.N3):
                break
            starts.append((t, str(side)))
            t += interval * rng.lognormal(0, 0.12)
    asleep = np.flatnonzero(stage_t != Stage.WAKE)
    single = rng.poisson(3.0 * hours_asleep)
    if len(asleep):
        starts += [(float(rng.choice(asleep)), str(rng.choice(["L", "R"]))) for _ in range(single)]

    busy = [(e.start_s - 1, e.stop_s + 12) for e in breaths]
    legs: list[LegMovement] = []
    for start, side in sorted(starts):
        length = float(np.clip(rng.lognormal(np.log(1.6), 0.4), 0.6, 6))
        free = not legs or start - legs[-1].start_s >= 6
        if free and start + length < len(stage_t) - 1 and not any(a < start + length and start < b for a, b in busy):
            legs.append(LegMovement(round(start, 2), round(start + length, 2), side))
    return _mark_series(legs)


def _mark_series(legs: list[LegMovement]) -> tuple[LegMovement, ...]:
    """Mark the periodic ones: at least four in a row whose onsets are 5 to 90 s apart (AASM manual, PLM series rule)."""
    periodic = [False] * len(legs)
    first = 0
    for k in range(1, len(legs) + 1):
        if k < len(legs) and 5 <= legs[k].start_s - legs[k - 1].start_s <= 90:
            continue
        if k - first >= 4:
            periodic[first:k] = [True] * (k - first)
        first = k
    return tuple(replace(leg, periodic=flag) for leg, flag in zip(legs, periodic, strict=True))


def _arousals(
    rng: np.random.Generator, stage_t: np.ndarray, breaths: tuple[BreathEvent, ...], legs: tuple[LegMovement, ...]
) -> tuple[Stretch, ...]:
    """Draw arousals at the end of respiratory events, with leg movements, and without a cause.

    A hypopnea without a desaturation always ends in one: by the AASM rule it would be none otherwise.
    """
    wanted: list[tuple[float, bool]] = []
    for event in breaths:
        needed = event.name is EventName.HYPOPNEA and event.dip < _MIN_DESATURATION
        if needed or rng.random() < 0.5:
            wanted.append((event.stop_s + rng.uniform(-1.0, 0.5), needed))
    wanted += [(leg.start_s + rng.uniform(-0.3, 0.4), False) for leg in legs if rng.random() < 0.2]
    rate = by_stage(stage_t, _AROUSALS_PER_H) / 3600
    wanted += [(float(t) + rng.random(), False) for t in np.flatnonzero(rng.random(len(stage_t)) < rate)]

    needed_at = [t for t, needed in wanted if needed]
    found: list[Stretch] = []
    for start, needed in sorted(wanted):
        length = float(np.clip(rng.lognormal(np.log(6), 0.4), 3.2, 14))
        before, after = int(start - _QUIET_BEFORE_AROUSAL_S), int(start + 3)
        if before < 0 or after >= len(stage_t) or (stage_t[before:after] == Stage.WAKE).any():
            continue
        if found and start - found[-1].stop_s < _QUIET_BEFORE_AROUSAL_S:
            if not needed:
                continue
            found.pop()
        if not needed and any(0 < t - start < 24 for t in needed_at):
            continue
        found.append(Stretch(round(start, 2), round(min(start + length, len(stage_t) - 0.5), 2)))
    return tuple(found)


def _k_complexes(rng: np.random.Generator, stage_t: np.ndarray) -> tuple[float, ...]:
    """Draw when K-complexes start: some two a minute of N2."""
    seconds = np.flatnonzero((stage_t == Stage.N2) & (rng.random(len(stage_t)) < 1.9 / 60))
    return tuple(float(second) + rng.random() for second in seconds)


def _spindles(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, depth_t: np.ndarray, k_complexes_s: tuple[float, ...]
) -> tuple[Spindle, ...]:
    """Draw spindles in N2, fewer as N3 comes near, in clusters of the infraslow rhythm (0.02 Hz), and on some K-complexes."""
    per_min = np.where(stage_t == Stage.N2, 5.2 - 2.5 * depth_t, 0.0) + np.where(stage_t == Stage.N3, 1.6, 0.0)
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
