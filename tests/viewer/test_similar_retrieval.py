"""The table of retrieval: every number with what it rests on, its interval, and chance."""

from __future__ import annotations

from typing import Any

from sleepfm.viewer.similar_retrieval import retrieval_rows


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "top1": 0.25, "top10": 0.5, "median_rank": 12.4, "candidates": 1000, "n": 3210, "subjects": 40, "reason": "",
        "intervals": {"top1": [0.201, 0.299], "top10": [None, None], "median_rank": [9.6, 15.2]},
        "chance": {"top1": 0.001, "top10": 0.01, "median_rank": 500.5},
    } | changes  # fmt: skip


def test_a_row_says_the_number_its_interval_what_it_rests_on_and_chance() -> None:
    found = {"by_candidates": {"10000": {"RESP>BAS": pair()}, "1000": {"BAS>EKG": pair(), "others>EMG": pair()}}}
    rows = retrieval_rows(found)
    assert [(row["Candidates"], row["Asked with"], row["Looked for"]) for row in rows] == [
        ("1,000", "BAS", "EKG"),
        ("1,000", "others", "EMG"),
        ("10,000", "RESP", "BAS"),
    ]
    first = rows[0]
    assert first["First of all"] == "25.0 % (20.1 to 29.9)"
    assert first["Among the first ten"] == "50.0 %"
    assert first["Median rank"] == "12 (10 to 15)"
    assert [first["Windows"], first["People"]] == ["3,210", "40"]
    assert [first["by chance"], first["by chance "]] == ["0.1 %", "1 %"]


def test_what_is_not_defined_says_why() -> None:
    found = {"by_candidates": {"1000": {"BAS>EKG": pair(top1=None, median_rank=None, reason="a pair has no candidates")}}}
    (row,) = retrieval_rows(found)
    assert row["First of all"] == "a pair has no candidates"
    assert row["Median rank"] == "not defined"
