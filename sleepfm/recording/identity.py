"""Who a recording's header says was recorded, and whether anything of that is left in a file.

`identity_of` reads the words, numbers and dates of a header that can name somebody; `traces_of` opens a file anew, of whatever
kind, and looks for every one of them; `require_no_identity` fails where one is found.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

from sleepfm.errors import RecordingError, SleepFMError
from sleepfm.progress import Progress, silent
from sleepfm.recording._header import FIXED_BYTES, Header, parse_header
from sleepfm.recording._header_dates import BIRTHDATE, MONTHS, NUMERIC_DATE, SPACED_DATE, date_pattern, dates_in
from sleepfm.recording._header_names import LONG, PIECE, HeaderNames
from sleepfm.recording._pdf_text import pdf_texts
from sleepfm.recording._short_names import is_ideographic, stands_alone_only, together
from sleepfm.recording._signal_header import SIGNAL_BYTES, split_table
from sleepfm.recording._source import Source
from sleepfm.recording._start_time import read_start
from sleepfm.recording._technical_words import is_technical, unaccented
from sleepfm.recording._wfdb_header import is_wfdb_header
from sleepfm.recording.opening import open_recording

ANONYMOUS_DATE = date(1985, 1, 1)
"""What EDF+ writers put where the date is not to be known (EDF+ clause 2.1.3.2: the earliest that the field can hold)."""
_SAID_BY_REPORTS = frozenset(("cohen", "bland", "altman", "wilson", "welch", "zou", "kemp"))
"""Names of methods that our own tables and reports give; in a recording's header they are looked for all the same."""
_TIME_FIELD = slice(176, 184)
_TEXT_COLUMNS = ("label", "transducer", "dimension", "prefilter", "reserved")
_STRICT_NUMBER = re.compile(rb"\s*[-+]?\d*\.?\d*(?:[eE][-+]?\d{1,3})?\s*")
_TAL_TIMES = re.compile(rb"[+-]\d+(?:[.,]\d*)?(?:\x15\d+(?:[.,]\d*)?)?(?=\x14)")
_PADDING = re.compile(rb"\x00+")
_TEXT_BYTES = 64 << 20
_BLOCK = 8 << 20
_MOST_NAMED = 5
_DATA_URI = re.compile(r"base64,[A-Za-z0-9+/=]+")


