"""Copies of WFDB records that name nobody: the header written anew, every sample as it was.

What goes: the comments, which say whatever somebody wrote, the date, the names of the record and of its files, bytes of the
signal files that are no samples, and of labels and units what is a word of the comments. What stays: the samples and their
formats, scales, labels, the time of day. Annotation files are not copied: their notes are free text.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path

from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.progress import Progress, part, silent
from sleepfm.recording._header_channels import says_simulated
from sleepfm.recording._source import Source
from sleepfm.recording._wfdb_header import MOST_BYTES, SUFFIX, WfdbHeader, WfdbSignal, parse_wfdb_header, signal_fields
from sleepfm.recording.deidentified import OLDEST, Deidentified, Keep, Tally, age_words, check_request, unsearched, without_names
from sleepfm.recording.identity import Identity, left_words, traces_in_samples
from sleepfm.recording.wfdb_record import open_wfdb

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""Of a record: header(5) knows letters, digits and underscores, PhysioNet's records have hyphens too."""
_AGE_SEX = re.compile(r"\s*(\d{1,3})\s+([MF])\b")
"""How the first comment of the MIT-BIH records begins."""
_AGE = re.compile(r"\bage\W{0,4}(\d{1,3})(?!\d)", re.IGNORECASE)
_SEX = re.compile(r"\b(?:sex|gender)\W{0,4}(f|m|female|male)\b", re.IGNORECASE)
_STORED = re.compile(r"(?P<format>\d{1,4})(?:x\d{1,7})?(?P<skew>:\d{1,9})?(?:\+\d{1,15})?")
_GAIN = re.compile(r"(?P<scale>[-+.\deE]+(?:\(-?\d{1,10}\))?)(?:/(?P<unit>\S+))?")
_INTEGER = re.compile(r"[-+]?\d{1,10}")
_BLOCK_BYTES = 8 << 20


def deidentify_wfdb(
    path: Path,
    out: Path,
    *,
    keep: Sequence[Keep] = (),
    study_id: str = "",
    keep_start_time: bool = True,
    shift_days: int | None = None,
    progress: Progress = silent,
) -> Deidentified:
    """Write a copy of a record, its header and its signal files, whole or not at all; see `deidentify.deidentify`.

    Raises
    ------
    RequestError
        No such file, an output that is part of the record, no header or named like the person, a study id that cannot be used.
    RecordingError
        The record cannot be read.
    SleepFMError
        The copy could not be written, or still held something of the original header.
    """
    if out.suffix != SUFFIX or _NAME.fullmatch(out.stem) is None:
        raise RequestError(f"{out}: name the header of the copy, of letters, digits, _ and -: such as study-12{SUFFIX}")
    identity = check_request(path, out, study_id, shift_days)
    with open_wfdb(path) as recording:
        declared, duration_s = len(recording.channels), recording.duration_s
    source = Source(path, mapped=False)
    try:
        raw = source.read_up_to(0, MOST_BYTES + 1).tobytes()
    finally:
        source.close()
    header = parse_wfdb_header(raw, path)
    n_frames = round(duration_s * header.frames_hz)
    names = dict(zip(header.files(), _file_names(out.stem, len(header.files())), strict=True))
    for name in names.values():
        target = out.parent / name
        if target.exists() and any(target.samefile(path.parent / own) for own in names):
            raise RequestError(f"{target}: is a signal file of the record itself, which is never changed; name another --out")
        if target.exists() and not out.exists():
            raise RequestError(f"{target}: is there already, and no copy made before; name another --out")
    tally = Tally()
    comments, kept, remarks = _comments(header, keep, study_id, tally)
    record, said, missing = _record_line(
        header, n_frames, out.stem, tally, keep_start_time=keep_start_time, shift_days=shift_days
    )
    fields = signal_fields(raw, path)
    lines = [_signal_line(signal, fields[signal.index], names[signal.file], identity, tally) for signal in header.signals]
    text = "\n".join([record, *lines, *comments]) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.stem}.", suffix=".part", dir=out.parent) as folder:
            made = Path(folder)
            for number, (name, signals) in enumerate(header.files().items()):
                here = part(progress, 0.8 * number / len(names), 0.8 * (number + 1) / len(names))
                _copy_samples(path.parent / name, signals, n_frames, made / names[name], here)
            (made / out.name).write_text(text, encoding="utf-8")
            with open_wfdb(made / out.name) as copy:
                if (len(copy.channels), copy.duration_s) != (declared, duration_s):
                    raise RecordingError(f"{path}: the copy has other channels or another length; it was not written")
                # its numbers are numbers, and its comments hold nothing but what was asked for
                texts = [out.stem, *(f"{channel.label}\n{channel.original_unit}" for channel in copy.channels)]
                if found := identity.traces_in("\n".join(texts)):
                    raise SleepFMError(f"{out}: was not written, for the copy {left_words(found)}")
            for number, name in enumerate(names.values()):
                here = part(progress, 0.8 + 0.2 * number / len(names), 0.8 + 0.2 * (number + 1) / len(names))
                if found := traces_in_samples(made / name, identity, here):
                    raise SleepFMError(f"{out}: was not written, for the copy {left_words(found)}")
            out.unlink(missing_ok=True)  # of an older copy, whose header must not stand over other samples
            for name in (*names.values(), out.name):  # the header last: until it is there, there is no record
                (made / name).replace(out.parent / name)
    except OSError as error:
        raise SleepFMError(f"{out}: cannot be written ({error.strerror or error}); free some space and try again") from error
    progress(1.0, "done")
    return Deidentified(
        file=path.name,
        out=str(out),
        kept=(*kept, *said),
        removed=tally.removed,
        annotations_kept=0,
        searched_words=identity.searched,
        remarks=(*remarks, *missing, *_left_beside(path, names), *unsearched(identity)),
    )


