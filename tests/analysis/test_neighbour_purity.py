"""Purity of neighbourhoods: neighbours against scikit-learn, shares and chance against loops, intervals over people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.neighbors import NearestNeighbors

from sleepfm.analysis.neighbour_purity import MOST_GROUPS, NOBODY, nearest_others, neighbours_of, purity
from sleepfm.analysis.projection import unit
from sleepfm.errors import Cancelled


def cohort(n: int, seed: int, *, people: int = 12, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return unit(rng.standard_normal((n, width))), rng.integers(0, people, n).astype(np.int32)


@settings(deadline=None, max_examples=20)
@given(st.integers(10, 150), st.integers(0, 99), st.integers(1, 8), st.sampled_from([40, 1000, 10**6]))
def test_neighbours_are_scikit_learns_among_other_people(n: int, seed: int, k: int, cells: int) -> None:
    x_ne, subject_n = cohort(n, seed)
    queries = np.arange(0, n, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleepfm.analysis.neighbour_purity._CELLS_AT_ONCE", cells)
        found = nearest_others(x_ne, subject_n, queries, k=k)
    for query, neighbours in zip(queries, found, strict=True):
        others = np.flatnonzero(subject_n != subject_n[query])
        there = neighbours[neighbours != NOBODY]
        assert len(there) == min(k, len(others))
        if not len(there):
            continue
        oracle = NearestNeighbors(n_neighbors=len(there), metric="cosine", algorithm="brute").fit(x_ne[others])
        similarity = x_ne[there] @ x_ne[query]
        expected = x_ne[others[oracle.kneighbors(x_ne[query][None])[1][0]]] @ x_ne[query]
        np.testing.assert_allclose(similarity, expected, atol=1e-6)
        assert (np.diff(similarity) <= 1e-6).all()
        assert (subject_n[there] != subject_n[query]).all()


def by_hand(label_n: np.ndarray, subject_n: np.ndarray, queries: np.ndarray, neighbours: np.ndarray) -> tuple[float, float]:
    shares, chances = [], []
    for query, own in zip(queries, neighbours, strict=True):
        known = [label_n[row] for row in own if row != NOBODY and label_n[row] != NOBODY]
        if label_n[query] == NOBODY or not known:
            continue
        others = label_n[(subject_n != subject_n[query]) & (label_n != NOBODY)]
        shares.append(np.mean(np.array(known) == label_n[query]))
        chances.append(np.mean(others == label_n[query]))
    return float(np.mean(shares)), float(np.mean(chances))


@settings(deadline=None, max_examples=25)
@given(st.integers(20, 120), st.integers(0, 999), st.integers(2, 5), st.sampled_from([10, 10**6]))
def test_share_and_chance_are_those_of_a_loop(n: int, seed: int, labels: int, cells: int) -> None:
    x_ne, subject_n = cohort(n, seed)
    label_n = np.random.default_rng(seed).integers(NOBODY, labels, n)
    label_n[:2] = 0, 1
    queries = np.arange(n)
    neighbours = nearest_others(x_ne, subject_n, queries, k=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sleepfm.analysis.neighbour_purity._CELLS_AT_ONCE", cells)
        found = purity(label_n, subject_n, queries, neighbours, resamples=50)
    share, chance = by_hand(label_n, subject_n, queries, neighbours)
    assert found.share.value == pytest.approx(share)
    assert found.chance == pytest.approx(chance)
    assert found.share.low is not None
    assert found.share.high is not None
    assert found.share.low <= share <= found.share.high
    asked = sum(estimate.n for estimate, _ in found.by_label.values())
    assert asked == found.share.n
    weighted = sum(estimate.n * (estimate.value or 0.0) for estimate, _ in found.by_label.values())
    assert weighted / asked == pytest.approx(share)


def test_a_site_that_shapes_the_embedding_is_seen_and_one_that_does_not_is_not() -> None:
    rng = np.random.default_rng(0)
    subject_n = np.repeat(np.arange(60), 3)
    site_n = subject_n % 3
    centres = rng.standard_normal((3, 10))
    x_ne = unit(rng.standard_normal((180, 10)) + 2 * centres[site_n])
    neighbours = nearest_others(x_ne, subject_n, np.arange(180))
    seen = purity(site_n, subject_n, np.arange(180), neighbours)
    assert seen.chance is not None
    assert seen.share.low is not None
    assert seen.share.low > seen.chance
    assert seen.share.subjects == 60
    drawn = purity(rng.permutation(60)[subject_n] % 3, subject_n, np.arange(180), neighbours)
    assert drawn.share.value is not None
    assert drawn.chance is not None
    assert drawn.share.low is not None
    assert drawn.share.high is not None
    assert drawn.share.low < drawn.chance < drawn.share.high


def test_the_person_alone_makes_no_neighbours() -> None:
    subject_n = np.repeat(np.arange(10), 4)
    x_ne = unit(np.eye(10)[subject_n] + 0.01)
    neighbours = nearest_others(x_ne, subject_n, np.arange(40), k=3)
    found = purity(subject_n, subject_n, np.arange(40), neighbours)
    assert (found.share.value, found.chance) == (0.0, 0.0)


def test_all_or_nothing_of_a_few_people_is_not_certain() -> None:
    subject_n = np.arange(6)
    site_n = np.array([0, 0, 0, 1, 1, 1])
    x_ne = unit(np.eye(2)[site_n] + 0.01 * np.random.default_rng(0).standard_normal((6, 2)))
    found = purity(site_n, subject_n, np.arange(6), nearest_others(x_ne, subject_n, np.arange(6), k=1))
    assert found.share.value == 1.0
    assert (found.share.low, found.share.high) == pytest.approx(binomtest(6, 6).proportion_ci(method="wilson"))
    of_site, _ = found.by_label[0]
    assert (of_site.low, of_site.high) == pytest.approx(binomtest(3, 3).proportion_ci(method="wilson"))


def test_what_cannot_be_said_has_its_reason() -> None:
    x_ne, subject_n = cohort(20, 0)
    neighbours = nearest_others(x_ne, subject_n, np.arange(20), k=3)
    one = purity(np.zeros(20, int), subject_n, np.arange(20), neighbours)
    assert one.share.value is None
    assert "two groups" in one.share.reason
    unknown = purity(np.full(20, NOBODY), subject_n, np.arange(20), neighbours)
    assert unknown.share.value is None
    alone = np.zeros(20, int)
    nobody = nearest_others(x_ne, alone, np.arange(20), k=3)
    assert (nobody == NOBODY).all()
    assert "neighbours of other people" in purity(np.arange(20) % 2, alone, np.arange(20), nobody).share.reason


def test_of_many_groups_the_largest_are_listed() -> None:
    x_ne, subject_n = cohort(400, 1, people=100)
    label_n = np.concatenate([np.arange(30).repeat(10), np.full(100, 30)])
    found = purity(label_n, subject_n, np.arange(400), nearest_others(x_ne, subject_n, np.arange(400)), resamples=20)
    assert len(found.by_label) == MOST_GROUPS
    assert 30 in found.by_label


def test_looking_for_neighbours_can_be_cancelled() -> None:
    x_ne, subject_n = cohort(20, 0)

    def stop(_fraction: float, _message: str) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        nearest_others(x_ne, subject_n, np.arange(20), progress=stop)


@given(st.integers(2, 10**6))
def test_neighbours_are_never_everybody(rows: int) -> None:
    assert 1 <= neighbours_of(rows) <= max(1, rows // 5)
    assert neighbours_of(rows) <= neighbours_of(rows + 1) <= neighbours_of(10**6) == 20
