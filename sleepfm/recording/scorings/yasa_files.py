"""Hypnograms of YASA: one integer an epoch of 30 s (`.txt`, `#` begins a comment), or a table (`.csv`).

YASA's integers are 0 wake, 1 N1, 2 N2, 3 N3, 4 REM, -1 artefact, -2 unscored. A bare list of integers may come from many
programs, where REM is 5 or 0: they count as YASA's when the file's comments say so (as ours and YASA's samples do), or when
somebody says that the file is YASA's. The table is what `Hypnogram.as_events` gives (epoch, onset, duration, value, description),
what YASA's tutorial writes (Stage, Confidence), or what EDFbrowser reads (onset, label, duration).

What the format cannot hold: events and the start; a `.txt` no probabilities.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.codes import stages_of
from sleepfm.recording.scorings.contents import Contents, Known
from sleepfm.recording.scorings.epochs import Stretch, row_length_s
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, stage_from_name
from sleepfm.recording.scorings.tables import Row, number, read_lines, table_of
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, Stage

CODES = {0: Stage.WAKE, 1: Stage.N1, 2: Stage.N2, 3: Stage.N3, 4: Stage.REM, -1: Stage.UNKNOWN, -2: Stage.UNKNOWN}
_UNSCORED = -2
_WORDS = {Stage.WAKE: "WAKE", Stage.N1: "N1", Stage.N2: "N2", Stage.N3: "N3", Stage.REM: "REM", Stage.UNKNOWN: "UNS"}
_COMMENT = "# YASA hypnogram: one value per 30 s\n# 0: Wake, 1: N1, 2: N2, 3: N3, 4: REM, -1: Artefact, -2: Unscored\n"
_PROBABILITIES = tuple(STAGE_SHORT[stage] for stage in SCORED_STAGES)
_EVENTS_HEADER = ("epoch", "onset", "duration", "value", "description")
_STATED = re.compile(r"(-?\d+)\s*[:=]\s*([A-Za-z]\w*)")
_INTEGER = re.compile(r"[+-]?\d{1,4}(?:\.0+)?")
_LABELS = ("description", "stage", "label")


def is_yasa_text(head: str) -> bool:
    """Tell whether the first lines are integers, one a line (the last may be cut and does not count)."""
    lines = [line.strip() for line in head.splitlines() if line.strip() and not line.startswith("#")]
    return bool(lines) and all(_INTEGER.fullmatch(line) for line in (lines[:-1] or lines))


def is_yasa_table(head: str) -> bool:
    """Tell whether the first line names the columns of one of YASA's tables."""
    names = {cell.strip().lower() for cell in head.lstrip("\ufeff").partition("\n")[0].split(",")}
    if {"onset", "duration"} <= names:
        return bool({"description", "label"} & names)
    return "stage" in names and bool({"confidence", "epoch", ""} & names)


def read_yasa(path: Path, known: Known) -> Contents:
    """Read a list of integers or a table.

    Raises
    ------
    ScoringError
        A line that cannot be read, naming it.
    CodesNeededError
        Integers whose meaning neither the file nor anybody says.
    """
    text = read_lines(path)
    return _read_table(path, text, known) if is_yasa_table(text[:4096]) else _read_integers(path, text, known)


def write_yasa(scoring: Scoring, path: Path, *, events: tuple[Event, ...]) -> list[str]:
    """Write a table when the file is called `.csv`, else integers; whole or not at all. Return what it could not hold."""
    if path.suffix.lower() != ".csv":
        with atomic_path(path) as temporary:
            temporary.write_text(
                _COMMENT + "".join(f"{_code(value)}\n" for value in scoring.stages), encoding="utf-8", newline=""
            )
        return losses(scoring, events, probabilities=False, with_events=False)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_EVENTS_HEADER if scoring.probabilities is None else [*_EVENTS_HEADER, *_PROBABILITIES])
    for k, value in enumerate(scoring.stages):
        cells = [k, f"{k * scoring.epoch_s:.10g}", f"{scoring.epoch_s:.10g}", _code(value), _WORDS[Stage(int(value))]]
        if scoring.probabilities is not None:
            cells += ["" if np.isnan(p) else str(np.float32(p)) for p in scoring.probabilities[k]]
        table.writerow(cells)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
    return losses(scoring, events, probabilities=True, with_events=False)


def _code(value: int) -> int:
    return _UNSCORED if value == Stage.UNKNOWN else int(value)


def _read_integers(path: Path, text: str, known: Known) -> Contents:
    values: list[int] = []
    places: list[str] = []
    stated: dict[int, Stage] = {}
    for line_number, line in enumerate(text.splitlines(), start=1):
        plain = line.strip()
        if plain.startswith("#"):
            pairs = [(int(code), stage_from_name(word)) for code, word in _STATED.findall(plain)]
            stated |= {code: stage for code, stage in pairs if stage is not None}
        elif plain:
            if _INTEGER.fullmatch(plain) is None:
                raise ScoringError(f"{path}, line {line_number}: {printable(plain)[:40]!r} is not the code of a stage")
            values.append(int(float(plain)))
            places.append(f"line {line_number}")
    if len(stated) > 1:  # the comments say what the integers mean; what they leave out of YASA's is YASA's
        stated = {code: stage for code, stage in CODES.items() if code < 0} | stated
    else:
        stated = dict(CODES) if known.stated else {}
    codes = known.codes if known.codes is not None else stated or None
    said: list[str] = []
    epoch_s = row_length_s(len(values), known.duration_s, said)
    stages = stages_of(values, codes, path)
    stretches = tuple(
        Stretch(k * epoch_s, (k + 1) * epoch_s, stage, where) for k, (stage, where) in enumerate(zip(stages, places, strict=True))
    )
    return Contents(stretches, warnings=tuple(said))


def _read_table(path: Path, text: str, known: Known) -> Contents:
    columns, rows = table_of(text, path)
    label = next((name for name in _LABELS if name in columns), None)
    if label is None:
        raise ScoringError(f"{path}: the first line names no column of stages ({', '.join(_LABELS)})")
    said: list[str] = []
    row_s = row_length_s(len(rows), known.duration_s, said)
    words = StageWords()
    if rows and all(_INTEGER.fullmatch(row.cells.get(label, "")) for row in rows):
        codes = known.codes if known.codes is not None or not known.stated else CODES
        stages = stages_of([int(float(row.cells[label])) for row in rows], codes, path)
    else:
        stages = [words.stage(row.cells.get(label, ""), row.where) for row in rows]
    stretches = tuple(
        _stretch(row, k, stage, row_s, timed="onset" in columns) for k, (row, stage) in enumerate(zip(rows, stages, strict=True))
    )
    return Contents(stretches, warnings=(*words.said(), *(() if "onset" in columns else said)))


def _stretch(row: Row, k: int, stage: Stage, row_s: float, *, timed: bool) -> Stretch:
    begin_s, length_s = (number(row, "onset"), number(row, "duration")) if timed else (k * row_s, row_s)
    cells = [row.cells.get(name.lower(), "") for name in _PROBABILITIES]
    probabilities = None
    if all(cells):
        probabilities = tuple(number(row, name.lower()) for name in _PROBABILITIES)
        if any(not 0 <= p <= 1 for p in probabilities):
            raise ScoringError(f"{row.where}: probabilities {','.join(cells)[:60]} are not between 0 and 1")
    return Stretch(begin_s, begin_s + length_s, stage, row.where, probabilities)
