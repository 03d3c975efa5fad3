"""The command that works on many recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, positive_int
from sleepfm.cli.staging import add_steps
from sleepfm.home import open_home
from sleepfm.inference.steps import STEPS
from sleepfm.library.job_batch import run_over


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = command(
        commands,
        "batch",
        _batch,
        does="the steps of `run` over a folder or a list of recordings, each in its own process; goes on after a bad file",
        example="sleepfm batch nights --out results --steps stage,statistics,report --jobs 2",
    )
    parser.add_argument("inputs", type=Path, metavar="FOLDER|LIST", help="a folder, or a text file with a path a line")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_steps(parser)
    parser.add_argument("--jobs", type=positive_int, default=1, help="how many at a time (default: 1)")
    parser.add_argument("--resume", action="store_true", help="go on with the batch in --out; what has changed is done anew")
    add_home(parser)


def _batch(options: argparse.Namespace, console: Console) -> int:
    found = run_over(
        options.inputs,
        options.out,
        home=open_home(options.home),
        steps=options.steps or STEPS,
        jobs=options.jobs,
        resume=options.resume,
        progress=console.progress,
    )
    said = found.as_dict()
    for one in said["failed"]:
        console.say(f"{one['step']} failed: {one['error']}" if one["step"] else one["error"])
    console.result(said, _text(said))
    return 1 if said["failed"] else 0


def _text(said: dict[str, Any]) -> str:
    again = f" ({said['reused']} of them before)" if said["reused"] else ""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in said["counts"].items())
    why = f"; {said['out']}/failures.csv says why" if said["failed"] else ""
    return f"{said['out']}: {len(said['recordings'])} recordings: {counts}{again}{why}"
