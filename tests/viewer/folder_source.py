"""A source of studies over recordings named by id, for tests of the viewer without a library."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Event
from sleepfm.viewer.signed_in import User
from sleepfm.viewer.study_source import NamedScoring


class FolderSource:
    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self.named: dict[str, list[NamedScoring]] = {}
        self.marked: dict[str, list[Event]] = {}
        self.reports: dict[str, QualityReport] = {}
        self.spectra: dict[str, dict[str, Path]] = {}
        self.stored: dict[str, Path] = {}
        self._open: dict[str, Recording] = {}
        self._lock = threading.Lock()

    def recording(self, study_id: str) -> Recording:
        if study_id not in self.files:
            raise RequestError(f"no study {study_id!r} here")
        with self._lock:
            if study_id not in self._open:
                self._open[study_id] = open_recording(self.files[study_id])
            return self._open[study_id]

    def scorings(self, study_id: str) -> Sequence[NamedScoring]:
        return self.named.get(study_id, [])

    def review(self, scoring_id: str, user: User) -> dict[str, Any]:
        raise RequestError(f"no review {scoring_id} by {user.name} here")

    def followed(self, scoring_id: str) -> dict[str, Any]:
        raise RequestError(f"no review {scoring_id} here")

    def quality(self, study_id: str) -> QualityReport | None:
        return self.reports.get(study_id)

    def events(self, study_id: str) -> Sequence[Event]:
        return self.marked.get(study_id, [])

    def spectrograms(self, study_id: str) -> dict[str, Path]:
        return self.spectra.get(study_id, {})

    def envelopes(self, study_id: str) -> Path | None:
        return self.stored.get(study_id)

    def close(self) -> None:
        with self._lock:
            for recording in self._open.values():
                recording.close()
