"""Stages and events as WFDB annotations, the way the PhysioNet/CinC Challenge 2018 gives them (`<record>.arousal`).

A stage is a note ("W", "N1", "N2", "N3", "R") where it begins; an event lies between the notes "(resp_hypopnea" and
"resp_hypopnea)". Layout: annot(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/annot-5.htm. The bytes
are read here and not by the wfdb package, whose reader hangs or fails without a word on damaged files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.recording._wfdb_header import SUFFIX, read_wfdb_header
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.edf_annotations import STAGE_TEXTS, stages_from_annotations
from sleepfm.recording.scorings.event_texts import event_name, events_from_annotations
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.sleepfm_csv import stage_from_name
from sleepfm.recording.scorings.tables import read_raw
from sleepfm.vocabulary import Stage

_SKIP, _NUM, _SUB, _CHN, _AUX = range(59, 64)
_LAST_TYPE = 49
"""Annotation types end here (ecgcodes of annot(5)); above are the five instructions, between them nothing."""
_MOST_SAMPLES = 1 << 40
_MOST_BYTES = 8 << 20
"""A hundred times what a night's scoring takes."""
_RESOLUTION = re.compile(r"## time resolution: (\d+(?:\.\d+)?)")
_DEFINITION = "## "
_UNDEFINED = {"u", "undefined"}


@dataclass(frozen=True)
class _Mark:
    """One annotation: its time in samples, and its text ("" for a beat or another bare symbol)."""

    sample: int
    text: str


def is_wfdb_annotations(path: Path) -> bool:
    """Whether a file is a WFDB annotation file from its first word to its end mark."""
    try:
        _marks(path)
    except ScoringError:
        return False
    return True


def read_wfdb_scoring(path: Path, *, duration_s: float | None = None) -> Scoring:
    """Read the stages of a WFDB annotation file onto the 30-s grid.

    A stage lasts until the next one, the last one until the end of the recording. What lies before the first stage, and a
    note that is neither a stage nor an event, is Unknown.

    Parameters
    ----------
    path
        The file.
    duration_s
        Length of the recording in seconds; without it, that of the header beside the file (`<record>.hea`), if there is one.

    Raises
    ------
    ScoringError
        Damaged, without a time resolution, or without stages.
    RecordingError
        The header beside it is needed and cannot be read.
    """
    marks = _marks(path)
    rate_hz, header_s = _time_base(path, marks, with_duration=duration_s is None)
    duration_s = header_s if duration_s is None else duration_s
    staged = [(mark.sample / rate_hz, _stage_text(mark.text)) for mark in marks if _is_note(mark.text)]
    if not any(text in STAGE_TEXTS.values() for _, text in staged):
        raise ScoringError(f"{path}: no annotation is a sleep stage (W, N1, N2, N3, R)")
    last_s = staged[-1][0]
    until_end = duration_s - last_s if duration_s is not None and duration_s > last_s else None
    annotations = [Annotation(onset_s, None, text) for onset_s, text in staged[:-1]]
    annotations.append(Annotation(last_s, until_end, staged[-1][1]))
    try:
        return stages_from_annotations(tuple(annotations), duration_s=duration_s)
    except ScoringError as error:
        raise ScoringError(f"{path}: {error}") from None


def read_wfdb_events(path: Path) -> tuple[Event, ...]:
    """Read the events of a WFDB annotation file, in order of onset; what begins and never ends is a point in time.

    Raises
    ------
    ScoringError
        Damaged, or without a time resolution.
    RecordingError
        The header beside it is needed and cannot be read.
    """
    marks = _marks(path)
    rate_hz, _ = _time_base(path, marks, with_duration=False)
    found: list[Annotation] = []
    begun: defaultdict[str, list[int]] = defaultdict(list)
    for mark in marks:
        name = mark.text.strip("()").replace("_", " ")
        if mark.text.startswith("("):
            begun[name].append(mark.sample)
        elif mark.text.endswith(")"):
            begin = begun[name].pop(0) if begun[name] else mark.sample
            found.append(Annotation(begin / rate_hz, (mark.sample - begin) / rate_hz, name))
        elif event_name(name):
            found.append(Annotation(mark.sample / rate_hz, None, name))
    found += [Annotation(sample / rate_hz, None, name) for name, samples in begun.items() for sample in samples]
    return events_from_annotations(sorted(found, key=lambda one: one.onset_s), source="wfdb")


def _is_note(text: str) -> bool:
    """Whether a text can be a stage: no definition, no begin or end of an event, no event at one moment."""
    return bool(text) and not (text.startswith(("(", _DEFINITION)) or text.endswith(")") or event_name(text.replace("_", " ")))


def _stage_text(text: str) -> str:
    """Return the standard text of the stage that a note means; another note becomes one that nobody knows, so Unknown."""
    if text.strip().lower() in _UNDEFINED:
        return STAGE_TEXTS[Stage.UNKNOWN]
    stage = stage_from_name(text)
    return f"Sleep stage {'_'.join(text.split())}" if stage is None else STAGE_TEXTS[stage]


def _time_base(path: Path, marks: list[_Mark], *, with_duration: bool) -> tuple[float, float | None]:
    """Return samples a second, and the recording's length in seconds where it is asked for and known."""
    stated = next((found for mark in marks if (found := _RESOLUTION.match(mark.text))), None)
    rate_hz = float(stated[1]) if stated else 0.0
    beside = path.with_suffix(SUFFIX)
    if (not rate_hz or with_duration) and beside.is_file():
        header = read_wfdb_header(beside)
        duration_s = None if header.n_frames is None else header.n_frames / header.frames_hz
        return rate_hz or header.frames_hz, duration_s
    if not rate_hz:
        raise ScoringError(f"{path}: does not say its time resolution; put the record's header {beside.name} beside it")
    return rate_hz, None


def _marks(path: Path) -> list[_Mark]:
    """Return the annotations of a file in its order."""
    raw = read_raw(path)
    marks: list[_Mark] = []
    at = sample = 0
    while at + 2 <= len(raw) <= _MOST_BYTES:
        kind, value = divmod(int.from_bytes(raw[at : at + 2], "little"), 1024)
        at += 2
        if kind == 0 and value == 0:
            if at < len(raw):
                break  # the end mark is the end
            return marks
        if kind == _SKIP:
            high, low = (int.from_bytes(raw[at + k : at + k + 2], "little") for k in (0, 2))  # PDP-11 order
            sample += ((high << 16 | low) ^ (1 << 31)) - (1 << 31)
            at += 4
        elif kind == _AUX:
            if marks:
                text = raw[at : at + value].split(b"\x00", 1)[0].decode("utf-8", errors="replace").strip()
                marks[-1] = _Mark(marks[-1].sample, text)
            at += value + value % 2
        elif kind in (_NUM, _SUB, _CHN):
            continue
        elif kind > _LAST_TYPE:
            break
        else:
            sample += value
            if not 0 <= sample <= _MOST_SAMPLES:
                break
            if kind:  # type 0 only moves the time on
                marks.append(_Mark(sample, ""))
    raise ScoringError(f"{path}: is cut off or no file of WFDB annotations; copy it again")
