"""Eye movements, chin tone and leg muscles of a night."""

from __future__ import annotations

import numpy as np

from sleepfm.simulation.breath_course import BREATH_RATE_HZ
from sleepfm.simulation.happenings import Stretch
from sleepfm.simulation.noise import band, correlated_noise, frame_frequencies, frame_times, wander
from sleepfm.simulation.subject import Subject
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import Stage

_CHIN_UV = {Stage.WAKE: 14.0, Stage.N1: 8.0, Stage.N2: 5.5, Stage.N3: 4.5, Stage.REM: 2.0}
_LEG_UV = {Stage.WAKE: 5.0, Stage.N1: 3.2, Stage.N2: 2.6, Stage.N3: 2.4, Stage.REM: 1.8}
_LID_POWER = {Stage.WAKE: 6.0, Stage.N1: 2.0, Stage.N2: 1.0, Stage.N3: 1.0, Stage.REM: 1.0}  # µV², muscle around the eye
_TONE_IN_REM_UV = 6.5  # where the chin does not relax in REM
_BREATH_IN_CHIN = 0.15  # the tongue's muscle works with each inspiration
_EYE_TAU_S = 0.53  # a step fades like this behind the amplifier's 0.3-Hz high-pass
_EEG_IN_EOG = 0.55
_BLINK_IN_FRONTAL_EEG = 0.14


def eyes(seed: np.random.SeedSequence, night: Timeline, eeg_ct: np.ndarray, *, rate_hz: int, threads: int) -> np.ndarray:
    """Draw E1-M2 and E2-M2.

    Eye movements turn the two leads in opposite directions (E1 sits below, E2 above the eyes' outer corners: AASM derivation);
    the brain's waves move both alike. Blinks are added to the frontal EEG too.

    Parameters
    ----------
    eeg_ct
        (6, samples) EEG in µV, frontal leads first; they are changed in place.

    Returns
    -------
    np.ndarray
        (2, samples) float32 in µV.
    """
    noise_seed, movement_seed = seed.spawn(2)
    n_samples = eeg_ct.shape[1]
    horizontal, vertical = _gaze(np.random.default_rng(movement_seed), night, n_samples, rate_hz)
    freqs = frame_frequencies(rate_hz)
    shapes_kf = np.stack([band(freqs, 0.3, 60, exponent=1.6), band(freqs, 20, 95)])
    muscle = night.by_stage(_LID_POWER)[_seconds_of_frames(night)]
    powers = np.stack([np.full(len(muscle), 22.0), muscle], axis=1)
    eog_ct = correlated_noise(
        noise_seed,
        np.stack([powers, powers]),
        shapes_kf,
        np.array([[1, 0.3], [0.3, 1]]),
        n_samples=n_samples,
        rate_hz=rate_hz,
        threads=threads,
    )
    eog_ct += np.float32(_EEG_IN_EOG) * eeg_ct[:2]
    eog_ct[0] += horizontal - vertical
    eog_ct[1] -= horizontal - np.float32(0.8) * vertical
    eeg_ct[:2] += np.float32(_BLINK_IN_FRONTAL_EEG) * vertical
    return eog_ct


def muscles(seed: np.random.SeedSequence, subject: Subject, night: Timeline, *, rate_hz: int, threads: int) -> np.ndarray:
    """Draw chin, left and right leg EMG.

    Returns
    -------
    np.ndarray
        (3, samples) float32 in µV: tone by stage (lowest in REM), bursts with arousals and movements, twitches in REM.
    """
    noise_seed, burst_seed = seed.spawn(2)
    rng = np.random.default_rng(burst_seed)
    freqs = frame_frequencies(rate_hz)
    at = _seconds_of_frames(night)
    tone = night.by_stage(_CHIN_UV) * np.where(np.isin(night.stage_t, (Stage.N1, Stage.N2, Stage.N3)), subject.nrem_tone, 1.0)
    tone = np.where(night.rem_tone_t, _TONE_IN_REM_UV, tone)
    chin = (tone[at] * subject.chin_gain * np.exp(0.18 * wander(rng, len(at), 30))) ** 2
    leg = night.by_stage(_LEG_UV)[at] ** 2
    powers = np.stack([chin, leg, leg])[:, :, None]
    n_samples = night.duration_s * rate_hz
    emg_ct = correlated_noise(
        noise_seed,
        powers,
        band(freqs, 12, 90, exponent=0.4)[None],
        np.eye(3),
        n_samples=n_samples,
        rate_hz=rate_hz,
        threads=threads,
    )
    coarse_t = np.arange(len(night.breath_phase_t), dtype=np.float32) / BREATH_RATE_HZ
    breath_t = np.sin(2 * np.pi * night.breath_phase_t).astype(np.float32)
    emg_ct[0] *= 1 + _BREATH_IN_CHIN * np.interp(np.arange(n_samples) / rate_hz, coarse_t, breath_t).astype(np.float32)
    pool = rng.standard_normal(rate_hz * 40, dtype=np.float32)
    pool = np.diff(pool, append=0) / np.float32(np.sqrt(2))  # white noise, its slow half taken away

    def burst(row: int, stretch: Stretch, amplitude: float) -> None:
        first, stop = int(stretch.start_s * rate_hz), min(int(stretch.stop_s * rate_hz), n_samples)
        n = min(stop - first, len(pool) - 1)
        if n < 8:
            return
        offset = int(rng.integers(0, len(pool) - n))
        t = np.linspace(0, 1, n, dtype=np.float32)
        # a muscle never holds still: its force wavers within the burst
        envelope = np.minimum(1, np.minimum(t, 1 - t) * n / (0.15 * rate_hz)) * (
            0.7 + 0.3 * np.sin(2 * np.pi * (t * rng.uniform(1, 4) + rng.random()))
        )
        emg_ct[row, first : first + n] += np.float32(amplitude) * envelope * pool[offset : offset + n]

    gain = subject.chin_gain
    for arousal in night.arousals:
        length = arousal.stop_s - arousal.start_s
        burst(0, Stretch(arousal.start_s, arousal.start_s + max(1.2, length * rng.uniform(0.5, 1))), gain * rng.uniform(12, 30))
    for at_s in night.sighs_s:
        burst(0, Stretch(at_s, at_s + 1.6), gain * rng.uniform(8, 16))
    for movement in night.body_movements:
        burst(0, movement, gain * rng.uniform(30, 90))
        for row in (1, 2):
            burst(row, movement, rng.uniform(30, 120))
    for leg_movement in night.leg_movements:
        burst(1 if leg_movement.side == "L" else 2, leg_movement, rng.uniform(30, 90))
        if rng.random() < 0.25:
            burst(2 if leg_movement.side == "L" else 1, leg_movement, rng.uniform(15, 40))
    for second in np.flatnonzero((night.stage_t == Stage.REM) & (rng.random(night.duration_s) < subject.twitch_gain * 2 / 60)):
        start = second + rng.random()
        burst(int(rng.integers(0, 3)), Stretch(start, start + rng.uniform(0.1, 0.4)), rng.uniform(8, 22))
    for second in np.flatnonzero((night.stage_t == Stage.WAKE) & (rng.random(night.duration_s) < 3 / 60)):
        start = second + rng.random()
        burst(0, Stretch(start, start + rng.uniform(0.4, 2)), gain * rng.uniform(15, 45))
    return emg_ct


