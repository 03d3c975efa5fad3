"""Heart beats in an ECG (sleepecg's form of Pan & Tompkins 1985, doi:10.1109/TBME.1985.325532) and the rate that they give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sleepfm.progress import Progress, silent
from sleepfm.recording.recording import Channel, Recording

LEAST_ECG_RATE_HZ = 60.0
"""The beat finder filters from 5 to 30 Hz; a slower channel cannot hold that."""
_INTERVALS_S = (60 / 220, 60 / 25)
"""From beat to beat in a sleeper, in s."""
_TO_NEIGHBOURS = (0.5, 1.6)
"""An interval is believed while it is so many times the median of those around it: a missed beat doubles it, a false one halves
it."""
_NEIGHBOURS = 9
_SPAN_S = 5
"""The rate of a second is that of the beats in so many seconds around it ..."""
_LEAST_INTERVALS = 2
"""... when there are so many intervals."""
_SHORTEST_PIECE_S = 5.0


def find_beats(recording: Recording, channel: Channel, progress: Progress = silent) -> list[np.ndarray]:
    """Return the times of the beats in s from the recording's start, one float64 array a contiguous piece of it.

    A piece that is flat, or shorter than 5 s, has none.
    """
    from sleepecg import detect_heartbeats

    pieces = []
    segments = recording.segments()
    for number, (start_s, stop_s) in enumerate(segments):
        progress(number / len(segments), f"finding heart beats in {channel.label}")
        samples = recording.read(channel.index, start_s, stop_s).astype(np.float64)
        samples = samples[np.isfinite(samples)]  # a segment has samples from its start to its end; NaN only at its rounded edges
        if len(samples) < _SHORTEST_PIECE_S * channel.rate_hz or np.ptp(samples) == 0:
            pieces.append(np.empty(0))
            continue
        pieces.append(start_s + detect_heartbeats(samples, channel.rate_hz) / channel.rate_hz)
    return pieces


def heart_rate(pieces: Sequence[np.ndarray], seconds: int) -> np.ndarray:
    """Return the heart rate of each second, (seconds,) float32 in bpm; NaN where fewer than two believable intervals are near.

    Parameters
    ----------
    pieces
        Times of beats in s, one array a contiguous piece: no interval spans a gap.
    """
    count, total = np.zeros(seconds + 1), np.zeros(seconds + 1)
    for beats in pieces:
        intervals = np.diff(beats)
        good = believable(intervals)
        second = np.minimum((beats[:-1] + intervals / 2).astype(np.int64), seconds)[good]
        count += np.bincount(second, minlength=seconds + 1)
        total += np.bincount(second, weights=intervals[good], minlength=seconds + 1)
    window = np.ones(_SPAN_S)
    near, span = (np.convolve(values[:seconds], window, mode="same")[:seconds] for values in (count, total))
    rate = np.full(seconds, np.nan, dtype=np.float32)
    enough = near >= _LEAST_INTERVALS
    rate[enough] = 60 * near[enough] / span[enough]
    return rate


def believable(intervals: np.ndarray) -> np.ndarray:
    """Return which intervals between beats (n,) in s can be a heart's: 0.27 to 2.4 s and like those around them."""
    if not len(intervals):
        return np.zeros(0, dtype=bool)
    padded = np.pad(intervals, _NEIGHBOURS // 2, mode="edge")
    usual = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBOURS), axis=-1)
    ratio = intervals / usual
    within = (intervals >= _INTERVALS_S[0]) & (intervals <= _INTERVALS_S[1])
    good: np.ndarray = within & (ratio > _TO_NEIGHBOURS[0]) & (ratio < _TO_NEIGHBOURS[1])
    return good
