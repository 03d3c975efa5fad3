"""One door for scorings: which format a file has is seen from its content, never from its name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal

from sleepfm.errors import RequestError, ScoringError
from sleepfm.recording.scorings.edf_annotations import read_edf_events, read_edf_scoring, write_edf_scoring
from sleepfm.recording.scorings.events_csv import is_events_csv, read_events_csv
from sleepfm.recording.scorings.nsrr_xml import is_nsrr_xml, read_nsrr_events, read_nsrr_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.sleepfm_csv import is_sleepfm_csv, read_sleepfm_csv, write_sleepfm_csv
from sleepfm.recording.scorings.wfdb_annotations import is_wfdb_annotations, read_wfdb_events, read_wfdb_scoring

ScoringFormat = Literal["sleepfm", "edf", "nsrr", "wfdb"]
_HEAD_BYTES = 4096
_EDF_MAGIC = (b"0       ", b"\xffBIOSEMI")
_READERS: dict[ScoringFormat, Callable[..., Scoring]] = {
    "sleepfm": read_sleepfm_csv,
    "edf": read_edf_scoring,
    "nsrr": read_nsrr_scoring,
    "wfdb": read_wfdb_scoring,
}
_EVENT_READERS: dict[ScoringFormat, Callable[[Path], tuple[Event, ...]]] = {
    "edf": read_edf_events,
    "nsrr": read_nsrr_events,
    "wfdb": read_wfdb_events,
}


def detect_format(path: Path) -> ScoringFormat:
    """Return the format of a scoring file, judged by its content.

    Raises
    ------
    RequestError
        When there is no such file, or it is a folder or may not be read.
    ScoringError
        When it is none of the formats.
    """
    found = _format_of(path, _head(path))
    if found is None:
        raise ScoringError(
            f"{path} is not a scoring that can be read: give a CSV whose first line is Start,Stop,StageName,StageNumber, "
            "an EDF+ file with sleep stage annotations, an NSRR annotation file (XML) or a WFDB annotation file"
        )
    return found


def read_scoring(path: Path, *, duration_s: float | None = None) -> Scoring:
    """Read a scoring of any known format onto the 30-s grid that starts at the recording's start.

    Parameters
    ----------
    path
        The file.
    duration_s
        Length of the recording in seconds. Where it is given, the scoring gets exactly its whole epochs: what lies behind is
        clipped and said in the warnings, what nobody scored is Unknown.

    Raises
    ------
    ScoringError, RecordingError, RequestError
        One line that names the file, the place in it and the remedy.
    """
    return _READERS[detect_format(path)](path, duration_s=duration_s)


def read_events(path: Path) -> tuple[Event, ...]:
    """Read events of any known format; times in seconds from the recording's start.

    Returns
    -------
    tuple of Event
        What the file says that has one of the names of `EventName`.

    Raises
    ------
    ScoringError, RecordingError, RequestError
        One line that names the file, the place in it and the remedy; a scoring CSV holds stages only and is refused.
    """
    head = _head(path)
    if is_events_csv(head.decode("utf-8-sig", errors="replace")):
        return read_events_csv(path)
    found = _format_of(path, head)
    if found not in _EVENT_READERS:
        raise ScoringError(
            f"{path} holds no events that can be read: give a CSV whose first line is Start,Stop,Event,Channel,Source, "
            "an EDF+ file with annotations, an NSRR annotation file (XML) or a WFDB annotation file"
        )
    return _EVENT_READERS[found](path)


def write_scoring(scoring: Scoring, path: Path, *, to: ScoringFormat = "sleepfm", start: datetime | None = None) -> None:
    """Write a scoring, whole or not at all.

    Parameters
    ----------
    scoring
        The stages, and the probabilities where the format has a place for them (sleepfm).
    path
        The file to write.
    to
        "sleepfm" for the CSV, "edf" for an EDF+ file that holds only annotations.
    start
        The recording's start in local time (EDF+ only: a CSV counts from the start).
    """
    if to == "edf":
        write_edf_scoring(scoring, path, start=start)
    elif to == "sleepfm":
        write_sleepfm_csv(scoring, path)
    else:
        raise RequestError(f"{to!r} is not a scoring format that can be written: choose sleepfm or edf")


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
        return "edf"
    if is_sleepfm_csv(head.decode("utf-8-sig", errors="replace")):
        return "sleepfm"
    if is_nsrr_xml(head):
        return "nsrr"
    return "wfdb" if is_wfdb_annotations(path) else None
