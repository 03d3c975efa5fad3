"""Gathering what a report says of a recording that is in no library, with the results that lie beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sleepfm.analysis.sleep_statistics import NightStatistics, Statistic, night_statistics
from sleepfm.analysis.spectrogram import multitaper
from sleepfm.analysis.spectrogram_choice import first_spectrogram
from sleepfm.errors import ScoringError
from sleepfm.inference.event_remarks import event_remarks
from sleepfm.library.ahi_rule import ahi_rule
from sleepfm.library.events_origin import left_out_of
from sleepfm.library.review_proposal import proposal_words
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.derivations import read_derivation
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.identity import identity_of
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import assess
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.edf_annotations import stages_from_annotations
from sleepfm.recording.scorings.event_texts import events_from_annotations, unclassified_annotations
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.report.gather import (
    SOFTWARE,
    Telling,
    channel_quality,
    engine_rows,
    lights_mark,
    shown_traces,
    signals_of,
    simulated_models,
    study_code,
    study_facts,
    warnings_of,
)
from sleepfm.report.redaction import without_identity
from sleepfm.report.report_data import ReportData, Spectrum, Standing, State
from sleepfm.signals.study_ids import study_id
from sleepfm.signals.vitals import measure_vitals
from sleepfm.vocabulary import EventName, Kind

_MIN_EEG_RATE_HZ = 40.0
_IN_THE_FILE = "the recording's annotations"


@dataclass(frozen=True)
class Results:
    """What `sleepfm run` wrote of one recording.

    Attributes
    ----------
    folder
        Where hypnogram.csv, events.csv and statistics.json lie, as far as they were made.
    stage, events
        What it says of the engines that made them.
    """

    folder: Path
    stage: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)


def results_of(folder: Path, sha256: str) -> Results | None:
    """Return the results in a folder when they are of the recording with this hash.

    Raises
    ------
    ScoringError
        When the folder's provenance cannot be read.
    """
    file = folder / "provenance.json"
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ScoringError(f"{file}: cannot be read ({error}); run the recording again") from None
    if not isinstance(said, dict) or said.get("sha256") != sha256:
        return None
    return results_from(folder, said)


def results_from(folder: Path, told: Mapping[str, Any]) -> Results:
    """Return the results in a folder, given what the steps of `run` told of themselves by name."""
    engines = (told.get(step, {}).get("provenance", {}) for step in ("stage", "events"))
    return Results(folder, *engines)


def file_report(
    file: Path,
    *,
    identifier: str | None = None,
    results_in: Path | None = None,
    scoring: Path | None = None,
    events: Path | None = None,
    telling: Telling | None = None,
    made_at: datetime | None = None,
    progress: Progress = silent,
) -> ReportData:
    """Return the data of a recording's report.

    Parameters
    ----------
    file
        The recording.
    identifier
        What the study is called; after the file unless told.
    results_in
        Folder that `sleepfm run` wrote to: its results of this recording are used, which are known by the recording's hash.
    scoring, events
        Files in any known format, which count before `run`'s; without either the recording's own annotations.

    Raises
    ------
    RequestError
        When a file is not there.
    ScoringError
        When there are no stages.
    RecordingError
        When the recording cannot be read.
    """
    sha256 = fingerprint(file, part(progress, 0.0, 0.1))
    results = None if results_in is None else find_results(file, results_in, sha256)
    with closing(open_recording(file)) as recording:
        return recording_report(
            recording,
            identifier=identifier or study_id(file),
            sha256=sha256,
            results=results,
            scoring=scoring,
            events=events,
            telling=telling,
            made_at=made_at,
            progress=part(progress, 0.1, 1.0),
        )


def find_results(file: Path, out: Path, sha256: str) -> Results | None:
    """Return what `run` wrote below a folder of this recording; of several of one name the one with its hash."""
    taken: set[str] = set()
    while (out / (identifier := study_id(file, taken))).is_dir():
        if (found := results_of(out / identifier, sha256)) is not None:
            return found
        taken.add(identifier)
    return None


def recording_report(
    recording: Recording,
    *,
    identifier: str,
    sha256: str,
    results: Results | None = None,
    scoring: Path | None = None,
    events: Path | None = None,
    age: float | None = None,
    sex: str | None = None,
    telling: Telling | None = None,
    made_at: datetime | None = None,
    progress: Progress = silent,
) -> ReportData:
    """Return the data of the report of an open recording; see `file_report`.

    `age` and `sex` are the person's, in years and as "female" or "male", where somebody told them.
    """
    telling = telling or Telling()
    stages, proposal, staged = _stages(recording, results, scoring)
    marked, events_by, scored = _events(recording, results, events)
    progress(0.0, "reading oxygen, heart rate and position")
    measured = measure_vitals(recording, part(progress, 0.0, 0.4))
    quality = assess(recording, part(progress, 0.4, 0.8))
    progress(0.8, "spectrogram")
    spectrum = _spectrum(recording, staged)
    counted = _statistics(results) if results is not None and scoring is None and events is None else None
    if counted is None:
        counted = night_statistics(
            stages.stages,
            events=marked,
            looked_for=scored.get("looked_for", ()),
            left_out=left_out_of(scored),
            vitals=measured,
            probabilities=stages.probabilities,
        )
    made = ReportData(
        facts=study_facts(recording, identifier, telling, age, sex),
        scoring=stages,
        standing=Standing(State.PROPOSAL, proposal, by_program=bool(staged)),
        statistics=counted,
        made_at=made_at or datetime.now(UTC),
        events=marked,
        events_by=events_by,
        ahi_rule=ahi_rule(scored),
        lights_off_s=lights_mark(marked, EventName.LIGHTS_OFF),
        lights_on_s=lights_mark(marked, EventName.LIGHTS_ON),
        gaps=recording.gaps,
        vitals=measured,
        spectrum=spectrum,
        quality=channel_quality(recording, quality),
        simulated_models=simulated_models(staged, scored),
        remarks=(*recording.problems, *warnings_of(staged), *event_remarks(scored)),
        provenance=(SOFTWARE, *engine_rows("Stages", staged), *engine_rows("Events", scored), ("Recording sha256", sha256)),
    )
    progress(1.0, "spectrogram")
    return made if telling.identified else without_identity(made, identity_of(recording.path), code=study_code(sha256))


def _stages(recording: Recording, results: Results | None, scoring: Path | None) -> tuple[Scoring, str, Mapping[str, Any]]:
    """Return the stages, who made them, and what is known of that engine."""
    if scoring is not None:
        return read_scoring(scoring, duration_s=recording.duration_s, start=recording.start), f"the file {scoring.name}", {}
    made = None if results is None else results.folder / "hypnogram.csv"
    if results is not None and made is not None and made.is_file():
        said = results.stage
        return read_scoring(made, duration_s=recording.duration_s), proposal_words(dict(said)) or "sleepfm run", said
    annotations = recording.annotations()
    if any("sleep stage" in annotation.text.lower() for annotation in annotations):
        return stages_from_annotations(annotations, duration_s=recording.duration_s), _IN_THE_FILE, {}
    raise ScoringError(
        f"{recording.path}: has no stages to report: give --scoring FILE, or `sleepfm run` it into the folder of --out first"
    )


def _events(
    recording: Recording, results: Results | None, events: Path | None
) -> tuple[tuple[Event, ...], str, Mapping[str, Any]]:
    if events is not None:
        found = read_events(events, start=recording.start, duration_s=recording.duration_s)
        return found, f"the file {events.name}", {}
    made = None if results is None else results.folder / "events.csv"
    if results is not None and made is not None and made.is_file():
        return read_events(made), str(results.events.get("label", "sleepfm run")), results.events
    annotations = recording.annotations()
    return events_from_annotations(annotations), _IN_THE_FILE, {"warnings": unclassified_annotations(annotations)}


def _statistics(results: Results) -> NightStatistics | None:
    """Return the numbers that `run` counted, so that its report says what its statistics.json says."""
    file = results.folder / "statistics.json"
    if not file.is_file():
        return None
    known = {one.name for one in fields(Statistic)}
    try:
        said = json.loads(file.read_text("utf-8"))
        items = tuple(Statistic(**{name: value for name, value in one.items() if name in known}) for one in said["statistics"])
        return NightStatistics(items, tuple(said["remarks"]), said["intervals"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScoringError(f"{file}: holds no statistics ({error}); run the recording again") from None


def _spectrum(recording: Recording, provenance: Mapping[str, Any]) -> Spectrum | None:
    """Return the spectrogram of the EEG that a technician would choose."""
    traces = {
        one.label: one
        for one in shown_traces(recording)
        if one.kind is Kind.EEG and recording.channel(one.plus).rate_hz > _MIN_EEG_RATE_HZ
    }
    first = first_spectrogram(list(traces), [signals_of(provenance)])
    if first is None:
        return None
    channel = recording.channel(traces[first].plus)
    samples = read_derivation(recording, traces[first], 0.0, recording.duration_s)
    return Spectrum(multitaper(samples, channel.rate_hz), first, channel.unit)
