import dataclasses
import json

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import concordance_index
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from sleepfm.analysis.horizon import Follow, calibration, enrichment, outcome_at
from sleepfm.analysis.resampling import bootstrap
from sleepfm.analysis.risk import FEWEST_EVENTS, assess_risk
from sleepfm.analysis.survival import breslow

PEOPLE = 240


def cohort(seed=0, conditions=3, n=PEOPLE, noise=0.5, yearly=0.06):
    rng = np.random.default_rng(seed)
    truth_nk = rng.normal(0, 1, (n, conditions))
    come_nk = rng.exponential(1 / (yearly * np.exp(truth_nk)))
    end_nk = rng.uniform(4, 12, (n, 1))
    log_hazard_nk = truth_nk + rng.normal(0, noise, truth_nk.shape)
    weak_nk = truth_nk + rng.normal(0, 3, truth_nk.shape)
    return np.minimum(come_nk, end_nk), come_nk <= end_nk, log_hazard_nk, weak_nk


def names(k):
    return [f"SIM-{i:02d}" for i in range(1, k + 1)]


def follow(years_n, event_n, resamples=0, seed=0):
    return Follow(years_n, event_n, bootstrap(np.arange(len(years_n)), resamples=resamples, seed=seed))


def test_c_auroc_and_their_differences_are_those_of_the_libraries():
    years_nk, event_nk, log_hazard_nk, weak_nk = cohort()
    found = assess_risk(
        names(3), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), baseline_score_nk=weak_nk, horizon=5, resamples=60
    )
    expected = []
    for k, one in enumerate(found.conditions):
        expected.append(concordance_index(years_nk[:, k], -log_hazard_nk[:, k], event_nk[:, k]))
        weak = concordance_index(years_nk[:, k], -weak_nk[:, k], event_nk[:, k])
        assert one.model.c_index.value == pytest.approx(expected[-1])
        assert one.baseline.c_index.value == pytest.approx(weak)
        assert one.c_difference.value == pytest.approx(expected[-1] - weak)
        assert one.c_difference.low < one.c_difference.value < one.c_difference.high
        outcome_n = outcome_at(years_nk[:, k], event_nk[:, k], 5)
        known_n = outcome_n >= 0
        assert one.censored_before_horizon == (~known_n).sum() == (~event_nk[:, k] & (years_nk[:, k] < 5)).sum()
        assert one.model.auroc.n == known_n.sum()
        assert one.model.auroc.value == pytest.approx(roc_auc_score(outcome_n[known_n], log_hazard_nk[known_n, k]))
        assert one.auroc_difference.value == pytest.approx(one.model.auroc.value - one.baseline.auroc.value)
        assert one.events == event_nk[:, k].sum()
        assert one.enrichment.ratio.value > one.baseline_enrichment.ratio.value
    assert found.mean_c.value == pytest.approx(np.mean(expected))
    assert found.averaged == 3
    assert found.mean_c_difference.value == pytest.approx(found.mean_c.value - found.mean_c_baseline.value)


def test_intervals_come_from_drawing_people_and_counting_anew():
    years_nk, event_nk, log_hazard_nk, weak_nk = cohort(1, conditions=1, n=60)
    subjects_n = np.repeat(np.arange(30), 2)
    found = assess_risk(
        names(1), years_nk, event_nk, log_hazard_nk, subjects_n, baseline_score_nk=weak_nk, resamples=40, seed=2
    ).conditions[0]
    model, difference = [], []
    for weights_s in bootstrap(subjects_n, resamples=40, seed=2).weights_bs.astype(int):
        rows_n = np.repeat(np.arange(60), weights_s[subjects_n])
        years, events = years_nk[rows_n, 0], event_nk[rows_n, 0]
        model.append(concordance_index(years, -log_hazard_nk[rows_n, 0], events))
        difference.append(model[-1] - concordance_index(years, -weak_nk[rows_n, 0], events))
    assert (found.model.c_index.low, found.model.c_index.high) == pytest.approx(np.quantile(model, (0.025, 0.975)))
    assert (found.c_difference.low, found.c_difference.high) == pytest.approx(np.quantile(difference, (0.025, 0.975)))
    assert found.model.c_index.subjects == 30
    p = norm.sf((found.c_difference.value) / np.std(difference, ddof=1))
    assert found.above_baseline.p == pytest.approx(p)


