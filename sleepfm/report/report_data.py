"""What a report says, before it is drawn: plain data, with nothing of a person's identity in it unless that was asked for.

`gather` fills it, `html` and `pdf` draw it. Whatever is not here cannot get into a report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum

import numpy as np

from sleepfm.analysis.sleep_statistics import NightStatistics
from sleepfm.analysis.spectrogram import Spectrogram
from sleepfm.library.ahi_rule import AhiRule
from sleepfm.library.events_by_hand import EventsByHand
from sleepfm.recording.identity import Identity
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.signals.vitals import Vitals


@dataclass(frozen=True)
class StudyFacts:
    """Which night this is.

    Attributes
    ----------
    study
        The study's id, or a code where the id itself held words of the header's identity.
    duration_s
        Length of the recording in seconds, gaps included.
    start_time
        Time of day of the recording's start; None when the header has none.
    start_date, patient
        The date and the header's patient field: only of an identified report, else None.
    age, sex
        In years, and "female" or "male", as the lab's table tells them; None when it does not, or they are not wanted.
    simulated
        Whether the recording was made by `sleepfm simulate`.
    """

    study: str
    duration_s: float
    start_time: time | None = None
    start_date: date | None = None
    patient: str | None = None
    age: float | None = None
    sex: str | None = None
    simulated: bool = False

    @property
    def identified(self) -> bool:
        """Whether the report names the person or the day."""
        return self.start_date is not None or self.patient is not None


class State(StrEnum):
    """Who stands behind the stages and events."""

    PROPOSAL = "proposal"
    """A program or a file said so, and nobody has looked at it here."""
    OPEN = "open"
    REVIEWED = "reviewed"
    SIGNED = "signed"


@dataclass(frozen=True)
class Standing:
    """How far the scoring has come.

    Attributes
    ----------
    proposal
        What it began from, in a few words ("YASA 0.8.1"); "" when a person began with nothing.
    by_program
        Whether a program proposed that, not a file.
    scorer
        Who reviews it; "" for a proposal.
    changed_epochs, looked_at
        Epochs whose stage differs from the proposal's, and those that somebody set or confirmed.
    edits
        Entries of the log, by what they did ("score" → 43).
    changed_at
        When it was edited last (UTC).
    signed_by, signed_at, sha256
        Of a signed scoring: who, as it is printed ("Ada Lovelace (ada)"), when (UTC), and the hash over its content.
    broken
        Whether stages or events are no longer those whose hash was signed: the library's file was changed by hand.
    """

    state: State
    proposal: str = ""
    by_program: bool = False
    scorer: str = ""
    changed_epochs: int = 0
    looked_at: int = 0
    edits: Mapping[str, int] = field(default_factory=dict)
    changed_at: datetime | None = None
    signed_by: str = ""
    signed_at: datetime | None = None
    sha256: str = ""
    broken: bool = False

    @property
    def signed(self) -> bool:
        """Whether somebody stands behind the very content of the report."""
        return self.state is State.SIGNED and not self.broken


@dataclass(frozen=True)
class Spectrum:
    """The spectrogram that stands under the hypnogram, of which trace, in which unit."""

    spectrogram: Spectrogram
    label: str
    unit: str


@dataclass(frozen=True)
class ChannelQuality:
    """The quality of one channel.

    Attributes
    ----------
    flags
        (n_epochs,) uint8 of `QualityFlag`.
    words
        The same in a few words.
    bad
        Whether the channel is unusable for most of the night.
    """

    label: str
    kind: str
    flags: np.ndarray
    words: str
    bad: bool


@dataclass(frozen=True)
class ReportData:
    """Everything that a report says.

    Attributes
    ----------
    events
        In order of their start, lights included; seconds from the recording's start.
    lights_off_s, lights_on_s
        In seconds from the recording's start, None where nobody set them.
    by_hand
        What people did to the events of a review; None of a proposal.
    ahi_rule
        By which rule a program scored the events that the AHI counts; None where none is known.
    gaps
        Stretches (start_s, stop_s) without data.
    simulated_models
        Names of models in it that were trained on simulated signals.
    remarks
        What a reader has to know before the numbers, each a sentence.
    provenance
        Name and value, in the order they are printed.
    made_at
        When the report was made (UTC).
    cleaned_of
        Whom the recording's header names, where that was taken out of everything else: it is looked for in what was made.
    """

    facts: StudyFacts
    scoring: Scoring
    standing: Standing
    statistics: NightStatistics
    made_at: datetime
    events: tuple[Event, ...] = ()
    events_by: str = ""
    by_hand: EventsByHand | None = None
    ahi_rule: AhiRule | None = None
    lights_off_s: float | None = None
    lights_on_s: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    vitals: Vitals | None = None
    spectrum: Spectrum | None = None
    quality: tuple[ChannelQuality, ...] = ()
    simulated_models: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    provenance: tuple[tuple[str, str], ...] = ()
    cleaned_of: Identity = field(default_factory=Identity)

    @property
    def simulated(self) -> bool:
        """Whether the signals, or a model behind the numbers, were simulated."""
        return self.facts.simulated or bool(self.simulated_models)
