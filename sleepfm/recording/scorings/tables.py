"""Small comma-separated tables with a header line, read with the line kept so that a message can name it."""

from __future__ import annotations

import codecs
import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from sleepfm.errors import RequestError, ScoringError

_MOST_BYTES = 128 << 20
"""The tables of the largest cohorts have some 40 MB."""
_LONGEST_CHARACTER = 4
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins so (OWASP, CSV injection)."""


@dataclass(frozen=True)
class Row:
    """One line: its place in the file and its cells by column name."""

    where: str
    cells: dict[str, str]


def read_raw(path: Path) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    RequestError
        When there is no such file or it may not be read.
    ScoringError
        When it is larger than a scoring or a table can be.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(raw) > _MOST_BYTES:
        raise ScoringError(f"{path} is larger than a scoring or a table can be")
    return raw


def read_lines(path: Path) -> str:
    """Return a text file's content: UTF-16 with a byte order mark, UTF-8 (with or without), or, where that fails, Latin-1.

    Raises
    ------
    RequestError
        When there is no such file or it may not be read.
    ScoringError
        When it holds bytes that no table has (NUL), or too many.
    """
    text = decoded(read_raw(path))
    if "\x00" in text:
        raise ScoringError(f"{path} is not a text table: it holds binary data")
    return text


def decoded(raw: bytes, *, cut: bool = False) -> str:
    """Return the text of bytes by their byte order mark, else as UTF-8, else as Latin-1 (which never fails).

    `cut` says that they end anywhere in a file, perhaps within a character.
    """
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace")
    plain = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError as error:
        if cut and error.start >= len(plain) - _LONGEST_CHARACTER:
            return plain[: error.start].decode("utf-8")
        return plain.decode("latin-1")


def spreadsheet_safe(text: str) -> str:
    """Return a text for a cell of a table that a spreadsheet may open: one that it would take for a formula gets an apostrophe.

    `spreadsheet_text` takes it away again.
    """
    return f"'{text}" if text.lstrip("'")[:1] in _FORMULA else text


def spreadsheet_text(cell: str) -> str:
    """Return what `spreadsheet_safe` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'")[:1] in _FORMULA else cell


def read_table(path: Path, *, keep_case: bool = False) -> tuple[set[str], list[Row]]:
    """Return the column names (lower case unless `keep_case`) and the rows that are not empty; cells are stripped.

    Cells beyond the header's columns (trailing commas) mean nothing and are dropped.
    """
    return table_of(read_lines(path), path, keep_case=keep_case)


def table_of(text: str, path: Path, *, keep_case: bool = False, delimiter: str = ",") -> tuple[set[str], list[Row]]:
    """Return what `read_table` does, of a text that is read already and perhaps separated otherwise."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] = []
    rows: list[Row] = []
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if not names:
                names = stripped if keep_case else [name.lower() for name in stripped]
                continue
            rows.append(Row(f"line {reader.line_num}", {n: c for n, c in zip(names, stripped, strict=False) if n}))
    except csv.Error as error:
        raise ScoringError(f"{path}, line {reader.line_num}: {error}") from error
    if not names:
        raise ScoringError(f"{path} is empty")
    return set(names) - {""}, rows


def number(row: Row, column: str) -> float:
    """Return a finite number from a cell; ScoringError naming the line otherwise."""
    text = row.cells.get(column, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ScoringError(f"{row.where}: {column} {text[:40]!r} is not a number")
    return value
