"""Staging a night with one of the engines, and saying which.

`sleepfm` needs an encoder and a staging head on the shelf; `yasa` is always there. `auto` takes a SleepFM head that was
trained on real PSG when there is one, else YASA; it never takes one of unknown or simulated origin. A model that was trained on
simulated signals is taken only by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

import sleepfm
from sleepfm.errors import RequestError
from sleepfm.inference import yasa_engine
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.night import Night
from sleepfm.inference.simulated_models import SIMULATED_WORDS, simulated_warning
from sleepfm.inference.yasa_engine import Lead
from sleepfm.models.card import SIMULATED, UNKNOWN, Task
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.derivations import Derivation, offered, read_derivation
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.signals.store import SignalsFile, StoredChannel
from sleepfm.vocabulary import MODEL_RATE_HZ, Kind

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


def choose(engine: Engine, model: str | None, shelf: Shelf) -> ShelfEntry | None:
    """Return the SleepFM head that will stage, or None for YASA.

    Raises
    ------
    RequestError
        When SleepFM is asked for without a name and the shelf has no staging model or only simulated ones to offer, or when
        the named one is none.
    """
    if engine == "yasa":
        if model is not None:
            raise RequestError(f"model {model!r}: YASA brings its own weights; leave the model out or choose the engine sleepfm")
        return None
    if model is not None:
        entry = shelf.get(model)
        if entry.card.task is not Task.STAGING:
            raise RequestError(f"{model} is a model for {entry.card.task.value}, not for staging")
        return entry
    if engine == "auto":
        return shelf.pick(Task.STAGING)
    found = shelf.default(Task.STAGING)
    if found is None:
        raise RequestError(
            f"no SleepFM staging model is on the shelf{shelf.retired_words(Task.STAGING)}: `sleepfm models fetch official`"
            " downloads the published one,"
            " or choose the engine yasa"
        )
    if found.card.trained_on == SIMULATED:
        raise RequestError(
            f"the engine sleepfm would take {found.name}, which was {SIMULATED_WORDS}: ask for it by name (--model {found.name}),"
            " or download the published model with `sleepfm models fetch official`"
        )
    return found


def stage(
    night: Night,
    *,
    engine: Engine,
    model: str | None,
    shelf: Shelf,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> StagingResult:
    """Stage a night with the engine that was asked for; `auto` chooses as the module says.

    Raises
    ------
    RequestError
        When the engine or model is not there.
    RecordingError, ModelError
        When the night cannot be staged with it.
    """
    head = choose(engine, model, shelf)
    if head is None:
        return _with_yasa(night, progress)
    return _with_sleepfm(night, head, shelf, device=device, precision=precision, progress=progress)


def _with_yasa(night: Night, progress: Progress) -> StagingResult:
    if night.recording is not None:
        leads = leads_of(night.recording)
        found = yasa_engine.stage(leads, night.recording.duration_s, name=night.name, progress=progress)
    else:
        with night.signals() as signals:
            found = yasa_engine.stage(leads_of_signals(signals), signals.duration_s, name=night.name, progress=progress)
    note = f"YASA {found.version}, weights {found.weights_hash[:8]}, from {', '.join(found.leads)}"
    provenance = {
        "version": found.version,
        "weights_sha256": found.weights_hash,
        "trained_on": "real PSG (published with YASA)",
        "signals": list(found.leads),
    }
    return _result(found.scoring, engine="yasa", model="", label="YASA", note=note, provenance=provenance)


def _with_sleepfm(
    night: Night, head: ShelfEntry, shelf: Shelf, *, device: Device, precision: Precision, progress: Progress
) -> StagingResult:
    from sleepfm.inference.heads import stage_night  # noqa: PLC0415 - torch is loaded only where SleepFM stages
    from sleepfm.models.networks import load_model  # noqa: PLC0415

    encoder = shelf.encoder_of(head.card)
    embeddings = night.embeddings(encoder, device=device, precision=precision, progress=part(progress, 0.0, 0.85))
    scoring = stage_night(embeddings, load_model(head.folder), part(progress, 0.85, 1.0))
    origin = embeddings.origin
    card = head.card
    simulated = card.trained_on == SIMULATED
    warned = (simulated_warning(head.name, simulated_recording=origin.simulated),) if simulated else ()
    scoring = replace(scoring, warnings=(*warned, *scoring.warnings, *origin.notes))
    training = SIMULATED_WORDS if simulated else f"trained on {card.trained_on}"
    note = f"SleepFM {head.name}, weights {card.weights_sha256[:8]}, encoder {encoder.name}, {training}"
    provenance = {
        "version": sleepfm.__version__,
        "weights_sha256": card.weights_sha256,
        "encoder": encoder.name,
        "encoder_sha256": encoder.card.weights_sha256,
        "trained_on": card.trained_on,
        "recipe": origin.recipe,
        "device": origin.device,
        "precision": origin.precision,
        "signals": {modality.value: list(labels) for modality, labels in origin.channels.items()},
        "left_out": [{"modality": o.modality.value, "label": o.label, "reason": o.reason} for o in origin.left_out],
    }
    label = {SIMULATED: "SleepFM (simulated)", UNKNOWN: "SleepFM (unknown origin)"}.get(card.trained_on, "SleepFM")
    return _result(scoring, engine="sleepfm", model=head.name, label=label, note=note, provenance=provenance)


def _result(scoring: Scoring, *, engine: str, model: str, label: str, note: str, provenance: dict[str, Any]) -> StagingResult:
    common = {
        "engine": engine,
        "model": model,
        "label": label,
        "note": note,
        "software": f"sleepfm {sleepfm.__version__}",
        "warnings": list(scoring.warnings),
    }
    return StagingResult(scoring, engine, model, common | provenance)


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


def _derived(recording: Recording, derivation: Derivation) -> Sequence[tuple[float, np.ndarray]]:
    return [(start, read_derivation(recording, derivation, start, stop)) for start, stop in recording.segments()]


def leads_of_signals(signals: SignalsFile) -> list[Lead]:
    """Return the signals of an HDF5 file that YASA may use; channels that do not say their µV are not among them."""
    return [
        Lead(label=c.label, kind=c.kind, rate_hz=MODEL_RATE_HZ, read=partial(_stored_pieces, signals, c))
        for c in signals.channels
        if c.kind in _STAGING_KINDS and c.unit == "µV" and c.std is not None and not c.flat
    ]


def _stored_pieces(signals: SignalsFile, channel: StoredChannel) -> Sequence[tuple[float, np.ndarray]]:
    samples = signals.read(channel, units="original")
    ends = [0.0, *(time for gap in signals.gaps for time in gap), signals.duration_s]
    pieces = zip(ends[::2], ends[1::2], strict=True)
    return [
        (start, samples[round(start * MODEL_RATE_HZ) : round(stop * MODEL_RATE_HZ)]) for start, stop in pieces if stop > start
    ]
