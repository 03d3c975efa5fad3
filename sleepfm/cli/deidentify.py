"""The command that writes copies of recordings that name nobody."""

from __future__ import annotations

import argparse
from pathlib import Path

from sleepfm.cli.console import Console
from sleepfm.cli.options import command
from sleepfm.recording.deidentified import KEEPABLE, Deidentified, Keep
from sleepfm.recording.deidentify import deidentify


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = command(
        commands,
        "deidentify",
        _deidentify,
        does="copy a recording (EDF, BDF, WFDB) without names, codes and dates; samples stay as they are, the copy is searched",
        example="sleepfm deidentify night.edf --out study-12.edf --keep age,sex --study-id S012",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the copy; of a WFDB record its header (.hea)")
    parser.add_argument("--keep", type=_keepable, default=(), metavar="WHAT", help="age, sex or age,sex (default: neither)")
    parser.add_argument("--study-id", default="", metavar="X", help="a code for the patient field (default: X)")
    parser.add_argument(
        "--keep-start-time",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the time of day of the start; the date always goes (default: kept, lights and stages are read by it)",
    )
    parser.add_argument("--shift-days", type=int, metavar="N", help="move the date by N days (default: 01.01.85, not known)")
    parser.add_argument(
        "--keep-annotations",
        action="store_true",
        help="keep free texts too, but for those with a word, code or date of the header and those that look like an address, a"
        " number or somebody's name; what stays is listed to be read, for a name that only it holds is not known (EDF, BDF)",
    )


def _keepable(text: str) -> tuple[Keep, ...]:
    words = {word.strip() for word in text.split(",") if word.strip()}
    if not words <= set(KEEPABLE):
        raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(KEEPABLE)}")
    return tuple(one for one in KEEPABLE if one in words)


def _deidentify(options: argparse.Namespace, console: Console) -> int:
    made = deidentify(
        options.file,
        options.out,
        keep=options.keep,
        study_id=options.study_id,
        keep_start_time=options.keep_start_time,
        shift_days=options.shift_days,
        keep_annotations=options.keep_annotations,
        progress=console.progress,
    )
    for remark in made.remarks:
        console.say(remark)
    console.result(made.as_dict(), _text(made))
    return 0


def _text(made: Deidentified) -> str:
    removed = ", ".join(f"{what} ({count})" if count > 1 else what for what, count in made.removed.items()) or "nothing was there"
    return "\n".join([
        f"{made.out}: samples as they were; none of {made.searched_words} words, codes and dates of the header is left",
        f"removed: {removed}",
        f"kept: {', '.join((*made.kept, f'{made.annotations_kept} annotations'))}",
    ])  # fmt: skip
