import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from sleepfm.analysis import retrieval
from sleepfm.analysis.resampling import bootstrap
from sleepfm.analysis.retrieval import Ranks, rank_left_out, rank_partners, score_ranks

M, E = 4, 16


def windows(seed=0, nights=6, per_night=20, noise=1.0, absent=0.0):
    """Embeddings of nights (two to a person) that share a common part, so that partners are alike."""
    rng = np.random.default_rng(seed)
    n = nights * per_night
    shared_ne = rng.normal(size=(n, E)) + np.repeat(rng.normal(size=(nights, E)), per_night, axis=0)
    z_mne = (shared_ne + noise * rng.normal(size=(M, n, E))).astype(np.float32)
    present_mn = rng.random((M, n)) >= absent
    night_n = np.repeat(np.arange(nights), per_night)
    return z_mne, present_mn, night_n, night_n // 2


def ranks_by_hand(query_ne, target_ne, allowed_nn):
    query_ne = query_ne / np.linalg.norm(query_ne, axis=1, keepdims=True)
    target_ne = target_ne / np.linalg.norm(target_ne, axis=1, keepdims=True)
    similarity_nn = query_ne.astype(float) @ target_ne.astype(float).T
    partner_n = np.diag(similarity_nn).copy()
    np.fill_diagonal(similarity_nn, -np.inf)
    return (np.where(allowed_nn, similarity_nn, -np.inf) > partner_n[:, None]).sum(axis=1)


