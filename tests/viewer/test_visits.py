from __future__ import annotations

from typing import Any

import pytest

from sleepfm.viewer.visits import arrive, last_study, paged


def test_paging_writes_the_address_without_beginning_a_visit() -> None:
    state: dict[str, Any] = {}
    visit = arrive(state, "night", "7")
    assert (visit.opened_at, visit.study) == (7, "night")
    paged(state, "night", 12)
    assert arrive(state, "night", "12").number == visit.number
    assert arrive(state, "night", "12").opened_at == 7


def test_coming_back_without_an_epoch_goes_on_with_the_visit() -> None:
    state: dict[str, Any] = {}
    first = arrive(state, "night", None)
    paged(state, "night", 5)
    assert arrive(state, "night", None).number == first.number
    assert last_study(state) == "night"


@pytest.mark.parametrize(("study", "epoch"), [("night", "40"), ("other", "12"), ("other", None)])
def test_another_address_is_another_visit(study: str, epoch: str | None) -> None:
    state: dict[str, Any] = {}
    first = arrive(state, "night", "7")
    paged(state, "night", 12)
    assert arrive(state, study, epoch).number == first.number + 1


def test_a_late_word_from_the_study_before_changes_nothing() -> None:
    state: dict[str, Any] = {}
    arrive(state, "night", "7")
    visit = arrive(state, "other", "3")
    paged(state, "night", 9)
    assert arrive(state, "other", "3") == visit


@pytest.mark.parametrize("text", ["", "abc", "-3", "0", "1e3", "٣", "9" * 30, None])
def test_a_nonsensical_epoch_is_the_first(text: str | None) -> None:
    assert arrive({}, "night", text).opened_at == 1


def test_a_browser_that_has_not_heard_of_the_new_address_yet_is_not_sent_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("sleepfm.viewer.visits.time.monotonic", lambda: now)
    state: dict[str, Any] = {}
    first = arrive(state, "night", "7")
    paged(state, "night", 8)
    paged(state, "night", 9)
    for late in ("7", "8", "9"):
        assert arrive(state, "night", late).number == first.number
    now = 110.0  # somebody went back in the browser
    assert arrive(state, "night", "8").number == first.number + 1
