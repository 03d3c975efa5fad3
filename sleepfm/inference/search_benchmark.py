"""How fast the exact search is among random unit vectors, beside a plain numpy product, and what memory it takes.

Random vectors are the hard case for the scan (nothing can be skipped) and take part in the ranking as real ones do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.inference.index_rows import unit_rows
from sleepfm.inference.window_search import RowFiles, error_bound, search

WIDTH = 128
_BLOCK_ROWS = 100_000
_REACH = 0.3
"""Of random vectors of 128 numbers about one in 3,000 is as similar as this: all that can be among the best are."""
_WIDEST = error_bound(WIDTH, query_error=2.0**-11, sum_error=2.0**-11)
_SAMPLE_S = 0.002


@dataclass(frozen=True)
class SearchBenchmark:
    """What was measured.

    Attributes
    ----------
    search_s
        Seconds of each query for the `top` nearest, after one that is not counted: the files are in the system's cache.
    numpy_s
        Seconds of the same by numpy on float32 rows in memory, after `search_s`; empty when it was not asked for.
    first_s
        Of the query that is not counted, which reads what is not in the cache yet.
    anonymous_mb
        The most memory that was not backed by a file while searching, torch's own included; None where the system does not tell.
    search_mb
        By how much that is above what it was before the first query.
    """

    rows: int
    top: int
    search_s: tuple[float, ...]
    numpy_s: tuple[float, ...]
    first_s: float
    anonymous_mb: float | None
    search_mb: float | None


def benchmark_search(folder: Path, rows: int, *, top: int = 8, repeats: int = 5, beside_numpy: bool = False) -> SearchBenchmark:
    """Make vectors in a folder and time queries among them; each answer must be that of brute force.

    Parameters
    ----------
    folder
        Gets 256 bytes a row, and the few float32 rows that are ever read: that file is sparse. Both are deleted at the end.
    rows
        How many vectors.
    beside_numpy
        Also time numpy, on as many float32 rows in memory (512 bytes a row).

    Raises
    ------
    RuntimeError
        An answer was not that of brute force.
    """
    files = RowFiles(folder / "bench.float16", folder / "bench.float32", rows, WIDTH)
    try:
        query_qe = unit_rows(np.random.default_rng(1).standard_normal((repeats + 1, WIDTH)))
        true_qk = _write(files, query_qe, top)
        before = anonymous_mb()
        search_s, numpy_s = [], []
        with _peak() as memory:
            for query_e, true_k in zip(query_qe, true_qk, strict=True):
                started = time.perf_counter()
                (found,) = search(files, query_e[None], top)
                search_s.append(time.perf_counter() - started)
                if found.row_k.tolist() != true_k.tolist() or found.similarity_k[-1] - 2 * _WIDEST < _REACH:
                    raise RuntimeError(f"the search of {rows:,} rows did not answer as brute force does")
        most = max(memory, default=None)
        # not by turns: 512 MB of float32 and threads that still spin would stand between one query and the next
        kept_ne = np.concatenate(list(_blocks(rows))) if beside_numpy else None
        for query_e in query_qe if kept_ne is not None else ():
            started = time.perf_counter()
            similarity_n = kept_ne @ query_e
            np.argpartition(similarity_n, -top)[-top:]
            numpy_s.append(time.perf_counter() - started)
        return SearchBenchmark(
            rows=rows,
            top=top,
            search_s=tuple(search_s[1:]),
            numpy_s=tuple(numpy_s[1:]),
            first_s=search_s[0],
            anonymous_mb=most,
            search_mb=None if most is None or before is None else most - before,
        )
    finally:
        files.half.unlink(missing_ok=True)
        files.exact.unlink(missing_ok=True)


def anonymous_mb() -> float | None:
    """Return this process's memory that is not backed by files, in MB; None where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("RssAnon:")), None)


def _blocks(rows: int) -> Iterator[np.ndarray]:
    """Yield (row, E) float32 unit vectors, the same each time."""
    for first in range(0, rows, _BLOCK_ROWS):
        rng = np.random.default_rng([2, first])
        yield unit_rows(rng.standard_normal((min(_BLOCK_ROWS, rows - first), WIDTH), np.float32))


def _write(files: RowFiles, query_qe: np.ndarray, top: int) -> np.ndarray:
    """Write the rows, in float32 only those within reach of a query; return (query, top) the rows that are truly nearest."""
    near: list[tuple[np.ndarray, np.ndarray]] = []
    with files.half.open("wb") as half, files.exact.open("wb") as exact:
        exact.truncate(files.rows * WIDTH * 4)
        first = 0
        for block_ne in _blocks(files.rows):
            half.write(block_ne.astype(np.float16).tobytes())
            close_n = np.flatnonzero((block_ne @ query_qe.T).max(axis=1) > _REACH)
            for row in close_n:
                exact.seek(int(first + row) * WIDTH * 4)
                exact.write(block_ne[row].tobytes())
            near.append((first + close_n, block_ne[close_n].astype(np.float64) @ query_qe.T.astype(np.float64)))
            first += len(block_ne)
    row_n, similarity_nq = np.concatenate([rows for rows, _ in near]), np.concatenate([similarity for _, similarity in near])
    return row_n[np.argsort(-similarity_nq, axis=0, kind="stable")[:top]].T


@contextmanager
def _peak() -> Iterator[list[float]]:
    """Collect the anonymous memory (MB) of this process while the block runs."""
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_SAMPLE_S):
            now = anonymous_mb()
            if now is None:
                return
            seen.append(now)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
