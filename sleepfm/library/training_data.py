"""Studies of the library as training data: which, with whose labels, how even their lists are, and datasets. Loads no torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.library import facts, subsets
from sleepfm.library.library import Library
from sleepfm.library.stored_scorings import ScoringPlace, stages_at
from sleepfm.library.training_labels import NO_LABELS, PEOPLE, Scorer, label_sources, scorers
from sleepfm.library.training_lists import (
    divide,
    kinds_of_nights,
    notes_on,
    require_one_kind,
    split_by_subject,
    subjects,
)
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane
from sleepfm.signals.recipes import RECIPES
from sleepfm.text import printable
from sleepfm.training.splits import LISTS, Splits
from sleepfm.vocabulary import SCORED_STAGES, STAGE_NAMES

__all__ = [
    "NO_LABELS", "PEOPLE", "SHARES", "Dataset", "LibraryChoice", "Scorer", "balance", "chosen_studies", "dataset",
    "dataset_parameters", "datasets", "divide", "free_dataset_name", "kinds_of_nights", "label_sources", "notes_on",
    "require_one_kind", "scorers", "split_by_subject", "subjects", "submit_dataset",
]  # fmt: skip

SHARES = subsets.SHARES
MANIFEST_FILE = "dataset.json"


@dataclass(frozen=True)
class LibraryChoice:
    """Which studies, and whose scorings are their labels.

    Attributes
    ----------
    studies
        Study ids, the name of a saved subset, or None for every study.
    scorings
        `PEOPLE`; an engine ("yasa"), an engine and its model ("sleepfm:demo-staging"); or `NO_LABELS`. What a program staged is
        never taken unless it is asked for by its name.
    labelled
        Only studies that have such a scoring.
    """

    studies: tuple[str, ...] | str | None = None
    scorings: str = PEOPLE
    labelled: bool = False


def chosen_studies(library: Library, choice: LibraryChoice) -> tuple[str, ...]:
    """Return the ids of a choice, in the library's order of ids.

    Raises
    ------
    RequestError
        There is no such subset or study, or nothing is left.
    """
    known = [row["id"] for row in library.connection.execute("SELECT id FROM studies ORDER BY id")]
    if choice.studies is None:
        found = tuple(known)
    elif isinstance(choice.studies, str):
        found = subsets.load(library, choice.studies).studies
    else:
        there = set(known)
        unknown = [study for study in choice.studies if study not in there]
        if unknown:
            raise RequestError(
                f"no study {printable(unknown[0])!r} in the library ({len(unknown)} of {len(choice.studies)} are unknown);"
                " choose them again"
            )
        found = tuple(dict.fromkeys(choice.studies))
    if choice.labelled:
        labels = label_sources(library, found, choice.scorings)
        found = tuple(study for study in found if study in labels)
    if not found:
        raise RequestError(
            "no study is left to train on: " + ("none has such a scoring" if choice.labelled else "add recordings to the library")
        )
    return tuple(sorted(found))


# how even the lists are


def balance(library: Library, splits: Splits, *, scorings: str = PEOPLE) -> list[dict[str, Any]]:
    """Return what each list holds, one dict a list that is not empty.

    Returns
    -------
    list of dict
        `list`; `subjects`, `studies`, `simulated` (counts); `hours`; `labelled` (studies with a scoring); `epochs` (30-s epochs
        by stage's name); `site` and `sex` (people's studies by value, "unknown" where nobody stated it); `age` with `known`,
        `median`, `low` and `high` in years (None where nobody stated one).
    """
    studies = splits.of(LISTS)
    who = facts.people(library, studies)
    subject_of = subjects(library, studies)
    labels = label_sources(library, studies, scorings)
    rows = library.connection.execute(
        "SELECT id, duration_s, simulated FROM studies WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(studies),)
    )
    of_study = {row["id"]: row for row in rows}
    table = []
    for name in LISTS:
        listed: tuple[str, ...] = getattr(splits, name)
        if not listed:
            continue
        counts = np.zeros(len(SCORED_STAGES), np.int64)
        for study in listed:
            if study in labels:
                counts += np.array(_counts_at(library, labels[study]))
        ages = [age for study in listed if (age := who[study].age) is not None]
        table.append({
            "list": name,
            "subjects": len({subject_of[study] for study in listed}),
            "studies": len(listed),
            "simulated": sum(bool(of_study[study]["simulated"]) for study in listed),
            "hours": round(sum(of_study[study]["duration_s"] for study in listed) / 3600, 2),
            "labelled": sum(study in labels for study in listed),
            "epochs": {STAGE_NAMES[stage]: int(n) for stage, n in zip(SCORED_STAGES, counts, strict=True)},
            "site": _counted(who[study].site for study in listed),
            "sex": _counted(who[study].sex for study in listed),
            "age": {
                "known": len(ages),
                "median": float(np.median(ages)) if ages else None,
                "low": min(ages, default=None),
                "high": max(ages, default=None),
            },
        })  # fmt: skip
    return table


def _counted(values: Iterable[str | None]) -> dict[str, int]:
    counted = Counter("unknown" if value is None else value for value in values)
    return dict(sorted(counted.items(), key=lambda item: (item[0] == "unknown", item[0])))


def _counts_at(library: Library, place: ScoringPlace) -> tuple[int, ...]:
    if place.file is not None:
        return _stage_counts(place.file, place.revision)
    stages_e = stages_at(library, place)
    return tuple(int((stages_e == stage).sum()) for stage in SCORED_STAGES)


@lru_cache(maxsize=20_000)
def _stage_counts(file: Path, _written_ns: int) -> tuple[int, ...]:
    """Count the stages of a stored scoring, which has a row an epoch; kept, since a form asks at every change of a share.

    Reading it as a scoring of any origin takes twenty times as long.
    """
    try:
        rows = file.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return (0,) * len(SCORED_STAGES)  # it went away, or was changed by hand: making the dataset says so
    counted = Counter(row.split(",", 4)[3] for row in rows if row.count(",") >= 3)
    return tuple(counted[str(int(stage))] for stage in SCORED_STAGES)


# datasets


@dataclass(frozen=True)
class Dataset:
    """Studies of the library made ready for training, in a folder of their own.

    Attributes
    ----------
    about
        What `dataset.json` says: recipe, seed, shares, whose labels, balance, and each study with the hash of its recording.
    """

    name: str
    folder: Path
    about: Mapping[str, Any]

    @property
    def signals(self) -> Path:
        """Folder of signals files; `data.signals` of a configuration."""
        return self.folder / "signals"

    @property
    def scorings(self) -> Path:
        """Folder of scorings."""
        return self.folder / "scorings"

    @property
    def events(self) -> Path:
        """Folder of respiratory events; empty where none came with the recordings."""
        return self.folder / "events"

    @property
    def splits(self) -> Path:
        """The lists; `data.splits`."""
        return self.folder / "splits.json"

    @property
    def cohort(self) -> Path:
        """Table with `Study ID`, `Subject ID`, site, age and sex; `data.cohort`."""
        return self.folder / "cohort.csv"

    @property
    def demographics(self) -> Path | None:
        """Table of age and gender; None where nobody's are known."""
        return self._table("demographics.csv")

    @property
    def is_event(self) -> Path | None:
        """Which conditions came; None where the library has no follow-up of these studies."""
        return self._table("is_event.csv")

    @property
    def time_to_event(self) -> Path | None:
        """Years to them or to the end of the follow-up."""
        return self._table("time_to_event.csv")

    def _table(self, name: str) -> Path | None:
        return self.folder / name if (self.folder / name).is_file() else None


