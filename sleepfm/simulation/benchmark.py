"""A night for timing: the size and mixed rates of a real PSG, with noise that compresses and rounds like physiology.

Nothing in it looks like sleep; `sleepfm simulate` makes the nights that do.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import signal

BENCHMARK_CHANNELS: tuple[tuple[str, str, int, float, float], ...] = (
    ("EEG F3-M2", "uV", 256, 500.0, 20.0),
    ("EEG F4-M1", "uV", 256, 500.0, 20.0),
    ("EEG C3-M2", "uV", 256, 500.0, 20.0),
    ("EEG C4-M1", "uV", 256, 500.0, 20.0),
    ("EEG O1-M2", "uV", 256, 500.0, 20.0),
    ("EEG O2-M1", "uV", 256, 500.0, 20.0),
    ("EOG E1-M2", "uV", 256, 500.0, 40.0),
    ("EOG E2-M2", "uV", 256, 500.0, 40.0),
    ("EMG Chin", "uV", 256, 500.0, 10.0),
    ("EMG LAT", "uV", 256, 500.0, 10.0),
    ("EMG RAT", "uV", 256, 500.0, 10.0),
    ("ECG II", "uV", 256, 3000.0, 300.0),
    ("Snore", "uV", 256, 500.0, 15.0),
    ("Thorax", "uV", 64, 2000.0, 400.0),
    ("Abdomen", "uV", 64, 2000.0, 400.0),
    ("SpO2", "%", 4, 100.0, 1.5),
)
"""Label, unit, rate in Hz, physical maximum (the minimum is its negative, 0 for %), and standard deviation."""

_BLOCK_RECORDS = 1800


def make_benchmark_night(path: Path, hours: float = 8, seed: int = 0) -> Path:
    """Write a plain EDF of 16 channels at 256, 64 and 4 Hz in 1-s records (8 h: 199 MB) and return its path.

    Each channel is a first-order autoregressive noise; the file says SIMULATED. The same seed gives the same bytes.
    """
    records = round(hours * 3600)
    rng = np.random.default_rng(seed)
    states: list[np.ndarray] = [np.zeros(1) for _ in BENCHMARK_CHANNELS]
    with path.open("wb") as file:
        file.write(_header(records))
        for first in range(0, records, _BLOCK_RECORDS):
            count = min(_BLOCK_RECORDS, records - first)
            block = np.empty((count, sum(rate for _, _, rate, _, _ in BENCHMARK_CHANNELS)), "<i2")
            column = 0
            for number, (_, unit, rate, top, deviation) in enumerate(BENCHMARK_CHANNELS):
                memory = 0.999 if unit == "%" else 0.95
                white = rng.standard_normal(count * rate, dtype=np.float32)
                coloured, states[number] = signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], white, zi=states[number])
                scale, middle = (32767 / (top / 2), 94 - top / 2) if unit == "%" else (32767 / top, 0.0)
                digital = np.clip(np.rint((coloured * deviation + middle) * scale), -32767, 32767)
                block[:, column : column + rate] = digital.reshape(count, rate)
                column += rate
            file.write(block.tobytes())
    return path


def _header(records: int) -> bytes:
    """Return the EDF header (field widths: EDF specification 1992, section "The data format")."""
    n = len(BENCHMARK_CHANNELS)

    def field(text: object, width: int) -> bytes:
        return str(text).ljust(width).encode("ascii")

    fixed = [("0", 8), ("X X X SIMULATED", 80), ("Startdate 01-JAN-2026 X X SIMULATED", 80), ("01.01.26", 8), ("22.00.00", 8)]
    fixed += [(256 * (n + 1), 8), ("", 44), (records, 8), (1, 8), (n, 4)]
    columns: list[tuple[list[object], int]] = [
        ([label for label, *_ in BENCHMARK_CHANNELS], 16),
        ([""] * n, 80),
        ([unit for _, unit, *_ in BENCHMARK_CHANNELS], 8),
        ([0 if unit == "%" else -top for _, unit, _, top, _ in BENCHMARK_CHANNELS], 8),
        ([top for _, _, _, top, _ in BENCHMARK_CHANNELS], 8),
        ([-32767] * n, 8),
        ([32767] * n, 8),
        ([""] * n, 80),
        ([rate for _, _, rate, _, _ in BENCHMARK_CHANNELS], 8),
        ([""] * n, 32),
    ]
    per_signal = b"".join(field(value, width) for values, width in columns for value in values)
    return b"".join(field(value, width) for value, width in fixed) + per_signal
