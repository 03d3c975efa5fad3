"""The single waves a scorer looks for: spindles, K-complexes, slow waves, vertex waves, sawtooth waves, alpha bursts.

Shapes are in µV with negative downwards, sampled at `rate_hz`, scaled to what stands in the leads of largest amplitude.
"""

from __future__ import annotations

import numpy as np


def spindle(rng: np.random.Generator, frequency_hz: float, amplitude: float, rate_hz: int) -> np.ndarray:
    """Draw a spindle: 0.5 to 1.8 s, waxing and waning, slowing a little (AASM manual: 11 to 16 Hz, at least 0.5 s)."""
    length = float(np.clip(rng.lognormal(np.log(0.95), 0.3), 0.55, 1.8))
    t = np.arange(int(length * rate_hz), dtype=np.float32) / rate_hz
    rise = rng.uniform(0.35, 0.6)
    envelope = np.where(
        t < rise * length, np.sin(np.pi / 2 * t / (rise * length)), np.cos(np.pi / 2 * (t / length - rise) / (1 - rise))
    )
    slowing = rng.uniform(0, 0.8)
    phase = 2 * np.pi * (frequency_hz * t - slowing * t**2 / (2 * length)) + rng.uniform(0, 2 * np.pi)
    return (amplitude * envelope**1.5 * np.sin(phase)).astype(np.float32)


def k_complex(rng: np.random.Generator, amplitude: float, rate_hz: int) -> np.ndarray:
    """Draw a K-complex: a sharp negative wave, then a slower positive one; more than 0.5 s in all (AASM manual)."""
    t = np.arange(int(1.6 * rate_hz), dtype=np.float32) / rate_hz
    sharp, slow = rng.uniform(0.07, 0.1), rng.uniform(0.15, 0.22)
    trough = rng.uniform(0.4, 0.5)
    crest = trough + rng.uniform(0.36, 0.48)
    early = 0.2 * np.exp(-0.5 * ((t - trough + 0.2) / 0.06) ** 2)
    return (
        amplitude
        * (
            early
            - np.exp(-0.5 * ((t - trough) / sharp) ** 2)
            + rng.uniform(0.5, 0.75) * np.exp(-0.5 * ((t - crest) / slow) ** 2)
            - 0.15 * np.exp(-0.5 * ((t - crest - 0.45) / 0.16) ** 2)
        )
    ).astype(np.float32)


def slow_wave(rng: np.random.Generator, amplitude: float, rate_hz: int) -> np.ndarray:
    """Draw one slow wave of 0.6 to 1.4 Hz: a narrow negative half, a broader positive one; `amplitude` is peak to peak."""
    period = float(np.clip(rng.normal(1.05, 0.2), 0.65, 1.7))
    negative = period * rng.uniform(0.38, 0.48)
    n_neg, n_pos = int(negative * rate_hz), int((period - negative) * rate_hz)
    share = rng.uniform(0.52, 0.62)
    down = -share * np.sin(np.pi * np.arange(n_neg) / n_neg) ** rng.uniform(1.0, 1.5)
    up = (1 - share) * np.sin(np.pi * np.arange(n_pos) / n_pos) ** rng.uniform(1.0, 1.4)
    return (amplitude * np.concatenate([down, up])).astype(np.float32)


def vertex_wave(rng: np.random.Generator, amplitude: float, rate_hz: int) -> np.ndarray:
    """Draw a vertex sharp wave: negative, under 0.5 s, over the centre."""
    t = np.arange(int(0.7 * rate_hz), dtype=np.float32) / rate_hz
    width = rng.uniform(0.045, 0.07)
    negative = np.exp(-0.5 * ((t - 0.28) / width) ** 2)
    positive = 0.35 * np.exp(-0.5 * ((t - 0.28 - 2.8 * width) / (1.6 * width)) ** 2)
    return (amplitude * (positive - negative)).astype(np.float32)


def sawtooth_waves(rng: np.random.Generator, amplitude: float, rate_hz: int) -> np.ndarray:
    """Draw a train of triangular waves of 2 to 5 Hz, steeper on one side, as they come before rapid eye movements."""
    frequency, length = rng.uniform(2.2, 4.2), rng.uniform(1.5, 4.5)
    t = np.arange(int(length * rate_hz), dtype=np.float32) / rate_hz
    phase = frequency * t + 0.08 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    cycle = phase % 1
    steep = 0.3
    wave = np.where(cycle < steep, cycle / steep, (1 - cycle) / (1 - steep)) * 2 - 1
    return (amplitude * wave * np.sin(np.pi * t / length)).astype(np.float32)


def rhythm_burst(rng: np.random.Generator, frequency_hz: float, amplitude: float, length_s: float, rate_hz: int) -> np.ndarray:
    """Draw a stretch of a rhythm with wandering frequency and amplitude, rising within a third of a second."""
    n = max(4, int(length_s * rate_hz))
    t = np.arange(n, dtype=np.float32) / rate_hz
    knots = np.arange(0, length_s + 1, 0.25)
    wander = np.interp(t, knots, np.cumsum(rng.normal(0, 0.25, len(knots))))
    swell = np.interp(t, knots, np.abs(rng.normal(0.9, 0.35, len(knots))))
    edge = np.minimum(1, np.minimum(t, t[-1] - t) / 0.35)
    return (amplitude * edge * swell * np.sin(2 * np.pi * frequency_hz * t + wander)).astype(np.float32)
