"""Small recordings for tests, written by edfio."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import edfio
import numpy as np

DEFAULT_LABELS = ("C4-M1", "E1-M2", "Chin1-Chin2", "ECG", "Airflow")


def write_edf(
    path: Path, *, seconds: int = 60, labels: tuple[str, ...] = DEFAULT_LABELS, rate_hz: int = 128, seed: int = 0
) -> Path:
    """Write noise of about 20 µV under the given labels; an ECG is larger, breathing goes up and down."""
    generator = np.random.default_rng(seed)
    t = np.arange(seconds * rate_hz) / rate_hz
    signals = []
    for label in labels:
        x = generator.normal(0, 20, len(t))
        if "ECG" in label:
            x *= 15
        elif "flow" in label:
            x = 300 * np.sin(2 * np.pi * 0.25 * t) + 0.2 * x
        signals.append(
            edfio.EdfSignal(x.clip(-2000, 2000), rate_hz, label=label, physical_dimension="uV", physical_range=(-2000, 2000))
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = edfio.Recording(startdate=date(2020, 1, 2))
    edfio.Edf(signals, recording=recording, starttime=time(22, 30)).write(path)
    return path
