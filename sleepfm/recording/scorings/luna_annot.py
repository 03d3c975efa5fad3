"""Luna's annotation files (`.annot`): tab-separated class, instance, channel, start, stop, meta.

Times are seconds from the recording's start, clock times (hh:mm:ss), elapsed times (0+hh:mm:ss) or epochs (e:12); a stop may be
a length ("+12.5") or "..." (until the next row). https://zzz.nyspi.org/luna/ref/annotations/. Probabilities stand in the meta
column of a stage (pW=0.1;pN1=…), further columns and the source of an event in that of the event.

What the format cannot hold: a `;` or `=` within a meta value, and the recording's start.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.clock import as_clock, clock_of
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, is_stage_word
from sleepfm.recording.scorings.tables import read_lines, spreadsheet_safe, spreadsheet_text
from sleepfm.text import printable
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_SHORT, EventName, Stage

_COLUMNS = ("class", "instance", "channel", "start", "stop", "meta")
_SHORTER = {3: ("class", "start", "stop"), 4: ("class", "instance", "start", "stop"), 5: _COLUMNS[:5]}
_CLASSES: dict[str, str] = {
    EventName.OBSTRUCTIVE_APNEA: "apnea_obstructive",
    EventName.CENTRAL_APNEA: "apnea_central",
    EventName.MIXED_APNEA: "apnea_mixed",
    EventName.HYPOPNEA: "hypopnea",
    EventName.RERA: "rera",
    EventName.DESATURATION: "desat",
    EventName.AROUSAL: "arousal",
    EventName.LEG_MOVEMENT: "LM",
    EventName.PLM: "PLM",
    EventName.SNORE: "snoring",
    EventName.LIGHTS_OFF: "lights_off",
    EventName.LIGHTS_ON: "lights_on",
    EventName.ARTIFACT: "artifact",
}
"""Luna's own names, as its NSRR remapping table has them."""
_PROBABILITIES = ("pW", "pN1", "pN2", "pN3", "pR")
_STAGE_CLASSES = {"sleepstage", "sleep_stage", "stage", "stages"}
"""Classes whose instance is the stage."""
_LIGHTS_ON = "L"
_NOTHING = {".", ""}
_CLOCK = re.compile(r"(?:(\d+)\+)?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?")
_EPOCH = re.compile(r"e:(\d{1,7})(?::(\d+(?:\.\d+)?))?(?::(\d+(?:\.\d+)?))?")


def is_luna_annot(head: str) -> bool:
    """Tell whether the first rows are those of an annotation file: the header, or a class and two times."""
    for line in head.splitlines()[:50]:
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        if [cell.lower() for cell in cells[:2]] in (["class", "instance"], ["class", "start"]):
            return True
        names = _SHORTER.get(len(cells), _COLUMNS)
        row = dict(zip(names, cells, strict=False))
        return len(cells) >= 3 and _is_time(row.get("start", "")) and (
            _is_time(row.get("stop", "").removeprefix("+")) or row.get("stop") in (".", "...")
        )  # fmt: skip
    return False


