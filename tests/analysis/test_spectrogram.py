"""The multitaper spectrogram against scipy's and MNE's spectra, and at its edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from sleepfm.analysis.spectrogram import multitaper, read_spectrogram, write_spectrogram

RATE = 128.0


def noise(seconds: float, rate: float = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * rate)) * 10


def test_a_sine_stands_at_its_frequency_with_its_power() -> None:
    t = np.arange(int(120 * RATE)) / RATE
    spectrogram = multitaper(40 * np.sin(2 * np.pi * 12.5 * t) + noise(120) * 0.1, RATE)
    peak = spectrogram.frequencies_hz[spectrogram.power_db.argmax(axis=1)]
    assert np.abs(peak - 12.5).max() <= 0.5  # the half-bandwidth of the tapers
    step = spectrogram.frequencies_hz[1] - spectrogram.frequencies_hz[0]
    near = np.abs(spectrogram.frequencies_hz - 12.5) <= 1.0
    power = (10 ** (spectrogram.power_db[:, near] / 10)).sum(axis=1) * step
    assert power == pytest.approx(40**2 / 2, rel=0.02)


def test_white_noise_has_the_level_scipy_finds() -> None:
    x = noise(600)
    ours = 10 ** (multitaper(x, RATE).power_db / 10)
    frequencies, theirs = signal.welch(x, RATE, nperseg=768)
    band = (frequencies >= 0.5) & (frequencies <= 30)
    assert ours.mean() == pytest.approx(theirs[band].mean(), rel=0.02)


def test_it_agrees_with_mne_segment_by_segment() -> None:
    time_frequency = pytest.importorskip("mne.time_frequency")
    x = np.cumsum(noise(60)) * 0.2
    ours = multitaper(x, RATE)
    segments = x.reshape(2, 5, 768)
    segments = segments - segments.mean(axis=-1, keepdims=True)
    theirs, frequencies = time_frequency.psd_array_multitaper(
        segments, RATE, fmin=0.5, fmax=30.0, bandwidth=1.0, adaptive=False, low_bias=True, normalization="full", verbose="error"
    )
    assert np.allclose(frequencies, ours.frequencies_hz)
    assert np.abs(10 * np.log10(theirs.mean(axis=1)) - ours.power_db).max() < 0.4


def test_gaps_are_left_out_and_a_missing_epoch_is_missing() -> None:
    x = noise(120)
    whole = multitaper(x, RATE).power_db
    x[int(30 * RATE) : int(60 * RATE)] = np.nan
    x[int(65 * RATE)] = np.nan
    with_gap = multitaper(x, RATE).power_db
    assert np.isnan(with_gap[1]).all()
    assert np.isfinite(with_gap[[0, 2, 3]]).all()
    assert np.array_equal(with_gap[[0, 3]], whole[[0, 3]])


@pytest.mark.parametrize("seconds", [0, 4, 6, 29, 31, 3600])
def test_one_row_for_each_started_epoch(seconds: int) -> None:
    spectrogram = multitaper(noise(seconds), RATE)
    assert len(spectrogram.power_db) == len(spectrogram.times_s) == -(-seconds // 30)
    assert np.isfinite(spectrogram.power_db).any(axis=1).sum() == sum(start + 6 <= seconds for start in range(0, seconds, 30))


def test_a_flat_line_and_a_slow_rate_work() -> None:
    assert (multitaper(np.zeros(int(60 * RATE)), RATE).power_db == -60).all()
    slow = multitaper(noise(90, rate=10.0), 10.0)
    assert slow.frequencies_hz.max() == 5.0
    with pytest.raises(ValueError, match="rate above"):
        multitaper(np.zeros(30), 1.0)


def test_it_comes_back_from_the_disk(tmp_path: Path) -> None:
    spectrogram = multitaper(noise(90), RATE)
    write_spectrogram(tmp_path / "s.npz", spectrogram)
    again = read_spectrogram(tmp_path / "s.npz")
    assert np.allclose(again.power_db, spectrogram.power_db, atol=0.05)
    assert np.array_equal(again.frequencies_hz, spectrogram.frequencies_hz)
    assert [path.name for path in tmp_path.iterdir()] == ["s.npz"]
