"""Where the stages of the library's scorings stand, for what looks at many studies: in a file, or of a review in a row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sleepfm.library.library import Library
from sleepfm.library.study import AUTOMATIC_ENGINES, SCORINGS_IN_ORDER
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.recording.scorings.scoring import Scoring

_TURNED_BACK = """(SELECT count(*) FILTER (WHERE t.action = 'undo') - count(*) FILTER (WHERE t.action = 'redo') FROM edits t
 WHERE t.scoring = e.scoring AND t.concerns = e.id)"""
_SCORED_BY_HAND = f"""EXISTS (SELECT 1 FROM edits e WHERE e.scoring = r.id AND e.action = 'score' AND {_TURNED_BACK} = 0
 AND e.id > coalesce((SELECT max(e.id) FROM edits e
 WHERE e.scoring = r.id AND e.action = 'reset stages' AND {_TURNED_BACK} = 0), 0))"""
BY_PEOPLE = (
    f"r.engine NOT IN ({', '.join(repr(name) for name in AUTOMATIC_ENGINES)})"
    f" AND (w.scoring IS NULL OR w.state <> 'open' OR {_SCORED_BY_HAND})"
    " AND json_extract(r.provenance, '$.by_program') IS NOT 1"
)
"""Condition for scorings that a person made, or that came with the recording. An open review in which no stage that somebody
scored stands (nothing was done, or all of it undone or reset) is still its program's proposal, and so is a file that somebody
added and that holds probabilities."""


@dataclass(frozen=True)
class ScoringPlace:
    """A scoring and where its stages stand.

    Attributes
    ----------
    label
        Who scored, in a word or two.
    file
        None for a review.
    state
        How far a review is, None for any other scoring.
    revision
        Changes when the stages do: of a file the time of writing (ns), of a review its version.
    """

    id: int
    study: str
    engine: str
    model: str
    label: str
    file: Path | None
    revision: int
    state: str | None

    @property
    def mark(self) -> int:
        """One number by which to see later whether this scoring, as it is now, is still the one that was used."""
        return self.id if self.file is not None else -self.revision


def scoring_places(library: Library, which: str = "1", values: tuple[str, ...] = ()) -> Iterator[ScoringPlace]:
    """Give scorings of the files that the studies have now, by study, the first that counts first (`SCORINGS_IN_ORDER`).

    One whose file was deleted is left out.

    Parameters
    ----------
    which, values
        A condition on `r` (scorings), `s` (studies) and `w` (reviews), and what stands for its question marks.
    """
    for row in _rows(library, which, values):
        place = _place(library, row)
        if place is not None:
            yield place


def first_places(library: Library, which: str = "1", values: tuple[str, ...] = ()) -> dict[str, ScoringPlace]:
    """Return of each study the scoring that counts among those that meet a condition, by study id."""
    first: dict[str, ScoringPlace] = {}
    for row in _rows(library, which, values):
        # of ten thousand studies only the files that count are looked for
        if row["study"] not in first and (place := _place(library, row)) is not None:
            first[place.study] = place
    return first


def _rows(library: Library, which: str, values: tuple[str, ...]) -> sqlite3.Cursor:
    return library.connection.execute(
        "SELECT r.id, r.study, r.engine, r.model, r.file, json_extract(r.provenance, '$.label') AS label, w.version, w.state"
        " FROM scorings r JOIN studies s ON s.id = r.study AND s.sha256 = r.source_sha256"
        f" LEFT JOIN reviews w ON w.scoring = r.id WHERE {which} ORDER BY r.study, {SCORINGS_IN_ORDER}",
        values,
    )


def _place(library: Library, row: sqlite3.Row) -> ScoringPlace | None:
    about = (row["id"], row["study"], row["engine"], row["model"], str(row["label"]))
    if row["version"] is not None:
        return ScoringPlace(*about, None, row["version"], row["state"])
    file = library.home.studies / row["study"] / "scorings" / row["file"]
    try:
        return ScoringPlace(*about, file, file.stat().st_mtime_ns, None)
    except FileNotFoundError:
        return None


def stages_at(library: Library, place: ScoringPlace) -> np.ndarray:
    """Return (epoch,) int8 stages; those of a file are kept, since an answer may look at many nights again and again."""
    if place.file is not None:
        return _stages_of_file(place.file, place.revision)
    row = library.connection.execute("SELECT stages FROM reviews WHERE scoring = ?", (place.id,)).fetchone()
    return np.frombuffer(b"" if row is None else row["stages"], np.int8)


def scoring_at(library: Library, place: ScoringPlace, *, duration_s: float | None = None) -> Scoring:
    """Return a scoring as its scorer states it; of a person without a model's probabilities.

    Raises
    ------
    ScoringError
        Its file cannot be read any more.
    """
    if place.file is None:
        return Scoring(stages_at(library, place), scorer=place.label)
    return read_scoring(place.file, duration_s=duration_s)


@lru_cache(maxsize=10_000)
def _stages_of_file(file: Path, _written_ns: int) -> np.ndarray:
    return read_scoring(file).stages
