"""The benchmark of the search measures what it says, and refuses to time wrong answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepfm.inference import search_benchmark
from sleepfm.inference.search_benchmark import benchmark_search
from sleepfm.inference.window_search import Found


def test_it_times_true_answers_and_leaves_nothing(tmp_path: Path) -> None:
    found = benchmark_search(tmp_path, 20_000, top=1, repeats=2, beside_numpy=True)
    assert len(found.search_s) == len(found.numpy_s) == 2
    assert min(found.search_s) > 0
    assert found.first_s > 0
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_answer_is_no_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Found(np.array([1, 2]), np.array([0.9, 0.8]), 5, None)
    monkeypatch.setattr(search_benchmark, "search", lambda *_: [wrong])
    with pytest.raises(RuntimeError, match="brute force"):
        benchmark_search(tmp_path, 5_000, top=2, repeats=1)
    assert list(tmp_path.iterdir()) == []
