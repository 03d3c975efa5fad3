"""The EEG of a night: a background whose spectrum follows the sleeper, and the single waves of each stage on top.

Powers by stage were set so that the median band powers, entropies and amplitudes of 30-s epochs lie near those of the shared real
night (St. Vincent's / UCD Sleep Apnea Database, PhysioNet, subject 018).
"""

from __future__ import annotations

import numpy as np

from sleepfm.simulation import graphoelements as shapes
from sleepfm.simulation.noise import band, correlated_noise, frame_frequencies, frame_times, peak, wander
from sleepfm.simulation.subject import Subject
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import SCORED_STAGES, Stage

EEG_LABELS = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1")
_FRONTAL, _CENTRAL, _OCCIPITAL = [0, 1], [2, 3], [4, 5]

_COMPONENTS = ("pink", "slow", "delta", "theta", "alpha", "sigma", "beta", "muscle", "waking rhythm")
# Power of each component over the centre in µV².
_POWER: dict[Stage, tuple[float, ...]] = {
    Stage.WAKE: (52.0, 3.0, 5.0, 6.0, 6.0, 4.0, 12.0, 4.0, 0.0),
    Stage.N1: (48.0, 4.0, 14.0, 19.0, 6.5, 3.2, 8.0, 1.2, 0.0),
    Stage.N2: (56.0, 14.0, 30.0, 18.0, 9.0, 4.5, 5.5, 0.6, 0.0),
    Stage.N3: (64.0, 60.0, 70.0, 24.0, 14.0, 5.5, 5.0, 0.5, 0.0),
    Stage.REM: (42.0, 4.0, 15.0, 18.0, 5.5, 2.8, 8.0, 0.4, 0.0),
}
_ALPHA_EYES_CLOSED = 70.0  # µV² over the occiput of the average person, relaxed and awake
# Gain in power of each component over frontal, central and occipital leads.
_REGION_GAIN = {
    "frontal": (1.0, 1.5, 1.25, 1.0, 0.8, 0.9, 1.0, 2.0, 0.3),
    "central": (1.0, 1.0, 1.0, 1.0, 0.8, 1.0, 0.9, 1.0, 0.45),
    "occipital": (0.9, 0.45, 0.6, 0.8, 1.1, 0.6, 0.9, 1.0, 1.0),
}
# Amplitude of the single waves over F3 F4 C3 C4 O1 O2.
_TOPOGRAPHY = {
    "spindle": np.array([0.75, 0.75, 1.0, 1.0, 0.35, 0.35]),
    "frontal spindle": np.array([1.0, 1.0, 0.75, 0.75, 0.25, 0.25]),
    "k-complex": np.array([1.0, 1.0, 0.85, 0.85, 0.4, 0.4]),
    "slow wave": np.array([1.0, 1.0, 0.85, 0.85, 0.45, 0.45]),
    "vertex": np.array([0.7, 0.7, 1.0, 1.0, 0.35, 0.35]),
    "sawtooth": np.array([0.75, 0.75, 1.0, 1.0, 0.4, 0.4]),
    "alpha burst": np.array([0.65, 0.65, 0.8, 0.8, 1.0, 1.0]),
    "beta burst": np.array([1.0, 1.0, 0.9, 0.9, 0.7, 0.7]),
}


def eeg(seed: np.random.SeedSequence, subject: Subject, night: Timeline, *, rate_hz: int, threads: int) -> np.ndarray:
    """Draw the six EEG derivations of a night.

    Returns
    -------
    np.ndarray
        (6, duration * rate_hz) float32 in µV, in the order of `EEG_LABELS`.
    """
    noise_seed, drift_seed, wave_seed = seed.spawn(3)
    powers_cmk = _powers(np.random.default_rng(drift_seed), subject, night)
    freqs = frame_frequencies(rate_hz)
    shapes_kf = np.stack([
        band(freqs, 0.3, 90, exponent=1.5),
        peak(freqs, 0.75, 0.22),
        peak(freqs, 1.9, 0.8),
        peak(freqs, 5.6, 1.3),
        peak(freqs, 9.3, 1.6),
        peak(freqs, 13.2, 1.5),
        band(freqs, 15, 32, exponent=0.7),
        band(freqs, 25, 95),
        peak(freqs, subject.alpha_hz, 0.45),
    ])  # fmt: skip
    x_ct = correlated_noise(
        noise_seed,
        powers_cmk,
        shapes_kf,
        _correlation(),
        n_samples=night.duration_s * rate_hz,
        rate_hz=rate_hz,
        threads=threads,
    )
    _add_waves(np.random.default_rng(wave_seed), x_ct, subject, night, rate_hz)
    x_ct *= np.float32(subject.eeg_gain)
    return x_ct


def _correlation() -> np.ndarray:
    """Return the correlation of the six leads: falls with distance, less across the midline than along a side."""
    row = np.array([0, 0, 1, 1, 2, 2])
    side = np.array([0, 1, 0, 1, 0, 1])
    steps = np.abs(row[:, None] - row)
    return np.asarray(0.8**steps * np.where(side[:, None] == side, 1.0, 0.82))


