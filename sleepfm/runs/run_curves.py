"""The figures that a run writes down while it trains, read further each time they are looked at, and thinned for a chart."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

METRICS_FILE = "metrics.jsonl"
_BLOCK_BYTES = 16_000_000
_PRINT_BYTES = 256
_PLACE = ("step", "time")


@dataclass(frozen=True)
class Series:
    """One figure over a run, in the order in which it was written; what was no number then is not in it.

    Attributes
    ----------
    step
        (n,) int64, optimiser steps.
    value
        (n,) float64.
    time
        (n,) float64, seconds since the epoch.
    """

    step: np.ndarray
    value: np.ndarray
    time: np.ndarray


class Curves:
    """The figures in a run's folder. Not for several threads at once.

    Parameters
    ----------
    folder
        The run's folder; it and its file need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / METRICS_FILE
        self._readings = 0
        self._file: tuple[int, int] | None = None
        self._offset = 0
        self._print = b""
        self._bad = 0
        self._trouble = ""
        self._chunks: dict[str, list[Series]] = {}

    @property
    def version(self) -> str:
        """A word that changes whenever there is something new."""
        return f"{self._readings}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """What could not be read."""
        return ((self._trouble,) if self._trouble else ()) + (
            (f"{self._bad} {'line' if self._bad == 1 else 'lines'} of {METRICS_FILE} could not be read and are left out",)
            if self._bad
            else ()
        )

    def read(self) -> dict[str, Series]:
        """Return all figures by name, reading only what was written since the last time.

        A file that was cut back (a resumed run forgets what it will write again) or replaced is read anew.
        """
        try:
            with self._path.open("rb") as file:
                self._trouble = ""
                status = os.fstat(file.fileno())
                if not self._continues(file, status):
                    self._forget()
                    self._file = (status.st_dev, status.st_ino)
                file.seek(self._offset)
                while block := self._whole_lines(file):
                    self._take(block)
                    self._offset += len(block)
                    self._print = (self._print + block[-_PRINT_BYTES:])[-_PRINT_BYTES:]
        except FileNotFoundError:
            if self._offset:
                self._forget()
        except OSError as error:
            self._trouble = f"{METRICS_FILE} cannot be read ({error.strerror or error})"
        return {name: self._series(name) for name in self._chunks}

    def _forget(self) -> None:
        self._readings += 1
        self._file, self._offset, self._print = None, 0, b""
        self._bad, self._trouble, self._chunks = 0, "", {}

    def _continues(self, file: Any, status: os.stat_result) -> bool:
        """Tell whether what was read so far still stands at the beginning of the file."""
        if self._file != (status.st_dev, status.st_ino) or status.st_size < self._offset:
            return False
        file.seek(self._offset - len(self._print))
        return bool(file.read(len(self._print)) == self._print)

    def _whole_lines(self, file: Any) -> bytes:
        """Return the next lines that are whole; the one that is being written waits."""
        block: bytes = file.read(_BLOCK_BYTES)
        end = block.rfind(b"\n") + 1
        while not end and (more := file.read(_BLOCK_BYTES)):  # a line longer than a block: only a hand writes that
            block += more
            end = block.rfind(b"\n") + 1
        file.seek(end - len(block), os.SEEK_CUR)
        return block[:end]

    def _take(self, block: bytes) -> None:
        self._readings += 1
        alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
        entries = self._entries(block)
        for number, entry in enumerate(entries):
            alike[tuple(entry)].append(number)
        found: dict[str, list[tuple[np.ndarray, Series]]] = defaultdict(list)
        for names, numbers in alike.items():
            # a run writes the same figures at each step: taken together they are a table
            table = _table([tuple(entries[number].values()) for number in numbers], len(names))
            columns = dict(zip(names, table.T, strict=True))
            if not set(_PLACE) <= set(columns):
                self._bad += len(numbers)
                continue
            placed = np.isfinite(columns["step"]) & np.isfinite(columns["time"]) & (np.abs(columns["step"]) < 2**53)
            self._bad += int(np.count_nonzero(~placed))
            for name in set(names) - set(_PLACE):
                there = placed & np.isfinite(columns[name])
                if there.any():
                    series = Series(columns["step"][there].astype(np.int64), columns[name][there], columns["time"][there])
                    found[name].append((np.array(numbers)[there], series))
        for name, parts in found.items():
            order = np.argsort(np.concatenate([numbers for numbers, _ in parts]))
            whole = _joined([series for _, series in parts])
            self._chunks.setdefault(name, []).append(Series(whole.step[order], whole.value[order], whole.time[order]))

    def _entries(self, block: bytes) -> list[dict[str, Any]]:
        lines = block.decode("utf-8", "replace").splitlines()
        try:
            found: list[dict[str, Any]] = json.loads(f"[{','.join(lines)}]")
            if len(found) == len(lines) and all(type(entry) is dict for entry in found):
                return found
        except (ValueError, RecursionError):
            pass  # one of them is no JSON: which one, shows line by line
        entries = []
        for line in lines:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if isinstance(entry, dict):
                entries.append(entry)
            else:
                self._bad += 1
        return entries

    def _series(self, name: str) -> Series:
        chunks = self._chunks[name]
        chunks[:] = [_joined(chunks)]
        return chunks[0]


def _joined(parts: Sequence[Series]) -> Series:
    if len(parts) == 1:
        return parts[0]
    step, value, time = (np.concatenate([getattr(one, axis) for one in parts]) for axis in ("step", "value", "time"))
    return Series(step, value, time)


def _table(rows: Sequence[tuple[Any, ...]], width: int) -> np.ndarray:
    """Return (row, column) float64, with NaN for what is no number (text, null, a list)."""
    try:
        if not all(isinstance(value, int | float) for value in rows[0]):
            raise TypeError("numpy would read digits in a text as a number")
        table = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        table = np.array([[_number(value) for value in row] for row in rows], dtype=np.float64)
    return table.reshape(len(rows), width)


def _number(value: Any) -> float:
    if not isinstance(value, int | float):
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.nan


def thinned(series: Series, points: int) -> Series:
    """Return what a chart of so many pixels can show: of each pixel's values the lowest and the highest, and both ends.

    A series of at most two values a pixel comes back as it is.
    """
    n = len(series.step)
    if n <= 2 * points:
        return series
    order = np.arange(n) if np.all(np.diff(series.step) >= 0) else np.argsort(series.step, kind="stable")
    step, value = series.step[order], series.value[order]
    pixel = ((step - step[0]) * points) // max(1, int(step[-1] - step[0]) + 1)
    first = np.flatnonzero(np.diff(pixel, prepend=-1))
    sizes = np.diff(first, append=n)
    kept = [np.array([0, n - 1])]
    for extreme in (np.minimum, np.maximum):
        found = np.flatnonzero(value == np.repeat(extreme.reduceat(value, first), sizes))
        kept.append(found[np.diff(pixel[found], prepend=-1) > 0])  # of equal ones in a pixel the first
    chosen = order[np.unique(np.concatenate(kept))]
    return Series(series.step[chosen], series.value[chosen], series.time[chosen])
