"""The header of a WFDB record (`<name>.hea`): text that says which files hold the samples, and how.

Layout: header(5) of the WFDB Applications Guide, https://physionet.org/physiotools/wag/header-5.htm. The file comes from
anybody, so its numbers are checked before they are believed, and it may name files of its own folder only.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording._fields import read_text
from sleepfm.recording._header import LEAST_HZ, LONGEST_S, MOST_HZ, MOST_SIGNALS
from sleepfm.recording._signal_header import SignalHeader
from sleepfm.recording._wfdb_samples import FORMATS, SampleFormat
from sleepfm.text import printable

SUFFIX = ".hea"
DEFAULT_HZ = 250.0
"""Sampling frequency of a record whose header leaves it out, header(5)."""
MOST_BYTES = 1 << 20
"""The longest header that is read; real ones have a few kilobytes."""
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_FREQUENCY = re.compile(rf"({_NUMBER})(?:/{_NUMBER}(?:\({_NUMBER}\))?)?")
_FORMAT = re.compile(r"(\d{1,4})(?:x(\d{1,7}))?(?::(\d{1,9}))?(?:\+(\d{1,15}))?")
_GAIN = re.compile(rf"({_NUMBER})(?:\((-?\d{{1,10}})\))?(?:/(\S+))?")
_CLOCK = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,6})?")
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_NULL_SIGNAL = "~"


@dataclass(frozen=True)
class WfdbSignal:
    """One signal line: where its samples lie, and what they mean (`header.samples` of them in every frame)."""

    index: int
    file: str
    format: SampleFormat
    byte_offset: int
    header: SignalHeader


@dataclass(frozen=True)
class WfdbHeader:
    """A record's header; `n_frames` is None where the header leaves it to the signal files' sizes."""

    frames_hz: float
    n_frames: int | None
    start: datetime | None
    comments: tuple[str, ...]
    signals: tuple[WfdbSignal, ...]
    problems: tuple[str, ...]

    def files(self) -> dict[str, list[WfdbSignal]]:
        """Return the signals by file, both in the header's order."""
        by_file: dict[str, list[WfdbSignal]] = {}
        for signal in self.signals:
            by_file.setdefault(signal.file, []).append(signal)
        return by_file


def is_wfdb_header(path: Path) -> bool:
    """Whether a file is a WFDB header, by its name: the format asks for it, and its first line could be any text's."""
    return path.suffix.lower() == SUFFIX


def read_wfdb_header(path: Path) -> WfdbHeader:
    """Read a header file.

    Raises
    ------
    RequestError
        There is no such file, or it is a folder.
    RecordingError
        It is no WFDB header, or one that cannot be trusted: numbers out of range, a signal file outside its folder, several
        segments, a sample format that is not read. One line says which.
    """
    return parse_wfdb_header(_content(path), path)


def parse_wfdb_header(raw: bytes, path: Path) -> WfdbHeader:
    """Do the same with a header file's content, of which a byte more than `MOST_BYTES` is enough."""
    comments, lines = _lines(raw, path)
    if not lines:
        raise RecordingError(f"{path}: is not a WFDB header: it has no record line.")
    problems: list[str] = []
    frames_hz, n_signals, n_frames, start = _record_line(lines[0], path, problems)
    if len(lines) - 1 != n_signals:
        raise RecordingError(
            f"{path}: its first line announces {n_signals} signals, {len(lines) - 1} are described; copy the header again."
        )
    found = [_signal_line(line, index, path, problems) for index, line in enumerate(lines[1:])]
    header = WfdbHeader(frames_hz, n_frames, start, comments, tuple(one for one in found if one), tuple(problems))
    _check_files(header, path)
    return header


def signal_fields(raw: bytes, path: Path) -> list[list[str]]:
    """Return the fields of each signal line of a header that `parse_wfdb_header` takes, as they are written."""
    return [line.split(maxsplit=8) for line in _lines(raw, path)[1][1:]]


