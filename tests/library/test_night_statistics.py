"""The numbers and the queue of a study's scorings: from what stands there, what was looked at, and what the proposal thought."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import time
from pathlib import Path

import edfio
import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.analysis.night_numbers import NightNumbers
from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.errors import RequestError
from sleepfm.library import night_statistics as kept
from sleepfm.library import standing_events
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.night_statistics import STRIP, numbers, study_statistics
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_queue import NO_PROBABILITIES, NOTHING_LEFT, queue
from sleepfm.library.review_states import sign
from sleepfm.library.reviews import document
from sleepfm.library.vitals import vitals_file
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.signals.vitals import NO_POSITION, Vitals

SHA = "0" * 64
BREATHING = ["Obstructive apnea", "Central apnea", "Mixed apnea", "Hypopnea"]
STAGES = np.repeat(np.array([0, 2, 4, 2, 0], np.int8), [10, 40, 20, 20, 10])
"""50 min; sleep from 5 to 45 min."""
EVENTS = [Event(600.0, 615.0, "Hypopnea"), Event(900.0, 912.0, "Central apnea"), Event(20.0, 31.0, "Hypopnea")]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_edf(tmp_path_factory.mktemp("recording") / "night.edf", seconds=3010, labels=("C4-M1",), rate_hz=2)


@pytest.fixture
def library(tmp_path: Path, recording: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "home") as opened:
        opened.store_hash(opened.add(recording).id, SHA)
        yield opened


def shares(confidence: float = 0.8) -> np.ndarray:
    """Return probabilities of a model that is so sure of what it says."""
    found = np.full((len(STAGES), 5), (1 - confidence) / 4, np.float32)
    found[np.arange(len(STAGES)), STAGES] = confidence
    return found


def about(**more: object) -> dict[str, object]:
    """Return a provenance."""
    return {"label": "E", "note": "an engine", "source_sha256": SHA, **more}


def proposal(library: Library, probabilities: np.ndarray | None) -> int:
    """Store an engine's scoring."""
    scoring = Scoring(STAGES, None if probabilities is None else probabilities)
    return library.store_scoring("night", scoring, engine="e", model="", provenance=about())


def reviewed(library: Library, probabilities: np.ndarray | None) -> int:
    """Begin a review of an engine's scoring with events."""
    store_events(library, "night", EVENTS, engine="e", model="", provenance=about(looked_for=["Arousal", *BREATHING]))
    return begin(library, "night", scorer="ada", user="ada", base=proposal(library, probabilities))


def score(library: Library, scoring: int, epochs: range, stage: int | None, key: str) -> None:
    """Score epochs, or confirm them as they stand."""
    before = library.connection.execute("SELECT stages FROM reviews WHERE scoring = ?", (scoring,)).fetchone()["stages"]
    now = np.frombuffer(before, np.int8)
    changes = tuple((epoch, int(now[epoch - 1]), int(now[epoch - 1]) if stage is None else stage) for epoch in epochs)
    outcome = apply_edits(library, scoring, [Edit(key, "score", Patch(stages=changes))], user="ada")
    assert not outcome.refused


def test_the_numbers_follow_every_edit(library: Library) -> None:
    scoring = reviewed(library, shares())
    before = numbers(library, "night", scoring)
    by_key = {one["key"]: one for one in before["numbers"]}
    assert list(by_key) == list(STRIP)
    assert by_key["tst"]["text"] == "0 h 40 min"
    assert (by_key["ahi"]["value"], by_key["ahi"]["text"]) == (3, "3.0 /h")
    assert by_key["arousal_index"]["value"] == 0  # looked for, none found
    assert by_key["odi3"]["value"] is None
    assert by_key["odi3"]["text"].startswith("no desaturation is marked")
    assert by_key["tst"]["low"] < 40 < by_key["tst"]["high"]
    score(library, scoring, range(1, 3), 1, "a")
    after = numbers(library, "night", scoring)
    assert after["version"] > before["version"]
    changed = {one["key"]: one["value"] for one in after["numbers"]}
    assert (changed["tst"], changed["sol"]) == (41, 0)
    assert changed["ahi"] == pytest.approx(60 * 3 / 41)  # the hypopnea at 20 s lies in sleep now


