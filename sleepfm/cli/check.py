"""`--check` of the commands that train: what would fail in an hour fails now, and nothing is trained."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from sleepfm.cli.console import Console
from sleepfm.home import open_home
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import JobTable

if TYPE_CHECKING:
    from sleepfm.training.finetune_settings import FinetuneSettings
    from sleepfm.training.settings import PretrainSettings

_SIGNS = {"good": "ok  ", "doubtful": "look", "bad": "BAD "}


def check_run(options: argparse.Namespace, console: Console, settings: PretrainSettings | FinetuneSettings) -> int:
    """Look before a run; 0 when nothing stands in the way, else 1."""
    from sleepfm.library.training_runs import names_of_open_runs  # noqa: PLC0415 - commands load only what they use
    from sleepfm.training.preflight import look_before  # noqa: PLC0415

    home = open_home(options.home)
    with closing(JobTable(home)) as table:
        open_runs = names_of_open_runs(table)
    found = look_before(
        settings,
        shelf=Shelf(home.models),
        folder=options.out or home.runs / settings.name,
        resume=options.resume,
        devices=options.devices,
        open_runs=open_runs,
        progress=console.progress,
    )
    lines = [f"{_SIGNS[check.state]} {check.name}: {check.words}" for check in found.checks]
    lines.append(f"{settings.name} can be trained" if found.passed else f"{settings.name} would fail: see what is BAD")
    console.result({"name": settings.name, **found.as_dict()}, "\n".join(lines))
    return 0 if found.passed else 1
