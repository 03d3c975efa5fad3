"""The command report: pages that people read and sign."""

from __future__ import annotations

import argparse
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, positive_int
from sleepfm.home import open_home


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    report = command(
        commands,
        "report",
        _report,
        does="reports as HTML and PDF, without the name and the day unless they are asked for",
        example="sleepfm report sim-3-0001 night.edf --out reports",
    )
    report.add_argument(
        "sources",
        nargs="+",
        metavar="FILE|STUDY",
        help="recordings with their results (what `sleepfm run` put into --out, or --scoring), or ids of studies in the library",
    )
    report.add_argument("--out", type=Path, required=True, metavar="DIR")
    report.add_argument("--html", action="store_true", help="only the page (default: both)")
    report.add_argument("--pdf", action="store_true", help="only the PDF (default: both)")
    report.add_argument("--scoring", type=Path, metavar="FILE", help="the stages of the one recording, in any known format")
    report.add_argument("--events", type=Path, metavar="FILE", help="its events, in any known format")
    report.add_argument("--identified", action="store_true", help="with the date and the header's patient field")
    report.add_argument("--no-person", action="store_true", help="without age and sex")
    report.add_argument("--paper", choices=("a4", "letter"), default="a4", help="(default: a4)")
    report.add_argument("--jobs", type=positive_int, default=1, help="how many at a time (default: 1)")
    add_home(report)


def _report(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.report.batch import make_reports  # noqa: PLC0415 - commands load only what they use
    from sleepfm.report.gather import Telling  # noqa: PLC0415
    from sleepfm.report.making import FORMS, Wish  # noqa: PLC0415

    wanted = tuple(form for form in FORMS if getattr(options, form)) or FORMS
    made = make_reports(
        options.sources,
        options.out,
        home=open_home(options.home),
        wish=Wish(wanted, options.paper, Telling(identified=options.identified, person=not options.no_person)),
        scoring=options.scoring,
        events=options.events,
        jobs=options.jobs,
        progress=console.progress,
    )
    for one in made["failed"]:
        console.say(one["error"])
    lines = [f"{one['id']}: {', '.join(one['files'])}" for one in made["records"]]
    console.result(made, "\n".join(lines) or "no report was made")
    return 1 if made["failed"] else 0
