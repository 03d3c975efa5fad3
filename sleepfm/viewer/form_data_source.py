"""Where a run's data come from: a dataset or a folder; what that means for its settings, and its lists as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import BaseModel

from sleepfm.errors import RequestError
from sleepfm.library import facts
from sleepfm.library.training_data import Dataset
from sleepfm.text import printable
from sleepfm.training.settings import PretrainSettings
from sleepfm.training.splits import LISTS, Splits, read_splits, read_subjects
from sleepfm.viewer.form_cohort import about_people, known_age, known_sex, written_at
from sleepfm.viewer.form_draft import Place
from sleepfm.viewer.form_schema import REMOVE
from sleepfm.vocabulary import STAGE_NAMES, STAGE_SHORT

TABLES = ("is_event", "time_to_event", "demographics")
DATA_NAMES = ("scorings", "events", *TABLES, "labels")
"""Paths beside `data` that come with it."""
_SHOWN = 4
"""Sites named in the table; the others are counted."""


@dataclass(frozen=True)
class DataPaths:
    """The files of a cohort that is ready for training; None for what it has not."""

    signals: Path
    splits: Path
    cohort: Path | None = None
    scorings: Path | None = None
    events: Path | None = None
    is_event: Path | None = None
    time_to_event: Path | None = None
    demographics: Path | None = None


class UndividedError(RequestError):
    """A folder holds no lists of who is trained on."""


def of_dataset(dataset: Dataset) -> DataPaths:
    """Return the files of a dataset."""
    return DataPaths(
        dataset.signals,
        dataset.splits,
        dataset.cohort,
        dataset.scorings,
        dataset.events if dataset.events.is_dir() and any(dataset.events.iterdir()) else None,
        dataset.is_event,
        dataset.time_to_event,
        dataset.demographics,
    )


def in_folder(folder: Path) -> DataPaths:
    """Find the files of a cohort in a folder: signals there or in `signals`, `splits.json`, and what lies beside them.

    Raises
    ------
    UndividedError
        It has no splits.
    RequestError
        There is no such folder.
    """
    try:
        if not folder.is_dir():
            raise RequestError(f"{folder}: there is no such folder")
        splits = folder / "splits.json"
        if not splits.is_file():
            raise UndividedError(f"{folder}: has no splits.json, the lists of who is trained on; choose it to make them")

        def part(name: str) -> Path | None:
            return folder / name if (folder / name).is_dir() else None

        def table(name: str) -> Path | None:
            return folder / name if (folder / name).is_file() else None

        return DataPaths(
            part("signals") or folder,
            splits,
            table("cohort.csv"),
            part("scorings"),
            part("events"),
            *(table(f"{name}.csv") for name in TABLES),
        )
    except OSError as error:
        raise RequestError(f"{folder}: cannot be looked at ({error.strerror})") from None


def settings_of(kind: type[BaseModel], paths: DataPaths, splits: Splits) -> dict[Place, Any]:
    """Return the settings that say so; of the lists those that hold somebody."""
    own = "pretrain" if issubclass(kind, PretrainSettings) else "train"
    lists = [own] if getattr(splits, own) else [name for name in ("pretrain", "train") if getattr(splits, name)]
    changes: dict[Place, Any] = {
        ("data", "signals"): [str(paths.signals)],
        ("data", "splits"): str(paths.splits),
        ("data", "cohort"): None if paths.cohort is None else str(paths.cohort),
        ("data", "lists"): lists,
    }
    for name in ("scorings", "events", *TABLES):
        field = kind.model_fields.get(name)
        if field is not None:
            path = getattr(paths, name)
            changes[name,] = str(path) if path is not None else (REMOVE if field.is_required() else None)
    return changes


def no_data(kind: type[BaseModel]) -> dict[Place, Any]:
    """Return the settings of a form for which no data are chosen."""
    changes: dict[Place, Any] = {("data", "signals"): REMOVE, ("data", "splits"): REMOVE, ("data", "cohort"): None}
    for name in ("scorings", "events", *TABLES):
        if (field := kind.model_fields.get(name)) is not None:
            changes[name,] = REMOVE if field.is_required() else None
    return changes


def read_lists(splits: Path, cohort: Path | None) -> tuple[Splits, dict[str, str]]:
    """Return who is in which list, and the subject of each study; errors as of the files, one line each."""
    return _read_lists(splits, written_at(splits), cohort, written_at(cohort))


@lru_cache(maxsize=8)  # a form asks with every letter that is typed into it
def _read_lists(splits: Path, _of_splits: int, cohort: Path | None, _of_cohort: int) -> tuple[Splits, dict[str, str]]:
    subject_of = read_subjects(cohort)
    return read_splits(splits, subject_of), subject_of


def about_listed(cohort: Path | None) -> Mapping[str, Mapping[str, str]]:
    """Return what a cohort's table says of each study by column; nothing without one."""
    return {} if cohort is None else _about_listed(cohort, written_at(cohort))


