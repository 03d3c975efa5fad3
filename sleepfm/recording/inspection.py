"""What `sleepfm inspect` shows of a recording: its header, channels, gaps, problems and quality, as JSON and as text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import offered
from sleepfm.recording.edf import EdfRecording, open_recording
from sleepfm.recording.quality import QualityReport, assess
from sleepfm.recording.recording import Channel
from sleepfm.text import printable

_LONGEST_CELL = 60


def inspect(path: Path | str, *, quality: bool = True, progress: Progress = silent) -> dict[str, Any]:
    """Return what is known of a recording, ready for JSON.

    Parameters
    ----------
    path
        An EDF or BDF file; one without data records is shown too.
    quality
        Judge the signals, which reads the whole file; False reads the header and annotations only.
    progress
        Told how far the judging is.

    Raises
    ------
    RequestError
        There is no such file.
    RecordingError
        The header cannot be read.
    """
    with open_recording(path, allow_empty=True) as recording:
        report = assess(recording, progress) if quality else None
        bad = set() if report is None else set(report.bad_channels())
        annotations = len(recording.annotations())
        return {
            "file": str(path),
            "format": recording.format,
            "duration_s": recording.duration_s,
            "start": None if recording.start is None else recording.start.isoformat(),
            "simulated": recording.simulated,
            "channels": [_channel(channel, report, bad) for channel in recording.channels],
            "gaps": [list(gap) for gap in recording.gaps],
            "problems": list(recording.problems),
            "annotations": annotations,
            "derivations": _derivations(recording),
            "quality": None if report is None else _quality(report),
        }


def inspection_text(found: dict[str, Any]) -> str:
    """Return what `inspect` found as text for a terminal; labels cannot control it."""
    start = "unknown" if found["start"] is None else found["start"].replace("T", " ")
    lines = [
        f"{printable(found['file'])}: {found['format']}, {_clock(found['duration_s'])}, start {start}",
        f"{len(found['channels'])} channels, {found['annotations']} annotations, {len(found['gaps'])} gaps",
    ]
    if found["simulated"]:
        lines.append("SIMULATED: made by software, not recorded from a person")
    if found["channels"]:
        lines += ["", *_table(_rows(found))]
    sections = {
        "Problems of channels": [
            f"{one['index']} {one['label']}: {text}" for one in found["channels"] for text in one["problems"]
        ],
        "Problems": found["problems"],
        "Gaps": [f"{_clock(start)} to {_clock(stop)} ({stop - start:g} s)" for start, stop in found["gaps"]],
        "Derivations that can be made": [one["label"] for one in found["derivations"]],
    }
    for title, texts in sections.items():
        if texts:
            lines += ["", f"{title}:", *(f"  {printable(text)}" for text in texts)]
    return "\n".join(lines)


def _channel(channel: Channel, report: QualityReport | None, bad: set[int]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "index": channel.index,
        "label": channel.label,
        "rate_hz": channel.rate_hz,
        "unit": channel.unit,
        "kind": channel.kind.value,
        "modality": None if channel.modality is None else channel.modality.value,
        "reason": channel.reason,
        "problems": list(channel.problems),
        "original_unit": channel.original_unit,
        "transducer": channel.transducer,
        "prefilter": channel.prefilter,
    }
    if report is not None:
        facts["quality"] = report.words(channel.index)
        facts["bad"] = channel.index in bad
    return facts


def _derivations(recording: EdfRecording) -> list[dict[str, Any]]:
    return [
        {"label": one.label, "plus": one.plus, "minus": list(one.minus), "kind": one.kind.value}
        for one in offered(recording.channels)
    ]


def _quality(report: QualityReport) -> dict[str, Any]:
    return {"share_good": report.share_good(), "bad_channels": list(report.bad_channels()), "epochs": int(report.flags.shape[1])}


def _rows(found: dict[str, Any]) -> list[list[str]]:
    heads = ["#", "Label", "Hz", "Unit", "Kind", "Modality", "Quality", "Why"]
    rows = [
        [
            str(one["index"]),
            one["label"],
            f"{one['rate_hz']:g}",
            one["unit"],
            one["kind"],
            one["modality"] or "–",
            ("BAD: " if one.get("bad") else "") + one.get("quality", ""),
            one["reason"],
        ]
        for one in found["channels"]
    ]
    return [heads, *([_cell(text) for text in row] for row in rows)]


def _cell(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST_CELL else shown[: _LONGEST_CELL - 1] + "…"


def _table(rows: list[list[str]]) -> list[str]:
    """Return the rows as lines with aligned columns; columns that are empty throughout are left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _clock(seconds: float) -> str:
    whole = math.floor(seconds)
    fraction = f"{seconds - whole:.3f}".lstrip("0").rstrip("0").rstrip(".") if seconds != whole else ""
    return f"{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}{fraction}"
