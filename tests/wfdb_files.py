"""WFDB records for tests: written by the wfdb package, or by hand so that a header can be wrong in the way a test wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CINC_LABELS = (
    "F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "Chin1-Chin2", "ABD", "CHEST", "AIRFLOW", "SaO2", "ECG",
)  # fmt: skip
CINC_GAINS = {"SaO2": "655.35(-32768)/%", "ECG": "1000/mV"}
MAT_HEADER_BYTES = 24


def write_cinc(folder: Path, name: str = "tr03-0001", *, seconds: int = 60, seed: int = 0) -> Path:
    """Write a record as the CinC 2018 challenge has them, (13 signals, 200 Hz, samples in a .mat file); return its header."""
    rng = np.random.default_rng(seed)
    n = seconds * 200
    t = np.arange(n) / 200
    x_tc = rng.normal(0, 40, (n, len(CINC_LABELS)))
    x_tc[:, 8:11] = 300 * np.sin(2 * np.pi * 0.25 * t)[:, None] + rng.normal(0, 5, (n, 3))
    x_tc[:, 11] = 655.35 * 96 - 32768 + rng.normal(0, 300, n)
    return write_record(folder, name, x_tc.round().astype("<i2"), list(CINC_LABELS), rate_hz=200)


def write_record(folder: Path, name: str, digital_tc: np.ndarray, labels: list[str], *, rate_hz: int = 200) -> Path:
    """Write a record of 16-bit samples in the challenge's form."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.mat").write_bytes(bytes(MAT_HEADER_BYTES) + digital_tc.astype("<i2").tobytes())
    lines = [f"{name} {len(labels)} {rate_hz} {len(digital_tc)}"]
    for label in labels:
        gain = CINC_GAINS.get(label, "1/uV")
        lines.append(f"{name}.mat 16+{MAT_HEADER_BYTES} {gain} 16 0 0 0 0 {label}")
    header = folder / f"{name}.hea"
    header.write_text("\n".join(lines) + "\n")
    return header


def annotation_bytes(notes: list[tuple[int, str]], *, resolution: int | None = 200) -> bytes:
    """Return a WFDB annotation file of notes (sample, text), as annot(5) lays it out."""
    raw = bytearray()
    if resolution is not None:
        raw += _note(f"## time resolution: {resolution}")
    at = 0
    for sample, text in notes:
        step = sample - at
        raw += (59 << 10).to_bytes(2, "little")
        raw += ((step >> 16) & 0xFFFF).to_bytes(2, "little") + (step & 0xFFFF).to_bytes(2, "little")
        raw += _note(text)
        at = sample
    return bytes(raw) + bytes(2)


def _note(text: str) -> bytes:
    encoded = text.encode()
    padded = encoded + bytes(len(encoded) % 2)
    return (22 << 10).to_bytes(2, "little") + (63 << 10 | len(encoded)).to_bytes(2, "little") + padded
