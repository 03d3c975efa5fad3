"""EDF, EDF+C, EDF+D, BDF and BDF+ files, read a window at a time, as sleep labs really write them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording._annotations import parse_tals, record_onset
from sleepfm.recording._header import LINE_BREAKS_CHANGED, Header, parse_header
from sleepfm.recording._header_channels import channels_from, label_problems, says_simulated
from sleepfm.recording._mangled import line_breaks_converted
from sleepfm.recording._records import iterate_digital
from sleepfm.recording._source import Allowed, Source
from sleepfm.recording._timeline import Segment, contiguous, first_sample, segments_from_onsets
from sleepfm.recording.recording import Annotation, Channel

_STAMP_BYTES = 64
"""A record's time stamp ends well within these first bytes of its annotations."""
_STAMP_TOLERANCE_S = 1e-3
"""Time stamps are decimal text, often rounded to milliseconds."""
_CONTIGUOUS_TOLERANCE_S = 0.5
"""A file that calls itself contiguous may drift so far (clocks do) before its time stamps are believed instead."""


def open_edf(
    path: Path | str, *, mapped: bool = False, allow_empty: bool = False, allowed: Allowed | None = None
) -> EdfRecording:
    """Open an EDF or BDF file of any kind; only its header is read (and, for discontinuous files, each record's time stamp).

    Parameters
    ----------
    path
        The file.
    mapped
        Map the file into memory: for worker processes only, because a mapped file that shrinks kills its process.
    allow_empty
        Open a file that has a header but no data too (to show the header); otherwise it is refused.
    allowed
        Asked whether the file may be opened, see `Source`.

    Raises
    ------
    RequestError
        There is no such file, or it is a folder.
    RecordingError
        The file is no EDF or BDF, damaged beyond reading, without data, or may not be read.
    """
    path = Path(path)
    source = Source(path, mapped=mapped, allowed=allowed)
    try:
        header = parse_header(lambda offset, length: source.read_up_to(offset, length).tobytes(), source.size, str(path))
        if line_breaks_converted(source.read, header, source.size):
            raise RecordingError(f"{path}: {LINE_BREAKS_CHANGED}.")
        if not header.n_records and not allow_empty:
            raise RecordingError(f"{path}: has a header but not one whole data record; export or copy the recording again.")
        return EdfRecording(source, header)
    except BaseException:
        source.close()
        raise


