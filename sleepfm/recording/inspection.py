"""What `sleepfm inspect` finds in a recording: its header, channels, gaps, problems and quality, ready for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import offered
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityReport, assess
from sleepfm.recording.recording import Channel, Recording


def inspect(path: Path | str, *, quality: bool = True, progress: Progress = silent) -> dict[str, Any]:
    """Return what is known of a recording, ready for JSON.

    Parameters
    ----------
    path
        An EDF or BDF file, or the header of a WFDB record; one without data is shown too.
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
        facts["unit_suspicion"] = report.suspicion(channel.index)
        facts["bad"] = channel.index in bad
    return facts


def _derivations(recording: Recording) -> list[dict[str, Any]]:
    return [
        {"label": one.label, "plus": one.plus, "minus": list(one.minus), "kind": one.kind.value}
        for one in offered(recording.channels)
    ]


def _quality(report: QualityReport) -> dict[str, Any]:
    return {"share_good": report.share_good(), "bad_channels": list(report.bad_channels()), "epochs": int(report.flags.shape[1])}
