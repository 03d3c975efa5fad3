"""The samples of a WFDB signal file: whole-byte integers, or two 12-bit samples in three bytes.

Formats: signal(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/signal-5.htm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from sleepfm.recording._records import integers
from sleepfm.recording._source import Source


@dataclass(frozen=True)
class SampleFormat:
    """How samples lie in a file: `samples` of them in every `group` bytes, and the range that they can have.

    The lowest value says that there is no valid sample.
    """

    name: str
    group: int
    samples: int
    lowest: int
    decode: Callable[[np.ndarray], np.ndarray]

    @property
    def highest(self) -> int:
        """The highest value."""
        return -self.lowest - 1

    @property
    def dtype(self) -> type[np.int16] | type[np.int32]:
        """The type that holds every value."""
        return np.int16 if self.lowest >= -(2**15) else np.int32

    def count(self, n_bytes: int) -> int:
        """Return how many whole samples some bytes hold."""
        groups, rest = divmod(max(n_bytes, 0), self.group)
        return groups * self.samples + (self.samples > 1 and rest > 1)  # 212: two bytes hold the first of a pair

    def read(self, source: Source, offset: int, first: int, last: int) -> np.ndarray:
        """Return the samples first to last - 1 of those that begin at byte `offset`, (last - first,) int16 or int32."""
        begin, end = first // self.samples, -(-last // self.samples)
        raw = source.read_up_to(offset + begin * self.group, (end - begin) * self.group)
        short = -raw.size % self.group
        values = self.decode(np.concatenate([raw, np.zeros(short, np.uint8)]) if short else raw)
        return values[first - begin * self.samples :][: last - first]


def _pairs_of_12_bits(raw: np.ndarray) -> np.ndarray:
    """Return the samples of format 212: low byte, both high nibbles (the first sample's low), low byte of the second."""
    triplets = raw.reshape(-1, 3).astype(np.int16)
    pairs = np.empty((len(triplets), 2), dtype=np.int16)
    pairs[:, 0] = triplets[:, 0] | ((triplets[:, 1] & 0x0F) << 8)
    pairs[:, 1] = triplets[:, 2] | ((triplets[:, 1] & 0xF0) << 4)
    flat = pairs.reshape(-1)
    return np.where(flat > 2047, flat - 4096, flat).astype(np.int16)


def _as(dtype: str, shift: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    def decode(raw: np.ndarray) -> np.ndarray:
        values = raw.view(dtype)
        native = np.int32 if values.dtype.itemsize == 4 else np.int16
        return (values.astype(np.int32) - shift).astype(native) if shift else values.astype(native, copy=False)

    return decode


FORMATS: dict[str, SampleFormat] = {
    one.name: one
    for one in (
        SampleFormat("16", 2, 1, -(2**15), partial(integers, sample_bytes=2)),
        SampleFormat("212", 3, 2, -(2**11), _pairs_of_12_bits),
        SampleFormat("24", 3, 1, -(2**23), partial(integers, sample_bytes=3)),
        SampleFormat("32", 4, 1, -(2**31), _as("<i4")),
        SampleFormat("61", 2, 1, -(2**15), _as(">i2")),
        SampleFormat("80", 1, 1, -(2**7), _as("u1", 2**7)),
        SampleFormat("160", 2, 1, -(2**15), _as("<u2", 2**15)),
    )
}
"""The formats that are read, by their number in the header."""
