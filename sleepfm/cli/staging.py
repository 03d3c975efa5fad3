"""Commands that stage: stage, run."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_device, add_home, command
from sleepfm.cli.risk import add_person
from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.inference.steps import STEPS
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress

if TYPE_CHECKING:
    from sleepfm.inference.device import Device, Precision


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    stage = command(
        commands,
        "stage",
        _stage,
        does="hypnogram with probabilities, one row a 30-s epoch",
        example="sleepfm stage night.edf --engine yasa --out hypnogram.csv",
    )
    stage.add_argument("file", type=Path, metavar="FILE", help="EDF, BDF or HDF5; or a folder of them (--out is a folder then)")
    stage.add_argument("--engine", choices=("auto", "sleepfm", "yasa"), default="auto", help="(default: auto)")
    stage.add_argument(
        "--model",
        metavar="NAME",
        help="a staging model on the shelf (engine sleepfm); one trained on simulated signals must be named",
    )
    stage.add_argument("--out", type=Path, required=True, metavar="CSV")
    add_device(stage)
    add_home(stage)

    run = command(
        commands,
        "run",
        _run,
        does="everything for one recording: signals, embeddings, hypnogram, numbers, risk, report, provenance",
        example="sleepfm run night.edf --out results",
    )
    run.add_argument("file", type=Path, metavar="FILE")
    run.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_steps(run)
    add_person(run)
    add_device(run)
    add_home(run)


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Add `--steps`."""
    parser.add_argument(
        "--steps",
        type=lambda text: tuple(word.strip() for word in text.split(",") if word.strip()),
        default=(),
        metavar="STEP,…",
        help="only these of convert, embed, stage, events, statistics, risk, report (default: all)",
    )


def _stage(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.inference.stage_files import stage_file, stage_folder  # noqa: PLC0415 - commands load only what they use

    if options.model is not None and options.engine == "yasa":
        raise RequestError("--model goes with the engine sleepfm; YASA brings its own weights")
    settings = {
        "engine": options.engine,
        "model": options.model,
        "shelf": Shelf(open_home(options.home).models),
        "device": options.device,
        "precision": options.precision,
        "progress": console.progress,
    }
    if options.file.is_dir():
        made = stage_folder(options.file, options.out, **settings)
        for warning in dict.fromkeys(warning for one in made["records"] for warning in one["warnings"]):
            console.say(warning)
        for one in made["failed"]:
            console.say(one["error"])
        console.result(made, "\n".join(_line(one) for one in made["records"]) or "nothing was staged")
        return 1 if made["failed"] else 0
    record = stage_file(options.file, options.out, **settings)
    for warning in record["warnings"]:
        console.say(warning)
    console.result(record, _line(record))
    return 0


def _line(record: dict[str, object]) -> str:
    counts = record["counts"]
    assert isinstance(counts, dict)
    epochs = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"{record['out']}: {record['epochs']} epochs by {record['note']}: {epochs}"


def run_file(
    file: Path,
    out: Path,
    *,
    home: Path | None = None,
    age: object = None,
    sex: object = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    steps: Collection[str] = (),
    progress: Progress,
) -> dict[str, Any]:
    """Run the steps over one recording (all without `steps`) and return what `run --json` prints; errors as `run_recording`."""
    from sleepfm.inference.pipeline import run_recording  # noqa: PLC0415
    from sleepfm.report.run_step import report_step  # noqa: PLC0415

    return run_recording(
        file,
        out,
        shelf=Shelf(open_home(home).models),
        age=age,
        sex=sex,
        device=device,
        precision=precision,
        steps=steps or STEPS,
        report=report_step(age=age, sex=sex),
        progress=progress,
    )


def _run(options: argparse.Namespace, console: Console) -> int:
    record = run_file(
        options.file,
        options.out,
        home=options.home,
        age=options.age,
        sex=options.sex,
        device=options.device,
        precision=options.precision,
        steps=options.steps,
        progress=console.progress,
    )
    for step, reason in record["skipped"].items():
        console.say(f"{step} skipped: {reason}")
    for warning in record["warnings"]:
        console.say(warning)
    for step, reason in record["failed"].items():
        console.say(f"{step} failed: {reason}")
    seconds = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in record["steps"].items())
    console.result(record, f"{record['out']}: {seconds}")
    return 1 if record["failed"] or not record["steps"] else 0