def read_luna_annot(path: Path, known: Known) -> Contents:
    """Read an annotation file.

    Raises
    ------
    ScoringError
        Naming the line: columns that are missing, a time that is none; or clock times beside seconds when the recording's
        start is not known.
    """
    rows = _rows(path)
    axis = _Axis(path, clock_of(known.start)[0])
    starts = [axis.seconds(cells.get("start", ""), where) for cells, where in rows]
    words, marks = StageWords(), MarkCollector("annot")
    stretches = []
    lights_on = 0
    for k, ((cells, where), start_s) in enumerate(zip(rows, starts, strict=True)):
        following_s = starts[k + 1] if k + 1 < len(starts) else start_s + EPOCH_S
        stop_s = axis.stop(cells.get("stop", ""), cells.get("start", ""), start_s, following_s, where)
        label, meta = cells["class"], _meta(cells.get("meta", ""))
        if label.lower() in _STAGE_CLASSES:
            label = cells.get("instance", "")
        if label == _LIGHTS_ON or is_stage_word(label):
            lights_on += label == _LIGHTS_ON
            stage = Stage.UNKNOWN if label == _LIGHTS_ON else words.stage(label, where)
            stretches.append(Stretch(start_s, stop_s, stage, where, _probabilities(meta, where)))
        else:
            channel = cells.get("channel", "")
            marks.source = str(meta.pop("source", "annot"))
            cell = "" if channel in _NOTHING else spreadsheet_text(channel)
            marks.add(label, start_s, stop_s - start_s, where, channel=cell, extra=meta)
    said = [*words.said(), *marks.said()]
    if lights_on:
        said.append(f"{lights_on} row(s) of class L (lights on) became Unknown")
    begins, dated = axis.begins
    return Contents(
        tuple(stretches), tuple(marks.marks), begins=begins, dated=dated, by_clock=begins is not None, warnings=tuple(said)
    )


def write_luna_annot(scoring: Scoring, path: Path, *, events: tuple[Event, ...]) -> list[str]:
    """Write one row an epoch and one an event, in order of time, whole or not at all; return what it could not hold."""
    rows: list[tuple[float, int, str]] = []
    for k, value in enumerate(scoring.stages):
        meta = "."
        if scoring.probabilities is not None and not np.isnan(scoring.probabilities[k]).any():
            meta = ";".join(f"{name}={np.float32(p)}" for name, p in zip(_PROBABILITIES, scoring.probabilities[k], strict=True))
        begin_s = k * scoring.epoch_s
        rows.append((begin_s, 0, _line(STAGE_SHORT[Stage(int(value))], "", begin_s, begin_s + scoring.epoch_s, meta)))
    for event in events:
        told = {"source": event.source} if event.source else {}
        meta = ";".join(f"{_plain(key)}={_plain(str(value))}" for key, value in (told | event.extra).items()) or "."
        rows.append((event.start_s, 1, _line(_CLASSES[event.name], event.channel, event.start_s, event.stop_s, meta)))
    classes = dict.fromkeys(line.partition("\t")[0] for _, _, line in sorted(rows))
    text = [*(f"# {name}" for name in classes), "\t".join(_COLUMNS), *(line for _, _, line in sorted(rows))]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8", newline="")
    return []


