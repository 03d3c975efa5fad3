"""The header of an EDF, EDF+, BDF or BDF+ file, read tolerantly: what can be recovered is, each recovery becomes a problem.

Layout: Kemp et al. 1992 (EDF), Kemp & Olivan 2003 (EDF+), BioSemi's BDF (the same with 24-bit samples).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import accumulate

from sleepfm.errors import RecordingError
from sleepfm.recording._fields import read_integer, read_number, read_text
from sleepfm.recording._start_time import read_start

FIXED_BYTES = 256
SIGNAL_BYTES = 256
MOST_SIGNALS = 9999
"""The signal count has 4 characters."""
_COLUMNS = (
    ("label", 16),
    ("transducer", 80),
    ("dimension", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefilter", 80),
    ("samples", 8),
    ("reserved", 32),
)
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
class SignalHeader:
    """One signal's header. physical = digital * gain + offset in `dimension`; unscaled signals have gain 1 and dimension ""."""

    label: str
    transducer: str
    dimension: str
    written_dimension: str
    prefilter: str
    gain: float
    offset: float
    digital_min: int
    digital_max: int
    samples: int
    problems: tuple[str, ...]

    @property
    def is_annotation(self) -> bool:
        """Whether the samples are annotation text (EDF+ clause 2.2.1), judged by the label however it is spelt."""
        return " ".join(self.label.lower().split()) in {"edf annotations", "bdf annotations"}


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
    columns = _columns(read(FIXED_BYTES, SIGNAL_BYTES * n_signals), n_signals)
    declared, oddity = read_integer(fixed[236:244])
    if declared is None or declared < -1:
        problems.append(f"The number of data records {oddity or 'is negative'}; it is counted from the file's size.")
        declared = -1
    samples = _samples(columns["samples"], declared, size - table_bytes, sample_bytes, name, problems)
    signals = tuple(_signal(columns, index, samples[index], sample_bytes) for index in range(n_signals))
    record_s = _record_duration(fixed[244:252], signals, problems)
    record_bytes = sum(samples) * sample_bytes
    offset = _data_offset(header_bytes, table_bytes, size, declared, record_bytes, problems)
    n_records, spare = divmod(max(size - offset, 0), record_bytes) if record_bytes else (0, 0)
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
        columns = _columns(read(FIXED_BYTES, SIGNAL_BYTES * count), count)
        fields = [raw for column in ("physical_min", "digital_min", "digital_max", "samples") for raw in columns[column]]
        return sum(not read_number(raw)[1] for raw in fields) / len(fields) if fields else 0.0

    best = fitting[0] if len(fitting) == 1 else max(fitting, key=readable)
    if counted != best:
        problems.append(f"The number of signals in the header is unreadable or wrong; {best} are read, as its length says.")
    return best, header_bytes


def _columns(table: bytes, n_signals: int) -> dict[str, list[bytes]]:
    columns, start = {}, 0
    for name, width in _COLUMNS:
        columns[name] = [table[start + index * width : start + (index + 1) * width] for index in range(n_signals)]
        start += n_signals * width
    return columns


def _samples(column: list[bytes], declared: int, data_bytes: int, sample_bytes: int, name: str, problems: list[str]) -> list[int]:
    """Return samples per record of every signal; one unreadable count is recovered from the file's size."""
    counts = [read_integer(raw)[0] for raw in column]
    unreadable = [index for index, count in enumerate(counts) if count is None or count < 0]
    if unreadable:
        known = sum(count for count in counts if count is not None and count >= 0)
        missing, remainder = divmod(data_bytes, declared * sample_bytes) if declared > 0 else (0, 1)
        if len(unreadable) > 1 or remainder or missing <= known:
            oddity = read_integer(column[unreadable[0]])[1] or "is negative"
            raise RecordingError(
                f"{name}: the number of samples of signal {unreadable[0]} {oddity}, so its samples cannot be found."
            )
        counts[unreadable[0]] = missing - known
        problems.append(
            f"The number of samples of signal {unreadable[0]} is unreadable; the file's size gives {missing - known}."
        )
    return [count or 0 for count in counts]


