"""The header of an EDF, EDF+, BDF or BDF+ file, read tolerantly: what can be recovered is, each recovery becomes a problem.

Layout: Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi's BDF (the same with 24-bit samples).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from sleepfm.errors import RecordingError
from sleepfm.recording._fields import read_integer, read_number, read_text
from sleepfm.recording._signal_header import SIGNAL_BYTES, SignalHeader, read_signal, split_table
from sleepfm.recording._start_time import read_start

FIXED_BYTES = 256
MOST_SIGNALS = 9999
"""The signal count has 4 characters."""
LONGEST_S = 31 * 86400
"""No sleep study lasts a month; beyond it a time axis comes from garbage and would not fit in memory."""
LEAST_HZ, MOST_HZ = 0.01, 10**6
"""No sleep recorder is as slow with all its signals, or as fast with one."""
_OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip-compressed file; unpack it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"<?xml": "an XML file (perhaps a scoring)",
}
LINE_BREAKS_CHANGED = (
    "its bytes were changed by a text-mode transfer (CRLF/LF line-break conversion), so the signals are destroyed; "
    "copy the original again in binary mode"
)


@dataclass(frozen=True)
class Header:
    """A file's header with everything the reader needs; `n_records` is what the file really holds."""

    format: str
    sample_bytes: int
    patient: str
    recording: str
    start: datetime | None
    data_offset: int
    declared_records: int
    n_records: int
    spare_bytes: int
    """Bytes after the last whole record."""
    record_s: Fraction
    signals: tuple[SignalHeader, ...]
    problems: tuple[str, ...]

    @cached_property
    def record_bytes(self) -> int:
        """Bytes of one data record."""
        return sum(signal.samples for signal in self.signals) * self.sample_bytes

    @cached_property
    def signal_starts(self) -> tuple[int, ...]:
        """Byte offsets of each signal within a record and, last, the record's length."""
        return tuple(accumulate((signal.samples * self.sample_bytes for signal in self.signals), initial=0))

    @property
    def discontinuous(self) -> bool:
        """Whether the file says that its records are not contiguous."""
        return self.format.endswith("D")


def parse_header(read: Callable[[int, int], bytes], size: int, name: str) -> Header:
    """Parse the header.

    Parameters
    ----------
    read
        Called as read(offset, length); returns fewer bytes at the end of the file.
    size
        Length of the file in bytes.
    name
        The file's name for messages.

    Raises
    ------
    RecordingError
        Not an EDF or BDF file, or a header too damaged to know where the samples are.
    """
    fixed = read(0, FIXED_BYTES)
    base, sample_bytes, problems = _version(fixed, name)
    n_signals, header_bytes = _signal_count(fixed, read, size, name, problems)
    table_bytes = FIXED_BYTES + SIGNAL_BYTES * n_signals
    columns = split_table(read(FIXED_BYTES, SIGNAL_BYTES * n_signals), n_signals)
    declared, oddity = read_integer(fixed[236:244])
    if declared is None or declared < -1:
        problems.append(f"The number of data records {oddity or 'is negative'}; it is counted from the file's size.")
        declared = -1
    samples = _samples(
        columns["samples"], name, problems, record_size=(size - table_bytes) / declared / sample_bytes if declared > 0 else None
    )
    signals = tuple(read_signal(columns, index, samples[index], sample_bytes) for index in range(n_signals))
    record_bytes = sum(samples) * sample_bytes
    offset = _data_offset(header_bytes, table_bytes, problems, size=size, declared=declared, record_bytes=record_bytes)
    n_records, spare = divmod(max(size - offset, 0), record_bytes) if record_bytes else (0, 0)
    record_s = _record_duration(fixed[244:252], signals, n_records, problems)
    texts = [read_text(fixed[slice(*bounds)])[0] for bounds in ((8, 88), (88, 168), (168, 176), (176, 184), (192, 236))]
    patient, recording, date_field, time_field, reserved = texts
    start, start_problems = read_start(date_field, time_field, recording)
    return Header(
        format=_format(base, reserved),
        sample_bytes=sample_bytes,
        patient=patient,
        recording=recording,
        start=start,
        data_offset=offset,
        declared_records=declared,
        n_records=n_records,
        spare_bytes=spare,
        record_s=record_s,
        signals=signals,
        problems=(*problems, *start_problems, *_count_problems(declared, n_records, spare, record_bytes)),
    )


def _version(fixed: bytes, name: str) -> tuple[str, int, list[str]]:
    version = fixed[:8]
    for magic, words in _OTHER_FORMATS.items():
        if version.startswith(magic):
            raise RecordingError(f"{name}: is not an EDF or BDF file but {words}.")
    if len(fixed) < FIXED_BYTES:
        raise RecordingError(f"{name}: is not an EDF or BDF file: it has {len(fixed)} bytes and an EDF header has at least 256.")
    if version[1:8] == b"BIOSEMI":
        return "BDF", 3, [] if version[0] == 0xFF else ["The first byte of the BDF version field is not 255."]
    if version.strip(b" \x00") == b"0":
        return "EDF", 2, []
    n_signals, header_bytes = read_integer(fixed[252:256])[0], read_integer(fixed[184:192])[0]
    if not n_signals or header_bytes != FIXED_BYTES + SIGNAL_BYTES * n_signals:
        if b"BIOSEMI" in fixed[:16] or (b"\n" in fixed and version.startswith(b"0 ")):
            raise RecordingError(f"{name}: {LINE_BREAKS_CHANGED}.")
        raise RecordingError(
            f"{name}: is not an EDF or BDF file (it does not begin with an EDF version); choose the lab's EDF export."
        )
    return "EDF", 2, [f"The version field is {read_text(version)[0]!r}, not '0'; the file is read as EDF."]


