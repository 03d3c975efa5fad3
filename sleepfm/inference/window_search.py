"""Exact search for the unit vectors most similar to a query, in files that are larger than memory.

A half-precision file is scanned, and whatever its rounding could hide is ranked again from the float32 file beside it. The answer
is that of ranking every row of the float32 file, products summed in float64 (128 products of float32 numbers are exact there, and
their sum is to 1e-15); rows of equal similarity stand in the order of the file. No approximate index: a scan is fast enough.

The bound. Let x be a row in float32, h the same row in half precision, q the query, all of length 1 but for their rounding, of
E numbers each. Rounding to half changes a number by at most 2^-11 of itself, or by 2^-25 where it is subnormal, so by Cauchy and
Schwarz |q·x - q·h| ≤ |q| (2^-11 |x| + 2^-25 √E). The product q·h, computed in float32 in whatever order, is off by at most
γ |q| |h| with γ = E 2^-24 / (1 - E 2^-24) (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1), and by
E 2^-126 where the processor flushes tiny numbers to zero. By the sum of these, ε (5e-4 for E = 128), a scanned similarity can be
off. If t is the k-th best scanned similarity, at least k rows are truly as good as t - ε, so every row of the true best k is
scanned at t - 2 ε or better: those are ranked again, and no other row can belong.

A single query is itself rounded to half precision, and torch multiplies half by half: the products are exact in float32, in which
they are summed, and the sum is rounded to half. That adds |q - q'| |h|, with the rounded query q', and the rounding of the sum,
2^-12 below 1 (ε is about 9e-4 then). Where torch's sums are found not to be in float32, rows are turned to float32 piece by piece
in the processor's cache, as they are for several queries at once. Half precision is float16: the bound of bfloat16 would be eight
times as wide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch

from sleepfm.errors import RequestError
from sleepfm.inference.device import MAX_WORKERS, available_cores, one_thread_each
from sleepfm.inference.index_rows import unit_rows

_PIECE_ROWS = 2048
"""Scanned at a time by one thread: 1 MB of float32 at 128 numbers a row, which stays in its core's cache."""
_SHARE_ROWS = 32 * _PIECE_ROWS
"""What a thread takes before it asks for more."""
_STRETCH_ROWS = 1024
_SCORES_AT_ONCE = 2**26
"""Similarities held in memory (float32, 256 MB); more queries than that take another scan."""
_RANKED_AT_ONCE = 2**14
"""Rows of the float32 file that are looked at together (as float64, 16 MB at 128 numbers a row)."""


@dataclass(frozen=True)
class RowFiles:
    """Unit vectors in two files of the same rows, NaN where a row cannot be used.

    Attributes
    ----------
    half
        (row, E) float16, without a header.
    exact
        (row, E) float32, without a header.
    rows
        How many rows count; the files may be longer.
    width
        E.
    """

    half: Path
    exact: Path
    rows: int
    width: int


@dataclass(frozen=True, eq=False)
class Found:
    """What was found for one query.

    Attributes
    ----------
    row_k
        (top,) numbers of the most similar rows, best first; fewer when there are fewer candidates.
    similarity_k
        (top,) float64, their cosine with the query.
    candidates
        Rows that were compared.
    better
        How many of them are more similar than the vector that was to be ranked; None when there was none.
    """

    row_k: np.ndarray
    similarity_k: np.ndarray
    candidates: int
    better: int | None


def error_bound(width: int, *, query_error: float = 0.0, sum_error: float = 0.0) -> float:
    """Return how much a scanned similarity of unit vectors can be off (ε of the module's text).

    Parameters
    ----------
    width
        E.
    query_error
        Length of what rounding took from the query, |q - q'|.
    sum_error
        By how much the rounding of a sum can be off.
    """
    # float32 unit vectors may be longer than 1 by their own rounding, √E 2^-24 at most
    length = 1 + np.sqrt(width) * 2.0**-24
    rounding = 2.0**-11 * length + 2.0**-25 * np.sqrt(width)
    gamma = width * 2.0**-24 / (1 - width * 2.0**-24)
    # comparisons themselves are made in float32: one more rounding of numbers up to about 1
    scanned = length * (rounding + gamma * (length + rounding)) + query_error * (1 + gamma) * (length + rounding)
    return float(scanned + sum_error + width * 2.0**-126 + 2.0**-23)


