"""What the Review page says of a set of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sleepfm.library.event_sets import StoredEvents
from sleepfm.viewer.event_words import found_words, set_warnings, set_words


def stored(**provenance: Any) -> StoredEvents:
    note = "psgscoring 0.37.0 aasm_v3_breath, stages by YASA"
    return StoredEvents(1, (), "psgscoring", "aasm_v3_breath", "psgscoring", note, datetime.now(UTC), provenance)


def test_rates_have_their_interval_and_what_was_not_scored_its_reason() -> None:
    words = set_words(
        stored(
            indices={"ahi": {"value": 7.24, "low": 1.3, "high": 7.24}, "plmi": {"value": 0.0, "low": None, "high": None}},
            skipped={"Arousals": "no usable EEG channel"},
        )
    )
    assert "stages by YASA; by these stages AHI 7.2 (1.3 to 7.2 by stricter and looser rules), PLM index 0.0 an hour" in words
    assert words.endswith("not scored: Arousals (no usable EEG channel)")
    assert set_words(stored()) == "Events, psgscoring: psgscoring 0.37.0 aasm_v3_breath, stages by YASA"


def test_what_was_found_is_counted_and_what_was_not_looked_for_named() -> None:
    found = stored(skipped={"Arousals": "no usable EEG channel", "Leg movements": "no leg EMG"})
    assert found_words(found, 1027) == "psgscoring found 1,027 events (not scored: Arousals, Leg movements)"
    assert found_words(stored(file_sha256="a"), 1) == "psgscoring holds 1 event"


def test_the_second_opinion_names_its_test_and_its_training() -> None:
    said = {
        "model": "demo-breathing",
        "warnings": ["demo-breathing was trained on simulated signals."],
        "severity": {"none (AHI < 5)": 0.1, "mild (5 to < 15)": 0.7, "moderate (15 to < 30)": 0.15, "severe (AHI ≥ 30)": 0.05},
        "ahi_at_least_15": 0.2,
        "metrics": [
            {"name": "AHI ≥ 15 AUROC", "value": 0.934, "low": 0.886, "high": 0.973, "n": 119, "data": "simulated"},
            {"name": "SDB epoch AUROC", "value": 0.97, "low": None, "high": None, "n": None, "data": ""},
        ],
    }
    assert set_warnings(stored(warnings=["First."], breathing_model=said)) == [
        "First.",
        "demo-breathing was trained on simulated signals.",
        "demo-breathing sees no events, but judges the night: AHI of at least 15 with a probability of 20 %, most likely"
        " mild (5 to < 15) (70 %); in its test AHI ≥ 15 AUROC 0.93, 0.89 to 0.97, n = 119.",
    ]
    assert set_warnings(stored(breathing_model=None)) == []
    assert set_warnings(stored(breathing_model=said | {"metrics": []}))[-1].endswith("how well it does is not known.")