def test_events_are_read_and_made_ready_anew_only_when_one_of_them_changed(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = reviewed(library, shares())
    apply_edits(library, scoring, [Edit("x", "event", Patch(events=(("x", None, Event(700, 720, "Hypopnea")),)))], user="ada")
    before = study_statistics(library, "night", scoring)["hypopneas"].value
    assert before is not None
    for module, name in ((standing_events, "read_events"), (kept, "NightNumbers")):
        monkeypatch.setattr(module, name, None)  # calling it would fail
    score(library, scoring, range(20, 30), 1, "s")
    assert study_statistics(library, "night", scoring)["hypopneas"].value == before
    monkeypatch.setattr(kept, "NightNumbers", NightNumbers)
    moved = (
        ("x", Event(700, 720, "Hypopnea"), None),
        ("y", None, Event(800, 820, "Hypopnea")),
        ("z", None, Event(900, 920, "RERA")),
    )
    apply_edits(library, scoring, [Edit("y", "event", Patch(events=moved))], user="bob")
    with Library(library.home) as other:  # another connection, as the routes have one a thread
        changed = study_statistics(other, "night", scoring)
    assert (changed["hypopneas"].value, changed["reras"].value) == (before, 1)
    apply_edits(library, scoring, [Edit("u", "undo")], user="bob")
    assert study_statistics(library, "night", scoring)["reras"].why_none


def test_a_library_put_back_to_an_older_state_is_not_taken_for_the_one_before(library: Library, tmp_path: Path) -> None:
    scoring = reviewed(library, shares())
    library.connection.execute(f"VACUUM INTO '{tmp_path / 'older'}'")
    for key in ("a", "b"):
        event = Patch(events=((key, None, Event(700, 720, "RERA")),))
        apply_edits(library, scoring, [Edit(key, "event", event)], user="ada")
    assert study_statistics(library, "night", scoring)["reras"].value == 2
    home = library.home
    library.close()
    for name in ("library.sqlite", "library.sqlite-wal", "library.sqlite-shm"):
        (home.root / name).unlink(missing_ok=True)
    shutil.move(tmp_path / "older", home.database)
    with Library(home) as back:
        for number, to in enumerate((1, 2)):  # its log becomes as long as the lost one was
            score(back, scoring, range(1, 2), to, f"s{number}")
        assert study_statistics(back, "night", scoring)["reras"].value is None


def test_what_has_not_changed_is_not_computed_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = reviewed(library, shares())
    first = study_statistics(library, "night", scoring)
    monkeypatch.setattr(kept, "statistics_of", lambda *_, **__: pytest.fail("computed again"))
    assert study_statistics(library, "night", scoring) is first
    monkeypatch.undo()
    score(library, scoring, range(1, 2), 1, "a")
    assert study_statistics(library, "night", scoring) is not first
    second = study_statistics(library, "night", scoring)
    flat = Vitals(
        np.full(3010, 95, np.float32), np.full(3010, 60, np.float32), np.full(3010, NO_POSITION, np.int16), {}, np.zeros(0)
    )
    flat.save(vitals_file(library, "night"))
    assert second["spo2_mean"].value is None
    assert study_statistics(library, "night", scoring)["spo2_mean"].value == 95
    strip = {one["key"]: one["value"] for one in numbers(library, "night", scoring)["numbers"]}
    assert strip["odi3_spo2"] == 0  # in the place of desaturations that nobody marked


def test_epochs_that_were_looked_at_are_certain(library: Library) -> None:
    scoring = reviewed(library, shares())
    score(library, scoring, range(1, 101), None, "all")
    found = study_statistics(library, "night", scoring)
    assert found.intervals == ""
    assert found["tst"].low is None
    assert queue(library, "night", scoring) == {"epochs": [], "calibration": NOTHING_LEFT}


def test_an_engines_scoring_has_numbers_with_the_newest_events_and_a_queue(library: Library) -> None:
    number = proposal(library, shares())
    assert study_statistics(library, "night", number)["ahi"].value is None
    store_events(library, "night", EVENTS, engine="e", model="", provenance=about())
    assert study_statistics(library, "night", number)["ahi"].value == 3
    assert numbers(library, "night", number)["version"] == 0
    assert queue(library, "night", number)["epochs"]
    expected = night_statistics(STAGES, events=EVENTS, probabilities=shares())
    assert study_statistics(library, "night", number)["tst"].high == pytest.approx(expected["tst"].high, abs=1)


def test_apneas_of_no_kind_in_the_recording_are_said_with_the_numbers(tmp_path: Path) -> None:
    """They are no event that an index counts, and nobody would know that they are there."""
    notes = [edfio.EdfAnnotation(400.0 + 40 * k, 12.0, "Apnea" if k < 4 else "Hypopnea") for k in range(6)]
    signal = edfio.EdfSignal(np.zeros(3010 * 2), 2, label="C4-M1", physical_range=(-1, 1))
    edfio.Edf([signal], annotations=notes, starttime=time(23, 0)).write(tmp_path / "night.edf")
    with Library.open(tmp_path / "home") as library:
        library.store_hash(library.add(tmp_path / "night.edf").id, SHA)
        said = "4 annotation(s) are events of breathing whose kind is not said (4 × 'Apnea')"
        number = proposal(library, None)
        assert any(remark.startswith(said) for remark in study_statistics(library, "night", number).remarks)
        begun = begin(library, "night", scorer="ada", user="ada", base=number)
        content = document(library, begun)
        assert [event.name for event in content.events.values()] == ["Hypopnea"] * 2
        assert [warning.startswith(said) for warning in content.review.warnings] == [True]
        assert sum(remark.startswith(said) for remark in study_statistics(library, "night", begun).remarks) == 1


def test_the_queue_leaves_out_what_was_looked_at_and_says_how_it_was_calibrated(library: Library) -> None:
    scoring = reviewed(library, shares())
    first = queue(library, "night", scoring, epochs=5)
    assert len(first["epochs"]) == 5
    assert set(first["epochs"][0]) == {"epoch", "why", "gain"}
    assert "30 looked-at epochs, 0 are there" in first["calibration"]
    looked = first["epochs"][0]["epoch"]
    score(library, scoring, range(looked, looked + 1), None, "one")
    assert looked not in {one["epoch"] for one in queue(library, "night", scoring, epochs=1000)["epochs"]}
    score(library, scoring, range(12, 52), 1, "many")
    assert "corrections alone" in queue(library, "night", scoring)["calibration"]
    score(library, scoring, range(52, 92), None, "confirmed")
    assert "temperature" in queue(library, "night", scoring)["calibration"]


def test_a_scoring_without_probabilities_has_no_queue_and_says_why(library: Library) -> None:
    scoring = reviewed(library, None)
    assert queue(library, "night", scoring) == {"epochs": [], "calibration": NO_PROBABILITIES}
    assert study_statistics(library, "night", scoring)["tst"].low is None
    nothing = begin(library, "night", scorer="bob", user="bob")
    assert numbers(library, "night", nothing)["numbers"][0]["text"] == "no epoch between lights off and lights on is scored"


def test_a_scoring_of_another_study_is_refused(library: Library, tmp_path: Path) -> None:
    scoring = reviewed(library, shares())
    other = library.add(write_edf(tmp_path / "other.edf", seconds=60, labels=("C4-M1",))).id
    for ask in (numbers, queue, study_statistics):
        with pytest.raises(RequestError, match=f"has no scoring {scoring}"):
            ask(library, other, scoring)


APNEAS = [Event(320.0 + 60 * k, 332.0 + 60 * k, "Obstructive apnea") for k in range(40)]
"""One a minute of sleep."""


def ahi(library: Library, scoring: int) -> tuple[float | None, float | None]:
    """Return the AHI of the strip and of the table."""
    strip = {one["key"]: one["value"] for one in numbers(library, "night", scoring)["numbers"]}
    return strip["ahi"], study_statistics(library, "night", scoring)["ahi"].value


def found_by_psgscoring(library: Library, events: list[Event] | None = None, **more: object) -> int:
    """Store what psgscoring says that it found."""
    provenance = about(label="psgscoring", looked_for=BREATHING, **more)
    return store_events(
        library, "night", APNEAS if events is None else events, engine="psgscoring", model="", provenance=provenance
    )


def test_what_a_program_looked_for_is_true_of_its_own_events_only(library: Library) -> None:
    base = proposal(library, None)
    early = begin(library, "night", scorer="ada", user="ada", base=base)
    signed = begin(library, "night", scorer="bob", user="bob", base=base)
    sign(library, signed, user="bob")
    number = found_by_psgscoring(library)
    assert ahi(library, base) == (60, 60)
    assert ahi(library, early) == ahi(library, signed) == (None, None)  # none of the events that were found is in them
    apply_edits(library, early, [Edit("t", "take events", events=number)], user="ada")
    assert ahi(library, early) == (60, 60)
    apply_edits(library, early, [Edit("u", "undo")], user="ada")
    assert ahi(library, early) == (None, None)
    apply_edits(library, early, [Edit("r", "redo")], user="ada")
    assert ahi(library, early) == (60, 60)
    apply_edits(library, early, [Edit("z", "reset events")], user="ada")
    assert ahi(library, early) == (None, None)
    # a file with one arousal, added later
    store_events(library, "night", [Event(700.0, 705.0, "Arousal")], engine="file", model="a.csv", provenance=about())
    assert ahi(library, base) == (None, None)


def test_a_set_without_events_is_taken_with_what_was_looked_for(library: Library) -> None:
    scoring = begin(library, "night", scorer="ada", user="ada", base=proposal(library, None))
    number = found_by_psgscoring(library, [])
    apply_edits(library, scoring, [Edit("t", "take events", events=number)], user="ada")
    assert ahi(library, scoring) == (0, 0)
    later = begin(library, "night", scorer="consensus", user="ada", base=scoring)
    assert ahi(library, later) == (0, 0)  # what it was begun from


def test_what_a_program_could_not_score_is_said_and_is_in_no_index(library: Library) -> None:
    base = proposal(library, None)
    apneas = [name for name in BREATHING if name != "Hypopnea"]
    provenance = about(label="psgscoring", looked_for=apneas, skipped={"Hypopneas": "no SpO2"}, warnings=["A PAP device."])
    store_events(library, "night", APNEAS, engine="psgscoring", model="", provenance=provenance)
    assert ahi(library, base) == (None, None)
    assert {"Hypopneas: not scored by psgscoring (no SpO2).", "A PAP device."} <= set(
        study_statistics(library, "night", base).remarks
    )
    scoring = begin(library, "night", scorer="ada", user="ada", base=base)
    assert ahi(library, scoring) == (None, None)
    marked = Patch(events=(("x", None, Event(700.0, 715.0, "Hypopnea")),))
    apply_edits(library, scoring, [Edit("h", "event", marked)], user="ada")
    assert ahi(library, scoring)[0] == pytest.approx(61.5)
    assert any("only those that people marked" in one for one in study_statistics(library, "night", scoring).remarks)


def test_hours_in_which_nothing_was_looked_for_are_the_same_everywhere(library: Library) -> None:
    base = proposal(library, None)
    found_by_psgscoring(library, APNEAS[:20], left_out=[[50, 100]])
    assert ahi(library, base) == (60, 60)
    assert ahi(library, begin(library, "night", scorer="ada", user="ada", base=base)) == (60, 60)


def test_numbers_of_a_review_of_another_file_are_refused(library: Library) -> None:
    scoring = reviewed(library, shares())
    assert study_statistics(library, "night", scoring)["tst"].value == 40
    library.store_hash("night", "1" * 64)
    for ask in (numbers, queue, study_statistics):
        with pytest.raises(RequestError, match="of another file"):
            ask(library, "night", scoring)


def test_what_the_first_scorer_looked_at_is_not_open_to_the_second(library: Library) -> None:
    first = reviewed(library, shares())
    score(library, first, range(1, 3), None, "confirmed")
    score(library, first, range(20, 22), 4, "changed")
    score(library, first, range(40, 42), 4, "undone")
    apply_edits(library, first, [Edit("u", "undo")], user="ada")
    second = begin(library, "night", scorer="consensus", user="ada", base=first)
    found = document(library, second).probabilities
    assert found is not None
    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [0, 1, 19, 20]
    assert np.allclose(found[39:41], shares()[39:41])
    assert not {1, 2, 20, 21} & {one["epoch"] for one in queue(library, "night", second, epochs=1000)["epochs"]}
    third = begin(library, "night", scorer="third", user="ada", base=second)
    assert np.array_equal(document(library, third).probabilities, found, equal_nan=True)
