"""The viewer's studies from the library, with recordings kept open between requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from sleepfm.home import Home
from sleepfm.library.event_sets import event_sets
from sleepfm.library.library import Library
from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.event_texts import events_from_annotations
from sleepfm.recording.scorings.scoring import Event
from sleepfm.viewer.review_answers import followed_json, review_json
from sleepfm.viewer.signed_in import User
from sleepfm.viewer.study_source import NamedScoring

_KEPT_OPEN = 16


class LibrarySource:
    """Resolves study ids through the library; recordings stay open for the next page turn, the least used are closed.

    A recording that is closed here may still be read by a request of another thread; it is only forgotten, and closes itself
    when the last reader lets go of it.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._open: OrderedDict[str, tuple[object, Recording]] = OrderedDict()
        self._local = threading.local()

    @property
    def library(self) -> Library:
        """The library by this thread's own connection: the routes run in a thread pool."""
        library: Library | None = getattr(self._local, "library", None)
        if library is None:
            library = self._local.library = Library(self._home)
        return library

    def recording(self, study_id: str) -> Recording:
        """Return the open recording; opened anew when the file or a channel correction has changed."""
        version = self.library.recording_version(study_id)
        with self._lock:
            kept = self._open.get(study_id)
            if kept is not None and kept[0] == version:
                self._open.move_to_end(study_id)
                return kept[1]
        recording = self.library.recording(study_id)
        with self._lock:
            self._open[study_id] = (version, recording)
            self._open.move_to_end(study_id)
            while len(self._open) > _KEPT_OPEN:
                self._open.popitem(last=False)
        return recording

    def scorings(self, study_id: str) -> Sequence[NamedScoring]:
        """Return the study's scorings in the library's order."""
        return [
            NamedScoring(
                id=str(stored.id),
                label=stored.label,
                note=stored.note,
                scoring=stored.scoring,
                simulated=stored.simulated_model,
                signals=_signals(stored.provenance),
                by_person=stored.by_person,
            )
            for stored in self.library.scorings(study_id)
        ]

    def review(self, scoring_id: str, user: User) -> dict[str, Any]:
        """Return a review as the browser gets it."""
        return review_json(self.library, int(scoring_id), user)

    def followed(self, scoring_id: str) -> dict[str, Any]:
        """Return of a review what it takes to follow its stages."""
        return followed_json(self.library, int(scoring_id))

    def quality(self, study_id: str) -> QualityReport | None:
        """Return the quality report, None until the study was prepared."""
        return self.library.quality(study_id)

    def events(self, study_id: str) -> Sequence[Event]:
        """Return the newest set of events, else the recording's own annotations that are events."""
        sets = event_sets(self.library, study_id)
        if sets:
            return sets[0].events
        return events_from_annotations(self.recording(study_id).annotations())

    def spectrograms(self, study_id: str) -> dict[str, Path]:
        """Return the stored spectrograms by the key of their trace."""
        return self.library.spectrograms(study_id)

    def envelopes(self, study_id: str) -> Path:
        """Return where the study's envelopes are kept."""
        return self.library.envelope_file(study_id)


def _signals(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels in a provenance, whose engines list them or give them by modality."""
    named = provenance.get("signals", ())
    return tuple(chain.from_iterable(named.values())) if isinstance(named, Mapping) else tuple(named)
