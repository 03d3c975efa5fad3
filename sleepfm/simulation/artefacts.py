"""What goes wrong on a real night: heart, breath and mains in every lead, turning over, a lead that pops, one that comes off."""

from __future__ import annotations

import numpy as np

from sleepfm.simulation.breath_course import BREATH_RATE_HZ
from sleepfm.simulation.happenings import Stretch
from sleepfm.simulation.noise import wander
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import Stage

MAINS_HZ = 50
_BREATH_UV = 3.0  # each breath moves the head's wires a little
_FRAGILE_ROWS = (0, 1, 4, 5)  # frontal and occipital leads: hair and pillow
_LEAST_S = 1200  # shorter studies stay whole: a lead that is off would be most of them


def wear(
    seed: np.random.SeedSequence,
    night: Timeline,
    *,
    eeg_ct: np.ndarray,
    eog_ct: np.ndarray,
    emg_ct: np.ndarray,
    ecg_t: np.ndarray,
    rate_hz: int,
) -> list[tuple[int, Stretch]]:
    """Add, in place, what electrodes pick up besides their own.

    Parameters
    ----------
    eeg_ct, eog_ct, emg_ct
        (channels, samples) float32 in µV.
    ecg_t
        (samples,) float32 in mV; some thousandth parts of it stand in every other lead.
    rate_hz
        Of all of them.

    Returns
    -------
    list
        (EEG row, stretch) of each stretch in which a lead was not to be used.
    """
    rng = np.random.default_rng(seed)
    _move(rng, night, [*eeg_ct, *eog_ct], rate_hz)
    period = rate_hz // int(np.gcd(rate_hz, MAINS_HZ))
    hum = np.sin(2 * np.pi * MAINS_HZ * np.arange(period) / rate_hz).astype(np.float32)
    for x_ct, pickup_uv in ((eeg_ct, 5.0), (eog_ct, 5.0), (emg_ct, 4.0)):
        for row in range(len(x_ct)):
            x_ct[row] += np.float32(rng.uniform(0.3, 1.0) * pickup_uv) * ecg_t
            x_ct[row].reshape(-1, period)[:] += np.float32(rng.lognormal(np.log(0.35), 0.5)) * hum
    n = len(ecg_t)
    coarse_t = np.arange(len(night.breath_phase_t)) / BREATH_RATE_HZ
    breath_t = np.interp(np.arange(n) / rate_hz, coarse_t, np.sin(2 * np.pi * night.breath_phase_t)).astype(np.float32)
    for row in (*eeg_ct, *eog_ct):
        np.add(row, np.float32(rng.lognormal(np.log(_BREATH_UV), 0.4)) * breath_t, out=row)
    if night.duration_s < _LEAST_S:
        return []
    popping, losing = (int(row) for row in rng.permutation(_FRAGILE_ROWS)[:2])
    return [(popping, _pop(rng, night, eeg_ct[popping], rate_hz)), (losing, _lose(rng, night, eeg_ct[losing], rate_hz))]


def _move(rng: np.random.Generator, night: Timeline, rows: list[np.ndarray], rate_hz: int) -> None:
    """Add the slow swings and muscle noise of body movements."""
    for movement in night.body_movements:
        first, stop = int(movement.start_s * rate_hz), int(movement.stop_s * rate_hz)
        n = min(stop, len(rows[0])) - first
        edge = np.hanning(n + 2)[1:-1].astype(np.float32)
        for x_t in rows:
            swing = (rng.uniform(30, 110) * wander(rng, n, 80)).astype(np.float32)
            muscle = np.float32(rng.uniform(5, 18)) * rng.standard_normal(n, dtype=np.float32)
            x_t[first : first + n] += edge * (swing + muscle)


def _pop(rng: np.random.Generator, night: Timeline, x_t: np.ndarray, rate_hz: int) -> Stretch:
    """Let a lead pop during some minutes: sudden steps that fade, as from a drying electrode."""
    start = float(rng.uniform(0.2, 0.7) * night.duration_s)
    stop = min(start + float(rng.uniform(120, 420)), night.duration_s - 1.0)
    fade = np.exp(-np.arange(int(2.5 * rate_hz), dtype=np.float32) / (0.5 * rate_hz))
    at = start
    while at < stop - 3:
        first = int(at * rate_hz)
        x_t[first : first + len(fade)] += np.float32(rng.choice([-1, 1]) * rng.uniform(120, 380)) * fade
        at += rng.exponential(14) + 1.5
    return Stretch(round(start, 2), round(stop, 2))


def _lose(rng: np.random.Generator, night: Timeline, x_t: np.ndarray, rate_hz: int) -> Stretch:
    """Let a lead come off until somebody fixes it: mains hum and drift instead of brain."""
    asleep = np.flatnonzero(night.stage_t != Stage.WAKE)
    start = int(rng.choice(asleep)) if len(asleep) else night.duration_s // 2
    stop = min(start + int(rng.uniform(300, 1100)), night.duration_s)
    n = (stop - start) * rate_hz
    hum = rng.uniform(60, 140) * np.sin(2 * np.pi * MAINS_HZ * np.arange(n) / rate_hz)
    x_t[start * rate_hz : stop * rate_hz] = (hum + 50 * wander(rng, n, 2 * rate_hz) + rng.normal(0, 4, n)).astype(np.float32)
    return Stretch(float(start), float(stop))
