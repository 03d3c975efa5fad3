"""A study's id from its file's name (contracts, "Study id")."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path


def study_id(path: Path, taken: Container[str] = ()) -> str:
    """Return the file's stem with what is outside [A-Za-z0-9._-] as "_"; -2, -3, … is added while the id is taken.

    An id names a folder, so one of dots only ("..") becomes underscores.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem)
    if not stem.strip("."):
        stem = "_" * len(stem)
    identifier, number = stem, 1
    while identifier in taken:
        number += 1
        identifier = f"{stem}-{number}"
    return identifier


def study_ids(paths: Iterable[Path]) -> list[str]:
    """Return an id for each file, in their order, all different."""
    taken: set[str] = set()
    found = []
    for path in paths:
        found.append(study_id(path, taken))
        taken.add(found[-1])
    return found
