"""Benchmarks of the explore pages' work, each run by `sleepfm.cli.bench_worker` in a process of its own."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from sleepfm.inference.device import Precision
from sleepfm.inference.memory import peak_memory_mb

Result = dict[str, Any]


def similar_1m(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure a query among 1,000,000 windows, beside numpy's float32 product."""
    return [_search(folder, 1_000_000, repeats, "similar_1m", beside_numpy=True)]


def similar_6m(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure a query among 6,200,000 windows (65,000 nights) in a mapped file."""
    return [_search(folder, 6_200_000, repeats, "similar_6m", beside_numpy=False)]


def _search(folder: Path, rows: int, repeats: int, name: str, *, beside_numpy: bool) -> Result:
    from sleepfm.inference.search_benchmark import benchmark_search

    found = benchmark_search(folder, rows, repeats=2 * repeats, beside_numpy=beside_numpy)
    extra: dict[str, float] = {"first_s": found.first_s}
    if found.numpy_s:
        extra |= {"numpy_s": median(found.numpy_s), "times_faster": median(found.numpy_s) / median(found.search_s)}
    if found.search_mb is not None:
        extra["search_mb"] = found.search_mb
    return {"name": name, "seconds": list(found.search_s), "peak_memory_mb": found.anonymous_mb, "extra": extra}


def retrieval_90k(_folder: Path, _hours: float, _repeats: int) -> list[Result]:
    """Measure the evaluation of retrieval among 90,000 windows once, beside the bare product with the ten best."""
    from sleepfm.evaluation.retrieval_benchmark import benchmark_retrieval

    found = benchmark_retrieval()
    extra = {"bare_s": median(found.bare_s), "times_the_bare_product": found.ratio}
    return [{"name": "retrieval_90k", "seconds": found.ranked_s, "peak_memory_mb": peak_memory_mb(), "extra": extra}]


def coalitions(_folder: Path, hours: float, repeats: int) -> list[Result]:
    """Measure all coalitions of a night's modalities under a disease head of the published size, and what follows them."""
    from sleepfm.inference.risk_benchmark import benchmark_risk

    results = []
    precisions: dict[str, Precision] = {"coalitions": "fp32", "coalitions_bf16": "bf16"}
    for name, precision in precisions.items():
        found = benchmark_risk(hours=hours, precision=precision, repeats=repeats)
        extra = {
            "intervals_s": median(found.intervals_s),
            "occlusion_s": median(found.occlusion_s),
            "largest_difference": found.difference,
        }
        results.append({"name": name, "seconds": list(found.coalitions_s), "peak_memory_mb": peak_memory_mb(), "extra": extra})
    return results


def map_1m(folder: Path, _hours: float, repeats: int) -> list[Result]:
    """Measure the cohort page with 1,000,000 windows in a real browser."""
    from sleepfm.viewer.map_benchmark import bench_map

    paths = folder / "map"
    paths.mkdir()
    found = bench_map(paths, repeats=2 * repeats)
    extra = {
        name: median(times)
        for name, times in (
            ("pan_ms", found.pan_ms),
            ("zoom_ms", found.zoom_ms),
            ("hover_ms", found.hover_ms),
            ("lasso_ms", found.lasso_ms),
            ("recolour_ms", found.recolour_ms),
        )
    }
    extra |= {"table_s": median(found.table_s), "make_s": found.make_s}
    return [{"name": "map_1m", "seconds": list(found.open_s), "peak_memory_mb": None, "extra": extra}]
