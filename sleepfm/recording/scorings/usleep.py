"""Hypnograms of U-Sleep: `.tsv` with one row a bout, `ids` (the same with commas, without a header), and `.npy`.

A `.npy` holds (n, 5) probabilities in the order wake, N1, N2, N3, REM, or (n, 1) integers, one an epoch of 30 s. Integers are
U-Sleep's (0 wake, 1 N1, 2 N2, 3 N3, 4 REM, 5 unknown) only when somebody says that the file is U-Sleep's: other programs write
`.npy` too.

What the format cannot hold: events and the start; a `.tsv` no probabilities; a `.npy` of probabilities no stage but the
likeliest, and a tie of several is Unknown.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from sleepfm.errors import ScoringError
from sleepfm.files import atomic_path
from sleepfm.recording.scorings.codes import stages_of
from sleepfm.recording.scorings.contents import Contents, Known
from sleepfm.recording.scorings.epochs import Stretch, bouts, row_length_s
from sleepfm.recording.scorings.likeliest import likeliest_stages, said_of_ties
from sleepfm.recording.scorings.losses import losses
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.recording.scorings.stage_names import StageWords, stage_from_name
from sleepfm.recording.scorings.tables import Row, number, read_lines, read_raw, table_of
from sleepfm.vocabulary import SCORED_STAGES, Stage

NPY_MAGIC = b"\x93NUMPY"
_HEADER = ("init_sec", "duration_sec", "stage")
_WORDS = {Stage.WAKE: "WAKE", Stage.N1: "N1", Stage.N2: "N2", Stage.N3: "N3", Stage.REM: "REM", Stage.UNKNOWN: "UNKNOWN"}
_CODES = {0: Stage.WAKE, 1: Stage.N1, 2: Stage.N2, 3: Stage.N3, 4: Stage.REM, 5: Stage.UNKNOWN}
_SUM_TOLERANCE = 0.02
"""Probabilities are rounded to a few digits."""


def is_usleep_table(head: str) -> bool:
    """Tell whether the first line is U-Sleep's header, or start, length and a stage word."""
    first = head.lstrip("\ufeff").partition("\n")[0].strip()
    if tuple(first.lower().split("\t")) == _HEADER or tuple(first.lower().split(",")) == _HEADER:
        return True
    cells = [cell.strip() for cell in first.split(",")]
    return len(cells) == 3 and all(cell.isdigit() for cell in cells[:2]) and stage_from_name(cells[2]) is not None


def read_usleep(path: Path, known: Known) -> Contents:
    """Read one of the three kinds.

    Raises
    ------
    ScoringError
        A row that cannot be read, naming it.
    CodesNeededError
        Integers in a `.npy`, and neither their meaning nor the format was stated.
    """
    raw = read_raw(path)
    return _read_npy(path, raw, known) if raw.startswith(NPY_MAGIC) else _read_table(path)


