"""Whose nights a study may be compared with: other people's, and simulated nights only with simulated ones."""

from __future__ import annotations

from sleepfm.library.facts import people
from sleepfm.library.library import Library
from sleepfm.library.study import Study


def comparable_studies(library: Library, study: Study) -> dict[str, str]:
    """Return the subject of each study that may be compared, by its id.

    A study whose subject nobody stated counts as a person of its own, unless it is the same file under another name.
    """
    subject_of = {name: person.subject for name, person in people(library).items()}
    own = subject_of[study.id]
    rows = library.connection.execute(
        "SELECT id FROM studies WHERE simulated = ? AND (sha256 IS NULL OR sha256 IS NOT ?)", (int(study.simulated), study.sha256)
    )
    return {row["id"]: subject_of[row["id"]] for row in rows if subject_of[row["id"]] != own}


def unnamed_note(study: str) -> str:
    """Return what a reader must know when nobody stated whose night a study is."""
    return f"Nobody stated who was recorded in {study}: other nights of the same person cannot be left out."
