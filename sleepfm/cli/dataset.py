"""Commands on datasets: studies of the library made ready for training."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sleepfm.cli.audit import write_down
from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group
from sleepfm.home import open_home
from sleepfm.signals.recipes import RECIPES
from sleepfm.text import printable

if TYPE_CHECKING:
    from sleepfm.library.training_data import Dataset


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "dataset", does="studies of the library made ready for training: make, list")
    make = command(
        actions,
        "make",
        _make,
        does="put studies of the library, with their scorings and lists by person, into a folder to train on",
        example="sleepfm dataset make first-try --shares 0 0.7 0.15 0.15 --by site",
    )
    make.add_argument("name", metavar="NAME", help="what the dataset is called: a folder in <home>/datasets")
    which = make.add_mutually_exclusive_group()
    which.add_argument("--subset", metavar="NAME", help="a saved subset of studies (default: every study of the library)")
    which.add_argument("--studies", nargs="+", metavar="ID", help="these studies")
    make.add_argument(
        "--scorings",
        default="people",
        metavar="WHOSE",
        help="whose scorings are the labels: people (default), none, or a program by its name: yasa, sleepfm:MODEL",
    )
    make.add_argument("--labelled", action="store_true", help="only studies that have such a scoring")
    make.add_argument(
        "--shares",
        type=float,
        nargs=4,
        default=(0.0, 0.7, 0.15, 0.15),
        metavar=("PRETRAIN", "TRAIN", "VALIDATION", "TEST"),
        help="of the people (default: 0 0.7 0.15 0.15)",
    )
    make.add_argument("--by", metavar="FACT", help="divide each group of this fact for itself (for example site)")
    make.add_argument("--seed", type=int, default=0, help="(default: 0)")
    make.add_argument("--recipe", choices=[*RECIPES], default="published", help="(default: published)")
    make.add_argument("--mixed", action="store_true", help="simulated and real nights may stand together")
    add_home(make)

    listed = command(actions, "list", _list, does="list the datasets", example="sleepfm dataset list")
    add_home(listed)


def _make(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.job_dataset import make_dataset  # noqa: PLC0415 - commands load only what they use
    from sleepfm.library.library import Library  # noqa: PLC0415
    from sleepfm.library.training_data import LibraryChoice, dataset_parameters  # noqa: PLC0415
    from sleepfm.training.splits import LISTS  # noqa: PLC0415

    home = open_home(options.home)
    choice = LibraryChoice(
        studies=tuple(options.studies) if options.studies else options.subset,
        scorings=options.scorings,
        labelled=options.labelled,
    )
    shares = dict(zip(LISTS, options.shares, strict=True))
    with Library(home) as library:
        parameters = dataset_parameters(
            library,
            options.name,
            choice,
            shares,
            options.seed,
            recipe=options.recipe,
            by=options.by,
            mixed=options.mixed,
        )
    write_down(home, "make dataset", options.name, {"scorings": options.scorings})
    made = make_dataset(home, parameters, console.progress)
    for one in made["failed"]:
        console.say(f"{one['study']} is left out: {one['error']}")
    for note in made["notes"]:
        console.say(note)
    lists = ", ".join(f"{name} {count}" for name, count in made["lists"].items() if count)
    console.result(made, f"{made['folder']}: {made['studies']} studies, {made['labelled']} of them scored ({lists})")
    return 1 if made["failed"] else 0


def _list(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.training_data import datasets  # noqa: PLC0415

    found = datasets(open_home(options.home))
    console.result({"datasets": [_describe(one) for one in found]}, "\n".join(_line(one) for one in found) or "no datasets yet")
    return 0


def _describe(one: Dataset) -> dict[str, Any]:
    about = {name: one.about.get(name) for name in ("made_at", "recipe", "scorings", "labelled", "simulated", "real", "balance")}
    return {"name": one.name, "folder": str(one.folder), "studies": len(one.about.get("studies", {})), **about}


def _line(one: Dataset) -> str:
    about = one.about
    studies = len(about.get("studies", {}))
    return printable(
        f"{one.name}  {studies} studies, {about.get('labelled', 0)} scored, recipe {about.get('recipe')}  {one.folder}"
    )
