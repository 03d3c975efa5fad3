"""Sign-off without a browser: what it says, what it locks, what it asks for, and the log that it shows."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf
from streamlit.testing.v1 import AppTest

from sleepfm.administration.accounts import FREE_ATTEMPTS, Accounts
from sleepfm.administration.audit import entries
from sleepfm.administration.roles import Role
from sleepfm.errors import RequestError
from sleepfm.library.event_sets import store_events
from sleepfm.library.events_by_hand import events_by_hand
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_log import LogEntry, changes_since
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_states import mark_reviewed, sign
from sleepfm.library.reviews import ReviewState, document, review
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.finish_log import ROWS, change_words
from sleepfm.viewer.finish_sign import remarks
from sleepfm.viewer.signed_in import User

SHA, EPOCHS = "0" * 64, 10
HOSTILE = "**ada**"


def _page() -> None:
    import streamlit as st

    from sleepfm.library.library import Library
    from sleepfm.viewer.finish_sign import show_sign_off

    with Library.open() as library:
        show_sign_off(library, library.study("night"), st.session_state["scoring"])


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    with Library.open() as library:
        library.add(write_edf(tmp_path / "night.edf", seconds=305, labels=("C4-M1",)))
        library.store_hash("night", SHA)
        about = {"label": "YASA", "note": "", "version": "0.8.1", "source_sha256": SHA}
        stages = np.array([2] * (EPOCHS - 1) + [-1], np.int8)
        library.store_scoring("night", Scoring(stages), engine="yasa", model="", provenance=about)
        yield library


@pytest.fixture
def scoring(library: Library) -> int:
    number = begin(library, "night", scorer=HOSTILE, user=HOSTILE, base=library.scorings("night")[0].id)
    apply_edits(library, number, [Edit("a", "score", Patch(((1, 2, 3),)))], user=HOSTILE)
    return number


def page(scoring: int) -> AppTest:
    test = AppTest.from_function(_page, default_timeout=30)
    test.session_state["scoring"] = scoring
    return run(test)


def run(test: AppTest) -> AppTest:
    test.run()
    assert not test.exception
    return test


def button(test: AppTest, label: str) -> object:
    return next(one for one in test.button if one.label == label)


def press(test: AppTest, label: str) -> AppTest:
    button(test, label).click()  # type: ignore[attr-defined]
    return run(test)


def texts(test: AppTest) -> str:
    groups = (test.markdown, test.error, test.success, test.info, test.warning, test.caption)
    return " ".join(one.value for group in groups for one in group).replace("\\", "")


def test_signing_is_confirmed_locks_and_is_verified_and_reopening_wants_a_reason(library: Library, scoring: int) -> None:
    test = page(scoring)
    assert "1 of 10 epochs is unscored" in texts(test)
    assert "1 of 10 epochs was set or confirmed by hand; 1 has another stage than the proposal." in texts(test)
    assert [one.label for one in test.button] == ["Mark as reviewed", "Sign", "Put away"]
    assert button(test, "Sign").disabled  # type: ignore[attr-defined]
    assert test.checkbox[0].label == "I have reviewed this scoring"
    test.checkbox[0].check()
    press(run(test), "Mark as reviewed")
    assert review(library, scoring).state is ReviewState.REVIEWED
    assert "Marked as reviewed by" in texts(test)
    assert button(test, "Sign").disabled  # type: ignore[attr-defined]  # asked anew
    test.checkbox[0].check()
    (name,) = (one for one in test.text_input if one.label == "Your name as it is printed")
    assert name.value == getpass.getuser()
    name.set_value("Ada Lovelace")
    press(run(test), "Sign")
    signed = review(library, scoring)
    assert (signed.state, signed.signed_by) == (ReviewState.SIGNED, getpass.getuser())
    assert f"Signed by Ada Lovelace ({getpass.getuser()}), " in texts(test)
    assert f"sha256 `{signed.signed_sha256}`" in texts(test)
    library.connection.execute("UPDATE reviews SET stages = zeroblob(10)")
    assert "The content is not what was signed" in texts(run(test))
    assert button(test, "Reopen").disabled  # type: ignore[attr-defined]
    test.text_input[0].set_value("epoch 3 was wrong")
    press(run(test), "Reopen")
    assert review(library, scoring).state is ReviewState.OPEN
    table = test.table[0].value
    assert table["What"].str.replace("\\", "").tolist() == ["reopen", "sign", "mark as reviewed", "score", "begin"]
    assert table["Note"][0] == "epoch 3 was wrong"
    assert table["Note"][1].replace("\\", "") == f"as Ada Lovelace, sha256 {signed.signed_sha256[:12]}…"  # type: ignore[index]
    assert table["From → to"].str.replace("\\", "").tolist()[3] == "epoch 1: N2 → N3"
    assert table["Who"][3] == "\\*\\*ada\\*\\*"


def test_who_only_looks_can_neither_sign_nor_take_the_log_along(scoring: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepfm.viewer.signed_in.current_user", lambda: User("vera", Role.VIEWER, local=False))
    monkeypatch.setattr("sleepfm.viewer.role_widgets.current_user", lambda: User("vera", Role.VIEWER, local=False))
    test = page(scoring)
    assert all(one.disabled for one in test.button)
    assert {one.label for one in test.button} == {"Mark as reviewed", "Sign", "Log as CSV", "Log as JSON"}
    assert test.checkbox[0].disabled


def test_an_engines_scoring_is_not_signed_and_a_missing_file_blocks(
    library: Library, scoring: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.page_link", lambda *_words, **_options: None)  # there are no other pages here
    engine = next(one.id for one in library.scorings("night") if not one.by_person)
    assert "Only a person's scoring can be signed" in texts(page(engine))
    (tmp_path / "night.edf").unlink()
    test = page(scoring)
    assert "put the file back" in texts(test)
    assert [one.label for one in test.button] == ["Put away"]


def test_a_long_log_is_paged_and_filtered(library: Library, scoring: int) -> None:
    edits = [Edit(f"k{n}", "score", Patch(((2, n % 2 + 2, 3 - n % 2),))) for n in range(ROWS + 5)]
    apply_edits(library, scoring, edits, user="bob")
    test = page(scoring)
    assert len(test.table[0].value) == ROWS
    next(one for one in test.number_input if one.label == "Page of 2").set_value(2)
    assert len(run(test).table[0].value) == 7
    next(one for one in test.selectbox if one.label == "Who").set_value("bob")
    next(one for one in test.number_input if one.label == "Epoch").set_value(2)
    run(test)
    assert set(test.table[0].value["Who"]) == {"bob"}
    assert f"{ROWS + 5} entries" in texts(test)
    next(one for one in test.number_input if one.label == "Epoch").set_value(9)
    assert "No entry is of these" in texts(run(test))


def test_an_entry_says_its_first_changes_and_how_many_more(library: Library, scoring: int) -> None:
    arousal = Event(1, 2.5, "Arousal", "C4")
    patch = Patch(((3, 2, 2), (4, 2, -1)), (("x", None, arousal), ("y", None, arousal)))
    apply_edits(library, scoring, [Edit("m", "score", patch)], user="ada")
    entry: LogEntry = changes_since(library, scoring, 0)[-1]
    assert change_words(entry) == (
        "epoch 3: N2 → N2 (confirmed); epoch 4: N2 → ?; new → Arousal 1.00 to 2.50 s on C4; and 1 more"
    )
    content = document(library, scoring)
    assert remarks(content, 3, events_by_hand(library, content))[0] == "2 of 10 epochs are unscored."


def test_the_signer_is_told_whose_events_these_are_and_what_taking_a_set_changed(library: Library) -> None:
    found = [Event(10, 20, "Hypopnea"), Event(40, 52, "Central apnea"), Event(60, 72, "Hypopnea"), Event(90, 99, "Arousal")]
    about = {"label": "psgscoring", "version": "0.37.0", "note": "", "source_sha256": SHA}
    store_events(library, "night", [Event(1, 1, "Lights off"), *found], engine="psgscoring", model="a", provenance=about)
    scoring = begin(library, "night", scorer="ada", user="ada")

    def edit(key: str, action: str, patch: Patch = Patch(), number: int | None = None) -> str:  # noqa: B008
        apply_edits(library, scoring, [Edit(key, action, patch, number)], user="ada")
        return events_by_hand(library, document(library, scoring)).sentence

    ids = {event.start_s: one for one, event in document(library, scoring).events.items()}
    assert edit("l", "lights", Patch(events=(("on", None, Event(290, 290, "Lights on")),))) == (
        "0 of 4 events made or changed by hand; the rest are from psgscoring."
    )
    edit("new", "event", Patch(events=(("x", None, Event(200, 215, "Hypopnea")),)))
    edit("moved", "event", Patch(events=((ids[10], found[0], Event(11, 21, "Hypopnea")),)))
    gone = edit("gone", "event", Patch(events=((ids[40], found[1], None),)))
    assert gone == "2 of 4 events made or changed by hand, 1 deleted; the rest are from psgscoring."
    assert edit("back", "undo") == "2 of 5 events made or changed by hand; the rest are from psgscoring."
    again = [Event(5, 5, "Lights off"), *found, *(Event(100 + 15 * k, 110 + 15 * k, "Hypopnea") for k in range(4))]
    number = store_events(library, "night", again, engine="psgscoring", model="b", provenance=about)
    taken = edit("take", "take events", number=number)
    assert taken == "0 of 8 events made or changed by hand; the rest are from psgscoring."
    lights = [event.start_s for event in document(library, scoring).events.values() if event.name.startswith("Lights")]
    assert lights == [1, 290]  # who set them knows better
    entry = changes_since(library, scoring, 0)[-1]
    assert change_words(entry) == "events: 5 new, 2 deleted"
    assert entry.note == "events of psgscoring 0.37.0 taken"
    assert edit("not", "undo") == "2 of 5 events made or changed by hand; the rest are from psgscoring."


def test_nobody_signs_what_changed_behind_the_open_page(library: Library, scoring: int) -> None:
    test = page(scoring)
    test.checkbox[0].check()
    run(test)
    apply_edits(library, scoring, [Edit("late", "score", Patch(((2, 2, 0),)))], user="bob")
    press(test, "Sign")
    assert review(library, scoring).state is ReviewState.OPEN
    assert "The scoring was changed by bob since you confirmed it" in texts(test)
    seen = review(library, scoring).version
    apply_edits(library, scoring, [Edit("later", "score", Patch(((2, 0, 1),)))], user="bob")
    for act in (sign, mark_reviewed):  # and between its look and its click
        with pytest.raises(RequestError, match="changed by bob since it was looked at here"):
            act(library, scoring, user="ada", seen=seen)
    sign(library, scoring, user="ada", seen=review(library, scoring).version)


def test_who_signs_in_with_a_password_signs_with_it_and_wrong_ones_lock_the_account(
    library: Library, scoring: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "one local user and no passwords" in texts(page(scoring))
    accounts = Accounts(library.connection)
    for name, password in (("ada", "correct horse battery"), ("eve@site", None)):
        accounts.add(name, Role.SCORER, password, by="root")

    def signed_in(name: str) -> AppTest:
        for module in ("signed_in", "role_widgets", "finish_sign", "finish_away"):
            monkeypatch.setattr(f"sleepfm.viewer.{module}.current_user", lambda: User(name, Role.SCORER, local=False))
        test = page(scoring)
        test.checkbox[0].check()
        return run(test)

    test = signed_in("eve@site")
    assert "identity provider" in texts(test)
    assert [one.label for one in test.text_input] == ["Your name as it is printed"]
    test = signed_in("ada")
    assert "type your password as well" in texts(press(test, "Sign"))
    library.connection.execute("UPDATE users SET failures = ?", (FREE_ATTEMPTS - 1,))
    next(one for one in test.text_input if one.label == "Your password, to sign").set_value("wrong horse battery")
    press(run(test), "Sign")
    assert "the password is not right" in texts(test)
    assert review(library, scoring).state is ReviewState.OPEN
    assert accounts.known("ada").locked_until is not None
    next(one for one in test.text_input if one.label == "Your password, to sign").set_value("correct horse battery")
    press(run(test), "Sign")
    assert review(library, scoring).state is ReviewState.OPEN  # locked, as on the sign-in page
    assert [one.action for one in entries(library.connection, subject="night", limit=1)] == ["sign review: refused"]
    library.connection.execute("UPDATE users SET locked_until = NULL")
    next(one for one in test.text_input if one.label == "Your password, to sign").set_value("correct horse battery")
    press(run(test), "Sign")
    assert review(library, scoring).signed_by == "ada"
    assert "correct horse" not in repr(test.session_state)


def test_a_scoring_is_put_away_with_a_reason_and_brought_back(
    library: Library, scoring: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.page_link", lambda *_words, **_options: None)
    test = page(scoring)
    assert button(test, "Put away").disabled  # type: ignore[attr-defined]
    next(one for one in test.text_input if one.label.startswith("Reason for putting")).set_value("**twice**")
    press(run(test), "Put away")
    assert [one.label for one in library.scorings("night")] == ["YASA"]
    assert f"{HOSTILE}'s scoring is put away." in texts(test)
    assert f"{HOSTILE}'s scoring (open): {getpass.getuser()}, " in texts(test)
    places = [one.type for one in test.main.children.values()]
    next(one for one in test.text_input if one.label.startswith("Reason for bringing")).set_value("after all")
    run(test)
    assert f"{HOSTILE}'s scoring is put away." not in texts(test)
    assert [one.type for one in test.main.children.values()] == places  # else what stands open below is closed while it is filled
    press(test, "Bring back")
    assert [one.label for one in library.scorings("night")] == [HOSTILE, "YASA"]
    for module in ("signed_in", "role_widgets", "finish_sign", "finish_away"):
        monkeypatch.setattr(f"sleepfm.viewer.{module}.current_user", lambda: User("bob", Role.SCORER, local=False))
    test = page(scoring)
    assert f"Only {HOSTILE} or an administrator may put this scoring away." in texts(test)
    assert "Put away" not in [one.label for one in test.button]
