"""The command line: parses, calls, prints.

Exit codes (contracts): 0 success, 1 the work failed (a file's content), 2 the request was wrong. An error is one line on
stderr; `--debug` shows the traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from sleepfm import __version__
from sleepfm.administration.readable_folders import whole_machine
from sleepfm.cli import (
    app,
    batch,
    bench,
    cohort,
    dataset,
    deidentify,
    evaluation,
    events,
    explore,
    models,
    recordings,
    report,
    risk,
    runs,
    safety,
    scorings,
    staging,
    store,
    training,
    users,
)
from sleepfm.cli.console import Console
from sleepfm.errors import SleepFMError
from sleepfm.runs.submitter import account_name, work_for
from sleepfm.text import printable


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="sleepfm",
        description="Open, stage and review polysomnography with the SleepFM foundation model. Research use; not a diagnosis.",
    )
    top.add_argument("--version", action="version", version=f"sleepfm {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for room in (
        recordings,
        scorings,
        store,
        staging,
        events,
        batch,
        models,
        dataset,
        deidentify,
        training,
        evaluation,
        explore,
        report,
        risk,
        cohort,
        runs,
        users,
        safety,
        bench,
        app,
    ):
        room.register(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    console = Console(as_json=options.json)
    try:
        if options.command != "app":
            work_for(account_name())
        # the app is held to the folders that its admin named; whoever types a command owns the machine's files anyway
        with nullcontext() if options.command == "app" else whole_machine():
            code: int = options.run(options, console)
    except SleepFMError as error:
        if options.debug:
            raise
        console.say(f"sleepfm {options.command}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        console.say(f"sleepfm {options.command}: stopped; nothing half-written was left")
        return 1
    except BrokenPipeError:
        # the reader of our output (head, less) went away: not an error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if options.debug:
            raise
        console.say(
            f"sleepfm {options.command}: a defect of the software: {type(error).__name__}: {printable(str(error))};"
            " run again with --debug and report what it shows"
        )
        return 1
    return code


def entry() -> NoReturn:
    """Run as a program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # labels may hold characters that the terminal's encoding lacks; they must not stop the command
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