@dataclass(frozen=True)
class Identity:
    """What of a header could give a person away.

    Attributes
    ----------
    words
        Names, codes and technicians of three letters or more, without case and accents; "mueller" beside "muller" for Müller.
    numbers
        Codes of four digits or more.
    dates
        Of birth, and of the recording unless it says "not known".
    technical
        Words of a name that are also words of every montage or scoring ("chin"): they cannot be looked for.
    sequences
        Neighbouring pieces of a name or code ("bo", "li"; written as one "boli") that are too short to be looked for but
        together, as a name of their own.
    common
        Words of a name that are in every text ("may"): they count where they are written like a name.
    short
        Pieces of a name or code of two letters or three digits: they cannot be looked for alone.
    wholes
        Of these the ones that are a whole name or code: a text that says nothing else names the person.
    """

    words: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    dates: frozenset[date] = frozenset()
    technical: frozenset[str] = frozenset()
    sequences: frozenset[tuple[str, ...]] = frozenset()
    common: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()
    wholes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.words or self.numbers or self.dates or self.sequences)

    @property
    def searched(self) -> int:
        """How many words, codes, sequences and dates are looked for."""
        return len(self.words) + len(self.numbers) + len(self.dates) + len(self.sequences)

    def without_dates_of(self, days: Iterable[date | None]) -> Identity:
        """Return the same without some dates: of an export that is meant to keep the night's."""
        return replace(self, dates=self.dates - set(days))

    def without_words(self, words: Iterable[str]) -> Identity:
        """Return the same without some words, or sequences of them."""
        left_out = set(words)
        kept = frozenset(some for some in self.sequences if " ".join(some) not in left_out)
        return replace(self, words=self.words - left_out, sequences=kept)

    @cached_property
    def sequence_patterns(self) -> dict[str, re.Pattern[str]]:
        """One pattern a sequence, by its words."""
        return {" ".join(some): together(*some) for some in sorted(self.sequences)}

    @cached_property
    def common_pattern(self) -> re.Pattern[str] | None:
        """The pattern of the common words, each written like a name and not in a date."""
        written = [form for word in sorted(self.common) for form in (word.title(), word.upper())]
        if not written:
            return None
        return re.compile(
            rf"(?<![^\W\d_])(?<!\d)(?<!\d[\s./-])(?<!\d[\s./-]\s)(?:{'|'.join(written)})(?![^\W\d_])(?![\s./-]{{0,2}}\d)"
        )

    @cached_property
    def date_patterns(self) -> tuple[re.Pattern[str], ...]:
        """One pattern a date: with the parts in any usual order, separators or none, two- or four-digit years, months by name."""
        return tuple(re.compile(date_pattern(day)) for day in sorted(self.dates))

    def names_in(self, text: str) -> bool:
        """Whether a text holds one of the words (technical and common ones too, as words of their own), numbers or dates."""
        pieces = PIECE.findall(unaccented(text))
        if self.traces_in(text) or self.technical.intersection(pieces) or "".join(pieces) in self.wholes:
            return True
        return self.common_pattern is not None and self.common_pattern.search(text) is not None

    def traces_in(self, text: str, *, header: bool = True) -> list[str]:
        """Return what of it a text holds.

        Parameters
        ----------
        header
            A text of a recording's header or annotations: every occurrence counts that is not part of a technical word. Elsewhere
            short words count only where they stand alone ("Lee" is not in "sleep"), and numbers of fewer than six digits not.
        """
        folded = unaccented(text)
        found = [word for word in sorted(self.words) if any(_counts(folded, at, word, header=header) for at in _at(folded, word))]
        for number in sorted(self.numbers):
            if (header or len(number) >= LONG) and re.search(rf"(?<![\d.]){number}(?!\d|\.\d)", folded):
                found.append(number)
        for words, pattern in self.sequence_patterns.items():
            if all(piece in folded for piece in words.split()) and pattern.search(folded):  # most texts hold not even the pieces
                found.append(words)
        found += [
            f"{day:%d.%m.%Y}" for day, one in zip(sorted(self.dates), self.date_patterns, strict=True) if one.search(folded)
        ]
        return found

    @cached_property
    def long_bytes(self) -> dict[bytes, str]:
        """Byte strings, lower case, that are long enough to be looked for among signals, and what each of them is."""
        long = [word for word in (*self.words, *self.numbers) if len(word) >= LONG]
        # where a word is not, no longer one that holds it can be
        shortest = [word for word in long if not any(other in word and other != word for other in long)]
        found = {word.encode(code): word for word in shortest for code in ("utf-8", "utf-16-le")}
        for day in self.dates:
            month = f"{day.day:02}-{MONTHS[day.month - 1]}-{day.year}"
            patterns = ("%d.%m.%Y", "%d-%m-%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%Y%m%d", "%d%m%Y")
            found |= {text.encode(): f"{day:%d.%m.%Y}" for text in (month, *map(day.strftime, patterns))}
        return found


def identity_of(path: Path, *, with_the_night: bool = True) -> Identity:
    """Read the identity from a recording's header: EDF, BDF or WFDB.

    Parameters
    ----------
    with_the_night
        Whether the dates of the recording itself count: not for exports that are laid over it by clock time.

    Raises
    ------
    RequestError, RecordingError
        When there is no such file, or it is no recording.
    """
    if is_wfdb_header(path):
        with open_recording(path, allow_empty=True) as recording:
            return identity_of_fields(recording.patient, "", start=recording.start, with_the_night=with_the_night)
    source = Source(path, mapped=False)
    try:
        header = parse_header(lambda offset, length: source.read_up_to(offset, length).tobytes(), source.size, str(path))
        day = source.read_up_to(168, 8).tobytes().decode("latin-1")
    finally:
        source.close()
    start = header.start or read_start(day, "00.00.00", header.recording)[0]
    return identity_of_fields(header.patient, header.recording, start=start, with_the_night=with_the_night)