class _Axis:
    """Turns a row's times into seconds from the recording's start."""

    def __init__(self, path: Path, start: datetime | None) -> None:
        self._path = path
        self._start = start
        self._first: datetime | None = None
        self._counted = False

    @property
    def begins(self) -> tuple[datetime | None, bool]:
        """The clock time that counts as second 0 because the recording's start is not known; None when nothing needs one."""
        return self._first, False

    def seconds(self, text: str, where: str) -> float:
        epoch = _EPOCH.fullmatch(text)
        if epoch is not None:
            step_s = float(epoch[3] or epoch[2] or EPOCH_S)
            return (int(epoch[1]) - 1) * step_s
        clock = _CLOCK.fullmatch(text)
        if clock is None:
            value = _number(text)
            if value is None:
                raise ScoringError(f"{self._path}, {where}: start {printable(text)[:40]!r} is not a time")
            return self._count(value, where)
        hours, minutes, seconds = int(clock[2]), int(clock[3]), float(clock[4] or 0)
        if clock[1] is not None:
            return self._count(int(clock[1]) * 86400.0 + hours * 3600 + minutes * 60 + seconds, where)
        moment, _ = as_clock(datetime(2000, 1, 1).date(), hours, minutes, seconds)
        if moment is None:
            raise ScoringError(f"{self._path}, {where}: {printable(text)[:40]!r} is not a time of day")
        if self._start is None and self._first is None:
            if self._counted:
                raise ScoringError(self._mixed(where))
            self._first = moment
        origin = self._start or self._first
        assert origin is not None
        apart = moment - datetime.combine(moment.date(), origin.time())
        return (apart % timedelta(days=1)).total_seconds()

    def stop(self, text: str, start_text: str, start_s: float, following_s: float, where: str) -> float:
        if text == "...":
            return max(following_s, start_s)
        if text in _NOTHING:
            epoch = _EPOCH.fullmatch(start_text)
            return start_s + (float(epoch[2] or EPOCH_S) if epoch else 0.0)
        if text.startswith("+"):
            clock, length = _CLOCK.fullmatch(text[1:]), _number(text[1:])
            if clock is not None:
                length = int(clock[1] or 0) * 86400.0 + int(clock[2]) * 3600 + int(clock[3]) * 60 + float(clock[4] or 0)
            if length is None:
                raise ScoringError(f"{self._path}, {where}: stop {printable(text)[:40]!r} is not a length of time")
            return start_s + length
        epoch = _EPOCH.fullmatch(text)
        last_s = self.seconds(text, where)
        if epoch is not None:
            last_s += float(epoch[2] or EPOCH_S)
        elif last_s < start_s and _CLOCK.fullmatch(text) and "+" not in text:
            last_s += 86400.0  # past midnight of a recording that is longer than to the next one
        return last_s

    def _count(self, value: float, where: str) -> float:
        self._counted = True
        if self._first is not None:
            raise ScoringError(self._mixed(where))
        return value

    def _mixed(self, where: str) -> str:
        return f"{self._path}, {where}: clock times and seconds stand side by side: give the recording, whose start relates them"


def _rows(path: Path) -> list[tuple[dict[str, str], str]]:
    names: tuple[str, ...] | None = None
    rows = []
    for number, line in enumerate(read_lines(path).splitlines(), start=1):
        cells = _cells(line)
        if not cells or line.startswith("#"):
            continue
        lowered = tuple(cell.lower() for cell in cells)
        if names is None and lowered[0] == "class" and "start" in lowered:
            names = lowered
            continue
        columns = names or _SHORTER.get(len(cells), _COLUMNS)
        row = dict(zip(columns, cells, strict=False))
        if len(cells) < 3 or "start" not in row:
            raise ScoringError(
                f"{path}, line {number}: has {len(cells)} column(s); an annotation has a class, a start and a stop"
            )
        rows.append((row, f"line {number}"))
    return rows


def _cells(line: str) -> list[str]:
    parts = line.split("\t") if "\t" in line else line.split()
    cells = [part.strip() for part in parts]
    return cells if any(cells) else []


def _is_time(text: str) -> bool:
    return bool(_CLOCK.fullmatch(text) or _EPOCH.fullmatch(text)) or _number(text) is not None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _meta(text: str) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for part in re.split(r"[;|]", text):
        key, sign, value = part.partition("=")
        if sign and key.strip():
            number = _number(value)
            found[printable(key.strip())[:40]] = printable(value.strip())[:200] if number is None else number
    return found


def _probabilities(meta: dict[str, float | str], where: str) -> tuple[float, ...] | None:
    values = [meta.get(name) for name in _PROBABILITIES]
    if all(value is None for value in values):
        return None
    numbers = tuple(value for value in values if isinstance(value, float) and 0 <= value <= 1)
    if len(numbers) != len(SCORED_STAGES):
        raise ScoringError(f"{where}: the probabilities {', '.join(_PROBABILITIES)} are not five numbers between 0 and 1")
    return numbers


def _line(label: str, channel: str, start_s: float, stop_s: float, meta: str) -> str:
    cell = spreadsheet_safe(printable(" ".join(channel.split()))) or "."
    return "\t".join((label, ".", cell, _digits(start_s), _digits(stop_s), meta))


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[;|=\x00-\x1f]", " ", text).split())


def _digits(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
