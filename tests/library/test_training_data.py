"""Studies as training data: who is in which list, whose scorings are the labels, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.library import facts, subsets, training_data
from sleepfm.library.library import Library
from sleepfm.library.training_data import (
    NO_LABELS,
    PEOPLE,
    LibraryChoice,
    balance,
    chosen_studies,
    datasets,
    free_dataset_name,
    label_sources,
    notes_on,
    require_one_kind,
    scorers,
    split_by_subject,
    subjects,
    submit_dataset,
)
from sleepfm.recording.scorings.formats import read_scoring, write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.training.splits import LISTS
from sleepfm.vocabulary import SCORED_STAGES
from tests.library.small_library import add_studies
from tests.library.training_library import add_recordings, score, whose

STUDIES = [f"n{number:02d}" for number in range(24)]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("many")
    library = Library.open(folder / "home")
    add_studies(library, folder, STUDIES)
    return library


@pytest.fixture
def few(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "home")
    add_recordings(library, tmp_path, ["a", "b", "c"])
    return library


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    persons=st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=24, max_size=24),
    files=st.lists(st.one_of(st.none(), st.integers(0, 15)), min_size=24, max_size=24),
    sites=st.one_of(st.none(), st.lists(st.sampled_from("AB"), min_size=24, max_size=24)),
    cuts=st.lists(st.integers(0, 6), min_size=4, max_size=4).filter(any),
    seed=st.integers(0, 99),
)
def test_no_person_and_no_file_stands_in_two_lists_whatever_the_library(
    *,
    many: Library,
    persons: list[int | None],
    files: list[int | None],
    sites: list[str] | None,
    cuts: list[int],
    seed: int,
) -> None:
    many.connection.execute("DELETE FROM facts")
    known = {study: f"p{person}" for study, person in zip(STUDIES, persons, strict=True) if person is not None}
    whose(many, known, **({} if sites is None else {"site": dict(zip(STUDIES, sites, strict=True))}))
    for study, file in zip(STUDIES, files, strict=True):
        many.connection.execute("UPDATE studies SET sha256 = ? WHERE id = ?", (None if file is None else f"{file:064x}", study))
    shares = {name: cut / sum(cuts) for name, cut in zip(LISTS, cuts, strict=True)}
    try:
        splits = split_by_subject(many, STUDIES, shares, seed, by=None if sites is None else "site")
    except RequestError as error:
        assert "would be empty" in str(error)  # noqa: PT017 - refused in words, or a split that holds
        reject()
    list_of = {study: name for name in LISTS for study in getattr(splits, name)}
    assert sorted(list_of) == STUDIES
    for marks in (persons, files):
        for mark in {mark for mark in marks if mark is not None}:
            assert len({list_of[study] for study, own in zip(STUDIES, marks, strict=True) if own == mark}) == 1
    assert all(getattr(splits, name) for name in LISTS if shares[name])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(1, 20), second=st.integers(1, 20), seed=st.integers(0, 99))
def test_a_smaller_share_of_training_people_is_part_of_a_larger(many: Library, first: int, second: int, seed: int) -> None:
    many.connection.execute("DELETE FROM facts")
    many.connection.execute("UPDATE studies SET sha256 = NULL")
    small, large = (
        set(split_by_subject(many, STUDIES, {"train": share / 24, "test": 1 - share / 24}, seed).train)
        for share in sorted((first, second))
    )
    assert small <= large
    assert len(small) == min(first, second)


def test_two_names_of_a_person_whose_file_is_the_same_are_one_person(few: Library) -> None:
    whose(few, {"a": "p1", "b": "p2", "c": "p2"})
    assert len(set(subjects(few, ["a", "b", "c"]).values())) == 2
    few.connection.execute("UPDATE studies SET sha256 = (SELECT sha256 FROM studies WHERE id = 'a') WHERE id = 'c'")
    assert len(set(subjects(few, ["a", "b", "c"]).values())) == 1


def test_a_list_that_would_stay_empty_is_refused_with_the_remedy(few: Library) -> None:
    with pytest.raises(RequestError, match=r"3 people are too few to divide like this: test would be empty; give it a larger"):
        split_by_subject(few, ["a", "b", "c"], {"train": 0.6, "validation": 0.3, "test": 0.1})
    whose(few, {"a": "p", "b": "p", "c": "p"}, site={"a": "A"})
    with pytest.raises(RequestError, match="1 person is too few"):
        split_by_subject(few, ["a", "b", "c"], {"train": 0.5, "test": 0.5})
    with pytest.raises(RequestError, match="or do not divide by site"):
        split_by_subject(few, ["a", "b", "c"], {"train": 0.5, "test": 0.5}, by="site")
    with pytest.raises(RequestError, match="nobody stated 'shoe size' of any"):
        split_by_subject(few, ["a", "b", "c"], {"train": 1.0}, by="shoe size")
    with pytest.raises(RequestError, match="seed -1"):
        split_by_subject(few, ["a"], {"train": 1.0}, -1)


def test_ages_are_divided_by_ten_years(many: Library) -> None:
    many.connection.execute("DELETE FROM facts")
    many.connection.execute("UPDATE studies SET sha256 = NULL")
    facts.store_many(many, {study: {"age": str((31 if n % 2 else 67) + n / 100)} for n, study in enumerate(STUDIES)})
    splits = split_by_subject(many, STUDIES, {"train": 0.5, "test": 0.5}, by="age")
    assert sum(STUDIES.index(study) % 2 for study in splits.train) == 6
    assert len(splits.train) == 12


def test_people_are_taken_first_and_a_program_only_by_its_name(few: Library) -> None:
    score(few, "a", "yasa")
    score(few, "a", "sleepfm", model="demo-staging")
    score(few, "b", "yasa")
    assert label_sources(few, ["a", "b", "c"]) == {}
    assert [(one.key, one.studies, one.by_people) for one in scorers(few, ["a", "b", "c"])] == [
        ("yasa", 2, False),
        ("sleepfm:demo-staging", 1, False),
    ]
    score(few, "a", "file")
    assert label_sources(few, ["a", "b"])["a"].engine == "file"
    score(few, "a", "manual")
    score(few, "b", "manual")
    assert {study: one.engine for study, one in label_sources(few, ["a", "b", "c"]).items()} == {"a": "manual", "b": "manual"}
    first = scorers(few, ["a", "b", "c"])[0]
    assert (first.key, first.studies, first.by_people) == (PEOPLE, 2, True)
    assert set(label_sources(few, ["a", "b"], "yasa")) == {"a", "b"}
    assert set(label_sources(few, ["a", "b"], "sleepfm:demo-staging")) == {"a"}
    assert label_sources(few, ["a", "b"], NO_LABELS) == {}
    with pytest.raises(RequestError, match="take 'people', 'none' or a program"):
        label_sources(few, ["a"], "somebody")


def test_a_scoring_of_other_bytes_is_no_label(few: Library) -> None:
    score(few, "a")
    assert set(label_sources(few, ["a"])) == {"a"}
    few.store_hash("a", "0" * 64)
    assert label_sources(few, ["a"]) == {}


def test_studies_are_chosen_all_by_subset_by_name_or_with_labels(few: Library) -> None:
    assert chosen_studies(few, LibraryChoice()) == ("a", "b", "c")
    subsets.save(few, "two", ["c", "a"])
    assert chosen_studies(few, LibraryChoice("two")) == ("a", "c")
    assert chosen_studies(few, LibraryChoice(("b", "b"))) == ("b",)
    score(few, "b")
    assert chosen_studies(few, LibraryChoice(labelled=True)) == ("b",)
    with pytest.raises(RequestError, match="no study 'stranger' in the library"):
        chosen_studies(few, LibraryChoice(("a", "stranger")))
    with pytest.raises(RequestError, match="none has such a scoring"):
        chosen_studies(few, LibraryChoice("two", labelled=True))


def test_the_balance_says_what_each_list_holds(few: Library) -> None:
    whose(few, {"a": "p1", "b": "p1", "c": "p2"}, site={"a": "A", "b": "A"}, sex={"c": "female"}, age={"a": "40", "c": "50"})
    score(few, "a")
    score(few, "c", stages=(4, 4, -1, -1, -1))
    splits = split_by_subject(few, ["a", "b", "c"], {"train": 0.5, "test": 0.5}, 0)
    table = {row["subjects"] * 10 + row["studies"]: row for row in balance(few, splits)}
    two, one = table[12], table[11]
    assert {two["list"], one["list"]} == {"train", "test"}
    assert (two["labelled"], two["hours"], two["simulated"]) == (1, 0.08, 0)
    assert two["epochs"] == {"Wake": 1, "Stage 1": 0, "Stage 2": 2, "Stage 3": 1, "REM": 0}
    assert two["site"] == {"A": 2}
    assert two["sex"] == {"unknown": 2}
    assert two["age"] == {"known": 1, "median": 40.0, "low": 40.0, "high": 40.0}
    assert one["epochs"]["REM"] == 2
    assert one["site"] == {"unknown": 1}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stages=st.lists(st.integers(-1, 4), min_size=1, max_size=30), with_probabilities=st.booleans())
def test_stages_are_counted_as_a_scoring_is_read(tmp_path: Path, stages: list[int], with_probabilities: bool) -> None:
    stages_e = np.array(stages, np.int8)
    probabilities = np.eye(5, dtype=np.float32)[stages_e] if with_probabilities else None
    write_scoring(Scoring(stages_e, probabilities), tmp_path / "s.csv")
    read = read_scoring(tmp_path / "s.csv").stages
    counted = training_data._stage_counts.__wrapped__(tmp_path / "s.csv", 0)
    assert counted == tuple(int((read == stage).sum()) for stage in SCORED_STAGES)


def test_simulated_and_real_nights_are_not_mixed_without_a_word(few: Library) -> None:
    require_one_kind(few, ["a", "b", "c"], mixed=False)
    few.connection.execute("UPDATE studies SET simulated = 1 WHERE id = 'b'")
    with pytest.raises(RequestError, match="1 of the studies are simulated and 2 are real"):
        require_one_kind(few, ["a", "b", "c"], mixed=False)
    require_one_kind(few, ["a", "b", "c"], mixed=True)
    assert any("1 simulated and 2 real nights are mixed" in note for note in notes_on(few, ["a", "b", "c"]))
    assert any("Nobody stated whose nights 3 of 3 studies are" in note for note in notes_on(few, ["a", "b", "c"]))


def test_a_dataset_is_queued_once_and_only_when_it_can_be_made(few: Library) -> None:
    choice, shares = LibraryChoice(), {"train": 0.34, "validation": 0.33, "test": 0.33}
    job = submit_dataset(few.home, "first", choice, shares, start=False)
    assert submit_dataset(few.home, " first ", choice, shares, start=False).id == job.id
    assert job.parameters["studies"] == ["a", "b", "c"]
    for name, words in (("../out", "dataset name"), ("", "dataset name")):
        with pytest.raises(RequestError, match=words):
            submit_dataset(few.home, name, choice, shares, start=False)
    (few.home.datasets / "Taken").mkdir(parents=True)
    with pytest.raises(RequestError, match="there is a dataset 'Taken' already"):
        free_dataset_name(few.home, "taken")
    with pytest.raises(RequestError, match="unknown recipe"):
        submit_dataset(few.home, "x", choice, shares, recipe="raw", start=False)
    assert datasets(few.home) == []


def test_what_the_web_server_imports_leaves_torch_alone() -> None:
    import subprocess

    modules = "sleepfm.library.training_data, sleepfm.library.preflight, sleepfm.library.job_curve"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; sys.exit('torch' in sys.modules)"], check=False, timeout=120
    )
    assert done.returncode == 0