def identity_of_fields(patient: str, recording: str, *, start: datetime | None, with_the_night: bool = True) -> Identity:
    """Return the identity that a header's two free fields and its start hold.

    Parameters
    ----------
    patient
        "code sex birthdate name" (EDF+ clause 2.1.3.3), or whatever else stands there.
    recording
        "Startdate dd-MMM-yyyy code technician equipment" (EDF+ clause 2.1.3.4), or whatever else; what is said of the equipment
        in the EDF+ form names nobody.
    with_the_night
        As for `identity_of`.
    """
    found = HeaderNames()
    dates = set[date]()
    if start is not None:
        dates |= {start.date()} if with_the_night else set()
        for clock in (f"{start:%H.%M.%S}", f"{start:%H:%M:%S}"):  # some repeat the time of day, which may look like a date
            patient, recording = patient.replace(clock, " "), recording.replace(clock, " ")
    dates.update(dates_in(f"{patient}\n{recording}" if with_the_night else patient))
    fields = recording.split()
    if fields and fields[0].casefold() == "startdate":
        recording = " ".join(fields[2:4])
    for text in (patient, recording):
        for spelt in _spellings(SPACED_DATE.sub(" X ", BIRTHDATE.sub(" X ", text))):
            found.add_field(spelt)
    return Identity(
        frozenset(found.words),
        frozenset(found.numbers),
        frozenset(day for day in dates if day != ANONYMOUS_DATE),
        frozenset(found.technical),
        frozenset(found.sequences),
        frozenset(found.common),
        frozenset(found.short),
        frozenset(found.wholes),
    )


def require_no_identity(files: Iterable[Path], identity: Identity) -> None:
    """See that nothing of an identity is left in files, each opened anew.

    Raises
    ------
    SleepFMError
        Naming the file and what kind of thing is left in it, without repeating it.
    """
    for file in files:
        found = traces_of(file, identity)
        if found:
            raise SleepFMError(f"{file.name}: {left_words(found)}")


def left_words(found: Sequence[str]) -> str:
    """Return what was found as words that do not repeat it."""
    return (
        f"still holds {len(found)} word(s) or date(s) of the recording's header: {', '.join(map(_hidden, found[:_MOST_NAMED]))}"
    )


def traces_of(file: Path, identity: Identity, progress: Progress = silent) -> list[str]:
    """Return what of an identity a file holds, in its texts and, of what is long enough, anywhere among its bytes."""
    if not identity:
        return []
    found: dict[str, None] = {}
    with file.open("rb") as opened:
        head = opened.read(8)
    if head.startswith(b"\x89HDF"):
        texts, header = list(_hdf5_texts(file)), True
    elif head.startswith((b"0       ", b"\xffBIOSEMI")):
        texts, header = list(_edf_texts(file)), True
    else:
        texts, header = list(_plain_texts(file)), False
    for raw in texts:
        for text in {raw.decode("utf-8", "replace"), raw.decode("latin-1")}:
            known = identity if header else identity.without_words(_SAID_BY_REPORTS)
            found |= dict.fromkeys(known.traces_in(_DATA_URI.sub(" ", text), header=header))
    if header:
        found |= dict.fromkeys(_among_bytes(file, identity, progress))
    return list(found)


def traces_in_document(content: bytes, identity: Identity, *, people: Iterable[str] = ()) -> list[str]:
    """Return what of an identity a text or PDF says, but for people whose whole names may stand in it."""
    texts = pdf_texts(content) if content.startswith(b"%PDF") else iter((content.decode("utf-8", "replace"),))
    named = "|".join(r"\s+".join(map(re.escape, name.split())) for name in people if name.strip())
    known = identity.without_words(_SAID_BY_REPORTS)
    found: dict[str, None] = {}
    for text in texts:
        blanked = re.sub(rf"(?<!\w)(?:{named})(?!\w)", " ", text) if named else text
        found |= dict.fromkeys(known.traces_in(_DATA_URI.sub(" ", blanked), header=False))
    return list(found)


def traces_in_samples(file: Path, identity: Identity, progress: Progress = silent) -> list[str]:
    """Return what of an identity stands among the bytes of a file that holds nothing but samples, of what is long enough."""
    return list(dict.fromkeys(_among_bytes(file, identity, progress))) if identity else []


def _among_bytes(file: Path, identity: Identity, progress: Progress) -> Iterator[str]:
    """Give what is found anywhere in a file, case ignored; block by block, so that a night needs no memory."""
    wanted = identity.long_bytes
    overlap = max((len(one) for one in wanted), default=1) - 1
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        for start in range(0, len(whole), _BLOCK):
            progress(start / len(whole), "searching the copy for names and dates")
            block = whole[start : start + _BLOCK + overlap].lower()
            yield from (said for raw, said in wanted.items() if raw in block)


