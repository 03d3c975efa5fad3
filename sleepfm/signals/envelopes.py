"""The night's envelopes: minimum and maximum of each displayed trace, second by second, for looking at hours at once.

Filtering a whole night takes seconds, reading its envelope milliseconds. A file of envelopes says which recording, which
channels and which filters it was made with; what does not match is not served.
"""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sleepfm.errors import RecordingError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import montages
from sleepfm.recording.recording import Recording
from sleepfm.signals.display_filters import OPEN, DisplayFilter, apply_filter, default_filter
from sleepfm.signals.sample_codes import decode, encode
from sleepfm.signals.trace_windows import PIECE_S, Trace, TraceWindow, first_sample, in_turns, minmax

CELL_S = 1.0
"""One minimum and maximum a second; a channel of at most one sample a second keeps every sample."""
_MAGIC = b"SLEEPFM ENVELOPE 1\n"
_CELL_BYTES = 4
"""Minimum and maximum as int16."""


def displayed_traces(recording: Recording) -> list[Trace]:
    """Return what any montage shows, each with the filter of its kind and unfiltered."""
    shown: dict[Trace, None] = {}
    for derivation in (one for montage in montages(recording) for one in montage.traces):
        rate_hz = recording.channel(derivation.plus).rate_hz
        for display_filter in (default_filter(derivation.kind).below_nyquist(rate_hz), OPEN):
            shown[Trace(derivation.plus, derivation.minus, display_filter)] = None
    return list(shown)


def write_envelopes(path: Path, recording: Recording, traces: Sequence[Trace], progress: Progress = silent) -> None:
    """Compute and store the envelopes of some traces, whole or not at all.

    The night is read once, in pieces of five minutes; each piece is filtered with the same padding as a window on the screen.

    Parameters
    ----------
    path
        The file to write.
    recording
        The open recording.
    traces
        What to store; the channels of one trace must share a rate.

    Raises
    ------
    RecordingChangedError
        When the file changed while it was read.
    SleepFMError
        When the disk is full or the folder cannot be written.
    """
    stamp = _stamp(recording)
    parts: list[list[np.ndarray]] = [[] for _ in traces]
    pieces = max(1, int(np.ceil(recording.duration_s / PIECE_S)))
    for piece in range(pieces):
        progress(piece / pieces, "Envelopes for the whole night")
        _read_piece(recording, traces, piece, parts)
    entries: list[dict[str, Any]] = []
    blocks: list[bytes] = []
    for trace, values in zip(traces, parts, strict=True):
        coded = encode(np.concatenate(values))
        entries.append(
            {
                "identity": _identity(recording, trace),
                "cells": len(coded.codes),
                "cell_s": _cell_s(recording, trace),
                "scale": coded.scale,
                "offset": coded.offset,
            }
        )
        blocks.append(coded.codes.tobytes())
    header = json.dumps({"recording": stamp, "entries": entries}).encode()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_MAGIC + struct.pack("<I", len(header)) + header)
        file.writelines(blocks)


def _read_piece(recording: Recording, traces: Sequence[Trace], piece: int, parts: list[list[np.ndarray]]) -> None:
    """Append (cells, 2) minima and maxima of one piece of five minutes to each trace's parts."""
    groups: dict[tuple[float, DisplayFilter], list[int]] = defaultdict(list)
    for number, trace in enumerate(traces):
        groups[recording.channel(trace.plus).rate_hz, trace.display_filter].append(number)
    start_s, stop_s = piece * PIECE_S, min((piece + 1) * PIECE_S, recording.duration_s)
    padding_s = max((max(one.padding_s, 2 / rate_hz) for rate_hz, one in groups), default=0.0)
    read_from_s, read_to_s = float(np.floor(start_s - padding_s)), float(np.ceil(stop_s + padding_s))
    indices = sorted({index for trace in traces for index in trace.channels})
    samples = dict(zip(indices, recording.read_many(indices, read_from_s, read_to_s), strict=True))
    for (rate_hz, display_filter), numbers in groups.items():
        x_ct = apply_filter(np.stack([traces[number].derive(samples) for number in numbers]), rate_hz, display_filter)
        cell_s = _cell_s(recording, traces[numbers[0]])
        cells = np.arange(np.ceil(start_s / cell_s - 1e-6), np.ceil(stop_s / cell_s - 1e-6) + 1)
        edges = np.array([first_sample(cell * cell_s, rate_hz) for cell in cells]) - first_sample(read_from_s, rate_hz)
        if edges.size > 1:
            for number, row in zip(numbers, _extremes(x_ct[:, edges[0] : edges[-1]], edges[:-1] - edges[0]), strict=True):
                parts[number].append(row)
        else:
            for number in numbers:
                parts[number].append(np.empty((0, 2)))


