"""Samples as int16 codes with a scale and an offset: two bytes a sample, gaps included, an error that cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GAP_CODE = -32768
"""The code that stands for "no sample here"."""
CODE_LIMIT = 32767


@dataclass(frozen=True)
class SampleCodes:
    """value = offset + scale * code; `codes` is little-endian int16 of the shape of what was encoded."""

    codes: np.ndarray
    scale: float
    offset: float


def encode(values: np.ndarray) -> SampleCodes:
    """Return the codes of some values, NaN as GAP_CODE; half a scale step, 1/131,068 of their range, is the largest error."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = (high - low) / (2 * CODE_LIMIT) or 1.0
    offset = (low + high) / 2
    code = np.clip(np.rint((values - offset) / scale), -CODE_LIMIT, CODE_LIMIT)
    return SampleCodes(np.where(np.isfinite(values), code, GAP_CODE).astype("<i2"), scale, offset)


def decode(codes: np.ndarray, scale: float, offset: float) -> np.ndarray:
    """Return the float64 values behind int16 codes, NaN for gaps."""
    return np.where(codes == GAP_CODE, np.nan, offset + scale * codes.astype(np.float64))
