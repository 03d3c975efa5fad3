"""Risk groups: curves against our own Kaplan-Meier, the log-rank test against scikit-survival, enrichment against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from sksurv.compare import compare_survival
from sksurv.util import Surv

from sleepfm.analysis.horizon import Follow, enrichment
from sleepfm.analysis.resampling import bootstrap
from sleepfm.analysis.risk_groups import risk_groups, year_ticks
from sleepfm.analysis.survival import kaplan_meier


def people(n: int, seed: int, *, rounded: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Follow-up that the score tells something of, with ties in time and in score."""
    rng = np.random.default_rng(seed)
    score_n = np.round(rng.normal(size=n), 1) if rounded else rng.normal(size=n)
    years_n = rng.exponential(8 * np.exp(-score_n))
    end_n = rng.uniform(1, 12, n)
    event_n = years_n <= end_n
    years_n = np.minimum(years_n, end_n)
    return (np.maximum(np.round(years_n, 1), 0.1) if rounded else years_n), event_n, score_n


@settings(max_examples=15, deadline=None)
@given(n=st.integers(12, 200), seed=st.integers(0, 10_000), groups=st.integers(2, 5))
def test_log_rank_is_that_of_scikit_survival_and_nobody_is_lost(n: int, seed: int, groups: int) -> None:
    years_n, event_n, score_n = people(n, seed)
    found = risk_groups(years_n, event_n, score_n, groups)
    assert (found.n, found.events) == (n, int(event_n.sum()))
    lows, highs = [one.lowest for one in found.groups], [one.highest for one in found.groups]
    assert lows == sorted(lows)
    assert all(high < low for high, low in zip(highs, lows[1:], strict=False)), "equal scores stay together"
    if found.log_rank is None:
        assert len(found.groups) == 1 or not event_n.any()
        return
    group_n = np.searchsorted(np.array(highs), score_n)
    statistic, p = compare_survival(Surv.from_arrays(event_n, years_n), group_n)
    assert found.log_rank.statistic == pytest.approx(statistic, rel=1e-6, abs=1e-9)
    assert found.log_rank.p == pytest.approx(p, rel=1e-5, abs=1e-12)
    assert found.log_rank.degrees == len(found.groups) - 1


def test_curves_and_people_at_risk_are_those_of_counting() -> None:
    years_n, event_n, score_n = people(150, 3)
    found = risk_groups(years_n, event_n, score_n, 3)
    assert [one.label for one in found.groups] == ["lowest third", "middle third", "highest third"]
    for one in found.groups:
        inside_n = (score_n >= one.lowest) & (score_n <= one.highest)
        own = kaplan_meier(years_n[inside_n], event_n[inside_n])
        assert one.curve.years_t[0] == 0
        assert one.curve.event_free_t[0] == one.curve.low_t[0] == one.curve.high_t[0] == 1
        np.testing.assert_array_equal(one.curve.years_t[1:], own.years_t)
        np.testing.assert_allclose(one.curve.event_free_t[1:], own.event_free_t, atol=1e-12)
        inner_t = np.isfinite(own.low_t)
        np.testing.assert_allclose(one.curve.low_t[1:][inner_t], own.low_t[inner_t], atol=1e-9)
        np.testing.assert_allclose(one.curve.high_t[1:][inner_t], own.high_t[inner_t], atol=1e-9)
        assert np.isfinite(one.curve.low_t).all()
        np.testing.assert_array_equal(one.at_risk_t, [(years_n[inside_n] >= tick).sum() for tick in found.ticks_t])
        free, low, high = one.event_free_at(2.0) or (np.nan,) * 3
        assert free == pytest.approx(KaplanMeierFitter().fit(years_n[inside_n], event_n[inside_n]).predict(2.0))
        assert low <= free <= high
        assert one.event_free_at(float(years_n[inside_n].max()) + 0.1) is None


def test_one_score_or_no_event_is_nothing_to_test() -> None:
    years_n, event_n, score_n = people(30, 1)
    same = risk_groups(years_n, event_n, np.zeros(30))
    assert "the same score" in same.reason
    assert [group.label for group in same.groups] == ["everybody"]
    calm = risk_groups(years_n, np.zeros(30, bool), score_n)
    assert calm.log_rank is None
    assert "no events" in calm.reason
    for one in calm.groups:
        np.testing.assert_array_equal(one.event_free_at(0.1), (1, np.nan, np.nan))


def test_a_curve_that_ends_at_nobody_claims_no_certainty() -> None:
    (low, _) = risk_groups(np.arange(1.0, 7.0), np.ones(6, bool), np.arange(6.0), 2).groups
    np.testing.assert_allclose(low.event_free_at(2.5)[2], low.event_free_at(3.0)[2])
    assert low.event_free_at(3.0)[:2] == (0, 0)


@pytest.mark.parametrize("spoil", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(spoil: float) -> None:
    years_n, event_n, score_n = people(10, 1)
    score_n[3] = spoil
    with pytest.raises(ValueError, match="finite"):
        risk_groups(years_n, event_n, score_n)
    with pytest.raises(ValueError, match="finite"):
        risk_groups(np.empty(0), np.empty(0, bool), np.empty(0))
    with pytest.raises(ValueError, match="choose 2 to 5"):
        risk_groups(years_n, event_n, np.zeros(10), 6)


@given(st.floats(min_value=0.05, max_value=200))
def test_ticks_are_few_and_cover_the_follow_up(last: float) -> None:
    ticks_t = year_ticks(last)
    assert ticks_t[0] == 0
    assert 1 <= len(ticks_t) <= 8
    assert ticks_t[-1] <= last + 1e-6


def test_enrichment_is_that_of_counting_and_of_kaplan_meier_by_lifelines() -> None:
    years_n, event_n, score_n = people(200, 5, rounded=False)
    found = enrichment(Follow(years_n, event_n, bootstrap(np.arange(200), resamples=50)), score_n, 3.0, 0.2)
    top_n = score_n >= np.sort(score_n)[-40]
    assert found.events_in_top.value == pytest.approx(event_n[top_n].sum() / event_n.sum())
    top, every = (
        1 - KaplanMeierFitter().fit(years_n[some_n], event_n[some_n]).predict(3.0) for some_n in (top_n, np.ones(200, bool))
    )
    assert found.risk_in_top.value == pytest.approx(top)
    assert found.ratio.value == pytest.approx(top / every)