def test_ranks_are_those_of_a_plain_search_among_each_kind_of_candidates(monkeypatch):
    monkeypatch.setattr(retrieval, "_QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(retrieval, "_CANDIDATES_AT_ONCE", 13)
    z_mne, present_mn, night_n, subject_n = windows(absent=0.2)
    found = rank_partners(z_mne, present_mn, night_n, subject_n)
    assert set(found) == {(a, b) for a in range(M) for b in range(M) if a != b}
    for (a, b), ranks in found.items():
        both_n = np.flatnonzero(present_mn[a] & present_mn[b])
        np.testing.assert_array_equal(ranks.window_n, both_n)
        query_ne, target_ne = z_mne[a, both_n], z_mne[b, both_n]
        person_n, of_night_n = subject_n[both_n], night_n[both_n]
        kinds = {
            "everyone": np.ones((both_n.size, both_n.size), bool),
            "other_subjects": person_n[:, None] != person_n,
            "same_night": of_night_n[:, None] == of_night_n,
        }
        for kind, allowed_nn in kinds.items():
            ours = getattr(ranks, kind)
            np.testing.assert_array_equal(ours.better_n, ranks_by_hand(query_ne, target_ne, allowed_nn))
            np.testing.assert_array_equal(ours.tied_n, 0)
            np.fill_diagonal(allowed_nn, False)
            np.testing.assert_array_equal(ours.others_n, allowed_nn.sum(axis=1))


def test_tiles_and_threads_change_nothing(monkeypatch):
    z_mne, present_mn, night_n, subject_n = windows(absent=0.1, nights=8, per_night=300)
    whole = rank_partners(z_mne, present_mn, night_n, subject_n // 4)
    monkeypatch.setattr(retrieval, "_QUERIES_AT_ONCE", 300)
    monkeypatch.setattr(retrieval, "_CANDIDATES_AT_ONCE", 2047)  # more than fit into a byte, and no whole words
    with threadpool_limits(limits=1, user_api="blas"):
        tiled = rank_partners(z_mne, present_mn, night_n, subject_n // 4)
    for pair, ranks in whole.items():
        for kind in ("everyone", "other_subjects", "same_night"):
            for one, other in zip(vars(getattr(ranks, kind)).values(), vars(getattr(tiled[pair], kind)).values(), strict=True):
                np.testing.assert_array_equal(one, other)


def test_top_k_is_what_scikit_learns_neighbours_give():
    z_mne, present_mn, night_n, subject_n = windows(noise=0.6)
    found = score_ranks(rank_partners(z_mne, present_mn, night_n, subject_n)[1, 2].everyone, bootstrap(subject_n, resamples=30))
    unit_mne = z_mne / np.linalg.norm(z_mne, axis=2, keepdims=True)
    index = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(unit_mne[2])
    nearest_nk = index.kneighbors(unit_mne[1], return_distance=False)
    hit_nk = nearest_nk == np.arange(120)[:, None]
    assert found.top1.value == pytest.approx(hit_nk[:, 0].mean())
    assert found.top10.value == pytest.approx(hit_nk.any(axis=1).mean())
    assert (found.n, found.candidates, found.top1.subjects) == (120, 120, 3)
    assert (found.chance.top1, found.chance.top10, found.chance.median_rank) == pytest.approx((1 / 120, 10 / 120, 60.5))
    assert found.top1.low <= found.top1.value <= found.top1.high


def test_the_left_out_query_is_the_mean_of_the_other_normalised_embeddings():
    z_mne, present_mn, night_n, subject_n = windows(absent=0.3)
    found = rank_left_out(z_mne, present_mn, night_n, subject_n)
    unit_mne = z_mne / np.linalg.norm(z_mne, axis=2, keepdims=True)
    for target, ranks in found.items():
        others = [m for m in range(M) if m != target]
        window_n = [n for n in range(120) if present_mn[target, n] and present_mn[others, n].any()]
        query_ne = np.stack([unit_mne[[m for m in others if present_mn[m, n]], n].mean(axis=0) for n in window_n])
        np.testing.assert_array_equal(ranks.window_n, window_n)
        everyone = np.ones((len(window_n), len(window_n)), bool)
        np.testing.assert_array_equal(ranks.everyone.better_n, ranks_by_hand(query_ne, unit_mne[target, window_n], everyone))


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(1.0, 1e3))
def test_lengths_and_the_order_of_windows_change_nothing(seed, scale):
    z_mne, present_mn, night_n, subject_n = windows(seed % 7, nights=3, per_night=8)
    order_n = np.random.default_rng(seed).permutation(24)
    plain = rank_partners(z_mne, present_mn, night_n, subject_n)[0, 3]
    moved = rank_partners(scale * z_mne[:, order_n], present_mn[:, order_n], night_n[order_n], subject_n[order_n])[0, 3]
    for kind in ("everyone", "other_subjects", "same_night"):
        np.testing.assert_array_equal(getattr(moved, kind).better_n, getattr(plain, kind).better_n[order_n])


def test_fewer_candidates_are_the_mean_over_random_choices_of_them():
    z_mne, present_mn, night_n, subject_n = windows(noise=2.0)
    ranks = rank_partners(z_mne, present_mn, night_n, subject_n)[0, 1].everyone
    found = score_ranks(ranks, bootstrap(subject_n, resamples=0), 30)
    rng = np.random.default_rng(0)
    draws = [
        rng.hypergeometric(ranks.better_n, ranks.others_n - ranks.better_n, 29)  # how many better ones are drawn
        for _ in range(3000)
    ]
    assert found.top1.value == pytest.approx(np.mean([(draw == 0).mean() for draw in draws]), abs=0.004)
    assert found.top10.value == pytest.approx(np.mean([(draw < 10).mean() for draw in draws]), abs=0.004)
    assert found.candidates == 30
    assert found.chance.top1 == pytest.approx(1 / 30)
    assert found.median_rank.value == pytest.approx(1 + np.median(ranks.better_n) * 29 / 119)
    assert score_ranks(ranks, bootstrap(subject_n, resamples=0), 500).candidates == 120


def test_equal_embeddings_reach_chance_and_no_more():
    z_mne = np.ones((2, 40, E), np.float32)
    night_n = np.repeat(np.arange(4), 10)
    ranks = rank_partners(z_mne, np.ones((2, 40), bool), night_n, night_n)[0, 1]
    for part in (ranks.everyone, ranks.other_subjects, ranks.same_night):
        found = score_ranks(part, bootstrap(night_n, resamples=10))
        assert found.top1.value == pytest.approx(found.chance.top1)
        assert found.top10.value == pytest.approx(found.chance.top10)
        assert found.median_rank.value == pytest.approx(found.chance.median_rank)


def test_blind_embeddings_reach_chance_in_the_mean():
    rng = np.random.default_rng(3)
    night_n = np.repeat(np.arange(40), 25)
    z_mne = rng.normal(size=(2, 1000, E))
    ranks = rank_partners(z_mne, np.ones((2, 1000), bool), night_n, night_n)[1, 0]
    found = score_ranks(ranks.everyone, bootstrap(night_n, resamples=200), 100)
    assert found.top1.low <= 0.01 <= found.top1.high
    assert found.top10.low <= 0.1 <= found.top10.high
    assert found.median_rank.low <= 50.5 <= found.median_rank.high


def test_the_interval_of_the_median_is_that_of_drawing_people():
    rng = np.random.default_rng(1)
    subject_n = np.repeat(np.arange(11), 9)
    ranks = Ranks(rng.integers(0, 99, 99), np.zeros(99, int), np.full(99, 98))
    found = score_ranks(ranks, bootstrap(subject_n, resamples=50, seed=2)).median_rank
    by_hand = []
    for weights_s in bootstrap(subject_n, resamples=50, seed=2).weights_bs.astype(int):
        by_hand.append(np.median(np.repeat(1 + ranks.better_n, weights_s[subject_n])))
    assert found.value == np.median(1 + ranks.better_n)
    assert (found.low, found.high) == pytest.approx(np.quantile(by_hand, (0.025, 0.975)))


def test_one_person_only_and_absent_modalities_are_undefined_with_the_reason():
    z_mne, present_mn, night_n, _ = windows()
    present_mn[3] = False
    found = rank_partners(z_mne, present_mn, night_n, np.zeros(120, int))
    alone = score_ranks(found[0, 1].other_subjects, bootstrap(np.zeros(120, int)))
    assert (alone.n, alone.top1.value) == (0, None)
    assert alone.top1.reason == "no query has a candidate besides its partner"
    absent = score_ranks(found[0, 3].everyone, bootstrap(np.empty(0, int)))
    json.dumps([alone.as_dict(), absent.as_dict()], allow_nan=False)


def test_what_is_absent_may_be_anything_and_what_is_present_must_be_finite():
    z_mne, present_mn, night_n, subject_n = windows()
    z_mne[2, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        rank_partners(z_mne, present_mn, night_n, subject_n)
    present_mn[2, 5] = False
    assert rank_partners(z_mne, present_mn, night_n, subject_n)[2, 0].window_n.size == 119
