"""The numbers and the queue of a study's scorings: from what stands there, what was looked at, and what the proposal thought."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf

from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.errors import RequestError
from sleepfm.library import night_statistics as kept
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.night_statistics import STRIP, numbers, study_statistics
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_queue import NO_PROBABILITIES, NOTHING_LEFT, queue
from sleepfm.library.reviews import begin
from sleepfm.library.vitals import vitals_file
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.signals.vitals import NO_POSITION, Vitals

SHA = "0" * 64
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
    store_events(library, "night", EVENTS, engine="e", model="", provenance=about(looked_for=["Arousal", "Hypopnea"]))
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


def test_what_has_not_changed_is_not_computed_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = reviewed(library, shares())
    first = study_statistics(library, "night", scoring)
    monkeypatch.setattr(kept, "night_statistics", lambda *_, **__: pytest.fail("computed again"))
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
