"""Signals files full of noise, written by the store itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sleepfm.signals.store_writing import Layout, SignalsHeader, SignalToStore, create_signals
from sleepfm.vocabulary import MODEL_RATE_HZ, Kind, Modality

CHANNELS: dict[Modality, tuple[tuple[str, Kind], ...]] = {
    Modality.BAS: (("C3-M2", Kind.EEG), ("E1-M2", Kind.EOG)),
    Modality.RESP: (("Flow", Kind.FLOW), ("Thorax", Kind.EFFORT_THORAX), ("SpO2", Kind.SPO2)),
    Modality.EKG: (("ECG", Kind.ECG),),
    Modality.EMG: (("Chin", Kind.CHIN_EMG),),
}


def write_noise(
    path: Path,
    duration_s: float,
    *,
    channels: Mapping[Modality, Sequence[tuple[str, Kind]]] = CHANNELS,
    flat: Sequence[str] = (),
    recipe: str = "published",
    layout: Layout = "grouped",
    gaps: tuple[tuple[float, float], ...] = (),
    seed: int = 0,
) -> Path:
    """Write standardised noise; the same seed gives each label the same noise whatever else is in the file."""
    n = int(duration_s * MODEL_RATE_HZ)
    header = SignalsHeader(path.stem, layout, recipe, duration_s, None, gaps, simulated=False)
    with create_signals(path, header) as writer:
        placed = [(modality, label, kind) for modality, labels in channels.items() for label, kind in labels]
        for index, (modality, label, kind) in enumerate(placed):
            rng = np.random.default_rng([seed, *label.encode()])
            z = np.zeros(n, np.float16) if label in flat else rng.standard_normal(n, np.float32).astype(np.float16)
            writer.add(
                SignalToStore(
                    index=index,
                    name=label,
                    label=label,
                    modality=modality,
                    kind=kind,
                    rate_hz=256.0,
                    unit="µV",
                    mean=0.0,
                    std=0.0 if label in flat else 1.0,
                    flat=label in flat,
                    z=z,
                )
            )
        writer.set_source(f"{seed:064x}")
    return path