def _powers(rng: np.random.Generator, subject: Subject, night: Timeline) -> np.ndarray:
    """Return (6, frames, components) powers in µV² from the state of the sleeper at each frame."""
    at = np.minimum(frame_times(night.duration_s).astype(np.int64), night.duration_s - 1)
    stage_m, depth_m = night.stage_t[at], night.depth_t[at]
    power_mk = np.array([_POWER[stage] for stage in SCORED_STAGES])[stage_m]

    nrem = np.isin(stage_m, (Stage.N2, Stage.N3))
    slow = [_COMPONENTS.index("slow"), _COMPONENTS.index("delta")]
    within = np.where(stage_m == Stage.N3, 0.55 + 0.45 * depth_m, 0.6 + 2.2 * depth_m)
    power_mk[:, slow] *= (np.where(nrem, within, 1.0) * subject.delta_gain**2)[:, None]
    power_mk[:, _COMPONENTS.index("theta")] *= subject.theta_gain
    power_mk[:, _COMPONENTS.index("beta")] *= subject.beta_gain
    power_mk[:, _COMPONENTS.index("alpha")] *= np.where(nrem, subject.alpha_in_sleep, 1.0)
    power_mk[:, _COMPONENTS.index("sigma")] *= np.where(nrem, 1.2 - 0.5 * depth_m, 1.0)

    # A person's EEG breathes over minutes; each component a little for itself.
    for k in range(len(_COMPONENTS)):
        power_mk[:, k] *= np.exp(0.13 * wander(rng, len(at), 20))
    power_mk *= np.exp(rng.normal(0, 0.12, (len(at), 1)))

    relaxed = (stage_m == Stage.WAKE) & ~night.eyes_open_t[at]
    swell = np.clip(rng.lognormal(-0.1, 0.55, len(at)), 0.1, 2.6)
    power_mk[:, _COMPONENTS.index("waking rhythm")] = np.where(relaxed, _ALPHA_EYES_CLOSED * subject.alpha_gain * swell, 0.0)
    gains = [_REGION_GAIN[region] for region in ("frontal", "frontal", "central", "central", "occipital", "occipital")]
    return np.asarray(power_mk[None] * np.array(gains)[:, None, :])


def _add_waves(rng: np.random.Generator, x_ct: np.ndarray, subject: Subject, night: Timeline, rate_hz: int) -> None:
    """Add the single waves of each stage, each with its own size, place and small delay from front to back."""

    def put(kind: str, wave: np.ndarray, at_s: float, *, travel_s: float = 0.0) -> None:
        gains = _TOPOGRAPHY[kind] * rng.normal(1, 0.1, 6)
        gains[[0, 2, 4]] *= rng.normal(1, 0.12)
        for rows, delay in ((_FRONTAL, 0.0), (_CENTRAL, travel_s), (_OCCIPITAL, 2 * travel_s)):
            first = int((at_s + delay) * rate_hz)
            n = min(len(wave), x_ct.shape[1] - first)
            if first >= 0 and n > 0:
                x_ct[rows, first : first + n] += gains[rows, None].astype(np.float32) * wave[:n]

    stage_t, depth_t = night.stage_t, night.depth_t
    delta = subject.delta_gain

    # Slow waves come in trains; in N3 they fill more than 20 % of the time, in N2 less the farther N3 is.
    deep = np.isin(stage_t, (Stage.N2, Stage.N3))
    train_rate = np.where(stage_t == Stage.N3, 0.11 + 0.1 * depth_t, 0.14 * depth_t**1.3) * deep
    for second in np.flatnonzero(rng.random(len(stage_t)) < train_rate):
        t = second + rng.random()
        for _ in range(int(rng.integers(1, 6)) if stage_t[second] == Stage.N3 else int(rng.integers(1, 3))):
            amplitude = delta * float(np.clip(rng.lognormal(np.log(92), 0.28), 60, 220))
            wave = shapes.slow_wave(rng, amplitude, rate_hz)
            put("slow wave", wave, t, travel_s=0.03)
            t += len(wave) / rate_hz

    for one in night.spindles:
        wave = shapes.spindle(rng, one.frequency_hz, one.amplitude, rate_hz)
        put("frontal spindle" if one.frontal else "spindle", wave, one.start_s)

    for at_s in night.k_complexes_s:
        wave = shapes.k_complex(rng, delta * float(np.clip(rng.normal(105, 22), 65, 170)), rate_hz)
        put("k-complex", wave, at_s, travel_s=0.01)

    drowsy_s = _seconds_into_bout(stage_t)
    vertex_rate = np.where((stage_t == Stage.N1) & (drowsy_s > 25), 4.0, 0.0) / 60
    for second in np.flatnonzero(rng.random(len(stage_t)) < vertex_rate):
        put("vertex", shapes.vertex_wave(rng, float(rng.uniform(35, 70)), rate_hz), second + rng.random())

    for second in np.flatnonzero((stage_t == Stage.REM) & (rng.random(len(stage_t)) < 0.9 / 60)):
        put("sawtooth", shapes.sawtooth_waves(rng, float(rng.uniform(12, 24)), rate_hz), second + rng.random())

    for arousal in night.arousals:
        length = arousal.stop_s - arousal.start_s
        alpha = shapes.rhythm_burst(rng, subject.alpha_hz + rng.normal(0, 0.4), float(rng.uniform(14, 26)), length, rate_hz)
        beta = shapes.rhythm_burst(rng, float(rng.uniform(17, 24)), float(rng.uniform(5, 10)), length, rate_hz)
        put("alpha burst", alpha, arousal.start_s)
        put("beta burst", beta, arousal.start_s)


def _seconds_into_bout(stage_t: np.ndarray) -> np.ndarray:
    """Return for each second how long its stage has lasted."""
    index = np.arange(len(stage_t))
    first = np.where(np.concatenate([[True], np.diff(stage_t) != 0]), index, 0)
    return np.asarray(index - np.maximum.accumulate(first))
