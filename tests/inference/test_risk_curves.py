"""Event-free curves against lifelines, and what their band is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, NelsonAalenFitter
from scipy.stats import norm

from sleepfm.analysis.survival import breslow
from sleepfm.inference.risk import night_risk
from sleepfm.inference.risk_curves import event_free_curve, ranks_only
from sleepfm.models.card import BaselineHazard, DemographicCoding, ModelCard
from tests.inference.risk_material import a_night, head, models


def cohort(n: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    x_n = rng.normal(0, 1, n)
    come_n, end_n = rng.exponential(8 / np.exp(0.7 * x_n)), rng.uniform(2, 12, n)
    return np.minimum(come_n, end_n), come_n <= end_n, x_n


def card(**about: Any) -> ModelCard:
    return head(**about).card


def test_a_curve_is_what_lifelines_predicts_from_the_fitted_baseline() -> None:
    years_n, event_n, x_n = cohort()
    fitted = CoxPHFitter().fit(pd.DataFrame({"t": years_n, "e": event_n, "x": x_n}), "t", "e")
    people = pd.DataFrame({"x": [-1.0, 0.4, 2.0]})
    log_hazard_p = fitted.predict_log_partial_hazard(people).to_numpy()
    ours = breslow(years_n, event_n, fitted.predict_log_partial_hazard(pd.DataFrame({"x": x_n})).to_numpy())
    at = np.unique(years_n[event_n])
    cumulative = tuple(float(h) for h in ours.at(at) * np.exp(-ours.centre))
    of = card(baseline_hazard=BaselineHazard(years=tuple(at), cumulative=(None, cumulative, None)))
    expected = fitted.predict_survival_function(people, times=at).to_numpy()
    for person, log_hazard in enumerate(log_hazard_p):
        curve = event_free_curve(of, 1, log_hazard, log_hazard, log_hazard)
        assert curve is not None
        assert (curve.years[0], curve.event_free[0]) == (0, 1)
        np.testing.assert_allclose(curve.event_free[1:], expected[:, person], rtol=1e-6)
        np.testing.assert_array_equal(curve.low, curve.event_free)  # an exact score and hazard have no band
        five = curve.at(5.0)
        assert five is not None
        assert five[0] == pytest.approx(fitted.predict_survival_function(people, times=[5.0]).to_numpy()[0, person], rel=1e-6)
        assert curve.at(float(at[-1]) + 1) is None


def test_the_baselines_error_is_nelson_aalens_where_all_hazards_are_equal() -> None:
    years_n, event_n, _ = cohort()
    ours = breslow(years_n, event_n, np.full(len(years_n), 1.3))
    fitted = NelsonAalenFitter(nelson_aalen_smoothing=True).fit(years_n, event_n)
    at = np.quantile(years_n[event_n], [0.2, 0.5, 0.9])
    np.testing.assert_allclose(ours.at(at), fitted.cumulative_hazard_at_times(at), rtol=1e-9)
    # lifelines gives its bounds on the log scale: H * exp(± z * error / H)
    upper = fitted.confidence_interval_.iloc[:, 1]
    steps = np.searchsorted(upper.index.to_numpy(), at, side="right") - 1
    error = np.log(upper.to_numpy()[steps] / ours.at(at)) / norm.ppf(0.975) * ours.at(at)
    np.testing.assert_allclose(ours.standard_error(at), error, rtol=1e-6)


def test_the_band_joins_the_scores_interval_with_the_baselines_error() -> None:
    years, cumulative, error = (1.0, 5.0), (0.05, 0.2), (0.01, 0.03)
    of = card(baseline_hazard=BaselineHazard(years=years, cumulative=(cumulative,) * 3, standard_error=(error,) * 3))
    curve = event_free_curve(of, 0, 0.5, 0.2, 0.9)
    assert curve is not None
    for t in range(2):
        spread = norm.ppf(0.975) * error[t] / cumulative[t]
        assert curve.low[t + 1] == pytest.approx(np.exp(-cumulative[t] * np.exp(0.5 + np.hypot(0.4, spread))))
        assert curve.high[t + 1] == pytest.approx(np.exp(-cumulative[t] * np.exp(0.5 - np.hypot(0.3, spread))))
    without = event_free_curve(card(baseline_hazard=BaselineHazard(years=years, cumulative=(cumulative,) * 3)), 0, 0.5, 0.2, 0.9)
    assert without is not None
    assert (without.low[1:] > curve.low[1:]).all()
    assert (without.high[1:] < curve.high[1:]).all()
    steep = event_free_curve(of, 0, 1e4, 1e4, 1e4)
    assert steep is not None
    assert steep.event_free[-1] == 0


def test_what_can_only_be_ranked_says_why() -> None:
    hazard = BaselineHazard(years=(1.0,), cumulative=((0.1,), None, (0.2,)))
    whole = night_risk(a_night(), models(head(baseline_hazard=hazard)), age=57, sex="male", resamples=5)
    assert ranks_only(card(baseline_hazard=hazard), whole, 0) == ""
    assert "of this condition" in ranks_only(card(baseline_hazard=hazard), whole, 1)
    assert event_free_curve(card(baseline_hazard=hazard), 1, 0.0, 0.0, 0.0) is None
    assert "no baseline hazard" in ranks_only(card(), whole, 0)
    assert event_free_curve(card(), 0, 0.0, 0.0, 0.0) is None
    unknown = head(baseline_hazard=hazard, demographics=DemographicCoding())
    left_out = night_risk(a_night(), models(unknown), age=57, sex="male", resamples=5)
    assert "--age-scale" in ranks_only(unknown.card, left_out, 0)


def test_a_baselines_errors_speak_of_every_condition_and_time() -> None:
    with pytest.raises(ValueError, match="every condition"):
        BaselineHazard(years=(1.0,), cumulative=((0.1,),), standard_error=())
    with pytest.raises(ValueError, match="one number for each time"):
        BaselineHazard(years=(1.0,), cumulative=((0.1,),), standard_error=((0.1, 0.2),))
