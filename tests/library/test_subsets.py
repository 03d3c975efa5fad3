"""Subsets under a name, and their division by person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.training.splits import read_splits, read_subjects
from tests.library.small_library import add_studies

STUDIES = [f"n{number:02d}" for number in range(24)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("subsets")
    library = Library.open(folder / "home")
    add_studies(library, folder, STUDIES)
    return library


def test_a_subset_is_found_again_until_it_is_removed(library: Library) -> None:
    saved = subsets.save(library, " Lasso 1 ", ["n03", "n01", "n03"], "from the map")
    assert subsets.load(library, "Lasso 1") == saved
    assert (saved.name, saved.studies, saved.gone, saved.note) == ("Lasso 1", ("n03", "n01"), 0, "from the map")
    subsets.save(library, "Ω_zweite", ["n02"])
    assert subsets.names(library) == ["Ω_zweite", "Lasso 1"]
    with pytest.raises(RequestError, match="there is a subset 'Lasso 1' already"):
        subsets.save(library, "LASSO 1", ["n04"])
    subsets.save(library, "lasso 1", ["n04"], replace=True)
    assert subsets.load(library, "lasso 1").studies == ("n04",)
    for name in subsets.names(library):
        subsets.remove(library, name)
    assert subsets.names(library) == []
    with pytest.raises(RequestError, match="no subset 'lasso 1'; there is: none yet"):
        subsets.load(library, "lasso 1")


@pytest.mark.parametrize(
    "name", ["", "  ", "../x", "a/b", "a\\b", ".hidden", "a.", "x" * 61, "con", "NUL.txt", "a\nb", "=1+1", "C:x"]
)
def test_a_name_that_could_be_no_file_is_refused(library: Library, name: str) -> None:
    with pytest.raises(RequestError, match="subset name"):
        subsets.save(library, name, ["n01"])


def test_no_studies_and_strangers_are_refused(library: Library) -> None:
    with pytest.raises(RequestError, match="at least one study"):
        subsets.save(library, "none", [])
    with pytest.raises(RequestError, match="'stranger'"):
        subsets.save(library, "some", ["n01", "stranger"])
    assert subsets.names(library) == []


def test_studies_that_were_removed_are_counted_and_left_out(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        add_studies(library, tmp_path, ["a", "b"])
        subsets.save(library, "both", ["a", "b"])
        library.remove("a")
        assert (subsets.load(library, "both").studies, subsets.load(library, "both").gone) == (("b",), 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    people=st.lists(st.integers(0, 11), min_size=24, max_size=24).filter(lambda some: len(set(some)) >= 7),
    seed=st.integers(0, 1000),
    by_site=st.booleans(),
)
def test_a_person_never_stands_in_two_lists_and_nobody_is_lost(
    library: Library, people: list[int], seed: int, by_site: bool
) -> None:
    facts.store_many(
        library, {study: {"subject": f"p{who}", "site": "AB"[who % 2]} for study, who in zip(STUDIES, people, strict=True)}
    )
    subsets.save(library, "everyone", STUDIES, replace=True)
    try:
        made = subsets.split(library, "everyone", seed, by_site=by_site)
    except RequestError:  # so few people of a site that a list would be empty
        reject()
    subject_of = read_subjects(made.people_path)
    read = read_splits(made.path, subject_of)  # refuses a subject in two lists
    assert read == made.splits
    assert sorted(read.of(("train", "validation", "test"))) == STUDIES
    assert sum(made.people.values()) == len(set(people))
    assert subsets.split(library, "everyone", seed, by_site=by_site).splits == made.splits
    assert made.notes == ()


def test_unknown_people_are_said_and_the_file_can_lie_anywhere(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        (tmp_path / "other").mkdir()
        add_studies(library, tmp_path, [f"n{number}" for number in range(8)])
        add_studies(library, tmp_path / "other", ["n0"])
        facts.store(library, "n1", {"subject": "p1"})
        subsets.save(library, "all", ["n0-2", *(f"n{number}" for number in range(8))])
        made = subsets.split(library, "all", shares={"train": 0.5, "test": 0.5}, out=tmp_path / "mine" / "halves.json")
        assert made.path == tmp_path / "mine" / "halves.json"
        assert set(json.loads(made.path.read_text())) == {"pretrain", "train", "validation", "test"}
        assert set(made.people) == {"train", "test"}
        assert len(made.notes) == 2
        assert "whose nights 8 of 9 studies are" in made.notes[0]
        assert "n0-2" in made.notes[1]
        default = subsets.split(library, "all", shares={"train": 0.5, "test": 0.5})
        assert default.path == library.home.root / "splits" / "all.json"


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"train": 0.5, "rest": 0.5}, {"train": 1.5, "test": -0.5}])
def test_shares_that_are_none_are_refused(library: Library, shares: dict[str, float]) -> None:
    subsets.save(library, "few", STUDIES[:4], replace=True)
    with pytest.raises(RequestError, match="add up to 1"):
        subsets.split(library, "few", shares=shares)


def test_too_few_people_leave_no_file_behind(library: Library, tmp_path: Path) -> None:
    subsets.save(library, "two", STUDIES[:2], replace=True)
    with pytest.raises(RequestError, match=r"too few to divide: (validation|test) would be empty"):
        subsets.split(library, "two", out=tmp_path / "out" / "two.json")
    assert not (tmp_path / "out").exists()