class EdfRecording:
    """An open EDF or BDF file; see `sleepfm.recording.recording.Recording` for what each member means.

    Reading is thread-safe. Every read raises RecordingChangedError when the file vanished, shrank or was replaced.
    """

    def __init__(self, source: Source, header: Header) -> None:
        self.path: Path = source.path
        self.format: str = header.format
        self.patient: str = header.patient
        self.simulated: bool = says_simulated((header.patient, header.recording))
        self._source = source
        self._header = header
        self._stamp_signals = [index for index, signal in enumerate(header.signals) if signal.is_annotation and signal.samples]
        self._first_onset, self._segments, time_problems = self._place_records()
        self._segment_starts = [segment.start_s for segment in self._segments]
        self._segment_stops = [segment.start_s + float(segment.n_records * header.record_s) for segment in self._segments]
        self.start: datetime | None = header.start and header.start + timedelta(seconds=self._first_onset)
        self.duration_s: float = self._segment_stops[-1] if self._segments else 0.0
        self.gaps: tuple[tuple[float, float], ...] = tuple(zip(self._segment_stops, self._segment_starts[1:], strict=False))
        self.channels: tuple[Channel, ...] = _channels(header)
        self._by_index = {channel.index: channel for channel in self.channels}
        self._problems = (*header.problems, *_problems_among_signals(header), *time_problems)
        self._annotation_problems: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file as a whole; unreadable annotations join once `annotations` was called."""
        return self._problems + self._annotation_problems

    def segments(self) -> tuple[tuple[float, float], ...]:
        """Return the contiguous pieces (start_s, stop_s) between gaps."""
        return tuple(zip(self._segment_starts, self._segment_stops, strict=True))

    def channel(self, index: int) -> Channel:
        """Return the channel with this file index; RequestError when there is none."""
        try:
            return self._by_index[index]
        except KeyError:
            raise RequestError(f"{self.path}: has no channel with index {index}; `sleepfm inspect` lists them.") from None

    def read(self, index: int, start_s: float, stop_s: float) -> np.ndarray:
        """Return float32 samples in `Channel.unit` with start_s <= time < stop_s; NaN in gaps and outside the recording."""
        return self.read_many((index,), start_s, stop_s)[0]

    def read_many(self, indices: Sequence[int], start_s: float, stop_s: float) -> list[np.ndarray]:
        """Return what `read` returns for each index, fetching every data record once.

        Raises
        ------
        RequestError
            Unknown channel, or a window whose ends are not finite or not in order.
        RecordingChangedError
            The file changed under the open recording.
        """
        if not (math.isfinite(start_s) and math.isfinite(stop_s) and start_s <= stop_s):
            raise RequestError(f"{self.path}: a window from {start_s} s to {stop_s} s cannot be read.")
        self._source.check()
        channels = [self.channel(index) for index in indices]
        firsts = [first_sample(start_s, channel.rate_hz) for channel in channels]
        windows = [
            np.full(first_sample(stop_s, channel.rate_hz) - first, np.nan, dtype=np.float32)
            for channel, first in zip(channels, firsts, strict=True)
        ]
        slack = max((1.0 / channel.rate_hz for channel in channels), default=0.0)  # a segment's start rounds to the sample grid
        touched = slice(bisect_left(self._segment_stops, start_s - slack), bisect_right(self._segment_starts, stop_s + slack))
        for segment in self._segments[touched]:
            self._fill(segment, channels, firsts, windows)
        return windows

    def digital(self, index: int, segment: int) -> np.ndarray:
        """Return all digital samples of one contiguous segment, (n,) int16 (EDF) or int32 (BDF)."""
        channel = self.channel(index)
        if not 0 <= segment < len(self._segments):
            raise RequestError(f"{self.path}: has {len(self._segments)} contiguous segments; there is no segment {segment}.")
        piece = self._segments[segment]
        samples = self._header.signals[channel.index].samples
        whole = np.empty(piece.n_records * samples, dtype=np.int16 if self._header.sample_bytes == 2 else np.int32)
        first = piece.first_record
        for record, (digital,) in iterate_digital(self._source, self._header, (index,), first, first + piece.n_records):
            whole[(record - first) * samples :][: digital.size] = digital
        return whole

    def annotations(self) -> tuple[Annotation, ...]:
        """Return the file's annotations in order of onset (seconds from the recording's start), without time-keeping ones."""
        found: list[Annotation] = []
        malformed = 0
        for index in self._stamp_signals:
            rows = self._annotation_bytes(index)
            for row in rows:
                some, bad = parse_tals(row.tobytes())
                found.extend(replace(one, onset_s=one.onset_s - self._first_onset) for one in some)
                malformed += bad
        self._annotation_problems = (f"{malformed} annotations are malformed and left out.",) if malformed else ()
        return tuple(sorted(found, key=lambda one: one.onset_s))

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def __enter__(self) -> EdfRecording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fill(self, segment: Segment, channels: list[Channel], firsts: list[int], windows: list[np.ndarray]) -> None:
        """Copy into the windows what this segment holds of them; `firsts` are the windows' first sample numbers."""
        parts = []
        for channel, first, window in zip(channels, firsts, windows, strict=True):
            samples = self._header.signals[channel.index].samples
            begin = round(segment.start_s * channel.rate_hz)
            low, high = max(first - begin, 0), min(first - begin + window.size, segment.n_records * samples)
            if low < high:
                parts.append((channel, samples, low, high, window[begin + low - first : begin + high - first]))
        if not parts:
            return
        start = segment.first_record + min(low // samples for _, samples, low, _, _ in parts)
        stop = segment.first_record + max(-(-high // samples) for _, samples, _, high, _ in parts)
        indices = tuple(channel.index for channel, *_ in parts)
        for record, block in iterate_digital(self._source, self._header, indices, start, stop):
            for digital, (channel, samples, low, high, target) in zip(block, parts, strict=True):
                at = (record - segment.first_record) * samples
                begin, end = max(low, at), min(high, at + digital.size)
                if begin < end:
                    target[begin - low : end - low] = digital[begin - at : end - at] * channel.gain + channel.offset

    def _annotation_bytes(self, index: int, records: slice = slice(None), most: int | None = None) -> np.ndarray:
        """Return the first bytes (`most`, else all) of an annotation signal in the given records, (n_records, n_bytes) uint8."""
        header, starts = self._header, self._header.signal_starts
        first, stop, _ = records.indices(header.n_records)
        length = starts[index + 1] - starts[index]
        offset = header.data_offset + first * header.record_bytes + starts[index]
        return self._source.read_strided(offset, min(length, most or length), header.record_bytes, stop - first)

    def _onsets(self, records: slice) -> list[float | None]:
        rows = self._annotation_bytes(self._stamp_signals[0], records, _STAMP_BYTES)
        return [record_onset(row.tobytes()) for row in rows]

    def _place_records(self) -> tuple[float, tuple[Segment, ...], tuple[str, ...]]:
        """Return the first record's onset after the header's start time, the segments, and problems."""
        header = self._header
        whole = contiguous(header.n_records)
        if not header.n_records:
            return 0.0, whole, ("There are no data records.",)
        if not self._stamp_signals:
            plus = "+" in header.format
            return 0.0, whole, (f"An {header.format} file must have an annotation signal; this one has none.",) if plus else ()
        (first,) = self._onsets(slice(0, 1))
        if first is None:
            first, problems = 0.0, ["The first data record has no readable time; it is taken to begin at the start time."]
        else:
            problems = [f"The recording starts {first:g} s after the header's start time."] if first else []
        has_data = any(not signal.is_annotation and signal.samples for signal in header.signals)
        if not has_data or header.n_records == 1:
            return first, whole, tuple(problems)
        if not header.discontinuous:
            (last,) = self._onsets(slice(header.n_records - 1, header.n_records))
            expected = first + float((header.n_records - 1) * header.record_s)
            if last is None or abs(last - expected) <= _CONTIGUOUS_TOLERANCE_S:
                return first, whole, tuple(problems)
            problems.append(
                f"The file calls itself contiguous, but its last data record is stamped {last:g} s, not {expected:g} s."
            )
        fastest = max(signal.samples for signal in header.signals if not signal.is_annotation)
        tolerance = max(float(header.record_s) / fastest / 2, _STAMP_TOLERANCE_S)
        onsets = self._onsets(slice(None))
        if not header.discontinuous:
            tolerance = max(tolerance, _CONTIGUOUS_TOLERANCE_S)
        segments, found = segments_from_onsets([first, *onsets[1:]], header.record_s, tolerance)
        return first, segments, (*problems, *found)


def _channels(header: Header) -> tuple[Channel, ...]:
    return channels_from(
        [
            (index, float(signal.samples / header.record_s), signal)
            for index, signal in enumerate(header.signals)
            if signal.samples and not signal.is_annotation
        ]
    )


def _problems_among_signals(header: Header) -> list[str]:
    problems = [
        f"Signal {index} {signal.label!r} has no samples and is left out."
        for index, signal in enumerate(header.signals)
        if not signal.samples
    ]
    problems += label_problems(
        (index, signal.label) for index, signal in enumerate(header.signals) if signal.samples and not signal.is_annotation
    )
    if header.record_s.denominator != 1:
        problems.append(f"A data record lasts {float(header.record_s):g} s, not a whole number of seconds.")
    return problems
