"""The table of retrieval: every number with what it rests on, its interval, and chance."""

from __future__ import annotations

from typing import Any

from sleepfm.viewer.similar_retrieval import retrieval_rows, retrieval_words


def pair(**changes: Any) -> dict[str, Any]:
    return {
        "top1": 0.25, "top10": 0.5, "median_rank": 12.4, "candidates": 1000, "n": 3210, "subjects": 40, "reason": "",
        "intervals": {"top1": [0.201, 0.299], "top10": [None, None], "median_rank": [9.6, 15.2]},
        "chance": {"top1": 0.001, "top10": 0.01, "median_rank": 500.5},
    } | changes  # fmt: skip


def test_a_row_says_the_number_its_interval_what_it_rests_on_and_chance() -> None:
    found = {"by_candidates": {"10000": {"RESP>BAS": pair(candidates=9_900)}, "1000": {"BAS>EKG": pair(), "others>EMG": pair()}}}
    rows = retrieval_rows(found)
    assert [(row["Candidates"], row["Asked with"], row["Looked for"]) for row in rows] == [
        ("1,000", "BAS", "EKG"),
        ("1,000", "others", "EMG"),
        ("9,900", "RESP", "BAS"),
    ]
    first = rows[0]
    assert first["Top-1"] == "25.0 % (20.1 to 29.9)"
    assert first["Top-10"] == "50.0 %"
    assert first["Median rank"] == "12 (10 to 15)"
    assert [first["Windows"], first["People"]] == ["3,210", "40"]
    assert [first["by chance"], first["by chance "]] == ["0.1 %", "1 %"]


def test_what_is_not_defined_says_why() -> None:
    found = {"by_candidates": {"1000": {"BAS>EKG": pair(top1=None, median_rank=None, reason="a pair has no candidates")}}}
    (row,) = retrieval_rows(found)
    assert row["Top-1"] == "a pair has no candidates"
    assert row["Median rank"] == "not defined"


def test_the_warnings_of_the_evaluation_are_read_with_it() -> None:
    said = retrieval_words({"warnings": ["nobody knows whom the encoder was pretrained on"]})
    assert said.endswith("Nobody knows whom the encoder was pretrained on.")
    assert "95 % intervals over resampled people" in said
