"""Where a model came from and what used it: the run that trained it, heads, studies and later runs. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from sleepfm.errors import ModelError, RequestError
from sleepfm.library.library import Library
from sleepfm.library.training_runs import holds_model
from sleepfm.models.card import Task
from sleepfm.models.reference import read_reference
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.runs.table import OPEN_STATES, TRAINING_KINDS

_CONFIG_FILE = "config.yaml"
_NAMES_A_MODEL = ("$.config.encoder", "$.config.start_from", "$.encoder", "$.model")
"""Where the parameters of a job name a model; a whole table of settings under `encoder` is no name."""
_SETTINGS_NAME_A_MODEL = ("encoder", "start_from", "teacher")


@dataclass(frozen=True)
class StudyUse:
    """What a model did for one study.

    Attributes
    ----------
    what
        Of "staged", "assessed" (risk) and "indexed" (neighbours), in this order.
    """

    study: str
    what: tuple[str, ...]


@dataclass(frozen=True)
class RunUse:
    """A run that took a model, or made it.

    Attributes
    ----------
    id
        Of its row in the job table; where there is none, as for one started on the command line, the name of its folder.
    listed
        Whether it has a row.
    state
        As the row or the folder says; empty where nobody knows.
    """

    id: str
    title: str
    state: str
    listed: bool


@dataclass(frozen=True)
class ModelUse:
    """What used a model.

    Attributes
    ----------
    studies
        By their id.
    runs
        Training runs that began with it or trained on it, the newest first, archived ones too; and open jobs that name it.
    heads
        Names of the heads on the shelf that need it as their encoder, retired ones among them.
    compared
        Names of the disease models whose reference people were also told by it, from age and sex alone.
    """

    studies: tuple[StudyUse, ...]
    runs: tuple[RunUse, ...]
    heads: tuple[str, ...]
    compared: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether something used it."""
        return bool(self.studies or self.runs or self.heads or self.compared)

    def words(self) -> str:
        """Return it in a line, "3 studies, 1 run, the heads a and b"; empty where nothing used it."""
        parts = [
            f"{len(found)} {one if len(found) == 1 else many}"
            for found, one, many in ((self.studies, "study", "studies"), (self.runs, "run", "runs"))
            if found
        ]
        if self.heads:
            parts.append(f"the head{'s' if len(self.heads) > 1 else ''} {' and '.join(self.heads)}")
        if self.compared:
            parts.append(f"the comparison of {' and '.join(self.compared)}")
        return ", ".join(parts)


def uses(library: Library, entry: ShelfEntry) -> ModelUse:
    """Return what used a model of the shelf: by the hash of its weights, where only names are kept by its name.

    Another model with the same weights, as after an import under a second name, shares its uses, but for the heads: they still
    have an encoder when one of the two goes.
    """
    shelf = Shelf(library.home.models)
    sha256 = entry.card.weights_sha256
    others = [one for one in shelf.entries(retired=True) if one.folder != entry.folder]
    twin = any(one.card.weights_sha256 == sha256 for one in others)
    heads = [one for one in others if one.card.encoder is not None and one.card.encoder.weights_sha256 == sha256]
    return ModelUse(
        studies=_studies(library, sha256),
        runs=(*_rows(library, entry), *_folders(library, entry)),
        heads=() if twin or entry.card.task is not Task.ENCODER else tuple(one.name for one in heads),
        compared=() if twin else tuple(one.name for one in others if _compares_with(one, sha256)),
    )


def made_by(library: Library, entry: ShelfEntry) -> RunUse | None:
    """Return the run that trained a model: one that left a model of the same weights in its folder. None when there is none."""
    runs = library.home.runs
    rows = library.connection.execute(
        f"SELECT id, title, state FROM jobs WHERE kind IN ({_marks(TRAINING_KINDS)}) AND json_extract(result, '$.model') = ?"
        " ORDER BY created_at DESC, id DESC",
        (*TRAINING_KINDS, entry.name),
    )
    for row in rows:
        if holds_model(runs / row["id"], entry):
            return RunUse(row["id"], row["title"], row["state"], listed=True)
    return RunUse(entry.name, entry.name, "finished", listed=False) if holds_model(runs / entry.name, entry) else None


