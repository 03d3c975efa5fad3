"""The numbers of retrieval as rows of a table: each with what it rests on, its interval, and chance beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def retrieval_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the rows of `evaluate retrieval`'s JSON: one for each number of candidates and pair of modalities.

    An interval that people are too few for is left out; a number that is not defined says why.
    """
    sizes = {int(size): pairs for size, pairs in found["by_candidates"].items()}
    return [_row(name, one) for size in sorted(sizes) for name, one in sizes[size].items()]


def retrieval_words(found: Mapping[str, Any]) -> str:
    """Return what must be read with the table: what the intervals are, and the evaluation's own warnings."""
    told = (
        "In brackets: 95 % intervals over resampled people. Top-1: the same five minutes were the most similar of all candidates."
    )
    return " ".join([told, *(f"{warning[0].upper()}{warning[1:].rstrip('.')}." for warning in found["warnings"])])


def _row(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    query, _, target = name.partition(">")
    return {
        "Candidates": f"{one['candidates']:,}",
        "Asked with": query,
        "Looked for": target,
        "Windows": f"{one['n']:,}",
        "People": f"{one['subjects']:,}",
        "Top-1": _share(one, "top1"),
        "by chance": f"{100 * one['chance']['top1']:.2g} %",
        "Top-10": _share(one, "top10"),
        "by chance ": f"{100 * one['chance']['top10']:.2g} %",
        "Median rank": _rank(one),
        "by chance  ": f"{one['chance']['median_rank']:,.0f}",
    }


def _share(one: Mapping[str, Any], name: str) -> str:
    if one[name] is None:
        return str(one["reason"]) or "not defined"
    low, high = one["intervals"][name]
    interval = "" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    return f"{100 * one[name]:.1f} %{interval}"


def _rank(one: Mapping[str, Any]) -> str:
    if one["median_rank"] is None:
        return "not defined"
    low, high = one["intervals"]["median_rank"]
    return f"{one['median_rank']:,.0f}" + ("" if low is None else f" ({low:,.0f} to {high:,.0f})")
