"""One scoring of a study with everything that its numbers rest on: stages, what was looked at, events, vitals, calibration."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sleepfm.analysis.calibration import Temperature, fit_temperature
from sleepfm.errors import RequestError
from sleepfm.library.event_sets import event_sets
from sleepfm.library.library import Library
from sleepfm.library.review_log import scored_by_hand
from sleepfm.library.reviews import document
from sleepfm.library.vitals import vitals_file
from sleepfm.recording.scorings.event_texts import events_from_annotations
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import Vitals
from sleepfm.vocabulary import SCORED_STAGES


@dataclass(frozen=True, eq=False)
class ScoredNight:
    """A scoring and what its numbers rest on.

    Attributes
    ----------
    stages_n
        (n_epochs,) as they stand.
    probabilities_ns
        (n_epochs, 5) of the proposal, NaN where it has none.
    looked_at_n
        (n_epochs,) epochs that a person set or confirmed.
    events
        Of the review; of an engine's or a file's scoring the newest set's, else the recording's own.
    looked_for
        Names of events that a program is known to have looked for.
    temperature
        Of the probabilities, fitted on what was looked at.
    """

    stages_n: np.ndarray
    probabilities_ns: np.ndarray
    looked_at_n: np.ndarray
    events: tuple[Event, ...]
    looked_for: frozenset[str]
    vitals: Vitals | None
    temperature: Temperature

    @property
    def open_probabilities_ns(self) -> np.ndarray:
        """Return the probabilities of the epochs that nobody looked at; NaN where somebody did."""
        return np.where(self.looked_at_n[:, None], np.nan, self.probabilities_ns)


def scored_night(library: Library, study: str, scoring: int) -> ScoredNight:
    """Return a scoring of a study with all that its numbers rest on.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    RecordingError
        When its stored vitals or its recording cannot be read.
    """
    if _is_review(library, study, scoring):
        content = document(library, scoring)
        stages_n, shares_ns, events = content.stages, content.probabilities, tuple(content.events.values())
        looked_at_n = scored_by_hand(library, scoring)
    else:
        stored = next((one.scoring for one in library.scorings(study) if one.id == scoring), None)
        if stored is None:
            raise RequestError(f"{study} has no scoring {scoring} any more; open it again")
        stages_n, shares_ns = stored.stages, stored.probabilities
        looked_at_n = np.zeros(len(stages_n), dtype=bool)
        sets = event_sets(library, study)
        events = sets[0].events if sets else _own_events(library, study)
    if shares_ns is None:
        shares_ns = np.full((len(stages_n), len(SCORED_STAGES)), np.nan, np.float32)
    return ScoredNight(
        stages_n=stages_n,
        probabilities_ns=shares_ns,
        looked_at_n=looked_at_n,
        events=events,
        looked_for=_looked_for(library, study),
        vitals=_vitals(library, study),
        temperature=fit_temperature(shares_ns[looked_at_n], stages_n[looked_at_n]),
    )


def _is_review(library: Library, study: str, scoring: int) -> bool:
    row = library.connection.execute("SELECT 1 FROM reviews WHERE scoring = ? AND study = ?", (scoring, study)).fetchone()
    return row is not None


def _looked_for(library: Library, study: str) -> frozenset[str]:
    """Return what the makers of the study's sets looked for, without reading the sets."""
    rows = library.connection.execute(
        "SELECT e.provenance FROM event_sets e JOIN studies s ON s.id = e.study AND s.sha256 = e.source_sha256 WHERE e.study = ?",
        (study,),
    )
    return frozenset(name for row in rows for name in json.loads(row["provenance"]).get("looked_for", ()))


def _own_events(library: Library, study: str) -> tuple[Event, ...]:
    with closing(library.recording(study)) as recording:
        return events_from_annotations(recording.annotations())


def scored_version(library: Library, study: str, scoring: int) -> tuple[int, object]:
    """Return a review's version (0 of any other scoring), and a value that changes with anything the numbers rest on."""
    row = library.connection.execute("SELECT version FROM reviews WHERE scoring = ? AND study = ?", (scoring, study)).fetchone()
    version = 0 if row is None else int(row["version"])
    newest = library.connection.execute("SELECT max(id) FROM event_sets WHERE study = ?", (study,)).fetchone()[0]
    return version, (version, newest, _changed_at(vitals_file(library, study)))


def _vitals(library: Library, study: str) -> Vitals | None:
    file = vitals_file(library, study)
    changed_at = _changed_at(file)
    return None if changed_at is None else _loaded(file, changed_at)


def _changed_at(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


@lru_cache(maxsize=4)
def _loaded(file: Path, _changed_at: int) -> Vitals:
    return Vitals.load(file)
