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
_AROUND_S = 0.1
"""Before and after a beat, to see whether it looks like the others."""
_ALIKE = 0.66
"""Correlation with the usual beat below which a lead shows none (Orphanidou et al. 2015, doi:10.1109/JBHI.2014.2338351) ..."""
_ALIKE_NEIGHBOURS = 9
"""... in the median over so many beats: an extra beat may look different."""
_BLOCK_S = 30.0
"""The usual beat is that of most half minutes: hum is taken for more beats than a heart has, but not for longer."""
_PEAKED = 0.7
"""Share of a usual beat's energy in the middle half of what is looked at; a QRS has nearly all there, hum a half."""


def find_beats(recording: Recording, channel: Channel, progress: Progress = silent) -> list[np.ndarray]:
    """Return the times of the beats in s from the recording's start, one float64 array a contiguous piece of it.

    A piece that is flat, or shorter than 5 s, has none. Where a lead is off the finder takes noise or hum for beats: those that
    do not look like the usual beat of the recording are left out.
    """
    from sleepecg import detect_heartbeats

    pieces, shapes = [], []
    segments = recording.segments()
    for number, (start_s, stop_s) in enumerate(segments):
        progress(number / len(segments), f"finding heart beats in {channel.label}")
        samples = recording.read(channel.index, start_s, stop_s)
        samples = samples[np.isfinite(samples)]  # a segment has samples from its start to its end; NaN only at its rounded edges
        if len(samples) < _SHORTEST_PIECE_S * channel.rate_hz or np.ptp(samples) == 0:
            found = np.empty(0, dtype=np.int64)
        else:
            found = detect_heartbeats(samples.astype(np.float64), channel.rate_hz)
        pieces.append(start_s + found / channel.rate_hz)
        shapes.append(_shapes(samples, found, max(2, round(_AROUND_S * channel.rate_hz))))
    alike = _alike(np.concatenate(shapes), np.concatenate(pieces))
    ends = np.cumsum([len(piece) for piece in pieces])[:-1]
    return [piece[good] for piece, good in zip(pieces, np.split(alike, ends), strict=True)]


def _shapes(samples: np.ndarray, beats: np.ndarray, around: int) -> np.ndarray:
    """Return (beats, 2 * around + 1) float32: the signal around each beat, without its mean, of length 1."""
    at = np.clip(beats[:, None] + np.arange(-around, around + 1), 0, max(len(samples) - 1, 0))
    shapes = samples[at] if len(beats) else np.zeros(at.shape, dtype=np.float32)
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    length = np.linalg.norm(shapes, axis=1, keepdims=True)
    return (shapes / np.where(length > 0, length, 1)).astype(np.float32)


def _alike(shapes: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """Return which beats (n,) look, with those around them, like the usual one."""
    blocks = (beats // _BLOCK_S).astype(np.int64)
    by_block = [np.median(shapes[blocks == block], axis=0) for block in np.unique(blocks)]
    peaked = [shape for shape in by_block if _is_peaked(shape)]
    if not peaked:
        return np.zeros(len(beats), dtype=bool)
    usual = np.median(peaked, axis=0)
    likeness = shapes @ usual / (float(np.linalg.norm(usual)) or 1.0)
    padded = np.pad(likeness, _ALIKE_NEIGHBOURS // 2, mode="edge")
    alike: np.ndarray = np.median(np.lib.stride_tricks.sliding_window_view(padded, _ALIKE_NEIGHBOURS), axis=-1) >= _ALIKE
    return alike


def _is_peaked(shape: np.ndarray) -> bool:
    quarter = len(shape) // 4
    energy = float((shape**2).sum())
    return energy > 0 and float((shape[quarter : len(shape) - quarter] ** 2).sum()) >= _PEAKED * energy


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
