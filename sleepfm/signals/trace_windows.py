"""What the trace viewer draws: a stretch of some traces, filtered and thinned to the screen's width."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.recording.recording import Recording
from sleepfm.signals.display_filters import DisplayFilter, apply_filter

PIECE_S = 300.0
"""Longest stretch read at once: a whole night passes through piece by piece, in bounded memory."""
TIME_TOLERANCE = 1e-6
"""Fraction of a sample by which a time may miss its grid point."""


@dataclass(frozen=True)
class Trace:
    """What one line on the screen shows: a channel, minus the mean of others when it is a derivation (C4 minus M1)."""

    plus: int
    minus: tuple[int, ...] = ()
    display_filter: DisplayFilter = field(default_factory=DisplayFilter)

    @property
    def channels(self) -> tuple[int, ...]:
        """Every file index the trace needs."""
        return (self.plus, *self.minus)

    @property
    def key(self) -> str:
        """The channels as text: "3", or "3-5.6" for channel 3 minus the mean of 5 and 6."""
        return trace_key(self.plus, self.minus)

    def derive(self, samples: Mapping[int, np.ndarray]) -> np.ndarray:
        """Return float64 samples of the trace from those of its channels."""
        x = samples[self.plus].astype(np.float64)
        for index in self.minus:
            x -= samples[index] / np.float64(len(self.minus))
        return x


def trace_key(plus: int, minus: Sequence[int]) -> str:
    """Return the channels of a trace as text, see `Trace.key`."""
    return f"{plus}-{'.'.join(map(str, minus))}" if minus else str(plus)


@dataclass(frozen=True)
class TraceWindow:
    """Values of one trace at x0_s + k·dx_s (seconds from the recording's start), NaN in gaps."""

    x0_s: float
    dx_s: float
    values: np.ndarray


def minmax(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Thin the last axis to two values a bin that keep every extreme.

    The bins' minimum and maximum come in turns low-high, high-low, low-high, …, so that a line through them runs along the
    envelope instead of crossing it at every bin.

    Parameters
    ----------
    x
        (channels, samples); NaN is left out of a bin's extremes and stays only where a whole bin is NaN.
    edges
        (bins,) first sample of each bin, strictly increasing, the first being 0.

    Returns
    -------
    numpy.ndarray
        (channels, 2 * bins).
    """
    return in_turns(np.fmin.reduceat(x, edges, axis=1), np.fmax.reduceat(x, edges, axis=1))


def in_turns(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return (channels, 2 * bins): minima and maxima (channels, bins) in turns, see `minmax`."""
    out = np.empty((low.shape[0], 2 * low.shape[1]), dtype=low.dtype)
    out[:, 0::4] = low[:, 0::2]
    out[:, 1::4] = high[:, 0::2]
    out[:, 2::4] = high[:, 1::2]
    out[:, 3::4] = low[:, 1::2]
    return out


class WindowReader:
    """Reads one window of some traces, one piece after the other, so that the caller can stop between pieces.

    Parameters
    ----------
    recording
        The open recording.
    traces
        What to read. The channels of one trace must share a rate.
    start_s, stop_s
        The window in seconds from the recording's start; it may reach beyond the recording, where there is nothing (NaN).
    bins
        How many columns the screen has: a trace with more than two samples a column is thinned to two values a column.
    """

    def __init__(self, recording: Recording, traces: Sequence[Trace], start_s: float, stop_s: float, bins: int) -> None:
        self._recording = recording
        self._traces = tuple(traces)
        self._start_s, self._stop_s, self._bins = start_s, stop_s, bins
        self._rates = tuple(self._rate(trace) for trace in self._traces)
        self._values: list[list[np.ndarray]] = [[] for _ in self._traces]
        self._first_sample: list[int | None] = [None] * len(self._traces)
        self._groups: dict[tuple[float, DisplayFilter], list[int]] = defaultdict(list)
        for number, trace in enumerate(self._traces):
            self._groups[self._rates[number], trace.display_filter].append(number)
        count = max(1, int(np.ceil((stop_s - start_s) / PIECE_S)))
        self.pieces: list[tuple[int, int]] = [
            (self._bins * k // count, self._bins * (k + 1) // count) for k in range(min(count, bins))
        ]
        """The pieces as ranges of columns, for `read`."""

    def _rate(self, trace: Trace) -> float:
        rates = {self._recording.channel(index).rate_hz for index in trace.channels}
        if len(rates) > 1:
            labels = ", ".join(
                f"{self._recording.channel(index).label} ({self._recording.channel(index).rate_hz:g} Hz)"
                for index in trace.channels
            )
            raise RequestError(f"a derivation needs channels of one rate, not {labels}")
        return rates.pop()

    def _thinned(self, number: int) -> bool:
        return (self._stop_s - self._start_s) * self._rates[number] > 2 * self._bins

    def _time(self, column: int) -> float:
        return self._start_s + (self._stop_s - self._start_s) * column / self._bins

    def read(self, piece: tuple[int, int]) -> None:
        """Read, derive, filter and thin one of `pieces`; call it for each in order."""
        start_s, stop_s = self._time(piece[0]), self._time(piece[1])
        padding_s = max(
            (max(trace.display_filter.padding_s, 2 / rate) for trace, rate in zip(self._traces, self._rates, strict=True)),
            default=0,
        )
        # On whole seconds the sample grids of all usual rates agree, and the reader touches whole data records.
        read_from_s, read_to_s = float(np.floor(start_s - padding_s)), float(np.ceil(stop_s + padding_s))
        indices = sorted({index for trace in self._traces for index in trace.channels})
        samples = dict(zip(indices, self._recording.read_many(indices, read_from_s, read_to_s), strict=True))
        for (rate_hz, display_filter), numbers in self._groups.items():
            x_ct = np.stack([self._traces[number].derive(samples) for number in numbers])
            x_ct = apply_filter(x_ct, rate_hz, display_filter)
            first = first_sample(read_from_s, rate_hz)
            for_all = self._cut(numbers[0], x_ct, first, piece)
            for row, number in enumerate(numbers):
                self._values[number].append(for_all[row])

    def _cut(self, number: int, x_ct: np.ndarray, first: int, piece: tuple[int, int]) -> np.ndarray:
        """Take the piece out of the padded signal: thinned, or every sample with one neighbour on the window's two sides."""
        rate_hz = self._rates[number]
        if self._thinned(number):
            columns = np.array([self._time(column) for column in range(piece[0], piece[1] + 1)])
            edges = np.ceil(columns * rate_hz - TIME_TOLERANCE).astype(np.int64) - first
            return minmax(x_ct[:, edges[0] : edges[-1]], edges[:-1] - edges[0])
        start = first_sample(self._time(piece[0]), rate_hz) - first - (1 if piece[0] == 0 else 0)
        stop = first_sample(self._time(piece[1]), rate_hz) - first + (1 if piece[1] == self._bins else 0)
        for other in self._groups[rate_hz, self._traces[number].display_filter]:
            if self._first_sample[other] is None:
                self._first_sample[other] = start + first
        return x_ct[:, start:stop]

    def windows(self) -> list[TraceWindow]:
        """Return the window of each trace, in order; every piece must have been read."""
        column_s = (self._stop_s - self._start_s) / self._bins
        out = []
        for number, pieces in enumerate(self._values):
            values = np.concatenate(pieces)
            if self._thinned(number):
                out.append(TraceWindow(self._start_s + column_s / 4, column_s / 2, values))
            else:
                out.append(TraceWindow((self._first_sample[number] or 0) / self._rates[number], 1 / self._rates[number], values))
        return out


def first_sample(time_s: float, rate_hz: float) -> int:
    """Index of the first sample at or after a time."""
    return int(np.ceil(time_s * rate_hz - TIME_TOLERANCE))


def read_window(recording: Recording, traces: Sequence[Trace], start_s: float, stop_s: float, bins: int) -> list[TraceWindow]:
    """Read one window at once; the parameters are those of `WindowReader`."""
    reader = WindowReader(recording, traces, start_s, stop_s, bins)
    for piece in reader.pieces:
        reader.read(piece)
    return reader.windows()
