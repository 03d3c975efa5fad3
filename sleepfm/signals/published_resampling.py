"""The published recipe's resampling, computed only where a sample is kept.

The published code filters a channel that is faster than 128 Hz with a 4th-order Butterworth low-pass at 64 Hz run forwards
and backwards (`scipy.signal.filtfilt`, odd padding), then interpolates linearly at the times of the 128-Hz grid. Away from
the ends that is one linear map that repeats: `step_in` input samples give `step_out` output samples, each a short weighted
sum (the zero-phase impulse response, moved by the interpolation). So the night is cut into rows of `step_in` samples and
multiplied by one small matrix. Near the ends, where the padding of `filtfilt` shows, the real filter runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from sleepfm.vocabulary import MODEL_RATE_HZ

CUTOFF_HZ = MODEL_RATE_HZ / 2
ORDER = 4
PADDING = 15
"""`filtfilt`'s default padding for this filter: three times its five coefficients."""

_TAIL = 1e-7
"""What the cut-off ends of the impulse response may weigh (sum of magnitudes; the whole weighs about 1): float32's own step."""
_LONGEST_REACH = 4096
"""Beyond this reach (rates a hair above 128 Hz, or above 25 kHz) the real filter is cheaper than its impulse response."""
_LARGEST_MATRIX = 2**18
"""More coefficients than this leave the processor's cache: filter at the input rate, then interpolate."""
_ROWS = 1024
"""Rows multiplied at a time: some hundred kB, so that a block stays in cache from conversion to result."""


def resample(samples: np.ndarray, rate_hz: float, first_s: float, centre: float, out: np.ndarray) -> None:
    """Filter and interpolate one contiguous piece into `out`.

    Parameters
    ----------
    samples
        (n,) integers or floats at `rate_hz`, n >= 1, without NaN.
    rate_hz
        Native rate in Hz.
    first_s
        Time of the first output sample after the piece's first sample, in seconds (0 <= first_s).
    centre
        A value near the samples' mean, subtracted before anything is rounded to float32.
    out
        (m,) float32, written: the sample k is the filtered signal less `centre` at first_s + k / 128 s. After the last input
        sample its value is held, as `numpy.interp` does.
    """
    sos, response = _filter(rate_hz)
    reach = len(response) // 2
    if sos is not None and (len(response) == 0 or len(samples) < 8 * reach + 2 * PADDING):
        filtered = _filtfilt(sos, samples - centre)
        out[:] = np.interp(_positions(rate_hz, first_s, 0, len(out)), np.arange(len(filtered)), filtered)
        return
    plan = _plan(rate_hz, round(first_s, 12)) if _drift(rate_hz, len(samples)) < 1e-6 else None
    if plan is not None:
        _multiply(samples, centre, plan, out)
    else:
        every = np.empty(len(samples), np.float32)
        _multiply(samples, centre, _identity_plan(rate_hz), every)
        _interpolate(every, rate_hz, first_s, out)
    if sos is not None:
        _real_filter_at_the_ends(samples, sos, out, settled=2 * reach, rate_hz=rate_hz, first_s=first_s, centre=centre)


