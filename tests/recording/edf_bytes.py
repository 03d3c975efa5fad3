"""EDF files written byte by byte, so that every field can be wrong in the way a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


def padded(value: object, width: int) -> bytes:
    """Return a header field; bytes are taken as they are."""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8")
    return raw[:width].ljust(width)


@dataclass
class Signal:
    """One signal of a hand-made file, (n_records, samples) integers, or the annotation bytes of each record."""

    label: object = "C3-M2"
    data: np.ndarray | list[bytes] = field(default_factory=lambda: np.zeros((1, 1), dtype=int))
    unit: object = "uV"
    physical: tuple[object, object] = (-3276.8, 3276.7)
    digital: tuple[object, object] = (-32768, 32767)
    samples: object = None
    transducer: object = ""
    prefilter: object = ""


@dataclass
class File:
    """A hand-made EDF or BDF file."""

    signals: list[Signal]
    record_s: object = 1
    n_records: object = None
    version: bytes = b"0"
    patient: object = "X X X X"
    recording: object = "Startdate 02-MAR-2021 X X X"
    date: object = "02.03.21"
    time: object = "22.30.15"
    reserved: object = ""
    header_bytes: object = None
    n_signals: object = None
    sample_bytes: int = 2

    def header(self) -> bytes:
        """Return the header's bytes."""
        count = len(self.signals)
        rows = len(self.signals[0].data) if self.signals else 0
        fixed = (
            padded(self.version, 8)
            + padded(self.patient, 80)
            + padded(self.recording, 80)
            + padded(self.date, 8)
            + padded(self.time, 8)
            + padded(256 * (count + 1) if self.header_bytes is None else self.header_bytes, 8)
            + padded(self.reserved, 44)
            + padded(rows if self.n_records is None else self.n_records, 8)
            + padded(self.record_s, 8)
            + padded(count if self.n_signals is None else self.n_signals, 4)
        )
        columns = [
            [s.label for s in self.signals],
            [s.transducer for s in self.signals],
            [s.unit for s in self.signals],
            [s.physical[0] for s in self.signals],
            [s.physical[1] for s in self.signals],
            [s.digital[0] for s in self.signals],
            [s.digital[1] for s in self.signals],
            [s.prefilter for s in self.signals],
            [self._width(s) if s.samples is None else s.samples for s in self.signals],
            ["" for _ in self.signals],
        ]
        return fixed + b"".join(padded(value, width) for column, width in zip(columns, WIDTHS, strict=True) for value in column)

    def _width(self, signal: Signal) -> int:
        return len(signal.data[0]) // self.sample_bytes if isinstance(signal.data[0], bytes) else len(signal.data[0])

    def body(self) -> bytes:
        """Return the data records' bytes."""
        rows = len(self.signals[0].data) if self.signals else 0
        return b"".join(self._encoded(signal.data[row]) for row in range(rows) for signal in self.signals)

    def _encoded(self, row: np.ndarray | bytes) -> bytes:
        if isinstance(row, bytes):
            return row
        four = np.asarray(row).astype("<i4").reshape(-1, 1).view(np.uint8)
        return four[:, : self.sample_bytes].tobytes()

    def bytes(self) -> bytes:
        """Return the whole file."""
        return self.header() + self.body()


def tal(onset: float | str, *texts: str, duration: str = "", width: int = 60) -> bytes:
    """Return one record's annotation bytes: the time stamp, then annotations at the same onset."""
    stamp = onset if isinstance(onset, str) else f"+{onset:.12g}"
    raw = f"{stamp}\x14\x14\x00".encode()
    for text in texts:
        raw += f"{stamp}{duration and chr(0x15) + duration}\x14{text}\x14\x00".encode()
    assert len(raw) <= width
    return raw.ljust(width, b"\x00")


def smooth(n_records: int, samples: int, seed: int = 0, amplitude: float = 3000.0) -> np.ndarray:
    """Return a smooth, EEG-like random walk as (n_records, samples) 16-bit integers."""
    walk = np.random.default_rng(seed).standard_normal(n_records * samples + 24)
    slow = np.convolve(walk, np.hanning(25), mode="valid")
    return np.round(slow / np.abs(slow).max() * amplitude).astype(int).reshape(n_records, samples)
