"""Copies of recordings that name nobody: the header and the annotations rewritten, every sample as it was.

What goes of an EDF or BDF file: the patient and recording fields (EDF+ clauses 2.1.3.3 and 2.1.3.4), the date, free texts of
the signals, annotations that are more than the usual words of a scoring, whatever holds a word or date of the header. What
stays: the samples, rates and scales, labels, the time of day, gaps. The copy is opened anew and searched before it gets its
name. Of a WFDB record see `_deidentify_wfdb`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.progress import Progress, part, silent
from sleepfm.recording._deidentify_wfdb import deidentify_wfdb
from sleepfm.recording._fields import read_number, read_text
from sleepfm.recording._header import FIXED_BYTES, Header, parse_header
from sleepfm.recording._header_channels import says_simulated
from sleepfm.recording._header_dates import MONTHS
from sleepfm.recording._signal_header import SIGNAL_BYTES, split_table
from sleepfm.recording._source import Source
from sleepfm.recording._technical_words import says_nobody
from sleepfm.recording._wfdb_header import is_wfdb_header
from sleepfm.recording.deidentified import (
    MOST_TEXTS,
    OLDEST,
    Deidentified,
    Keep,
    Tally,
    age_words,
    check_request,
    unsearched,
    without_names,
)
from sleepfm.recording.edf import open_edf
from sleepfm.recording.identity import ANONYMOUS_DATE, Identity, left_words, traces_of
from sleepfm.text import printable

_BLOCK_BYTES = 8 << 20
_CLOCK = re.compile(rb"([01]\d|2[0-3])[.:]([0-5]\d)[.:]([0-5]\d)")
_AGE = re.compile(r"(?<!\d)(\d{1,3})\s*_?(?:y|yr|yrs|years?|ans|jahre)(?![a-z])", re.IGNORECASE)
_BORN = re.compile(r"(?<!\d)(\d{1,2})-([A-Za-z]{3})-(\d{4})(?!\d)")
_FILTER = re.compile(
    r"(?:(?:HP|LP|BP|BS|N|NOTCH|DC|AC)\s*[:=]?\s*\d*(?:[.,]\d+)?\s*(?:m?u?Hz|kHz|s|ms|dB)?[\s,;/-]*)*", re.IGNORECASE
)
_TELLS = re.compile(
    r"\S@\w|(?:\d[-./]?){6}|\+\d|https?:"
    r"|\b(?i:mr|mrs|ms|miss|dr|prof|herrn?|frau|schwester|pfleger|mme|sra?|dott|nurse|doctor|technician|tech|rn)\b[.:,]*\s+"
    r"(?:[^\W\d_a-z][^\W\d_A-Z]+|[A-Z]{2}\b)"
)
"""What a free text tells of somebody whom the header need not name: an address, a date or number, a name behind a title."""
_TEXTS_SHOWN = 10
_TIME = re.compile(rb"[+-]?\d+(?:[.,]\d*)?")
_NUMBER_COLUMNS = ("physical_min", "physical_max", "digital_min", "digital_max")
_WIDTHS = {"label": 16, "transducer": 80, "dimension": 8, "prefilter": 80, "reserved": 32}


def deidentify(
    path: Path,
    out: Path,
    *,
    keep: Sequence[Keep] = (),
    study_id: str = "",
    keep_start_time: bool = True,
    shift_days: int | None = None,
    keep_annotations: bool = False,
    progress: Progress = silent,
) -> Deidentified:
    """Write a copy of a recording that names nobody, whole or not at all.

    Parameters
    ----------
    path
        An EDF or BDF file, or the header of a WFDB record.
    out
        The file to write, another one; of a WFDB record the header, beside which the samples are written as .dat files.
    keep
        What may still be said of the person: "age" in years at the recording (above 89 as "over 89"), "sex".
    study_id
        A code of 1 to 24 letters, digits and ``._-`` for the patient field; "X" without it.
    keep_start_time
        Whether the time of day of the start stays; else it is 00.00.00.
    shift_days
        Move the date by so many days (not 0); None writes 01.01.85, which EDF+ readers take for "not known".
    keep_annotations
        Keep free texts too, but for those that hold a word, code or date of the header or look like an address, a number or a
        name of somebody ("Dr Miller"). Of a WFDB record none is kept.
    progress
        May raise Cancelled.

    Returns
    -------
    Deidentified

    Raises
    ------
    RequestError
        No such file, an output that is the input or is named like the person, a study id that cannot be used.
    RecordingError
        The file cannot be read, or is damaged so that its parts cannot be told apart.
    SleepFMError
        The copy could not be written, or still held something of the original header.
    """
    path, out = Path(path), Path(out)
    if is_wfdb_header(path):
        return deidentify_wfdb(
            path, out, keep=keep, study_id=study_id, keep_start_time=keep_start_time, shift_days=shift_days, progress=progress
        )
    identity = check_request(path, out, study_id, shift_days)
    with open_edf(path) as recording:  # refuses, in its own words, whatever is no sound recording
        declared = len(recording.channels)
    source = Source(path, mapped=False)
    try:
        header = parse_header(lambda offset, length: source.read_up_to(offset, length).tobytes(), source.size, str(path))
        tally = Tally()
        fixed, kept, remarks = _fixed_header(
            source, header, tally, keep, study_id, keep_start_time=keep_start_time, shift_days=shift_days
        )
        table = _signal_table(source, header, identity, tally)
        rule = _text_rule(header, identity, tally, keep_annotations=keep_annotations)
        with atomic_path(out) as temporary:
            with temporary.open("wb") as file:
                file.write(fixed + table)
                for block in _records(source, header, rule, tally, part(progress, 0.0, 0.8)):
                    file.write(block)
            with open_edf(temporary) as copy:
                if len(copy.channels) != declared:
                    raise RecordingError(f"{path}: the copy has {len(copy.channels)} of {declared} channels; it was not written")
            if found := traces_of(temporary, identity, part(progress, 0.8, 1.0)):
                raise SleepFMError(f"{out}: was not written, for the copy {left_words(found)}")
    finally:
        source.close()
    progress(1.0, "done")
    if header.spare_bytes:
        remarks.append(f"the last data record was cut short and is not in the copy ({header.spare_bytes} bytes)")
    remarks += unsearched(identity)
    remarks += _texts_to_read(tally)
    return Deidentified(
        file=path.name,
        out=str(out),
        kept=tuple(kept),
        removed=tally.removed,
        annotations_kept=tally.annotations_kept,
        searched_words=identity.searched,
        remarks=tuple(remarks),
        free_texts=tuple(tally.free_texts)[:MOST_TEXTS],
    )


# the header


def _fixed_header(
    source: Source,
    header: Header,
    tally: Tally,
    keep: Sequence[Keep],
    study_id: str,
    *,
    keep_start_time: bool,
    shift_days: int | None,
) -> tuple[bytes, list[str], list[str]]:
    """Return the first 256 bytes, what is kept in words, and remarks."""
    raw = source.read_up_to(0, FIXED_BYTES).tobytes()
    kept, remarks = list[str](), list[str]()
    sex, age = _sex(header.patient), _age(header)
    patient = [study_id or "X", "X", "X", "X"]
    if "sex" in keep:
        if sex:
            patient[1] = sex
            kept.append(f"sex {sex}")
        else:
            remarks.append("the header does not say the sex")
    if "age" in keep:
        if age is None:
            remarks.append("the header does not say the age")
        else:
            patient.append(f"age_{age}" if age <= OLDEST else f"age_over_{OLDEST}")
            kept.append(age_words(age))
    if says_simulated((header.patient, header.recording)):
        patient[3] = "SIMULATED"
        kept.append("that it is simulated")
    clock = _CLOCK.fullmatch(raw[176:184])
    time = b".".join(clock.groups()) if clock and keep_start_time else b"00.00.00"
    if clock is None:
        remarks.append("the start time in the header is no time; the copy says 00.00.00")
    elif keep_start_time:
        kept.append(f"time of day {time.decode().replace('.', ':')}")
    day, startdate = ANONYMOUS_DATE, "X"
    if shift_days is not None and header.start is not None:
        day = header.start.date() + timedelta(days=shift_days)
        if not 1985 <= day.year <= 2084:
            raise RequestError(
                f"{source.path}: a shift of {shift_days} days leads to {day.year}; EDF holds the years 1985 to 2084"
            )
        startdate = f"{day.day:02}-{MONTHS[day.month - 1].upper()}-{day.year}"
        kept.append("distances between the nights of a lab (the date is shifted)")
    elif shift_days is not None:
        remarks.append("the header has no date that could be shifted")
    tally.remove("patient field", bool(set(header.patient.split()) - {"X"}))
    tally.remove("recording field", bool(set(header.recording.split()) - {"X", "Startdate"}))
    tally.remove("start date", header.start is None or header.start.date() != day)
    version = b"\xffBIOSEMI" if header.sample_bytes == 3 else b"0"
    fields = (
        (version, 8),
        (" ".join(patient).encode(), 80),
        (f"Startdate {startdate} X X X".encode(), 80),
        (f"{day:%d.%m.%y}".encode(), 8),
        (time, 8),
        (str(FIXED_BYTES + SIGNAL_BYTES * len(header.signals)).encode(), 8),
        (header.format.encode() if "+" in header.format else b"24BIT" if header.sample_bytes == 3 else b"", 44),
        (str(header.n_records).encode(), 8),
        (_number(raw[244:252], tally), 8),
        (str(len(header.signals)).encode(), 4),
    )
    return b"".join(_padded(value, width) for value, width in fields), kept, remarks


def _signal_table(source: Source, header: Header, identity: Identity, tally: Tally) -> bytes:
    """Return the table of signal headers, of every text that could name somebody the harmless part."""
    columns = split_table(source.read_up_to(FIXED_BYTES, SIGNAL_BYTES * len(header.signals)).tobytes(), len(header.signals))
    written: list[bytes] = []
    for name, fields in columns.items():
        for index, raw in enumerate(fields):
            signal = header.signals[index]
            text = read_text(raw)[0]
            if name == "samples":
                value = str(signal.samples).encode()
            elif name in _NUMBER_COLUMNS:
                value = _number(raw, tally)
            elif name in ("label", "dimension"):
                value = _masked(raw, text, identity, tally, "labels" if name == "label" else "units")
            elif name == "prefilter":
                value = _kept_when(raw, text, tally, "filter texts", harmless=_FILTER.fullmatch(text) is not None)
            elif name == "transducer":
                harmless = says_nobody(text) and not identity.names_in(text)
                value = _kept_when(raw, text, tally, "transducer texts", harmless=harmless)
            else:
                value = _kept_when(raw, text, tally, "reserved fields", harmless=False)
            written.append(_padded(value, _WIDTHS.get(name, 8)))
    return b"".join(written)


def _masked(raw: bytes, text: str, identity: Identity, tally: Tally, what: str) -> bytes:
    clean = raw.split(b"\x00", 1)[0]
    if not identity.traces_in(text) and not identity.traces_in(clean.decode("latin-1")):
        return clean
    tally.remove(what)
    masked = without_names(text, identity)
    return b"X" if masked is None else masked.encode("ascii", "replace")


def _kept_when(raw: bytes, text: str, tally: Tally, what: str, *, harmless: bool) -> bytes:
    if harmless:
        return raw.split(b"\x00", 1)[0]
    tally.remove(what, bool(text))
    return b""


def _number(raw: bytes, tally: Tally) -> bytes:
    """Return what is a number in a field, as written; nothing where there is none."""
    number, _ = read_number(raw)
    text = raw.strip(b" \x00").replace(b",", b".")
    if number is not None and re.fullmatch(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", text):
        return text
    tally.remove("words in number fields", bool(text))
    return b"" if number is None else f"{number:f}"[:8].encode()


def _padded(value: bytes, width: int) -> bytes:
    return value[:width].ljust(width)


def _sex(patient: str) -> str:
    fields = patient.split()
    found = next((one.upper() for one in fields[:2] if one.upper() in ("M", "F")), "")
    if found:
        return found
    words = re.findall(r"[a-z]+", patient.casefold())
    return "F" if "female" in words else "M" if "male" in words else ""


def _age(header: Header) -> int | None:
    """Return the age in whole years at the recording: from the birthdate, else as it is written."""
    born = _BORN.search(header.patient)
    if born and header.start and born[2].casefold() in MONTHS:
        try:
            birth = date(int(born[3]), MONTHS.index(born[2].casefold()) + 1, int(born[1]))
        except ValueError:
            return None
        day = header.start.date()
        age = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
        return age if 0 <= age <= 120 else None
    said = _AGE.search(header.patient)
    return int(said[1]) if said and int(said[1]) <= 120 else None


# the records

_Rule = Callable[[bytes], bytes | None]
"""From an annotation's text to what is written of it: None is nothing."""


