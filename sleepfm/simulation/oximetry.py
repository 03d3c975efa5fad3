"""What the finger sensor shows: saturation, pulse rate and plethysmogram, each late by the blood's way from the heart."""

from __future__ import annotations

import numpy as np

from sleepfm.recording.scorings.scoring import Event
from sleepfm.simulation.subject import Subject
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import EventName, Stage

PLETH_RATE_HZ = 64
_PULSE_DELAY_S = 0.24
_FALL_S, _RISE_S = 3.0, 9.0
_SCORED_DROP = 3.0  # AASM: a desaturation is a fall of at least 3 %


def saturation(seed: np.random.SeedSequence, subject: Subject, night: Timeline) -> tuple[np.ndarray, tuple[Event, ...]]:
    """Draw SpO2 and score its falls.

    Each respiratory event lowers saturation from `lag_s` after its start until `lag_s` after its end, then it recovers. Dips that
    follow each other closely add up.

    Returns
    -------
    tuple
        (duration,) float32, whole % once a second as an oximeter gives it, and the desaturations of 3 % or more, with the columns
        `Desaturation` and `NadirSpO2` as a reader finds them in the signal.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(night.duration_s, dtype=np.float64)
    knots = np.arange(0, night.duration_s + 600, 300.0)
    level = subject.spo2 + np.interp(t, knots, rng.normal(0, 0.35, len(knots))) - 0.5 * (night.stage_t > 0)
    in_rem = (night.stage_t == Stage.REM).astype(np.float64)
    level -= subject.rem_sag * np.convolve(in_rem, np.full(90, 1 / 90), mode="full")[: night.duration_s]
    for waves in night.periodic_breathing:
        within = (t > waves.start_s + 25) & (t < waves.stop_s + 25)
        level -= within * 0.8 * np.sin(2 * np.pi * (t - waves.start_s - 20) / waves.period_s)
    for event in night.breath_events:
        start, nadir = event.start_s + event.lag_s, event.stop_s + event.lag_s
        falling = ((t - start) / (nadir - start)).clip(0, 1)
        recovering = np.exp(-(((t - nadir - 2).clip(0) / _RISE_S) ** 1.5))
        level -= event.dip * np.where(t < nadir, (1 - np.cos(np.pi * falling)) / 2, recovering)
    spo2_t = np.round(np.clip(level, 50, 100))

    return spo2_t.astype(np.float32), _scored_falls(night, spo2_t)


def pulse_rate(night: Timeline, beats_s: np.ndarray) -> np.ndarray:
    """Return the pulse rate in bpm, (duration,) float32, averaged over some beats and rounded as an oximeter does."""
    if len(beats_s) < 3:
        return np.zeros(night.duration_s, dtype=np.float32)
    rate = np.convolve(60 / np.diff(beats_s), np.full(5, 0.2), mode="same")
    rate[:2], rate[-2:] = 60 / np.diff(beats_s[:3]), 60 / np.diff(beats_s[-3:])
    return np.round(np.interp(np.arange(night.duration_s) - 3.0, beats_s[1:], rate)).astype(np.float32)


def plethysmogram(seed: np.random.SeedSequence, subject: Subject, night: Timeline, beats_s: np.ndarray) -> np.ndarray:
    """Draw the pulse wave, (duration * 64,) float32 in arbitrary units: smaller after arousals and sighs (vessels narrow)."""
    rng = np.random.default_rng(seed)
    n = night.duration_s * PLETH_RATE_HZ
    t = np.arange(n) / PLETH_RATE_HZ
    if len(beats_s) < 2:
        return np.zeros(n, dtype=np.float32)
    pulses = beats_s + _PULSE_DELAY_S
    k = np.clip(np.searchsorted(pulses, t, side="right") - 1, 0, len(pulses) - 2)
    cycle = np.clip((t - pulses[k]) / (pulses[k + 1] - pulses[k]), 0, 1)
    steps = np.linspace(0, 1, 512)
    wave = steps**1.1 * np.exp(-8.5 * steps) * 12 + 0.32 * subject.pulse_notch * np.exp(-0.5 * ((steps - 0.46) / 0.07) ** 2) * (
        1 - steps
    )
    wave -= wave[0] + (wave[-1] - wave[0]) * steps
    knots = np.arange(0, night.duration_s + 120, 45.0)
    size = np.exp(np.interp(np.arange(night.duration_s), knots, rng.normal(0, 0.15, len(knots))))
    narrowing = [(a.start_s, 0.4) for a in night.arousals] + [(at_s, 0.4) for at_s in night.sighs_s]
    narrowing += [(leg.start_s, 0.25) for leg in night.leg_movements] + [(at_s, 0.15) for at_s in night.k_complexes_s]
    for start_s, share in narrowing:
        first = int(start_s) + 2
        rest = min(20, night.duration_s - first)
        size[first : first + rest] *= 1 - share * np.exp(-np.arange(max(rest, 0)) / 7)
    out = 2.2 * wave[(cycle * 511).astype(np.int64)] * np.interp(t, np.arange(night.duration_s), size)
    return (out + 0.01 * rng.standard_normal(n)).astype(np.float32)


def _scored_falls(night: Timeline, spo2_t: np.ndarray) -> tuple[Event, ...]:
    """Find the fall of each respiratory event: from the last second at the level before it to two thirds recovered."""
    found: list[Event] = []
    for event in night.breath_events:
        first, last = int(event.start_s + event.lag_s), int(event.stop_s + event.lag_s + 2 * _RISE_S)
        if found:
            first = max(first, int(found[-1].stop_s))
        within = spo2_t[first:last]
        if len(within) < 2:
            continue
        low = first + int(np.argmin(within))
        before, nadir = float(within[: low - first + 1].max()), float(spo2_t[low])
        if before - nadir < _SCORED_DROP:
            continue
        start = first + int(np.flatnonzero(spo2_t[first:low] == before)[-1])
        back = np.flatnonzero(spo2_t[low:last] >= nadir + 2 / 3 * (before - nadir))
        stop = low + int(back[0]) if len(back) else last
        extra: dict[str, float | str] = {"Desaturation": before - nadir, "NadirSpO2": nadir}
        found.append(Event(float(start), float(stop), EventName.DESATURATION, extra=extra))
    return tuple(found)
