"""The job that looks a new study through: its own scoring, its quality, its spectrograms, its hash."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from sleepfm.analysis.spectrogram import multitaper, write_spectrogram
from sleepfm.errors import ScoringError
from sleepfm.home import Home
from sleepfm.library.library import OWN_SCORING, Library
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.quality import assess
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.edf_annotations import stages_from_annotations
from sleepfm.vocabulary import Kind

_MIN_EEG_RATE_HZ = 40.0
"""Below it an EEG channel says nothing about spindles or alpha; a spectrogram of it would mislead."""


def prepare(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Take over the scoring that the file itself holds, assess its quality, compute its spectrograms, and hash it."""
    identifier = parameters["study"]
    with Library(home) as library, closing(library.recording(identifier, mapped=True)) as recording:
        _store_own_scoring(library, identifier, recording)
        report = assess(recording, part(progress, 0.0, 0.5))
        report.save(library.quality_file(identifier))
        channels = [channel for channel in recording.channels if channel.kind is Kind.EEG and channel.rate_hz > _MIN_EEG_RATE_HZ]
        for number, channel in enumerate(channels):
            progress(0.5 + 0.3 * number / len(channels), f"spectrogram of {channel.label}")
            write_spectrogram(
                library.spectrogram_file(identifier, channel.index),
                multitaper(recording.read(channel.index, 0.0, recording.duration_s), channel.rate_hz),
            )
        digest = fingerprint(recording.path, part(progress, 0.8, 1.0))
        bad = [recording.channel(index).label for index in report.bad_channels()]
        library.store_facts(identifier, sha256=digest, quality=report.share_good(), bad_channels=bad)
    return {"quality": report.share_good(), "bad_channels": bad, "sha256": digest}


def _store_own_scoring(library: Library, identifier: str, recording: Recording) -> None:
    """Store the stages among the recording's annotations, when there are any and they can be read."""
    annotations = recording.annotations()
    if not any("sleep stage" in annotation.text.lower() for annotation in annotations):
        return
    label = "True stages (simulated)" if recording.simulated else "Scoring in the file"
    try:
        scoring = stages_from_annotations(annotations, duration_s=recording.duration_s, scorer=label)
    except ScoringError as error:
        print(f"{identifier}: the stages in the file cannot be used: {error}")
        return
    provenance = {"engine": OWN_SCORING, "label": label, "note": "from the recording's annotations", "warnings": scoring.warnings}
    library.store_scoring(identifier, scoring, engine=OWN_SCORING, model="", provenance=provenance)
