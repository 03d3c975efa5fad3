"""What the viewer's routes need of a study, whoever keeps it: the library in the app, a folder in a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.signed_in import User


@dataclass(frozen=True)
class NamedScoring:
    """A scoring as it stands beside the hypnogram.

    Attributes
    ----------
    id
        Chooses it in a request.
    label
        Who scored, in a word or two ("YASA", "Expert").
    note
        What is said in small print below: model, weights, version.
    simulated
        Made by a model that was trained on simulated signals: said in large print.
    signals
        Labels of the signals it was made from, as far as its provenance names them.
    by_person
        Whether it is a review, which `StudySource.review` gives whole.
    """

    id: str
    label: str
    note: str
    scoring: Scoring
    simulated: bool = False
    signals: tuple[str, ...] = ()
    by_person: bool = False


class StudySource(Protocol):
    """Resolves a study's id; every method raises RequestError for an unknown one.

    The methods are called from several threads.
    """

    def recording(self, study_id: str) -> Recording:
        """Return the open recording, the user's channel corrections applied; the source keeps and closes it."""
        ...

    def scorings(self, study_id: str) -> Sequence[NamedScoring]:
        """Return the study's scorings, the one to show first first."""
        ...

    def review(self, scoring_id: str, user: User) -> dict[str, Any]:
        """Return a review as the browser gets it (`sleepfm.viewer.review_answers.review_json`)."""
        ...

    def followed(self, scoring_id: str) -> dict[str, Any]:
        """Return of a review what it takes to follow its stages (`sleepfm.viewer.review_answers.followed_json`)."""
        ...

    def quality(self, study_id: str) -> QualityReport | None:
        """Return the quality report, None until it was made."""
        ...

    def events(self, study_id: str) -> Sequence[Event]:
        """Return the events to be marked while no review is shown: the newest set, else the recording's own annotations."""
        ...

    def spectrograms(self, study_id: str) -> dict[str, Path]:
        """Return the stored spectrograms: key of the trace → file of `sleepfm.analysis.spectrogram.write_spectrogram`."""
        ...

    def envelopes(self, study_id: str) -> Path | None:
        """Return where the study's envelopes are kept (`sleepfm.signals.envelopes`), whether they were made or not."""
        ...