@lru_cache(maxsize=8)
def _about_listed(cohort: Path, _of_cohort: int) -> Mapping[str, Mapping[str, str]]:
    return about_people(cohort)


def training_people(splits: Splits, subject_of: Mapping[str, str], lists: Sequence[str]) -> int:
    """Return how many people some lists hold."""
    known = [name for name in lists if name in LISTS]
    return len({subject_of.get(study, study) for study in splits.of(known)})


def list_rows(
    splits: Splits, subject_of: Mapping[str, str], about: Mapping[str, Mapping[str, str]] | None = None
) -> list[dict[str, Any]]:
    """Return what each list holds as rows of a table, with what the cohort's table says of sex, age and site, where it does."""
    told = {name for cells in (about or {}).values() for name in (facts.SEX, facts.AGE, facts.SITE) if name in cells}
    rows = []
    for name in LISTS:
        if not (listed := getattr(splits, name)):
            continue
        row: dict[str, Any] = {"List": name, "People": training_people(splits, subject_of, [name]), "Nights": len(listed)}
        cells = [(about or {}).get(study, {}) for study in listed]
        if facts.SEX in told:
            row["Nights of women"] = _women(Counter(known_sex(one.get(facts.SEX, "")) or "unknown" for one in cells))
        if facts.AGE in told:
            ages = [age for one in cells if (age := known_age(one.get(facts.AGE, ""))) is not None]
            row["Age (years)"] = _age(
                {"known": len(ages), "median": median(ages) if ages else None, "low": min(ages, default=None),
                 "high": max(ages, default=None)}
            )  # fmt: skip
        if facts.SITE in told:
            row["Nights by site"] = _sites(Counter(one.get(facts.SITE) or "unknown" for one in cells))
        rows.append(row)
    return rows


def balance_rows(balance: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a balance (`sleepfm.library.training_data.balance`) as rows of a table; stages in percent of what is scored."""
    rows = []
    for one in balance:
        scored = sum(one["epochs"].values())
        row: dict[str, Any] = {
            "List": one["list"],
            "People": one["subjects"],
            "Nights": one["studies"],
            "Hours": round(one["hours"], 0 if one["hours"] >= 10 else 1),
            "Scored": one["labelled"],
        }
        for stage, name in STAGE_NAMES.items():
            if name in one["epochs"]:
                row[f"{STAGE_SHORT[stage]} (%)"] = round(100 * one["epochs"][name] / scored) if scored else None
        row["Nights of women"] = _women(one["sex"])
        row["Age (years)"] = _age(one["age"])
        row["Nights by site"] = _sites(one["site"])
        rows.append(row)
    return rows


def _women(sex: Mapping[str, int]) -> str:
    known = sum(count for word, count in sex.items() if word != "unknown")
    return f"{sex.get('female', 0)} of {known}" if known else "not known"


def _age(age: Mapping[str, Any]) -> str:
    return f"{age['median']:.0f} ({age['low']:.0f}–{age['high']:.0f})" if age["known"] else "not known"


def _sites(site: Mapping[str, int]) -> str:
    known = [(word, count) for word, count in site.items() if word != "unknown"]
    more = f", and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(f"{printable(word)} {count}" for word, count in known[:_SHOWN]) + more or "not known"
