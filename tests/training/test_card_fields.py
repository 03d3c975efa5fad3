"""Thresholds and baseline hazards on a card, against scikit-learn and scikit-survival."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sksurv.linear_model.coxph import BreslowEstimator

from sleepfm.models.card import BaselineHazard
from sleepfm.training.card_fields import baseline_hazard, best_threshold
from sleepfm.training.night_labels import EVENT, KNOWN, YEARS
from sleepfm.training.nights import LabelledNight


@given(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([0.1, 0.2, 0.5, 0.7, np.nan])), max_size=30))
def test_no_threshold_has_a_higher_f1(pairs: list[tuple[int, float]]) -> None:
    truth_n, probability_n = np.array([t for t, _ in pairs], int), np.array([p for _, p in pairs], float)
    usable_n = (truth_n >= 0) & np.isfinite(probability_n)

    found = best_threshold(truth_n, probability_n)

    truth_n, probability_n = truth_n[usable_n], probability_n[usable_n]
    if len(set(truth_n)) < 2:
        assert found is None
        return
    assert found is not None
    every = [f1_score(truth_n, probability_n >= p) for p in np.unique(probability_n)]
    assert f1_score(truth_n, probability_n >= found) == pytest.approx(max(every))


def test_baseline_hazards_are_breslows() -> None:
    rng = np.random.default_rng(0)
    log_hazard_nk = rng.normal(size=(60, 2))
    years_nk = rng.exponential(5 * np.exp(-log_hazard_nk)).clip(0.05, 8).astype(np.float32)
    event_nk = years_nk < 8
    known_nk = rng.random((60, 2)) < 0.9
    nights = [
        LabelledNight(None, by_night={YEARS: years_nk[n], EVENT: event_nk[n], KNOWN: known_nk[n]})  # type: ignore[arg-type]
        for n in range(60)
    ]

    hazard = baseline_hazard(nights, [1, 0], log_hazard_nk[:, ::-1])

    assert isinstance(hazard, BaselineHazard)
    assert hazard.years == tuple(float(year) for year in range(1, 9))
    for place, column in enumerate([1, 0]):
        known_n = known_nk[:, column]
        oracle = BreslowEstimator().fit(
            log_hazard_nk[known_n, column], event_nk[known_n, column], years_nk[known_n, column].astype(float)
        )
        expected = oracle.cum_baseline_hazard_(np.array(hazard.years))
        np.testing.assert_allclose(hazard.cumulative[place], expected, rtol=1e-5)


def test_a_follow_up_of_months_gives_none() -> None:
    labels = {YEARS: np.array([0.5]), EVENT: np.array([True]), KNOWN: np.array([True])}

    assert baseline_hazard([LabelledNight(None, by_night=labels)], [0], np.zeros((1, 1))) is None  # type: ignore[arg-type]
