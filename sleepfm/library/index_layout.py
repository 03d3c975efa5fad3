"""Which rows of an index are whose, read from the database once and kept for as long as nobody writes to the library.

With 65,000 nights reading the blocks takes longer than searching their rows.
"""

from __future__ import annotations

import bisect
import itertools
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sleepfm.vocabulary import Modality

_KEPT = 8
"""Layouts, and libraries watched, at a time."""


@dataclass(frozen=True)
class Block:
    """The rows of one study: `rows` rows from `first_row` of the index; row k of them begins at k × `Grain.row_s` seconds.

    Attributes
    ----------
    modalities
        Those that have a row that can be used.
    """

    study: str
    first_row: int
    rows: int
    modalities: tuple[Modality, ...]


@dataclass(frozen=True, eq=False)
class IndexLayout:
    """The blocks of an index, in the order of their rows."""

    blocks: tuple[Block, ...]

    @property
    def end(self) -> int:
        """The row behind the last one that is anybody's."""
        return self.blocks[-1].first_row + self.blocks[-1].rows if self.blocks else 0

    @cached_property
    def of_study(self) -> dict[str, Block]:
        """Each study's block."""
        return {block.study: block for block in self.blocks}

    @cached_property
    def holes(self) -> list[tuple[int, int]]:
        """Rows of studies that were removed or indexed anew, as (first, behind the last)."""
        ends = [0, *(block.first_row + block.rows for block in self.blocks)]
        return [(end, block.first_row) for end, block in zip(ends, self.blocks, strict=False) if block.first_row > end]

    def owner(self, row: int) -> Block:
        """Return the block that a row belongs to."""
        return self.blocks[bisect.bisect_right(self._first_rows, row) - 1]

    @cached_property
    def _first_rows(self) -> list[int]:
        return [block.first_row for block in self.blocks]


def kept_layout(database: Path, name: Hashable, read: Callable[[], IndexLayout]) -> IndexLayout:
    """Return what `read` returned last time for this name, or call it when anything was written to the database since."""
    with _lock:
        version = _version(database)
        kept = _layouts.get((database, name))
        if kept is not None and kept[0] == version:
            _layouts.move_to_end((database, name))
            return kept[1]
    # what is written from here on raises the version, so this layout is at worst newer than the version it is kept under
    layout = read()
    with _lock:
        _layouts[database, name] = (version, layout)
        while len(_layouts) > _KEPT:
            _layouts.popitem(last=False)
    return layout


_lock = threading.Lock()
_layouts: OrderedDict[tuple[Path, Hashable], tuple[object, IndexLayout]] = OrderedDict()
_watchers: OrderedDict[Path, tuple[tuple[int, ...], sqlite3.Connection]] = OrderedDict()
"""A connection a library that never writes, with its file and a number: SQLite tells it when another connection has committed."""
_numbers = itertools.count()


def library_version(database: Path) -> object:
    """Return a value that differs after anything was committed to a library's database."""
    with _lock:
        return _version(database)


def _version(database: Path) -> object:
    """Return a value that differs after anything was committed to the database."""
    stat = database.stat()
    watcher = _watchers.pop(database, None)
    if watcher is not None and watcher[0][:2] != (stat.st_dev, stat.st_ino):  # another library was put in its place
        watcher[1].close()
        watcher = None
    if watcher is None:
        watcher = (
            (stat.st_dev, stat.st_ino, next(_numbers)),
            sqlite3.connect(database, timeout=30.0, isolation_level=None, check_same_thread=False),
        )
    _watchers[database] = watcher
    while len(_watchers) > _KEPT:
        _watchers.popitem(last=False)[1][1].close()
    return watcher[0], watcher[1].execute("PRAGMA data_version").fetchone()
