"""Noise whose spectrum follows the state of the sleeper: overlapping frames with random phases, added up.

Frames overlap by half under the square root of a Hann window, whose squares add up to one: the power at any moment is that of the
spectra asked for.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.fft
from threadpoolctl import threadpool_limits

FRAME_S = 4.0
"""Length of a frame: the state is drawn every half of it, and rhythms below 1 / FRAME_S do not exist here."""
_FRAMES_AT_ONCE = 96


def frame_times(duration_s: float) -> np.ndarray:
    """Return the (n_frames,) centres in seconds of the frames that cover 0 to `duration_s`."""
    return np.arange(int(np.ceil(duration_s / (FRAME_S / 2))) + 1) * (FRAME_S / 2)


def frame_frequencies(rate_hz: int) -> np.ndarray:
    """Return the (n_freqs,) frequencies in Hz at which spectra are given."""
    return np.fft.rfftfreq(int(FRAME_S * rate_hz), 1 / rate_hz)


def correlated_noise(
    seed: np.random.SeedSequence,
    powers_cmk: np.ndarray,
    shapes_kf: np.ndarray,
    correlation_cc: np.ndarray,
    *,
    n_samples: int,
    rate_hz: int,
    threads: int,
) -> np.ndarray:
    """Draw Gaussian noise for several channels.

    Parameters
    ----------
    seed
        Source of chance; the result does not depend on `threads`.
    powers_cmk
        (channels, frames, components) power of each component at each `frame_times`, in unit².
    shapes_kf
        (components, frequencies) one-sided spectral densities of unit power, 1/Hz, at `frame_frequencies`.
    correlation_cc
        (channels, channels) correlation of the channels, the same at all frequencies.
    n_samples, rate_hz
        Length and rate of the result.
    threads
        Blocks of frames worked on at once.

    Returns
    -------
    np.ndarray
        (channels, n_samples) float32.
    """
    n_channels, n_frames, _ = powers_cmk.shape
    n_frame = int(FRAME_S * rate_hz)
    hop = n_frame // 2
    window = np.sqrt(np.hanning(n_frame + 1)[:-1]).astype(np.float32)
    # One-sided density S gives E|X|² = S rate n / 2 for the transform of a frame, half of it in each of real and imaginary part.
    scale = np.float32(np.sqrt(rate_hz * n_frame / 4))
    mix = np.linalg.cholesky(correlation_cc).astype(np.float32)
    shapes = shapes_kf.astype(np.float32)
    out = np.zeros((n_channels, (n_frames + 1) * hop), dtype=np.float32)
    firsts = list(range(0, n_frames, _FRAMES_AT_ONCE))
    seeds = seed.spawn(len(firsts))

    def frames(block: int) -> np.ndarray:
        rng = np.random.default_rng(seeds[block])
        stop = min(firsts[block] + _FRAMES_AT_ONCE, n_frames)
        power_cmk = powers_cmk[:, firsts[block] : stop].astype(np.float32)
        n = power_cmk.shape[1]
        n_freqs = shapes.shape[1]
        white = rng.standard_normal((n_channels, n * n_freqs * 2), dtype=np.float32)
        spectrum = (mix @ white).view(np.complex64).reshape(n_channels, n, n_freqs)
        spectrum *= np.sqrt(power_cmk @ shapes) * scale
        spectrum[..., 0] = 0
        return scipy.fft.irfft(spectrum, n=n_frame, axis=-1, overwrite_x=True) * window

    def place(block: int, x_cmt: np.ndarray) -> None:
        n = x_cmt.shape[1]
        first = firsts[block]
        for parity in (0, 1):
            part = x_cmt[:, parity::2].reshape(n_channels, -1)
            at = (first + parity) * hop
            out[:, at : at + part.shape[1]] += part
        assert n <= _FRAMES_AT_ONCE

    # BLAS threads of its own would only fight with these over the cores.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for block, x_cmt in enumerate(pool.map(frames, range(len(firsts)))):
            place(block, x_cmt)
    return out[:, hop : hop + n_samples]


def wander(rng: np.random.Generator, n: int, every: float) -> np.ndarray:
    """Return (n,) slow noise of unit variance: a new value every `every` samples, straight lines between."""
    knots = np.arange(0, n + 2 * every, every)
    return np.asarray(np.interp(np.arange(n), knots, rng.normal(0, np.sqrt(1.5), len(knots))))


def unit_shape(freqs: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Scale a spectral density to unit power."""
    return np.asarray(density / (density.sum() * (freqs[1] - freqs[0])))


def peak(freqs: np.ndarray, centre_hz: float, width_hz: float) -> np.ndarray:
    """Return a rhythm's spectral density of unit power: a Gaussian around its frequency."""
    return unit_shape(freqs, np.exp(-0.5 * ((freqs - centre_hz) / width_hz) ** 2))


def band(freqs: np.ndarray, low_hz: float, high_hz: float, *, exponent: float = 0.0) -> np.ndarray:
    """Return the density of unit power of noise that falls as f^-exponent between two frequencies, with soft edges."""
    f = np.maximum(freqs, freqs[1])
    edges = 1 / (1 + (low_hz / f) ** 6) / (1 + (f / high_hz) ** 8)
    return unit_shape(freqs, f**-exponent * edges)
