"""A scoring that is put away: nowhere shown or counted, nothing of it deleted, and brought back as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.administration.audit import entries
from sleepfm.administration.backup import back_up
from sleepfm.administration.restore import restore
from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.review_away import bring_back, put_away, put_away_of, why_not_put_away
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, ReviewLockedError, apply_edits
from sleepfm.library.review_log import changes_since, log_json
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_states import is_as_signed, mark_reviewed, reopen, sign
from sleepfm.library.reviews import document, review, reviews_of
from sleepfm.library.scorer_agreement import scorers as compared_scorers
from sleepfm.library.training_labels import label_sources
from sleepfm.recording.scorings.scoring import Event, Scoring

SHA, EPOCHS = "0" * 64, 10


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home") as library:
        library.add(write_edf(tmp_path / "night.edf", seconds=305, labels=("C4-M1",)))
        library.store_hash("night", SHA)
        about = {"label": "YASA", "note": "", "source_sha256": SHA}
        library.store_scoring("night", Scoring(np.full(EPOCHS, 2, np.int8)), engine="yasa", model="", provenance=about)
        yield library


@pytest.fixture
def scoring(library: Library) -> int:
    number = begin(library, "night", scorer="ada", user="ada", base=library.scorings("night")[0].id)
    change = Patch(((3, 2, 4),), (("x", None, Event(1, 2, "Arousal")),))
    assert not apply_edits(library, number, [Edit("k", "score", change)], user="ada").refused
    return number


def away(library: Library, scoring: int, user: str = "ada", *, admin: bool = False) -> None:
    put_away(library, scoring, user=user, reason=" the wrong night ", admin=admin)


def test_it_is_nowhere_shown_or_counted_and_comes_back_as_it_was(library: Library, scoring: int) -> None:
    before = document(library, scoring)
    assert library.study("night").scored_by == "ada"
    assert label_sources(library, ["night"])["night"].id == scoring
    away(library, scoring)
    assert [one.label for one in library.scorings("night")] == ["YASA"]
    assert reviews_of(library, "night") == []
    assert library.study("night").scored_by is None
    assert label_sources(library, ["night"]) == {}
    assert [one.label for one in compared_scorers(library)] == ["YASA"]
    kept = document(library, scoring)
    assert (kept.stages.tolist(), kept.events) == (before.stages.tolist(), before.events)
    ((about, by, reason),) = [(one.review, one.by, one.reason) for one in put_away_of(library, "night")]
    assert (about.scoring, about.source_sha256, by, reason) == (scoring, SHA, "ada", "the wrong night")
    bring_back(library, scoring, user="ada", reason="it was the right one", admin=False)
    assert [one.label for one in library.scorings("night")] == ["ada", "YASA"]
    assert put_away_of(library, "night") == []
    assert [entry.action for entry in changes_since(library, scoring, 0)] == ["begin", "score", "put away", "bring back"]
    assert [(entry.action, entry.detail.get("note")) for entry in entries(library.connection, subject="night", limit=2)] == [
        ("bring review back", "it was the right one"), ("put review away", "the wrong night"),
    ]  # fmt: skip
    assert apply_edits(library, scoring, [Edit("u", "undo")], user="ada").refused == ()
    assert document(library, scoring).stages.tolist() == [2] * EPOCHS


class PutBack(datetime):
    """A clock that somebody put back."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2001, 1, 1, tzinfo=tz)


def test_while_away_it_is_locked_and_its_scorer_may_begin_anew(
    library: Library, scoring: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    away(library, scoring)
    with pytest.raises(ReviewLockedError, match="put away; the Finish page"):
        apply_edits(library, scoring, [Edit("l", "score", Patch(((1, 2, 0),)))], user="ada")
    for act in (sign, mark_reviewed):
        with pytest.raises(RequestError, match="put away"):
            act(library, scoring, user="ada")
    with pytest.raises(RequestError, match="is put away already"):
        away(library, scoring)
    other = begin(library, "night", scorer="ada", user="ada")
    assert other != scoring
    with pytest.raises(RequestError, match="another scoring of this night by now; put that away first"):
        bring_back(library, scoring, user="ada", reason="x", admin=True)
    monkeypatch.setattr("sleepfm.library.review_store.datetime", PutBack)
    away(library, other)
    assert [one.review.scoring for one in put_away_of(library, "night")] == [other, scoring]  # the last one first
    bring_back(library, scoring, user="ada", reason="x", admin=False)
    with pytest.raises(RequestError, match="is not put away"):
        bring_back(library, scoring, user="ada", reason="x", admin=False)


def test_whose_it_is_and_how_far_decides_who_may_and_a_reason_is_asked_for(library: Library, scoring: int) -> None:
    with pytest.raises(RequestError, match="only ada or an administrator"):
        away(library, scoring, "bob")
    for reason in ("", "  ", "x" * 1001):
        with pytest.raises(RequestError, match="why the scoring is put away"):
            put_away(library, scoring, user="ada", reason=reason, admin=True)
    consensus = begin(library, "night", scorer="consensus", user="bob")
    about = review(library, consensus)
    assert why_not_put_away(library, about, "bob", admin=False) == ""  # nobody else worked on it
    assert not apply_edits(library, consensus, [Edit("a", "score", Patch(((1, -1, 0),)))], user="ada").refused
    assert "only consensus or an administrator" in why_not_put_away(library, about, "bob", admin=False)
    mark_reviewed(library, scoring, user="ada")
    with pytest.raises(RequestError, match="is reviewed; only an administrator"):
        away(library, scoring)
    sign(library, scoring, user="ada")
    with pytest.raises(RequestError, match="is signed; only an administrator"):
        away(library, scoring)
    away(library, scoring, "root", admin=True)
    with pytest.raises(RequestError, match="put away"):
        reopen(library, scoring, user="ada", reason="x", admin=True)
    with pytest.raises(RequestError, match="only an administrator"):
        bring_back(library, scoring, user="ada", reason="x", admin=False)
    bring_back(library, scoring, user="root", reason="x", admin=True)
    signed = document(library, scoring)
    assert (signed.review.state, is_as_signed(signed)) == ("signed", True)


def test_a_study_goes_when_all_that_people_did_is_put_away_and_its_log_stays(library: Library, scoring: int) -> None:
    with pytest.raises(RequestError, match="put that scoring away first, on the Finish page"):
        library.remove("night")
    away(library, scoring)
    with pytest.raises(RequestError, match="so it is not removed"):
        library.remove_scoring("night", scoring)  # what was put away can be brought back
    library.remove("night")
    left = library.connection.execute("SELECT action, note FROM edits WHERE scoring = ? ORDER BY id", (scoring,)).fetchall()
    assert [tuple(row) for row in left] == [
        ("begin", "begun from YASA"), ("score", ""), ("put away", "the wrong night"),
    ]  # fmt: skip


def test_a_backup_keeps_what_was_put_away(library: Library, scoring: int, tmp_path: Path) -> None:
    away(library, scoring)
    restore(back_up(library.home, tmp_path / "b.tar").path, tmp_path / "new")
    with Library.open(tmp_path / "new") as restored:
        assert json.loads(log_json(restored, scoring)) == json.loads(log_json(library, scoring))
        bring_back(restored, scoring, user="ada", reason="x", admin=False)
        assert document(restored, scoring).stages[2] == 4
