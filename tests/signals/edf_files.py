"""EDF files for the tests: by edfio where it can, by hand where a file must be discontinuous."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import edfio
import numpy as np


def write_edf(path: Path, signals: list[tuple[str, float, np.ndarray]], record_s: float = 1.0, unit: str = "uV") -> Path:
    """Write (label, rate, physical samples) as plain EDF; physical limits are the signal's own."""
    edf_signals = [
        edfio.EdfSignal(x, rate_hz, label=label, physical_dimension=unit, physical_range=(-3000.0, 3000.0))
        for label, rate_hz, x in signals
    ]
    edfio.Edf(
        edf_signals, starttime=time(22, 30), recording=edfio.Recording(startdate=date(2026, 1, 2)), data_record_duration=record_s
    ).write(path)
    return path


def write_discontinuous(path: Path, onsets_s: list[float], signals: list[tuple[str, int, np.ndarray]]) -> Path:
    """Write EDF+D: 1-s records at the given onsets; (label, rate, (len(onsets) * rate,) int16); physical = digital / 10."""
    n = len(signals) + 1
    annotation_samples = 32

    def fields(values: list[object], width: int) -> bytes:
        return b"".join(str(value).encode("ascii").ljust(width) for value in values)

    header = fields(["0"], 8) + fields(["X X X X"], 80) + fields(["Startdate 02-JAN-2026 X X X"], 80)
    header += (
        fields(["02.01.26", "22.30.00", 256 * (n + 1)], 8)
        + fields(["EDF+D"], 44)
        + fields([len(onsets_s), 1], 8)
        + fields([n], 4)
    )
    header += fields([label for label, _, _ in signals] + ["EDF Annotations"], 16) + fields([""] * n, 80)
    header += fields(["uV"] * (n - 1) + [""], 8)
    header += fields([-3276.8] * (n - 1) + [-1], 8) + fields([3276.7] * (n - 1) + [1], 8)
    header += fields([-32768] * n, 8) + fields([32767] * n, 8) + fields([""] * n, 80)
    header += fields([rate for _, rate, _ in signals] + [annotation_samples], 8) + fields([""] * n, 32)
    records = []
    for k, onset_s in enumerate(onsets_s):
        records += [x[k * rate : (k + 1) * rate].astype("<i2").tobytes() for _, rate, x in signals]
        records.append(f"+{onset_s}\x14\x14\0".encode().ljust(2 * annotation_samples, b"\0"))
    path.write_bytes(header + b"".join(records))
    return path
