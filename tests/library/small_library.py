"""A library of links to one small recording: enough for what is known of people, nothing to look at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from sleepfm.library.library import Library
from tests.make_edf import write_edf


def add_studies(library: Library, folder: Path, names: Iterable[str]) -> list[str]:
    """Add a study of ten seconds for each name and return their ids."""
    original = folder / "original.tmp"
    if not original.exists():
        write_edf(folder / "original.edf", seconds=10, labels=("C4-M1",)).rename(original)
    added = []
    for name in names:
        os.link(original, folder / f"{name}.edf")
        added.append(library.add(folder / f"{name}.edf").id)
    return added
