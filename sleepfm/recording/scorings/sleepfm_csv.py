"""The SleepFM scoring CSV: `Start,Stop,StageName,StageNumber` in seconds, ours with probabilities behind.

Published files have rows of 5 s or one row a bout, trailing commas, a repeated first row and further columns; all are read.

What the format cannot hold: events (they have a CSV of their own) and the start.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.contents import Contents, Known
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.events_csv import is_events_csv, read_events_table
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, stage_from_name
from sleepfm.recording.scorings.tables import Row, number, read_lines, table_of
from sleepfm.vocabulary import PROBABILITY_COLUMNS, STAGE_NAMES, Stage

_COLUMNS = ("Start", "Stop", "StageName", "StageNumber")
HEAD_CHARACTERS = 4096
"""The first line of a table ends well within them."""


def is_sleepfm_csv(head: str) -> bool:
    """Tell whether the first line of `head` names the columns of this format."""
    first = head.lstrip("\ufeff").partition("\n")[0]
    names = {cell.strip().lower() for cell in first.split(",")}
    return {"start", "stop"} <= names and bool({"stagename", "stagenumber"} & names)


def read_sleepfm_csv(path: Path, _known: Known) -> Contents:
    """Read a SleepFM scoring CSV, or an events CSV (which has no stages).

    Raises
    ------
    ScoringError
        With the line: a stage or number that cannot be read, a name and a number that contradict each other.
    """
    text = read_lines(path)
    if is_events_csv(text[:HEAD_CHARACTERS]):
        return read_events_table(path)
    columns, rows = table_of(text, path)
    if not {"start", "stop"} <= columns or not {"stagename", "stagenumber"} & columns:
        raise ScoringError(f"{path}: the first line must name the columns {','.join(_COLUMNS)}")
    with_probabilities = {name.lower() for name in PROBABILITY_COLUMNS} <= columns
    words = StageWords()
    stretches = tuple(_stretch(row, words, with_probabilities=with_probabilities) for row in rows)
    return Contents(stretches, warnings=tuple(words.said()))


def write_sleepfm_csv(scoring: Scoring, path: Path, *, events: tuple[Event, ...] = ()) -> list[str]:
    """Write one row an epoch, whole or not at all; an Unknown epoch has empty probabilities. Return what it could not hold."""
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
    return losses(scoring, events, probabilities=True, with_events=False)


def _stretch(row: Row, words: StageWords, *, with_probabilities: bool) -> Stretch:
    start_s, stop_s = number(row, "start"), number(row, "stop")
    probabilities = None
    if with_probabilities:
        cells = [row.cells.get(name.lower(), "") for name in PROBABILITY_COLUMNS]
        if any(cells):
            probabilities = tuple(number(row, name.lower()) for name in PROBABILITY_COLUMNS)
            if any(not 0 <= p <= 1 for p in probabilities):
                raise ScoringError(f"{row.where}: probabilities {','.join(cells)} are not between 0 and 1")
    return Stretch(start_s, stop_s, _stage(row, words), row.where, probabilities)


def _stage(row: Row, words: StageWords) -> Stage:
    name, digits = row.cells.get("stagename", ""), row.cells.get("stagenumber", "")
    if name and stage_from_name(name) is None:
        raise ScoringError(f"{row.where}: {name[:40]!r} is not a sleep stage")
    by_name = words.stage(name, row.where) if name else None
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
