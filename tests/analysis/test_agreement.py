import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from sleepfm.analysis.agreement import agree
from sleepfm.errors import ScoringError
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES

stages = st.sampled_from([-1, 0, 1, 2, 3, 4])
pairs = st.lists(st.tuples(stages, stages), min_size=1, max_size=300)


@settings(deadline=None, max_examples=40)
@given(pairs)
def test_every_number_is_sklearns(epochs):
    a, b = np.array(epochs, dtype=np.int8).T
    known = (a >= 0) & (b >= 0)
    if not known.any():
        with pytest.raises(ScoringError, match="nothing to compare"):
            agree(a, b)
        return
    found = agree(a, b)
    a, b = a[known], b[known]
    assert found.epochs == len(a)
    assert found.unknown == len(epochs) - len(a)
    assert found.accuracy == pytest.approx(accuracy_score(a, b))
    assert found.macro_f1 == pytest.approx(f1_score(a, b, average="macro"))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(a, b, labels=list(SCORED_STAGES)))
    by_stage = f1_score(a, b, labels=list(SCORED_STAGES), average=None, zero_division=np.nan)
    for stage, expected in zip(SCORED_STAGES, by_stage, strict=True):
        value = found.f1[STAGE_NAMES[stage]]
        assert (value is None and np.isnan(expected)) or value == pytest.approx(expected)
    if len(set(a) | set(b)) > 1:
        assert found.kappa == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)
    else:
        assert found.kappa is None
    json.dumps(found.as_dict(), allow_nan=False)


@settings(deadline=None, max_examples=40)
@given(pairs)
def test_the_order_of_the_two_only_turns_the_confusion(epochs):
    a, b = np.array([*epochs, (2, 2)], dtype=np.int8).T
    one, other = agree(a, b), agree(b, a)
    assert (one.kappa, one.accuracy, one.f1) == (other.kappa, other.accuracy, other.f1)
    np.testing.assert_array_equal(one.confusion, other.confusion.T)


def test_the_common_part_is_compared_and_said():
    found = agree(np.array([0, 2, 2, 3]), np.array([0, 2]))
    assert (found.epochs, found.accuracy) == (2, 1.0)
    assert found.warnings == ("the scorings have 4 and 2 epochs: the first 2 were compared",)


def test_unknown_is_never_an_agreement():
    found = agree(np.array([-1, -1, 0, 2]), np.array([-1, 0, -1, 2]))
    assert (found.epochs, found.unknown) == (1, 3)
