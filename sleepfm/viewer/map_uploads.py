"""Tables that somebody uploads on the cohort page: kept in a folder of their own only as long as they are read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.library.cohort_tables import EVENT_FILE, PEOPLE_FILES, TIME_FILE, TableImport, import_table
from sleepfm.library.library import Library
from sleepfm.text import printable
from sleepfm.viewer.map_words import counted

MOST_BYTES = 100_000_000


def import_uploads(library: Library, files: Mapping[str, bytes]) -> list[tuple[str, TableImport]]:
    """Import uploaded tables: a table of people, the two of the follow-up, or all three.

    Returns
    -------
    list
        What each table brought, under its name; the two of the follow-up are one.

    Raises
    ------
    RequestError
        When a table is too large, or of the two of the follow-up one is missing.
    SleepFMError
        When one of them cannot be read.
    """
    large = [name for name, content in files.items() if len(content) > MOST_BYTES]
    if large:
        raise RequestError(f"{printable(large[0])}: is larger than {MOST_BYTES // 1_000_000} MB, which no cohort's table is")
    follow_up = {name for name in files if name.lower() in (EVENT_FILE, TIME_FILE)}
    done = []
    with tempfile.TemporaryDirectory(prefix="sleepfm-tables-") as folder:
        for number, (name, content) in enumerate(files.items()):
            if name not in follow_up:
                # each alone in its folder, under a name of ours: what was uploaded with it is read by itself
                path = Path(folder) / str(number) / PEOPLE_FILES[0]
                path.parent.mkdir()
                path.write_bytes(content)
                done.append((name, _named(library, path, name)))
        if follow_up:
            for name in follow_up:
                (Path(folder) / name.lower()).write_bytes(files[name])
            done.append((" and ".join(sorted(follow_up)), _named(library, Path(folder) / EVENT_FILE, EVENT_FILE)))
    return done


def _named(library: Library, path: Path, name: str) -> TableImport:
    """Import a table so that what is wrong with it is said of the file that its user knows."""

    def known(said: str) -> str:
        return said.replace(str(path), printable(name)).replace(f"{path.parent}{os.sep}", "")

    try:
        done = import_table(library, path)
    except SleepFMError as error:
        raise type(error)(known(str(error))) from None
    return replace(done, notes=tuple(known(note) for note in done.notes))


def import_words(name: str, done: TableImport) -> str:
    """Return what a table brought, in a sentence."""
    words = f"{printable(name)}: {counted(len(done.studies), 'study', 'studies')} of the library"
    if done.columns:
        words += f", columns {', '.join(printable(column) for column in done.columns)}"
    if done.outcomes:
        words += f", {done.outcomes} follow-ups"
    if done.unknown_studies:
        rows = counted(len(done.unknown_studies), "row names", "rows name")
        words += f"; {rows} no study of the library, such as {printable(done.unknown_studies[0])}"
    return words
