"""Stages and events as the National Sleep Research Resource publishes them (`<study>-nsrr.xml`, sleepdata.org).

`PSGAnnotation/ScoredEvents/ScoredEvent` with EventType, EventConcept ("Stage 2 sleep|2"), Start and Duration in seconds. The
file is run-length encoded: one ScoredEvent covers as many epochs as its duration says.

What the format cannot hold: probabilities, the source of an event, further columns but nadir and depth of a desaturation, and
the side of a leg movement that nobody stated.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sleepfm.files import atomic_path
from sleepfm.recording.scorings.clock import anonymous_day, as_clock
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch, bouts
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords
from sleepfm.recording.scorings.xml_tree import number_of, read_xml, seconds_of, text_of
from sleepfm.text import printable
from sleepfm.vocabulary import EventName, Stage

ROOT = "PSGAnnotation"
_STAGES = {"0": Stage.WAKE, "1": Stage.N1, "2": Stage.N2, "3": Stage.N3, "4": Stage.N3, "5": Stage.REM}
"""R&K stage 4 is N3."""
_NO_STAGE = {"6": Stage.UNKNOWN, "9": Stage.UNKNOWN}
"""Movement and Unscored."""
_RECORDING = "recording start time"
_CLOCK = re.compile(r"(?:(\d{1,2})\.(\d{1,2})\.(\d{2,4})\s+)?(\d{1,2})[.:](\d{2})[.:](\d{2})(?:\.\d+)?")

_STAGE_CONCEPTS = {
    Stage.WAKE: "Wake|0",
    Stage.N1: "Stage 1 sleep|1",
    Stage.N2: "Stage 2 sleep|2",
    Stage.N3: "Stage 3 sleep|3",
    Stage.REM: "REM sleep|5",
    Stage.UNKNOWN: "Unscored|9",
}


class _Concept(NamedTuple):
    """How an event is written: EventType and EventConcept."""

    kind: str
    concept: str


_RESPIRATORY, _AROUSALS, _LIMBS = "Respiratory|Respiratory", "Arousals|Arousals", "Limb Movement|Limb Movement"
_EVENT_CONCEPTS: dict[str, _Concept] = {
    EventName.OBSTRUCTIVE_APNEA: _Concept(_RESPIRATORY, "Obstructive apnea|Obstructive Apnea"),
    EventName.CENTRAL_APNEA: _Concept(_RESPIRATORY, "Central apnea|Central Apnea"),
    EventName.MIXED_APNEA: _Concept(_RESPIRATORY, "Mixed apnea|Mixed Apnea"),
    EventName.HYPOPNEA: _Concept(_RESPIRATORY, "Hypopnea|Hypopnea"),
    EventName.RERA: _Concept(_AROUSALS, "Respiratory effort related arousal|RERA"),
    EventName.DESATURATION: _Concept(_RESPIRATORY, "SpO2 desaturation|SpO2 desaturation"),
    EventName.AROUSAL: _Concept(_AROUSALS, "Arousal|Arousal ()"),
    EventName.LEG_MOVEMENT: _Concept(_LIMBS, "Limb movement|Limb Movement"),
    EventName.PLM: _Concept(_LIMBS, "Periodic leg movement|PLM"),
    EventName.SNORE: _Concept(_RESPIRATORY, "Snoring|Snoring"),
    EventName.LIGHTS_OFF: _Concept("Lights|Lights", "Lights off|Lights Off"),
    EventName.LIGHTS_ON: _Concept("Lights|Lights", "Lights on|Lights On"),
    EventName.ARTIFACT: _Concept("Artifact|Artifact", "Signal artifact|SIGNAL-ARTIFACT"),
}


def read_nsrr(path: Path, _known: Known) -> Contents:
    """Read an NSRR annotation file; a desaturation keeps its nadir and depth (`NadirSpO2`, `Desaturation`, in %).

    Raises
    ------
    ScoringError
        Not such a file, or a time that is no number, naming the line.
    """
    words, marks = StageWords(), MarkCollector("nsrr")
    stretches: list[Stretch] = []
    duration_s, begins, dated = None, None, True
    for number, (element, line) in enumerate(read_xml(path, ROOT).iterate("ScoredEvent"), start=1):
        where = f"{line}, scored event {number}"
        concept = text_of(element, "EventConcept")
        if concept.lower() == _RECORDING:
            begins, dated = _begin(text_of(element, "ClockTime"))
            duration_s = seconds_of(element, "Duration", where) if text_of(element, "Duration") else None
            continue
        start_s = seconds_of(element, "Start", where)
        if text_of(element, "EventType").lower().startswith("stages"):
            code = concept.rpartition("|")[2].strip()
            stop_s = start_s + seconds_of(element, "Duration", where)
            known = _STAGES | _NO_STAGE
            stage = words.stage(concept.partition("|")[0], where, known[code]) if code in known else words.strange(concept, where)
            stretches.append(Stretch(start_s, stop_s, stage, where))
            continue
        lasts_s = seconds_of(element, "Duration", where) if text_of(element, "Duration") else 0.0
        marks.add(concept, start_s, lasts_s, where, channel=text_of(element, "SignalLocation"), extra=_depth(element))
    return Contents(
        tuple(stretches),
        tuple(marks.marks),
        begins=begins,
        dated=dated,
        duration_s=duration_s,
        warnings=(*words.said(), *marks.said()),
    )


def write_nsrr(scoring: Scoring, path: Path, *, start: datetime | None, events: tuple[Event, ...]) -> list[str]:
    """Write an NSRR annotation file, stages run-length encoded; return what it could not hold."""
    root = Element(ROOT)
    SubElement(root, "SoftwareVersion").text = "SleepFM Workbench"
    SubElement(root, "EpochLength").text = f"{scoring.epoch_s:g}"
    listed = SubElement(root, "ScoredEvents")
    clock = {} if start is None else {"ClockTime": start.strftime("%d.%m.%y %H.%M.%S")}
    _add(listed, "", "Recording Start Time", 0.0, len(scoring.stages) * scoring.epoch_s, **clock)
    for stage, begin_s, length_s in bouts(scoring):
        _add(listed, "Stages|Stages", _STAGE_CONCEPTS[stage], begin_s, length_s)
    for event in events:
        kind, concept = _EVENT_CONCEPTS[event.name]
        further = {"SignalLocation": printable(event.channel)} if event.channel else {}
        nadir, depth = event.extra.get("NadirSpO2"), event.extra.get("Desaturation")
        if isinstance(nadir, float | int):
            further["SpO2Nadir"] = repr(nadir)
            if isinstance(depth, float | int):
                further["SpO2Baseline"] = repr(nadir + depth)
        _add(listed, kind, concept, event.start_s, event.stop_s - event.start_s, **further)
    indent(root)
    with atomic_path(path) as temporary:
        temporary.write_bytes(tostring(root, encoding="utf-8", xml_declaration=True))
    return losses(scoring, events, probabilities=False, source=False, extra=("NadirSpO2", "Desaturation"))


def _add(listed: Element, kind: str, concept: str, start_s: float, duration_s: float, **further: str) -> None:
    scored = SubElement(listed, "ScoredEvent")
    parts = {"EventType": kind, "EventConcept": concept, "Start": repr(float(start_s)), "Duration": repr(float(duration_s))}
    for tag, text in (parts | further).items():
        SubElement(scored, tag).text = text


def _begin(text: str) -> tuple[datetime | None, bool]:
    """Return the recording's start from "01.01.85 22.30.00"; the date may be anonymous (00.00.00) or missing."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        return None, False
    day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
    return as_clock(anonymous_day(year, month, day), hour, minute, second)


def _depth(element: Element) -> dict[str, float | str]:
    """Return nadir and depth of a desaturation, as far as they are given."""
    nadir, baseline = number_of(text_of(element, "SpO2Nadir")), number_of(text_of(element, "SpO2Baseline"))
    found: dict[str, float | str] = {}
    if nadir is not None and "desat" in text_of(element, "EventConcept").lower():
        found["NadirSpO2"] = nadir
        if baseline is not None:
            found["Desaturation"] = baseline - nadir
    return found