def _text_rule(header: Header, identity: Identity, tally: Tally, *, keep_annotations: bool) -> _Rule:
    labels = {signal.label.casefold() for signal in header.signals if not identity.names_in(signal.label)}
    judged: dict[bytes, bytes | None] = {}

    def judge(raw: bytes) -> bytes | None:
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        said, marker, channel = text.partition("@@")
        # a name that is a technical word too ("Chin") stands in many an event
        if identity.traces_in(said) or (identity.names_in(said) and not says_nobody(said)):
            return None
        usual = says_nobody(said)
        if not usual and (not keep_annotations or _TELLS.search(said)):
            return None
        if not usual:
            tally.free_texts[said] = None
        named = not marker or channel.strip().casefold() in labels or (says_nobody(channel) and not identity.traces_in(channel))
        return raw if named else said.encode()

    def rule(raw: bytes) -> bytes | None:
        if raw not in judged:
            if len(judged) > 10_000:
                judged.clear()
            judged[raw] = judge(raw)
        if judged[raw] is None:
            tally.remove("annotations")
        else:
            tally.annotations_kept += 1
        return judged[raw]

    return rule


def _texts_to_read(tally: Tally) -> list[str]:
    """Return what has to be said of free texts that stay."""
    if not tally.free_texts:
        return []
    shown = "; ".join(f"“{printable(text)}”" for text in list(tally.free_texts)[:_TEXTS_SHOWN])
    more = f"; and {len(tally.free_texts) - _TEXTS_SHOWN} more" if len(tally.free_texts) > _TEXTS_SHOWN else ""
    return [
        f"{len(tally.free_texts)} different free text(s) were kept as they are; a name that only they hold cannot be known from"
        f" the header, so read them before you pass the copy on: {shown}{more}"
    ]


