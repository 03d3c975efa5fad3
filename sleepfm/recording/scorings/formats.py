"""One door for scorings: which format a file has is seen from its content, never from its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from sleepfm.errors import RequestError, ScoringError
from sleepfm.recording.scorings.bids_events import is_bids_events, read_bids_events, write_bids_events
from sleepfm.recording.scorings.clock import ANONYMOUS, shift_s
from sleepfm.recording.scorings.contents import Contents, Known, Mark, require_stretch
from sleepfm.recording.scorings.edf_annotations import NO_STAGES, is_nihon_kohden, read_edf, write_edf
from sleepfm.recording.scorings.epochs import moved, onto_epochs
from sleepfm.recording.scorings.events_csv import is_events_csv
from sleepfm.recording.scorings.luna_annot import is_luna_annot, read_luna_annot, write_luna_annot
from sleepfm.recording.scorings.luna_eannot import is_luna_eannot, read_luna_eannot, write_luna_eannot
from sleepfm.recording.scorings.noxturnal import is_noxturnal, read_noxturnal
from sleepfm.recording.scorings.nsrr_xml import ROOT as NSRR_ROOT
from sleepfm.recording.scorings.nsrr_xml import read_nsrr, write_nsrr
from sleepfm.recording.scorings.profusion_xml import ROOT as PROFUSION_ROOT
from sleepfm.recording.scorings.profusion_xml import read_profusion
from sleepfm.recording.scorings.remlogic import is_remlogic, read_remlogic
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.sleepfm_csv import is_sleepfm_csv, read_sleepfm_csv, write_sleepfm_csv
from sleepfm.recording.scorings.tables import decoded
from sleepfm.recording.scorings.usleep import NPY_MAGIC, is_usleep_table, read_usleep, write_usleep
from sleepfm.recording.scorings.wfdb_annotations import is_wfdb_annotations, read_wfdb
from sleepfm.recording.scorings.xml_tree import root_tag
from sleepfm.recording.scorings.yasa_files import is_yasa_table, is_yasa_text, read_yasa, write_yasa
from sleepfm.vocabulary import EventName, Stage

ScoringFormat = Literal[
    "sleepfm", "edf", "nsrr", "annot", "eannot", "usleep", "yasa", "bids",
    "profusion", "remlogic", "noxturnal", "nihonkohden", "wfdb",
]  # fmt: skip
READABLE: tuple[ScoringFormat, ...] = get_args(ScoringFormat)
WRITABLE: tuple[ScoringFormat, ...] = READABLE[:8]
FORMAT_NAMES: dict[ScoringFormat, str] = {
    "sleepfm": "SleepFM CSV",
    "edf": "EDF+ annotations",
    "nsrr": "NSRR XML",
    "annot": "Luna .annot",
    "eannot": "Luna .eannot",
    "usleep": "U-Sleep",
    "yasa": "YASA",
    "bids": "BIDS events.tsv",
    "profusion": "Profusion XML",
    "remlogic": "RemLogic text",
    "noxturnal": "Noxturnal CSV",
    "nihonkohden": "Nihon Kohden EDF+",
    "wfdb": "WFDB annotations",
}
"""What people call them."""
_HEAD_BYTES = 1 << 16
_EDF_MAGIC = (b"0       ", b"\xffBIOSEMI")
_MOST_NAMED = 5

_READERS: dict[ScoringFormat, Callable[[Path, Known], Contents]] = {
    "sleepfm": read_sleepfm_csv,
    "edf": read_edf,
    "nsrr": read_nsrr,
    "annot": read_luna_annot,
    "eannot": read_luna_eannot,
    "usleep": read_usleep,
    "yasa": read_yasa,
    "bids": read_bids_events,
    "profusion": read_profusion,
    "remlogic": read_remlogic,
    "noxturnal": read_noxturnal,
    "nihonkohden": read_edf,
    "wfdb": read_wfdb,
}
_TEXTS: tuple[tuple[ScoringFormat, Callable[[str], bool]], ...] = (
    ("sleepfm", is_sleepfm_csv),
    ("sleepfm", is_events_csv),
    ("usleep", is_usleep_table),
    ("bids", is_bids_events),
    ("yasa", is_yasa_table),
    ("noxturnal", is_noxturnal),
    ("remlogic", is_remlogic),
    ("annot", is_luna_annot),
    ("yasa", is_yasa_text),
    ("eannot", is_luna_eannot),
)
"""What a text file is judged by, the surest sign first."""
_NO_STAGES: dict[ScoringFormat, str] = {
    "edf": NO_STAGES,
    "nihonkohden": NO_STAGES,
    "nsrr": "no scored event is a sleep stage",
    "wfdb": "no annotation is a sleep stage (W, N1, N2, N3, R)",
}


@dataclass(frozen=True)
class ScoringFile:
    """What was read from a file.

    Attributes
    ----------
    format
        Which of the formats it has.
    scoring
        Its stages; None when it holds events only.
    events
        Its events within the recording, in seconds from the recording's start.
    warnings
        What was done to stages and events, each a sentence.
    """

    format: ScoringFormat
    scoring: Scoring | None
    events: tuple[Event, ...]
    warnings: tuple[str, ...]


def detect_format(path: Path) -> ScoringFormat:
    """Return the format of a scoring file, judged by its content.

    Raises
    ------
    RequestError
        When there is no such file, or it is a folder or may not be read.
    ScoringError
        When it is none of the formats.
    """
    head = _head(path)
    found = _format_of(path, head)
    if found is None:
        names = ", ".join(FORMAT_NAMES.values())
        raise ScoringError(f"{path} is not a scoring that can be read: none of {names}")
    return found


def read_file(
    path: Path,
    *,
    as_format: ScoringFormat | None = None,
    duration_s: float | None = None,
    start: datetime | None = None,
    codes: Mapping[int, Stage] | None = None,
) -> ScoringFile:
    """Read the stages and events of a file, laid over a recording.

    Parameters
    ----------
    path
        The file.
    as_format
        Its format, where somebody says it; else it is judged by the content.
    duration_s
        Length of the recording in seconds. Where it is given, the scoring gets exactly its whole epochs: what lies behind is
        clipped, what nobody scored is Unknown, events outside are left out; all of it is said in the warnings.
    start
        The recording's start in local time. A file that says when it began is laid over the recording by it.
    codes
        What a file's integers mean, for those whose format does not fix it.

    Raises
    ------
    CodesNeededError
        Integers whose meaning nobody said; it has their counts.
    ScoringError, RecordingError, RequestError
        One line that names the file, the place in it and the remedy.
    """
    found = detect_format(path) if as_format is None else as_format
    if as_format is not None:
        _head(path)  # a missing file is a wrong request, whatever the reader would say
    known = Known(duration_s=duration_s, start=start, codes=codes, stated=as_format is not None)
    with _naming(path):
        contents = _READERS[found](path, known)
        by_s, said = shift_s(contents, start, duration_s)
        length_s = duration_s if duration_s is not None else contents.duration_s
        scoring = _scoring(contents, by_s, said, length_s, start)
        events, left_out = _within(contents.marks, by_s, length_s)
    warnings = scoring.warnings if scoring is not None else (*contents.warnings, *said)
    if codes is not None and found not in _CODED:
        left_out = [f"the codes that were given are not needed: {FORMAT_NAMES[found]} says what its stages are", *left_out]
    return ScoringFile(found, scoring, events, (*warnings, *left_out))


def read_scoring(
    path: Path,
    *,
    as_format: ScoringFormat | None = None,
    duration_s: float | None = None,
    start: datetime | None = None,
    codes: Mapping[int, Stage] | None = None,
) -> Scoring:
    """Read a scoring of any known format onto the 30-s grid that starts at the recording's start.

    Parameters and errors are those of `read_file`; a file without stages is a ScoringError.
    """
    file = read_file(path, as_format=as_format, duration_s=duration_s, start=start, codes=codes)
    if file.scoring is None:
        raise ScoringError(f"{path}: {_NO_STAGES.get(file.format, 'holds no sleep stages')}")
    return file.scoring


def read_events(path: Path, *, start: datetime | None = None, duration_s: float | None = None) -> tuple[Event, ...]:
    """Read events of any known format; times in seconds from the recording's start.

    Returns
    -------
    tuple of Event
        What the file says that has one of the names of `EventName`.

    Raises
    ------
    ScoringError, RecordingError, RequestError
        One line that names the file, the place in it and the remedy; a format that holds stages only is refused.
    """
    found = detect_format(path)
    if found in _STAGES_ONLY and not is_events_csv(decoded(_head(path))):
        raise ScoringError(f"{path} holds no events that can be read: {FORMAT_NAMES[found]} is a format of stages only")
    with _naming(path):
        contents = _READERS[found](path, Known(duration_s=duration_s, start=start))
        by_s, _ = shift_s(contents, start, duration_s)
    return _within(contents.marks, by_s, duration_s)[0]


def write_scoring(
    scoring: Scoring,
    path: Path,
    *,
    to: ScoringFormat = "sleepfm",
    start: datetime | None = None,
    events: Sequence[Event] = (),
) -> tuple[str, ...]:
    """Write a scoring and its events, whole or not at all.

    Parameters
    ----------
    scoring
        The stages, and the probabilities where the format has a place for them.
    path
        The file to write. Two formats have two forms, and its suffix says which: U-Sleep `.tsv` or `.npy`, YASA `.txt` or `.csv`.
    to
        One of `WRITABLE`.
    start
        The recording's start in local time, for the formats that hold it (EDF+, NSRR XML).
    events
        In seconds from the recording's start.

    Returns
    -------
    tuple of str
        What is not in the file because the format has no place for it, each a sentence.

    Raises
    ------
    RequestError
        When the format cannot be written.
    ScoringError
        An event has an unknown name, or its times are none.
    """
    listed = tuple(events)
    for number, event in enumerate(listed, start=1):
        if event.name not in tuple(EventName):
            raise ScoringError(f"{path}: event {number}: {event.name[:40]!r} is none of the events {', '.join(EventName)}")
        require_stretch(event.name, event.start_s, event.stop_s, f"{path}: event {number}")
    if to == "sleepfm":
        return tuple(write_sleepfm_csv(scoring, path, events=listed))
    if to == "edf":
        return tuple(write_edf(scoring, path, start=start, events=listed))
    if to == "nsrr":
        return tuple(write_nsrr(scoring, path, start=start, events=listed))
    writer = _WRITERS.get(to)
    if writer is None:
        raise RequestError(f"{to!r} is not a scoring format that can be written: choose one of {', '.join(WRITABLE)}")
    return tuple(writer(scoring, path, events=listed))


_WRITERS: dict[ScoringFormat, Callable[..., list[str]]] = {
    "annot": write_luna_annot,
    "eannot": write_luna_eannot,
    "usleep": write_usleep,
    "yasa": write_yasa,
    "bids": write_bids_events,
}
_STAGES_ONLY: frozenset[ScoringFormat] = frozenset({"sleepfm", "eannot", "usleep", "yasa"})
_CODED: frozenset[ScoringFormat] = frozenset({"usleep", "yasa", "bids"})
_PLACES = ("line ", "row ", "annotation ")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before a message that names only the place in it."""
    try:
        yield
    except ScoringError as error:
        message = str(error)
        if message.startswith(str(path)):
            raise
        raise ScoringError(f"{path}, {message}" if message.startswith(_PLACES) else f"{path}: {message}") from None