def _file_names(stem: str, count: int) -> list[str]:
    return [f"{stem}.dat"] if count == 1 else [f"{stem}_{number + 1}.dat" for number in range(count)]


def _comments(header: WfdbHeader, keep: Sequence[Keep], study_id: str, tally: Tally) -> tuple[list[str], list[str], list[str]]:
    """Return the comments of the copy, what is kept in words, and remarks."""
    kept, remarks, said = list[str](), list[str](), list[str]()
    together = "\n".join(header.comments)
    first = next((found for text in header.comments if (found := _AGE_SEX.match(text))), None)
    age, sex = _AGE.search(together), _SEX.search(together)
    years = int(age[1]) if age else int(first[1]) if first else None
    letter = sex[1][0].upper() if sex else first[2] if first else ""
    if "age" in keep:
        if years is None or years > 120:
            remarks.append("the header does not say the age")
        else:
            said.append(f"Age: {years}" if years <= OLDEST else f"Age: over {OLDEST}")
            kept.append(age_words(years))
    if "sex" in keep:
        if letter:
            said.append(f"Sex: {letter}")
            kept.append(f"sex {letter}")
        else:
            remarks.append("the header does not say the sex")
    lines = [f"# Subject: {study_id}"] if study_id else []
    lines += [f"# {' '.join(said)}"] if said else []
    if says_simulated(header.comments):
        lines.append("# SIMULATED")
        kept.append("that it is simulated")
    tally.remove("comments", sum(bool(text) for text in header.comments))
    return lines, kept, remarks


def _record_line(
    header: WfdbHeader, n_frames: int, name: str, tally: Tally, *, keep_start_time: bool, shift_days: int | None
) -> tuple[str, list[str], list[str]]:
    """Return the first line, what is kept in words, and remarks."""
    fields = [name, str(len(header.signals)), f"{header.frames_hz:.12g}", str(n_frames)]
    kept, remarks = list[str](), list[str]()
    if header.start is None:
        if shift_days is not None:
            remarks.append("the header has no date that could be shifted")
        return " ".join(fields), kept, remarks
    if keep_start_time or shift_days is not None:
        clock = f"{header.start:%H:%M:%S.%f}".rstrip("0").rstrip(".") if keep_start_time else "00:00:00"
        fields.append(clock)
        kept += [f"time of day {header.start:%H:%M:%S}"] if keep_start_time else []
    if shift_days is None:
        tally.remove("start date")
        return " ".join(fields), kept, remarks
    try:
        day = (header.start + timedelta(days=shift_days)).date()
    except OverflowError:
        raise RequestError(f"a shift of {shift_days} days leads to no year that a date can have; give another one") from None
    kept.append("distances between the nights of a lab (the date is shifted)")
    return " ".join([*fields, f"{day:%d/%m/%Y}"]), kept, remarks


def _signal_line(signal: WfdbSignal, fields: Sequence[str], name: str, identity: Identity, tally: Tally) -> str:
    """Return the line of a signal: its numbers as they were, its unit and label without what names somebody."""
    stored, gain = _STORED.fullmatch(fields[1]), _GAIN.fullmatch(fields[2]) if len(fields) > 2 else None
    skew = stored["skew"] or "" if stored else ""
    frame = f"x{signal.header.samples}" if signal.header.samples > 1 else ""
    scale = gain["scale"] if gain else "0"  # none: the signal is uncalibrated, header(5)
    if gain and gain["unit"]:
        scale += f"/{_masked(gain['unit'], identity, tally, 'units') or 'X'}"
    numbers = [one if _INTEGER.fullmatch(one) else "0" for one in (*fields[3:8], *["0"] * 5)[:5]]
    label = _masked(signal.header.label, identity, tally, "labels")
    return " ".join([name, f"{signal.format.name}{frame}{skew}", scale, *numbers, label]).rstrip()


def _masked(text: str, identity: Identity, tally: Tally, what: str) -> str:
    if not identity.traces_in(text):
        return text
    tally.remove(what)
    return without_names(text, identity) or "X"


def _copy_samples(file: Path, signals: Sequence[WfdbSignal], n_frames: int, target: Path, progress: Progress) -> None:
    """Copy the samples of a signal file and nothing else of it."""
    layout, first = signals[0].format, signals[0].byte_offset
    samples = n_frames * sum(signal.header.samples for signal in signals)
    length = -(-samples // layout.samples) * layout.group
    source = Source(file, mapped=False)
    try:
        with target.open("wb") as written:
            for at in range(0, length, _BLOCK_BYTES):
                progress(at / length, f"{at / 1e6:.0f} MB copied")
                written.write(source.read_up_to(first + at, min(_BLOCK_BYTES, length - at)).tobytes())
    finally:
        source.close()


def _left_beside(path: Path, names: Collection[str]) -> list[str]:
    """Say which files of the record's name are not in the copy."""
    beside = {one.suffix for one in path.parent.glob("*") if one.stem == path.stem and one != path and one.name not in names}
    beside.discard("")
    if not beside:
        return []
    return [
        f"files of the record's name beside it ({', '.join(sorted(beside))}) are not copied: annotations may hold notes;"
        " `sleepfm convert-scoring` takes stages and events out of them"
    ]
