"""Exact search: the answer is that of brute force, whatever half precision hides."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.inference import window_search
from sleepfm.inference.index_rows import unit_rows
from sleepfm.inference.window_search import RowFiles, error_bound, search


def write_rows(folder: Path, rows_ne: np.ndarray, spare: int = 0) -> RowFiles:
    files = RowFiles(folder / "half", folder / "exact", len(rows_ne), rows_ne.shape[1])
    left_over = np.ones((spare, rows_ne.shape[1]), np.float32)
    np.concatenate([rows_ne, left_over]).astype(np.float16).tofile(files.half)
    np.concatenate([rows_ne, left_over]).astype(np.float32).tofile(files.exact)
    return files


def brute_force(rows_ne: np.ndarray, query_e: np.ndarray, allowed_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the allowed rows from best to worst and the similarity of every row, in float64 from float32 vectors."""
    similarity_n = np.array([float(np.dot(row.astype(np.float64), query_e.astype(np.float64))) for row in rows_ne])
    order_n = np.lexsort((np.arange(len(rows_ne)), -similarity_n))
    return order_n[allowed_n[order_n]], similarity_n


def near_ties(n: int, width: int, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose similarity with the query differs by about `spread`: far less than half precision resolves."""
    query = unit_rows(rng.normal(size=(1, width)))
    aside = rng.normal(size=(n, width))
    aside -= (aside @ query[0])[:, None] * query
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine_n = 0.7 + spread * rng.permutation(n)
    return unit_rows(cosine_n[:, None] * query + np.sqrt(1 - cosine_n**2)[:, None] * aside), query


class Case(NamedTuple):
    n: int
    width: int
    top: int
    spread: float
    twins: bool
    holes: bool
    seed: int


CASES = st.builds(
    Case,
    n=st.integers(1, 400),
    width=st.sampled_from([3, 16, 128]),
    top=st.integers(1, 30),
    spread=st.sampled_from([0.0, 1e-7, 1e-6, 1e-5, 3e-4]),
    twins=st.booleans(),
    holes=st.booleans(),
    seed=st.integers(0, 2**31),
)


@settings(max_examples=40, deadline=None)
@given(case=CASES)
def test_near_ties_are_ranked_as_by_brute_force(tmp_path_factory: pytest.TempPathFactory, case: Case) -> None:
    n, rng = case.n, np.random.default_rng(case.seed)
    rows_ne, query_qe = near_ties(n, case.width, case.spread, rng)
    if case.twins:  # equal to the last bit: the order of the file decides
        rows_ne[rng.integers(n, size=n // 3)] = rows_ne[0]
    usable_n = np.ones(n, bool)
    if case.holes:
        usable_n[rng.random(n) < 0.2] = False
        rows_ne[~usable_n] = np.nan
    stretch = tuple(sorted(rng.integers(0, n + 1, size=2)))
    allowed_n = usable_n & ~((np.arange(n) >= stretch[0]) & (np.arange(n) < stretch[1]))
    ranked = rng.integers(n)
    ranked_qe = query_qe if np.isnan(rows_ne[ranked]).any() else rows_ne[ranked : ranked + 1]

    files = write_rows(tmp_path_factory.mktemp("rows"), rows_ne, spare=3)
    (found,) = search(files, query_qe, case.top, without=[stretch], ranked_qe=ranked_qe)

    best_n, similarity_n = brute_force(np.nan_to_num(rows_ne), unit_rows(query_qe)[0], allowed_n)
    expected = best_n[: case.top]
    assert found.candidates == allowed_n.sum()
    assert len(found.row_k) == len(expected)
    np.testing.assert_allclose(found.similarity_k, similarity_n[expected], rtol=0, atol=1e-14)
    # rows that differ by less than float64 sums do may stand in either order; all others stand as brute force has them
    np.testing.assert_allclose(similarity_n[found.row_k], similarity_n[expected], rtol=0, atol=1e-14)
    assert len(set(found.row_k.tolist())) == len(found.row_k)
    assert allowed_n[found.row_k].all()
    own = float(np.dot(unit_rows(ranked_qe)[0].astype(np.float64), unit_rows(query_qe)[0].astype(np.float64)))
    surely = int((similarity_n[allowed_n] > own + 1e-14).sum())
    assert found.better is not None
    assert surely <= found.better <= int((similarity_n[allowed_n] > own - 1e-14).sum())


def test_half_precision_alone_would_answer_wrongly(tmp_path: Path) -> None:
    rows_ne, query_qe = near_ties(2000, 128, 1e-7, np.random.default_rng(1))
    expected, _ = brute_force(rows_ne, query_qe[0], np.ones(2000, bool))
    by_half = np.argsort(-(rows_ne.astype(np.float16).astype(np.float32) @ query_qe[0]), kind="stable")
    assert set(by_half[:10]) != set(expected[:10])
    (found,) = search(write_rows(tmp_path, rows_ne), query_qe, 10)
    assert found.row_k.tolist() == expected[:10].tolist()


def test_equal_rows_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    row = unit_rows(np.random.default_rng(0).normal(size=(1, 128)))
    (found,) = search(write_rows(tmp_path, np.repeat(row, 50, axis=0)), row, 7, ranked_qe=row)
    assert found.row_k.tolist() == list(range(7))
    assert found.better == 0


def test_the_answer_is_that_of_faiss_over_several_pieces_and_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_search, "_PIECE_ROWS", 64)
    monkeypatch.setattr(window_search, "_SHARE_ROWS", 256)
    monkeypatch.setattr(window_search, "_STRETCH_ROWS", 32)
    monkeypatch.setattr(window_search, "_SCORES_AT_ONCE", 5000)  # two queries a scan
    monkeypatch.setattr(window_search, "_RANKED_AT_ONCE", 8)
    rng = np.random.default_rng(3)
    rows_ne, query_qe = unit_rows(rng.normal(size=(2500, 128))), unit_rows(rng.normal(size=(5, 128)))
    flat = faiss.IndexFlatIP(128)
    flat.add(rows_ne)
    similarity_qk, row_qk = flat.search(query_qe, 20)
    for found, similarity_k, row_k in zip(
        search(write_rows(tmp_path, rows_ne), query_qe, 20), similarity_qk, row_qk, strict=True
    ):
        assert found.row_k.tolist() == row_k.tolist()
        np.testing.assert_allclose(found.similarity_k, similarity_k, atol=1e-6)
        assert found.candidates == 2500


@settings(max_examples=60, deadline=None)
@given(
    width=st.sampled_from([1, 16, 128, 512]),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([1.0, 1e-3, 1e-6]),
)
def test_a_scanned_similarity_is_never_further_off_than_the_bound(width: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    magnitude = np.where(rng.random((200, width)) < 0.5, scale, 1.0)  # small numbers are subnormal in half precision
    rows_ne = unit_rows(rng.normal(size=(200, width)) * magnitude)
    half_ne = rows_ne.astype(np.float16).astype(np.float32)
    # the worst query for a row is its rounding error itself
    off_ne = rows_ne.astype(np.float64) - half_ne
    worst_ne = unit_rows(np.where(np.abs(off_ne).max(axis=1, keepdims=True) > 0, off_ne, 1.0))
    for query_ne in (worst_ne, unit_rows(rng.normal(size=(200, width)))):
        exact_n = (rows_ne.astype(np.float64) * query_ne).sum(axis=1)
        scanned_n = (half_ne * query_ne).sum(axis=1, dtype=np.float32)
        assert np.abs(exact_n - scanned_n).max() <= error_bound(width)
    assert error_bound(128) < 5.1e-4


def test_a_row_that_cannot_be_used_never_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows_ne = unit_rows(rng.normal(size=(40, 16)))
    query_qe = -rows_ne[:1]  # most similarities are negative: a zero would win
    rows_ne[3:] = np.nan
    (found,) = search(write_rows(tmp_path, rows_ne), query_qe, 10)
    assert sorted(found.row_k.tolist()) == [0, 1, 2]
    (none,) = search(write_rows(tmp_path, rows_ne), query_qe, 10, without=[(0, 3)], ranked_qe=query_qe)
    assert (len(none.row_k), none.candidates, none.better) == (0, 0, 0)


@pytest.mark.parametrize("bad", [np.zeros(4), np.array([1, np.nan, 0, 0]), np.array([np.inf, 0, 0, 0])])
def test_a_query_that_is_no_direction_is_refused(tmp_path: Path, bad: np.ndarray) -> None:
    files = write_rows(tmp_path, unit_rows(np.eye(4)))
    with pytest.raises(RequestError, match="not numbers"):
        search(files, bad[None], 1)
    with pytest.raises(RequestError, match="not numbers"):
        search(files, np.eye(4)[:1], 1, ranked_qe=bad[None])


def test_an_empty_file_has_no_candidates(tmp_path: Path) -> None:
    (found,) = search(write_rows(tmp_path, np.empty((0, 4), np.float32)), np.eye(4)[:1], 3)
    assert (found.row_k.size, found.candidates, found.better) == (0, 0, None)
