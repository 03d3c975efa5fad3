"""Recognising a file whose bytes went through a text-mode conversion of line breaks, which shifts and destroys the samples.

Only files whose size does not match their header are looked at: a conversion changes the size, a sound file keeps it.
Three kinds are known: every LF got a CR, the CRs before LFs were dropped, all CRs were dropped. The first leaves no LF without a
CR, the last no CR at all. The second only takes some bytes away, as a cut-off copy does; what tells it from that is that the
records are shifted by single bytes from somewhere on, so time stamps are not where they belong and, in one and the same signal,
high and low bytes have changed their roles.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sleepfm.recording._header import Header

_PIECE = 2 << 20
"""Bytes looked at from the beginning and from the end of the data."""
_SURE_COUNT = 16
"""So many LFs, each after a CR, do not happen by chance (1/256 each); nor is not one CR there where its neighbours among the
byte values are that frequent."""
_NEIGHBOURS_OF_CR = (0x0B, 0x0C, 0x0E, 0x0F)
_SMOOTHER = 4.0
"""How much smoother a signal must be when read from another byte to count as shifted."""
_FEWEST_SAMPLES = 16
_SHIFTED_RECORDS = 3


def line_breaks_converted(read: Callable[[int, int], np.ndarray], header: Header, size: int) -> bool:
    """Whether the data of a file of `size` bytes look converted; `read(offset, length)` returns uint8."""
    record_bytes, offset = header.record_bytes, header.data_offset
    missing = offset + header.declared_records * record_bytes - size if header.declared_records >= 0 else None
    length = size - offset
    if not record_bytes or length <= 0 or missing == 0 or (missing is None and not header.spare_bytes):
        return False
    pieces = [read(offset, min(length, _PIECE))]
    if length > _PIECE:
        skipped = -(-max(_PIECE, length - _PIECE) // record_bytes) * record_bytes
        pieces.append(read(offset + skipped, max(length - skipped, 0)))
    counts = np.sum([np.bincount(piece, minlength=256) for piece in pieces], axis=0)
    feeds, returns = int(counts[0x0A]), int(counts[0x0D])
    pairs = [np.flatnonzero((piece[:-1] == 0x0D) & (piece[1:] == 0x0A)) for piece in pieces]
    if feeds and sum(map(len, pairs)) == feeds:
        phases = np.bincount(np.concatenate(pairs) % header.sample_bytes, minlength=header.sample_bytes)
        return missing == -feeds or (feeds >= _SURE_COUNT and int(phases.min()) * 8 >= feeds)  # samples of 2573 have one phase
    share = length / sum(piece.size for piece in pieces)
    if missing is not None and not 0 < missing < 4 * share * max(feeds, 1):
        return False
    usual = min(int(counts[value]) for value in _NEIGHBOURS_OF_CR)
    if returns == 0 and usual >= _SURE_COUNT and (missing is None or missing * 4 > share * usual):
        return True
    records = [piece[: piece.size // record_bytes * record_bytes].reshape(-1, record_bytes) for piece in pieces]
    return _records_shift(np.concatenate(records), header)


def _records_shift(records_nb: np.ndarray, header: Header) -> bool:
    """Whether records (n, bytes) that begin well are shifted later on."""
    width = header.sample_bytes
    start = 0
    for signal in header.signals:
        signal_nb = records_nb[:, start : start + signal.samples * width]
        start += signal.samples * width
        if signal.is_annotation:
            stamped = np.isin(signal_nb[:, 0], (ord("+"), ord("-"))) if signal.samples else np.ones(0, dtype=bool)
            if stamped.any() and stamped[0] and not stamped[-1]:
                return True
        elif signal.samples > _FEWEST_SAMPLES:
            roughness = np.stack([_roughness(signal_nb[:, phase:], width) for phase in range(width)])
            shifted = roughness[1:].min(axis=0) * _SMOOTHER < roughness[0]
            aligned = roughness[0] * _SMOOTHER < roughness[1:].min(axis=0)
            if min(np.count_nonzero(shifted), np.count_nonzero(aligned)) >= _SHIFTED_RECORDS:
                return True
    return False


def _roughness(bytes_nb: np.ndarray, width: int) -> np.ndarray:
    """Return the median absolute step between neighbouring little-endian samples of each row."""
    samples = bytes_nb.shape[1] // width
    values = bytes_nb[:, : samples * width].reshape(-1, samples, width).astype(np.int32)
    signed = values[..., -1] - ((values[..., -1] > 127) << 8)
    for byte in range(width - 2, -1, -1):
        signed = (signed << 8) | values[..., byte]
    return np.median(np.abs(np.diff(signed, axis=1)), axis=1) + 1.0
