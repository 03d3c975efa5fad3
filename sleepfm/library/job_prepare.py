"""The job that looks a new study through: its hash, its own scoring, its quality, its vitals, spectrograms and envelopes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.analysis.spectrogram import multitaper, write_spectrogram
from sleepfm.errors import ScoringError
from sleepfm.home import Home
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.study import OWN_SCORING
from sleepfm.library.vitals import vitals_file
from sleepfm.progress import Progress, part
from sleepfm.recording.derivations import Derivation, offered, read_derivation
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.quality import assess
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.edf_annotations import stages_from_annotations
from sleepfm.recording.scorings.formats import read_file
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.signals.envelopes import displayed_traces, write_envelopes
from sleepfm.signals.trace_windows import trace_key
from sleepfm.signals.vitals import measure_vitals
from sleepfm.vocabulary import Kind

TRUE_STAGES = "True stages (simulated)"
"""What the scoring of a simulated recording is called."""
_MIN_EEG_RATE_HZ = 40.0
"""Below it an EEG channel says nothing about spindles or alpha; a spectrogram of it would mislead."""


def prepare(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Hash a study's file, take over the scoring that it holds, assess its quality, compute what the screen shows of it.

    Parameters
    ----------
    parameters
        `study`, and where one came with the recording, the file of its `scoring`.
    """
    identifier = parameters["study"]
    with Library(home) as library, closing(library.recording(identifier, mapped=True)) as recording:
        library.require_unchanged(identifier)
        digest = fingerprint(recording.path, part(progress, 0.0, 0.05))
        library.store_hash(identifier, digest)
        own = _store_own_scoring(library, identifier, recording, digest)
        if "scoring" in parameters:
            _store_scoring_beside(library, identifier, recording, own=own, file=Path(parameters["scoring"]), sha256=digest)
        report = assess(recording, part(progress, 0.05, 0.3))
        report.save(library.quality_file(identifier))
        measure_vitals(recording, part(progress, 0.3, 0.35)).save(vitals_file(library, identifier))
        _store_spectrograms(library, identifier, recording, part(progress, 0.35, 0.5))
        write_envelopes(library.envelope_file(identifier), recording, displayed_traces(recording), part(progress, 0.5, 1.0))
        bad = [recording.channel(index).label for index in report.bad_channels()]
        library.store_quality(identifier, quality=report.share_good(), bad_channels=bad)
    return {"quality": report.share_good(), "bad_channels": bad, "sha256": digest}


def _store_spectrograms(library: Library, identifier: str, recording: Recording, progress: Progress) -> None:
    """Store a spectrogram of every EEG, of the derivation where only its unreferenced lead was recorded."""
    derived = [derivation for derivation in offered(recording.channels) if derivation.kind is Kind.EEG]
    replaced = {index for derivation in derived for index in (derivation.plus, *derivation.minus)}
    recorded = [
        Derivation(channel.label, channel.index, (), channel.kind, channel.modality)
        for channel in recording.channels
        if channel.kind is Kind.EEG and channel.index not in replaced
    ]
    shown = [one for one in (*derived, *recorded) if recording.channel(one.plus).rate_hz > _MIN_EEG_RATE_HZ]
    files = {library.spectrogram_file(identifier, trace_key(one.plus, one.minus)): one for one in shown}
    for number, (file, derivation) in enumerate(files.items()):
        progress(number / len(files), f"spectrogram of {derivation.label}")
        samples = read_derivation(recording, derivation, 0.0, recording.duration_s)
        write_spectrogram(file, multitaper(samples, recording.channel(derivation.plus).rate_hz))
    for old in library.spectrograms(identifier).values():
        if old not in files:  # of a channel that was taken for an EEG once
            old.unlink(missing_ok=True)


def _store_own_scoring(library: Library, identifier: str, recording: Recording, sha256: str) -> Scoring | None:
    """Store the stages among the recording's annotations, and return them, when there are any and they can be read."""
    annotations = recording.annotations()
    if not any("sleep stage" in annotation.text.lower() for annotation in annotations):
        return None
    label = TRUE_STAGES if recording.simulated else "Scoring in the file"
    try:
        scoring = stages_from_annotations(annotations, duration_s=recording.duration_s, scorer=label)
    except ScoringError as error:
        print(f"{identifier}: the stages in the file cannot be used: {error}")
        return None
    provenance = {
        "engine": OWN_SCORING,
        "label": label,
        "note": "from the recording's annotations",
        "source_sha256": sha256,
        "warnings": scoring.warnings,
    }
    library.store_scoring(identifier, scoring, engine=OWN_SCORING, model="", provenance=provenance)
    return scoring


def _store_scoring_beside(
    library: Library, identifier: str, recording: Recording, *, own: Scoring | None, file: Path, sha256: str
) -> None:
    """Store the stages and events of a file that came with the recording, unless the recording itself holds the same stages."""
    require_readable_here(library.home, file)
    read = read_file(file, duration_s=recording.duration_s, start=recording.start)
    if read.scoring is None:
        raise ScoringError(f"{file}: holds no sleep stages any more")
    if own is not None and np.array_equal(own.stages, read.scoring.stages):
        return
    provenance = {
        "engine": OWN_SCORING,
        "label": TRUE_STAGES if recording.simulated else f"Scoring {file.name}",
        "note": f"from {file}",
        "source_sha256": sha256,
        "warnings": read.warnings,
    }
    library.store_scoring(identifier, read.scoring, engine=OWN_SCORING, model=file.name, provenance=provenance)
    if read.events:
        store_events(library, identifier, read.events, engine=OWN_SCORING, model=file.name, provenance=provenance)