def search(
    files: RowFiles,
    query_qe: np.ndarray,
    top: int,
    *,
    without: Sequence[tuple[int, int]] = (),
    ranked_qe: np.ndarray | None = None,
) -> list[Found]:
    """Return the `top` most similar rows for each query.

    Parameters
    ----------
    files
        What is searched.
    query_qe
        (query, E); brought to unit length here.
    top
        How many rows.
    without
        Stretches (first row, row behind the last) that are no candidates.
    ranked_qe
        (query, E) a vector for each query whose place among the candidates is wanted; brought to unit length here.

    Raises
    ------
    RequestError
        A query, or a vector to be ranked, is zero or not finite.
    """
    queries_qe = unit_rows(query_qe)
    ranked = None if ranked_qe is None else unit_rows(ranked_qe)
    for vectors in (queries_qe, ranked):
        if vectors is not None and not np.isfinite(vectors).all():
            raise RequestError("the query is empty or holds values that are not numbers: choose another clip")
    if files.rows == 0:
        empty = np.empty(0, np.int64), np.empty(0)
        return [Found(*empty, candidates=0, better=None if ranked is None else 0) for _ in queries_qe]
    at_once = max(1, _SCORES_AT_ONCE // files.rows)
    exact = np.memmap(files.exact, np.float32, "r", shape=(files.rows, files.width))
    found = []
    for first in range(0, len(queries_qe), at_once):
        some_qe = queries_qe[first : first + at_once]
        scores_qn, bound = _scan(files, some_qe)
        for start, stop in without:
            scores_qn[:, max(start, 0) : stop] = -np.inf
        for number, query_e in enumerate(some_qe, start=first):
            partner_e = None if ranked is None else ranked[number]
            found.append(_rank_again(exact, scores_qn[number - first], query_e, top, bound=bound, ranked_e=partner_e))
    return found


def _scan(files: RowFiles, query_qe: np.ndarray) -> tuple[np.ndarray, np.float32]:
    """Return (query, row) float32 similarities with the half-precision rows, NaN where a row cannot be used, and their bound."""
    half_ne = _mapped(files.half, files.half.stat().st_ino, files.rows, files.width)
    queries_qe = torch.from_numpy(query_qe)
    if len(queries_qe) == 1 and _half_sums_are_single():
        return _scan_in_half(half_ne, queries_qe[0])
    scores_qn = torch.empty(len(query_qe), files.rows)

    def scan(share: int) -> None:
        piece_ne = torch.empty(_PIECE_ROWS, files.width)
        for start in range(share, min(share + _SHARE_ROWS, files.rows), _PIECE_ROWS):
            stop = min(start + _PIECE_ROWS, files.rows)
            rows_ne = piece_ne[: stop - start].copy_(half_ne[start:stop])
            scores_qn[:, start:stop] = queries_qe @ rows_ne.T

    _in_shares(scan, files.rows)
    return scores_qn.numpy(), np.float32(error_bound(files.width))


@lru_cache(maxsize=4)
def _mapped(path: Path, _inode: int, rows: int, width: int) -> torch.Tensor:
    """Return (row, E) a half-precision file in memory; kept, since mapping its pages anew costs a third of a scan."""
    # a private mapping: torch wants memory that may be written, and nothing is
    return torch.from_numpy(np.memmap(path, np.float16, "c", shape=(rows, width)))


def _scan_in_half(half_ne: torch.Tensor, query_e: torch.Tensor) -> tuple[np.ndarray, np.float32]:
    rounded_e = query_e.half()
    half_n = torch.empty(len(half_ne), dtype=torch.float16)

    def scan(share: int) -> None:
        stop = min(share + _SHARE_ROWS, len(half_ne))
        torch.mv(half_ne[share:stop], rounded_e, out=half_n[share:stop])

    _in_shares(scan, len(half_ne))
    scores_n = half_n.float().numpy()
    largest = np.nanmax(np.abs(scores_n), initial=0.0)
    bound = error_bound(
        half_ne.shape[1],
        query_error=float((query_e.double() - rounded_e.double()).norm()),
        sum_error=2.0**-12 if largest < 1 else 2.0**-11,
    )
    return scores_n[None], np.float32(bound)


def _in_shares(scan: Callable[[int], None], rows: int) -> None:
    """Call a function with the first row of each share, on all cores, each with one thread of torch's."""
    workers = min(MAX_WORKERS, available_cores())
    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(scan, range(0, rows, _SHARE_ROWS)))


