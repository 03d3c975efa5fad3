"""Splits by subject."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.training.splits import (
    LISTS,
    make_splits,
    read_column,
    read_splits,
    read_subjects,
    share_of_subjects,
    write_splits,
)


@given(
    subjects=st.lists(st.integers(0, 30), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
    cuts=st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(lambda c: sum(c) > 0),
)
def test_no_subject_stands_in_two_lists_and_no_study_is_lost(subjects: list[int], seed: int, cuts: list[int]) -> None:
    subject_of = {f"night{i}": f"p{s}" for i, s in enumerate(subjects)}
    shares = {name: cut / sum(cuts) for name, cut in zip(LISTS, cuts, strict=True)}
    splits = make_splits(subject_of, shares, seed=seed)
    seen: dict[str, str] = {}
    studies = []
    for name in LISTS:
        for study in getattr(splits, name):
            studies.append(study)
            assert seen.setdefault(subject_of[study], name) == name
    assert sorted(studies) == sorted(subject_of)


@given(count=st.integers(1, 60), a=st.floats(0.01, 1), b=st.floats(0.01, 1), seed=st.integers(0, 99))
def test_a_smaller_share_is_part_of_a_larger_one(count: int, a: float, b: float, seed: int) -> None:
    subject_of = {f"n{i}": f"p{i // 2}" for i in range(count)}
    small, large = sorted((a, b))
    assert set(share_of_subjects(list(subject_of), subject_of, small, seed)) <= set(
        share_of_subjects(list(subject_of), subject_of, large, seed)
    )
    assert share_of_subjects(list(subject_of), subject_of, 1.0, seed) == tuple(subject_of)


def test_each_stratum_is_divided_for_itself() -> None:
    subject_of = {f"n{i}": f"p{i}" for i in range(100)}
    site = {study: "A" if i < 80 else "B" for i, study in enumerate(subject_of)}
    splits = make_splits(subject_of, {"pretrain": 0.5, "test": 0.5}, strata=site)
    assert sum(site[study] == "B" for study in splits.test) == 10


def test_splits_are_read_back_and_files_count_as_studies(tmp_path: Path) -> None:
    splits = make_splits({"a": "1", "b": "2", "c": "3"}, {"pretrain": 1 / 3, "train": 1 / 3, "test": 1 / 3})
    write_splits(splits, tmp_path / "s.json")
    assert read_splits(tmp_path / "s.json", {}) == splits
    (tmp_path / "f.json").write_text(json.dumps({"pretrain": ["/data/x/a.hdf5", "C:\\d\\b.edf", "c.d"]}))
    assert read_splits(tmp_path / "f.json", {}).pretrain == ("a", "b", "c.d")


def test_leakage_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({"train": ["n1"], "test": ["n2"]}))
    read_splits(tmp_path / "s.json", {})
    with pytest.raises(SleepFMError, match=r"subject p1 is in train \(n1\) and in test \(n2\)"):
        read_splits(tmp_path / "s.json", {"n1": "p1", "n2": "p1"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "not JSON"),
        ("[" * 10_000, "not JSON"),
        ("[]", "none of the lists"),
        ('{"training": ["a"]}', "none of the lists"),
        ('{"train": ["a"], "tset": []}', "unknown list 'tset'"),
        ('{"train": [1]}', "train is no list of study ids"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(SleepFMError, match=words):
        read_splits(tmp_path / "s.json", {})
    with pytest.raises(RequestError, match="cannot be read"):
        read_splits(tmp_path / "none.json", {})


def test_columns_of_a_cohort(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("Study ID,Subject ID,site\nn1,p1,A\nn2,p1,\n")
    assert read_subjects(path) == {"n1": "p1", "n2": "p1"}
    assert read_column(path, "site") == {"n1": "A"}
    assert read_subjects(None) == {}
    with pytest.raises(SleepFMError, match="has no column race"):
        read_column(path, "race")
