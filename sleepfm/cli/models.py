"""Commands on the model shelf: models list, import, fetch, export, default, retire, restore, remove."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sleepfm.cli.audit import write_down
from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group, positive_float
from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.inference.simulated_models import SIMULATED_WORDS
from sleepfm.library.library import Library
from sleepfm.library.model_use import remove_unused
from sleepfm.models.archive import ARCHIVE_SUFFIX, pack
from sleepfm.models.card import SIMULATED, Task, parse_sex_code
from sleepfm.models.shelf import Shelf, ShelfEntry


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "models", does="the model shelf: list, import, fetch, export, default, retire, restore, remove")

    listed = command(actions, "list", _list, does="list the models on the shelf", example="sleepfm models list")
    add_home(listed)

    imported = command(
        actions,
        "import",
        _import,
        does="put weights on the shelf: a folder, file or zip file in the published form (with config.json) or in ours",
        example="sleepfm models import checkpoints/model_base --name base",
    )
    imported.add_argument("path", type=Path, metavar="PATH")
    imported.add_argument("--name", required=True, help="its name on the shelf")
    imported.add_argument("--config", type=Path, metavar="FILE", help="default: <stem>.config.json, then config.json")
    imported.add_argument("--task", choices=[task.value for task in Task], help="what it does, if not what its config says")
    imported.add_argument("--encoder", metavar="NAME", help="the encoder of a head (default: the latest imported that fits)")
    imported.add_argument("--labels", type=Path, metavar="CSV", help="label_idx,phecode,phenotype of a disease head")
    imported.add_argument("--age-scale", type=positive_float, metavar="YEARS", help="years that stand for 1.0 in a disease head")
    imported.add_argument(
        "--sex-code",
        type=str,
        metavar="CODE",
        help="as a disease head takes it: female=0,male=1, with unknown=0.5 where it knows that",
    )
    add_home(imported)

    fetched = command(
        actions,
        "fetch",
        _fetch,
        does="download the released SleepFM models (MIT), verified and resumable",
        example="sleepfm models fetch official",
    )
    fetched.add_argument("what", choices=["official"])
    add_home(fetched)

    exported = command(
        actions, "export", _export, does="copy a model's folder elsewhere", example="sleepfm models export base --out /tmp/models"
    )
    exported.add_argument("name", metavar="NAME")
    exported.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where its folder goes (default: here)")
    exported.add_argument("--zip", action="store_true", help="as one zip file, which `models import` takes")
    add_home(exported)

    chosen = command(
        actions,
        "default",
        _default,
        does="take a model for its task when nobody names one, or take that choice back",
        example="sleepfm models default base-staging",
    )
    chosen.add_argument("name", metavar="NAME", nargs="?")
    chosen.add_argument("--forget", choices=[task.value for task in Task], help="take the choice for a task back")
    add_home(chosen)

    retired = command(
        actions,
        "retire",
        _retire,
        does="offer a model no more, and take it only by its name; what it made stays",
        example="sleepfm models retire base",
    )
    retired.add_argument("name", metavar="NAME")
    add_home(retired)

    restored = command(actions, "restore", _restore, does="offer a retired model again", example="sleepfm models restore base")
    restored.add_argument("name", metavar="NAME")
    add_home(restored)

    removed = command(
        actions,
        "remove",
        _remove,
        does="take a model off the shelf that nothing used; one that came with the software stays",
        example="sleepfm models remove base",
    )
    removed.add_argument("name", metavar="NAME")
    add_home(removed)


def _shelf(options: argparse.Namespace) -> Shelf:
    return Shelf(open_home(options.home).models)


def _describe(shelf: Shelf, entry: ShelfEntry) -> dict[str, Any]:
    card = entry.card
    default = shelf.default(card.task)
    return {
        "name": entry.name,
        "task": card.task.value,
        "trained_on": card.trained_on,
        "default": default is not None and default.name == entry.name and card.trained_on != SIMULATED,
        "chosen": shelf.chosen(card.task) == entry.name,
        "retired": shelf.is_retired(entry.name),
        "offered": shelf.is_offered(entry.name),
        "bundled": entry.bundled,
        "weights_sha256": card.weights_sha256,
        "encoder": None if card.encoder is None else card.encoder.name,
        "licence": card.licence,
    }


def _line(model: dict[str, Any]) -> str:
    mark = "*" if model["default"] else " "
    training = SIMULATED_WORDS if model["trained_on"] == SIMULATED else f"trained on {model['trained_on']}"
    bundled = " (came with the software)" if model["bundled"] else ""
    resting = "" if model["offered"] else " (retired)" if model["retired"] else " (its encoder is retired)"
    return f"{mark} {model['name']:24} {model['task']:10} {training}{bundled}{resting}"


def _list(options: argparse.Namespace, console: Console) -> int:
    shelf = _shelf(options)
    for problem in shelf.problems():
        console.say(problem)
    models = [_describe(shelf, entry) for entry in shelf.entries(retired=True)]
    text = "\n".join(_line(model) for model in models) or "the shelf is empty; `sleepfm models fetch official` fills it"
    console.result({"models": models}, text)
    return 0


def _import(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.models.importing import import_model  # noqa: PLC0415 - commands load only what they use

    shelf = _shelf(options)
    entry = import_model(
        shelf,
        options.path,
        options.name,
        config=options.config,
        task=None if options.task is None else Task(options.task),
        encoder=options.encoder,
        labels=options.labels,
        age_scale=options.age_scale,
        sex_code=None if options.sex_code is None else parse_sex_code(options.sex_code),
    )
    write_down(open_home(options.home), "import model", entry.name, {"from": str(options.path)})
    model = _describe(shelf, entry)
    console.result(model, _line(model))
    return 0


def _fetch(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.models.fetch import fetch_official  # noqa: PLC0415

    shelf = _shelf(options)
    models = [_describe(shelf, entry) for entry in fetch_official(shelf, console.progress)]
    write_down(open_home(options.home), "fetch models", "official")
    console.result({"models": models}, "\n".join(_line(model) for model in models))
    return 0


def _export(options: argparse.Namespace, console: Console) -> int:
    shelf = _shelf(options)
    if options.zip:
        out = options.out / f"{options.name}{ARCHIVE_SUFFIX}"
        if out.exists():
            raise RequestError(f"{out} is there already: choose another --out or remove it")
        out = pack(shelf.get(options.name), out)
    else:
        out = shelf.export(options.name, options.out)
    write_down(open_home(options.home), "export model", options.name, {"out": str(out)})
    console.result({"name": options.name, "out": str(out)}, str(out))
    return 0


def _default(options: argparse.Namespace, console: Console) -> int:
    if (options.name is None) == (options.forget is None):
        raise RequestError("name a model, or --forget a task")
    shelf = _shelf(options)
    task = Task(options.forget) if options.name is None else shelf.choose(options.name).card.task
    if options.name is None:
        shelf.unchoose(task)
        write_down(open_home(options.home), "take default back", task.value)
    else:
        write_down(open_home(options.home), "promote model", options.name)
    now = shelf.default(task)
    name = None if now is None else now.name
    console.result({"task": task.value, "default": name}, f"{task}: {name or 'no model'} is taken when nobody names one")
    return 0


def _retire(options: argparse.Namespace, console: Console) -> int:
    heads = [entry.name for entry in _shelf(options).retire(options.name)]
    write_down(open_home(options.home), "retire model", options.name)
    rest = f"; {', '.join(heads)}, made for it, rest with it" if heads else ""
    console.result({"name": options.name, "resting": heads}, f"{options.name} is retired{rest}")
    return 0


def _restore(options: argparse.Namespace, console: Console) -> int:
    shelf = _shelf(options)
    shelf.bring_back(options.name)
    write_down(open_home(options.home), "bring model back", options.name)
    offered = shelf.is_offered(options.name)
    words = "is offered again" if offered else "is not retired any more, but its encoder still is"
    console.result({"name": options.name, "offered": offered}, f"{options.name} {words}")
    return 0


def _remove(options: argparse.Namespace, console: Console) -> int:
    with Library.open(options.home) as library:
        remove_unused(library, options.name)
        write_down(library.home, "remove model", options.name)
    console.result({"name": options.name}, f"{options.name} is off the shelf")
    return 0
