"""The files of one simulated study: made, or found finished."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np

from sleepfm.errors import SleepFMError
from sleepfm.progress import Progress, silent
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.signals.store import open_signals
from sleepfm.simulation.cohort import Participant
from sleepfm.simulation.course import SOURCE, draw_course
from sleepfm.simulation.edf_writer import FINGERPRINT_DIGITS, fingerprint_in, write_night
from sleepfm.simulation.follow_up import follow_up
from sleepfm.simulation.hdf5_writer import write_signals
from sleepfm.simulation.measures import measure
from sleepfm.simulation.night import record
from sleepfm.simulation.people import Visit

SignalFormat = Literal["edf", "hdf5"]
FIRST_NIGHT = datetime(2020, 1, 1, 22, 30)  # nobody's night: any date would do, and a fixed one keeps files equal


@dataclass(frozen=True)
class StudyFiles:
    """One study of a cohort as files.

    Attributes
    ----------
    visit
        Who is studied where.
    hours
        Length of the night.
    folder
        Where the files go.
    signal_format
        "edf" or "hdf5".
    """

    visit: Visit
    hours: float
    folder: Path
    signal_format: SignalFormat

    @property
    def paths(self) -> dict[str, Path]:
        """The files by what they are: "edf" or "hdf5", "scoring", "events"."""
        study_id = self.visit.study_id
        return {
            self.signal_format: self.folder / f"{study_id}.{self.signal_format}",
            "scoring": self.folder / f"{study_id}.csv",
            "events": self.folder / f"{study_id}_events.csv",
        }

    def make(self, *, threads: int, progress: Progress = silent) -> Participant:
        """Write the files, the signals last, unless they are there already; return the study's row of the cohort.

        Raises
        ------
        SleepFMError
            When the disk refuses.
        """
        visit = self.visit
        course = draw_course(visit.night_seed, self.hours, subject=visit.subject)
        fingerprint = visit.fingerprint(course.duration_s)
        if not self._finished(fingerprint):
            progress(0.0, f"simulating {visit.study_id}")
            night = record(course, montage=visit.montage, threads=threads)
            progress(0.7, f"writing {visit.study_id}")
            write_scoring(Scoring(night.stages, scorer=SOURCE), self.paths["scoring"])
            write_events(night.events, self.paths["events"])
            start = FIRST_NIGHT + timedelta(days=visit.number - 1)
            path = self.paths[self.signal_format]
            if self.signal_format == "edf":
                write_night(night, path, start=start, fingerprint=fingerprint)
            else:
                write_signals(night, path, record_id=visit.study_id, start=start, source_sha256=fingerprint)
        return Participant(visit, measure(course), follow_up(np.random.default_rng(visit.life_seed), visit.subject))

    def _finished(self, fingerprint: str) -> bool:
        """Whether all files are there and the signals, which are written last, come from the same settings."""
        if not all(path.is_file() for path in self.paths.values()):
            return False
        path = self.paths[self.signal_format]
        if self.signal_format == "edf":
            return fingerprint_in(path) == fingerprint[:FINGERPRINT_DIGITS]
        try:
            with open_signals(path) as signals:
                return signals.source_sha256 == fingerprint
        except SleepFMError:  # a damaged file is made anew
            return False
