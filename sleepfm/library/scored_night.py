"""One scoring of a study with everything that its numbers rest on: stages, what was looked at, events, vitals, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sleepfm.analysis.calibration import Temperature, fit_temperature
from sleepfm.errors import RequestError
from sleepfm.library.event_sets import event_sets
from sleepfm.library.events_origin import EventsOrigin, annotated_events
from sleepfm.library.library import Library
from sleepfm.library.review_standing import events_origin, scored_by_hand
from sleepfm.library.review_store import entry_key
from sleepfm.library.reviews import Review, one_moment, review, stored_stages
from sleepfm.library.standing_events import standing_events
from sleepfm.library.study import StudyStatus
from sleepfm.library.vitals import vitals_file
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
    events_from
        The set that the events came from, with what its maker looked for.
    temperature
        Of the probabilities, fitted on what was looked at.
    """

    stages_n: np.ndarray
    probabilities_ns: np.ndarray
    looked_at_n: np.ndarray
    events: tuple[Event, ...]
    events_from: EventsOrigin
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
        When the study has no such scoring, or it is of another file than the study has now.
    RecordingError
        When its stored vitals or its recording cannot be read.
    """
    if _is_review(library, study, scoring):
        with one_moment(library.connection):
            about = review(library, scoring)
            _require_same_file(library, study, about)
            stages_n, _, shares_ns = stored_stages(library.connection, scoring)
            events = standing_events(library.home, library.connection, about)
            events_from = events_origin(library.connection, scoring)
            looked_at_n = scored_by_hand(library.connection, scoring)
    else:
        stored = next((one.scoring for one in library.scorings(study) if one.id == scoring), None)
        if stored is None:
            raise RequestError(f"{study} has no scoring {scoring} any more; open it again")
        stages_n, shares_ns = stored.stages, stored.probabilities
        looked_at_n = np.zeros(len(stages_n), dtype=bool)
        sets = event_sets(library, study)
        events, events_from = (sets[0].events, EventsOrigin.of_set(sets[0])) if sets else annotated_events(library, study)
    if shares_ns is None:
        shares_ns = np.full((len(stages_n), len(SCORED_STAGES)), np.nan, np.float32)
    return ScoredNight(
        stages_n=stages_n,
        probabilities_ns=shares_ns,
        looked_at_n=looked_at_n,
        events=events,
        events_from=events_from,
        vitals=_vitals(library, study),
        temperature=fit_temperature(shares_ns[looked_at_n], stages_n[looked_at_n]),
    )


def _is_review(library: Library, study: str, scoring: int) -> bool:
    row = library.connection.execute("SELECT 1 FROM reviews WHERE scoring = ? AND study = ?", (scoring, study)).fetchone()
    return row is not None


def _require_same_file(library: Library, study: str, about: Review) -> None:
    known = library.study(study)
    if known.status is StudyStatus.CHANGED:
        raise RequestError(f"{study}: {known.message}")
    if known.sha256 != about.source_sha256:
        raise RequestError(f"{study}: this scoring is of another file of the same name; begin a new one")


def scored_version(library: Library, study: str, scoring: int) -> tuple[int, object]:
    """Return a review's version (0 of any other scoring), and a value that changes with anything the numbers rest on.

    Raises
    ------
    RequestError
        When it is of another file than the study has now.
    """
    version, key = 0, ""
    if _is_review(library, study, scoring):
        about = review(library, scoring)
        _require_same_file(library, study, about)
        # numbers of a log are given out again when a library is put back to an older state, keys never
        version, key = about.version, entry_key(library.connection, scoring, about.version)
    newest = library.connection.execute("SELECT max(id) FROM event_sets WHERE study = ?", (study,)).fetchone()[0]
    return version, (version, key, newest, _changed_at(vitals_file(library, study)))


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