def test_a_condition_without_events_is_named_and_in_no_mean():
    years_nk, event_nk, log_hazard_nk, _ = cohort()
    event_nk[:, 1] = False
    found = assess_risk(names(3), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), resamples=20)
    assert found.unusable == {"SIM-02": f"no events among {PEOPLE} people"}
    assert [one.name for one in found.conditions] == ["SIM-01", "SIM-03"]
    assert found.mean_c.value == pytest.approx(np.mean([one.model.c_index.value for one in found.conditions]))


def test_few_events_are_shown_but_neither_tested_nor_averaged():
    years_nk, event_nk, log_hazard_nk, weak_nk = cohort()
    event_nk[np.flatnonzero(event_nk[:, 0])[3:], 0] = False
    found = assess_risk(names(3), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), baseline_score_nk=weak_nk, resamples=20)
    first = found.conditions[0]
    assert (first.events, first.few_events, first.model.above_chance, first.above_baseline) == (3, True, None, None)
    assert found.averaged == 2
    assert found.mean_c.value == pytest.approx(np.mean([one.model.c_index.value for one in found.conditions[1:]]))
    only_few = assess_risk(names(1), years_nk[:, :1], event_nk[:, :1], log_hazard_nk[:, :1], np.arange(PEOPLE), resamples=5)
    assert only_few.mean_c.reason == f"no condition has at least {FEWEST_EVENTS} events"


def test_bonferroni_counts_the_conditions_that_were_tested():
    years_nk, event_nk, log_hazard_nk, _ = cohort(conditions=4)
    log_hazard_nk[:, 3] = np.random.default_rng(5).normal(size=PEOPLE)
    found = assess_risk(names(4), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), resamples=100)
    for one in found.conditions:
        assert one.model.above_chance.p_bonferroni == min(1, 4 * one.model.above_chance.p)
    assert found.conditions[0].model.above_chance.p_bonferroni < 1e-6
    assert found.conditions[3].model.above_chance.p_bonferroni > 0.05
    assert found.count_at_least(0.6) == 3
    assert found.count_at_least(0.99) == 0


def test_unknown_follow_up_and_missing_scores_are_masked():
    years_nk, event_nk, log_hazard_nk, _ = cohort(conditions=1)
    known_nk = np.ones((PEOPLE, 1), bool)
    known_nk[:20] = False
    log_hazard_nk[20:30] = np.nan
    years_nk[30:40] = np.nan
    found = assess_risk(names(1), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), known_nk=known_nk, resamples=5)
    rest = assess_risk(names(1), years_nk[40:], event_nk[40:], log_hazard_nk[40:], np.arange(PEOPLE - 40), resamples=5)
    assert found.conditions[0].left_out == 40
    assert found.conditions[0].model.c_index.value == rest.conditions[0].model.c_index.value
    assert found.conditions[0].model.c_index.subjects == PEOPLE - 40
    with pytest.raises(ValueError, match="mask have shape"):
        assess_risk(names(1), years_nk, event_nk, log_hazard_nk, np.arange(PEOPLE), known_nk=known_nk[:3])