def _signal(columns: dict[str, list[bytes]], index: int, samples: int, sample_bytes: int) -> SignalHeader:
    problems: list[str] = []
    texts: dict[str, str] = {}
    for name in ("label", "transducer", "dimension", "prefilter"):
        texts[name], oddity = read_text(columns[name][index])
        if oddity and name in {"label", "dimension"}:
            problems.append(f"The {'label' if name == 'label' else 'unit'} {texts[name]!r} {oddity}.")
    if not texts["label"]:
        problems.append("The label is empty.")
    limits: dict[str, float] = {}
    for name in ("physical_min", "physical_max", "digital_min", "digital_max"):
        number, oddity = read_number(columns[name][index])
        if oddity:
            problems.append(f"The {name.replace('_', ' ').replace('min', 'minimum').replace('max', 'maximum')} {oddity}.")
        limits[name] = math.nan if number is None else float(number)
    floor = -(2 ** (8 * sample_bytes - 1))
    digital_min, digital_max = _digital_limits(limits, floor, problems)
    gain, offset, scaled = _scale(limits, digital_min, digital_max, problems)
    return SignalHeader(
        label=texts["label"],
        transducer=texts["transducer"],
        dimension=texts["dimension"] if scaled else "",
        written_dimension=texts["dimension"],
        prefilter=texts["prefilter"],
        gain=gain,
        offset=offset,
        digital_min=min(digital_min, digital_max),
        digital_max=max(digital_min, digital_max),
        samples=samples,
        problems=tuple(problems),
    )


def _digital_limits(limits: dict[str, float], floor: int, problems: list[str]) -> tuple[int, int]:
    low, high = limits["digital_min"], limits["digital_max"]
    if math.isnan(low) or math.isnan(high) or max(abs(low), abs(high)) > 2**53:
        problems.append(f"The digital limits are unreadable; {floor} and {-floor - 1} are taken.")
        return floor, -floor - 1
    if low < floor or high > -floor - 1:
        problems.append(f"The digital limits {low:.0f} and {high:.0f} exceed the {len(bin(-floor)) - 2} bits of a sample.")
    if low > high:
        problems.append(f"The digital minimum {low:.0f} is above the digital maximum {high:.0f}.")
    return int(low), int(high)


def _scale(limits: dict[str, float], digital_min: int, digital_max: int, problems: list[str]) -> tuple[float, float, bool]:
    """Return gain, offset and whether they are the header's own (else digital steps: 1 and 0)."""
    low, high = limits["physical_min"], limits["physical_max"]
    steps = "so values are digital steps without a unit"
    if math.isnan(low) or math.isnan(high):
        problems.append(f"A physical limit is missing, {steps}.")
        return 1.0, 0.0, False
    if digital_min == digital_max:
        problems.append(f"The digital minimum and maximum are both {digital_min}, {steps}.")
        return 1.0, 0.0, False
    if low == high:
        problems.append(f"The physical minimum and maximum are both {low:g}, {steps}.")
        return 1.0, 0.0, False
    gain = (high - low) / (digital_max - digital_min)
    offset = low - gain * digital_min
    if gain == 0.0 or not abs(gain) * 2**24 + abs(offset) < 1e30:  # float32 ends at 3.4e38
        problems.append(f"The physical limits {low:g} and {high:g} make no usable scale, {steps}.")
        return 1.0, 0.0, False
    return gain, offset, True


def _record_duration(field: bytes, signals: tuple[SignalHeader, ...], problems: list[str]) -> Fraction:
    number, oddity = read_number(field)
    has_data = any(not signal.is_annotation and signal.samples for signal in signals)
    if number is not None and (0 < number <= 10**6 or (number == 0 and not has_data)):
        if oddity:
            problems.append(f"The duration of a data record {oddity}.")
        return Fraction(number)
    if not has_data:
        return Fraction(0)
    problems.append(f"The duration of a data record {oddity or f'is {number} s'}; 1 s is assumed, so all rates are guesses.")
    return Fraction(1)


def _data_offset(
    header_bytes: int | None, table_bytes: int, size: int, declared: int, record_bytes: int, problems: list[str]
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
