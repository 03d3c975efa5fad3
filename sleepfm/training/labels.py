"""What is known of a night: stages, breathing events, age and sex, and what became of the person. Unknown is -1 or masked."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.models.card import Sex
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.recording.scorings.scoring import Event
from sleepfm.text import printable
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

SCORING_ENDINGS = (".csv", "-nsrr.xml", ".xml", ".arousal")
"""How the scoring of the study `<id>` is called, the first that is there."""
EVENT_ENDINGS = ("_events.csv", "-nsrr.xml", ".xml", ".arousal")
"""How the events of the study `<id>` are called, the first that is there."""
RESPIRATORY = frozenset({
    EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA, EventName.HYPOPNEA
})  # fmt: skip
SHORTEST_SLEEP_S = 1800.0
"""With less sleep than this an index per hour of sleep says nothing; the AHI is then unknown."""
_EVENT_IN_EPOCH_S = 10.0


class LabelFiles:
    """Finds the scoring and the events of a study in folders, searched once with all below them."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._files: dict[str, Path] = {}
        for folder in self._folders:
            if not folder.is_dir():
                raise RequestError(f"{folder}: there is no such folder of scorings or events")
            for path in sorted(folder.rglob("*")):
                if path.name.endswith((*SCORING_ENDINGS, *EVENT_ENDINGS)):
                    self._files.setdefault(path.name, path)

    def scoring(self, study: str) -> Path:
        """Return the study's scoring; ScoringError when there is none."""
        return self._find(study, SCORING_ENDINGS, "scoring")

    def events(self, study: str) -> Path:
        """Return the study's events; ScoringError when there are none."""
        return self._find(study, EVENT_ENDINGS, "events")

    def _find(self, study: str, endings: Sequence[str], what: str) -> Path:
        for ending in endings:
            if study + ending in self._files:
                return self._files[study + ending]
        names = ", ".join(study + ending for ending in endings)
        raise ScoringError(f"has no {what}: none of {names} is in {', '.join(map(str, self._folders))}")


