"""Staging files on the command line: one into a CSV, a folder into a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.inference.device import Device, Precision
from sleepfm.inference.embed_many import SUFFIXES
from sleepfm.inference.night import open_night
from sleepfm.inference.staging import Engine, StagingResult, choose, stage
from sleepfm.models.shelf import Shelf
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.signals.convert import find_recordings
from sleepfm.signals.study_ids import study_id
from sleepfm.vocabulary import STAGE_NAMES, Stage


def stage_file(
    file: Path,
    out: Path,
    *,
    engine: Engine,
    model: str | None,
    shelf: Shelf,
    device: Device = "auto",
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, Any]:
    """Stage one file into a CSV and return what `stage --json` prints.

    Raises
    ------
    RequestError
        When `out` is a folder, or the engine or model is not there.
    RecordingError, ModelError
        When the file cannot be staged.
    """
    if out.is_dir():
        raise RequestError(f"{out}: is a folder; --out names the CSV to write")
    choose(engine, model, shelf)  # what is asked for wrongly is said before hours of work, and as a wrong request
    with open_night(file) as night:
        found = stage(night, engine=engine, model=model, shelf=shelf, device=device, precision=precision, progress=progress)
    write_scoring(found.scoring, out, to="sleepfm")
    return {"id": study_id(file), **describe(found), "out": str(out)}


def stage_folder(folder: Path, out: Path, *, progress: Progress = silent, **settings: Any) -> dict[str, list[dict[str, Any]]]:
    """Stage every recording and signals file below a folder into `out`/<id>.csv, going on after a bad one."""
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is a file; --out names a folder when a folder is staged")
    files = find_recordings([folder], SUFFIXES)
    records, failed = [], []
    taken: set[str] = set()
    for number, file in enumerate(files):
        identifier = study_id(file, taken)
        taken.add(identifier)
        here = part(progress, number / len(files), (number + 1) / len(files))
        try:
            records.append(stage_file(file, out / f"{identifier}.csv", progress=here, **settings) | {"id": identifier})
        except (Cancelled, RequestError):
            raise
        except SleepFMError as error:
            failed.append({"file": str(file), "error": str(error)})
    return {"records": records, "failed": failed}


def describe(found: StagingResult) -> dict[str, Any]:
    """Return the counts of a staging and what made it."""
    stages = found.scoring.stages
    return {
        "engine": found.engine,
        "model": found.model,
        "epochs": len(stages),
        "counts": {STAGE_NAMES[stage]: int((stages == stage).sum()) for stage in Stage},
        "note": found.provenance["note"],
        "warnings": list(found.scoring.warnings),
        "provenance": found.provenance,
    }
