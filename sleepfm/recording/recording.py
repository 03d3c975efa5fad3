"""What came out of the sleep lab: channels at their native rates on one time axis, read a window at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from sleepfm.vocabulary import Kind, Modality


@dataclass(frozen=True)
class Channel:
    """One signal of a recording.

    Attributes
    ----------
    index
        Position of the signal in the file (annotation signals count, so that the index is the file's own).
    label
        The label as written in the file, decoded and stripped. Hostile text: escape before showing.
    rate_hz
        Native sampling rate in Hz; may be fractional.
    unit
        Unit of what `Recording.read` returns: µV, mV, %, bpm, cmH2O, … ("" when the header says nothing usable).
    original_unit
        The physical dimension as written in the header.
    kind, modality, reason
        What the channel measures, which model modality it belongs to (None: not used), and why, in words.
    gain, offset
        physical = digital * gain + offset, in `unit`.
    digital_min, digital_max
        Limits of the analogue-digital converter as the header gives them (clipping is judged at these).
    problems
        What is wrong with this channel's header, each a sentence a user can read.
    """

    index: int
    label: str
    rate_hz: float
    unit: str
    original_unit: str
    kind: Kind
    modality: Modality | None
    reason: str
    gain: float
    offset: float
    digital_min: int
    digital_max: int
    transducer: str = ""
    prefilter: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """One timestamped text of the file (EDF+ TAL), seconds from the recording's start. `channel` from "text@@channel"."""

    onset_s: float
    duration_s: float | None
    text: str
    channel: str | None = None


class Recording(Protocol):
    """An open recording. Time is seconds from the recording's start; gaps are gaps, never closed up.

    Nothing is read ahead: opening reads the header, `read` reads that window.
    """

    @property
    def path(self) -> Path:
        """The file (of a WFDB record, its header)."""
        ...

    @property
    def format(self) -> str:
        """EDF, EDF+C, EDF+D, BDF, BDF+C, BDF+D or WFDB."""
        ...

    @property
    def start(self) -> datetime | None:
        """Local wall-clock time of the start (EDF has no time zone), sub-seconds included; None when the header has none."""
        ...

    @property
    def duration_s(self) -> float:
        """From the start to the end of the last record, gaps included."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Signals without the annotation signals, in file order."""
        ...

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Stretches (start_s, stop_s) without data."""
        ...

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file as a whole, each a sentence a user can read."""
        ...

    @property
    def patient(self) -> str:
        """The header's patient field, as written (identifying text: never log it)."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether the file says that it was made by `sleepfm simulate`."""
        ...

    def channel(self, index: int) -> Channel:
        """Return the channel with this file index; RequestError when there is none."""
        ...

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        """Return float32 samples in `Channel.unit` whose times t satisfy start_s <= t < stop_s.

        Sample k lies at k / rate_hz from the recording's start. Gaps and anything outside the recording are NaN, so the
        length is always round((stop_s - start_s) * rate_hz) when both ends fall on the sample grid.
        """
        ...

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        """Return what `read` returns for each index, fetching every data record once."""
        ...

    def segments(self) -> tuple[tuple[float, float], ...]:
        """Return the contiguous pieces (start_s, stop_s) between gaps."""
        ...

    def digital(self, index: int, segment: int) -> np.ndarray:
        """Return all digital samples of one contiguous segment, (n,) int16 or int32, for whole-night work in workers."""
        ...

    def annotations(self) -> tuple[Annotation, ...]:
        """Return the file's annotations without the time-keeping ones, in order of onset."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
