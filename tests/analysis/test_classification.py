import json

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import accuracy_score, average_precision_score, cohen_kappa_score, confusion_matrix, f1_score, roc_auc_score

from sleepfm.analysis.agreement import agree
from sleepfm.analysis.classification import STAGES, classify, classify_stages
from sleepfm.analysis.discrimination import auroc, average_precision
from sleepfm.analysis.resampling import bootstrap

FEW = 20


def nights(seed=0, subjects=12, epochs=80, skill=0.6):
    rng = np.random.default_rng(seed)
    n = subjects * epochs
    truth_n = rng.choice(5, n, p=(0.2, 0.05, 0.45, 0.15, 0.15))
    probability_nk = rng.dirichlet(np.ones(5), n)
    probability_nk[np.arange(n), truth_n] += skill * rng.random(n)
    return truth_n, probability_nk / probability_nk.sum(axis=1, keepdims=True), np.repeat(np.arange(subjects), epochs)


def test_every_number_is_sklearns():
    truth_n, probability_nk, subject_n = nights()
    found = classify_stages(truth_n, probability_nk, subject_n, resamples=FEW)
    predicted_n = probability_nk.argmax(axis=1)
    np.testing.assert_array_equal(found.confusion_kk, confusion_matrix(truth_n, predicted_n))
    assert found.accuracy.value == pytest.approx(accuracy_score(truth_n, predicted_n))
    assert found.kappa.value == pytest.approx(cohen_kappa_score(truth_n, predicted_n))
    assert found.macro_f1.value == pytest.approx(f1_score(truth_n, predicted_n, average="macro"))
    assert found.macro_auroc.value == pytest.approx(roc_auc_score(truth_n, probability_nk, multi_class="ovr", average="macro"))
    assert found.macro_auprc.value == pytest.approx(average_precision_score(truth_n, probability_nk, average="macro"))
    for k, name in enumerate(STAGES):
        assert found.f1[name].value == pytest.approx(f1_score(truth_n, predicted_n, average=None)[k])
        assert found.auroc[name].value == pytest.approx(roc_auc_score(truth_n == k, probability_nk[:, k]))
        assert found.auprc[name].value == pytest.approx(average_precision_score(truth_n == k, probability_nk[:, k]))
        assert found.prevalence[name] == pytest.approx((truth_n == k).mean())
    for estimate in (*found.overall.values(), *found.f1.values(), *found.auroc.values()):
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.subjects, estimate.resamples) == (960, 12, FEW)


def test_the_interval_is_that_of_drawing_people_and_counting_anew():
    truth_n, probability_nk, subject_n = nights(subjects=9, epochs=40)
    boot = bootstrap(subject_n, resamples=30, seed=4)
    found = classify_stages(truth_n, probability_nk, subject_n, resamples=30, seed=4)
    kappas, areas, precisions = [], [], []
    for weights_s in boot.weights_bs.astype(int):
        assert weights_s.sum() == 9
        rows_n = np.concatenate([np.tile(np.flatnonzero(subject_n == s), times) for s, times in enumerate(weights_s)])
        kappas.append(cohen_kappa_score(truth_n[rows_n], probability_nk[rows_n].argmax(axis=1)))
        areas.append(roc_auc_score(truth_n[rows_n], probability_nk[rows_n], multi_class="ovr"))
        precisions.append(average_precision_score(truth_n[rows_n], probability_nk[rows_n]))
    for estimate, by_hand in ((found.kappa, kappas), (found.macro_auroc, areas), (found.macro_auprc, precisions)):
        assert (estimate.low, estimate.high) == pytest.approx(np.quantile(by_hand, (0.025, 0.975)))


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(5)))
def test_renaming_the_stages_renames_the_numbers(order):
    order = np.array(order)
    truth_n, probability_nk, subject_n = nights(subjects=3, epochs=60)
    plain = classify_stages(truth_n, probability_nk, subject_n, resamples=0)
    renamed = classify(
        np.argsort(order)[truth_n], [STAGES[k] for k in order], subject_n, probability_nk=probability_nk[:, order], resamples=0
    )
    assert {name: e.value for name, e in renamed.f1.items()} == {name: plain.f1[name].value for name in STAGES}
    for name, estimate in plain.overall.items():
        assert renamed.overall[name].value == pytest.approx(estimate.value)


def test_unknown_truths_and_missing_answers_are_left_out_and_counted():
    truth_n, probability_nk, subject_n = nights(subjects=4)
    masked_n, gaps_nk = truth_n.copy(), probability_nk.copy()
    masked_n[:50] = -1
    gaps_nk[40:70] = np.nan
    found = classify_stages(masked_n, gaps_nk, subject_n, resamples=FEW)
    without = classify_stages(truth_n[70:], probability_nk[70:], subject_n[70:], resamples=FEW)
    assert (found.n, found.unknown, found.unanswered) == (250, 50, 20)
    assert found.overall == without.overall
    assert found.macro_f1.value == agree(truth_n[70:], probability_nk[70:].argmax(axis=1)).macro_f1


