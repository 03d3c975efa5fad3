"""Multitaper spectrogram of a whole night: one spectrum an epoch, so that it lines up with the hypnogram."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import fft

from sleepfm.vocabulary import EPOCH_S

SEGMENT_S = 6.0
"""Length of one tapered segment; five of them make an epoch."""
TIME_HALF_BANDWIDTH = 3.0
"""NW of the Slepian tapers: a resolution of 2·NW/SEGMENT_S = 1 Hz, with 2·NW - 1 = 5 tapers
(Prerau et al., Physiology 2017, 32:60-92)."""
LOW_HZ = 0.5
HIGH_HZ = 30.0
EPOCHS_AT_ONCE = 64


@dataclass(frozen=True)
class Spectrogram:
    """Power over the night.

    Attributes
    ----------
    frequencies_hz
        (n_frequencies,) from 0.5 to 30 Hz, or to the Nyquist frequency when that is lower.
    times_s
        (n_epochs,) start of each 30-s epoch from the recording's start.
    power_db
        (n_epochs, n_frequencies) float32, dB re 1 unit²/Hz (µV²/Hz for an EEG in µV); NaN where an epoch has no whole segment.
    """

    frequencies_hz: np.ndarray
    times_s: np.ndarray
    power_db: np.ndarray


def multitaper(x: np.ndarray, rate_hz: float) -> Spectrogram:
    """Return the multitaper spectrogram of one channel, an epoch of 30 s at a time.

    Each epoch is cut into five segments of 6 s; a segment's spectrum is the mean over five Slepian tapers of the one-sided
    periodogram after its mean is taken off, an epoch's the mean over its segments. A segment with a NaN (gap) is left out.

    Parameters
    ----------
    x
        (n_samples,) the signal in its unit (µV for EEG; not z-scored, else the dB mean nothing), NaN in gaps.
    rate_hz
        Sampling rate in Hz, more than 1 (the lowest frequency is 0.5 Hz).

    Returns
    -------
    Spectrogram
        One row per started epoch.
    """
    if rate_hz <= 2 * LOW_HZ:
        raise ValueError(f"a spectrogram from {LOW_HZ} Hz needs a rate above {2 * LOW_HZ} Hz, not {rate_hz}")
    from scipy.signal import windows

    segment = round(SEGMENT_S * rate_hz)
    segments = round(EPOCH_S / SEGMENT_S)
    n_epochs = max(1, int(np.ceil(len(x) / (EPOCH_S * rate_hz) - 1e-9))) if len(x) else 0
    tapers_kt = windows.dpss(segment, TIME_HALF_BANDWIDTH, Kmax=int(2 * TIME_HALF_BANDWIDTH) - 1).astype(np.float32)
    frequencies_hz = fft.rfftfreq(segment, 1 / rate_hz)
    shown = (frequencies_hz >= LOW_HZ - 1e-9) & (frequencies_hz <= HIGH_HZ + 1e-9)
    density_f = np.full(frequencies_hz.size, 2.0 / rate_hz)
    if segment % 2 == 0:
        density_f[-1] /= 2  # the Nyquist line has no mirror image
    power_ef = np.full((n_epochs, int(shown.sum())), np.nan, dtype=np.float32)
    # Segment starts are rounded one by one, so that a fractional rate does not drift over the night.
    starts_es = np.round((np.arange(n_epochs)[:, None] * EPOCH_S + np.arange(segments) * SEGMENT_S) * rate_hz).astype(np.int64)
    for first in range(0, n_epochs, EPOCHS_AT_ONCE):
        starts = starts_es[first : first + EPOCHS_AT_ONCE]
        index = starts[:, :, None] + np.arange(segment)
        x_est = np.where(index < len(x), x[np.minimum(index, len(x) - 1)], np.nan).astype(np.float32)
        x_est -= x_est.mean(axis=2, keepdims=True)
        whole_es = np.isfinite(x_est[:, :, 0])
        sum_ef = np.zeros((len(starts), int(shown.sum())))
        for taper_t in tapers_kt:
            spectrum = fft.rfft(np.where(whole_es[:, :, None], x_est, 0) * taper_t, axis=2)[:, :, shown]
            sum_ef += (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
        count_e = whole_es.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_ef = sum_ef / (count_e[:, None] * len(tapers_kt)) * density_f[shown]
        # 1e-6 µV² per Hz is far below any amplifier's noise: a flat line gets this floor instead of minus infinity.
        power_ef[first : first + len(starts)] = 10 * np.log10(np.maximum(mean_ef, 1e-6))
    return Spectrogram(frequencies_hz[shown], np.arange(n_epochs) * EPOCH_S, power_ef)


def write_spectrogram(path: Path, spectrogram: Spectrogram) -> None:
    """Store a spectrogram as npz, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                frequencies_hz=spectrogram.frequencies_hz,
                times_s=spectrogram.times_s,
                power_db=spectrogram.power_db.astype(np.float16),
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_spectrogram(path: Path) -> Spectrogram:
    """Return what `write_spectrogram` stored (power to float16 precision)."""
    with np.load(path, allow_pickle=False) as stored:
        return Spectrogram(stored["frequencies_hz"], stored["times_s"], stored["power_db"].astype(np.float32))