def wfdb_files(path: Path) -> tuple[Path, ...]:
    """Return the files that make up a record: the header, then its signal files, in the header's order."""
    return (path, *(path.parent / name for name in read_wfdb_header(path).files()))


def _content(path: Path) -> bytes:
    """Return a header file's bytes, one more than there may be when there are too many."""
    try:
        if path.is_dir():
            raise RequestError(f"{path}: is a folder; name a recording in it.")
        if not path.is_file():
            raise RequestError(f"{path}: there is no such file; check the path.")
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk.") from None


def _lines(raw: bytes, path: Path) -> tuple[tuple[str, ...], list[str]]:
    """Return comments and the other lines of a header."""
    if len(raw) > MOST_BYTES or b"\x00" in raw:
        raise RecordingError(f"{path}: is not a WFDB header: it is {'too long' if len(raw) > MOST_BYTES else 'binary'}.")
    text = [read_text(line)[0] for line in raw.splitlines()]
    comments = tuple(line.lstrip("# \t") for line in text if line.startswith("#"))
    return comments, [line for line in text if line and not line.startswith("#")]


def _record_line(line: str, path: Path, problems: list[str]) -> tuple[float, int, int | None, datetime | None]:
    """Return frames a second, number of signals, number of frames if stated, and the start."""
    name, *fields = line.split()
    if "/" in name:
        raise RecordingError(f"{path}: is a WFDB record of several segments, which is not read; open its segments one by one.")
    if not fields or re.fullmatch(r"\d{1,15}", fields[0], re.ASCII) is None:
        raise RecordingError(f"{path}: is not a WFDB header: its first line says no number of signals.")
    n_signals = int(fields[0])
    if not 1 <= n_signals <= MOST_SIGNALS:
        raise RecordingError(f"{path}: a record of {n_signals} signals is not a recording; export it again.")
    frames_hz = DEFAULT_HZ
    if len(fields) > 1:
        found = _FREQUENCY.fullmatch(fields[1])
        frames_hz = float(found[1]) if found else math.nan
        if not LEAST_HZ <= frames_hz <= MOST_HZ:
            raise RecordingError(f"{path}: {printable(fields[1])[:40]} is no sampling frequency; export the record again.")
    else:
        problems.append(f"The header states no sampling frequency; {DEFAULT_HZ:g} Hz are assumed, as the format asks.")
    n_frames = None
    if len(fields) > 2:
        if re.fullmatch(r"\d{1,15}", fields[2], re.ASCII) is None or int(fields[2]) / frames_hz > LONGEST_S:
            raise RecordingError(
                f"{path}: {printable(fields[2])[:40]} samples a signal cannot be right; export the record again."
            )
        n_frames = int(fields[2]) or None
    return frames_hz, n_signals, n_frames, _start(fields[3:], problems)


def _start(fields: list[str], problems: list[str]) -> datetime | None:
    if not fields:
        return None
    clock = _CLOCK.fullmatch(fields[0])
    day = _DATE.fullmatch(fields[1]) if len(fields) > 1 else None
    try:
        if clock is None or (len(fields) > 1 and day is None):
            raise ValueError
        hour, minute, second = (int(clock[k]) for k in (1, 2, 3))
        if day is None:
            problems.append("The header gives a start time but no date, so the recording has no clock time.")
            return None
        start = datetime(int(day[3]), int(day[2]), int(day[1]), hour, minute, second)
        return start + timedelta(seconds=float(clock[4] or 0))
    except ValueError:
        written = printable(" ".join(fields[:2]))[:40]
        problems.append(f"The start {written!r} is not a time and date, so the recording has no clock time.")
        return None


