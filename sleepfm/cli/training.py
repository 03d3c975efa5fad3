"""Commands that train: pretrain, finetune, splits."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleepfm.cli.audit import write_down
from sleepfm.cli.check import check_run
from sleepfm.cli.console import Console
from sleepfm.cli.launching import add_launcher, queued, require_no_wait
from sleepfm.cli.options import add_home, command, positive_int
from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.models.shelf import Shelf

if TYPE_CHECKING:
    from sleepfm.training.engine import Outcome
    from sleepfm.training.finetune_settings import FinetuneSettings
    from sleepfm.training.settings import PretrainSettings

HEADS = ("staging", "breathing", "disease")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    pretrain = command(
        commands,
        "pretrain",
        _pretrain,
        does="train an encoder from signals alone",
        example="sleepfm pretrain pretrain/tiny --set data.signals=[cohort] --set data.splits=cohort/splits.json",
    )
    add_run_options(pretrain)
    add_launcher(pretrain)

    finetune = command(
        commands,
        "finetune",
        _finetune,
        does="train a head on an encoder's embeddings",
        example="sleepfm finetune staging finetune/tiny-staging --set encoder=my-encoder",
    )
    finetune.add_argument("task", choices=HEADS)
    add_run_options(finetune)
    add_launcher(finetune)

    splits = command(
        commands,
        "splits",
        _splits,
        does="divide a cohort by subject into pretrain, train, validation and test",
        example="sleepfm splits cohort/cohort.csv --out cohort/splits.json --shares 0.6 0.1 0.1 0.2",
    )
    splits.add_argument("cohort", type=Path, metavar="CSV", help="table with Study ID and Subject ID, one row a study")
    splits.add_argument("--out", type=Path, required=True, metavar="JSON")
    splits.add_argument(
        "--shares",
        type=float,
        nargs=4,
        default=(0.6, 0.1, 0.1, 0.2),
        metavar=("PRETRAIN", "TRAIN", "VALIDATION", "TEST"),
        help="of the subjects (default: 0.6 0.1 0.1 0.2)",
    )
    splits.add_argument("--by", metavar="COLUMN", help="divide each group of this column for itself (for example site)")
    splits.add_argument("--seed", type=int, default=0, help="(default: 0)")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what every run takes."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of a configuration that ships")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default: <home>/runs/<name>)")
    parser.add_argument("--resume", action="store_true", help="go on where the run was stopped")
    parser.add_argument("--check", action="store_true", help="only look whether it would run, by two batches, and how long")
    parser.add_argument("--devices", type=positive_int, default=1, help="processes, one a GPU (default: 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="change a setting")
    add_home(parser)


def in_one_or_more_processes(options: argparse.Namespace, work: Callable[[], int]) -> int:
    """Do the work here, or in as many processes as `--devices` says."""
    if options.devices == 1:
        return work()
    from sleepfm.training.processes import in_team, start_team  # noqa: PLC0415 - torch is loaded only where it trains

    return work() if in_team() else start_team(options.devices, sys.argv[1:])


def _pretrain(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.training.config_files import read_settings  # noqa: PLC0415
    from sleepfm.training.settings import PretrainSettings  # noqa: PLC0415

    settings = read_settings(PretrainSettings, options.config, options.changes)
    if options.check:
        return check_run(options, console, settings)
    if options.launcher is not None:
        return _launch(options, console, settings)
    require_no_wait(options)

    def work() -> int:
        from sleepfm.training.pretraining import pretrain  # noqa: PLC0415

        home = open_home(options.home)
        folder = options.out or home.runs / settings.name
        outcome, about = pretrain(settings, folder, shelf=Shelf(home.models), resume=options.resume, progress=console.progress)
        return finish_run(options, console, settings, folder=folder, outcome=outcome, about=about)

    return in_one_or_more_processes(options, work)


def _finetune(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.training.config_files import read_settings  # noqa: PLC0415
    from sleepfm.training.finetune_settings import SETTINGS_OF  # noqa: PLC0415

    settings = read_settings(SETTINGS_OF[options.task], options.config, options.changes)
    if options.check:
        return check_run(options, console, settings)
    if options.launcher is not None:
        return _launch(options, console, settings)
    require_no_wait(options)

    def work() -> int:
        from sleepfm.training.finetuning import finetune  # noqa: PLC0415

        home = open_home(options.home)
        folder = options.out or home.runs / settings.name
        outcome, about = finetune(
            options.task, settings, folder, shelf=Shelf(home.models), resume=options.resume, progress=console.progress
        )
        return finish_run(options, console, settings, folder=folder, outcome=outcome, about=about)

    return in_one_or_more_processes(options, work)


def _launch(options: argparse.Namespace, console: Console, settings: PretrainSettings | FinetuneSettings) -> int:
    """Put the run into the queue."""
    from sleepfm.library.training_runs import submit_finetune, submit_pretrain  # noqa: PLC0415
    from sleepfm.training.settings import PretrainSettings  # noqa: PLC0415

    if options.out is not None or options.resume:
        raise RequestError(
            "a run in the queue has a folder of its own, <home>/runs/<id>: leave --out away, and for --resume say"
            " `sleepfm runs resume ID`"
        )
    home = open_home(options.home)
    how: dict[str, Any] = {"launcher": options.launcher, "devices": options.devices}
    if isinstance(settings, PretrainSettings):
        job = submit_pretrain(home, settings, **how)
    else:
        job = submit_finetune(home, options.task, settings, **how)
    write_down(home, "start training", settings.name, {"run": job.id, **how})
    made = queued(home, job, console, wait=options.wait)
    if made is not None:
        console.result(made | {"job": job.id}, f"model {made['model']}, {made['steps']} steps in {made['seconds']:.0f} s")
    return 0


def finish_run(
    options: argparse.Namespace,
    console: Console,
    settings: PretrainSettings | FinetuneSettings,
    *,
    folder: Path,
    outcome: Outcome,
    about: dict[str, Any],
) -> int:
    """Put the model into the run's folder and on the shelf, and say how the run ended; a stopped run gives no model yet."""
    from sleepfm.library.job_training import keep_model  # noqa: PLC0415
    from sleepfm.training.processes import leads  # noqa: PLC0415

    if not leads():
        return 0
    course = outcome.course
    made = {"name": settings.name, "out": str(folder), "state": outcome.state, "reason": outcome.reason, "steps": course.step}
    best = course.best if math.isfinite(course.best) else None  # a run that was stopped before its first validation has none
    made |= {"best_validation_loss": best, "best_step": course.best_step, "seconds": round(course.seconds, 1)}
    if outcome.state == "stopped":
        console.result(made | {"model": None}, f"{folder}: stopped at step {course.step}; go on with --resume")
        return 1
    entry = keep_model(settings, folder, Shelf(open_home(options.home).models), about)
    console.result(
        made | {"model": entry.name},
        f"{entry.folder}: model {entry.name}, {course.step} steps in {course.seconds:.0f} s,"
        f" lowest validation loss {course.best:.4f} at step {course.best_step}",
    )
    return 0


def _splits(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.training.splits import LISTS, make_splits, read_column, read_subjects, write_splits  # noqa: PLC0415

    if options.seed < 0:
        raise RequestError(f"--seed {options.seed}: choose 0 or more")
    strata = read_column(options.cohort, options.by) if options.by else None
    splits = make_splits(
        read_subjects(options.cohort), dict(zip(LISTS, options.shares, strict=True)), seed=options.seed, strata=strata
    )
    write_splits(splits, options.out)
    counts = {name: len(getattr(splits, name)) for name in LISTS}
    console.result(
        {"out": str(options.out), "studies": counts}, f"{options.out}: " + ", ".join(f"{k} {n}" for k, n in counts.items())
    )
    return 0