def _signal_count(
    fixed: bytes, read: Callable[[int, int], bytes], size: int, name: str, problems: list[str]
) -> tuple[int, int | None]:
    """Return the number of signals and the header length that the file claims."""
    counted, _ = read_integer(fixed[252:256])
    header_bytes, _ = read_integer(fixed[184:192])
    candidates = []
    if counted is not None and 0 <= counted <= MOST_SIGNALS:
        candidates.append(counted)
    if header_bytes is not None and header_bytes >= FIXED_BYTES and header_bytes % SIGNAL_BYTES == 0:
        from_length = header_bytes // SIGNAL_BYTES - 1
        if from_length <= MOST_SIGNALS and from_length not in candidates:
            candidates.append(from_length)
    fitting = [count for count in candidates if FIXED_BYTES + SIGNAL_BYTES * count <= size]
    if not fitting:
        if b"\n" in fixed or b"\r" in fixed:
            raise RecordingError(f"{name}: its header fields are shifted; {LINE_BREAKS_CHANGED}.")
        if candidates:
            needed = FIXED_BYTES + SIGNAL_BYTES * candidates[0]
            raise RecordingError(
                f"{name}: is cut off within its header ({size} of {needed} header bytes are there); copy the recording again."
            )
        raise RecordingError(f"{name}: the number of signals in the header is unreadable; export the recording again.")

    def readable(count: int) -> float:
        columns = split_table(read(FIXED_BYTES, SIGNAL_BYTES * count), count)
        fields = [raw for column in ("physical_min", "digital_min", "digital_max", "samples") for raw in columns[column]]
        return sum(not read_number(raw)[1] for raw in fields) / len(fields) if fields else 0.0

    best = fitting[0] if len(fitting) == 1 else max(fitting, key=readable)
    if counted != best:
        problems.append(f"The number of signals in the header is unreadable or wrong; {best} are read, as its length says.")
    return best, header_bytes


def _samples(column: list[bytes], name: str, problems: list[str], *, record_size: float | None) -> list[int]:
    """Return samples per record of every signal; one unreadable count follows from the record's size in samples, if known."""
    counts = [read_integer(raw)[0] for raw in column]
    known = [count for count in counts if count is not None and count >= 0]
    if len(known) < len(counts):
        first = next(index for index, count in enumerate(counts) if count is None or count < 0)
        missing = 0 if record_size is None or not record_size.is_integer() else int(record_size) - sum(known)
        if len(known) < len(counts) - 1 or missing <= 0:
            oddity = read_integer(column[first])[1] or "is negative"
            raise RecordingError(f"{name}: the number of samples of signal {first} {oddity}, so its samples cannot be found.")
        counts[first] = missing
        problems.append(f"The number of samples of signal {first} is unreadable; the file's size gives {missing}.")
    return [count or 0 for count in counts]


def _record_duration(field: bytes, signals: tuple[SignalHeader, ...], n_records: int, problems: list[str]) -> Fraction:
    number, oddity = read_number(field)
    most_samples = max((signal.samples for signal in signals if not signal.is_annotation), default=0)
    if not most_samples:
        return Fraction(number) if number is not None and 0 <= number <= LONGEST_S else Fraction(0)
    if number is None or number <= 0 or number * n_records > LONGEST_S or not _believable(most_samples, float(number)):
        said = oddity or f"({number} s) cannot be right"
        problems.append(f"The duration of a data record {said}; 1 s is assumed, so all rates are guesses.")
        return Fraction(1)
    if oddity:
        problems.append(f"The duration of a data record {oddity}.")
    return Fraction(number)


def _believable(most_samples: int, record_s: float) -> bool:
    return LEAST_HZ * record_s <= most_samples <= MOST_HZ * record_s


def _data_offset(
    header_bytes: int | None, table_bytes: int, problems: list[str], *, size: int, declared: int, record_bytes: int
) -> int:
    """Return where the first record begins: after the signal table, or where the header says if only that fits the size."""
    if header_bytes == table_bytes:
        return table_bytes
    if header_bytes is not None and table_bytes < header_bytes <= size and record_bytes:
        fits_declared = declared > 0 and size - header_bytes == declared * record_bytes
        if fits_declared or ((size - header_bytes) % record_bytes == 0 and (size - table_bytes) % record_bytes):
            problems.append(f"The header is {header_bytes} bytes long where {table_bytes} are needed; the rest of it is skipped.")
            return header_bytes
    said = "is unreadable" if header_bytes is None else f"says {header_bytes} bytes"
    problems.append(f"The header's own length {said}; {table_bytes} bytes are right for its signals and used.")
    return table_bytes


def _count_problems(declared: int, n_records: int, spare: int, record_bytes: int) -> list[str]:
    problems = []
    if declared == -1:
        problems.append(f"The header does not say how many data records there are; the file holds {n_records}.")
    elif declared > n_records:
        problems.append(f"The header promises {declared} data records but the file holds {n_records}: its end is missing.")
    elif declared < n_records:
        problems.append(f"The header counts {declared} data records but the file holds {n_records}; all are read.")
    if spare and n_records:
        problems.append(f"The last data record is cut ({spare} of {record_bytes} bytes) and is left out.")
    return problems


def _format(base: str, reserved: str) -> str:
    kind = reserved.upper().replace(" ", "")
    if kind.startswith(("EDF+D", "BDF+D")):
        return f"{base}+D"
    return f"{base}+C" if kind.startswith(("EDF+", "BDF+")) else base
