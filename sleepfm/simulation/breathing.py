"""Breathing: effort, flow and snoring, with apneas and hypopneas where the timeline has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.simulation.breath_course import BREATH_RATE_HZ
from sleepfm.simulation.happenings import BreathEvent
from sleepfm.simulation.noise import wander
from sleepfm.simulation.subject import Subject
from sleepfm.simulation.timeline import Timeline
from sleepfm.vocabulary import EventName, Stage

RATE_HZ = BREATH_RATE_HZ
SNORE_RATE_HZ = 128
_DEPTH_SPREAD = {Stage.WAKE: 0.28, Stage.N1: 0.14, Stage.N2: 0.08, Stage.N3: 0.05, Stage.REM: 0.22}
_HEART_IN_BELTS, _HEART_IN_FLOW = 0.022, 0.03  # each beat moves the chest and the air in it (cardiogenic oscillation)
_REST = 0.4  # the belts' zero lies above the resting position
_STEPS = 1024


@dataclass(frozen=True)
class Breathing:
    """Breathing signals at 32 Hz, float32, in arbitrary units unless said.

    Attributes
    ----------
    thorax_t, abdomen_t
        Effort belts: up is inspiration.
    nasal_pressure_t
        Nasal cannula: roughly the flow squared with its sign kept; flattened where the airway limits the flow.
    thermistor_t
        Oronasal temperature: flow, smoothed.
    snore_t
        At `SNORE_RATE_HZ`: microphone.
    """

    thorax_t: np.ndarray
    abdomen_t: np.ndarray
    nasal_pressure_t: np.ndarray
    thermistor_t: np.ndarray
    snore_t: np.ndarray


def breathing(
    seed: np.random.SeedSequence, subject: Subject, night: Timeline, beats_s: np.ndarray, *, with_snore: bool = True
) -> Breathing:
    """Draw the breathing of a night; without snoring `snore_t` is empty."""
    rng = np.random.default_rng(seed)
    n = night.duration_s * RATE_HZ
    t = np.arange(n) / RATE_HZ
    depth = np.clip(1 + wander(rng, night.duration_s, 5.0) * _smoothed(night.by_stage(_DEPTH_SPREAD), 10, rate_hz=1), 0.55, 2.2)
    depth_t = np.interp(t, np.arange(night.duration_s), depth)

    depth_t *= _sighs_and_waves(night, n)

    flow_gain_t, effort_gain_t, paradox_t, limited_t = _event_gains(night.breath_events, n)
    snoring_t = np.interp(t, np.arange(night.duration_s), night.snoring_t.astype(np.float64))
    limited_t = np.maximum(limited_t, 0.5 * snoring_t)
    flow_shape, volume_shape = _breath_shapes(subject.inspiration)
    cycle_t = night.breath_phase_t % 1
    flow_t = flow_shape[(cycle_t * _STEPS).astype(np.int64)]
    volume_t = volume_shape[(cycle_t * _STEPS).astype(np.int64)]
    lagging_t = volume_shape[((cycle_t - 0.03) % 1 * _STEPS).astype(np.int64)]

    # A narrow airway cuts the top off the inspiration: flattening.
    flow_t = np.where(flow_t > 0, np.minimum(flow_t, 1 - 0.45 * limited_t), flow_t) * depth_t * flow_gain_t
    pressure_t = np.sign(flow_t) * np.abs(flow_t) ** 1.7 + rng.normal(0, 0.025, n)
    thermistor_t = _smoothed(flow_t, 0.45) + rng.normal(0, 0.015, n)
    thorax_t = volume_t * (1 - 1.55 * paradox_t) * depth_t * effort_gain_t + 0.5 * paradox_t - _REST + rng.normal(0, 0.012, n)
    abdomen_t = lagging_t * depth_t * effort_gain_t - _REST + rng.normal(0, 0.012, n)
    heart_t = np.sin(2 * np.pi * np.interp(t, beats_s, np.arange(len(beats_s)))) if len(beats_s) else np.zeros(n)
    pressure_t += _HEART_IN_FLOW * heart_t
    thorax_t += _HEART_IN_BELTS * heart_t
    abdomen_t += 0.7 * _HEART_IN_BELTS * heart_t
    posture = np.interp(
        t, np.arange(night.duration_s), np.cumsum(np.abs(np.diff(night.position_t, prepend=night.position_t[0])) > 0)
    )
    for movement in night.body_movements:
        a, b = int(movement.start_s * RATE_HZ), int(movement.stop_s * RATE_HZ)
        for effort_t in (thorax_t, abdomen_t, pressure_t):
            effort_t[a:b] += 1.2 * np.hanning(b - a) * _smoothed(rng.normal(0, 3, max(b - a, 0)), 0.25)
    belts = [1 + 0.12 * np.sin(1.7 * posture + k) for k in (0.0, 2.0)]  # a turn in bed shifts the belts
    snore_t = np.empty(0, dtype=np.float32)
    if with_snore:
        snore_t = _snore(rng, night.breath_phase_t, snoring_t * flow_gain_t, subject.inspiration, night.duration_s)
    return Breathing(
        thorax_t=(thorax_t * belts[0]).astype(np.float32),
        abdomen_t=(abdomen_t * belts[1]).astype(np.float32),
        nasal_pressure_t=pressure_t.astype(np.float32),
        thermistor_t=thermistor_t.astype(np.float32),
        snore_t=snore_t,
    )


def _smoothed(x: np.ndarray, seconds: float, *, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Run a Hann window of about this width over x, the ends held."""
    half = max(1, int(seconds * rate_hz))
    kernel = np.hanning(2 * half + 1)[1:-1] if half > 1 else np.ones(1)
    padded = np.pad(x, len(kernel) // 2, mode="edge") if len(x) else np.zeros(len(kernel))
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")[: len(x)]


def _breath_shapes(inspiration: float) -> tuple[np.ndarray, np.ndarray]:
    """Return flow and volume over one breath, (1024,) each: peak inspiratory flow 1; volume from 0 at rest to 1."""
    phase = np.arange(_STEPS) / _STEPS
    out = (phase - inspiration) / (0.93 - inspiration)
    flow = np.where(phase < inspiration, np.sin(np.pi * np.clip(phase / inspiration, 0, 1)) ** 0.8, 0.0)
    expiration = np.where((out > 0) & (out < 1), np.sin(np.pi * np.clip(out, 0, 1) ** 0.65), 0.0)
    flow = flow - expiration * flow.sum() / expiration.sum()
    volume = np.cumsum(flow)
    return flow, (volume - volume.min()) / (volume.max() - volume.min())


def _sighs_and_waves(night: Timeline, n: int) -> np.ndarray:
    """Return the gain of depth, (n,): sighs are breaths of twice the size with two small ones behind; periodic breathing."""
    gain = np.ones(n)
    for at_s in night.sighs_s:
        first = int(at_s * RATE_HZ)
        breath = night.breath_phase_t[first : first + 20 * RATE_HZ] - round(night.breath_phase_t[min(first, n - 1)])
        gain[first : first + 20 * RATE_HZ] *= np.select([breath < 1, breath < 3], [2.0, 0.7], 1.0)
    for waves in night.periodic_breathing:
        a, b = int(waves.start_s * RATE_HZ), int(waves.stop_s * RATE_HZ)
        swing = np.sin(2 * np.pi * np.arange(b - a) / RATE_HZ / waves.period_s)
        gain[a:b] *= 1 + 0.5 * swing * np.hanning(b - a) ** 0.3
    return _smoothed(gain, 0.3)


def _event_gains(events: tuple[BreathEvent, ...], n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return gains of flow and effort, the degree of paradoxical effort and of flow limitation, (n,) each at 32 Hz."""
    flow, effort = np.ones(n), np.ones(n)
    paradox, limited = np.zeros(n), np.zeros(n)
    for event in events:
        a, b = int(event.start_s * RATE_HZ), min(int(event.stop_s * RATE_HZ), n)
        ramp = np.linspace(0, 1, b - a)
        flow[a:b] = event.flow
        if event.name is EventName.HYPOPNEA:
            effort[a:b] = 0.75 + 0.35 * ramp
            paradox[a:b] = 0.28
            limited[a:b] = 0.9
        else:
            turn = a + int((b - a) * event.effort_from)
            effort[a:turn] = 0.02
            effort[turn:b] = np.linspace(0.45, 1.25, b - turn)
            paradox[turn:b] = 1.0
        # Two or three big breaths follow.
        rest = min(n - b, int(11 * RATE_HZ))
        recovery = 0.75 * np.exp(-np.arange(rest) / (5 * RATE_HZ))
        flow[b : b + rest] += recovery
        effort[b : b + rest] += recovery
    return _smoothed(flow, 0.8), _smoothed(effort, 0.9), _smoothed(paradox, 1.2), _smoothed(limited, 1.0)


def _snore(rng: np.random.Generator, phase_t: np.ndarray, level_t: np.ndarray, inspiration: float, duration_s: int) -> np.ndarray:
    """Return the microphone: a quiet room, and a rough 45-Hz vibration in each inspiration while snoring."""
    n = duration_s * SNORE_RATE_HZ
    inward = np.sin(np.pi * np.minimum(phase_t % 1 / inspiration, 1)) ** 2
    coarse = np.append(inward * level_t, 0).astype(np.float32)  # at RATE_HZ
    steps = SNORE_RATE_HZ // RATE_HZ
    ramp = (np.arange(steps, dtype=np.float32) / steps)[None]
    loud = (coarse[:-1, None] * (1 - ramp) + coarse[1:, None] * ramp).reshape(-1)
    ten_s = np.arange(10 * SNORE_RATE_HZ) / SNORE_RATE_HZ
    tone = np.resize(np.sin(2 * np.pi * 43 * ten_s + 1.5 * np.sin(2 * np.pi * 4.1 * ten_s)).astype(np.float32), n)
    rough = rng.standard_normal(n, dtype=np.float32)
    room = rng.standard_normal(n, dtype=np.float32)
    return np.float32(0.015) * room + np.float32(0.5) * loud * tone * (np.float32(0.6) + np.float32(0.4) * rough)
