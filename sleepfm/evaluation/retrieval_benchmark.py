"""How long the evaluation of retrieval takes beside what it cannot do without: the bare matrix product with the ten best.

Both go through the same tiles with the same number of threads, each thread its own tiles (on a busy machine threads that share a
tile wait for each other, which would flatter the evaluation). The bare loop answers one direction (the ten candidates nearest to
each query); the evaluation gives exact ranks in both directions, among all windows, other people's, and the night's own.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch

from sleepfm.analysis.retrieval import TILE, TOP, product_threads, rank_partners
from sleepfm.errors import RequestError

WINDOWS = 90_000
"""Candidates of the 2024 paper (arXiv 2405.17766)."""
_EMBED_DIM = 128
_WINDOWS_A_NIGHT = 96
_NOISE = 3.0
"""Of the partner beside the query: about what makes retrieval neither trivial nor hopeless."""


@dataclass(frozen=True)
class RetrievalBenchmark:
    """Seconds of each turn: `ranked_s` of `rank_partners` on one pair, `bare_s` of the product with the ten best."""

    windows: int
    threads: int
    ranked_s: list[float] = field(default_factory=list)
    bare_s: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times the bare loop the evaluation takes, by the medians."""
        return median(self.ranked_s) / median(self.bare_s)


def benchmark_retrieval(windows: int = WINDOWS, *, repeats: int = 1) -> RetrievalBenchmark:
    """Time both in turns, on made-up embeddings of one pair of modalities.

    Parameters
    ----------
    windows
        Queries, and candidates; the time grows with their square.
    repeats
        Turns of each.

    Raises
    ------
    RequestError
        Fewer windows than are ranked, or no turn.
    """
    if windows < max(TOP) or repeats < 1:
        raise RequestError(f"the benchmark of retrieval needs {max(TOP)} windows and one turn at least")
    rng = np.random.default_rng(0)
    query_ne = rng.standard_normal((windows, _EMBED_DIM), np.float32)
    target_ne = query_ne + _NOISE * rng.standard_normal((windows, _EMBED_DIM), np.float32)
    z_mne = np.stack([query_ne, target_ne])
    night_n = np.arange(windows) // _WINDOWS_A_NIGHT
    found = RetrievalBenchmark(windows, product_threads())
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(repeats):
            started = time.perf_counter()
            _bare(torch.from_numpy(query_ne), torch.from_numpy(target_ne), found.threads)
            found.bare_s.append(time.perf_counter() - started)
            started = time.perf_counter()
            rank_partners(z_mne, np.ones((2, windows), dtype=bool), night_n, night_n)
            found.ranked_s.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return found


def _bare(query_ne: torch.Tensor, target_ne: torch.Tensor, threads: int) -> None:
    def nearest(query_qe: torch.Tensor) -> None:
        for target_ce in target_ne.split(TILE):
            torch.topk(query_qe @ target_ce.T, min(max(TOP), len(target_ce)), dim=1)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(nearest, query_ne.split(TILE)))