def _records(source: Source, header: Header, rule: _Rule, tally: Tally, progress: Progress) -> Iterator[bytes]:
    """Give the data records in blocks: samples as they are, annotations rewritten in the room that they had."""
    signals = [
        slice(header.signal_starts[index], header.signal_starts[index + 1])
        for index, signal in enumerate(header.signals)
        if signal.is_annotation and signal.samples
    ]
    step = max(1, _BLOCK_BYTES // max(header.record_bytes, 1))
    for first in range(0, header.n_records, step):
        progress(first / header.n_records, f"{first * header.record_bytes / 1e6:.0f} MB copied")
        count = min(step, header.n_records - first)
        rows = source.read(header.data_offset + first * header.record_bytes, count * header.record_bytes).reshape(count, -1)
        if signals:
            rows = rows.copy()
            for where in signals:
                for row in rows:
                    row[where] = np.frombuffer(rewritten(row[where].tobytes(), rule, tally), np.uint8)
        yield rows.tobytes()


def rewritten(raw: bytes, rule: _Rule, tally: Tally) -> bytes:
    """Return one record's annotations with the texts that the rule leaves, in as many bytes.

    The first entry tells the record's time (EDF+ clause 2.2.4): it stays, without its texts where they go.
    """
    kept: list[bytes] = []
    for number, tal in enumerate(one for one in raw.split(b"\x00") if one.strip()):
        times, *texts = tal.split(b"\x14")
        onset, marker, duration = times.partition(b"\x15")
        sound = bool(texts) and _TIME.fullmatch(onset.strip()) and (not marker or _TIME.fullmatch(duration.strip()))
        if not sound:
            tally.remove("unreadable annotations")
            if number == 0:
                kept.append(b"+\x14\x14")  # a record without a readable time must not take the next entry's for its own
            continue
        left = [one for text in texts if text and (one := rule(text)) is not None]
        if left or number == 0 or not any(texts):
            kept.append(b"\x14".join((times, *(left or [b""]), b"")))
    together = b"".join(one + b"\x00" for one in kept)
    return together[: len(raw)].ljust(len(raw), b"\x00")