@lru_cache(maxsize=32)
def _filter(rate_hz: float) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the low-pass (None when the recipe has none at this rate) and its zero-phase impulse response.

    The response is (2 * reach + 1,), or empty where it would be longer than is worth it.
    """
    if rate_hz <= MODEL_RATE_HZ:
        return None, np.ones(1)
    from scipy import signal

    sos = signal.butter(ORDER, CUTOFF_HZ / (rate_hz / 2), output="sos")
    one_way = signal.sosfilt(sos, signal.unit_impulse(4 * _LONGEST_REACH))
    both_ways = signal.correlate(one_way, one_way, method="direct" if len(one_way) < 512 else "fft")
    middle = len(one_way) - 1
    beyond = np.cumsum(np.abs(both_ways[: middle + 1]))
    reach = middle - int(np.searchsorted(beyond, _TAIL))
    if reach > _LONGEST_REACH:
        return sos, np.empty(0)
    return sos, both_ways[middle - reach : middle + reach + 1]


@dataclass(frozen=True, eq=False)
class _Plan:
    """A map that repeats: the row q takes inputs from q * step_in - reach and gives outputs from q * step_out."""

    step_in: int
    step_out: int
    reach: int
    matrix: np.ndarray
    """(inputs, step_out) float32."""


def _as_fraction(rate_hz: float) -> Fraction:
    return Fraction(rate_hz).limit_denominator(1000)


def _drift(rate_hz: float, n: int) -> float:
    """Return by how many samples the end of the piece would move if the rate were its fraction."""
    return abs(float(_as_fraction(rate_hz)) / rate_hz - 1) * n


@lru_cache(maxsize=32)
def _plan(rate_hz: float, first_s: float) -> _Plan | None:
    """Return the repeating map from `rate_hz` to 128 Hz, or None when its period is too long to be a small matrix."""
    ratio = _as_fraction(rate_hz) / MODEL_RATE_HZ
    response = _filter(rate_hz)[1]
    repeats = max(1, 64 // ratio.denominator)
    step_in, step_out = ratio.numerator * repeats, ratio.denominator * repeats
    if (step_in + len(response)) * step_out > _LARGEST_MATRIX:
        return None
    return _plan_at(_positions(rate_hz, first_s, 0, step_out), step_in, response)


@lru_cache(maxsize=32)
def _identity_plan(rate_hz: float) -> _Plan:
    return _plan_at(np.arange(64.0), 64, _filter(rate_hz)[1])


def _plan_at(positions: np.ndarray, step_in: int, response: np.ndarray) -> _Plan:
    """Return the map whose outputs lie at `positions` (in input samples) of each row."""
    before = np.floor(positions).astype(int)
    weight = positions - before
    matrix = np.zeros((int(before.max()) + len(response) + 1, len(positions)))
    for column, (row, after) in enumerate(zip(before, weight, strict=True)):
        matrix[row : row + len(response), column] += (1 - after) * response
        matrix[row + 1 : row + 1 + len(response), column] += after * response
    return _Plan(step_in, len(positions), len(response) // 2, matrix.astype(np.float32))


def _multiply(samples: np.ndarray, centre: float, plan: _Plan, out: np.ndarray) -> None:
    """Apply the map to the whole piece; outside it the input counts as its last value (right) or `centre` (left)."""
    step_in, step_out = plan.step_in, plan.step_out
    parts = [plan.matrix[start : start + step_in] for start in range(0, len(plan.matrix), step_in)]
    for first in range(0, -(-len(out) // step_out), _ROWS):
        rows = min(_ROWS, -(-len(out) // step_out) - first)
        x_rt = _centred(samples, centre, first * step_in - plan.reach, (rows + len(parts) - 1) * step_in).reshape(-1, step_in)
        y_rt = x_rt[:rows, : len(parts[0])] @ parts[0]
        for shift, part in enumerate(parts[1:], start=1):
            y_rt += x_rt[shift : shift + rows, : len(part)] @ part
        target = out[first * step_out : (first + rows) * step_out]
        target[:] = y_rt.reshape(-1)[: len(target)]


def _centred(samples: np.ndarray, centre: float, start: int, count: int) -> np.ndarray:
    """Return (count,) float32: samples[start:start + count] - centre, with 0 before the piece and its last value after it."""
    block = np.zeros(count, np.float32)
    low, high = max(start, 0), min(start + count, len(samples))
    if low < high:
        np.subtract(samples[low:high], centre, out=block[low - start : high - start], casting="same_kind")
    if high < start + count:
        block[max(high - start, 0) :] = samples[-1] - centre
    return block


def _interpolate(every: np.ndarray, rate_hz: float, first_s: float, out: np.ndarray) -> None:
    """Interpolate linearly at 128 Hz, a block at a time (positions are float64 and would outweigh the night)."""
    block = 2**18
    for start in range(0, len(out), block):
        stop = min(start + block, len(out))
        positions = _positions(rate_hz, first_s, start, stop)
        low = int(positions[0])
        high = min(int(positions[-1]) + 2, len(every))
        out[start:stop] = np.interp(positions - low, np.arange(high - low), every[low:high])


def _real_filter_at_the_ends(
    samples: np.ndarray, sos: np.ndarray, out: np.ndarray, *, settled: int, rate_hz: float, first_s: float, centre: float
) -> None:
    """Overwrite the outputs within `settled` samples of either end, where padding still shows, with the real filter's."""
    n = len(samples)
    head = _filtfilt(sos, samples[: 2 * settled] - centre)
    count = int(np.ceil((settled / rate_hz - first_s) * MODEL_RATE_HZ))
    if count > 0:
        out[:count] = np.interp(_positions(rate_hz, first_s, 0, min(count, len(out))), np.arange(len(head)), head)
    tail = _filtfilt(sos, samples[n - 2 * settled :] - centre)
    start = max(0, int(((n - settled) / rate_hz - first_s) * MODEL_RATE_HZ))
    positions = _positions(rate_hz, first_s, start, len(out)) - (n - 2 * settled)
    out[start:] = np.interp(positions, np.arange(len(tail)), tail)


def _filtfilt(sos: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Run the low-pass forwards and backwards; pieces shorter than the padding are padded by what they have."""
    from scipy import signal

    return signal.sosfiltfilt(sos, x, padlen=min(PADDING, len(x) - 1))


def _positions(rate_hz: float, first_s: float, start: int, stop: int) -> np.ndarray:
    """Return where the outputs start..stop-1 lie, in input samples (float64)."""
    return (first_s + np.arange(start, stop) / MODEL_RATE_HZ) * rate_hz
