"""Stages and events as WFDB annotations: `<record>.arousal`, `<record>.st` and `<record>.apn` of PhysioNet.

PhysioNet/CinC Challenge 2018: a stage is a note ("W", "N1", "N2", "N3", "R") where it begins; an event lies between the notes
"(resp_hypopnea" and "resp_hypopnea)". MIT-BIH Polysomnographic Database: a note an epoch of 30 s, a stage of Rechtschaffen and
Kales and indicators of events behind it ("2 HA"; https://physionet.org/content/slpdb/1.0.0/README.st). Apnea-ECG Database: N or
A for every minute, without stages. Layout: annot(5) of the WFDB Applications Guide,
https://physionet.org/physiotools/wag/annot-5.htm. The bytes are read here and not by the wfdb package, whose reader hangs or
fails without a word on damaged files.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sleepfm.errors import ScoringError
from sleepfm.recording._wfdb_header import SUFFIX, read_wfdb_header
from sleepfm.recording.scorings.clock import clock_of
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.event_texts import event_name
from sleepfm.recording.scorings.stage_names import StageWords
from sleepfm.recording.scorings.tables import read_raw
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

_SKIP, _NUM, _SUB, _CHN, _AUX = range(59, 64)
_LAST_TYPE = 49
"""Annotation types end here (ecgcodes of annot(5)); above are the five instructions, between them nothing."""
_MOST_SAMPLES = 1 << 40
_MOST_BYTES = 8 << 20
"""A hundred times what a night's scoring takes."""
_RESOLUTION = re.compile(r"## time resolution: (\d+(?:\.\d+)?)")
_DEFINITION = "## "
_UNDEFINED = {"u", "undefined"}
_NORMAL, _APNEA = 1, 8
"""Annotation codes N and A of annot(5), which Apnea-ECG uses for a minute without and with apnea."""
_MINUTE_S = 60.0
_INDICATORS: dict[str, tuple[EventName, ...]] = {
    "H": (EventName.HYPOPNEA,),
    "HA": (EventName.HYPOPNEA, EventName.AROUSAL),
    "OA": (EventName.OBSTRUCTIVE_APNEA,),
    "X": (EventName.OBSTRUCTIVE_APNEA, EventName.AROUSAL),
    "CA": (EventName.CENTRAL_APNEA,),
    "CAA": (EventName.CENTRAL_APNEA, EventName.AROUSAL),
    "L": (EventName.LEG_MOVEMENT,),
    "LA": (EventName.LEG_MOVEMENT, EventName.AROUSAL),
    "A": (EventName.AROUSAL,),
    "MT": (),
}
"""README.st of the MIT-BIH Polysomnographic Database, part II."""
_EPOCH_NOTE = re.compile(rf"(?:[W1234R]|MT)(?:\s+(?:{'|'.join(_INDICATORS)}))*")


@dataclass(frozen=True)
class _Mark:
    """One annotation: its time in samples, its text ("" for a beat or another bare symbol) and its code of annot(5)."""

    sample: int
    text: str
    kind: int


def is_wfdb_annotations(path: Path) -> bool:
    """Whether a file is a WFDB annotation file from its first word to its end mark."""
    try:
        _marks(path)
    except ScoringError:
        return False
    return True


def read_wfdb(path: Path, known: Known) -> Contents:
    """Read stages and events of a WFDB annotation file.

    A stage lasts until the next one, the last one until the end of the recording; in the MIT-BIH form each is an epoch. What
    lies before the first stage, and a note that is neither a stage nor an event, is Unknown. What begins and never ends is a
    point in time.

    Raises
    ------
    ScoringError
        Damaged, or without a time resolution.
    RecordingError
        The header beside it is needed and cannot be read.
    """
    marks = _marks(path)
    rate_hz, header_s, begins = _time_base(path, marks, with_duration=known.duration_s is None)
    duration_s = header_s if known.duration_s is None else known.duration_s
    begins, dated = clock_of(begins)
    collector = MarkCollector("wfdb")
    minutes = _apnea_minutes(marks, rate_hz)
    if minutes is not None:
        said = _add_minutes(minutes, collector)
        return Contents((), tuple(collector.marks), begins=begins, dated=dated, duration_s=duration_s, warnings=tuple(said))
    _add_events(marks, rate_hz, collector)
    words = StageWords()
    by_epoch = any(_EPOCH_NOTE.fullmatch(mark.text) and mark.text not in ("W", "R") for mark in marks)
    notes = [mark for mark in marks if _is_note(mark.text, by_epoch=by_epoch)]
    times = [0.0 if mark.sample <= 1 else mark.sample / rate_hz for mark in notes]  # sample 0 cannot be written by every tool
    last_s = times[-1] + EPOCH_S if times else 0.0
    behind = [*times[1:], max(last_s, duration_s or 0.0)][: len(times)]
    stretches = []
    indicated = 0
    for mark, begin_s, next_s in zip(notes, times, behind, strict=True):
        where = f"annotation at {begin_s:g} s"
        stage, indicators = _stage_and_indicators(mark.text, where, words)
        stop_s = min(next_s, begin_s + EPOCH_S) if by_epoch else next_s
        if stop_s > begin_s:
            stretches.append(Stretch(begin_s, stop_s, stage, where))
        for indicator in indicators:
            for name in _INDICATORS[indicator]:
                collector.add(name, begin_s, EPOCH_S, where)
        indicated += sum(bool(_INDICATORS[indicator]) for indicator in indicators)
    said = [*words.said(), *collector.said()]
    if indicated:
        said.append(f"{indicated} event indicator(s) stand for a whole epoch: where in it the event was is not in the file")
    if not any(stretch.stage is not Stage.UNKNOWN for stretch in stretches):
        stretches = []
    return Contents(
        tuple(stretches), tuple(collector.marks), begins=begins, dated=dated, duration_s=duration_s, warnings=tuple(said)
    )


