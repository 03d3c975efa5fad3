"""Events among annotations: what our simulator and others write is understood, stages and notes are left alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sleepfm.recording.opening import open_recording
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.event_texts import event_name, events_from_annotations, unclassified_annotations
from sleepfm.recording.scorings.formats import read_events
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import EventName


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Obstructive apnea", EventName.OBSTRUCTIVE_APNEA),
        ("Central Apnoea", EventName.CENTRAL_APNEA),
        ("Mixed apnea", EventName.MIXED_APNEA),
        ("Hypopnea", EventName.HYPOPNEA),
        ("Hypopnoea", EventName.HYPOPNEA),
        ("Oxygen desaturation", EventName.DESATURATION),
        ("EEG arousal", EventName.AROUSAL),
        ("RERA", EventName.RERA),
        ("Limb movement", EventName.LEG_MOVEMENT),
        ("Periodic limb movement", EventName.PLM),
        ("Snoring", EventName.SNORE),
        ("Lights off", EventName.LIGHTS_OFF),
        ("Lights on", EventName.LIGHTS_ON),
        ("Artefact", EventName.ARTIFACT),
        ("Sleep stage N2", None),
        ("Sleep stage R", None),
        ("patient called the nurse", None),
        ("", None),
    ],
)
def test_texts(text: str, name: EventName | None) -> None:
    assert event_name(text) is name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Apnée centrale", EventName.CENTRAL_APNEA),
        ("Zentrale Apnoe", EventName.CENTRAL_APNEA),
        ("apnea_mixed", EventName.MIXED_APNEA),
        ("Apnea obstructiva", EventName.OBSTRUCTIVE_APNEA),
        ("APNEA-OBSTRUCTIVE", EventName.OBSTRUCTIVE_APNEA),
        ("Hypopnée", EventName.HYPOPNEA),
        ("ipopnea", EventName.HYPOPNEA),
        ("Hypopnea with arousal", EventName.HYPOPNEA),
        ("Arousal resulting from hypopnea", EventName.AROUSAL),
        ("Micro-éveil", EventName.AROUSAL),
        ("Entsättigung", EventName.DESATURATION),
        ("Ronflement", EventName.SNORE),
        ("SpO2 artifact", EventName.ARTIFACT),
        ("Éveil", None),
        ("Unsure", None),
        ("Apnea", None),
    ],
)
def test_other_languages_and_programs(text: str, name: EventName | None) -> None:
    """An apnea of no kind is none of the three: its kind is not guessed."""
    assert event_name(text) is name


def test_a_note_that_is_xml_counts_by_its_name() -> None:
    texts = ['<Event name="Hypopnea" channel="Flow"/>', "<Event><arousal/>", '<note about="arousal"/>']
    found = events_from_annotations([Annotation(float(k), 1.0, text) for k, text in enumerate(texts)])
    assert [(event.name, event.channel) for event in found] == [("Hypopnea", "Flow")]


def test_apneas_of_no_kind_are_left_out_and_counted() -> None:
    texts = (
        ["Apnea"] * 44
        + ["Obstructive apnea"] * 6
        + ["Apnée", "Respiratory event", '<Event name="Apnea"/>', "Hypopnea", "Sleep stage W"]
    )
    notes = [Annotation(30.0 * k, 12.0, text) for k, text in enumerate(texts)]
    assert Counter(event.name for event in events_from_annotations(notes)) == {"Obstructive apnea": 6, "Hypopnea": 1}
    (said,) = unclassified_annotations(notes)
    assert said.startswith(
        "47 annotation(s) are events of breathing whose kind is not said (45 × 'Apnea', 1 × 'Apnée', 1 × 'Resp"
    )
    assert (
        unclassified_annotations([Annotation(0, 1, "Central apnea"), Annotation(0, 1, "nurse comes"), Annotation(0, 1, "")]) == []
    )


def test_every_event_of_a_simulated_night_is_found_in_its_file_again(tmp_path: Path) -> None:
    made = simulate(tmp_path, 1, 1.0, 7)["studies"][0]
    with open_recording(made["edf"]) as recording:
        found = events_from_annotations(recording.annotations())
    true = read_events(Path(made["events"]))
    assert Counter(event.name for event in found) == Counter(event.name for event in true)
    for ours, theirs in zip(
        sorted(found, key=lambda e: (e.name, e.start_s)), sorted(true, key=lambda e: (e.name, e.start_s)), strict=True
    ):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=0.01)
        assert ours.stop_s == pytest.approx(theirs.stop_s, abs=0.01)
        assert ours.channel == theirs.channel