def test_one_class_only_is_undefined_with_the_reason_and_json_has_no_nan():
    found = classify_stages(np.full(6, 2), np.tile([0, 0, 1.0, 0, 0], (6, 1)), np.repeat([0, 1, 2], 2), resamples=FEW)
    assert found.kappa.value is None
    assert found.kappa.reason == "one class only, on both sides"
    assert found.auroc["Stage 2"].reason == "one class only: all 6 are positive"
    assert found.auroc["Wake"].reason == "one class only: none of 6 is positive"
    assert found.macro_auroc.reason == "no class has both positives and negatives"
    assert found.f1["REM"].reason == "neither true nor predicted anywhere"
    assert found.macro_f1.value == 1.0
    json.dumps([e.as_dict() for e in (*found.overall.values(), *found.f1.values(), *found.auprc.values())], allow_nan=False)


def test_nothing_known_is_undefined_everywhere():
    found = classify_stages(np.full(4, -1), np.full((4, 5), 0.2), np.arange(4), resamples=FEW)
    assert found.n == 0
    assert {e.value for e in found.overall.values()} == {None}
    assert found.accuracy.reason == "nothing to compare: no row has both a known truth and an answer"


def test_a_resample_without_the_class_is_dropped_and_counted():
    truth_n, probability_nk, subject_n = nights(subjects=10)
    truth_n[truth_n == 3] = 2
    truth_n[subject_n == 0] = 3  # one person has all the N3
    found = classify_stages(truth_n, probability_nk, subject_n, resamples=200)
    without_zero = (bootstrap(subject_n, resamples=200).weights_bs[:, 0] == 0).sum()
    assert found.auroc["Stage 3"].dropped == without_zero
    assert found.auroc["Stage 3"].resamples == 200 - without_zero
    assert found.macro_auroc.dropped == without_zero


def test_one_subject_has_a_value_and_no_interval():
    truth_n, probability_nk, _ = nights(subjects=1)
    kappa = classify_stages(truth_n, probability_nk, np.zeros(truth_n.size), resamples=FEW).kappa
    assert kappa.value is not None
    assert (kappa.low, kappa.high) == (None, None)
    assert kappa.reason == "one subject: no interval over subjects"


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="either probabilities or predicted"):
        classify(np.zeros(3, int), "ab", np.arange(3))
    with pytest.raises(ValueError, match="shape"):
        classify(np.zeros(3, int), "ab", np.arange(3), probability_nk=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="true classes"):
        classify(np.full(3, 2), "ab", np.arange(3), predicted_n=np.zeros(3, int))


scored = hnp.arrays(np.float64, st.integers(4, 60), elements=st.integers(-5, 5).map(float))


@settings(deadline=None, max_examples=40)
@given(scored, st.integers(0, 2**32 - 1))
def test_tied_scores_are_ranked_as_sklearn_ranks_them(score_n, seed):
    truth_n = np.random.default_rng(seed).random(score_n.size) < 0.4
    boot = bootstrap(np.arange(score_n.size), resamples=0)
    if truth_n.all() or not truth_n.any():
        assert auroc(truth_n, score_n, boot).value is None
        assert average_precision(truth_n, score_n, boot).value is None
        return
    assert auroc(truth_n, score_n, boot).value == pytest.approx(roc_auc_score(truth_n, score_n))
    assert average_precision(truth_n, score_n, boot).value == pytest.approx(average_precision_score(truth_n, score_n))
    assert auroc(truth_n, np.exp(score_n), boot) == auroc(truth_n, score_n, boot)
    assert auroc(~truth_n, -score_n, boot).value == pytest.approx(auroc(truth_n, score_n, boot).value)


def test_scores_gathered_into_bins_give_the_exact_interval_almost():
    rng = np.random.default_rng(1)
    subject_n = np.repeat(np.arange(20), 600)  # 12,000 distinct scores, more than there are bins
    truth_n = rng.random(12_000) < 0.03
    score_n = rng.normal(size=12_000) + 2 * truth_n
    boot = bootstrap(subject_n, resamples=25)
    found, precision = auroc(truth_n, score_n, boot), average_precision(truth_n, score_n, boot)
    assert found.value == pytest.approx(roc_auc_score(truth_n, score_n), abs=1e-12)
    rows = [w[subject_n] for w in boot.weights_bs]
    by_hand = np.quantile([roc_auc_score(truth_n, score_n, sample_weight=row) for row in rows], (0.025, 0.975))
    assert (found.low, found.high) == pytest.approx(by_hand, abs=1e-4)
    by_hand = np.quantile([average_precision_score(truth_n, score_n, sample_weight=row) for row in rows], (0.025, 0.975))
    assert (precision.low, precision.high) == pytest.approx(by_hand, abs=1e-3)
