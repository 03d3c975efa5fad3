"""Data records to digital samples: which bytes to fetch, and 16- and 24-bit integers from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sleepfm.recording._header import Header
from sleepfm.recording._source import Source

_BLOCK_BYTES = 8 << 20
"""Records are fetched in blocks of about this size, so that whole nights need little memory."""


def iterate_digital(
    source: Source, header: Header, indices: Sequence[int], first: int, last: int
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield (record, samples of each signal from that record on) in blocks, for records first to last - 1.

    Samples are int16 (EDF) or int32 (BDF), native byte order, one array for each of `indices`.
    """
    starts = header.signal_starts
    low = min(starts[index] for index in indices)
    high = max(starts[index + 1] for index in indices)
    step = max(1, _BLOCK_BYTES // header.record_bytes)
    for record in range(first, last, step):
        count = min(step, last - record)
        offset = header.data_offset + record * header.record_bytes + low
        rows = source.read_strided(offset, high - low, header.record_bytes, count)
        yield record, [integers(rows[:, starts[i] - low : starts[i + 1] - low], header.sample_bytes) for i in indices]


def integers(rows: np.ndarray, sample_bytes: int) -> np.ndarray:
    """Return the little-endian integers of 2 or 3 bytes in uint8 of any shape, flattened: int16 or int32."""
    flat = np.ascontiguousarray(rows).reshape(-1)
    if sample_bytes == 2:
        return flat.view("<i2").astype(np.int16, copy=False)
    wide = np.zeros((flat.size // 3, 4), dtype=np.uint8)
    wide[:, 1:] = flat.reshape(-1, 3)
    return wide.reshape(-1).view("<i4").astype(np.int32, copy=False) >> 8