def test_enrichment_is_what_counting_the_top_fifth_gives():
    years_nk, event_nk, log_hazard_nk, _ = cohort(conditions=1)
    years_n, event_n, score_n = years_nk[:, 0], event_nk[:, 0], log_hazard_nk[:, 0]
    found = enrichment(follow(years_n, event_n, 30), score_n, horizon=5)
    top_n = np.argsort(-score_n)[: PEOPLE // 5]
    assert found.events_in_top.value == pytest.approx(event_n[top_n].sum() / event_n.sum())
    in_top = 1 - KaplanMeierFitter().fit(years_n[top_n], event_n[top_n]).predict(5)
    in_all = 1 - KaplanMeierFitter().fit(years_n, event_n).predict(5)
    assert found.risk_in_top.value == pytest.approx(in_top)
    assert found.ratio.value == pytest.approx(in_top / in_all)
    assert found.ratio.low < found.ratio.value < found.ratio.high


def test_a_score_that_is_the_same_for_all_enriches_nothing():
    years_nk, event_nk, _, _ = cohort(conditions=1)
    found = enrichment(follow(years_nk[:, 0], event_nk[:, 0], 10), np.zeros(PEOPLE), horizon=5)
    assert found.events_in_top.value == pytest.approx(0.2)
    assert (found.ratio.low, found.ratio.value, found.ratio.high) == pytest.approx((1, 1, 1))


def test_a_right_model_is_calibrated_and_a_shouting_one_is_not():
    years_nk, event_nk, log_hazard_nk, _ = cohort(7, conditions=1, n=4000, noise=0)
    years_n, event_n, log_hazard_n = years_nk[:, 0], event_nk[:, 0], log_hazard_nk[:, 0]
    train, test = slice(0, 2000), slice(2000, 4000)
    tested = follow(years_n[test], event_n[test], 20)
    right = calibration(tested, log_hazard_n[test], breslow(years_n[train], event_n[train], log_hazard_n[train]), 5)
    assert right.slope.value == pytest.approx(1, abs=0.1)
    assert right.observed_to_expected.value == pytest.approx(1, abs=0.1)
    assert right.intercept.value == pytest.approx(np.log(right.observed_to_expected.value))
    for group in right.groups:
        assert group.predicted == pytest.approx(group.observed.value, abs=0.05)
        assert group.observed.low < group.observed.value < group.observed.high
    assert [group.n for group in right.groups] == [400] * 5
    assert np.all(np.diff([group.predicted for group in right.groups]) < 0)
    loud = 3 * log_hazard_n
    shouting = calibration(tested, loud[test], breslow(years_n[train], event_n[train], loud[train]), 5)
    assert shouting.slope.value == pytest.approx(right.slope.value / 3, rel=1e-3)
    sicker = calibration(tested, log_hazard_n[test], breslow(years_n[train] * 2, event_n[train], log_hazard_n[train]), 5)
    assert sicker.observed_to_expected.value == pytest.approx(2, abs=0.2)


def test_a_horizon_beyond_the_training_follow_up_is_said():
    years_nk, event_nk, log_hazard_nk, _ = cohort(conditions=1)
    years_n, event_n, log_hazard_n = years_nk[:, 0], event_nk[:, 0], log_hazard_nk[:, 0]
    hazard = breslow(np.minimum(years_n, 3), event_n & (years_n <= 3), log_hazard_n)
    found = calibration(follow(years_n, event_n, 5), log_hazard_n, hazard, 6)
    assert found.reason == "the follow-up of the training set ends at 3 years, before 6"
    assert (found.groups, found.observed_to_expected.value) == ((), None)
    assert found.observed_to_expected.reason == found.reason


def test_people_of_one_predicted_risk_are_one_group():
    years_nk, event_nk, _, _ = cohort(conditions=1)
    years_n, event_n, flat_n = years_nk[:, 0], event_nk[:, 0], np.zeros(PEOPLE)
    found = calibration(follow(years_n, event_n, 5), flat_n, breslow(years_n, event_n, flat_n), 5)
    assert [group.n for group in found.groups] == [PEOPLE]
    assert found.slope.value is None


def test_everything_is_json():
    years_nk, event_nk, log_hazard_nk, weak_nk = cohort(n=14)
    hazards = [breslow(years_nk[:, k], event_nk[:, k], log_hazard_nk[:, k]) for k in range(3)]
    found = assess_risk(
        names(3),
        years_nk,
        event_nk,
        log_hazard_nk,
        np.arange(14),
        baseline_score_nk=weak_nk,
        baseline_hazards=hazards,
        resamples=10,
        horizon=30,
    )
    json.dumps(dataclasses.asdict(found), allow_nan=False)