def _signal_line(line: str, index: int, path: Path, problems: list[str]) -> WfdbSignal | None:
    """Return one signal, None for a null signal (nothing is stored of it)."""
    fields = line.split(maxsplit=8)
    if len(fields) < 2:
        raise RecordingError(f"{path}: the line of signal {index} is cut; copy the header again.")
    file, stored = fields[:2]
    if file == _NULL_SIGNAL or stored == "0":
        problems.append(f"Signal {index} has no samples and is left out.")
        return None
    _check_name(file, path)
    found = _FORMAT.fullmatch(stored)
    if found is None or found[1] not in FORMATS:
        raise RecordingError(
            f"{path}: {printable(file)} is in WFDB format {printable(stored)[:20]}; read are {', '.join(FORMATS)}."
            " Convert it (xform of the WFDB software, or an EDF export)."
        )
    layout = FORMATS[found[1]]
    own: list[str] = []
    if int(found[3] or 0):
        own.append(f"The samples are stored {found[3]} frames late (skew); they are not moved back.")
    gain, baseline, unit, written = _scale(fields, own)
    low, high = _limits(fields, layout, own)
    label = fields[8].strip() if len(fields) > 8 else ""
    if not label:
        own.append("The label is empty.")
    meaning = SignalHeader(
        label=label,
        transducer="",
        dimension=unit,
        written_dimension=written,
        prefilter="",
        gain=gain,
        offset=-baseline * gain,
        digital_min=low,
        digital_max=high,
        samples=int(found[2] or 1),
        problems=tuple(own),
    )
    return WfdbSignal(index, file, layout, int(found[4] or 0), meaning)


def _scale(fields: list[str], problems: list[str]) -> tuple[float, int, str, str]:
    """Return gain (units a digital step), baseline (digital value of 0), unit, and the unit as written.

    A signal without a gain, or of gain 0, is uncalibrated, header(5).
    """
    zero = _integer(fields, 4)
    found = _GAIN.fullmatch(fields[2]) if len(fields) > 2 else None
    steps = float(found[1]) if found else 0.0
    written = (found[3] or "mV") if found else ""
    if not steps or not 1e-30 < abs(steps) < 1e30:
        problems.append("The header gives no usable gain, so values are digital steps without a unit.")
        return 1.0, 0, "", written
    baseline = int(found[2]) if found and found[2] else zero
    return 1.0 / steps, baseline, written, written


def _limits(fields: list[str], layout: SampleFormat, problems: list[str]) -> tuple[int, int]:
    """Return the converter's limits: those of its resolution, or of the sample format where none is stated."""
    bits, zero = _integer(fields, 3), _integer(fields, 4)
    if not 0 <= bits <= 32:
        problems.append(f"A converter of {bits} bits cannot be; the limits of the sample format are taken.")
        bits = 0
    if not bits:
        return layout.lowest, layout.highest
    return max(layout.lowest, zero - (1 << (bits - 1))), min(layout.highest, zero + (1 << (bits - 1)) - 1)


def _integer(fields: list[str], column: int) -> int:
    text = fields[column] if len(fields) > column else "0"
    return int(text) if re.fullmatch(r"[-+]?\d{1,10}", text, re.ASCII) else 0


def _check_name(file: str, path: Path) -> None:
    """Refuse what is not the name of a file in the header's own folder."""
    bare = PurePosixPath(file).name == file and PureWindowsPath(file).name == file
    if not bare or file in {".", "..", "-"} or printable(file) != file:
        raise RecordingError(f"{path}: names {printable(file)[:80]!r} as signal file; only files beside the header are read.")


def _check_files(header: WfdbHeader, path: Path) -> None:
    """Refuse a header whose signals of one file contradict each other, or that asks for too many samples a second."""
    if not header.signals:
        raise RecordingError(f"{path}: describes signals of which nothing is stored; choose another record.")
    for file, signals in header.files().items():
        indices = [signal.index for signal in signals]
        if indices != list(range(indices[0], indices[0] + len(indices))):
            raise RecordingError(f"{path}: the signals of {file} do not stand together; copy the header again.")
        if len({(signal.format.name, signal.byte_offset) for signal in signals}) > 1:
            raise RecordingError(f"{path}: the signals of {file} are given different formats; copy the header again.")
    if not all(one.header.samples >= 1 and one.header.samples * header.frames_hz <= MOST_HZ for one in header.signals):
        raise RecordingError(f"{path}: its samples a frame make no sampling rate; export the record again.")
