"""The recipes against the published outputs, against scipy, and by their properties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sleepfm.errors import RequestError
from sleepfm.signals.recipes import RECIPES, Piece, Standardised, UnusableChannelError, samples_at_model_rate, standardise

RATES = (1.0, 4.0, 10.0, 25.0, 32.0, 50.0, 64.0, 100.0, 125.0, 128.0, 199.8, 200.0, 250.0, 256.0, 1000 / 3, 400.0, 500.0, 512.0)
RATES += (1000.0, 1024.0, 2000.0, 129.0, 140.5, 256.0617, 31.4159)


def published(x: np.ndarray, rate_hz: float, recipe: str = "published") -> Standardised:
    return standardise(recipe, [Piece(0.0, x)], rate_hz, len(x) / rate_hz)


def as_the_published_code(x: np.ndarray, rate_hz: float) -> np.ndarray:
    """The recipe in scipy's and numpy's own words: filtfilt on the whole, interp, z-score."""
    x = x.astype(float)
    if rate_hz > 128:
        x = signal.filtfilt(*signal.butter(4, 64 / (rate_hz / 2)), x)
    n = math.floor(len(x) / rate_hz * 128 + 1e-6)
    y = np.interp(np.arange(n) / 128 * rate_hz, np.arange(len(x)), x)
    return (y - y.mean()) / y.std()


@pytest.mark.parametrize(
    "name", [*(f"{rate}Hz" for rate in (512, 500, 256, 250, 200, 128, 100, 64, 50, 25, 10, 4, 1)), "flat_256Hz"]
)
def test_parity_with_the_published_recipe(shared: Path, name: str) -> None:
    vectors = np.load(shared / "reference" / "vectors" / "preprocessing.npz")
    rate_hz = float(name.removeprefix("flat_").removesuffix("Hz"))
    result = published(vectors[f"in_{name}"], rate_hz)
    expected = vectors[f"out_{name}"]
    assert result.z.shape == expected.shape
    assert np.abs(result.z - expected).max() <= 1e-4
    assert result.flat == name.startswith("flat")


@settings(max_examples=60, deadline=None)
@given(
    rate_hz=st.sampled_from(RATES),
    n=st.integers(20, 30_000),
    seed=st.integers(0, 2**32 - 1),
    offset=st.sampled_from((0, 30_000, 8_000_000)),
    steps=st.booleans(),
)
def test_published_equals_filtfilt_on_the_whole(rate_hz: float, n: int, seed: int, offset: int, steps: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n) * 200
    if steps:  # steps and slopes put energy at the ends, where padding matters
        x = np.cumsum(x) / 20
    x = (x + offset).astype(np.int32)
    if n / rate_hz * 128 < 2:
        return
    result = published(x, rate_hz)
    expected = as_the_published_code(x, rate_hz)
    assert result.z.shape == expected.shape
    assert np.abs(result.z - expected).max() <= 1e-4


@settings(max_examples=40, deadline=None)
@given(
    recipe=st.sampled_from(sorted(RECIPES)), rate_hz=st.floats(0.5, 3000), n=st.integers(1, 5000), seed=st.integers(0, 2**32 - 1)
)
def test_length_mean_and_deviation_at_any_rate(recipe: str, rate_hz: float, n: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(-2000, 2000, n).astype(np.int16)
    result = published(x, rate_hz, recipe)
    assert len(result.z) == samples_at_model_rate(n / rate_hz) == math.floor(n / rate_hz * 128 + 1e-6)
    assert np.isfinite(result.z).all()
    if result.flat:
        assert not result.z.any()
    else:
        assert abs(result.z.mean(dtype=float)) < 1e-4
        assert result.z.std(dtype=float) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("rate_hz", [rate for rate in RATES if rate >= 4])
def test_a_moment_stays_at_its_time(recipe: str, rate_hz: float) -> None:
    """A slow pulse at 47.3 s peaks at 47.3 s, whatever the rate: no delay, no drift."""
    t = np.arange(round(60 * rate_hz)) / rate_hz
    x = np.round(10_000 * np.exp(-0.5 * ((t - 47.3) / 0.5) ** 2)).astype(np.int16)
    z = published(x, rate_hz, recipe).z
    weights = np.clip(z - 0.5 * z.max(), 0, None)
    centre_s = (weights * np.arange(len(z))).sum() / weights.sum() / 128
    assert centre_s == pytest.approx(47.3, abs=0.004)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("rate_hz", [256.0, 200.0, 500.0, 100.0, 199.8])
def test_a_sine_keeps_its_phase_to_the_end(recipe: str, rate_hz: float) -> None:
    t = np.arange(round(600 * rate_hz)) / rate_hz
    z = published((3000 * np.sin(2 * np.pi * 2 * t)).astype(np.int16), rate_hz, recipe).z
    expected = np.sqrt(2) * np.sin(2 * np.pi * 2 * np.arange(len(z)) / 128)
    # 100-Hz linear interpolation of 2 Hz errs by (pi f / rate)^2 / 2 of the amplitude: 0.2 %
    assert np.abs(z - expected)[128:-128].max() < 0.01


def test_hq_keeps_high_frequencies_from_folding_back() -> None:
    """A 70-Hz tone under a 10-Hz one: the published recipe lets it alias to 58 Hz, hq does not."""
    t = np.arange(256 * 120) / 256
    x = np.sin(2 * np.pi * 10 * t) + np.sin(2 * np.pi * 70 * t)
    alias = {}
    for recipe in RECIPES:
        frequency_hz, power = signal.welch(published(x, 256, recipe).z, 128, nperseg=1280)
        alias[recipe] = power[np.abs(frequency_hz - 58) < 1].sum() / power[np.abs(frequency_hz - 10) < 1].sum()
    assert alias["hq"] < 1e-9
    assert alias["published"] > 1e-3


@settings(max_examples=40, deadline=None)
@given(
    recipe=st.sampled_from(sorted(RECIPES)),
    gain=st.floats(1e-3, 1e3) | st.floats(-1e3, -1e-3),
    offset=st.floats(-1e4, 1e4),
    seed=st.integers(0, 2**32 - 1),
)
def test_digital_samples_give_what_physical_ones_give(recipe: str, gain: float, offset: float, seed: int) -> None:
    """Gain and offset cancel in z, a negative gain turns it over, and mean and std restore the physical signal."""
    digital = np.random.default_rng(seed).integers(-3000, 3000, 2000).astype(np.int16)
    physical = digital * gain + offset
    a = standardise(recipe, [Piece(0.0, digital)], 200, 10, gain=gain, offset=offset)
    b = standardise(recipe, [Piece(0.0, physical)], 200, 10)
    assert np.abs(a.z - b.z).max() < 1e-4
    assert a.mean == pytest.approx(b.mean, rel=1e-5, abs=1e-5 * a.std)
    assert a.std == pytest.approx(b.std, rel=1e-5)


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_mean_and_std_restore_the_resampled_signal(recipe: str) -> None:
    t = np.arange(128 * 60) / 128
    physical = 50 * np.sin(2 * np.pi * t) + 7
    result = standardise(recipe, [Piece(0.0, physical)], 128, 60)
    assert np.abs(result.z * result.std + result.mean - physical).max() < 1e-3


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_gaps_stay_on_the_time_axis_as_the_mean(recipe: str) -> None:
    rng = np.random.default_rng(1)
    before, after = (rng.integers(-500, 500, 256 * seconds).astype(np.int16) for seconds in (20, 30))
    result = standardise(recipe, [Piece(0.0, before), Piece(45.0, after)], 256, 75)
    assert len(result.z) == 75 * 128
    assert not result.z[20 * 128 : 45 * 128].any()
    present = np.concatenate([result.z[: 20 * 128], result.z[45 * 128 :]])
    assert present.mean(dtype=float) == pytest.approx(0, abs=1e-5)
    assert present.std(dtype=float) == pytest.approx(1, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    recipe=st.sampled_from(sorted(RECIPES)),
    rate_hz=st.sampled_from((4.0, 100.0, 256.0, 500.0, 199.8)),
    n=st.lists(st.integers(1, 3000), min_size=2, max_size=4),
    gap_s=st.floats(0.01, 20),
)
def test_filtering_never_crosses_a_gap(recipe: str, rate_hz: float, n: list[int], gap_s: float) -> None:
    """Each piece comes out as it does alone, wherever it starts and however its neighbours look."""
    rng = np.random.default_rng(len(n))
    pieces, start_s = [], 0.0
    for count in n:
        pieces.append(Piece(start_s, rng.integers(-500, 500, count).astype(np.int16)))
        start_s += count / rate_hz + gap_s
    duration_s = start_s - gap_s
    result = standardise(recipe, pieces, rate_hz, duration_s)
    restored = result.z * result.std + result.mean
    for piece in pieces:
        alone = standardise(recipe, [piece], rate_hz, duration_s)
        start = math.ceil(piece.start_s * 128 - 1e-6)
        span = slice(start, min(len(restored), math.ceil((piece.start_s + len(piece.samples) / rate_hz) * 128 - 1e-6)))
        if not alone.flat and not result.flat:
            assert (
                np.abs(restored[span] - (alone.z * alone.std + alone.mean)[span]).max(initial=0) < 0.2
            )  # of ±500: soxr's 20 bits


def test_a_piece_that_starts_between_samples_keeps_its_time() -> None:
    rate_hz, start_s = 256.0, 10.0033
    t = start_s + np.arange(256 * 30) / rate_hz
    x = 1000 * np.sin(2 * np.pi * 3 * t)
    z = standardise("published", [Piece(0.0, x[:256]), Piece(start_s, x)], rate_hz, start_s + 30).z
    expected = np.sin(2 * np.pi * 3 * np.arange(len(z)) / 128)
    middle = slice(15 * 128, 35 * 128)
    z = z[middle] / np.abs(z[middle]).max()
    assert np.abs(z - expected[middle]).max() < 0.005


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("rate_hz", [1.0, 100.0, 256.0, 500.0])
@pytest.mark.parametrize("value", [0, 3, -20_000])
def test_a_flat_channel_is_all_zeros_and_marked(recipe: str, rate_hz: float, value: int) -> None:
    result = standardise(recipe, [Piece(0.0, np.full(5000, value, np.int16))], rate_hz, 5000 / rate_hz, gain=0.5, offset=2)
    assert result.flat
    assert not result.z.any()
    assert (result.mean, result.std) == (value * 0.5 + 2, 0.0)


def test_what_the_filter_removes_whole_is_flat_and_not_magnified_rounding() -> None:
    x = np.tile(np.array([1000, -1000], np.int16), 20_000)  # all its energy at 256 Hz
    result = published(x, 512)
    # only the ends, where filtfilt's padding breaks the pattern, may stay
    assert result.flat or result.z[200:-200].std() < 1e-4


@pytest.mark.parametrize(
    ("samples", "gain", "says"),
    [
        (np.array([1.0, np.nan, 3.0]), 1.0, "1 of its values are not numbers"),
        (np.array([1.0, np.inf, np.nan]), 1.0, "2 of its values are not numbers"),
        (np.array([], np.int16), 1.0, "no samples"),
        (np.array([1, 2, 3], np.int16), math.nan, "no usable scale"),
        (np.array([1, 2, 3], np.int16), 0.0, "no usable scale"),
    ],
)
def test_what_cannot_be_standardised_says_why(samples: np.ndarray, gain: float, says: str) -> None:
    with pytest.raises(UnusableChannelError, match=says):
        standardise("published", [Piece(0.0, samples)], 128, 3 / 128, gain=gain)


def test_an_unknown_recipe_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="hq, published"):
        standardise("best", [Piece(0.0, np.arange(5))], 128, 1)
