"""The command that scores events."""

from __future__ import annotations

import argparse
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_device, add_home, command
from sleepfm.home import open_home
from sleepfm.models.shelf import Shelf

_INDEX_NAMES = {
    "ahi": "AHI",
    "rera_index": "RERA index",
    "odi3": "ODI 3 %",
    "odi4": "ODI 4 %",
    "arousal_index": "arousal index",
    "plmi": "PLM index",
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    events = command(
        commands,
        "events",
        _events,
        does="respiratory events, desaturations, arousals and leg movements by psgscoring: a proposal for a person to review",
        example="sleepfm events night.edf --hypnogram hypnogram.csv --out events.csv",
    )
    events.add_argument("file", type=Path, metavar="FILE", help="EDF, BDF or WFDB")
    events.add_argument(
        "--hypnogram", type=Path, metavar="CSV", help="the stages, in any scoring format (default: staged first, as by `stage`)"
    )
    events.add_argument("--out", type=Path, required=True, metavar="CSV")
    events.add_argument("--profile", metavar="NAME", help="psgscoring's rules (default: aasm_v3_breath, AASM v3 rule 1A)")
    events.add_argument(
        "--model",
        metavar="NAME",
        help="a breathing model on the shelf, to judge the night beside; one trained on simulated signals must be named",
    )
    add_device(events)
    add_home(events)


def _events(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.inference.event_files import events_file  # noqa: PLC0415 - commands load only what they use
    from sleepfm.inference.event_scoring import DEFAULT_PROFILE  # noqa: PLC0415

    record = events_file(
        options.file,
        options.out,
        hypnogram=options.hypnogram,
        shelf=Shelf(open_home(options.home).models),
        profile=options.profile or DEFAULT_PROFILE,
        model=options.model,
        device=options.device,
        precision=options.precision,
        progress=console.progress,
    )
    for what, why in record["skipped"].items():
        console.say(f"{what}: not scored, {why}")
    for warning in record["warnings"]:
        console.say(warning)
    second = record["breathing_model"]
    for warning in second["warnings"] if second else ():
        console.say(warning)
    console.result(record, "\n".join(_lines(record)))
    return 0


def _lines(record: dict[str, object]) -> list[str]:
    counts, indices, second = record["counts"], record["indices"], record["breathing_model"]
    assert isinstance(counts, dict)
    assert isinstance(indices, dict)
    found = ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "no events"
    lines = [f"{record['out']}: {found} ({record['note']})"]
    for key, name in _INDEX_NAMES.items():
        if (index := indices.get(key)) is None:
            continue
        interval = "" if index["low"] is None else f" ({index['low']:.1f} to {index['high']:.1f} by stricter and looser rules)"
        lines.append(f"{name}: {index['value']:.1f} per hour of sleep{interval}")
    if isinstance(second, dict):
        lines.append(f"{second['model']}: AHI of at least 15 with a probability of {100 * second['ahi_at_least_15']:.0f} %")
    return lines
