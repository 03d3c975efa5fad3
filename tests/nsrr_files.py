"""NSRR annotation files for tests, in the published form: run-length encoded, times in seconds from the recording's start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

CONCEPTS = {
    "W": "Wake|0",
    "N1": "Stage 1 sleep|1",
    "N2": "Stage 2 sleep|2",
    "N3": "Stage 3 sleep|3",
    "S4": "Stage 4 sleep|4",
    "R": "REM sleep|5",
    "M": "Movement|6",
    "?": "Unscored|9",
}


def scored_event(kind: str, concept: str, start: object, duration: object, **further: object) -> str:
    """Return one ScoredEvent."""
    parts = {"EventType": kind, "EventConcept": concept, "Start": start, "Duration": duration, **further}
    inside = "".join(f"<{tag}>{escape(str(value))}</{tag}>" for tag, value in parts.items())
    return f"<ScoredEvent>{inside}</ScoredEvent>"


def nsrr_text(runs: Sequence[tuple[str, int]], events: Sequence[str] = (), *, duration_s: float | None = None) -> str:
    """Return a file of runs (key of CONCEPTS, epochs) and further events; `duration_s` is what it says of the recording."""
    scored, at = [], 0
    for key, epochs in runs:
        scored.append(scored_event("Stages|Stages", CONCEPTS[key], f"{30.0 * at:.1f}", f"{30.0 * epochs:.1f}"))
        at += epochs
    length = 30.0 * at if duration_s is None else duration_s
    first = scored_event("", "Recording Start Time", 0, length, ClockTime="00.00.00 22.30.00")
    body = "\n".join([first, *events, *scored])
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<PSGAnnotation><SoftwareVersion>Compumedics</SoftwareVersion>'
        f"<EpochLength>30</EpochLength>\n<ScoredEvents>\n{body}\n</ScoredEvents></PSGAnnotation>\n"
    )


def write_nsrr(path: Path, runs: Sequence[tuple[str, int]], events: Sequence[str] = (), **options: float) -> Path:
    """Write such a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nsrr_text(runs, events, **options), encoding="utf-8")
    return path