def write_usleep(scoring: Scoring, path: Path, *, events: tuple[Event, ...]) -> list[str]:
    """Write a `.npy` when the file is called so, else a `.tsv`, whole or not at all; return what it could not hold."""
    if path.suffix.lower() == ".npy":
        return _write_npy(scoring, path, events)
    rows = [
        "\t".join(_HEADER),
        *(f"{begin_s:.10g}\t{length_s:.10g}\t{_WORDS[stage]}" for stage, begin_s, length_s in bouts(scoring)),
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8", newline="")
    return losses(scoring, events, probabilities=False, with_events=False)


def _read_table(path: Path) -> Contents:
    text = read_lines(path)
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ","
    headed = _HEADER[0] in first.lower()
    _, rows = table_of(text if headed else delimiter.join(_HEADER) + "\n" + text, path, delimiter=delimiter)
    words = StageWords()
    stretches = tuple(_stretch(row, words, skipped=0 if headed else 1) for row in rows)
    return Contents(stretches, warnings=tuple(words.said()))


def _stretch(row: Row, words: StageWords, *, skipped: int) -> Stretch:
    where = f"line {int(row.where.removeprefix('line ')) - skipped}"
    located = Row(where, row.cells)
    begin_s = number(located, _HEADER[0])
    return Stretch(begin_s, begin_s + number(located, _HEADER[1]), words.stage(row.cells.get(_HEADER[2], ""), where), where)


def _read_npy(path: Path, raw: bytes, known: Known) -> Contents:
    try:
        values = np.load(io.BytesIO(raw), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise ScoringError(f"{path}: is no array of numbers that can be read ({error})") from None
    if values.dtype.kind not in "iufb" or values.ndim not in (1, 2) or values.size == 0:
        raise ScoringError(f"{path}: holds {values.dtype} of shape {values.shape}, not one value or five probabilities an epoch")
    said: list[str] = []
    epoch_s = row_length_s(len(values), known.duration_s, said)
    if values.ndim == 2 and values.shape[1] == len(SCORED_STAGES):
        stages, probabilities = _likeliest(path, values, said)
        stretches = [
            Stretch(k * epoch_s, (k + 1) * epoch_s, stage, f"row {k + 1}", p)
            for k, (stage, p) in enumerate(zip(stages, probabilities, strict=True))
        ]
        return Contents(tuple(stretches), warnings=tuple(said))
    if values.ndim == 2 and values.shape[1] != 1:
        raise ScoringError(f"{path}: has {values.shape[1]} columns, not one value or five probabilities an epoch")
    flat = values.reshape(-1)
    if not np.isfinite(flat).all() or (flat != np.round(flat)).any() or np.abs(flat).max() > 1000:
        row = int(np.argmax(~np.isfinite(flat) | (flat != np.round(flat)) | (np.abs(flat) > 1000))) + 1
        raise ScoringError(f"{path}, row {row}: {flat[row - 1]} is not the code of a stage")
    codes = known.codes if known.codes is not None or not known.stated else _CODES
    found = stages_of([int(value) for value in flat], codes, path)
    listed = tuple(Stretch(k * epoch_s, (k + 1) * epoch_s, stage, f"row {k + 1}") for k, stage in enumerate(found))
    return Contents(listed, warnings=tuple(said))


def _likeliest(path: Path, p_e5: np.ndarray, said: list[str]) -> tuple[list[Stage], list[tuple[float, ...] | None]]:
    """Return the likeliest stage and the probabilities of every row; a row of NaN is Unknown, and so is a tie, which is said."""
    empty = np.isnan(p_e5).all(axis=1)
    with np.errstate(invalid="ignore"):
        wrong = ~empty & ~((p_e5 >= 0).all(axis=1) & (np.abs(p_e5.sum(axis=1) - 1) <= _SUM_TOLERANCE))
    if wrong.any():
        raise ScoringError(f"{path}, row {int(wrong.argmax()) + 1}: {p_e5[int(wrong.argmax())].tolist()} are not probabilities")
    stages_e, tied_e = likeliest_stages(p_e5)
    said += said_of_ties(tied_e)
    stages = [Stage(int(value)) for value in stages_e]
    return stages, [None if blank else tuple(row) for blank, row in zip(empty, p_e5.tolist(), strict=True)]


def _write_npy(scoring: Scoring, path: Path, events: tuple[Event, ...]) -> list[str]:
    code = {stage: number for number, stage in _CODES.items()}
    values = np.array([[code[Stage(int(value))]] for value in scoring.stages], dtype=np.int64).reshape(-1, 1)
    told = False
    if scoring.probabilities is not None:
        unknown = scoring.stages == Stage.UNKNOWN
        best, _ = likeliest_stages(scoring.probabilities)
        said_all = np.abs(np.nansum(scoring.probabilities, axis=1) - 1) <= _SUM_TOLERANCE
        # stages that a person changed are not the likeliest ones any more: they count, not the probabilities
        told = bool(np.where(unknown, np.isnan(scoring.probabilities).all(axis=1), (best == scoring.stages) & said_all).all())
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, scoring.probabilities if told and scoring.probabilities is not None else values)
    return losses(scoring, events, probabilities=told, with_events=False)
