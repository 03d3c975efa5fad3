"""What is known of people: stored as it was stated, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.index_layout import library_version
from sleepfm.library.library import Library
from tests.library.small_library import add_studies


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library.open(tmp_path / "home")
    add_studies(library, tmp_path, ["one", "two", "three"])
    return library


def test_nobody_stated_anything_so_each_study_is_its_own_unknown_person(library: Library) -> None:
    assert facts.person(library, "two") == facts.Person("two", "two", False, None, None, None)
    assert set(facts.people(library)) == {"one", "two", "three"}
    assert facts.columns(library) == []


def test_what_was_stated_is_found_again_and_an_empty_text_forgets_it(library: Library) -> None:
    facts.store(library, "one", {"subject": "p7", "age": "44.50", "sex": "F", "site": " North ", "bmi": "31"})
    facts.store(library, "two", {"subject": "p7", "sex": "male"})
    assert facts.person(library, "one") == facts.Person("one", "p7", True, "North", 44.5, "female")
    assert facts.columns(library) == ["subject", "site", "age", "sex", "bmi"]
    assert facts.column(library, "sex") == {"one": "female", "two": "male"}
    facts.store(library, "one", {"site": "", "age": "45"})
    assert facts.person(library, "one") == facts.Person("one", "p7", True, None, 45.0, "female")
    assert "site" not in facts.columns(library)


def test_only_the_people_asked_for_and_nobody_who_is_not_there(library: Library) -> None:
    assert list(facts.people(library, ["three", "nobody"])) == ["three"]
    with pytest.raises(RequestError, match="nobody"):
        facts.person(library, "nobody")


@pytest.mark.parametrize("age", ["-1", "121", "300", "nan", "inf", "old", "1e3", "6_5"])
def test_what_is_no_age_is_refused_and_nothing_is_stored(library: Library, age: str) -> None:
    with pytest.raises(RequestError, match="no age in years"):
        facts.store(library, "one", {"site": "A", "age": age})
    assert facts.columns(library) == []


@pytest.mark.parametrize("age", ["0", "120", "33.3"])
def test_ages_at_the_ends_are_ages(library: Library, age: str) -> None:
    facts.store(library, "one", {"age": age})
    assert facts.person(library, "one").age == float(age)


@pytest.mark.parametrize("sex", ["1", "0", "unknown", "x", "fe male"])
def test_a_number_or_word_that_says_no_sex_is_refused(library: Library, sex: str) -> None:
    with pytest.raises(RequestError, match="neither female nor male"):
        facts.store(library, "one", {"sex": sex})


def test_a_study_that_is_removed_takes_its_facts_along(library: Library) -> None:
    facts.store(library, "one", {"age": "50"})
    library.remove("one")
    assert facts.column(library, "age") == {}


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("x" * 201, "x"), ("x", "x" * 201)])
def test_names_and_values_have_a_length(library: Library, name: str, value: str) -> None:
    with pytest.raises(RequestError, match="characters"):
        facts.store(library, "one", {name: value})


@given(st.floats(min_value=0, max_value=120))
def test_an_age_lies_in_its_band(age: float) -> None:
    first, last = (int(part) for part in facts.age_band(age).split(" to "))
    assert first <= age < last + 1
    assert last - first == 9


def test_whatever_is_kept_of_a_library_can_tell_that_a_table_changed(library: Library) -> None:
    before = library_version(library.home.database)
    facts.people(library)
    assert library_version(library.home.database) == before
    facts.store(library, "one", {"age": "50"})
    assert library_version(library.home.database) != before
