"""Healthy signals of each kind, and what quality says of a file that holds one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from edf_bytes import File, Signal, tal

from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityReport, assess

RATE = 128
EPOCHS = 6
T = np.arange(30 * RATE) / RATE


def wave(kind: str, epochs: int = EPOCHS, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Return (epochs, samples) of a healthy signal in the unit of its kind."""
    rng = np.random.default_rng(seed)
    n = epochs * 30 * rate
    t = np.arange(n) / rate
    pink = np.cumsum(rng.standard_normal(n))
    pink -= np.convolve(pink, np.ones(rate) / rate, mode="same")
    healthy = {
        "EEG": 25 * pink / max(pink.std(), 1e-9) + rng.standard_normal(n),
        "EMG": 8 * rng.standard_normal(n),
        "ECG": np.exp(-(((t % 0.9) - 0.3) ** 2) / 0.0004) + 0.02 * rng.standard_normal(n),
        "RESP": np.sin(2 * np.pi * 0.25 * t) + 0.02 * rng.standard_normal(n),
        "SPO2": 96 + np.round(1.4 * np.sin(2 * np.pi * t / 70)),
    }[kind]
    return healthy.reshape(epochs, 30 * rate)


def recorded(
    tmp_path: Path, label: str, data: np.ndarray, *, unit: str = "uV", top: float = 1000.0, onsets: list[float] | None = None
) -> QualityReport:
    digital = np.clip(np.round(data / top * 32767), -32768, 32767).astype(int)
    signals = [Signal(label, digital, unit=unit, physical=(-top * 32768 / 32767, top))]
    if onsets is not None:
        signals.append(Signal("EDF Annotations", [tal(onset) for onset in onsets], physical=(-1, 1)))
    path = tmp_path / "night.edf"
    path.write_bytes(File(signals, record_s=30, reserved="" if onsets is None else "EDF+D").bytes())
    with open_recording(path) as recording:
        return assess(recording)