@cache
def _half_sums_are_single() -> bool:
    """Tell whether torch sums products of half-precision numbers in float32 here.

    Of 2,048 products the first is 1 and the others are 2^-12: summed in half precision, those would be lost one by one.
    """
    row_e = torch.full((2048,), 2.0**-12, dtype=torch.float16)
    row_e[0] = 1.0
    (one,) = torch.mv(row_e[None], torch.ones(2048, dtype=torch.float16)).tolist()
    return bool(one == float(torch.tensor(1 + 2047 * 2.0**-12).half()))


def _rank_again(
    exact: np.ndarray, scores_n: np.ndarray, query_e: np.ndarray, top: int, *, bound: np.float32, ranked_e: np.ndarray | None
) -> Found:
    """Turn scanned similarities (NaN or -inf: no candidate), each off by at most `bound`, into the exact answer."""
    candidates = int(np.count_nonzero(scores_n > -np.inf))
    wanted = min(top, candidates)
    row_k, similarity_k = np.empty(0, np.int64), np.empty(0)
    if wanted:
        likely_n = np.flatnonzero(scores_n >= _kth_largest(scores_n, wanted) - 2 * bound)
        row_k, similarity_k = _best(exact, likely_n, query_e, wanted)
    better = None
    if ranked_e is not None:
        own = float(_similarity(ranked_e[None], query_e)[0])
        low, high = np.float32(own) - bound, np.float32(own) + bound
        close_n = np.flatnonzero((scores_n >= low) & (scores_n <= high))
        above = sum(int((_similarity(exact[some], query_e) > own).sum()) for some in _groups(close_n))
        better = int(np.count_nonzero(scores_n > high)) + above
    return Found(row_k, similarity_k, candidates, better)


def _kth_largest(scores_n: np.ndarray, k: int) -> np.floating:
    """Return the k-th largest of many similarities, of which at least k are to be compared.

    Only those above the k-th largest maximum of a stretch are looked at closely.
    """
    maxima = np.fmax.reduceat(scores_n, np.arange(0, len(scores_n), _STRETCH_ROWS))
    maxima = maxima[maxima > -np.inf]
    least = np.partition(maxima, -k)[-k] if len(maxima) >= k else np.float32(np.finfo(np.float32).min)
    return np.partition(scores_n[scores_n >= least], -k)[-k]


def _best(exact: np.ndarray, row_n: np.ndarray, query_e: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best of some rows, which are in ascending order, and their similarity; equals stand in the order of the file."""
    kept, similarity = np.empty(0, np.int64), np.empty(0)
    for some in _groups(row_n):
        kept, similarity = np.concatenate([kept, some]), np.concatenate([similarity, _similarity(exact[some], query_e)])
        order = np.argsort(-similarity, kind="stable")[:top]
        kept, similarity = kept[order], similarity[order]
    return kept, similarity


def _similarity(rows_ne: np.ndarray, query_e: np.ndarray) -> np.ndarray:
    return (rows_ne.astype(np.float64) * query_e).sum(axis=1)


def _groups(row_n: np.ndarray) -> list[np.ndarray]:
    return [row_n[start : start + _RANKED_AT_ONCE] for start in range(0, len(row_n), _RANKED_AT_ONCE)]