def read_stages(path: Path, duration_s: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the stages of a recording of this length.

    Returns
    -------
    stages_e, notes
        (epoch,) int8, one each whole epoch, -1 where nobody scored; and what did not fit: a scoring that is longer or shorter
        than the recording.

    Raises
    ------
    ScoringError
        It cannot be read, or scores nothing.
    """
    scoring = read_scoring(path, duration_s=duration_s)
    stages_e = scoring.stages.astype(np.int8)
    known_n = np.flatnonzero(stages_e != Stage.UNKNOWN)
    if not len(known_n):
        raise ScoringError(f"{path}: scores no epoch of the {duration_s / 3600:.2f} h that were recorded")
    notes = list(scoring.warnings)
    unscored = len(stages_e) - 1 - int(known_n[-1])
    if unscored:
        notes.append(f"the last {unscored} of {len(stages_e)} epochs are not scored")
    return stages_e, tuple(notes)


def sdb_epochs(events: Iterable[Event], epochs: int) -> np.ndarray:
    """Return which 30-s epochs hold an apnea or a hypopnea, (epoch,) bool.

    An epoch does when it overlaps one event by at least 10 s, or by at least half the event: 10 s is the shortest an event can
    be (AASM manual, adult respiratory rules), so every event marks at least one epoch, and one that only reaches into an epoch
    does not mark it.
    """
    marked_e = np.zeros(epochs, bool)
    for event in events:
        if event.name not in RESPIRATORY:
            continue
        first = max(0, int(event.start_s // EPOCH_S))
        last = min(epochs - 1, int(event.stop_s // EPOCH_S))
        enough_s = min(_EVENT_IN_EPOCH_S, (event.stop_s - event.start_s) / 2)
        for epoch in range(first, last + 1):
            overlap_s = min(event.stop_s, (epoch + 1) * EPOCH_S) - max(event.start_s, epoch * EPOCH_S)
            marked_e[epoch] |= overlap_s >= enough_s and overlap_s > 0
    return marked_e


def apnea_hypopnea_index(events: Iterable[Event], stages_e: np.ndarray) -> float:
    """Return apneas and hypopneas an hour of sleep; NaN with less than half an hour of scored sleep.

    An event counts when any part of it lies in an epoch of sleep (AASM manual, adult respiratory rules, notes on scoring).
    """
    asleep_e = stages_e > Stage.WAKE
    sleep_s = float(asleep_e.sum()) * EPOCH_S
    if sleep_s < SHORTEST_SLEEP_S:
        return float("nan")
    counted = 0
    for event in events:
        if event.name in RESPIRATORY:
            first, last = int(max(event.start_s, 0) // EPOCH_S), int(np.ceil(event.stop_s / EPOCH_S))
            counted += bool(asleep_e[first : max(last, first + 1)].any())
    return counted / (sleep_s / 3600)


@dataclass(frozen=True, eq=False)
class BreathingLabels:
    """What a night's events say.

    Attributes
    ----------
    sdb_e
        (epoch,) int8: 1 where an epoch holds an event, 0 where not, -1 where the epoch was not scored.
    ahi
        Events an hour of sleep; NaN where that is not known.
    """

    sdb_e: np.ndarray
    ahi: float


def read_breathing(events: Path, stages_e: np.ndarray) -> BreathingLabels:
    """Read the events of a scored night; ScoringError when they cannot be read."""
    found = read_events(events)
    sdb_e = np.where(stages_e == Stage.UNKNOWN, -1, sdb_epochs(found, len(stages_e))).astype(np.int8)
    return BreathingLabels(sdb_e, apnea_hypopnea_index(found, stages_e))


@dataclass(frozen=True, eq=False)
class SurvivalTable:
    """Follow-up of studies.

    Attributes
    ----------
    conditions
        In the order of the columns of `is_event.csv`.
    years_k, event_k, known_k
        Of each study, (condition,) float32, bool, bool: years to the event or to the end of the follow-up.
    not_usable
        How many labels were masked because the time was 0 or less (the condition was there before the night).
    """

    conditions: tuple[str, ...]
    years_k: dict[str, np.ndarray]
    event_k: dict[str, np.ndarray]
    known_k: dict[str, np.ndarray]
    not_usable: int


def read_survival(is_event: Path, time_to_event: Path, studies: Collection[str]) -> SurvivalTable:
    """Read the follow-up of some studies; a study that is not in both tables is not in the result.

    Raises
    ------
    RequestError
        A file is missing, or none of the studies is in it.
    SleepFMError
        A table that is none, different conditions, a cell that is no number, a study in two rows.
    """
    conditions, events = _number_table(is_event, studies)
    others, years = _number_table(time_to_event, studies)
    if set(conditions) != set(others):
        odd = sorted(set(conditions) ^ set(others))
        raise SleepFMError(
            f"{is_event} and {time_to_event} name different conditions: {printable(', '.join(odd[:3]))} is in one only"
        )
    order = [others.index(condition) for condition in conditions]
    years_k, event_k, known_k = {}, {}, {}
    early = 0
    for study in events.keys() & years.keys():
        happened_k, time_k = events[study], years[study][order]
        strange = np.isfinite(happened_k) & ~np.isin(happened_k, (0.0, 1.0))
        if strange.any():
            column = conditions[int(strange.argmax())]
            raise SleepFMError(f"{is_event}: {printable(study)}, {printable(column)}: is neither 1, 0 nor empty (unknown)")
        known = np.isfinite(happened_k) & np.isfinite(time_k)
        early += int((known & (time_k <= 0)).sum())
        known &= time_k > 0
        years_k[study], event_k[study], known_k[study] = (
            np.where(known, time_k, 0.0).astype(np.float32), known & (happened_k == 1), known
        )  # fmt: skip
    if not years_k:
        raise RequestError(f"none of the {len(studies)} studies is in both {is_event} and {time_to_event}")
    return SurvivalTable(tuple(conditions), years_k, event_k, known_k, early)


def read_demographics(path: Path, studies: Collection[str], sex_code: Mapping[Sex, float]) -> dict[str, tuple[float, Sex]]:
    """Return age in years and sex of studies from a CSV; incomplete rows are not in it.

    Parameters
    ----------
    path
        CSV with `Study ID`, `age` and `gender` (or `sex`).
    sex_code
        The number that stands for each sex, where the table has numbers.

    Raises
    ------
    RequestError
        There is no such file.
    SleepFMError
        A column is missing, or a cell is no age or no sex.
    """
    people: dict[str, tuple[float, Sex]] = {}
    words: dict[str, Sex] = {"female": "female", "f": "female", "male": "male", "m": "male"}
    for line, row in _rows(path, ("Study ID", "age")):
        if "gender" not in row and "sex" not in row:
            raise SleepFMError(f"{path}: has no column gender, nor one called sex")
        study, age_text, sex_text = (row[name].strip() for name in ("Study ID", "age", "gender" if "gender" in row else "sex"))
        if study not in studies or not age_text or not sex_text:
            continue
        age = _number(age_text, f"{path}, line {line}: age")
        sex = words.get(sex_text.lower())
        if sex is None:
            number = _number(sex_text, f"{path}, line {line}: gender (female, male or a number of sex_code)")
            coded = [name for name, code in sex_code.items() if code == number]
            if not coded:
                raise SleepFMError(f"{path}, line {line}: gender {number:g} is none of the numbers of sex_code")
            sex = coded[0]
        if not 0 <= age <= 130:
            raise SleepFMError(f"{path}, line {line}: {age:g} is no age in years")
        people[study] = (age, sex)
    return people


def _number_table(path: Path, studies: Collection[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the columns of a table and the wanted studies' rows as numbers, NaN for empty cells."""
    rows: dict[str, np.ndarray] = {}
    columns: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.reader(file)
            header = [cell.strip() for cell in next(table, [])]
            if "Study ID" not in header or len(header) < 2:
                raise SleepFMError(f"{path}: the first line must name Study ID and the conditions")
            place = header.index("Study ID")
            columns = header[:place] + header[place + 1 :]
            if len(set(columns)) != len(columns):
                raise SleepFMError(f"{path}: a condition stands in two columns")
            for row in table:
                if not row:
                    continue
                if len(row) != len(header):
                    raise SleepFMError(f"{path}, line {table.line_num}: has {len(row)} cells, the first line {len(header)}")
                study = row[place].strip()
                if study not in studies:
                    continue
                if study in rows:
                    raise SleepFMError(f"{path}, line {table.line_num}: {printable(study)} is there for the second time")
                cells = row[:place] + row[place + 1 :]
                rows[study] = np.array([
                    _number(cell, f"{path}, line {table.line_num}: {printable(name)}") if cell.strip() else np.nan
                    for name, cell in zip(columns, cells, strict=True)
                ])  # fmt: skip
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SleepFMError(f"{path}: not a CSV file ({printable(str(error))})") from None
    return columns, rows


def _rows(path: Path, needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, restval="")
            missing = [name for name in needed if name not in (table.fieldnames or [])]
            if missing:
                raise SleepFMError(f"{path}: has no column {', '.join(missing)}")
            return [(table.line_num, row) for row in table]
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SleepFMError(f"{path}: not a CSV file ({printable(str(error))})") from None


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise SleepFMError(f"{where}: {printable(text[:40])!r} is no number")
    return value
