"""Nights with what is known of each: one reader a task, and the gathering of all nights of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sleepfm.analysis.breathing import presence, severity
from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.models.card import Condition, DemographicCoding
from sleepfm.models.importing import read_labels
from sleepfm.training.labels import LabelFiles, read_breathing, read_demographics, read_stages, read_survival
from sleepfm.training.night_embeddings import NightFiles
from sleepfm.training.nights import LabelledNight, Night, open_nights

STAGES, SDB = "stages", "sdb"
"""Labels by epoch."""
SEVERITY, PRESENCE, AHI = "severity", "presence", "ahi"
YEARS, EVENT, KNOWN, DEMOGRAPHICS = "years", "event", "known", "demographics"
"""Labels by night."""

Notes = tuple[str, ...]
_GIGABYTE = 1e9


class LabelReader(Protocol):
    """Reads what is known of a night."""

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return the night with its labels, and what did not fit; SleepFMError when it is of no use, with the reason."""
        ...


@dataclass(frozen=True)
class Gathered:
    """Nights with their labels, why others are left out, and what did not fit in those that are used; by study."""

    nights: dict[str, LabelledNight]
    left_out: dict[str, str]
    notes: dict[str, Notes]


def gather_nights(reader: LabelReader, found: NightFiles, subject_of: Mapping[str, str], *, memory_gb: float = 4.0) -> Gathered:
    """Open embedded nights and read what is known of them.

    Parameters
    ----------
    found
        As `sleepfm.training.night_embeddings.embed_nights` gives it.
    subject_of
        Subject of each study; a study that is not in it is its own subject.
    memory_gb
        See `sleepfm.training.nights.open_nights`.
    """
    opened, unreadable = open_nights(found.files, subject_of, memory_bytes=memory_gb * _GIGABYTE)
    left_out = {**found.left_out, **unreadable}
    nights: dict[str, LabelledNight] = {}
    notes: dict[str, Notes] = {}
    for study, night in opened.items():
        try:
            nights[study], said = reader.label(night)
        except SleepFMError as error:
            left_out[study] = str(error)
            continue
        if said:
            notes[study] = said
    return Gathered(nights, left_out, notes)


def label_files(folder: Path | None, signals: Iterable[Path], key: str) -> LabelFiles:
    """Return the files of a folder, or of the signals' folders without one; RequestError when there is neither."""
    folders = [folder] if folder is not None else [path if path.is_dir() else path.parent for path in signals]
    if not folders:
        raise RequestError(f"{key}: say in which folder they are; data.signals names none beside which they could be")
    return LabelFiles(folders)


class StageReader:
    """Stages by epoch, Unknown in gaps."""

    def __init__(self, scorings: LabelFiles) -> None:
        self._scorings = scorings

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Read the night's scoring."""
        path = self._scorings.scoring(night.study)
        found_e, notes = read_stages(path, night.origin.duration_s)
        stages_e = np.full(night.epochs, -1, np.int8)
        stages_e[: len(found_e)] = found_e[: night.epochs]
        stages_e[~night.known_epochs()] = -1
        if (stages_e < 0).all():
            raise ScoringError(f"{path}: all its scored epochs lie in gaps of the recording")
        return LabelledNight(night, {STAGES: stages_e}), notes


class BreathingReader:
    """Events by epoch; AHI, severity and presence by night."""

    def __init__(self, scorings: LabelFiles, events: LabelFiles) -> None:
        self._stages = StageReader(scorings)
        self._events = events

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Read the night's scoring and events."""
        scored, notes = self._stages.label(night)
        stages_e = scored.by_epoch[STAGES]
        found = read_breathing(self._events.events(night.study), stages_e)
        if math.isnan(found.ahi):
            notes = (*notes, "less than half an hour of sleep is scored: the AHI is unknown")
        by_night: dict[str, np.ndarray] = {
            AHI: np.array(found.ahi, np.float32),
            SEVERITY: np.array(severity(np.array(found.ahi)), np.int64),
            PRESENCE: np.array(presence(np.array(found.ahi)), np.int64),
        }
        return LabelledNight(night, {STAGES: stages_e, SDB: found.sdb_e}, by_night), notes


class FollowUpReader:
    """What became of each person, and age and sex where a table of them is given.

    Parameters
    ----------
    is_event, time_to_event, demographics
        See `sleepfm.training.finetune_settings.DiseaseSettings`.
    studies
        Whose rows are read.
    labels
        CSV that names the conditions; None names them by column.
    coding
        How age and sex are given to a head.

    Attributes
    ----------
    conditions
        In the order of the labels.
    masked_early
        How many labels are masked because the condition was there before the night.

    Raises
    ------
    RequestError, SleepFMError, ModelError
        As of the tables that are read.
    """

    def __init__(
        self,
        is_event: Path,
        time_to_event: Path,
        studies: Sequence[str],
        *,
        demographics: Path | None = None,
        coding: DemographicCoding | None = None,
        labels: Path | None = None,
    ) -> None:
        self._tables = f"{is_event} and {time_to_event}"
        wanted = set(studies)
        self._survival = read_survival(is_event, time_to_event, wanted)
        names = self._survival.conditions
        self.conditions: tuple[Condition, ...] = (
            tuple(Condition(phecode=name, phenotype=name) for name in names)
            if labels is None
            else read_labels(labels, len(names))
        )
        self.masked_early = self._survival.not_usable
        self._coding = coding or DemographicCoding()
        self._demographics = demographics
        sex_code = {} if isinstance(self._coding.sex_code, str) else self._coding.sex_code
        self._people = {} if demographics is None else read_demographics(demographics, wanted, sex_code)

    @property
    def studies(self) -> frozenset[str]:
        """Those that have a usable follow-up, and age and sex where a table of them is given."""
        known = {study for study, known_k in self._survival.known_k.items() if known_k.any()}
        return frozenset(known if self._demographics is None else known & self._people.keys())

    def events(self, studies: Iterable[str]) -> np.ndarray:
        """Return (condition,) how many of some studies' people got it."""
        counts_k = np.zeros(len(self.conditions), np.int64)
        for study in studies:
            counts_k += self._survival.event_k[study]
        return counts_k

    def label(self, night: Night) -> tuple[LabelledNight, Notes]:
        """Return what became of the person."""
        study, survival = night.study, self._survival
        if study not in survival.years_k:
            raise SleepFMError(f"is not in both {self._tables}")
        if not survival.known_k[study].any():
            raise SleepFMError(f"has no usable follow-up in {self._tables}: every condition is unknown")
        known: dict[str, np.ndarray] = {
            YEARS: survival.years_k[study],
            EVENT: survival.event_k[study],
            KNOWN: survival.known_k[study],
        }
        if self._demographics is not None:
            if study not in self._people:
                raise SleepFMError(f"has no age and sex in {self._demographics}")
            known[DEMOGRAPHICS] = np.array(self._coding.encode(*self._people[study]), np.float32)
        return LabelledNight(night, by_night=known), ()
