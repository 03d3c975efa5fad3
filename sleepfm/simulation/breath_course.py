"""How a sleeper breathes: the clock of the breaths, apneas and hypopneas, snoring, sighs and periodic breathing."""

from __future__ import annotations

import numpy as np

from sleepfm.simulation.happenings import BreathEvent, PeriodicBreathing, by_stage
from sleepfm.simulation.movements import SUPINE
from sleepfm.simulation.noise import wander
from sleepfm.simulation.subject import Subject
from sleepfm.vocabulary import EventName, Stage

BREATH_RATE_HZ = 32
_EVENT_RATE_BY_STAGE = {Stage.WAKE: 0.0, Stage.N1: 1.3, Stage.N2: 1.0, Stage.N3: 0.3, Stage.REM: 1.5}
_BREATH_FACTOR = {Stage.WAKE: 1.08, Stage.N1: 1.02, Stage.N2: 1.0, Stage.N3: 1.0, Stage.REM: 1.06}
_BREATH_SPREAD = {Stage.WAKE: 0.14, Stage.N1: 0.08, Stage.N2: 0.05, Stage.N3: 0.025, Stage.REM: 0.13}
_BREATH_DRIFT = 0.04  # of the rate, over some minutes
_SUPINE_FACTOR, _SIDE_FACTOR = 1.35, 0.6
_SIGHS_PER_H = {Stage.WAKE: 15.0, Stage.N1: 14.0, Stage.N2: 11.0, Stage.N3: 5.0, Stage.REM: 10.0}


def breath_clock(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray) -> np.ndarray:
    """Let the breaths run: steady in N3, uneven in REM and awake."""
    n = len(stage_t)
    spread = by_stage(stage_t, _BREATH_SPREAD) * (0.8 * wander(rng, n, 6) + 0.6 * wander(rng, n, 40))
    spread += _BREATH_DRIFT * wander(rng, n, 300)
    rate = subject.breaths_per_min / 60 * by_stage(stage_t, _BREATH_FACTOR) * (1 + spread)
    at = np.arange(n * BREATH_RATE_HZ) / BREATH_RATE_HZ
    return np.asarray(np.cumsum(np.interp(at, np.arange(n), np.clip(rate, 0.12, 0.55))) / BREATH_RATE_HZ)


def breath_events(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, position_t: np.ndarray, breath_phase_t: np.ndarray
) -> tuple[BreathEvent, ...]:
    """Draw apneas and hypopneas: more in REM and on the back, few in N3, never awake; each lasts whole breaths, at least 10 s."""
    breath_starts = np.interp(
        np.arange(1, int(breath_phase_t[-1]) + 1), breath_phase_t, np.arange(1, len(breath_phase_t) + 1) / BREATH_RATE_HZ
    )
    factor_t = by_stage(stage_t, _EVENT_RATE_BY_STAGE) * np.where(position_t == SUPINE, _SUPINE_FACTOR, _SIDE_FACTOR)
    asleep = np.concatenate([[0], np.cumsum(stage_t != Stage.WAKE)])
    rate = subject.apnea_index / 3600 / max(0.3, 1 - subject.apnea_index * 28 / 3600)  # time within events has no new ones
    others = (1 - subject.central_share) / 0.92
    chances = [0.55 * others, 0.33 * others, subject.central_share, 0.04 * others]
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
        name = names[int(rng.choice(4, p=chances))]
        hypopnea = name is EventName.HYPOPNEA
        dip = (length - 5) * (0.2 if hypopnea else 0.3) * rng.lognormal(0, 0.25) * (1.15 if rem else 1) * subject.dip_gain
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


def snoring(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, position_t: np.ndarray) -> np.ndarray:
    """Draw stretches of some minutes, longer and more often on the back and in those with a narrow airway."""
    snoring_t = np.zeros(len(stage_t), dtype=bool)
    share = float(np.clip(subject.snoring_share + subject.apnea_index / 120, 0, 0.7))
    t = 0
    while t < len(stage_t):
        length = int(rng.uniform(90, 400))
        factor = 1.3 if position_t[t] == SUPINE else 0.6
        snoring_t[t : t + length] = rng.random() < share * factor
        t += length
    return snoring_t & np.isin(stage_t, (Stage.N2, Stage.N3, Stage.REM))


def sighs(
    rng: np.random.Generator, stage_t: np.ndarray, breath_phase_t: np.ndarray, breaths: tuple[BreathEvent, ...]
) -> tuple[float, ...]:
    """Draw which breaths are sighs, by their starts: some ten an hour, at least 40 s apart, none beside a respiratory event."""
    rate_t = by_stage(stage_t, _SIGHS_PER_H) / 3600
    found: list[float] = []
    for second in np.flatnonzero(rng.random(len(stage_t)) < rate_t):
        breath = np.ceil(breath_phase_t[second * BREATH_RATE_HZ])
        start = float(np.searchsorted(breath_phase_t, breath)) / BREATH_RATE_HZ
        apart = not found or start - found[-1] > 40
        if apart and start < len(stage_t) - 20 and not any(b.start_s - 15 < start < b.stop_s + 30 for b in breaths):
            found.append(round(start, 2))
    return tuple(found)


def periodic_breathing(
    rng: np.random.Generator, subject: Subject, stage_t: np.ndarray, breaths: tuple[BreathEvent, ...]
) -> tuple[PeriodicBreathing, ...]:
    """Draw stretches of 4 to 10 min of light sleep in which breathing waxes and wanes, between the respiratory events."""
    light = np.isin(stage_t, (Stage.N1, Stage.N2))
    for breath in breaths:
        light[int(max(0, breath.start_s - 5)) : int(breath.stop_s + 20)] = False
    wanted = subject.periodic_share * float(light.sum())
    found: list[PeriodicBreathing] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], light, [False]]).astype(np.int8))).reshape(-1, 2)
    runs = [(int(a), int(b)) for a, b in edges if b - a >= 100]
    period = float(np.clip(rng.normal(58, 6), 42, 75))
    for k in rng.permutation(len(runs)):
        start, stop = runs[k]
        if wanted < 60:
            break
        stop = min(stop, start + int(min(rng.uniform(240, 600), wanted + 60)))
        found.append(PeriodicBreathing(float(start), float(stop), period))
        wanted -= stop - start
    return tuple(sorted(found, key=lambda one: one.start_s))
