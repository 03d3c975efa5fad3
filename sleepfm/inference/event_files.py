"""Scoring the events of a file on the command line: stages in, an events CSV out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sleepfm.errors import MissingChannelsError, RequestError
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.event_scoring import DEFAULT_PROFILE, EventScoring, require_profile, score_events
from sleepfm.inference.night import Night, open_night
from sleepfm.inference.staging import stage
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.scorings.events_csv import write_events
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.recording.scorings.scoring import Scoring


def events_file(
    file: Path,
    out: Path,
    *,
    hypnogram: Path | None,
    shelf: Shelf,
    profile: str = DEFAULT_PROFILE,
    model: str | None = None,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score the events of one file into a CSV and return what `events --json` prints.

    Parameters
    ----------
    hypnogram
        A scoring in any format that is read; None: the recording is staged first, as `stage` does.
    profile
        psgscoring's rules.
    model
        A breathing head to judge the night beside; None: one that was trained on real recordings, where there is one.

    Raises
    ------
    RequestError
        When `out` is a folder, the file holds model signals only, or the profile or the model is not there.
    RecordingError, ScoringError, ModelError
        When the file or the hypnogram cannot be used.
    """
    if out.is_dir():
        raise RequestError(f"{out}: is a folder; --out names the CSV to write")
    from sleepfm.inference.breathing_engine import choose_breathing, estimate_breathing  # noqa: PLC0415 - torch

    require_profile(profile)
    head = choose_breathing(shelf, model)
    with open_night(file) as night:
        if night.recording is None:
            raise RequestError(f"{file}: holds signals prepared for the model; events are scored from the recording itself")
        share = 0.3 if hypnogram is None else 0.01
        scoring = _stages(night, hypnogram, shelf, device=device, precision=precision, progress=part(progress, 0.0, share))
        found = score_events(
            night.recording,
            scoring,
            name=str(file),
            profile=profile,
            vitals=night.vitals(part(progress, share, share + 0.02)),
            quality=night.quality(part(progress, share + 0.02, share + 0.05)),
            progress=part(progress, share + 0.05, 0.8 if head else 1.0),
        )
        second = None
        if head is not None:
            second = estimate_breathing(
                night, head, shelf, device=device, precision=precision, progress=part(progress, 0.8, 1.0)
            ).as_dict()
    write_events(found.events, out)
    return {**describe_events(found), "breathing_model": second, "out": str(out)}


def _stages(
    night: Night, hypnogram: Path | None, shelf: Shelf, *, device: Device, precision: Precision, progress: Progress
) -> Scoring:
    recording = night.recording
    assert recording is not None
    if hypnogram is not None:
        scoring = read_scoring(hypnogram, duration_s=recording.duration_s, start=recording.start)
        return replace(scoring, scorer=scoring.scorer or hypnogram.name)
    try:
        made = stage(night, engine="auto", model=None, shelf=shelf, device=device, precision=precision, progress=progress)
    except MissingChannelsError as error:
        raise MissingChannelsError(f"{error}; or give the stages with --hypnogram") from None
    return made.scoring


def describe_events(found: EventScoring) -> dict[str, Any]:
    """Return counts and indices of a scoring of events, and what made it."""
    return {
        "engine": found.engine,
        "model": found.model,
        "counts": found.counts,
        "indices": {key: asdict(index) for key, index in found.indices.items()},
        "skipped": found.skipped,
        "looked_for": found.provenance["looked_for"],
        "left_out": found.provenance["left_out"],
        "note": found.provenance["note"],
        "warnings": found.provenance["warnings"],
        "provenance": found.provenance,
    }
