"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from sleepfm.cli.console import Console

Command = Callable[[argparse.Namespace, Console], int]


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: Command, *, does: str, example: str
) -> argparse.ArgumentParser:
    """Add a command with its help, one example, `--json` and `--debug`."""
    parser = commands.add_parser(
        name,
        help=does,
        description=does,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else there")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=run)
    return parser


def group(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, *, does: str
) -> argparse._SubParsersAction[argparse.ArgumentParser]:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(name, help=does, description=does)
    return parser.add_subparsers(dest="action", metavar="ACTION", required=True)


def add_home(parser: argparse.ArgumentParser) -> None:
    """Add `--home`."""
    parser.add_argument("--home", type=Path, metavar="DIR", help="home folder (default: $SLEEPFM_HOME or the user-data folder)")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device` and `--precision`."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the model runs (default: auto)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="arithmetic of the encoder (default: fp32)")


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def positive_float(text: str) -> float:
    """Parse a number above 0."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
