"""The benchmark of retrieval runs both loops and leaves torch as it was."""

from __future__ import annotations

import pytest
import torch

from sleepfm.errors import RequestError
from sleepfm.evaluation.retrieval_benchmark import benchmark_retrieval


def test_both_loops_are_timed_in_turns() -> None:
    before = torch.get_num_threads()
    found = benchmark_retrieval(1100, repeats=2)
    assert (found.windows, len(found.ranked_s), len(found.bare_s)) == (1100, 2, 2)
    assert min(found.ranked_s + found.bare_s) > 0
    assert found.ratio > 0
    assert torch.get_num_threads() == before


def test_too_little_to_rank_is_refused() -> None:
    with pytest.raises(RequestError, match="10 windows"):
        benchmark_retrieval(9)