def _scoring(contents: Contents, by_s: float, said: list[str], length_s: float | None, start: datetime | None) -> Scoring | None:
    """Lay the stages over the recording; None when there are none."""
    if not contents.stretches:
        return None
    stretches = moved(contents.stretches, by_s, said)
    if not stretches or (length_s is not None and min(one.start_s for one in stretches) >= max(length_s, 1.0)):
        raise ScoringError(
            f"none of its {len(contents.stretches)} stages lies within the recording: it is of another night, or of another file"
        )
    scoring = onto_epochs(stretches, duration_s=length_s, scorer="", warnings=[*contents.warnings, *said])
    begins = start
    if start is None and contents.begins is not None:
        begins = contents.begins - timedelta(seconds=by_s)
        begins = begins if contents.dated else datetime.combine(ANONYMOUS, begins.time())
    return replace(scoring, start=begins)


def _within(marks: tuple[Mark, ...], by_s: float, length_s: float | None) -> tuple[tuple[Event, ...], list[str]]:
    """Move events in time; leave out those outside the recording and cut those that reach beyond it, naming their places."""
    events, outside, cut = [], [], []
    for mark in marks:
        event = mark.event
        start_s, stop_s = event.start_s + by_s, event.stop_s + by_s
        if stop_s < 0 or (length_s is not None and (start_s > length_s or (start_s == length_s and stop_s > start_s))):
            outside.append(mark)
            continue
        within = (max(start_s, 0.0), stop_s if length_s is None else min(stop_s, length_s))
        if within != (start_s, stop_s):
            cut.append(mark)
        events.append(event if within == (event.start_s, event.stop_s) else replace(event, start_s=within[0], stop_s=within[1]))
    said = []
    if outside:
        said.append(f"{len(outside)} event(s) outside the recording were left out: {_named(outside, by_s)}")
    if cut:
        said.append(f"{len(cut)} event(s) that reach beyond the recording were cut there: {_named(cut, by_s)}")
    return tuple(events), said