def _add_events(marks: list[_Mark], rate_hz: float, collector: MarkCollector) -> None:
    """Add what lies between "(name" and "name)", and what stands at one moment."""
    found: list[tuple[int, int, str]] = []
    begun: defaultdict[str, list[int]] = defaultdict(list)
    for mark in marks:
        name = mark.text.strip("()").replace("_", " ")
        if mark.text.startswith("("):
            begun[name].append(mark.sample)
        elif mark.text.endswith(")"):
            found.append((begun[name].pop(0) if begun[name] else mark.sample, mark.sample, name))
        elif event_name(name):
            found.append((mark.sample, mark.sample, name))
    found += [(sample, sample, name) for name, samples in begun.items() for sample in samples]
    for begin, end, name in sorted(found, key=lambda one: one[0]):
        begin_s = begin / rate_hz
        collector.add(name, begin_s, max(end - begin, 0) / rate_hz, f"annotation at {begin_s:g} s")


def _is_note(text: str, *, by_epoch: bool) -> bool:
    """Whether a text can be a stage: no definition, no begin or end of an event, no event at one moment."""
    if not text or text.startswith(("(", _DEFINITION)) or text.endswith(")"):
        return False
    return bool(by_epoch and _EPOCH_NOTE.fullmatch(text)) or not event_name(text.replace("_", " "))


def _stage_and_indicators(text: str, where: str, words: StageWords) -> tuple[Stage, list[str]]:
    """Return the stage that a note means, and the event indicators behind it; a note that nobody knows is Unknown."""
    first, *further = text.split()
    if _EPOCH_NOTE.fullmatch(text):
        indicators = [token for token in (first, *further) if token in _INDICATORS]
        named = f"stage {first}" if first.isdigit() else first
        return (Stage.UNKNOWN if first in _INDICATORS else words.stage(named, where)), indicators
    if text.strip().lower() in _UNDEFINED:
        return Stage.UNKNOWN, []
    return words.stage(text, where), []


def _apnea_minutes(marks: list[_Mark], rate_hz: float) -> list[tuple[float, bool]] | None:
    """Return (start, apnea) of every minute of an Apnea-ECG file: nothing but N and A, one a minute; None for another file."""
    marks = [mark for mark in marks if not mark.text.startswith(_DEFINITION)]
    if len(marks) < 2 or any(mark.text or mark.kind not in (_NORMAL, _APNEA) for mark in marks):
        return None
    times = [mark.sample / rate_hz for mark in marks]
    steps = {round(b - a) for a, b in itertools.pairwise(times)}
    return [(at, mark.kind == _APNEA) for at, mark in zip(times, marks, strict=True)] if steps == {round(_MINUTE_S)} else None


def _add_minutes(minutes: list[tuple[float, bool]], collector: MarkCollector) -> list[str]:
    """Add a run of apnea minutes as one event; return what has to be said of it."""
    for apnea, run in itertools.groupby(minutes, key=lambda one: one[1]):
        times = [at for at, _ in run]
        if apnea:
            collector.add("Obstructive apnea", times[0], _MINUTE_S * len(times), f"annotation at {times[0]:g} s")
    told = sum(apnea for _, apnea in minutes)
    return [
        f"the file tells {told} of {len(minutes)} minutes with apnea or hypopnea, not the single events: each run of minutes is "
        "one event named Obstructive apnea; count no index from them"
    ]


def _time_base(path: Path, marks: list[_Mark], *, with_duration: bool) -> tuple[float, float | None, datetime | None]:
    """Return samples a second, and the recording's length in seconds and start where the header beside the file is read."""
    stated = next((found for mark in marks if (found := _RESOLUTION.match(mark.text))), None)
    rate_hz = float(stated[1]) if stated else 0.0
    beside = path.with_suffix(SUFFIX)
    if (not rate_hz or with_duration) and beside.is_file():
        header = read_wfdb_header(beside)
        duration_s = None if header.n_frames is None else header.n_frames / header.frames_hz
        return rate_hz or header.frames_hz, duration_s, header.start
    if not rate_hz:
        raise ScoringError(f"{path}: does not say its time resolution; put the record's header {beside.name} beside it")
    return rate_hz, None, None


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
                marks[-1] = _Mark(marks[-1].sample, text, marks[-1].kind)
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
                marks.append(_Mark(sample, "", kind))
    raise ScoringError(f"{path}: is cut off or no file of WFDB annotations; copy it again")
