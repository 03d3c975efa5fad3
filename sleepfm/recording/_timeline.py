"""Where the data records of a file lie in time: contiguous segments and the gaps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

LONGEST_GAP_S = 7 * 86400
"""Nobody waits a week between two parts of a recording; a time stamp that says so is wrong."""

_GRID = 1e-6
"""Times closer than this part of a sample to the sample grid are on it."""


@dataclass(frozen=True)
class Segment:
    """Contiguous records: `n_records` from `first_record`, starting `start_s` seconds after the recording's start."""

    start_s: float
    first_record: int
    n_records: int


def contiguous(n_records: int) -> tuple[Segment, ...]:
    """Return the one segment of a file without gaps, none for a file without records."""
    return (Segment(0.0, 0, n_records),) if n_records else ()


def segments_from_onsets(
    onsets: Sequence[float | None], record_s: Fraction, tolerance_s: float
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Group records into contiguous segments by their time-keeping onsets.

    A record that begins within `tolerance_s` of the end of the one before continues it. One that begins earlier overlaps: it is
    placed right after (a sample cannot be at two times) and reported. One without an onset is taken as contiguous, and so is one
    whose onset cannot be right: the next record goes back behind it, or it leaves a gap of more than a week.

    Returns
    -------
    segments, problems
        Starts are relative to the first record.
    """
    if not onsets:
        return (), ()
    first = next((onset for onset in onsets if onset is not None), 0.0)
    segments: list[Segment] = []
    start, begin = 0.0, 0
    overlapping = missing = wrong = 0
    for record, (onset, following) in enumerate(zip(onsets, [*onsets[1:], None], strict=True)):
        expected = start + float((record - begin) * record_s)
        if onset is None:
            missing += 1
        elif onset - first > expected + tolerance_s and (
            (following is not None and following < onset - tolerance_s) or onset - first - expected > LONGEST_GAP_S
        ):
            wrong += 1
        elif onset - first > expected + tolerance_s:
            if record > begin:
                segments.append(Segment(start, begin, record - begin))
            start, begin = onset - first, record
        elif onset - first < expected - tolerance_s:
            overlapping += 1
    segments.append(Segment(start, begin, len(onsets) - begin))
    problems = []
    if overlapping:
        problems.append(f"{overlapping} data records begin before the one before them ends; they are placed one after the other.")
    if missing:
        problems.append(f"{missing} data records have no readable time; they are taken to follow the one before.")
    if wrong:
        problems.append(f"{wrong} data records have a time that cannot be right; they are taken to follow the one before.")
    return tuple(segments), tuple(problems)


def first_sample(time_s: float, rate_hz: float) -> int:
    """Return the number of the first sample at or after a time."""
    position = time_s * rate_hz
    nearest = round(position)
    return nearest if abs(position - nearest) <= _GRID * max(1.0, abs(position) * 1e-6) else math.ceil(position)
