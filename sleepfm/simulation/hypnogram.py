"""The architecture of a night: cycles of NREM and REM, slow waves early, dreams late, and the awakenings between.

Durations follow the textbook night of an adult (Carskadon & Dement, Normal human sleep: cycles of about 90 to 100 min, N3 in the
first third, REM longest in the last) with the lighter, more broken sleep of older people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.vocabulary import EPOCH_S, Stage

_N3_MIN = (38.0, 27.0, 13.0, 5.0, 0.0)
_REM_MIN = (9.0, 18.0, 25.0, 30.0, 32.0)
_FULL_CYCLES_H = 4.0  # a shorter study gets shorter cycles, and reaches the late ones sooner, so that it shows every stage


@dataclass(frozen=True)
class Architecture:
    """The true scoring and when the lights were off.

    Attributes
    ----------
    stages
        (n_epochs,) int8 numbers of `Stage`; a simulated night has no Unknown.
    lights_off_s, lights_on_s
        Seconds from the start.
    """

    stages: np.ndarray
    lights_off_s: float
    lights_on_s: float


def draw_architecture(
    rng: np.random.Generator, n_epochs: int, *, age: float, fragmentation: float = 1.0, n3_gain: float = 1.0
) -> Architecture:
    """Draw the stages of a night.

    Parameters
    ----------
    rng
        Source of chance.
    n_epochs
        Whole epochs of 30 s; from about 20 on, sleep and its stages find room.
    age
        Years: less N3, more and longer awakenings.
    fragmentation, n3_gain
        Gains of the number of awakenings and of the minutes of N3, of people of the same age.
    """
    minutes = n_epochs * EPOCH_S / 60
    scale = float(np.clip(minutes / 60 / _FULL_CYCLES_H, 0.12, 1.0))
    latency_min = scale * float(np.clip(rng.lognormal(np.log(14), 0.45), 5, 40))
    last_wake_min = scale * rng.uniform(4, 14)
    bouts = [(Stage.WAKE, latency_min), (Stage.N1, scale * rng.uniform(2, 4))]
    if rng.random() < 0.5:
        bouts += [(Stage.WAKE, scale * rng.uniform(0.5, 1.5)), (Stage.N1, scale * rng.uniform(1, 2.5))]
    cycle = 0
    while sum(_epochs(length) for _, length in bouts) < n_epochs:
        bouts += _cycle(rng, cycle, scale=scale, age=age, fragmentation=fragmentation, n3_gain=n3_gain)
        cycle += 1

    stages = np.concatenate([np.full(_epochs(length), stage, dtype=np.int8) for stage, length in bouts])[:n_epochs]
    last = round(last_wake_min * 60 / EPOCH_S)
    if last:
        stages[-last:] = Stage.WAKE
    _no_naked_wake_to_n3(stages)
    asleep = np.flatnonzero(stages != Stage.WAKE)
    onset, end = (int(asleep[0]), int(asleep[-1]) + 1) if len(asleep) else (n_epochs, n_epochs)
    return Architecture(
        stages=stages,
        lights_off_s=float(round(onset * EPOCH_S * rng.uniform(0.15, 0.45))),
        lights_on_s=float(round((end + (n_epochs - end) * rng.uniform(0.5, 0.8)) * EPOCH_S)),
    )


def _epochs(minutes: float) -> int:
    return max(1, round(minutes * 60 / EPOCH_S))


def _cycle(
    rng: np.random.Generator, cycle: int, *, scale: float, age: float, fragmentation: float, n3_gain: float
) -> list[tuple[Stage, float]]:
    """Return the bouts (stage, minutes) of one NREM-REM cycle."""
    late = min(round(cycle / scale), len(_N3_MIN) - 1)
    n3 = _N3_MIN[late] * max(0.2, rng.normal(1, 0.2)) * float(np.clip(1.3 - 0.007 * age, 0.6, 1.2)) * n3_gain
    rem = _REM_MIN[late] * max(0.4, rng.normal(1, 0.2))
    n2 = max(22.0, rng.normal(96, 9) - n3 - rem)
    broken = (0.7 + 0.009 * age) * fragmentation
    down = n2 * rng.uniform(0.3, 0.5) if n3 > 3 else n2
    bouts = _interrupted(rng, Stage.N2, down * scale, every=16 * scale / broken, scale=scale)
    if n3 > 3:
        bouts += _interrupted(rng, Stage.N3, n3 * scale, every=14 * scale, scale=scale)
        bouts += _interrupted(rng, Stage.N2, (n2 - down) * scale, every=16 * scale / broken, scale=scale)
    bouts += _interrupted(rng, Stage.REM, rem * scale, every=13 * scale / broken, scale=scale)
    if cycle >= 1 and rng.random() < 0.2 * broken:
        bouts += [(Stage.WAKE, scale * rng.uniform(4, 16)), (Stage.N1, scale * rng.uniform(1.5, 4))]
    elif rng.random() < 0.65:
        bouts += [(Stage.WAKE, scale * rng.uniform(0.5, 2)), (Stage.N1, scale * rng.uniform(0.5, 2))]
    else:
        bouts += [(Stage.N1, scale * rng.uniform(0.5, 1.5))]
    return bouts


def _interrupted(
    rng: np.random.Generator, stage: Stage, length: float, *, every: float, scale: float
) -> list[tuple[Stage, float]]:
    """Break a stretch of one stage with lighter sleep: N3 by N2, N2 and REM by N1 or a short awakening and N1."""
    bouts: list[tuple[Stage, float]] = []
    left = length
    while left > 0:
        piece = min(left, max(1.0 * scale, rng.exponential(every)))
        bouts.append((stage, piece))
        left -= piece
        if left <= 0:
            break
        if stage is Stage.N3:
            bouts.append((Stage.N2, scale * rng.uniform(0.5, 2)))
        elif rng.random() < 0.55:
            bouts += [(Stage.WAKE, scale * rng.uniform(0.5, 1.8)), (Stage.N1, scale * rng.uniform(0.5, 2))]
        else:
            bouts.append((Stage.N1, scale * rng.uniform(0.5, 1.8)))
    return bouts


def _no_naked_wake_to_n3(stages: np.ndarray) -> None:
    """Nobody falls from wake into N3: the first epoch after such a jump is N1."""
    jumps = np.flatnonzero((stages[:-1] == Stage.WAKE) & (stages[1:] == Stage.N3)) + 1
    stages[jumps] = Stage.N1
