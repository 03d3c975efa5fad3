"""The library's background work: submitting it (from the app and the command line) and doing it (in a worker process)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from sleepfm.analysis.spectrogram import multitaper, write_spectrogram
from sleepfm.errors import RequestError, ScoringError, SleepFMError
from sleepfm.home import Home
from sleepfm.inference.night import Night
from sleepfm.inference.staging import stage as stage_night
from sleepfm.library.library import OWN_SCORING, Library
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.quality import assess
from sleepfm.recording.recording import Recording
from sleepfm.recording.scorings.edf_annotations import stages_from_annotations
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, JobTable, Lane
from sleepfm.vocabulary import STAGE_NAMES, Kind, Stage

_MIN_EEG_RATE_HZ = 40.0
"""Below it an EEG channel says nothing about spindles or alpha; a spectrogram of it would mislead."""
RECORDING_SUFFIXES = (".edf", ".bdf", ".rec")


def submit_study(library: Library, identifier: str, *, stage: bool) -> None:
    """Queue what every new study needs: its quality and spectrogram, and staging when wanted."""
    library.jobs.add(
        "prepare", lane=Lane.QUICK, title=f"Prepare {identifier}", subject=identifier, parameters={"study": identifier}
    )
    if stage:
        submit_staging(library, identifier)
    else:
        ensure_running(library.home)


def submit_staging(library: Library, identifier: str, *, engine: str = "auto", model: str | None = None) -> Job:
    """Queue the staging of a study.

    Raises
    ------
    RequestError
        When there is no such study.
    """
    study = library.study(identifier)
    job = library.jobs.add(
        "stage",
        lane=Lane.HEAVY,
        title=f"Stage {study.id}",
        subject=study.id,
        parameters={"study": study.id, "engine": engine, "model": model},
    )
    ensure_running(library.home)
    return job


def submit_folder_import(home: Home, folder: Path, *, stage: bool) -> Job:
    """Queue the import of every recording below a folder."""
    table = JobTable(home)
    job = table.add(
        "import",
        lane=Lane.QUICK,
        title=f"Import {folder}",
        parameters={"folder": str(folder.absolute()), "stage": stage},
    )
    table.close()
    ensure_running(home)
    return job


def add_demo_when_empty(home: Home) -> None:
    """Queue the simulated demo study when the library holds nothing, so that there is something to see."""
    with Library(home) as library:
        if library.count() == 0:
            library.jobs.add("demo", lane=Lane.QUICK, title="Make the simulated demo study")
            ensure_running(home)


def make_demo(home: Home, _parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Simulate the demo night and add it."""
    from sleepfm.simulation.study import demo_study  # noqa: PLC0415 - only this job needs it

    path = home.root / "demo" / "demo_night.edf"
    if not path.is_file():
        demo_study(path, progress)
    with Library(home) as library:
        study = library.add(path)
        submit_study(library, study.id, stage=True)
    return {"added": [study.id], "failed": []}


def import_folder(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Add every recording below a folder; a file that cannot be read is listed with its reason."""
    folder = Path(parameters["folder"])
    if not folder.is_dir():
        raise RequestError(f"{folder}: is not a folder any more")
    progress(0.0, "looking for recordings")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in RECORDING_SUFFIXES and file.is_file())
    added, failed = [], []
    with Library(home) as library:
        for number, file in enumerate(files):
            progress(number / len(files), f"{number} of {len(files)}: {file.name}")
            try:
                study = library.add(file)
                submit_study(library, study.id, stage=parameters["stage"])
                added.append(study.id)
            except SleepFMError as error:
                failed.append({"file": str(file), "error": str(error)})
    return {"added": added, "failed": failed}


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


def stage(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Stage a study and store the scoring with its provenance."""
    with Library(home) as library:
        study = library.study(parameters["study"])
        shelf = Shelf(home.models)
        with closing(library.recording(study.id, mapped=True)) as recording:
            night = Night(
                id=study.id,
                source=study.path,
                recording=recording,
                work=library.study_folder(study.id),
                corrections=library.corrections(recording),
                sha256=study.sha256,
            )
            found = stage_night(night, engine=parameters["engine"], model=parameters["model"], shelf=shelf, progress=progress)
        library.store_scoring(study.id, found.scoring, engine=found.engine, model=found.model, provenance=found.provenance)
    counts = {STAGE_NAMES[stage]: int((found.scoring.stages == stage).sum()) for stage in Stage}
    return {"engine": found.engine, "model": found.model, "counts": counts}
