"""Stages and events as the National Sleep Research Resource publishes them (`<study>-nsrr.xml`, sleepdata.org).

`PSGAnnotation/ScoredEvents/ScoredEvent` with EventType, EventConcept ("Stage 2 sleep|2"), Start and Duration in seconds. The
file is run-length encoded: one ScoredEvent covers as many epochs as its duration says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.epochs import Stretch, onto_epochs
from sleepfm.recording.scorings.event_texts import event_name
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.tables import read_raw
from sleepfm.text import printable
from sleepfm.vocabulary import EventName, Stage

_ROOT = "PSGAnnotation"
_STAGES = {"0": Stage.WAKE, "1": Stage.N1, "2": Stage.N2, "3": Stage.N3, "4": Stage.N3, "5": Stage.REM}
"""R&K stage 4 is N3."""
_NO_STAGE = {"6", "9"}
"""Movement and Unscored: Unknown, and nothing to wonder at."""
_RECORDING = "recording start time"


def is_nsrr_xml(head: bytes) -> bool:
    """Tell whether the first bytes of a file are those of an NSRR annotation file, in whatever encoding."""
    return f"<{_ROOT}".encode() in head.replace(b"\x00", b"")


def read_nsrr_scoring(path: Path, *, duration_s: float | None = None) -> Scoring:
    """Read the stages of an NSRR annotation file onto the 30-s grid, each run expanded by its duration.

    Parameters
    ----------
    path
        The file.
    duration_s
        Length of the recording in seconds; without it, the one that the file itself states.

    Raises
    ------
    ScoringError
        Not such a file, without stages, a time that is no number, or stages that contradict each other.
    """
    said: Counter[str] = Counter()
    stretches = []
    for scored in _scored_events(path):
        if scored.concept.lower() == _RECORDING and duration_s is None:
            duration_s = scored.seconds("Duration") if scored.text("Duration") else None
        if not scored.is_stage:
            continue
        code = scored.concept.rpartition("|")[2].strip()
        if code not in _STAGES and code not in _NO_STAGE:
            said[printable(scored.concept)[:40]] += 1
        start_s = scored.seconds("Start")
        stretches.append(Stretch(start_s, start_s + scored.seconds("Duration"), _STAGES.get(code, Stage.UNKNOWN), scored.where))
    if not stretches:
        raise ScoringError(f"{path}: no scored event is a sleep stage")
    warnings = [f"{n} stage(s) {text!r} became Unknown" for text, n in said.most_common(10)]
    try:
        return onto_epochs(stretches, duration_s=duration_s, scorer="", warnings=warnings)
    except ScoringError as error:
        raise ScoringError(f"{path}, {error}") from None


def read_nsrr_events(path: Path) -> tuple[Event, ...]:
    """Read the events of an NSRR annotation file, in its order; concepts that `EventName` has no name for are left out.

    A desaturation keeps its nadir and depth (`NadirSpO2`, `Desaturation`, in %) where the file gives them.

    Raises
    ------
    ScoringError
        Not such a file, or a time that is no number.
    """
    events = []
    for scored in _scored_events(path):
        name = None if scored.is_stage else event_name(scored.concept)
        if name is None:
            continue
        start_s = scored.seconds("Start")
        stop_s = start_s + (scored.seconds("Duration") if scored.text("Duration") else 0.0)
        if stop_s < start_s:
            raise ScoringError(f"{path}, {scored.where}: lasts {stop_s - start_s:g} s")
        extra = scored.depth() if name is EventName.DESATURATION else {}
        events.append(Event(start_s, stop_s, name.value, scored.text("SignalLocation"), "nsrr", extra))
    return tuple(events)


@dataclass(frozen=True)
class _Scored:
    """One ScoredEvent and its place in the file."""

    path: Path
    where: str
    element: ElementTree.Element

    @property
    def concept(self) -> str:
        return self.text("EventConcept")

    @property
    def is_stage(self) -> bool:
        return self.text("EventType").lower().startswith("stages")

    def text(self, tag: str) -> str:
        """Return an inner element's text, "" when there is none."""
        return (self.element.findtext(tag) or "").strip()

    def seconds(self, tag: str) -> float:
        """Return an inner element's number."""
        value = _number(self.text(tag))
        if value is None:
            raise ScoringError(f"{self.path}, {self.where}: {tag} {printable(self.text(tag))[:40]!r} is not a number")
        return value

    def depth(self) -> dict[str, float | str]:
        """Return nadir and depth of a desaturation, as far as they are given."""
        nadir, baseline = _number(self.text("SpO2Nadir")), _number(self.text("SpO2Baseline"))
        found: dict[str, float | str] = {}
        if nadir is not None:
            found["NadirSpO2"] = nadir
            if baseline is not None:
                found["Desaturation"] = baseline - nadir
        return found


class _NoDoctype(ElementTree.TreeBuilder):
    """Builds the tree of a document without a DOCTYPE: without one, no entity can be declared, inside or outside the file."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002 - expat's arguments
        raise ScoringError("declares a document type, which annotation files have no use for: it is not read")


def _scored_events(path: Path) -> Iterator[_Scored]:
    raw = read_raw(path)
    try:
        root = ElementTree.fromstring(raw, ElementTree.XMLParser(target=_NoDoctype()))
    except ScoringError as error:
        raise ScoringError(f"{path}: {error}") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: an encoding that nobody knows
        raise ScoringError(f"{path}: is not well-formed XML ({printable(str(error))}); copy it again") from None
    if root.tag != _ROOT:
        raise ScoringError(f"{path}: is not an NSRR annotation file: its root is {printable(root.tag)[:40]!r}, not {_ROOT!r}")
    for number, element in enumerate(root.iter("ScoredEvent"), start=1):
        yield _Scored(path, f"scored event {number}", element)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
