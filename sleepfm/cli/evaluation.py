"""Commands that evaluate."""

from __future__ import annotations

import argparse
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command
from sleepfm.home import open_home
from sleepfm.models.shelf import Shelf

TASKS = ("staging", "breathing", "disease", "retrieval", "probe")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    evaluate = command(
        commands,
        "evaluate",
        _evaluate,
        does="measure what a model is worth on held-out recordings",
        example="sleepfm evaluate staging evaluate/staging --set model=my-staging --set data.splits=cohort/splits.json",
    )
    evaluate.add_argument("task", choices=TASKS)
    evaluate.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of a configuration that ships")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="folder (default: <home>/runs/evaluate-<task>-<model>)")
    evaluate.add_argument("--resume", action="store_true", help="use what an evaluation in that folder left there")
    evaluate.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="change a setting")
    evaluate.add_argument(
        "--update-card",
        action="store_true",
        help="put the numbers into the model's card, and a disease model's reference beside it",
    )
    add_home(evaluate)


def _evaluate(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.evaluation.run_settings import EVALUATION_OF  # noqa: PLC0415
    from sleepfm.training.config_files import read_settings  # noqa: PLC0415

    settings = read_settings(EVALUATION_OF[options.task], options.config, options.changes)
    from sleepfm.evaluation import runs  # noqa: PLC0415 - torch is loaded only where it computes

    home = open_home(options.home)
    shelf = Shelf(home.models)
    folder = options.out or home.runs / f"evaluate-{options.task}-{runs.tested_name(settings)}"
    reference = options.update_card and options.task == "disease"
    evaluation, files = runs.evaluate(
        options.task,
        settings,
        folder,
        shelf=shelf,
        runs=home.runs,
        resume=options.resume,
        reference=reference,
        progress=console.progress,
    )
    if options.update_card:
        runs.put_metrics_on_card(runs.tested_model(settings, shelf), evaluation)
        if reference:
            runs.put_reference_beside_card(runs.tested_model(settings, shelf), folder)
        baseline = getattr(settings, "baseline", None)
        if baseline is not None:
            runs.put_baseline_on_card(shelf.get(baseline), evaluation)
    console.result(runs.summary(evaluation, files), runs.as_text(evaluation, files))
    return 0
