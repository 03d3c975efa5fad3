"""How a sleeper moves: positions, body and leg movements, and arousals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sleepfm.simulation.happenings import BreathEvent, LegMovement, Stretch, by_stage
from sleepfm.simulation.subject import Subject
from sleepfm.vocabulary import EventName, Stage

SUPINE, LEFT, RIGHT, PRONE, UPRIGHT = 1, 2, 3, 4, 0
_MOVEMENTS_PER_H = {Stage.WAKE: 25.0, Stage.N1: 2.0, Stage.N2: 1.5, Stage.N3: 0.5, Stage.REM: 2.0}
_AROUSALS_PER_H = {Stage.WAKE: 0.0, Stage.N1: 18.0, Stage.N2: 8.0, Stage.N3: 2.0, Stage.REM: 9.0}
_QUIET_BEFORE_AROUSAL_S = 10.0  # AASM: at least 10 s of stable sleep before an arousal
_MIN_DESATURATION = 3.6  # a dip drawn at least this deep is still 3 % after the oximeter's rounding


def body_movements(rng: np.random.Generator, subject: Subject, stage_t: np.ndarray) -> tuple[Stretch, ...]:
    """Draw turns and stretches: some 25 an hour awake, one or two an hour asleep, and often at a change to wakefulness."""
    rate = by_stage(stage_t, _MOVEMENTS_PER_H) / 3600 * np.where(stage_t == Stage.WAKE, 1.0, subject.restlessness)
    starts = np.flatnonzero(rng.random(len(stage_t)) < rate)
    waking = np.flatnonzero((stage_t[1:] == Stage.WAKE) & (stage_t[:-1] != Stage.WAKE)) + 1
    starts = np.union1d(starts, waking[rng.random(len(waking)) < 0.5])
    movements: list[Stretch] = []
    for start in starts:
        length = float(np.clip(rng.lognormal(np.log(4), 0.5), 1.5, 12))
        if start + 0.9 + length < len(stage_t) and (not movements or start > movements[-1].stop_s + 2):
            movements.append(Stretch(float(start) + rng.random() * 0.9, float(start) + 0.9 + length))
    return tuple(movements)


def positions(rng: np.random.Generator, movements: tuple[Stretch, ...], duration_s: int, lights_off_s: float) -> np.ndarray:
    """Draw the position of each second: somebody turns over with some of the movements."""
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


def leg_movements(
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


def arousals(
    rng: np.random.Generator,
    subject: Subject,
    stage_t: np.ndarray,
    breaths: tuple[BreathEvent, ...],
    legs: tuple[LegMovement, ...],
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
    rate = by_stage(stage_t, _AROUSALS_PER_H) / 3600 * subject.fragmentation
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
