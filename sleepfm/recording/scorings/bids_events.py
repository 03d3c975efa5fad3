"""Stages and events as a BIDS `events.tsv` (https://bids-specification.readthedocs.io, "Task events").

Columns: `onset` and `duration` in seconds from the recording's start; `trial_type`, a stage (W, N1, N2, N3, R, ?) or the name of
an event; `channel`; `source`; and, where a model scored, `p_W`, `p_N1`, `p_N2`, `p_N3`, `p_R`, the probabilities of the epoch.
Missing is "n/a". Of other files a column `stage` or `description` is read in place of `trial_type`.

What the format cannot hold: the start, and the further columns of events.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.codes import stages_of
from sleepfm.recording.scorings.contents import Contents, Known, MarkCollector
from sleepfm.recording.scorings.epochs import Stretch
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, is_stage_word
from sleepfm.recording.scorings.tables import Row, number, read_lines, spreadsheet_safe, spreadsheet_text, table_of
from sleepfm.text import printable
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, Stage

_COLUMNS = ("onset", "duration", "trial_type", "channel", "source")
_PROBABILITIES = tuple(f"p_{STAGE_SHORT[stage]}" for stage in SCORED_STAGES)
_LABELS = ("trial_type", "stage", "description")
_MISSING = "n/a"
_INTEGER = re.compile(r"-?\d{1,4}")


def is_bids_events(head: str) -> bool:
    """Tell whether the first line names the columns, separated by tabs."""
    names = {cell.strip().lower() for cell in head.lstrip("\ufeff").partition("\n")[0].split("\t")}
    return {"onset", "duration"} <= names and bool(names & set(_LABELS))


def read_bids_events(path: Path, known: Known) -> Contents:
    """Read stages and events; a `trial_type` that is neither is left out and said.

    Raises
    ------
    ScoringError
        A number that is none, naming the line.
    CodesNeededError
        Integers in place of stages, and nobody said what they mean.
    """
    columns, rows = table_of(read_lines(path), path, delimiter="\t")
    label = next((name for name in _LABELS if name in columns), None)
    if label is None or not {"onset", "duration"} <= columns:
        raise ScoringError(f"{path}: the first line must name the columns onset, duration and trial_type, separated by tabs")
    words, marks = StageWords(), MarkCollector("bids")
    stretches = []
    integers = [row.cells.get(label, "") for row in rows]
    if rows and all(_INTEGER.fullmatch(text) for text in integers):
        coded = stages_of([int(text) for text in integers], known.codes, path)
        return Contents(tuple(_stretch(row, stage) for row, stage in zip(rows, coded, strict=True)))
    for row in rows:
        text = _cell(row, label)
        if is_stage_word(text):
            stretches.append(_stretch(row, words.stage(text, row.where)))
            continue
        lasts_s = number(row, "duration") if _cell(row, "duration") else 0.0
        marks.source = _cell(row, "source") or "bids"
        marks.add(text, number(row, "onset"), lasts_s, row.where, channel=_cell(row, "channel"))
    return Contents(tuple(stretches), tuple(marks.marks), warnings=(*words.said(), *marks.said()))


def _stretch(row: Row, stage: Stage) -> Stretch:
    start_s = number(row, "onset")
    return Stretch(start_s, start_s + number(row, "duration"), stage, row.where, _probabilities(row))


def write_bids_events(scoring: Scoring, path: Path, *, events: tuple[Event, ...]) -> list[str]:
    """Write one row an epoch and one an event, in order of onset, whole or not at all; return what it could not hold."""
    with_probabilities = scoring.probabilities is not None
    none = [_MISSING] * len(_PROBABILITIES) if with_probabilities else []
    rows: list[tuple[float, int, list[str]]] = []
    for k, value in enumerate(scoring.stages):
        cells = [_digits(k * scoring.epoch_s), _digits(scoring.epoch_s), STAGE_SHORT[Stage(int(value))], _MISSING, _MISSING]
        if scoring.probabilities is not None:
            cells += [_MISSING if np.isnan(p) else str(np.float32(p)) for p in scoring.probabilities[k]]
        rows.append((k * scoring.epoch_s, 0, cells))
    for event in events:
        lasts_s = event.stop_s - event.start_s
        cells = [_digits(event.start_s), _digits(lasts_s), event.name, _text(event.channel), _text(event.source), *none]
        rows.append((event.start_s, 1, cells))
    header = [*_COLUMNS, *_PROBABILITIES] if with_probabilities else list(_COLUMNS)
    lines = ["\t".join(header), *("\t".join(cells) for _, _, cells in sorted(rows, key=lambda row: row[:2]))]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    return losses(scoring, events, probabilities=True, extra=())


def _cell(row: Row, column: str) -> str:
    text = row.cells.get(column, "")
    return "" if text.lower() == _MISSING else spreadsheet_text(text)


def _text(text: str) -> str:
    return spreadsheet_safe(printable(" ".join(text.replace('"', "'").split()))) or _MISSING


def _probabilities(row: Row) -> tuple[float, ...] | None:
    if not all(_cell(row, name.lower()) for name in _PROBABILITIES):
        return None
    values = tuple(number(row, name.lower()) for name in _PROBABILITIES)
    if any(not 0 <= p <= 1 for p in values):
        raise ScoringError(f"{row.where}: the probabilities {', '.join(_PROBABILITIES)} are not between 0 and 1")
    return values


def _digits(value: float) -> str:
    return f"{value:.1f}" if float(value).is_integer() else repr(float(value))
