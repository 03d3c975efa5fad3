import warnings

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import concordance_index
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from sleepfm.analysis.concordance import Concordance
from sleepfm.analysis.survival import breslow, cox_slope, event_free_at, kaplan_meier


def cohort(seed=0, n=120, ties=True, slope=1.0):
    rng = np.random.default_rng(seed)
    log_hazard_n = rng.normal(0, 1, n)
    come_n = rng.exponential(1 / (0.1 * np.exp(slope * log_hazard_n)))
    end_n = rng.uniform(2, 12, n)
    years_n = np.minimum(come_n, end_n)
    if ties:
        years_n = np.ceil(years_n)
    return years_n, come_n <= end_n, log_hazard_n


def ones(n):
    return np.ones((1, n))


@pytest.mark.parametrize("ties", [False, True])
def test_breslow_is_that_of_scikit_survival(ties):
    years_n, event_n, log_hazard_n = cohort(ties=ties)
    oracle = BreslowEstimator().fit(log_hazard_n, event_n, years_n)
    ours = breslow(years_n, event_n, log_hazard_n)
    for function, log_hazard in zip(oracle.get_survival_function(np.array([-1.0, 0.5])), (-1.0, 0.5), strict=True):
        expected = [function(t) for t in function.x]
        np.testing.assert_allclose([ours.event_free(log_hazard, t) for t in function.x], expected, rtol=1e-10)


def test_breslow_is_that_of_lifelines_without_ties():
    years_n, event_n, x_n = cohort(ties=False)
    fitted = CoxPHFitter().fit(pd.DataFrame({"t": years_n, "e": event_n, "x": x_n}), "t", "e")
    log_hazard_n = fitted.predict_log_partial_hazard(pd.DataFrame({"x": x_n})).to_numpy()
    expected = fitted.baseline_cumulative_hazard_["baseline cumulative hazard"]
    ours = breslow(years_n, event_n, log_hazard_n)
    np.testing.assert_allclose(ours.expected_events(np.zeros(len(expected)), expected.index.to_numpy()), expected, rtol=1e-6)


def test_a_baseline_hazard_ends_with_the_follow_up_and_never_overflows():
    years_n, event_n, log_hazard_n = cohort()
    plain, far = breslow(years_n, event_n, log_hazard_n), breslow(years_n, event_n, log_hazard_n + 2000)
    assert np.isnan(plain.event_free(np.zeros(1), years_n.max() + 0.1)).all()
    assert plain.event_free(np.zeros(1), 0.0) == 1
    np.testing.assert_allclose(far.event_free(log_hazard_n + 2000, 5.0), plain.event_free(log_hazard_n, 5.0), rtol=1e-9)
    nobody = breslow(years_n, np.zeros(len(years_n), bool), log_hazard_n)
    assert nobody.event_free(np.zeros(1), 5.0) == 1
    with pytest.raises(ValueError, match="finite"):
        breslow(np.array([1.0, np.nan]), np.array([True, True]), np.zeros(2))


def test_kaplan_meier_and_its_band_are_lifelines():
    years_n, event_n, _ = cohort()
    ours = kaplan_meier(years_n, event_n)
    fitted = KaplanMeierFitter().fit(years_n, event_n)
    expected = fitted.survival_function_.loc[ours.years_t, "KM_estimate"]
    np.testing.assert_allclose(ours.event_free_t, expected, rtol=1e-10)
    band = fitted.confidence_interval_survival_function_.loc[ours.years_t].to_numpy()
    inside = (ours.event_free_t < 1) & (ours.event_free_t > 0)
    np.testing.assert_allclose(np.stack([ours.low_t, ours.high_t], axis=1)[inside], band[inside], rtol=1e-7)
    np.testing.assert_array_equal(ours.at_risk_t, fitted.event_table.loc[ours.years_t, "at_risk"])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 13))
def test_weighted_kaplan_meier_is_that_of_people_repeated(seed, horizon):
    years_n, event_n, _ = cohort(seed, n=25)
    weights_bn = np.random.default_rng(seed).multinomial(25, np.full(25, 1 / 25), size=3).astype(float)
    found_b = event_free_at(years_n, event_n, horizon, weights_bn)
    for found, weights_n in zip(found_b, weights_bn.astype(int), strict=True):
        years, events = np.repeat(years_n, weights_n), np.repeat(event_n, weights_n)
        expected = float(KaplanMeierFitter().fit(years, events).predict(horizon))
        if horizon > years.max() and expected > 0:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_the_calibration_slope_is_scikit_survivals_coefficient(ties):
    years_n, event_n, log_hazard_n = cohort(3, ties=ties, slope=0.6)
    weights_bn = np.stack([np.ones(120), *np.random.default_rng(0).multinomial(120, np.full(120, 1 / 120), size=2)])
    for slope, weights_n in zip(cox_slope(years_n, event_n, log_hazard_n, weights_bn), weights_bn.astype(int), strict=True):
        rows_n = np.repeat(np.arange(120), weights_n)
        outcome = Surv.from_arrays(event_n[rows_n], years_n[rows_n])
        oracle = CoxPHSurvivalAnalysis(ties="breslow", tol=1e-12).fit(log_hazard_n[rows_n, None], outcome)
        assert slope == pytest.approx(oracle.coef_[0], rel=1e-6)


def test_a_slope_that_does_not_exist_is_not_made_up():
    years_n = np.array([1.0, 2, 3, 4])
    assert np.isnan(cox_slope(years_n, np.ones(4, bool), np.array([4.0, 3, 2, 1]), ones(4)))
    assert np.isnan(cox_slope(years_n, np.ones(4, bool), np.zeros(4), ones(4)))
    assert np.isnan(cox_slope(years_n, np.zeros(4, bool), np.array([4.0, 3, 1, 2]), ones(4)))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.booleans())
def test_c_is_that_of_lifelines_and_scikit_survival(seed, n, ties):
    rng = np.random.default_rng(seed)
    years_n, event_n, score_n = cohort(seed, n, ties=ties)
    score_n = np.round(score_n, 1) if rng.random() < 0.5 else score_n
    found = Concordance(years_n, event_n, score_n)(ones(n))[0]
    try:
        expected = concordance_index(years_n, -score_n, event_n)
    except ZeroDivisionError:
        assert np.isnan(found)
        return
    assert found == pytest.approx(expected, abs=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found == pytest.approx(concordance_index_censored(event_n, years_n, score_n, tied_tol=0)[0], abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_c_depends_on_the_order_of_the_scores_only_and_weights_are_repeated_people(seed):
    rng = np.random.default_rng(seed)
    years_n, event_n, score_n = cohort(seed, n=30)
    weights_bn = rng.multinomial(30, np.full(30, 1 / 30), size=4).astype(float)
    found_b = Concordance(years_n, event_n, score_n)(weights_bn)
    np.testing.assert_array_equal(Concordance(years_n, event_n, np.exp(3 * score_n))(weights_bn), found_b)
    np.testing.assert_allclose(Concordance(years_n, event_n, -score_n)(weights_bn), 1 - found_b)
    for found, weights_n in zip(found_b, weights_bn.astype(int), strict=True):
        rows_n = np.repeat(np.arange(30), weights_n)
        assert found == pytest.approx(concordance_index(years_n[rows_n], -score_n[rows_n], event_n[rows_n]))
