"""Commands on signals and embeddings: convert, embed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.launching import add_launcher, queued, require_no_wait
from sleepfm.cli.options import add_device, add_home, command, positive_int
from sleepfm.errors import RequestError
from sleepfm.home import open_home

_MOST_NAMED = 5


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    convert = command(
        commands,
        "convert",
        _convert,
        does="EDF and BDF recordings to model-ready 128-Hz HDF5",
        example="sleepfm convert nights/ --out signals --jobs 2",
    )
    convert.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="recordings, or folders of them")
    convert.add_argument("--out", type=Path, required=True, metavar="DIR")
    convert.add_argument("--jobs", type=positive_int, default=1, help="how many at a time (default: 1)")
    convert.add_argument("--recipe", choices=("published", "hq"), default="published", help="(default: published)")
    convert.add_argument("--layout", choices=("grouped", "flat"), default="grouped", help="(default: grouped)")
    add_launcher(convert)
    add_home(convert)

    embed = command(
        commands,
        "embed",
        _embed,
        does="SleepFM embeddings of recordings or signals files",
        example="sleepfm embed signals/ --model sleepfm-base --out embeddings",
    )
    embed.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="EDF, BDF or HDF5 files, or folders of them")
    embed.add_argument("--model", required=True, metavar="NAME", help="an encoder on the shelf")
    embed.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_device(embed)
    add_launcher(embed)
    add_home(embed)


def _convert(options: argparse.Namespace, console: Console) -> int:
    _require_folder(options.out)
    made = _converted(options, console)
    if made is None:
        return 0
    lines = [f"{one['id']}: {len(one['channels'])} channels in {one['seconds']:.1f} s → {one['out']}" for one in made["records"]]
    for remark in naming_remarks(made["records"]):
        console.say(remark)
    return _finish(made, lines, console)


def naming_remarks(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what has to be said of signals files that hold a name, code or birthdate of their recording's header."""
    said = []
    for what, where in (("id", "the study's id, which is the file's name,"), ("labels", "a channel's label")):
        found = [one["id"] for one in records if what in one["naming"]]
        if found:
            more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
            said.append(
                f"{', '.join(found[:_MOST_NAMED])}{more}: {where} holds a word or number of the recording's patient or"
                " technician field, and so does the signals file; before you pass it on, convert a copy made by"
                " `sleepfm deidentify`"
            )
    return said


def _converted(options: argparse.Namespace, console: Console) -> dict[str, Any] | None:
    """Return what was made, here or by the queue; None when it is in the queue and nobody waits for it."""
    how = {"recipe": options.recipe, "layout": options.layout, "jobs": options.jobs}
    if options.launcher is not None:
        from sleepfm.library.job_conversion import submit_conversion  # noqa: PLC0415 - commands load only what they use

        home = open_home(options.home)
        job = submit_conversion(home, options.inputs, options.out, launcher=options.launcher, **how)
        return queued(home, job, console, wait=options.wait)
    from sleepfm.signals.convert import convert_many  # noqa: PLC0415

    require_no_wait(options)
    return convert_many(options.inputs, options.out, progress=console.progress, **how)


def _embed(options: argparse.Namespace, console: Console) -> int:
    _require_folder(options.out)
    made = _embedded(options, console)
    if made is None:
        return 0
    lines = [
        f"{one['id']}: {one['windows']} windows of {', '.join(one['modalities'])} in {one['seconds']:.1f} s"
        for one in made["records"]
    ]
    return _finish(made, lines, console)


def _embedded(options: argparse.Namespace, console: Console) -> dict[str, Any] | None:
    home = open_home(options.home)
    how = {"device": options.device, "precision": options.precision}
    if options.launcher is not None:
        from sleepfm.library.job_conversion import submit_embedding  # noqa: PLC0415

        job = submit_embedding(home, options.inputs, options.out, model=options.model, launcher=options.launcher, **how)
        return queued(home, job, console, wait=options.wait)
    from sleepfm.inference.embed_many import embed_many  # noqa: PLC0415
    from sleepfm.models.shelf import Shelf  # noqa: PLC0415

    require_no_wait(options)
    encoder = Shelf(home.models).get(options.model)
    return embed_many(options.inputs, options.out, encoder=encoder, progress=console.progress, **how)


def _finish(made: dict[str, Any], lines: list[str], console: Console) -> int:
    for one in made["records"]:
        for left in one["left_out"]:
            console.say(f"{one['id']}: {left['label']} left out: {left['reason']}")
    for one in made["failed"]:
        console.say(one["error"])
    console.result(made, "\n".join(lines) or "nothing was made")
    return 1 if made["failed"] else 0


def _require_folder(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is a file; --out names a folder")
