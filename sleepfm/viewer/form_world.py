"""What settings name that is not as they say: a path that is gone, a name that is taken, an encoder that is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sleepfm.administration.readable_folders import ReadableFolders
from sleepfm.errors import SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.training_runs import names_of_open_runs
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf
from sleepfm.viewer.form_draft import Place
from sleepfm.viewer.form_schema import FormField, Group, Lines, Scalar, fields_of


def taken_names(library: Library) -> dict[str, str]:
    """Return the names that a new model cannot have, and who has them."""
    taken = {name: f"the run {run} is making a model of this name" for name, run in names_of_open_runs(library.jobs).items()}
    for entry in Shelf(library.home.models).entries(retired=True):
        taken[entry.name] = "a model on the shelf has this name already"
    return taken


def world_problems(library: Library, kind: type[BaseModel], content: Mapping[str, Any]) -> dict[Place, str]:
    """Return what is wrong at which place, as far as one can see without opening a recording."""
    found: dict[Place, str] = {}
    name = content.get("name")
    if isinstance(name, str) and (why := taken_names(library).get(name)):
        found["name",] = f"{why}; choose another"
    folders = ReadableFolders.of(library.home)
    for place, path, made in _paths(kind, content):
        words = _path_problem(folders, path, made=made)
        if words:
            found.setdefault(place, words)
    for place in (("encoder",), ("start_from",)):
        named = content.get(place[0])
        if isinstance(named, str) and named:
            words = _encoder_problem(library, folders, named)
            if words:
                found[place] = words
    return found


def _paths(kind: type[BaseModel], content: Mapping[str, Any], above: Place = ()) -> Iterator[tuple[Place, str, bool]]:
    for one in fields_of(kind):
        value, place = content.get(one.name), (*above, one.name)
        if isinstance(one.shape, Group) and isinstance(value, Mapping):
            yield from _paths(one.shape.model, value, place)
        elif _is_path(one) and isinstance(value, str) and value:
            yield place, value, one.made
        elif isinstance(one.shape, Lines) and isinstance(value, list):
            yield from ((place, line, one.made) for line in value if isinstance(line, str))


def _is_path(one: FormField) -> bool:
    return isinstance(one.shape, Scalar) and one.shape.path


def _path_problem(folders: ReadableFolders, path: str, *, made: bool) -> str:
    try:
        real = folders.require(path)
        there = made or real.exists()
    except SleepFMError as error:
        return str(error)
    except OSError as error:
        return f"{path}: cannot be looked at ({error.strerror})"
    return "" if there else f"{path}: is not there; it may have been moved, or its disk is not connected"


def _encoder_problem(library: Library, folders: ReadableFolders, named: str) -> str:
    if "/" in named or "\\" in named:
        words = _path_problem(folders, named, made=False)
        return words or ("" if Path(named).is_dir() else f"{named}: is no model's folder")
    try:
        entry = Shelf(library.home.models).get(named)
    except SleepFMError as error:
        return str(error)
    return "" if entry.card.task is Task.ENCODER else f"{named} is a model for {entry.card.task}, not an encoder"
