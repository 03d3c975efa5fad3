"""The SleepFM scoring CSV: `Start,Stop,StageName,StageNumber` in seconds, ours with probabilities behind.

Published files have rows of 5 s or one row a bout, trailing commas, a repeated first row and further columns; all are read.
"""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.epochs import Stretch, onto_epochs
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.recording.scorings.tables import Row, number, read_table
from sleepfm.vocabulary import PROBABILITY_COLUMNS, STAGE_NAMES, Stage

_COLUMNS = ("Start", "Stop", "StageName", "StageNumber")
_NAMES = {
    "wake": Stage.WAKE, "w": Stage.WAKE, "awake": Stage.WAKE,
    "rem": Stage.REM, "r": Stage.REM, "stage r": Stage.REM, "rem sleep": Stage.REM,
    "unknown": Stage.UNKNOWN, "?": Stage.UNKNOWN, "unscored": Stage.UNKNOWN,
    "movement": Stage.UNKNOWN, "movement time": Stage.UNKNOWN, "mt": Stage.UNKNOWN,
}  # fmt: skip
_NREM = re.compile(r"(?:stage |stage|n|s)([1-4])")


def is_sleepfm_csv(head: str) -> bool:
    """Tell whether the first line of `head` names the columns of this format."""
    first = head.lstrip("\ufeff").partition("\n")[0]
    names = {cell.strip().lower() for cell in first.split(",")}
    return {"start", "stop"} <= names and bool({"stagename", "stagenumber"} & names)


def read_sleepfm_csv(path: Path, *, duration_s: float | None = None) -> Scoring:
    """Read a SleepFM scoring CSV onto the 30-s grid.

    Parameters
    ----------
    path
        The file.
    duration_s
        Length of the recording in seconds, where it is known; what lies behind it is clipped and said in the warnings.

    Raises
    ------
    ScoringError
        With the line: a stage or number that cannot be read, a name and a number that contradict each other, an overlap.
    """
    columns, rows = read_table(path)
    if not {"start", "stop"} <= columns or not {"stagename", "stagenumber"} & columns:
        raise ScoringError(f"{path}: the first line must name the columns {','.join(_COLUMNS)}")
    with_probabilities = {name.lower() for name in PROBABILITY_COLUMNS} <= columns
    try:
        stretches = [_stretch(row, with_probabilities=with_probabilities) for row in rows]
        return onto_epochs(stretches, duration_s=duration_s, scorer="", warnings=[])
    except ScoringError as error:
        raise ScoringError(f"{path}, {error}") from None


def write_sleepfm_csv(scoring: Scoring, path: Path) -> None:
    """Write one row an epoch, whole or not at all; an Unknown epoch has empty probabilities."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    with_probabilities = scoring.probabilities is not None
    table.writerow([*_COLUMNS, *PROBABILITY_COLUMNS] if with_probabilities else _COLUMNS)
    for k, value in enumerate(scoring.stages):
        stage = Stage(int(value))
        cells = [f"{k * scoring.epoch_s:.10g}", f"{(k + 1) * scoring.epoch_s:.10g}", STAGE_NAMES[stage], str(int(stage))]
        if scoring.probabilities is not None:
            cells += ["" if np.isnan(p) else str(np.float32(p)) for p in scoring.probabilities[k]]
        table.writerow(cells)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def stage_from_name(name: str) -> Stage | None:
    """Return the stage a name means in SleepFM, AASM or R&K words (stage 4 is N3, movement Unknown); None when it is no stage."""
    plain = " ".join(name.lower().split())
    if plain in _NAMES:
        return _NAMES[plain]
    nrem = _NREM.fullmatch(plain)
    return Stage(min(int(nrem[1]), 3)) if nrem else None


def _stretch(row: Row, *, with_probabilities: bool) -> Stretch:
    start_s, stop_s = number(row, "start"), number(row, "stop")
    probabilities = None
    if with_probabilities:
        cells = [row.cells.get(name.lower(), "") for name in PROBABILITY_COLUMNS]
        if any(cells):
            probabilities = tuple(number(row, name.lower()) for name in PROBABILITY_COLUMNS)
            if any(not 0 <= p <= 1 for p in probabilities):
                raise ScoringError(f"{row.where}: probabilities {','.join(cells)} are not between 0 and 1")
    return Stretch(start_s, stop_s, _stage(row), row.where, probabilities)


def _stage(row: Row) -> Stage:
    name, digits = row.cells.get("stagename", ""), row.cells.get("stagenumber", "")
    by_name = stage_from_name(name) if name else None
    if name and by_name is None:
        raise ScoringError(f"{row.where}: {name[:40]!r} is not a sleep stage")
    if not digits:
        if by_name is None:
            raise ScoringError(f"{row.where}: has no stage")
        return by_name
    value = number(row, "stagenumber")
    if not math.isfinite(value) or value not in set(Stage):
        raise ScoringError(f"{row.where}: stage number {digits[:20]!r} is none of -1, 0, 1, 2, 3, 4")
    by_number = Stage(int(value))
    if by_name is not None and by_name != by_number:
        raise ScoringError(
            f"{row.where}: {name[:40]!r} and stage number {digits} contradict each other "
            "(Wake 0, Stage 1 1, Stage 2 2, Stage 3 3, REM 4, Unknown -1)"
        )
    return by_number
