"""The temperature of stage probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sleepfm.analysis.calibration import FEWEST_EPOCHS, calibrated, fit_temperature


def drawn(temperature: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of a model and stages that follow them at a temperature."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(5, 0.5), n)
    true = calibrated(shares, temperature)
    return shares, (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 4)


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_of_a_model_is_found_with_its_interval(temperature: float) -> None:
    found = fit_temperature(*drawn(temperature, 4000))
    assert found.low is not None
    assert found.high is not None
    assert found.low < temperature < found.high
    assert found.value == pytest.approx(temperature, rel=0.1)
    assert found.n == 4000


def test_it_is_the_maximum_of_the_likelihood() -> None:
    shares, stages = drawn(1.8, 300, seed=4)

    def loss(log_temperature: float) -> float:
        return -float(np.log(calibrated(shares, float(np.exp(log_temperature)))[np.arange(300), stages]).sum())

    best = minimize_scalar(loss, bounds=(-1.5, 2), method="bounded", options={"xatol": 1e-8})
    assert fit_temperature(shares, stages).value == pytest.approx(np.exp(best.x), rel=1e-3)


def test_intervals_hold_the_true_temperature() -> None:
    fits = [fit_temperature(*drawn(1.5, 120, seed)) for seed in range(100)]
    assert 0.88 <= np.mean([fit.low < 1.5 < fit.high for fit in fits if fit.low is not None and fit.high is not None]) <= 1.0


def test_with_few_epochs_nothing_is_fitted_and_that_is_said() -> None:
    shares, stages = drawn(3.0, FEWEST_EPOCHS - 1)
    found = fit_temperature(shares, stages)
    assert (found.value, found.low, found.high, found.n) == (1.0, None, None, 29)
    assert "a calibration needs 30 looked-at epochs, 29 are there" in found.words
    assert fit_temperature(np.empty((0, 5)), np.empty(0, np.int8)).n == 0


def test_unknown_epochs_and_those_without_probabilities_do_not_count() -> None:
    shares, stages = drawn(1.0, 60)
    shares[:10], stages[10:20] = np.nan, -1
    assert fit_temperature(shares, stages).n == 40


def test_a_model_that_is_mostly_right_or_wrong_stays_within_bounds() -> None:
    shares = np.tile([0.9, 0.1, 0, 0, 0], (40, 1))
    right, half = fit_temperature(shares, np.zeros(40, np.int8)), fit_temperature(shares, np.arange(40) % 2)
    assert 0.19 < right.value < 1 < half.value < 8.1
    assert (right.agreed, half.agreed) == (40, 20)
    assert "(the model was right in 20)" in half.words
    assert "turned over without a key" in half.words


def test_corrections_alone_calibrate_nothing() -> None:
    shares = np.tile([0.9, 0.1, 0, 0, 0], (40, 1))
    found = fit_temperature(shares, np.ones(40, np.int8))
    assert (found.value, found.low, found.agreed) == (1.0, None, 0)
    assert "of the 40 epochs scored here only 0 stand as it proposed" in found.words


def test_looking_at_doubtful_epochs_only_does_not_mislead_it() -> None:
    shares, stages = drawn(1.0, 3000, seed=2)
    doubtful = np.sort(shares, axis=1)[:, -1] < 0.6
    found = fit_temperature(shares[doubtful], stages[doubtful])
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.0 < found.high


def test_calibrated_probabilities_sum_to_one_and_keep_their_order() -> None:
    shares, _ = drawn(1.0, 50)
    shares[3] = np.nan
    softer = calibrated(shares, 2.0)
    assert np.isnan(softer[3]).all()
    known = np.arange(50) != 3
    assert softer[known].sum(axis=1) == pytest.approx(1.0)
    assert (softer[known].argmax(axis=1) == shares[known].argmax(axis=1)).all()
    assert (softer[known].max(axis=1) <= shares[known].max(axis=1) + 1e-9).all()
    assert calibrated(shares, 1.0) is shares
