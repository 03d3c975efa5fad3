"""A simulated night as model-ready signals: the file that `convert` would make of its EDF, without the EDF."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from sleepfm.recording.channels import place
from sleepfm.recording.units import scale_for
from sleepfm.signals.dataset_names import unique_names
from sleepfm.signals.recipes import Piece, standardise
from sleepfm.signals.store_writing import SignalsHeader, SignalToStore, create_signals
from sleepfm.simulation.night import Night

RECIPE = "published"


def write_signals(night: Night, path: Path, *, record_id: str, start: datetime, source_sha256: str) -> None:
    """Write a night in the grouped layout by the published recipe, whole or not at all.

    Parameters
    ----------
    night
        What to write; channels that the model does not use are left out.
    path
        The HDF5 file.
    record_id
        The study's id.
    start
        Local time of the first sample.
    source_sha256
        What stands for the hash of the recording, of which there is none.

    Raises
    ------
    SleepFMError
        When the disk refuses.
    """
    places = [place(s.label, unit=s.unit, rate_hz=float(s.rate_hz)) for s in night.signals]
    used = [(index, found.kind, found.modality) for index, found in enumerate(places) if found.modality]
    names = unique_names(night.signals[index].label for index, _, _ in used)
    header = SignalsHeader(record_id, "grouped", RECIPE, float(night.duration_s), start, (), simulated=True)
    with create_signals(path, header) as writer:
        for (index, kind, modality), name in zip(used, names, strict=True):
            signal = night.signals[index]
            unit, gain = scale_for(kind, signal.unit)
            piece = Piece(0.0, signal.data)
            result = standardise(RECIPE, [piece], float(signal.rate_hz), float(night.duration_s), gain=gain)
            writer.add(
                SignalToStore(
                    name=name,
                    index=index,
                    label=signal.label,
                    modality=modality,
                    kind=kind,
                    rate_hz=float(signal.rate_hz),
                    unit=unit,
                    mean=result.mean,
                    std=result.std,
                    flat=result.flat,
                    z=result.z.astype(np.float16),
                )
            )
        writer.set_source(source_sha256)
