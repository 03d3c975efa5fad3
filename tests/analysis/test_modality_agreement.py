import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from sleepfm.analysis.modality_agreement import (
    FEWEST_PEOPLE,
    Flag,
    agreement,
    gather_others,
    judge,
    partner_ranks,
)

M, E, WINDOWS = 4, 24, 12
PLACES = np.random.default_rng(99).normal(size=(M, E))


def a_night(seed, *, windows=WINDOWS):
    """Unit vectors of a night: what happens in a window is alike in all modalities, and each modality has a place of its own."""
    rng = np.random.default_rng(seed)
    z_mwe = rng.normal(size=(windows, E)) + PLACES[:, None] + 0.3 * rng.normal(size=(M, windows, E))
    return (z_mwe / np.linalg.norm(z_mwe, axis=2, keepdims=True)).astype(np.float32)


def others(people=10):
    return gather_others([a_night(seed) for seed in range(people)], [f"p{seed}" for seed in range(people)])


OTHERS = others()


def test_ranks_are_those_of_scipy_with_half_ties():
    night_mwe = a_night(3)
    night_mwe[1, 4] = night_mwe[1, 7]
    night_mwe[2, 5] = np.nan
    found = partner_ranks(night_mwe)
    for a in range(M):
        for b in range(M):
            usable = [w for w in range(WINDOWS) if a != b and np.isfinite(night_mwe[[a, b], w]).all()]
            expected_w = np.full(WINDOWS, np.nan)
            for w in usable:
                similarity = night_mwe[a, w].astype(float) @ night_mwe[b, usable].astype(float).T
                expected_w[w] = rankdata(-similarity.astype(np.float32), method="average")[usable.index(w)]
            np.testing.assert_allclose(found.rank_abw[a, b], expected_w)
            assert found.candidates_ab[a, b] == len(usable)


def test_a_good_night_is_good_and_so_are_all_the_people_it_is_compared_with():
    for seed in (50, 51, 52, 53):
        assert [one.flag for one in judge(a_night(seed), OTHERS)] == [Flag.GOOD] * M


@settings(deadline=None, max_examples=8)
@given(st.integers(100, 10_000), st.permutations(range(M)).filter(lambda order: order != list(range(M))))
def test_whatever_is_swapped_lights_up_and_nothing_else(seed, order):
    found = judge(a_night(seed)[order], OTHERS)
    for m, one in enumerate(found):
        assert one.flag is (Flag.GOOD if order[m] == m else Flag.ALARM)
        assert one.unlike is (order[m] != m)
        assert not one.disagrees
        assert np.bincount(one.like_w).argmax() == order[m]


@pytest.mark.parametrize("bad", range(M))
def test_a_shifted_modality_disagrees_though_it_looks_like_itself(bad):
    night_mwe = a_night(60, windows=40)
    night_mwe[bad] = np.roll(night_mwe[bad], 3, axis=0)
    found = judge(night_mwe, OTHERS)
    assert [one.flag for one in found] == [Flag.ALARM if m == bad else Flag.GOOD for m in range(M)]
    assert (found[bad].disagrees, found[bad].unlike) == (True, False)
    assert found[bad].agreement_w.mean() == pytest.approx(0.5, abs=0.15)


def test_a_sensor_that_fails_for_some_time_is_flagged_there():
    night_mwe = a_night(61, windows=60)
    night_mwe[2, 20:45] = np.random.default_rng(1).normal(size=(25, E)) / np.sqrt(E)
    found = judge(night_mwe, OTHERS)
    assert [one.flag for one in found] == [Flag.GOOD, Flag.GOOD, Flag.ALARM, Flag.GOOD]
    flagged_w = np.array([flag is not Flag.GOOD for flag in found[2].flag_w])
    assert flagged_w[24:41].mean() > 0.8
    assert not flagged_w[:16].any()
    assert not flagged_w[49:].any()
    assert found[2].score_w[24:41].mean() < 0.4
    assert found[2].score_w[:16].mean() > 0.9


def test_of_two_modalities_that_do_not_agree_both_are_suspected():
    night_mwe = a_night(62, windows=40)
    night_mwe[[0, 3]] = np.nan
    night_mwe[1] = np.roll(night_mwe[1], 7, axis=0)
    found = judge(night_mwe, OTHERS)
    assert found[0] is None
    assert found[3] is None
    assert [found[m].flag for m in (1, 2)] == [Flag.ALARM] * 2


def test_an_encoder_that_cannot_tell_raises_no_alarm():
    rng = np.random.default_rng(0)
    blind = [rng.normal(size=(M, WINDOWS, E)).astype(np.float32) for _ in range(9)]
    blind = [z_mwe / np.linalg.norm(z_mwe, axis=2, keepdims=True) for z_mwe in blind]
    found = judge(blind[0], gather_others(blind[1:], [str(k) for k in range(8)]))
    assert [(one.flag, one.judged) for one in found] == [(Flag.DOUBTFUL, 0)] * M
    assert all(flag is None for one in found for flag in one.flag_w)


def test_few_people_do_not_judge_however_many_nights_they_have():
    nights = [a_night(seed) for seed in range(12)]
    few = gather_others(nights, [f"p{k % (FEWEST_PEOPLE - 1)}" for k in range(12)])
    assert all(one.judged == 0 for one in judge(a_night(70)[[1, 0, 2, 3]], few))
    # a modality that few of them have is not judged, the others are
    for night_mwe in nights[FEWEST_PEOPLE - 1 :]:
        night_mwe[2] = np.nan
    some = gather_others(nights, [f"p{k}" for k in range(12)])
    found = judge(a_night(70), some)
    assert [one.judged > 0 for one in found] == [True, True, False, True]
    assert [one.flag for one in found] == [Flag.GOOD, Flag.GOOD, Flag.DOUBTFUL, Flag.GOOD]


def test_a_night_of_few_windows_has_no_agreement():
    found = agreement(partner_ranks(a_night(80, windows=3)))
    assert np.isnan(found).all()
    alone = judge(a_night(80, windows=3)[[1, 0, 2, 3]], OTHERS)
    assert [one.flag for one in alone] == [Flag.ALARM, Flag.ALARM, Flag.GOOD, Flag.GOOD]  # by their looks alone
