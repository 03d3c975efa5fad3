"""NSRR annotation files: runs are expanded, Unknown stays Unknown, and no entity is ever declared."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nsrr_files import CONCEPTS, nsrr_text, scored_event, write_nsrr

from sleepfm.errors import RequestError, ScoringError
from sleepfm.recording.scorings.formats import detect_format, read_events, read_scoring
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import Stage

STAGES = {"W": 0, "N1": 1, "N2": 2, "N3": 3, "S4": 3, "R": 4, "M": -1, "?": -1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(CONCEPTS)), st.integers(1, 40)), min_size=1, max_size=20))
def test_every_run_is_expanded_by_its_duration(runs: list[tuple[str, int]]) -> None:
    expected = [STAGES[key] for key, epochs in runs for _ in range(epochs)]
    with tempfile.TemporaryDirectory() as folder:
        scoring = read_scoring(write_nsrr(Path(folder) / "a-nsrr.xml", runs))
    assert scoring.stages.tolist() == expected
    said = " ".join(scoring.warnings)
    assert ("'Movement' became Unknown" in said) == any(key == "M" for key, _ in runs)
    assert ("'Stage 4 sleep' became N3" in said) == any(key == "S4" for key, _ in runs)


def test_the_recording_decides_how_many_epochs_there_are(tmp_path: Path) -> None:
    path = write_nsrr(tmp_path / "a.xml", [("W", 2), ("N2", 3)], duration_s=190.0)
    assert detect_format(path) == "nsrr"
    assert read_scoring(path).stages.tolist() == [0, 0, 2, 2, 2, -1]  # the file's own duration
    assert read_scoring(path, duration_s=95.0).stages.tolist() == [0, 0, 2]
    assert "clipped" in " ".join(read_scoring(path, duration_s=95.0).warnings)
    assert read_scoring(path, duration_s=240.0).stages.tolist() == [0, 0, 2, 2, 2, -1, -1, -1]


def test_a_hole_in_the_scoring_and_an_unknown_code_are_unknown(tmp_path: Path) -> None:
    events = [scored_event("Stages|Stages", "REM sleep|5", 120, 30), scored_event("Stages|Stages", "Twilight|7", 150, 60)]
    scoring = read_scoring(write_nsrr(tmp_path / "a.xml", [("N1", 2)], events, duration_s=210))
    assert scoring.stages.tolist() == [1, 1, -1, -1, 4, -1, -1]
    assert any("1 × 'Twilight|7' is no sleep stage and became Unknown (first: line 6" in warning for warning in scoring.warnings)


def test_events_keep_their_times_and_signals(tmp_path: Path) -> None:
    written = [
        scored_event("Respiratory|Respiratory", "Obstructive apnea|Obstructive Apnea", 70.5, 22, SignalLocation="ABDO RES"),
        scored_event("Respiratory|Respiratory", "Hypopnea|Hypopnea", 125, 12.25, SignalLocation="THOR RES"),
        scored_event("Respiratory|Respiratory", "Central apnea|Central Apnea", 150, 10),
        scored_event("Respiratory|Respiratory", "Mixed apnea|Mixed Apnea", 170, 10),
        scored_event("Respiratory|Respiratory", "SpO2 desaturation|SpO2 desaturation", 80, 15, SpO2Nadir=88, SpO2Baseline=95.5),
        scored_event("Respiratory|Respiratory", "SpO2 desaturation|SpO2 desaturation", 99, 9),
        scored_event("Respiratory|Respiratory", "SpO2 artifact|SpO2 artifact", 200, 5, SignalLocation="SaO2"),
        scored_event("Respiratory|Respiratory", "Unsure|Unsure", 210, 5),
        scored_event("Arousals|Arousals", "Arousal|Arousal ()", 92, 5, SignalLocation="EEG(sec)"),
        scored_event("Arousals|Arousals", "ASDA arousal|Arousal (ASDA)", 192, 5),
        scored_event("Arousals|Arousals", "Respiratory effort related arousal|RERA", 193, 6),
        scored_event("Limb Movement|Limb Movement", "Limb movement - left|Limb Movement (Left)", 194, 1),
        scored_event("Limb Movement|Limb Movement", "Periodic leg movement - left|PLM (Left)", 195, 1),
    ]
    events = read_events(write_nsrr(tmp_path / "a.xml", [("W", 9)], written))
    assert events[0] == Event(70.5, 92.5, "Obstructive apnea", "ABDO RES", "nsrr")
    assert events[1] == Event(125.0, 137.25, "Hypopnea", "THOR RES", "nsrr")
    assert events[4].extra == {"NadirSpO2": 88.0, "Desaturation": 7.5}
    assert events[5].extra == {}
    assert [event.name for event in events[2:]] == [
        "Central apnea", "Mixed apnea", "Desaturation", "Desaturation", "Artifact", "Arousal", "Arousal", "RERA",
        "Leg movement", "PLM",
    ]  # fmt: skip


def test_other_encodings(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(nsrr_text([("R", 3)]).replace("UTF-8", "UTF-16").encode("utf-16"))
    assert read_scoring(path).stages.tolist() == [4, 4, 4]


BOMB = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 10))
HOSTILE = {
    "entity bomb": ('<!DOCTYPE x [<!ENTITY e0 "ha">' + BOMB + "]>", "&e9;", "document type"),
    "external entity": ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "&e;", "document type"),
    "parameter entity": ('<!DOCTYPE x [<!ENTITY % e SYSTEM "http://example.org/e.dtd"> %e;]>', "", "document type"),
    "external subset": ('<!DOCTYPE x SYSTEM "http://example.org/e.dtd">', "", "document type"),
    "bare doctype": ("<!DOCTYPE PSGAnnotation>", "", "document type"),
    "undeclared entity": ("", "&nothing;", "not well-formed"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_document_types_and_entities_are_refused(tmp_path: Path, kind: str) -> None:
    prolog, inside, words = HOSTILE[kind]
    path = tmp_path / "a.xml"
    text = nsrr_text([("W", 2)]).replace("<PSGAnnotation>", f"{prolog}<PSGAnnotation>").replace("Compumedics", f"x{inside}")
    path.write_text(text)
    for read in (read_scoring, read_events):
        with pytest.raises(ScoringError, match=words) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert len(str(caught.value)) < 300 + len(str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("<PSGAnnotation><ScoredEvents/></PSGAnnotation>", "no scored event is a sleep stage"),
        ("<x><PSGAnnotation/></x>", "not a scoring that can be read"),
        ("<PSGAnnotation><ScoredEvents>", "not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?><PSGAnnotation/>', "not well-formed"),
        (nsrr_text([("W", 2)]).replace(">60.0<", ">soon<"), "scored event [12]: Duration 'soon' is not a number"),
        (nsrr_text([("W", 2)]).replace("<Start>0.0<", "<Start>nan<"), "scored event 2: Start 'nan' is not a number"),
        (nsrr_text([("W", 2)]).replace("<Start>0.0<", "<Start>-30<"), "scored event 2: starts 30 s before"),
        (nsrr_text([("W", 2)], [scored_event("Stages|Stages", "REM sleep|5", 30, 30)]), "overlaps line 6, scored event 3"),
        (nsrr_text([("W", 9)]).replace(">270.0<", ">1e300<"), "is not a time within a recording|cannot carry a scoring"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)
    with pytest.raises(ScoringError, match=words) as caught:
        read_scoring(path)
    assert "\n" not in str(caught.value)


def test_events_that_cannot_be_are_named(tmp_path: Path) -> None:
    path = write_nsrr(tmp_path / "a.xml", [("W", 2)], [scored_event("Respiratory|Respiratory", "Hypopnea|Hypopnea", 5, -3)])
    with pytest.raises(ScoringError, match="line 5, scored event 2: Hypopnea from 5 to 2 s is not a stretch of time"):
        read_events(path)


def test_what_holds_no_events_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Start,Stop,StageName,StageNumber\n0,30,Wake,0\n")
    with pytest.raises(ScoringError, match="holds no events"):
        read_events(path)
    with pytest.raises(RequestError, match="cannot be read"):
        read_events(tmp_path / "nobody.xml")
    np.testing.assert_array_equal(read_scoring(path).stages, [Stage.WAKE])
