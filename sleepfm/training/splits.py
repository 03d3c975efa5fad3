"""Who is trained on, who decides when to stop, who is only tested: by subject, never by recording.

The file has the published JSON form: the lists `pretrain`, `train`, `validation` and `test`, of study ids or of files.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.files import atomic_path
from sleepfm.signals.study_ids import study_id
from sleepfm.text import printable

LISTS = ("pretrain", "train", "validation", "test")


@dataclass(frozen=True)
class Splits:
    """Study ids by list."""

    pretrain: tuple[str, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, lists: Iterable[str]) -> tuple[str, ...]:
        """Return the studies of some lists, in their order."""
        return tuple(study for name in lists for study in getattr(self, name))


def read_splits(path: Path, subject_of: Mapping[str, str]) -> Splits:
    """Read splits and refuse leakage.

    Parameters
    ----------
    path
        The JSON file. An entry may be a study id or a file's path; a list that is not there is empty.
    subject_of
        Subject of each study; a study that is not in it is its own subject.

    Raises
    ------
    RequestError
        There is no such file.
    SleepFMError
        It is no such JSON, or a subject stands in two lists.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror}); make splits with `sleepfm splits`") from None
    except (ValueError, RecursionError) as error:
        raise SleepFMError(f"{path}: not JSON ({printable(str(error))})") from None
    if not isinstance(content, dict) or not any(name in content for name in LISTS):
        raise SleepFMError(f"{path}: holds none of the lists {', '.join(LISTS)}")
    unknown = [name for name in content if name not in LISTS]
    if unknown:
        raise SleepFMError(f"{path}: unknown list {printable(str(unknown[0]))!r}; known are {', '.join(LISTS)}")
    for name in LISTS:
        entries = content.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise SleepFMError(f"{path}: {name} is no list of study ids")
    splits = Splits(**{name: tuple(dict.fromkeys(_study(entry) for entry in content.get(name, []))) for name in LISTS})
    refuse_leakage(splits, subject_of, where=str(path))
    return splits


def _study(entry: str) -> str:
    file = Path(entry.replace("\\", "/"))
    return study_id(file) if file.suffix.lower() in (".hdf5", ".h5", ".edf", ".bdf", ".hea", ".csv") else entry


def refuse_leakage(splits: Splits, subject_of: Mapping[str, str], *, where: str) -> None:
    """Raise SleepFMError when one subject stands in two lists, naming it."""
    seen: dict[str, tuple[str, str]] = {}
    for name in LISTS:
        for study in getattr(splits, name):
            subject = subject_of.get(study, study)
            before = seen.setdefault(subject, (name, study))
            if before[0] != name:
                raise SleepFMError(
                    f"{where}: subject {printable(subject)} is in {before[0]} ({printable(before[1])}) and in {name}"
                    f" ({printable(study)}): a subject belongs to one list only"
                )


def make_splits(
    subject_of: Mapping[str, str], shares: Mapping[str, float], *, seed: int = 0, strata: Mapping[str, str] | None = None
) -> Splits:
    """Divide studies by subject.

    Parameters
    ----------
    subject_of
        Subject of each study.
    shares
        Share of the subjects by list; they add up to 1.
    strata
        A word for each study (its site); each stratum is divided for itself, by the stratum of a subject's first study.

    Raises
    ------
    RequestError
        When the shares do not add up to 1 or a list's name is not known.
    """
    if set(shares) - set(LISTS) or abs(sum(shares.values()) - 1) > 1e-6 or min(shares.values()) < 0:
        raise RequestError(f"shares of {', '.join(LISTS)} must be 0 or more and add up to 1")
    studies_of: dict[str, list[str]] = defaultdict(list)
    for study, subject in subject_of.items():
        studies_of[subject].append(study)
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for subject, studies in studies_of.items():
        by_stratum[(strata or {}).get(studies[0], "")].append(subject)
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    rng = np.random.default_rng(seed)
    for stratum in sorted(by_stratum):
        subjects = sorted(by_stratum[stratum])
        order = [subjects[i] for i in rng.permutation(len(subjects))]
        ends = np.round(np.cumsum([shares.get(name, 0.0) for name in LISTS]) * len(order)).astype(int)
        for name, first, last in zip(LISTS, [0, *ends[:-1]], ends, strict=True):
            lists[name] += [study for subject in order[first:last] for study in studies_of[subject]]
    return Splits(**{name: tuple(sorted(studies)) for name, studies in lists.items()})


def write_splits(splits: Splits, path: Path) -> None:
    """Write the JSON file, whole or not at all."""
    content = {name: list(getattr(splits, name)) for name in LISTS}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_subjects(path: Path | None) -> dict[str, str]:
    """Return the subject of each study from a CSV with `Study ID` and `Subject ID`; nothing for None.

    Errors as for `read_column`.
    """
    return {} if path is None else read_column(path, "Subject ID")


def read_column(path: Path, column: str) -> dict[str, str]:
    """Return one column of a cohort's CSV by `Study ID`; a study whose cell is empty is not in it.

    Raises
    ------
    RequestError
        There is no such file.
    SleepFMError
        It lacks the column.
    """
    return {study: row[column] for study, row in read_table(path, (column,)).items() if row[column]}


def read_table(path: Path, needed: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    """Return the rows of a cohort's CSV by `Study ID`, cells by column; errors as for `read_column`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            for name in ("Study ID", *needed):
                if name not in columns:
                    raise SleepFMError(f"{path}: has no column {printable(name)}; it has {printable(', '.join(columns))}")
            return {row["Study ID"]: {name: row[name] or "" for name in columns} for row in table if row["Study ID"]}
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SleepFMError(f"{path}: not a CSV file ({printable(str(error))})") from None


def share_of_subjects(studies: Sequence[str], subject_of: Mapping[str, str], fraction: float, seed: int) -> tuple[str, ...]:
    """Return the studies of a share of the subjects, at least one; a smaller share is part of a larger one."""
    subjects = sorted({subject_of.get(study, study) for study in studies})
    order = np.random.default_rng([seed, 0x5B]).permutation(len(subjects))
    kept = {subjects[i] for i in order[: max(1, round(fraction * len(subjects)))]}
    return tuple(study for study in studies if subject_of.get(study, study) in kept)
