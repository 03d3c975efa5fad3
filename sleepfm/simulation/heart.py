"""The heart of a night: when it beats, and what the ECG lead shows of it."""

from __future__ import annotations

import numpy as np

from sleepfm.simulation.breath_course import BREATH_RATE_HZ
from sleepfm.simulation.noise import wander
from sleepfm.simulation.subject import Subject
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import Stage

_STATE_RATE_HZ = 8
_RATE_OFFSET_BPM = {Stage.WAKE: 0.0, Stage.N1: -4.0, Stage.N2: -7.0, Stage.N3: -7.5, Stage.REM: -4.0}
_BREATH_SHARE = {Stage.WAKE: 0.02, Stage.N1: 0.03, Stage.N2: 0.038, Stage.N3: 0.042, Stage.REM: 0.022}  # vagal: largest in N3
_SLOW_SHARE = {Stage.WAKE: 0.035, Stage.N1: 0.028, Stage.N2: 0.02, Stage.N3: 0.01, Stage.REM: 0.035}  # 0.1 Hz and below
_SLOWEST_SHARE = 0.03  # over ten minutes
_AXIS_SHARE = 0.06  # of R, with each breath
# Seconds after the R peak, width in seconds, mV in lead II.
_WAVES = {
    "P": (-0.165, 0.022, 0.12),
    "Q": (-0.026, 0.009, -0.08),
    "R": (0.0, 0.0105, 1.05),
    "S": (0.028, 0.010, -0.22),
    "T": (0.275, 0.045, 0.28),
}
_VENTRICULAR = {"P": 0.0, "Q": 0.5, "R": 1.1, "S": 2.0, "T": -0.8}  # gains of their heights
_BEFORE_S, _AFTER_S = 0.26, 0.52


def beat_times(seed: np.random.SeedSequence, subject: Subject, night: Timeline) -> np.ndarray:
    """Draw the times of the R peaks.

    The rate follows the stage, breathing (respiratory sinus arrhythmia), a 0.1-Hz rhythm, slow drift, and rises with arousals and
    after respiratory events, which slow it while they last (Guilleminault et al. 1984: cyclical variation of heart rate).

    Returns
    -------
    np.ndarray
        (n_beats,) float64 seconds, increasing.
    """
    rng = np.random.default_rng(seed)
    n = night.duration_s * _STATE_RATE_HZ
    t = np.arange(n) / _STATE_RATE_HZ

    def by_stage(value: dict[Stage, float], smooth_s: int) -> np.ndarray:
        return np.asarray(np.interp(t, np.arange(night.duration_s), _boxcar(night.by_stage(value), smooth_s)))

    night_trend = -3.0 * np.minimum(t / 3600 / 5, 1)
    bpm = subject.heart_bpm + subject.dipping * by_stage(_RATE_OFFSET_BPM, 40) + night_trend
    breath = np.interp(t, np.arange(len(night.breath_phase_t)) / BREATH_RATE_HZ, night.breath_phase_t)
    mayer = np.sin(2 * np.pi * (0.095 * t + 0.6 * wander(rng, n, 30 * _STATE_RATE_HZ)))
    share = subject.vagal_gain * by_stage(_BREATH_SHARE, 20) * np.sin(2 * np.pi * breath)
    share += _SLOWEST_SHARE * wander(rng, n, 600 * _STATE_RATE_HZ)
    share += (
        subject.slow_hrv_gain
        * by_stage(_SLOW_SHARE, 20)
        * (0.5 * mayer + 0.7 * wander(rng, n, 20 * _STATE_RATE_HZ) + 0.5 * wander(rng, n, 120 * _STATE_RATE_HZ))
    )
    bpm *= 1 + share
    awake = subject.arousal_hr_gain
    for arousal in night.arousals:
        _add(bpm, t, arousal.start_s + 1, awake * rng.uniform(6, 14), rise_s=3, fall_s=7)
    for leg in night.leg_movements:
        _add(bpm, t, leg.start_s - 1, awake * rng.uniform(2, 6), rise_s=3, fall_s=6)
    for at_s in night.k_complexes_s:
        _add(bpm, t, at_s, awake * rng.uniform(1, 3), rise_s=2, fall_s=4)
    for at_s in night.sighs_s:
        _add(bpm, t, at_s, rng.uniform(6, 11), rise_s=3, fall_s=3)
        _add(bpm, t, at_s + 8, -rng.uniform(2, 5), rise_s=4, fall_s=5)
    for waves in night.periodic_breathing:
        a, b = int(waves.start_s * _STATE_RATE_HZ), int(waves.stop_s * _STATE_RATE_HZ)
        bpm[a:b] *= 1 + 0.035 * np.sin(2 * np.pi * (t[a:b] - waves.start_s) / waves.period_s - 1.2) * np.hanning(b - a) ** 0.3
    for movement in night.body_movements:
        _add(bpm, t, movement.start_s, rng.uniform(8, 20), rise_s=3, fall_s=12)
    for event in night.breath_events:
        a, b = int(event.start_s * _STATE_RATE_HZ), int(event.stop_s * _STATE_RATE_HZ)
        bpm[a:b] -= np.linspace(0, rng.uniform(2, 6), b - a)
        _add(bpm, t, event.stop_s, rng.uniform(4, 10), rise_s=3, fall_s=6)

    beats_so_far = np.cumsum(np.clip(bpm, 38, 160)) / 60 / _STATE_RATE_HZ
    whole = np.arange(1, int(beats_so_far[-1]) + 1)
    times = np.interp(whole, beats_so_far, t)
    times += rng.normal(0, 0.004, len(times)).clip(-0.01, 0.01)
    early = rng.random(len(times)) < subject.premature_share
    early[1:] &= ~early[:-1].copy()
    premature = np.flatnonzero(early[1:]) + 1
    times[premature] -= rng.uniform(0.22, 0.4, len(premature)) * (times[premature] - times[premature - 1])
    return np.asarray(times)


