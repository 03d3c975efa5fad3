import numpy as np
import pytest
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

from sleepfm.analysis.detection import detect


def test_every_number_is_sklearns():
    rng = np.random.default_rng(0)
    truth_n = (rng.random(400) < 0.3).astype(int)
    score_n = rng.random(400) * 0.7 + 0.3 * truth_n
    found = detect(truth_n, score_n, np.repeat(np.arange(40), 10), threshold=0.6, resamples=50)
    assert found.auroc.value == pytest.approx(roc_auc_score(truth_n, score_n))
    assert found.auprc.value == pytest.approx(average_precision_score(truth_n, score_n))
    assert found.sensitivity.value == pytest.approx(recall_score(truth_n, score_n >= 0.6))
    assert found.specificity.value == pytest.approx(recall_score(truth_n == 0, score_n < 0.6))
    assert found.prevalence == truth_n.mean()
    assert (found.sensitivity.n, found.specificity.n) == (truth_n.sum(), 400 - truth_n.sum())
    assert all(e.low < e.value < e.high for e in found.overall.values())


def test_unknown_epochs_are_masked_and_counted():
    truth_n = np.array([1, 0, -1, 1, 0, -1])
    score_n = np.array([0.9, 0.1, 0.9, 0.8, np.nan, np.nan])
    found = detect(truth_n, score_n, np.arange(6), resamples=20)
    assert (found.n, found.unknown, found.positives) == (3, 3, 2)
    assert found.auroc.value == 1.0


def test_without_positives_nothing_is_zero():
    found = detect(np.zeros(5, int), np.linspace(0, 1, 5), np.arange(5), resamples=20)
    assert found.auroc.reason == "one class only: none of 5 is positive"
    assert (found.sensitivity.value, found.sensitivity.reason) == (None, "no positive row")
    assert found.specificity.value == pytest.approx(0.4)
