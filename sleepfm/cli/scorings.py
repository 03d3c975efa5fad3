"""Commands on scoring files: convert-scoring."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import command
from sleepfm.errors import RecordingError, RequestError, ScoringError
from sleepfm.recording.scorings.codes import parse_codes
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import READABLE, WRITABLE, ScoringFormat, read_events, read_file, unusual, write_scoring
from sleepfm.vocabulary import STAGE_NAMES, Stage

_BY_SUFFIX: dict[str, ScoringFormat] = {
    ".csv": "sleepfm", ".edf": "edf", ".xml": "nsrr", ".annot": "annot", ".eannot": "eannot", ".npy": "usleep", ".txt": "yasa",
    ".tsv": "bids",
}  # fmt: skip


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    convert = command(
        commands,
        "convert-scoring",
        _convert,
        does="convert stages and events between the scoring formats; the format of IN is seen from its content",
        example="sleepfm convert-scoring night-nsrr.xml night.annot --recording night.edf",
    )
    convert.add_argument("file", type=Path, metavar="IN")
    convert.add_argument("out", type=Path, metavar="OUT")
    suffixes = ", ".join(f"{suffix} {name}" for suffix, name in _BY_SUFFIX.items())
    convert.add_argument(
        "--to", choices=WRITABLE, metavar="FORMAT", help=f"{', '.join(WRITABLE)} (default: by OUT's suffix: {suffixes})"
    )
    convert.add_argument(
        "--from",
        dest="as_format",
        choices=READABLE,
        metavar="FORMAT",
        help=f"what IN is, where its content does not say it: {', '.join(READABLE)}",
    )
    add_codes(convert)
    convert.add_argument(
        "--recording",
        type=Path,
        metavar="FILE",
        help="the recording: the scoring is laid over it by clock time and gets exactly its epochs",
    )
    convert.add_argument("--events", type=Path, metavar="FILE", help="write these events along, in place of those in IN")
    convert.add_argument("--events-out", type=Path, metavar="CSV", help="write the events as an events CSV too")


def _require_free(options: argparse.Namespace) -> None:
    """Raise RequestError when OUT is a folder, one of the files that are read, or somebody's recording."""
    out: Path = options.out
    if out.is_dir():
        raise RequestError(f"{out} is a folder: give a file")
    if not out.exists():
        return
    if any(
        given is not None and given.exists() and out.samefile(given)
        for given in (options.file, options.recording, options.events)
    ):
        raise RequestError(f"{out} is one of the files to read: give another name")
    if _is_recording(out):
        raise RequestError(f"{out} is a recording: it is not overwritten by a scoring; give another name")


def _is_recording(path: Path) -> bool:
    """Whether a file is an EDF or BDF with signals."""
    from sleepfm.recording.edf import open_edf  # noqa: PLC0415

    try:
        with open_edf(path) as recording:
            return bool(recording.channels)
    except RecordingError:
        return False


def add_codes(parser: argparse.ArgumentParser) -> None:
    """Add `--codes`."""
    parser.add_argument(
        "--codes",
        metavar="0=W,1=N1,…",
        help="what integers mean, where the format does not fix it: 0=W,1=N1,2=N2,3=N3,4=R,-1=?",
    )


def codes_of(options: argparse.Namespace) -> dict[int, Stage] | None:
    """Return what `--codes` says; RequestError when it cannot be read."""
    return None if options.codes is None else parse_codes(options.codes)


def _convert(options: argparse.Namespace, console: Console) -> int:
    to = options.to or _BY_SUFFIX.get(options.out.suffix.lower())
    if to is None:
        raise RequestError(f"{options.out}: its suffix names no format: give --to {'|'.join(WRITABLE)}")
    _require_free(options)
    duration_s, start = None, None
    if options.recording is not None:
        from sleepfm.recording.opening import open_recording  # noqa: PLC0415 - commands load only what they use

        with open_recording(options.recording) as recording:
            duration_s, start = recording.duration_s, recording.start
    read = read_file(options.file, as_format=options.as_format, duration_s=duration_s, start=start, codes=codes_of(options))
    if read.scoring is None:
        raise ScoringError(f"{options.file}: holds no sleep stages; a scoring needs them")
    scoring, events, warnings = read.scoring, read.events, list(read.warnings)
    warnings += unusual(scoring)
    if options.events is not None:
        events = read_events(options.events, start=scoring.start, duration_s=duration_s)
    if options.events_out is not None:
        write_events(events, options.events_out)
    lost = write_scoring(scoring, options.out, to=to, start=scoring.start, events=events)
    warnings += [one for one in lost if not (options.events_out is not None and "stages only" in one)]
    for warning in warnings:
        console.say(warning)
    seconds = {STAGE_NAMES[stage]: float((scoring.stages == stage).sum()) * scoring.epoch_s for stage in (*Stage,)}
    result: dict[str, Any] = {
        "from": read.format,
        "to": to,
        "rows": len(scoring.stages),
        "seconds": seconds,
        "events": len(events),
        "out": str(options.out),
        "warnings": warnings,
    }
    told = ", ".join(f"{name} {value / 60:g} min" for name, value in seconds.items() if value)
    console.result(
        result, f"{options.out}: {len(scoring.stages)} epochs from {read.format} to {to}: {told}; {len(events)} events"
    )
    return 0
