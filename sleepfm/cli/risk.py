"""The command that computes a night's risk."""

from __future__ import annotations

import argparse
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_device, add_home, command
from sleepfm.home import open_home
from sleepfm.models.shelf import Shelf


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    risk = command(
        commands,
        "risk",
        _risk,
        does="log hazards of conditions for one night, and what they rest on; research use, no diagnosis",
        example="sleepfm risk night.edf --age 57 --sex female --out risk.csv",
    )
    risk.add_argument("file", type=Path, metavar="FILE", help="EDF, BDF or HDF5")
    add_person(risk)
    risk.add_argument(
        "--model", metavar="NAME", help="a disease model on the shelf; one trained on simulated signals must be named"
    )
    risk.add_argument("--out", type=Path, required=True, metavar="CSV")
    risk.add_argument(
        "--demographic-players",
        action="store_true",
        help="give age and sex shares of the score as well (a model with reference people)",
    )
    risk.add_argument("--lights-off", type=float, metavar="SECONDS", help="from the recording's start, where the model begins")
    add_device(risk)
    add_home(risk)


def add_person(parser: argparse.ArgumentParser) -> None:
    """Add `--age` and `--sex`."""
    parser.add_argument("--age", metavar="YEARS", help="of the person at the recording; never guessed")
    parser.add_argument("--sex", metavar="SEX", help="female or male (unknown, where the model has a code for it); never guessed")


def _risk(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.inference.risk_files import RESEARCH_USE, risk_file  # noqa: PLC0415 - commands load only what they use

    record = risk_file(
        options.file,
        options.out,
        age=options.age,
        sex=options.sex,
        model=options.model,
        shelf=Shelf(open_home(options.home).models),
        demographic_players=options.demographic_players,
        lights_off_s=options.lights_off,
        device=options.device,
        precision=options.precision,
        progress=console.progress,
    )
    console.say(RESEARCH_USE)
    for warning in record["warnings"]:
        console.say(warning)
    console.result(record, f"{record['out']}: {len(record['conditions'])} conditions by {record['model']}")
    return 0
