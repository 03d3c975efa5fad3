"""Two scorers over the studies of a library: who they are, whose nights, whose events, and whether they scored apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sleepfm.errors import RequestError, ScoringError
from sleepfm.home import Home, open_home
from sleepfm.library import facts
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.review_away import bring_back, put_away
from sleepfm.library.review_begin import begin
from sleepfm.library.scorer_agreement import begun_from, library_agreement, scored_night, scorers
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Event, Scoring
from tests.make_edf import write_edf

EPOCHS = 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give four short nights of three people: a scoring with each file, YASA's with events, a review of two begun from YASA's."""
    folder = tmp_path_factory.mktemp("agreement")
    home = open_home(folder / "home")
    rng = np.random.default_rng(2)
    with Library(home) as library:
        for n in range(4):
            path = write_edf(folder / f"n{n}.edf", seconds=30 * EPOCHS, labels=("C4-M1",), rate_hz=32, seed=n)
            study = library.add(path).id
            sha256 = fingerprint(path)
            library.store_hash(study, sha256)
            facts.store(library, study, {"subject": f"p{n // 2}"} if n < 3 else {})
            true = np.repeat(rng.integers(0, 5, 4), 5).astype(np.int8)
            guess = np.where(rng.random(EPOCHS) < 0.7, true, 2).astype(np.int8)

            def said(label: str, sha256: str = sha256) -> dict[str, Any]:
                return {"label": label, "note": label, "source_sha256": sha256}

            library.store_scoring(study, Scoring(true), engine="file", model=f"n{n}.csv", provenance=said("n.csv"))
            made = library.store_scoring(study, Scoring(guess), engine="yasa", model="yasa 0.8.1", provenance=said("YASA"))
            events = [Event(40.0, 55.0, "Hypopnea"), Event(200.0, 220.0, "Central apnea")]
            store_events(library, study, events[:1], engine="file", model=f"n{n}.edf", provenance=said("the file"))
            scored_on = said("psgscoring") | {"scoring": made}
            store_events(library, study, events, engine="psgscoring", model="0.37.0", provenance=scored_on)
            if n < 2:
                begin(library, study, scorer="Anna", user="anna", base=made)
    return home


def test_scorers_are_people_engines_and_what_came_with_the_files(home: Home) -> None:
    with Library(home) as library:
        assert [(one.key, one.studies) for one in scorers(library)] == [
            ("person Anna", 2),
            ("file", 4),
            ("yasa yasa 0.8.1", 4),
        ]


def test_all_studies_of_both_are_compared_and_people_are_counted_as_stated(home: Home) -> None:
    found = library_agreement(home, "yasa yasa 0.8.1", "file")
    assert sorted(one.night for one in found.nights) == ["n0", "n1", "n2", "n3"]
    assert found.subjects == 3
    assert found.epochs == 4 * EPOCHS
    with Library(home) as library:
        stored = {one.engine: one.scoring.stages for one in library.scorings("n2")}
    (night,) = [one for one in found.nights if one.night == "n2"]
    assert night.agreement.accuracy == pytest.approx((stored["yasa"] == stored["file"]).mean())
    by_name = {one.name: one for one in found.events}
    assert (by_name["Hypopnea"].both, by_name["Central apnea"].only_a) == (4, 4)
    assert any("Of 1 nights nobody stated whose" in remark for remark in found.remarks)
    assert any("rough" in remark for remark in found.remarks)


def test_events_go_with_who_marked_them(home: Home) -> None:
    with Library(home) as library:
        found = {one.engine: scored_night(library, "n0", one) for one in library.scorings("n0")}
    assert found["yasa"].events_from == "psgscoring"
    assert found["file"].events_from == "the file"
    assert found["person"].events_from == "the review of Anna"
    assert len(found["yasa"].events or ()) == 2


def test_a_review_begun_from_the_other_is_said_to_be(home: Home) -> None:
    found = library_agreement(home, "person Anna", "yasa yasa 0.8.1")
    assert len(found.nights) == 2
    assert any("Anna began from YASA" in remark and "2 nights" in remark for remark in found.remarks)
    with Library(home) as library:
        stored = {one.engine: one for one in library.scorings("n0")}
    assert "began from YASA" in begun_from(stored["person"], stored["yasa"])
    assert begun_from(stored["person"], stored["file"]) == ""


def test_a_scoring_that_was_put_away_takes_no_place_among_those_compared(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepfm.library.scorer_agreement.MOST_STUDIES", 1)
    with Library(home) as library:
        away = next(one.id for one in library.scorings("n1") if one.label == "Anna")
        put_away(library, away, user="anna", reason="the wrong night", admin=False)
        try:
            found = library_agreement(home, "person Anna", "yasa yasa 0.8.1")
        finally:
            bring_back(library, away, user="anna", reason="it was the right one", admin=False)
    assert [one.night for one in found.nights] == ["n0"]
    assert not any("left out" in remark for remark in found.remarks)


def test_one_and_the_same_or_nobody_in_common_is_one_line(home: Home) -> None:
    with pytest.raises(RequestError, match="two different"):
        library_agreement(home, "file", "file")
    with pytest.raises(ScoringError, match="no study is scored by both"):
        library_agreement(home, "file", "person Nobody")