def _extremes(x_ct: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return (channels, cells, 2) minimum and maximum of each cell."""
    return np.sort(minmax(x_ct, edges).reshape(x_ct.shape[0], edges.size, 2), axis=2)


class Envelopes:
    """An open file of envelopes that belongs to a recording as it is now."""

    def __init__(self, file: BinaryIO, recording: Recording, entries: Sequence[dict[str, Any]], data: int) -> None:
        self._file = file
        self._recording = recording
        self._entries: dict[str, tuple[dict[str, Any], int]] = {}
        for entry in entries:
            self._entries[json.dumps(entry["identity"])] = (entry, data)
            data += _CELL_BYTES * entry["cells"]

    def holds(self, trace: Trace) -> bool:
        """Whether this trace with this filter is there."""
        return json.dumps(_identity(self._recording, trace)) in self._entries

    def window(self, trace: Trace, start_s: float, stop_s: float, bins: int) -> TraceWindow:
        """Return the envelope of a trace that is there over a window, two values a column.

        There are `bins` columns, or as many as there are cells when these are fewer. A cell belongs to the column it begins
        in: columns of whole cells would beat against the screen's pixels, so all are of one length and an extreme may stand up
        to a cell beside its time. Beyond the recording there is nothing (NaN). The window begins at the cell that holds
        `start_s`.
        """
        entry, position = self._entries[json.dumps(_identity(self._recording, trace))]
        cell_s, cells = entry["cell_s"], entry["cells"]
        first, last = int(np.floor(start_s / cell_s + 1e-6)), int(np.ceil(stop_s / cell_s - 1e-6))
        stored = min(last, cells) - first
        both = np.full((last - first, 2), np.nan)
        if stored > 0:
            self._file.seek(position + _CELL_BYTES * first)
            content = self._file.read(_CELL_BYTES * stored)
            if len(content) != _CELL_BYTES * stored:
                raise RecordingError(f"{self._file.name}: ends early; delete it and prepare the study again")
            both[:stored] = decode(np.frombuffer(content, "<i2").reshape(stored, 2), entry["scale"], entry["offset"])
        columns = min(bins, last - first)
        if columns == last - first and cell_s * self._recording.channel(trace.plus).rate_hz <= 1 + 1e-9:
            return TraceWindow(first * cell_s, cell_s, both[:, 0])  # cells of one sample: the samples themselves
        starts = np.ceil(np.arange(columns) * (last - first) / columns - 1e-6).astype(np.int64)
        low = np.fmin.reduceat(both[:, 0], starts)
        high = np.fmax.reduceat(both[:, 1], starts)
        column_s = cell_s * (last - first) / columns
        return TraceWindow(first * cell_s + column_s / 4, column_s / 2, in_turns(low[None], high[None])[0])

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def __enter__(self) -> Envelopes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_envelopes(path: Path, recording: Recording) -> Envelopes | None:
    """Open a file that `write_envelopes` made; None when there is none or it was made of another content of the recording.

    Raises
    ------
    RecordingError
        When it is damaged.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        start = file.read(len(_MAGIC) + 4)
        length = struct.unpack_from("<I", start, len(_MAGIC))[0]
        header = json.loads(file.read(length))
        stamp = _stamp(recording)
        if start[: len(_MAGIC)] != _MAGIC or stamp is None or header["recording"] != stamp:
            file.close()
            return None
        return Envelopes(file, recording, header["entries"], len(start) + length)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        file.close()
        raise RecordingError(f"{path}: holds no envelopes ({error}); delete it and prepare the study again") from None


def _stamp(recording: Recording) -> list[int] | None:
    try:
        status = recording.path.stat()
    except OSError:
        return None  # a file that vanished belongs to no envelopes; reading it says so
    return [status.st_size, status.st_mtime_ns]


def _identity(recording: Recording, trace: Trace) -> list[Any]:
    """Return everything the values of a trace depend on beside the file's content; a corrected kind may change the unit."""
    chosen = trace.display_filter
    gains = [[recording.channel(index).gain, recording.channel(index).offset] for index in trace.channels]
    return [trace.key, chosen.high_pass_hz, chosen.low_pass_hz, chosen.notch_hz, gains]


def _cell_s(recording: Recording, trace: Trace) -> float:
    return max(CELL_S, 1 / recording.channel(trace.plus).rate_hz)
