import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, r2_score

from sleepfm.analysis.regression import regress
from sleepfm.analysis.resampling import bootstrap


def ages(seed=0, n=60):
    rng = np.random.default_rng(seed)
    truth_n = rng.uniform(20, 90, n)
    return truth_n, truth_n + rng.normal(3, 8, n), np.repeat(np.arange(n // 2), 2)


def test_every_number_is_sklearns_or_scipys():
    truth_n, predicted_n, subject_n = ages()
    found = regress(truth_n, predicted_n, subject_n, resamples=50)
    assert found.mean_absolute_error.value == pytest.approx(mean_absolute_error(truth_n, predicted_n))
    assert found.bias.value == pytest.approx((predicted_n - truth_n).mean())
    assert found.spread.value == pytest.approx((predicted_n - truth_n).std(ddof=1))
    assert found.correlation.value == pytest.approx(pearsonr(truth_n, predicted_n)[0])
    assert found.r_squared.value == pytest.approx(r2_score(truth_n, predicted_n))
    assert (found.n, found.subjects) == (60, 30)
    assert all(e.low < e.value < e.high for e in found.overall.values())


def test_the_interval_is_that_of_drawing_people_and_counting_anew():
    truth_n, predicted_n, subject_n = ages(n=20)
    found = regress(truth_n, predicted_n, subject_n, resamples=40, seed=3).r_squared
    by_hand = []
    for weights_s in bootstrap(subject_n, resamples=40, seed=3).weights_bs.astype(int):
        rows_n = np.repeat(np.arange(20), weights_s[subject_n])
        by_hand.append(r2_score(truth_n[rows_n], predicted_n[rows_n]))
    assert (found.low, found.high) == pytest.approx(np.quantile(by_hand, (0.025, 0.975)))


@settings(deadline=None, max_examples=40)
@given(st.floats(-1e4, 1e4), st.floats(0.01, 100))
def test_another_unit_changes_only_the_errors(shift, scale):
    truth_n, predicted_n, subject_n = ages(n=20)
    plain = regress(truth_n, predicted_n, subject_n, resamples=0)
    other = regress(truth_n * scale + shift, predicted_n * scale + shift, subject_n, resamples=0)
    assert other.correlation.value == pytest.approx(plain.correlation.value, abs=1e-6)
    assert other.r_squared.value == pytest.approx(plain.r_squared.value, abs=1e-6)
    assert other.mean_absolute_error.value == pytest.approx(plain.mean_absolute_error.value * scale, rel=1e-6)


def test_a_constant_side_is_undefined_with_the_reason():
    found = regress(np.full(5, 60.0), np.arange(5.0), np.arange(5), resamples=10)
    assert found.correlation.reason == "the true or the predicted numbers are all the same"
    assert found.r_squared.reason == "the true numbers are all the same"
    assert found.mean_absolute_error.value == pytest.approx(58)
    assert regress(np.arange(5.0), np.full(5, 3.3), np.arange(5), resamples=0).correlation.value is None


def test_rows_without_a_number_are_left_out_and_counted():
    truth_n, predicted_n, subject_n = ages(n=20)
    gaps_n = truth_n.copy()
    gaps_n[:4] = np.nan
    found = regress(gaps_n, predicted_n, subject_n, resamples=10)
    assert (found.n, found.left_out, found.subjects) == (16, 4, 8)
    assert found.overall == regress(truth_n[4:], predicted_n[4:], subject_n[4:], resamples=10).overall
    empty = regress(np.full(3, np.nan), np.zeros(3), np.arange(3))
    json.dumps([e.as_dict() for e in empty.overall.values()], allow_nan=False)
    assert "nothing to compare" in empty.bias.reason