def ecg(seed: np.random.SeedSequence, subject: Subject, night: Timeline, beats_s: np.ndarray, *, rate_hz: int) -> np.ndarray:
    """Draw lead II with P, QRS and T at each beat.

    T moves with the square root of the interval before the beat (Bazett). Breathing turns the heart's axis, so that R waxes and
    wanes a little with each breath; breathing and turning sway the baseline. A beat that comes far too early is a ventricular
    one: no P, a broad QRS, and T the other way.

    Returns
    -------
    np.ndarray
        (duration * rate_hz,) float32 in mV.
    """
    rng = np.random.default_rng(seed)
    n = night.duration_s * rate_hz
    out = np.float32(0.008) * rng.standard_normal(n, dtype=np.float32)
    coarse = np.arange(night.duration_s * BREATH_RATE_HZ) / BREATH_RATE_HZ
    sway = 0.04 * np.sin(2 * np.pi * night.breath_phase_t) + 0.05 * np.interp(
        coarse, np.arange(night.duration_s), wander(rng, night.duration_s, 4)
    )
    for movement in night.body_movements:
        a, b = int(movement.start_s * BREATH_RATE_HZ), int(movement.stop_s * BREATH_RATE_HZ)
        sway[a:b] += 0.25 * wander(rng, b - a, 12) * np.hanning(b - a)
    out += np.interp(np.arange(n, dtype=np.float32) / rate_hz, coarse, sway).astype(np.float32)

    intervals = np.diff(beats_s, prepend=beats_s[:1] - 0.9)
    steps = np.arange(-int(_BEFORE_S * rate_hz), int(_AFTER_S * rate_hz))
    first = np.floor(beats_s * rate_hz).astype(np.int64)
    breath = np.interp(beats_s, coarse, night.breath_phase_t)
    size = (1 + 0.02 * rng.standard_normal(len(beats_s)) + _AXIS_SHARE * np.sin(2 * np.pi * breath)).astype(np.float32)
    usual = np.convolve(np.pad(intervals, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    ventricular = intervals < 0.83 * usual
    for block in range(0, len(beats_s), 4096):
        part = slice(block, block + 4096)
        index = first[part, None] + steps
        since = ((index - beats_s[part, None] * rate_hz) / rate_hz).astype(np.float32)
        stretch = np.sqrt(np.clip(intervals[part, None], 0.45, 1.5) / 0.9).astype(np.float32)
        wave = np.zeros_like(since)
        wide = ventricular[part, None]
        for name, (after_s, width_s, millivolt) in _WAVES.items():
            height, width = np.where(wide, _VENTRICULAR[name], _gain(subject, name)), np.where(wide, 2.4, 1.0)
            centre = np.float32(after_s) * (stretch if name == "T" else np.float32(1))
            if name in "QRS":
                width = np.where(wide, 2.4, subject.qrs_width)
                centre = np.float32(after_s * subject.qrs_width)
            squared = (-0.5 / (width_s * width) ** 2).astype(np.float32)
            wave += (millivolt * height).astype(np.float32) * np.exp(squared * (since - centre) ** 2)
        wave *= size[part, None]
        inside = (index >= 0) & (index < n)
        np.add.at(out, index[inside], wave[inside])
    return out


def _gain(subject: Subject, wave: str) -> float:
    return {"P": subject.p_wave, "T": subject.t_wave}.get(wave, 1.0)


def _add(bpm: np.ndarray, t: np.ndarray, start_s: float, height: float, *, rise_s: float, fall_s: float) -> None:
    """Add a rise and fall of the heart rate from `start_s` on."""
    first = max(0, int(start_s * _STATE_RATE_HZ))
    stop = min(len(t), first + int((rise_s + 4 * fall_s) * _STATE_RATE_HZ))
    since = t[first:stop] - start_s
    bpm[first:stop] += height * np.minimum(since / rise_s, np.exp(-(since - rise_s).clip(0) / fall_s)).clip(0)


def _boxcar(x: np.ndarray, seconds: int) -> np.ndarray:
    """Average over a window of one value a second, the ends held."""
    padded = np.pad(x, (seconds // 2, seconds - 1 - seconds // 2), mode="edge")
    return np.convolve(padded, np.full(seconds, 1 / seconds), mode="valid")
