import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

from sleepfm.analysis.curves import POINTS, event_free_curves, precision_recall, reliability, roc


def scored(n=5000, seed=0):
    rng = np.random.default_rng(seed)
    truth_n = rng.random(n) < 0.3
    return truth_n, 1 / (1 + np.exp(-(rng.normal(size=n) + 2 * truth_n)))


def test_the_roc_curve_lies_on_scikit_learns_and_keeps_its_area():
    truth_n, score_n = scored()
    found = roc(truth_n, score_n)
    x, y, _ = roc_curve(truth_n, score_n, drop_intermediate=False)
    points = set(zip(x.round(9), y.round(9), strict=True))
    assert all(point in points for point in zip(found.x.round(9), found.y.round(9), strict=True))
    assert (found.x[0], found.y[0], found.x[-1], found.y[-1]) == (0, 0, 1, 1)
    assert len(found.x) <= POINTS + 1
    assert auc(found.x, found.y) == pytest.approx(roc_auc_score(truth_n, score_n), abs=0.002)


def test_precision_over_recall_lies_on_scikit_learns():
    truth_n, score_n = scored()
    found = precision_recall(truth_n, score_n)
    precision, recall, _ = precision_recall_curve(truth_n, score_n)
    points = set(zip(recall.round(9), precision.round(9), strict=True))
    assert all(point in points for point in zip(found.x.round(9), found.y.round(9), strict=True))
    assert found.x[-1] == 1


def test_one_class_has_no_curve():
    assert roc(np.ones(4, bool), np.arange(4.0)) is None
    assert precision_recall(np.zeros(4, bool), np.arange(4.0)) is None


def test_reliability_of_right_probabilities_is_the_diagonal():
    rng = np.random.default_rng(0)
    probability_n = rng.random(20_000)
    found = reliability(rng.random(20_000) < probability_n, probability_n)
    np.testing.assert_allclose(found.x, found.y, atol=0.04)
    np.testing.assert_array_equal(found.n, 2000)
    assert reliability(np.array([True]), np.array([0.4])).y.tolist() == [1]


def test_event_free_curves_are_lifelines_in_each_third():
    rng = np.random.default_rng(0)
    score_n = rng.normal(size=90)
    years_n, event_n = rng.exponential(5 / np.exp(score_n)), rng.random(90) < 0.7
    found = event_free_curves(years_n, event_n, score_n)
    assert list(found) == ["lowest third (n = 30)", "middle third (n = 30)", "highest third (n = 30)"]
    thirds = np.split(np.argsort(score_n), 3)
    for curve, third in zip(found.values(), thirds, strict=True):
        expected = KaplanMeierFitter().fit(years_n[third], event_n[third]).predict(curve.x)
        np.testing.assert_allclose(curve.y, expected, atol=1e-12)
        assert np.isfinite([curve.low, curve.high]).all()
        assert ((curve.low <= curve.y + 1e-12) & (curve.y <= curve.high + 1e-12)).all()
    assert list(event_free_curves(years_n, event_n, np.zeros(90))) == ["lowest third (n = 90)"]


def test_a_curve_that_ends_at_nobody_has_a_finite_band():
    curve = event_free_curves(np.array([1.0, 2, 3]), np.ones(3, bool), np.zeros(3), groups=2)["lowest half (n = 3)"]
    assert curve.y.tolist() == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert (curve.low[-1], np.isfinite(curve.high).all()) == (0, True)