def remove_unused(library: Library, name: str) -> ShelfEntry:
    """Take a model off the shelf that nothing used, and return what it was.

    Raises
    ------
    RequestError
        When there is no such model, it came with the software, or something used it.
    ModelError
        When its folder cannot be removed.
    """
    shelf = Shelf(library.home.models)
    entry = shelf.get(name)
    if not entry.bundled and (used := uses(library, entry)).any:
        raise RequestError(
            f"{name} is used by {used.words()}, and stays so that these can be read and made again; retire it to offer it no more"
        )
    shelf.remove(name)
    return entry


def _studies(library: Library, sha256: str) -> tuple[StudyUse, ...]:
    rows = library.connection.execute(
        "SELECT study, MAX(staged) AS staged, MAX(assessed) AS assessed, MAX(indexed) AS indexed FROM ("
        " SELECT study, 1 AS staged, 0 AS assessed, 0 AS indexed FROM scorings"
        " WHERE json_extract(provenance, '$.weights_sha256') = :sha256 OR json_extract(provenance, '$.encoder_sha256') = :sha256"
        " OR json_extract(provenance, '$.base.weights_sha256') = :sha256"
        " OR json_extract(provenance, '$.base.encoder_sha256') = :sha256"
        " UNION ALL SELECT study, 0, 1, 0 FROM risks WHERE weights_sha256 = :sha256"
        " UNION ALL SELECT study, 0, 0, 1 FROM index_blocks WHERE encoder = :sha256"
        ") GROUP BY study ORDER BY study",
        {"sha256": sha256},
    )
    done = ("staged", "assessed", "indexed")
    return tuple(StudyUse(row["study"], tuple(word for word in done if row[word])) for row in rows)


def _rows(library: Library, entry: ShelfEntry) -> Iterator[RunUse]:
    """Give the training runs and the open jobs whose parameters name the model, or its folder, the newest first."""
    names = " OR ".join(f"json_extract(parameters, '{place}') IN (:name, :folder)" for place in _NAMES_A_MODEL)
    kept = ", ".join(f"'{kind}'" for kind in (*TRAINING_KINDS, "curve", "embedding"))
    opened = ", ".join(f"'{state}'" for state in OPEN_STATES)
    rows = library.connection.execute(
        f"SELECT id, title, state FROM jobs WHERE (kind IN ({kept}) OR state IN ({opened})) AND ({names})"
        " ORDER BY created_at DESC, id DESC",
        {"name": entry.name, "folder": str(entry.folder)},
    )
    for row in rows:
        yield RunUse(row["id"], row["title"], row["state"], listed=True)


def _folders(library: Library, entry: ShelfEntry) -> Iterator[RunUse]:
    """Give the runs that have a folder and no row, as the command line leaves them, whose settings name the model."""
    runs = library.home.runs
    if not runs.is_dir():
        return
    listed = {row["id"] for row in library.connection.execute("SELECT id FROM jobs")}
    for folder in sorted(path for path in runs.iterdir() if path.name not in listed and (path / _CONFIG_FILE).is_file()):
        try:
            text = (folder / _CONFIG_FILE).read_text(encoding="utf-8")
            settings = yaml.safe_load(text) if entry.name in text else None
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            continue  # what was edited by hand until nobody can read it names no model
        if isinstance(settings, dict):
            named = [settings.get(word) for word in _SETTINGS_NAME_A_MODEL]
            if any(name in (entry.name, str(entry.folder)) for name in named):
                yield RunUse(folder.name, folder.name, "", listed=False)


def _compares_with(model: ShelfEntry, sha256: str) -> bool:
    try:
        reference = read_reference(model.folder)
    except ModelError:
        return False
    return reference is not None and reference.demographics is not None and reference.demographics.weights_sha256 == sha256


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
