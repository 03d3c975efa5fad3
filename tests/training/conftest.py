"""A small store of signals to train on: four people, three montages, noise with a rhythm that a person's channels share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from sleepfm.signals.store_writing import SignalsHeader, SignalToStore, create_signals
from sleepfm.vocabulary import MODEL_RATE_HZ, Kind, Modality

MONTAGES: tuple[tuple[tuple[str, Modality, Kind], ...], ...] = (
    (
        ("C3-M2", Modality.BAS, Kind.EEG),
        ("C4-M1", Modality.BAS, Kind.EEG),
        ("E1-M2", Modality.BAS, Kind.EOG),
        ("Thorax", Modality.RESP, Kind.EFFORT_THORAX),
        ("SpO2", Modality.RESP, Kind.SPO2),
        ("ECG", Modality.EKG, Kind.ECG),
        ("Chin", Modality.EMG, Kind.CHIN_EMG),
    ),
    (
        ("C4-M1", Modality.BAS, Kind.EEG),
        ("Flow", Modality.RESP, Kind.FLOW),
        ("ECG", Modality.EKG, Kind.ECG),
        ("LAT", Modality.EMG, Kind.LEG_EMG),
        ("RAT", Modality.EMG, Kind.LEG_EMG),
    ),
    (("C3-M2", Modality.BAS, Kind.EEG), ("Flow", Modality.RESP, Kind.FLOW), ("ECG", Modality.EKG, Kind.ECG)),
)


class Cohort(NamedTuple):
    """A folder of signals files, the splits beside it, and the studies in it."""

    folder: Path
    splits: Path
    studies: tuple[str, ...]


def write_study(path: Path, *, montage: int = 0, seconds: float = 330.0, seed: int = 0, layout: str = "grouped") -> Path:
    """Write one signals file."""
    rng = np.random.default_rng(seed)
    n = int(seconds * MODEL_RATE_HZ)
    t = np.arange(n) / MODEL_RATE_HZ
    rhythm = np.sin(2 * np.pi * (0.2 + 0.1 * rng.random()) * t + rng.uniform(0, 6))
    header = SignalsHeader(path.stem, layout, "published", n / MODEL_RATE_HZ, None, (), simulated=True)  # type: ignore[arg-type]
    with create_signals(path, header) as writer:
        for index, (label, modality, kind) in enumerate(MONTAGES[montage]):
            z = rhythm * rng.uniform(0.5, 2) + rng.standard_normal(n)
            z = ((z - z.mean()) / z.std()).astype(np.float16)
            writer.add(SignalToStore(label, index, label, modality, kind, 128.0, "uV", mean=0.0, std=1.0, flat=False, z=z))
        writer.set_source(f"{seed:064x}")
    return path


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Eight studies of 5.5 min; two for validation, one for testing."""
    folder = tmp_path_factory.mktemp("cohort")
    studies = tuple(f"s{number}" for number in range(8))
    for number, study in enumerate(studies):
        write_study(folder / f"{study}.hdf5", montage=number % 3, seed=number)
    splits = folder / "splits.json"
    lists = {"pretrain": studies[:4], "train": studies[4:5], "validation": studies[5:7], "test": studies[7:]}
    splits.write_text(json.dumps(lists), encoding="utf-8")
    return Cohort(folder, splits, studies)


def tiny(cohort: Cohort, **training: object) -> dict[str, object]:
    """Return settings of a pretraining that takes seconds: 30-s windows, a small encoder."""
    return {
        "name": "tiny",
        "data": {"signals": [str(cohort.folder)], "splits": str(cohort.splits), "lists": ["pretrain", "train"]},
        "encoder": {
            "window_s": 30.0,
            "parameters": {
                "embed_dim": 16,
                "num_heads": 2,
                "num_layers": 1,
                "pooling_head": 2,
                "patch_size": 640,
                "dropout": 0.1,
            },
        },
        "augmentation": {"most_channels": 2, "modality_dropout": 0.1, "channel_dropout": 0.3},
        "validation_windows": 16,
        "training": {"epochs": 2, "batch_size": 8, "threads": 1, "optimiser": {"learning_rate": 0.003}} | training,
    }
