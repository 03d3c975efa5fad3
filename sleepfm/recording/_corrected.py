"""A recording whose user said what some of its channels really are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.channels import placement
from sleepfm.recording.recording import Annotation, Channel, Recording
from sleepfm.recording.units import scale_for
from sleepfm.vocabulary import Kind


class CorrectedRecording:
    """Passes everything on to another recording, with corrected kinds, modalities and, where these ask for others, units."""

    def __init__(self, recording: Recording, corrections: Mapping[int, Kind | None]) -> None:
        self._recording = recording
        self.path: Path = recording.path
        self.format: str = recording.format
        self.start: datetime | None = recording.start
        self.duration_s: float = recording.duration_s
        self.gaps: tuple[tuple[float, float], ...] = recording.gaps
        self.patient: str = recording.patient
        self.simulated: bool = recording.simulated
        self._factors = {
            channel.index: _factor(channel, corrections[channel.index])
            for channel in recording.channels
            if channel.index in corrections
        }
        self.channels: tuple[Channel, ...] = tuple(
            _corrected(channel, corrections[channel.index], self._factors[channel.index])
            if channel.index in self._factors
            else channel
            for channel in recording.channels
        )
        self._by_index = {channel.index: channel for channel in self.channels}

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file as a whole."""
        return self._recording.problems

    def channel(self, index: int) -> Channel:
        """Return the channel with this file index; RequestError when there is none."""
        if index not in self._by_index:
            raise RequestError(f"{self.path}: has no channel with index {index}; `sleepfm inspect` lists them.")
        return self._by_index[index]

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        """Return float32 samples in the corrected unit."""
        return self._scaled(index, self._recording.read(index, start_s, stop_s))

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        """Return what `read` returns for each index, fetching every data record once."""
        windows = self._recording.read_many(indices, start_s, stop_s)
        return [self._scaled(index, window) for index, window in zip(indices, windows, strict=True)]

    def segments(self) -> tuple[tuple[float, float], ...]:
        """Return the contiguous pieces (start_s, stop_s) between gaps."""
        return self._recording.segments()

    def digital(self, index: int, segment: int) -> np.ndarray:
        """Return all digital samples of one contiguous segment."""
        return self._recording.digital(index, segment)

    def annotations(self) -> tuple[Annotation, ...]:
        """Return the file's annotations."""
        return self._recording.annotations()

    def close(self) -> None:
        """Release the file."""
        self._recording.close()

    def _scaled(self, index: int, window: np.ndarray) -> np.ndarray:
        factor = self._factors.get(index, 1.0)
        return window if factor == 1.0 else (window * factor).astype(np.float32)


def _factor(channel: Channel, kind: Kind | None) -> float:
    """Return new unit / old unit; 1 for a channel without a usable scale."""
    if not channel.unit:
        return 1.0
    return scale_for(kind or Kind.OTHER, channel.original_unit)[1] / scale_for(channel.kind, channel.original_unit)[1]


def _corrected(channel: Channel, kind: Kind | None, factor: float) -> Channel:
    new = placement(kind or Kind.OTHER, "corrected by user")
    return replace(
        channel,
        kind=new.kind,
        modality=new.modality,
        reason=new.reason,
        unit=scale_for(new.kind, channel.original_unit)[0] if channel.unit else "",
        gain=channel.gain * factor,
        offset=channel.offset * factor,
    )
