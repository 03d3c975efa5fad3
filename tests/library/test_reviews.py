"""A person's scoring: what it begins from, what is refused, what a signature covers, and that nothing acknowledged is lost."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_edf import write_edf

from sleepfm.administration.audit import entries
from sleepfm.administration.backup import back_up
from sleepfm.administration.restore import restore
from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.library.event_sets import event_sets, remove_events, store_events
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, ReviewLockedError, apply_edits
from sleepfm.library.review_log import changes_since, log_count, log_csv, log_entries, log_json
from sleepfm.library.review_patch import Patch, parse_patch
from sleepfm.library.review_states import content_sha256, is_as_signed, mark_reviewed, reopen, sign
from sleepfm.library.reviews import document, review, reviews_of, why_not_editable
from sleepfm.library.stored_scorings import first_places, scoring_at, stages_at
from sleepfm.library.training_labels import PEOPLE, label_sources, scorers
from sleepfm.recording.scorings.scoring import Event, Scoring

SHA, SECONDS, EPOCHS = "0" * 64, 305, 10
YASA = {"label": "YASA", "note": "n", "version": "0.8.1", "weights_sha256": "a" * 64, "source_sha256": SHA, "warnings": ["short"]}
SET = {"label": "psgscoring", "note": "v", "source_sha256": SHA}


@pytest.fixture
def library(tmp_path: Path) -> Any:
    with Library.open(tmp_path / "home") as library:
        library.add(write_edf(tmp_path / "night.edf", seconds=SECONDS, labels=("C4-M1",)))
        library.store_hash("night", SHA)
        yield library


def store_yasa(library: Library, stages: list[int]) -> int:
    shares = np.full((len(stages), 5), 0.2, np.float32)
    return library.store_scoring("night", Scoring(np.array(stages, np.int8), shares), engine="yasa", model="", provenance=YASA)


def score(library: Library, scoring: int, epoch: int, to: int, user: str = "ada") -> Any:
    before = int(document(library, scoring).stages[epoch - 1])
    key = f"k{review(library, scoring).version}"
    return apply_edits(library, scoring, [Edit(key, "score", Patch(((epoch, before, to),)))], user=user)


# begin


def test_a_review_begins_from_an_engines_scoring_and_the_newest_events_and_leaves_them_alone(library: Library) -> None:
    base = store_yasa(library, [0, 1, 2, 2, 3, 3, 4])  # shorter than the recording
    for number, name in ((1, "Arousal"), (2, "Hypopnea")):
        store_events(library, "night", [Event(10, 20, name)], engine=f"e{number}", model="", provenance=SET)
    scoring = begin(library, "night", scorer=" ada ", user="anna", base=base)
    found = document(library, scoring)
    assert found.stages.tolist() == found.proposed.tolist() == [0, 1, 2, 2, 3, 3, 4, -1, -1, -1]
    assert found.probabilities is not None
    assert np.isnan(found.probabilities[7:]).all()
    assert [event.name for event in found.events.values()] == ["Hypopnea"]
    assert (found.review.scorer, found.review.proposal, found.review.warnings) == ("ada", "YASA 0.8.1", ("short",))
    score(library, scoring, 1, 4)
    by_id = {one.id: one for one in library.scorings("night")}
    assert by_id[base].scoring.stages.tolist() == [0, 1, 2, 2, 3, 3, 4]
    assert by_id[scoring].scoring.stages[0] == 4
    assert by_id[scoring].as_stated().probabilities is None
    assert begin(library, "night", scorer="ada", user="bob") == scoring  # a second press of the button


def test_a_review_from_nothing_is_unknown_throughout_and_counts_when_it_is_reviewed(library: Library) -> None:
    store_yasa(library, [2] * EPOCHS)
    scoring = begin(library, "night", scorer="ada", user="ada")
    assert document(library, scoring).stages.tolist() == [-1] * EPOCHS
    score(library, scoring, 3, 4)
    assert [one.label for one in library.scorings("night")] == ["YASA", "ada"]
    assert library.study("night").scored_by is None
    mark_reviewed(library, scoring, user="ada")
    assert [one.label for one in library.scorings("night")] == ["ada", "YASA"]
    assert (library.study("night").scored_by, library.study("night").review_state) == ("ada", "reviewed")


def test_signed_stands_before_reviewed_before_open_and_the_newest_first(library: Library) -> None:
    base = store_yasa(library, [2] * EPOCHS)
    first, second, third, fourth = (begin(library, "night", scorer=name, user="ada", base=base) for name in "abcd")
    store_yasa(library, [3] * EPOCHS)
    sign(library, first, user="ada")
    mark_reviewed(library, second, user="ada")
    assert [one.label for one in library.scorings("night")] == ["a", "b", "d", "c", "YASA"]
    assert [one.scoring for one in reviews_of(library, "night")] == [first, second, fourth, third]


def test_a_second_review_may_begin_from_a_first_with_its_events(library: Library) -> None:
    first = begin(library, "night", scorer="ada", user="ada")
    score(library, first, 2, 3)
    apply_edits(library, first, [Edit("k", "event", Patch(events=(("x1", None, Event(1, 2, "Arousal")),)))], user="ada")
    second = document(library, begin(library, "night", scorer="consensus", user="ada", base=first))
    assert (second.proposed[1], second.events, second.review.proposal) == (3, {"x1": Event(1, 2, "Arousal")}, "ada")


def test_events_that_do_not_fit_are_cut_or_left_out_and_it_is_said(library: Library) -> None:
    odd = [Event(290, 310, "Snore"), Event(300, 400, "Snore"), Event(900, 910, "Snore"), Event(5, 6, "Arousal", "C4\x07")]
    store_events(library, "night", odd, engine="e", model="", provenance=SET)
    found = document(library, begin(library, "night", scorer="ada", user="ada"))
    kept = [(one.start_s, one.stop_s, one.channel) for one in found.events.values()]
    assert kept == [(5, 6, "C4\\x07"), (290, 305, ""), (300, 305, "")]
    assert found.review.warnings == (
        "1 events lie outside the recording and were left out",
        "2 events reach beyond the recording and were cut at its ends",
    )


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "ada\u202e", "ada\n"[:3] + "\x00"])
def test_a_scorer_has_a_name_that_can_be_read(library: Library, name: str) -> None:
    with pytest.raises(RequestError, match="a scorer's name has 1 to 60 letters"):
        begin(library, "night", scorer=name, user="ada")


def test_nobody_scores_under_a_programs_name(library: Library) -> None:
    with pytest.raises(RequestError, match="YASA is a program's name"):
        begin(library, "night", scorer="YASA", user="ada")


def test_nothing_begins_on_a_file_that_is_not_known_or_not_there(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no scoring 99 any more"):
        begin(library, "night", scorer="ada", user="ada", base=99)
    library.connection.execute("UPDATE studies SET sha256 = NULL")
    with pytest.raises(ScoringError, match="in a moment"):
        begin(library, "night", scorer="ada", user="ada")
    (tmp_path / "night.edf").unlink()
    with pytest.raises(SleepFMError, match="put the file back"):
        begin(library, "night", scorer="ada", user="ada")


def test_a_review_of_a_changed_or_missing_file_is_read_only_and_says_why(library: Library, tmp_path: Path) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    library.store_hash("night", "1" * 64)
    assert library.scorings("night") == []
    assert why_not_editable(library, scoring) == "this scoring was begun on another file of the same name; begin a new one"
    library.store_hash("night", SHA)
    assert why_not_editable(library, scoring) == ""
    (tmp_path / "night.edf").rename(tmp_path / "moved.edf")
    assert "put the file back" in why_not_editable(library, scoring)
    with pytest.raises(ReviewLockedError, match="put the file back"):
        score(library, scoring, 1, 1)
    with pytest.raises(RequestError, match="put the file back"):
        sign(library, scoring, user="ada")


# patches


EVENT = {"start": 1.0, "stop": 2.0, "name": "Arousal"}


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (None, "an edit's patch is"),
        ({"stage": []}, "an edit's patch is"),
        ({"stages": {}}, "are lists"),
        ({"stages": []}, "changes 1 to 20,000"),
        ({"stages": [[1, 0, 1]] * 20_001}, "changes 1 to 20,000"),
        ({"stages": [[1, 0]]}, r"\[epoch, from, to\]"),
        ({"stages": [[True, 0, 1]]}, "in whole numbers"),
        ({"stages": [[1, 0.0, 1]]}, "in whole numbers"),
        ({"stages": [[0, 0, 1]]}, "epoch 0: the recording has the whole epochs 1 to 10"),
        ({"stages": [[11, 0, 1]]}, "epoch 11"),
        ({"stages": [[1, 0, 5]]}, "5 is no stage"),
        ({"stages": [[1, -2, 0]]}, "-2 is no stage"),
        ({"stages": [[1, 0, 1], [1, 1, 2]]}, "the same epoch twice"),
        ({"events": [["x", None]]}, r"\[id, from, to\]"),
        ({"events": [["x", None, None]]}, "nothing before and nothing after"),
        ({"events": [["", None, EVENT]]}, "an event's id has"),
        ({"events": [["a b", None, EVENT]]}, "an event's id has"),
        ({"events": [["x" * 41, None, EVENT]]}, "an event's id has"),
        ({"events": [["x", None, EVENT], ["x", EVENT, None]]}, "the same event twice"),
        ({"events": [["x", None, {"start": 1, "stop": 2}]]}, "has start, stop and name"),
        ({"events": [["x", None, EVENT | {"colour": "red"}]]}, "has start, stop and name"),
        ({"events": [["x", None, EVENT | {"name": "Apnea"}]]}, "is none of Obstructive apnea"),
        ({"events": [["x", None, EVENT | {"name": ["Arousal"]}]]}, "is none of"),
        ({"events": [["x", None, EVENT | {"start": "1"}]]}, "its start is not a number"),
        ({"events": [["x", None, EVENT | {"start": True}]]}, "its start is not a number"),
        ({"events": [["x", None, EVENT | {"stop": math.nan}]]}, "its stop is not a number"),
        ({"events": [["x", None, EVENT | {"stop": 10**400}]]}, "its stop is not a number"),
        ({"events": [["x", None, EVENT | {"start": 3.0}]]}, "ends at 2 s, before it starts at 3 s"),
        ({"events": [["x", None, EVENT | {"start": -1.0}]]}, "reaches beyond the recording"),
        ({"events": [["x", None, EVENT | {"stop": 305.5}]]}, "not cut to fit"),
        ({"events": [["x", None, EVENT | {"name": "Lights off"}]]}, "a point in time"),
        ({"events": [["x", None, EVENT | {"channel": "C4\x07"}]]}, "its channel is not a text"),
        ({"events": [["x", None, EVENT | {"channel": "\ud800"}]]}, "its channel is not a text"),
        ({"events": [["x", None, EVENT | {"source": "s" * 201}]]}, "its source is not a text"),
        ({"events": [["x", None, EVENT | {"extra": {"a": []}}]]}, "a is not a number"),
        ({"events": [["x", None, EVENT | {"extra": {"a": math.inf}}]]}, "a is not a number"),
        ({"events": [["x", None, EVENT | {"extra": {str(n): 1 for n in range(21)}}]]}, "up to 20 named values"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_with_the_reason(patch: Any, words: str) -> None:
    with pytest.raises(ScoringError, match=words):
        parse_patch(patch, epochs=EPOCHS, duration_s=SECONDS)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 12)
    | st.floats()
    | st.sampled_from(("x", "Arousal", "Lights on", "\x00", "é" * 50)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("start", "stop", "name", "extra")), inner),
    max_leaves=12,
)
NEARLY_EVENTS = st.fixed_dictionaries(
    {"start": st.floats(-20, 400), "stop": st.floats(0, 400), "name": st.sampled_from(("Arousal", "Lights on"))},
    optional={"channel": st.text(max_size=3), "extra": st.dictionaries(st.text(max_size=3), st.floats() | st.text(max_size=3))},
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "stages": JSON | st.lists(st.lists(st.integers(-3, 12), min_size=3, max_size=3), max_size=3),
            "events": JSON
            | st.lists(
                st.tuples(st.sampled_from(("x", "y", "")), JSON | NEARLY_EVENTS, st.none() | NEARLY_EVENTS).map(list), max_size=3
            ),
        },
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_asked_is_refused_in_words_or_fits(asked: dict[str, Any]) -> None:
    try:
        patch = parse_patch(asked, epochs=EPOCHS, duration_s=SECONDS)
    except ScoringError:
        return
    assert len(patch) >= 1
    assert all(1 <= epoch <= EPOCHS and {before, after} <= set(range(-1, 5)) for epoch, before, after in patch.stages)
    there = [event for _, before, after in patch.events for event in (before, after) if event is not None]
    assert all(0 <= event.start_s <= event.stop_s <= SECONDS for event in there)
    json.dumps(patch.as_json(), allow_nan=False).encode()


def test_a_patch_comes_back_from_json_as_it_was_and_its_inverse_takes_it_back() -> None:
    asked = {
        "stages": [[1, -1, 4], [10, 0, 0]],
        "events": [["x", None, {**EVENT, "channel": "C4", "source": "ada", "extra": {"n": 3, "t": "é"}}], ["l-_1", EVENT, None]],
    }
    patch = parse_patch(json.loads(json.dumps(asked)), epochs=EPOCHS, duration_s=SECONDS)
    assert Patch.from_json(json.loads(json.dumps(patch.as_json()))) == patch
    assert patch.inverse().inverse() == patch
    assert patch.inverse().stages == ((1, 4, -1), (10, 0, 0))


# edits


def test_a_conflict_says_who_and_when_and_stores_nothing_of_that_edit(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    score(library, scoring, 5, 2, user="bob")
    late = Edit("late", "score", Patch(((4, -1, 1), (5, -1, 1))))
    outcome = apply_edits(library, scoring, [late], user="ada")
    at = changes_since(library, scoring, 0)[-1].at
    assert outcome.conflict == f"epoch 5 is N2: bob, {at:%Y-%m-%d %H:%M:%S} UTC"
    assert document(library, scoring).stages.tolist() == [-1] * 4 + [2] + [-1] * 5
    score(library, scoring, 6, 3, user="ada")  # another epoch: both stand
    assert document(library, scoring).stages.tolist() == [-1] * 4 + [2, 3] + [-1] * 4


def test_an_undo_leaves_what_somebody_else_changed_since_and_says_so(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    apply_edits(library, scoring, [Edit("two", "score", Patch(((1, -1, 1), (2, -1, 1))))], user="ada")
    score(library, scoring, 2, 4, user="bob")
    assert apply_edits(library, scoring, [Edit("back", "undo")], user="ada").refused == ()
    assert document(library, scoring).stages[:2].tolist() == [-1, 4]
    last = changes_since(library, scoring, 0)[-1]
    assert last.patch.stages == ((1, 1, -1),)
    assert last.note.startswith("left as it is: epoch 2 is R: bob, ")


def test_the_same_key_is_done_once_and_an_empty_history_undoes_nothing(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    edits = [Edit("a", "score", Patch(((1, -1, 1),))), Edit("u", "undo"), Edit("r", "redo")]
    versions = [apply_edits(library, scoring, edits, user="ada").version for _ in range(3)]
    assert len(set(versions)) == 1
    assert [entry.action for entry in changes_since(library, scoring, 0)] == ["begin", "score", "undo", "redo"]
    assert apply_edits(library, scoring, [Edit("v", "undo")], user="bob").version == versions[0]


def test_no_key_of_an_edit_is_taken_by_the_reviews_own_entries(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    apply_edits(library, scoring, [Edit("begin", "score", Patch(((1, -1, 1),)))], user="ada")
    assert document(library, scoring).stages[0] == 1
    apply_edits(library, scoring, [Edit("z", "reset events")], user="ada")
    assert [entry.action for entry in changes_since(library, scoring, 0)] == ["begin", "score"]


def test_where_events_came_from_follows_what_was_taken_last_and_outlives_the_set(library: Library) -> None:
    store_events(library, "night", [Event(3, 4, "Snore")], engine="e", model="", provenance=SET | {"version": "1"})
    scoring = begin(library, "night", scorer="ada", user="ada")
    before = content_sha256(document(library, scoring))
    number = store_events(library, "night", [Event(3, 4, "Snore")], engine="e", model="", provenance=SET | {"version": "2"})

    def version() -> str:
        return str(document(library, scoring).events_from.provenance["version"])

    assert version() == "1"  # made again under the same label
    apply_edits(library, scoring, [Edit("t", "take events", events=number)], user="ada")
    assert (version(), document(library, scoring).events_from.label) == ("2", "psgscoring")
    assert content_sha256(document(library, scoring)) != before
    remove_events(library, "night", number)
    assert version() == "2"
    for key, action, there in (("u", "undo", "1"), ("r", "redo", "2"), ("z", "reset events", "1"), ("v", "undo", "2")):
        apply_edits(library, scoring, [Edit(key, action)], user="ada")
        assert version() == there, action


def test_taking_a_set_of_events_keeps_the_lights_and_can_be_undone(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    lights = Patch(events=(("off", None, Event(30, 30, "Lights off")), ("x", None, Event(40, 50, "Snore"))))
    number = store_events(library, "night", [Event(60, 70, "Hypopnea")], engine="e", model="", provenance=SET)
    apply_edits(library, scoring, [Edit("l", "lights", lights), Edit("t", "take events", events=number)], user="ada")
    assert {event.name for event in document(library, scoring).events.values()} == {"Lights off", "Hypopnea"}
    apply_edits(library, scoring, [Edit("u", "undo")], user="ada")
    assert {event.name for event in document(library, scoring).events.values()} == {"Lights off", "Snore"}
    remove_events(library, "night", number)
    with pytest.raises(RequestError, match="no set of events"):
        apply_edits(library, scoring, [Edit("t2", "take events", events=number)], user="ada")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("a b", "undo"), "an edit's key"),
        (Edit("a", "sign"), "'sign' is none of score"),
        (Edit("a", "score"), "says nothing of what changes"),
        (Edit("a", "take events"), "says not which set"),
    ],
)
def test_an_edit_that_is_none_is_refused(library: Library, edit: Edit, words: str) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    with pytest.raises(ScoringError, match=words):
        apply_edits(library, scoring, [edit], user="ada")


def test_what_was_acknowledged_is_there_after_a_kill_in_the_midst(library: Library, tmp_path: Path) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    work = (
        "import sys\nfrom itertools import count\nfrom sleepfm.library.library import Library\n"
        "from sleepfm.library.review_edits import Edit, apply_edits\nfrom sleepfm.library.review_patch import Patch\n"
        f"library, now = Library.open({str(tmp_path / 'home')!r}), [-1] * {EPOCHS}\n"
        "for n in count():\n"
        f"    at, to = n % {EPOCHS}, n % 5\n"
        f"    apply_edits(library, {scoring}, [Edit(f'k{{n}}', 'score', Patch(((at + 1, now[at], to),)))], user='ada')\n"
        "    now[at] = to\n    print(n, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    log = [entry for entry in changes_since(library, scoring, 0) if entry.action == "score"]
    assert len(log) in (len(said), len(said) + 1)  # the last may have been stored and not said
    stages = [-1] * EPOCHS
    for entry in log:
        ((epoch, before, after),) = entry.patch.stages
        assert stages[epoch - 1] == before
        stages[epoch - 1] = after
    assert document(library, scoring).stages.tolist() == stages
    assert library.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_full_disk_is_said_and_what_was_stored_before_stands(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    score(library, scoring, 1, 1)
    library.connection.execute("PRAGMA max_page_count = 1")  # no more pages than there are
    event = Event(1, 2, "Arousal", extra={str(n): "x" * 200 for n in range(20)})
    many = Patch(events=tuple((f"e{n}", None, event) for n in range(20)))
    with pytest.raises(SleepFMError, match="free some space"):
        apply_edits(library, scoring, [Edit("s", "score", Patch(((2, -1, 1),))), Edit("e", "event", many)], user="ada")
    library.connection.execute("PRAGMA max_page_count = 1000000")
    assert document(library, scoring).stages.tolist() == [1] + [-1] * 9
    assert apply_edits(library, scoring, [Edit("e", "event", many)], user="ada").refused == ()
    assert len(document(library, scoring).events) == 20


def test_edits_go_to_the_disk_before_they_are_acknowledged(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    seen: list[str] = []
    library.connection.set_trace_callback(seen.append)
    score(library, scoring, 1, 1)
    library.connection.set_trace_callback(None)
    order = [seen.index(one) for one in ("PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "COMMIT", "PRAGMA synchronous = NORMAL")]
    # reads before the edit have a transaction of their own
    assert order[0] < order[1] < len(seen) - 1 - seen[::-1].index("COMMIT") < order[3]


# states


def test_reviewed_and_signed_lock_and_reopening_wants_a_reason_and_the_right_person(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    score(library, scoring, 1, 2)
    mark_reviewed(library, scoring, user="ada")
    with pytest.raises(ReviewLockedError, match="marked as reviewed; reopen it"):
        score(library, scoring, 2, 2)
    with pytest.raises(RequestError, match="marked as reviewed"):
        mark_reviewed(library, scoring, user="ada")
    reopen(library, scoring, user="bob", reason="one epoch more", admin=False)
    score(library, scoring, 2, 2)
    sign(library, scoring, user="ada")
    assert library.study("night").scored_by == "ada"
    for again in (sign, mark_reviewed):
        with pytest.raises(RequestError, match="signed by ada"):
            again(library, scoring, user="ada")
    with pytest.raises(RequestError, match="only the signer or an administrator"):
        reopen(library, scoring, user="bob", reason="because", admin=False)
    with pytest.raises(RequestError, match="why the scoring is opened again"):
        reopen(library, scoring, user="ada", reason="  ", admin=False)
    reopen(library, scoring, user="root", reason="the wrong night", admin=True)
    assert review(library, scoring).signed_by is None
    with pytest.raises(RequestError, match="open already"):
        reopen(library, scoring, user="ada", reason="x", admin=True)
    told = [(entry.action, entry.user, entry.note) for entry in log_entries(library, scoring)]
    assert [(action, user) for action, user, _ in reversed(told)] == [
        ("begin", "ada"), ("score", "ada"), ("mark as reviewed", "ada"), ("reopen", "bob"), ("score", "ada"), ("sign", "ada"),
        ("reopen", "root"),
    ]  # fmt: skip
    assert told[0][2] == "the wrong night"
    assert [entry.action for entry in entries(library.connection, subject="night")] == [
        "reopen review", "sign review", "reopen review", "mark review as reviewed", "begin review",
    ]  # fmt: skip


def test_a_signature_covers_stages_events_and_proposal(library: Library) -> None:
    base = store_yasa(library, [2] * EPOCHS)
    scoring = begin(library, "night", scorer="ada", user="ada", base=base)
    apply_edits(library, scoring, [Edit("e", "event", Patch(events=(("x", None, Event(1, 2, "Arousal")),)))], user="ada")
    sign(library, scoring, user="ada")
    assert is_as_signed(document(library, scoring))
    assert changes_since(library, scoring, 0)[-1].note == f"sha256 {content_sha256(document(library, scoring))}"
    for change in (
        "UPDATE reviews SET stages = zeroblob(10)",
        "UPDATE reviews SET proposed = zeroblob(10)",
        "UPDATE review_events SET stop_s = 3",
        "UPDATE review_events SET extra = '{\"a\": 1}'",
        "UPDATE scorings SET provenance = replace(provenance, '0.8.1', '0.8.2') WHERE engine = 'person'",
        "UPDATE scorings SET provenance = json_insert(provenance, '$.events_from.provenance.looked_for', '[]')",
    ):
        library.connection.execute("BEGIN")
        assert library.connection.execute(change).rowcount
        assert not is_as_signed(document(library, scoring)), change
        library.connection.execute("ROLLBACK")
    assert is_as_signed(document(library, scoring))


def test_a_signature_is_printed_with_a_name_that_it_covers_and_the_account_is_accountable(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    for name in ("A\x00B", "x" * 61):
        with pytest.raises(RequestError, match="a signer's name"):
            sign(library, scoring, user="ada", name=name)
    sign(library, scoring, user="ada", name=" Ada Lovelace ")
    signed = review(library, scoring)
    assert (signed.signer, signed.signed_by) == ("Ada Lovelace (ada)", "ada")
    assert "signed by Ada Lovelace (ada)" in why_not_editable(library, scoring)
    assert log_entries(library, scoring, limit=1)[0].note == f"as Ada Lovelace, sha256 {signed.signed_sha256}"
    assert json.loads(log_json(library, scoring))["signed"]["as"] == "Ada Lovelace (ada)"
    assert is_as_signed(document(library, scoring))
    library.connection.execute("UPDATE scorings SET provenance = replace(provenance, 'Ada Lovelace', 'Eve')")
    assert not is_as_signed(document(library, scoring))
    with pytest.raises(RequestError, match="only the signer"):
        reopen(library, scoring, user="eve", reason="mine", admin=False)
    reopen(library, scoring, user="ada", reason="again", admin=False)
    sign(library, scoring, user="ada")
    assert review(library, scoring).signer == "ada"


def test_the_log_refuses_to_be_changed_whoever_asks(library: Library) -> None:
    begin(library, "night", scorer="ada", user="ada")
    for change in (
        "UPDATE edits SET user = 'eve'",
        "DELETE FROM edits",
        "REPLACE INTO edits SELECT * FROM edits",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            library.connection.execute(change)


def test_what_people_worked_on_is_not_removed(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada")
    score(library, scoring, 1, 2)
    for remove in (lambda: library.remove("night"), lambda: library.remove_scoring("night", scoring)):
        with pytest.raises(RequestError, match="ada's scoring of it has 1 edits"):
            remove()
    with pytest.raises(RequestError, match="begun as a review"):
        library.store_scoring("night", Scoring(np.zeros(2, np.int8)), engine="person", model="ada", provenance=YASA)
    assert document(library, scoring).stages[0] == 2
    untouched = begin(library, "night", scorer="bob", user="bob")
    library.remove_scoring("night", untouched)
    assert [one.id for one in library.scorings("night")] == [scoring]


# the log and what others read


def test_the_log_is_searched_and_exported_whole(library: Library) -> None:
    base = store_yasa(library, [2] * EPOCHS)
    scoring = begin(library, "night", scorer="=ada", user="ada", base=base)
    score(library, scoring, 3, 4, user="+bob")
    apply_edits(library, scoring, [Edit("e", "event", Patch(events=(("x", None, Event(1, 2.5, "Arousal", "C4")),)))], user="ada")
    apply_edits(library, scoring, [Edit("u", "undo")], user="ada")
    assert [entry.action for entry in log_entries(library, scoring)] == ["undo", "event", "score", "begin"]
    assert [entry.user for entry in log_entries(library, scoring, epoch=3)] == ["+bob"]
    assert log_count(library, scoring, user="ada") == 3
    assert log_count(library, scoring, action="event") == 1
    assert [entry.action for entry in log_entries(library, scoring, limit=1, offset=1)] == ["event"]
    rows = [line.split(",") for line in log_csv(library, scoring).decode().splitlines()]
    assert [row[2:4] + row[5:9] for row in rows[1:]] == [
        ["ada", "begin", "", "", "", ""],
        ["'+bob", "score", "3", "", "Stage 2", "REM"],
        ["ada", "event", "", "x", "", "Arousal 1.00 to 2.50 s on C4"],
        ["ada", "undo", "", "x", "Arousal 1.00 to 2.50 s on C4", ""],
    ]
    assert {row[10] for row in rows[1:]} == {"'=ada"}
    told = json.loads(log_json(library, scoring))
    assert (told["proposal"]["weights_sha256"], told["state"], told["signed"]) == ("a" * 64, "open", None)
    assert told["log"][1]["stages"] == [[3, 2, 4]]
    assert told["content_sha256"] == content_sha256(document(library, scoring))


def test_labels_are_signed_ones_first_and_an_untouched_proposal_is_nobodys(library: Library) -> None:
    base = store_yasa(library, [2] * EPOCHS)
    about = {"label": "Scoring night.csv", "note": "", "source_sha256": SHA}
    own = library.store_scoring("night", Scoring(np.ones(EPOCHS, np.int8)), engine="file", model="night.csv", provenance=about)

    def taken() -> tuple[int, str]:
        return label_sources(library, ["night"])["night"].id, scorers(library, ["night"])[0].label

    first = begin(library, "night", scorer="ada", user="ada", base=base)
    imported = (own, "people's scorings: 1 imported or with the recording")
    assert taken() == imported
    score(library, first, 1, 3)
    for key, action, expected in (("u", "undo", own), ("r", "redo", first), ("z", "reset stages", own), ("v", "undo", first)):
        apply_edits(library, first, [Edit(key, action)], user="ada")
        assert taken()[0] == expected, action
    assert taken() == (first, "people's scorings: 1 still open")
    second = begin(library, "night", scorer="bob", user="bob", base=base)
    mark_reviewed(library, second, user="bob")
    assert taken() == (second, "people's scorings: 1 reviewed")
    sign(library, first, user="ada")
    assert taken() == (first, "people's scorings: 1 signed")
    assert scorers(library, ["night"])[0].key == PEOPLE
    place = label_sources(library, ["night"])["night"]
    assert stages_at(library, place).tolist() == [3] + [2] * 9
    assert scoring_at(library, place).probabilities is None
    mark = first_places(library)["night"].mark
    reopen(library, first, user="ada", reason="x", admin=False)
    score(library, first, 2, 0)
    sign(library, first, user="ada")
    assert first_places(library)["night"].mark != mark


def test_a_backup_brings_reviews_their_log_and_the_sets_back(library: Library, tmp_path: Path) -> None:
    store_events(library, "night", [Event(3, 4, "Snore")], engine="e", model="", provenance=SET)
    scoring = begin(library, "night", scorer="ada", user="ada")
    score(library, scoring, 1, 2)
    sign(library, scoring, user="ada")
    restore(back_up(library.home, tmp_path / "b.tar").path, tmp_path / "new")
    with Library.open(tmp_path / "new") as restored:
        assert is_as_signed(document(restored, scoring))
        assert log_json(restored, scoring) == log_json(library, scoring)
        assert [one.events for one in event_sets(restored, "night")] == [(Event(3, 4, "Snore"),)]
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            restored.connection.execute("DELETE FROM edits")


def test_sets_of_events_replace_their_own_kind_and_belong_to_the_bytes(library: Library) -> None:
    for names in (["Snore"], ["Hypopnea", "Arousal"]):
        events = [Event(9 - n, 20, name) for n, name in enumerate(names)]
        store_events(library, "night", events, engine="e/1", model="m", provenance=SET)
    store_events(library, "night", [Event(1, 2, "PLM", "Leg", "x", {"n": 2.0})], engine="f", model="", provenance=SET)
    newest, older = event_sets(library, "night")
    assert newest.events == (Event(1, 2, "PLM", "Leg", "x", {"n": 2.0}),)
    assert [event.name for event in older.events] == ["Arousal", "Hypopnea"]  # in order of onset
    assert len(list((library.study_folder("night") / "events").iterdir())) == 2
    library.store_hash("night", "1" * 64)
    assert event_sets(library, "night") == []
