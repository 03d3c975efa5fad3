"""Where the vitals of a study are kept."""

from __future__ import annotations

from pathlib import Path

from sleepfm.library.library import Library
from sleepfm.signals.vitals import Vitals


def vitals(library: Library, identifier: str) -> Vitals | None:
    """Return the vitals of a study, None until its preparation (or the scoring of its events) has made them.

    Raises
    ------
    RequestError
        When there is no such study.
    """
    library.study(identifier)
    file = vitals_file(library, identifier)
    return Vitals.load(file) if file.is_file() else None


def vitals_file(library: Library, identifier: str) -> Path:
    """Return where the vitals of a study are kept."""
    return library.study_folder(identifier) / "vitals.npz"