def datasets(home: Home) -> list[Dataset]:
    """Return the datasets of a home, by name; a folder without a readable `dataset.json` is none."""
    if not home.datasets.is_dir():
        return []
    found = [_read_dataset(folder) for folder in sorted(home.datasets.iterdir()) if not folder.name.startswith(".")]
    return [one for one in found if one is not None]


def dataset(home: Home, name: str) -> Dataset:
    """Return a dataset by name; RequestError when there is none."""
    found = {one.name: one for one in datasets(home)}
    if name not in found:
        raise RequestError(f"no dataset {printable(name[:60])!r}; there is: {', '.join(found) or 'none yet'}")
    return found[name]


def _read_dataset(folder: Path) -> Dataset | None:
    try:
        about = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Dataset(folder.name, folder, about) if isinstance(about, dict) else None


def free_dataset_name(home: Home, name: str) -> str:
    """Return a dataset's name without blanks around it; RequestError when it is taken or no name for a folder."""
    try:
        name = subsets.check_name(name)
    except RequestError as error:
        raise RequestError(str(error).replace("subset name", "dataset name", 1)) from None
    taken = home.datasets.is_dir() and {path.name.casefold(): path.name for path in home.datasets.iterdir()}.get(name.casefold())
    if taken:
        raise RequestError(f"there is a dataset {taken!r} already ({home.datasets / taken}); choose another name")
    return name


def submit_dataset(
    home: Home,
    name: str,
    choice: LibraryChoice,
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    recipe: str = "published",
    by: str | None = None,
    mixed: bool = False,
    submitted_by: str = "",
    start: bool = True,
) -> Job:
    """Queue the making of a dataset and see that it is worked off; errors as for `dataset_parameters`."""
    with Library(home) as library:
        parameters = dataset_parameters(library, name, choice, shares, seed, recipe=recipe, by=by, mixed=mixed)
        job = library.jobs.add(
            "dataset",
            lane=Lane.HEAVY,
            title=f"Make the dataset {parameters['name']}",
            parameters=parameters,
            submitted_by=submitted_by,
        )
    if start:
        ensure_running(home)
    return job


def dataset_parameters(
    library: Library,
    name: str,
    choice: LibraryChoice,
    shares: Mapping[str, float],
    seed: int = 0,
    *,
    recipe: str = "published",
    by: str | None = None,
    mixed: bool = False,
) -> dict[str, Any]:
    """Return what the job that makes a dataset is told, with everything that would fail looked for first.

    Parameters
    ----------
    name
        Of the dataset: a folder's name.
    choice, shares, seed, by
        See `LibraryChoice` and `split_by_subject`.
    recipe
        How channels become signals (`sleepfm.signals.recipes.RECIPES`).
    mixed
        Simulated and real nights may stand together.

    Raises
    ------
    RequestError
        The name is taken or none, the recipe is not known, nothing is chosen, a list would be empty, nights are mixed without
        leave.
    """
    name = free_dataset_name(library.home, name)
    if recipe not in RECIPES:
        raise RequestError(f"unknown recipe {printable(recipe)!r}; known are {', '.join(RECIPES)}")
    studies = chosen_studies(library, choice)
    require_one_kind(library, studies, mixed=mixed)
    split_by_subject(library, studies, shares, seed, by=by)
    label_sources(library, studies, choice.scorings)
    return {
        "name": name,
        "studies": list(studies),
        "scorings": choice.scorings,
        "shares": dict(shares),
        "seed": seed,
        "by": by,
        "recipe": recipe,
        "mixed": mixed,
    }
