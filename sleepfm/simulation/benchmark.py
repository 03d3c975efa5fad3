"""A night for timing: the size and mixed rates of a real PSG, with noise that compresses and rounds like physiology.

Nothing in it looks like sleep; `sleepfm simulate` makes the nights that do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np


class BenchmarkChannel(NamedTuple):
    """A channel of the benchmark night; physical limits are ±top, or 0 to top for %."""

    label: str
    unit: str
    rate_hz: int
    top: float
    deviation: float

    @property
    def bottom(self) -> float:
        """The physical minimum."""
        return 0.0 if self.unit == "%" else -self.top


BENCHMARK_CHANNELS = (
    BenchmarkChannel("EEG F3-M2", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EEG F4-M1", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EEG C3-M2", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EEG C4-M1", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EEG O1-M2", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EEG O2-M1", "uV", 256, 500.0, 20.0),
    BenchmarkChannel("EOG E1-M2", "uV", 256, 500.0, 40.0),
    BenchmarkChannel("EOG E2-M2", "uV", 256, 500.0, 40.0),
    BenchmarkChannel("EMG Chin", "uV", 256, 500.0, 10.0),
    BenchmarkChannel("EMG LAT", "uV", 256, 500.0, 10.0),
    BenchmarkChannel("EMG RAT", "uV", 256, 500.0, 10.0),
    BenchmarkChannel("ECG II", "uV", 256, 3000.0, 300.0),
    BenchmarkChannel("Snore", "uV", 256, 500.0, 15.0),
    BenchmarkChannel("Thorax", "uV", 64, 2000.0, 400.0),
    BenchmarkChannel("Abdomen", "uV", 64, 2000.0, 400.0),
    BenchmarkChannel("SpO2", "%", 4, 100.0, 1.5),
)

_BLOCK_RECORDS = 1800
_TOP_DIGITAL = 32767


def make_benchmark_night(path: Path, hours: float = 8, seed: int = 0) -> Path:
    """Write a plain EDF of 16 channels at 256, 64 and 4 Hz in 1-s records (8 h: 199 MB) and return its path.

    Each channel is a first-order autoregressive noise; the file says SIMULATED. The same seed gives the same bytes.
    """
    records = round(hours * 3600)
    rng = np.random.default_rng(seed)
    states = [np.zeros(1) for _ in BENCHMARK_CHANNELS]
    with path.open("wb") as file:
        file.write(_header(records))
        for first in range(0, records, _BLOCK_RECORDS):
            count = min(_BLOCK_RECORDS, records - first)
            columns = []
            for number, channel in enumerate(BENCHMARK_CHANNELS):
                digital, states[number] = _noise(channel, rng, count, states[number])
                columns.append(digital.reshape(count, channel.rate_hz))
            file.write(np.concatenate(columns, axis=1).tobytes())
    return path


def _noise(channel: BenchmarkChannel, rng: np.random.Generator, seconds: int, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (seconds * rate,) int16 and the filter's state for what follows. A saturation drifts about 94 %, others about 0."""
    from scipy import signal

    memory, middle = (0.999, 94.0) if channel.unit == "%" else (0.95, 0.0)
    white = rng.standard_normal(seconds * channel.rate_hz, dtype=np.float32)
    coloured, state = signal.lfilter([np.sqrt(1 - memory**2)], [1, -memory], white, zi=state)
    steps_per_unit = 2 * _TOP_DIGITAL / (channel.top - channel.bottom)
    digital = (coloured * channel.deviation + middle - (channel.top + channel.bottom) / 2) * steps_per_unit
    return np.clip(np.rint(digital), -_TOP_DIGITAL, _TOP_DIGITAL).astype("<i2"), state


def _header(records: int) -> bytes:
    """Return the EDF header (field widths: EDF specification 1992, section "The data format")."""

    def fields(values: Iterable[object], width: int) -> bytes:
        return b"".join(str(value).ljust(width).encode("ascii") for value in values)

    n = len(BENCHMARK_CHANNELS)
    header = fields(["0"], 8) + fields(["X X X SIMULATED", "Startdate 01-JAN-2026 X X SIMULATED"], 80)
    header += fields(["01.01.26", "22.00.00", 256 * (n + 1)], 8) + fields([""], 44) + fields([records, 1], 8) + fields([n], 4)
    header += fields((channel.label for channel in BENCHMARK_CHANNELS), 16) + fields([""] * n, 80)
    header += fields((channel.unit for channel in BENCHMARK_CHANNELS), 8)
    header += fields((channel.bottom for channel in BENCHMARK_CHANNELS), 8)
    header += fields((channel.top for channel in BENCHMARK_CHANNELS), 8)
    header += fields([-_TOP_DIGITAL] * n, 8) + fields([_TOP_DIGITAL] * n, 8) + fields([""] * n, 80)
    header += fields((channel.rate_hz for channel in BENCHMARK_CHANNELS), 8) + fields([""] * n, 32)
    return header
