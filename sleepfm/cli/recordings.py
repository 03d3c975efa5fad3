"""Commands on recordings and scorings: inspect, simulate, agree."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from sleepfm.analysis.agreement import Agreement, agree
from sleepfm.cli.agreement import agree_folders, batch_text
from sleepfm.cli.console import Console
from sleepfm.cli.options import command, positive_float, positive_int
from sleepfm.cli.scorings import add_codes, codes_of
from sleepfm.errors import RequestError
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, Stage


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    inspect = command(
        commands,
        "inspect",
        _inspect,
        does="show channels, rates, units, modalities, quality and header problems of a recording",
        example="sleepfm inspect night.edf",
    )
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument("--no-quality", action="store_true", help="read only the header (quality needs the whole file)")

    simulate = command(
        commands,
        "simulate",
        _simulate,
        does="make simulated PSG with true scoring, events and cohort tables, marked as simulated; goes on where it was stopped",
        example="sleepfm simulate cohort --studies 500 --hours 2 --seed 7 --format hdf5 --sites 4 --jobs 2",
    )
    simulate.add_argument("out", type=Path, metavar="OUT", help="folder for the files")
    simulate.add_argument("--studies", type=positive_int, default=1, help="how many studies (default: 1)")
    simulate.add_argument("--hours", type=positive_float, default=8.0, help="length of each night in hours (default: 8)")
    simulate.add_argument("--seed", type=int, default=0, help="same seed, same files (default: 0)")
    simulate.add_argument(
        "--format",
        choices=("edf", "hdf5"),
        default="edf",
        help="EDF+ recordings, or model-ready signals as convert makes them (default: edf)",
    )
    simulate.add_argument(
        "--sites",
        type=positive_int,
        default=1,
        help="how many laboratories with montages of their own, 1 to 4 (default: 1, the whole montage)",
    )
    simulate.add_argument("--jobs", type=positive_int, default=1, help="how many processes (default: 1)")

    agree = command(
        commands,
        "agree",
        _agree,
        does="compare two scorings epoch by epoch; Unknown in either is left out",
        example="sleepfm agree hypnogram.csv expert.csv",
    )
    agree.add_argument("a", type=Path, metavar="A", help="a scoring, or a folder of them (then B is one too)")
    agree.add_argument("b", type=Path, metavar="B")
    agree.add_argument("--subjects", type=Path, metavar="CSV", help="of folders: whose nights they are (Study ID, Subject ID)")
    add_codes(agree)


def _inspect(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.recording.inspection import inspect  # noqa: PLC0415 - commands load only what they use
    from sleepfm.recording.inspection_text import inspection_text  # noqa: PLC0415

    found = inspect(options.file, quality=not options.no_quality, progress=console.progress)
    console.result(found, inspection_text(found))
    return 0


def _simulate(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.simulation.study import simulate  # noqa: PLC0415

    if options.seed < 0:
        raise RequestError(f"--seed {options.seed}: give 0 or more")
    made = simulate(
        options.out,
        studies=options.studies,
        hours=options.hours,
        seed=options.seed,
        progress=console.progress,
        format=options.format,
        sites=options.sites,
        jobs=options.jobs,
    )
    lines = [f"{one['id']}: {one[options.format]}" for one in made["studies"]]
    console.result(made, "\n".join(["Simulated signals, for trying the software only:", *lines]))
    return 0


def _agree(options: argparse.Namespace, console: Console) -> int:
    codes = codes_of(options)
    if options.a.is_dir() or options.b.is_dir():
        return _agree_folders(options, console, codes)
    a = read_scoring(options.a, codes=codes)
    b = read_scoring(options.b, codes=codes, start=a.start)  # two that know their clock times are compared at the same ones
    for path, scoring in ((options.a, a), (options.b, b)):
        for warning in scoring.warnings:
            console.say(f"{path}: {warning}")
    found = agree(a.stages, b.stages)
    for warning in found.warnings:
        console.say(warning)
    console.result(found.as_dict(), _agreement_text(found))
    return 0


def _agree_folders(options: argparse.Namespace, console: Console, codes: dict[int, Stage] | None) -> int:
    if not (options.a.is_dir() and options.b.is_dir()):
        raise RequestError(f"{options.a} and {options.b}: give two scorings or two folders")
    read = partial(read_scoring, codes=codes)
    found = agree_folders(options.a, options.b, read, subjects=options.subjects, progress=console.progress)
    for remark in found.remarks:
        console.say(remark)
    for night, why in found.failed.items():
        console.say(f"{night} failed: {why}")
    console.result(found.as_dict(), batch_text(found, _agreement_text))
    return 1 if found.failed else 0


def _agreement_text(found: Agreement) -> str:
    names = [STAGE_SHORT[stage] for stage in SCORED_STAGES]
    rows = [
        f"{found.epochs} epochs compared, {found.unknown} left out as Unknown",
        f"kappa {_number(found.kappa)}   accuracy {_number(found.accuracy)}   macro F1 {_number(found.macro_f1)}",
        "",
        "      " + "".join(f"{name:>7}" for name in names) + "     F1   (rows A, columns B)",
    ]
    for name, counts, f1 in zip(names, found.confusion.tolist(), found.f1.values(), strict=True):
        rows.append(f"{name:>6}" + "".join(f"{count:7d}" for count in counts) + f"  {_number(f1)}")
    return "\n".join(rows)


def _number(value: float | None) -> str:
    return "  –  " if value is None else f"{value:.3f}"