def _named(marks: list[Mark], by_s: float) -> str:
    named = ", ".join(f"{mark.event.name} at {mark.event.start_s + by_s:g} s ({mark.where})" for mark in marks[:_MOST_NAMED])
    return named + (f" and {len(marks) - _MOST_NAMED} more" if len(marks) > _MOST_NAMED else "")


def unusual(scoring: Scoring) -> list[str]:
    """Return what a person should look at before believing a whole night's scoring: no sleep in it, or no REM, or nothing."""
    known = scoring.stages[scoring.stages != Stage.UNKNOWN]
    if not known.size:
        return ["no epoch has a stage: all are Unknown"]
    if not np.any(known != Stage.WAKE):
        return ["no epoch is scored as sleep"]
    return [] if np.any(known == Stage.REM) else ["no epoch is scored as REM"]


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise RequestError(f"{path} is a folder: give a scoring file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise ScoringError(f"{path} is empty")
    return head


def _format_of(path: Path, head: bytes) -> ScoringFormat | None:
    if head.startswith(_EDF_MAGIC):
        return "nihonkohden" if is_nihon_kohden(head) else "edf"
    if head.startswith(NPY_MAGIC):
        return "usleep"
    root = root_tag(head)
    if root is not None:
        return {NSRR_ROOT: "nsrr", PROFUSION_ROOT: "profusion"}.get(root)  # type: ignore[return-value]
    text = decoded(head, cut=len(head) == _HEAD_BYTES)
    if "\x00" not in text:
        found = next((name for name, fits in _TEXTS if fits(text)), None)
        if found is not None:
            return found
    return "wfdb" if is_wfdb_annotations(path) else None