def _seconds_of_frames(night: Timeline) -> np.ndarray:
    return np.minimum(frame_times(night.duration_s).astype(np.int64), night.duration_s - 1)


def _gaze(rng: np.random.Generator, night: Timeline, n_samples: int, rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what horizontal and vertical eye movements add to E1, (samples,) float32 in µV each."""
    horizontal, vertical = np.zeros(n_samples, dtype=np.float32), np.zeros(n_samples, dtype=np.float32)
    t = np.arange(int(2.2 * rate_hz), dtype=np.float32) / rate_hz
    saccade = (1 - np.exp(-t / 0.02)) * np.exp(-t / _EYE_TAU_S)
    blink_t = np.arange(int(0.9 * rate_hz), dtype=np.float32) / rate_hz
    blink = np.exp(-0.5 * ((blink_t - 0.16) / 0.06) ** 2) - 0.22 * np.exp(-0.5 * ((blink_t - 0.42) / 0.13) ** 2)

    def add(target: np.ndarray, wave: np.ndarray, at_s: float) -> None:
        first = int(at_s * rate_hz)
        n = min(len(wave), n_samples - first)
        if n > 0:
            target[first : first + n] += wave[:n]

    def look(at_s: float, size: float) -> None:
        angle = rng.normal(0, 0.5)
        add(horizontal, np.float32(size * np.cos(angle)) * saccade, at_s)
        add(vertical, np.float32(size * np.sin(angle)) * saccade, at_s)

    seconds = np.arange(night.duration_s)
    wake = night.stage_t == Stage.WAKE
    chance = rng.random((4, night.duration_s))
    for second in seconds[wake & night.eyes_open_t & (chance[0] < 0.3)]:
        add(vertical, np.float32(rng.uniform(80, 200)) * blink, second + rng.random())
    for second in seconds[wake & night.eyes_open_t & (chance[1] < 0.55)]:
        look(second + rng.random(), rng.normal(0, 45))
    for second in seconds[wake & ~night.eyes_open_t & (chance[1] < 0.06)]:
        look(second + rng.random(), rng.normal(0, 30))

    # Slow rolling eyes: drowsy wake and N1, 0.15 to 0.4 Hz.
    drowsy = (night.stage_t == Stage.N1) | (wake & ~night.eyes_open_t & (chance[2] < 0.02))
    for first, stop in _runs(drowsy):
        length = max(stop - first, 3)
        phase_t = np.arange(length * rate_hz, dtype=np.float32) / rate_hz
        knots = np.arange(0, length + 4, 3.0)
        speed = np.interp(phase_t, knots, rng.uniform(0.15, 0.42, len(knots)))
        size = np.interp(phase_t, knots, np.abs(rng.normal(32, 20, len(knots)))) * np.minimum(
            1, np.minimum(phase_t, length - phase_t)
        )
        add(
            horizontal,
            (size * np.sin(2 * np.pi * np.cumsum(speed) / rate_hz + rng.uniform(0, 6))).astype(np.float32),
            float(first),
        )

    # Rapid eye movements come in bursts, more of them late in the night.
    late = seconds / max(1, night.duration_s)
    for second in seconds[(night.stage_t == Stage.REM) & (chance[3] < (4.0 + 4.5 * late) / 60)]:
        at = second + rng.random()
        for _ in range(int(rng.integers(1, 8))):
            look(at, float(np.clip(rng.lognormal(np.log(70), 0.45), 25, 200)) * rng.choice([-1.0, 1.0]))
            at += rng.uniform(0.25, 1.1)
    return horizontal, vertical


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return (first, stop) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