def _edf_texts(file: Path) -> Iterator[bytes]:
    """Give the bytes of an EDF or BDF file that hold text: the header but for numbers, annotations but for their times."""
    source = Source(file, mapped=False)
    try:
        header = parse_header(lambda offset, length: source.read_up_to(offset, length).tobytes(), source.size, str(file))
        raw = source.read_up_to(0, header.data_offset).tobytes()
        yield from (raw[8:168], raw[168:176], raw[192:236])
        others = [raw[_TIME_FIELD].replace(b".", b""), raw[184:192], raw[236:244], raw[244:252], raw[252:256]]
        columns = split_table(raw[FIXED_BYTES:], len(header.signals))
        for name, fields in columns.items():
            if name in _TEXT_COLUMNS:
                yield b"\n".join(fields)
            else:
                others += fields
        yield b"\n".join(field for field in others if _STRICT_NUMBER.fullmatch(field) is None)
        yield raw[FIXED_BYTES + SIGNAL_BYTES * len(header.signals) :]  # a header longer than its table needs
        for texts in annotation_blocks(source, header):
            yield _TAL_TIMES.sub(b"\n", _PADDING.sub(b"\n", texts))
        spare = header.data_offset + header.n_records * header.record_bytes
        yield source.read_up_to(spare, min(header.record_bytes, _TEXT_BYTES)).tobytes()
    finally:
        source.close()


def annotation_blocks(source: Source, header: Header) -> Iterator[bytes]:
    """Give the bytes of the annotation signals, many records at a time."""
    step = max(1, _BLOCK // max(header.record_bytes, 1))
    for index, signal in enumerate(header.signals):
        if signal.is_annotation and signal.samples:
            low, high = header.signal_starts[index], header.signal_starts[index + 1]
            for record in range(0, header.n_records, step):
                count = min(step, header.n_records - record)
                offset = header.data_offset + record * header.record_bytes + low
                yield source.read_strided(offset, high - low, header.record_bytes, count).tobytes()


def _hdf5_texts(file: Path) -> Iterator[bytes]:
    """Give every name, attribute and text of an HDF5 file."""
    import h5py  # noqa: PLC0415 - only this kind of file needs it

    texts: list[bytes] = []

    def take(name: str, item: h5py.Group | h5py.Dataset) -> None:
        texts.append(name.encode("utf-8", "replace"))
        for key, value in item.attrs.items():
            texts.append(f"{key}\n{value.decode('utf-8', 'replace') if isinstance(value, bytes) else value}".encode())
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "OSU":
            texts.extend(one if isinstance(one, bytes) else str(one).encode() for one in item[()].ravel())

    try:
        with h5py.File(file, "r", locking=False) as opened:
            take("", opened)
            opened.visititems(take)
    except (OSError, RuntimeError) as error:
        raise RecordingError(f"{file}: cannot be read as HDF5 ({error}), so it cannot be checked for names") from None
    yield from texts


def _plain_texts(file: Path) -> Iterator[bytes]:
    """Give a file as text, in pieces with some of the piece before; of a PDF what it shows and says of itself."""
    with file.open("rb") as opened:
        before = b""
        while block := opened.read(_TEXT_BYTES):
            if not before and block.startswith(b"%PDF"):
                yield from (text.encode("utf-8", "replace") for text in pdf_texts(block + opened.read()))
                return
            yield before + block
            before = block[-200:]


def _at(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _counts(text: str, at: int, word: str, *, header: bool) -> bool:
    """Whether a word found at a place of a text is what was looked for, or part of an innocent word."""
    start, stop = at, at + len(word)
    while start > 0 and text[start - 1].isalpha():
        start -= 1
    while stop < len(text) and text[stop].isalpha():
        stop += 1
    around = text[start:stop]
    if is_ideographic(word):
        return around == word or not stands_alone_only(word)
    if is_technical(around) or is_technical(re.sub(r"\d+", "", around)):
        return False
    return header or len(word) >= LONG or around == word


def _spellings(part: str) -> set[str]:
    """Return a name without accents, and as it is written where there are no umlauts."""
    written = part.casefold()
    for letter, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ø", "oe"), ("å", "aa")):
        written = written.replace(letter, letters)
    return {unaccented(part), unaccented(written)}


def _hidden(found: str) -> str:
    """Return a hint at what was found that does not repeat it."""
    if NUMERIC_DATE.fullmatch(found):
        return "a date"
    return "a short name" if " " in found or len(found) < LONG // 2 else f"{found[0]}… ({len(found)} characters)"
