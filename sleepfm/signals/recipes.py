"""Recipes: how a channel at its native rate becomes a standardised signal at 128 Hz.

`published` is what the released SleepFM models were trained on; `hq` resamples without aliases. Both end in a z-score over
the samples that are present, so a channel's gain and offset cancel and a recipe may run on raw digital values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.signals import published_resampling, soxr_resampling
from sleepfm.vocabulary import MODEL_RATE_HZ


class Resampler(Protocol):
    """Brings one contiguous piece to 128 Hz (see `published_resampling.resample`)."""

    def __call__(self, samples: np.ndarray, rate_hz: float, first_s: float, centre: float, out: np.ndarray) -> None:
        """Write the resampled piece, less `centre`, into `out`."""
        ...


RECIPES: dict[str, Resampler] = {"published": published_resampling.resample, "hq": soxr_resampling.resample}
"""The recipes by the name that `--recipe` takes and that files and models record."""

_GRID_SLACK = 1e-6
"""Fraction of an output sample by which a time may miss the 128-Hz grid through rounding and still lie on it."""
_FLAT = 1e-7
"""A result this small beside its input's range is the filter's rounding, not a signal."""
_BLOCK = 2**16


class UnusableChannelError(SleepFMError):
    """A channel holds nothing to standardise; the message is the reason, without the channel's name."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Contiguous samples of one channel.

    Attributes
    ----------
    start_s
        Time of the first sample in seconds from the recording's start.
    samples
        (n,) integers or floats, digital or physical.
    """

    start_s: float
    samples: np.ndarray


@dataclass(frozen=True, eq=False)
class Standardised:
    """A channel ready for the model.

    Attributes
    ----------
    z
        (n,) float32 at 128 Hz from the recording's start: mean 0 and standard deviation 1 over the samples present, 0 in gaps,
        0 everywhere when the channel is flat.
    mean, std
        Of the resampled signal in original units: original = z * std + mean. A flat channel has std 0.
    flat
        The channel never changes.
    """

    z: np.ndarray
    mean: float
    std: float
    flat: bool


def samples_at_model_rate(duration_s: float) -> int:
    """Return how many samples of the 128-Hz grid lie in [0, duration_s): whole ones only, as the published code counts."""
    return math.floor(duration_s * MODEL_RATE_HZ + _GRID_SLACK)


def standardise(
    recipe: str, pieces: Sequence[Piece], rate_hz: float, duration_s: float, *, gain: float = 1.0, offset: float = 0.0
) -> Standardised:
    """Apply a recipe to one channel.

    Parameters
    ----------
    recipe
        A name of `RECIPES`.
    pieces
        The channel's contiguous pieces in time order; what lies between them is a gap. Nothing is filtered or interpolated
        across a gap.
    rate_hz
        Native rate in Hz.
    duration_s
        Of the recording, gaps included; the result has floor(128 * duration_s) samples, the sample k at k / 128 s. (The
        published code divides the recording evenly into that number of samples instead: the same grid where 128 * duration_s
        is whole, else one that is up to one sample late at the end.)
    gain, offset
        original = sample * gain + offset. A negative gain turns the signal over.

    Raises
    ------
    RequestError
        The recipe is not known.
    UnusableChannelError
        No samples, values that are not numbers, or a scale that is not usable.
    """
    if recipe not in RECIPES:
        raise RequestError(f"unknown recipe {recipe!r}: use one of {', '.join(sorted(RECIPES))}")
    pieces = [piece for piece in pieces if len(piece.samples)]
    _refuse_unusable(pieces, rate_hz, gain, offset)
    low = min(float(piece.samples.min()) for piece in pieces)
    high = max(float(piece.samples.max()) for piece in pieces)
    z = np.zeros(samples_at_model_rate(duration_s), np.float32)
    laid = [(piece, span) for piece in pieces if (span := _span(piece, rate_hz, len(z))).start < span.stop]
    if low == high or not laid:
        return Standardised(z, low * gain + offset, 0.0, flat=True)
    centre = _near_mean(pieces)
    for piece, span in laid:
        first_s = max(0.0, span.start / MODEL_RATE_HZ - piece.start_s)
        RECIPES[recipe](piece.samples, rate_hz, first_s, centre, z[span])
    mean, std = _standardise_in_place(z, [span for _, span in laid])
    flat = std <= _FLAT * (high - low)
    if flat:
        z[:] = 0
    elif gain < 0:
        np.negative(z, out=z)
    return Standardised(z, (mean + centre) * gain + offset, 0.0 if flat else std * abs(gain), flat)


def _refuse_unusable(pieces: Sequence[Piece], rate_hz: float, gain: float, offset: float) -> None:
    if not pieces or not rate_hz > 0:
        raise UnusableChannelError("it has no samples")
    for piece in pieces:
        if piece.samples.dtype.kind == "f" and not np.isfinite(piece.samples).all():
            bad = int(np.count_nonzero(~np.isfinite(piece.samples)))
            raise UnusableChannelError(f"{bad} of its values are not numbers (NaN or infinite)")
    if not (math.isfinite(gain) and math.isfinite(offset)) or gain == 0:
        raise UnusableChannelError("its header gives no usable scale (physical minimum and maximum)")


def _span(piece: Piece, rate_hz: float, n: int) -> slice:
    """Return the output samples whose times lie in the piece: from its first sample to the end of its last one."""
    stop_s = piece.start_s + len(piece.samples) / rate_hz
    start = math.ceil(piece.start_s * MODEL_RATE_HZ - _GRID_SLACK)
    stop = math.ceil(stop_s * MODEL_RATE_HZ - _GRID_SLACK)
    return slice(max(0, start), min(n, stop))


def _near_mean(pieces: Sequence[Piece]) -> float:
    """Return a whole number near the mean, so that float32 rounds the signal and not its offset; exact for integers."""
    sparse = np.concatenate([piece.samples[::1024] for piece in pieces])
    mean = float(sparse.mean(dtype=np.float64))
    return float(round(mean)) if sparse.dtype.kind in "iu" else mean


def _standardise_in_place(z: np.ndarray, spans: Sequence[slice]) -> tuple[float, float]:
    """Bring the spans of z to mean 0 and standard deviation 1 (two passes, float64 sums); return what they had."""
    n = sum(span.stop - span.start for span in spans)
    mean = math.fsum(float(block.sum(dtype=np.float64)) for block in _blocks(z, spans)) / n
    variance = 0.0
    for block in _blocks(z, spans):
        np.subtract(block, np.float32(mean), out=block)
        variance += float(np.dot(block, block)) / n
    std = math.sqrt(variance)
    if std > 0:
        for block in _blocks(z, spans):
            np.divide(block, np.float32(std), out=block)
    return mean, std


def _blocks(z: np.ndarray, spans: Sequence[slice]) -> Iterator[np.ndarray]:
    """Yield views of z that fit the cache and cover the spans."""
    for span in spans:
        for start in range(span.start, span.stop, _BLOCK):
            yield z[start : min(start + _BLOCK, span.stop)]
