"""Commands on signals and embeddings: convert, embed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_device, add_home, command, positive_int
from sleepfm.errors import RequestError
from sleepfm.home import open_home


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
    add_home(embed)


def _convert(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.signals.convert import convert_many  # noqa: PLC0415 - commands load only what they use

    _require_folder(options.out)
    made = convert_many(
        options.inputs,
        options.out,
        jobs=options.jobs,
        recipe=options.recipe,
        layout=options.layout,
        progress=console.progress,
    )
    lines = [f"{one['id']}: {len(one['channels'])} channels in {one['seconds']:.1f} s → {one['out']}" for one in made["records"]]
    return _finish(made, lines, console)


def _embed(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.inference.embed_many import embed_many  # noqa: PLC0415
    from sleepfm.models.shelf import Shelf  # noqa: PLC0415

    _require_folder(options.out)
    made = embed_many(
        options.inputs,
        options.out,
        encoder=Shelf(open_home(options.home).models).get(options.model),
        device=options.device,
        precision=options.precision,
        progress=console.progress,
    )
    lines = [
        f"{one['id']}: {one['windows']} windows of {', '.join(one['modalities'])} in {one['seconds']:.1f} s"
        for one in made["records"]
    ]
    return _finish(made, lines, console)


def _finish(made: dict[str, list[dict[str, Any]]], lines: list[str], console: Console) -> int:
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
