"""Display filters pass and stop what their labels say, without shifting anything in time."""

from __future__ import annotations

import numpy as np
import pytest

from sleepfm.signals.display_filters import OPEN, DisplayFilter, apply_filter, default_filter
from sleepfm.vocabulary import Kind

RATE = 256.0


def gain_db(display_filter: DisplayFilter, hertz: float, rate: float = RATE) -> float:
    t = np.arange(int(120 * rate)) / rate
    x = np.sin(2 * np.pi * hertz * t)
    y = apply_filter(x[None], rate, display_filter)[0]
    middle = slice(int(40 * rate), int(80 * rate))
    return float(20 * np.log10(np.std(y[middle]) / np.std(x[middle])))


@pytest.mark.parametrize("corner", [0.3, 10.0])
def test_high_pass_is_minus_3_db_at_its_label(corner: float) -> None:
    assert gain_db(DisplayFilter(high_pass_hz=corner), corner) == pytest.approx(-3.0, abs=0.15)
    assert gain_db(DisplayFilter(high_pass_hz=corner), corner * 5) == pytest.approx(0, abs=0.1)
    assert gain_db(DisplayFilter(high_pass_hz=corner), corner / 4) < -35


@pytest.mark.parametrize("corner", [15.0, 35.0])
def test_low_pass_is_minus_3_db_at_its_label(corner: float) -> None:
    assert gain_db(DisplayFilter(low_pass_hz=corner), corner) == pytest.approx(-3.0, abs=0.15)
    assert gain_db(DisplayFilter(low_pass_hz=corner), corner / 5) == pytest.approx(0, abs=0.1)
    assert gain_db(DisplayFilter(low_pass_hz=corner), min(corner * 4, 120)) < -35


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_notch_takes_mains_and_leaves_the_rest(mains: float) -> None:
    assert gain_db(DisplayFilter(notch_hz=mains), mains) < -40
    assert gain_db(DisplayFilter(notch_hz=mains), 40.0) == pytest.approx(0, abs=0.5)


def test_nothing_moves_in_time() -> None:
    x = np.zeros((1, 5120))
    x[0, 2560] = 1.0
    y = apply_filter(x, RATE, DisplayFilter(0.3, 35.0))[0]
    assert np.argmax(y) == 2560
    assert np.allclose(y[2560 - 200 : 2560], y[2561 : 2561 + 200][::-1], atol=1e-6)


def test_corners_beyond_nyquist_are_left_out() -> None:
    x = np.random.default_rng(0).standard_normal((2, 400))
    assert apply_filter(x, 100.0, DisplayFilter(low_pass_hz=70.0, notch_hz=60.0)) is x
    assert apply_filter(x, 1.0, DisplayFilter(10.0, 100.0)) is x


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_runs_of_any_length_between_gaps_survive(length: int) -> None:
    x = np.full((1, 100), np.nan)
    x[0, 20 : 20 + length] = np.arange(length)
    x[0, 60:90] = 5.0
    y = apply_filter(x, RATE, DisplayFilter(0.3, 35.0))
    assert np.array_equal(np.isnan(x), np.isnan(y))


def test_channels_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 2000))
    alone = [apply_filter(row[None], RATE, DisplayFilter(0.3, 35.0))[0] for row in x]
    x[1, 500:700] = np.nan
    together = apply_filter(x, RATE, DisplayFilter(0.3, 35.0))
    assert np.allclose(together[0], alone[0])
    assert np.allclose(together[2], alone[2])


def test_every_kind_has_a_filter_and_levels_have_none() -> None:
    assert default_filter(Kind.EEG) == DisplayFilter(0.3, 35.0)
    assert default_filter(Kind.CHIN_EMG) == DisplayFilter(10.0, 100.0)
    assert default_filter(Kind.SPO2) == default_filter(Kind.POSITION) == OPEN
    assert all(default_filter(kind).padding_s >= 2 for kind in Kind)


def test_what_a_slow_channel_cannot_be_filtered_with_is_not_said_of_it() -> None:
    chin = default_filter(Kind.CHIN_EMG)
    assert chin.below_nyquist(1.0) == OPEN
    assert chin.below_nyquist(200.0) == DisplayFilter(10.0, None)
    assert chin.below_nyquist(256.0) == chin
    x = np.random.default_rng(0).normal(size=(1, 400)).astype(np.float32)
    for rate_hz in (1.0, 100.0, 200.0):
        np.testing.assert_array_equal(apply_filter(x, rate_hz, chin), apply_filter(x, rate_hz, chin.below_nyquist(rate_hz)))
