"""Jobs that bring studies into the library: a folder with the tables and scorings in it, and the simulated demo night."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import Cancelled, RequestError, ScoringError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.cohort_tables import import_table, tables_in
from sleepfm.library.job_prepare import own_scoring
from sleepfm.library.jobs import queue_study
from sleepfm.library.library import Library
from sleepfm.library.study import OWN_SCORING, Study
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.recording.scorings.sleepfm_csv import is_sleepfm_csv
from sleepfm.signals.convert import find_recordings
from sleepfm.text import printable

_HEAD_BYTES = 4096
_NAMED = 5


def import_folder(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Add every recording below a folder, with what lies beside them: cohort tables, follow-up, and scorings `<name>.csv`.

    A file that cannot be read is listed with its reason, and so is what a table says of nobody.
    """
    folder = Path(parameters["folder"])
    if not folder.is_dir():
        raise RequestError(f"{folder}: is not a folder any more")
    progress(0.0, "looking for recordings")
    files = find_recordings([folder])
    added: list[Study] = []
    failed: list[dict[str, str]] = []
    with Library(home) as library:
        for number, file in enumerate(files):
            progress(0.6 * number / len(files), f"{number} of {len(files)}: {file.name}")
            try:
                study = library.add(file)
                if study.quality is None or (study.engine is None and parameters["stage"]):
                    queue_study(library, study.id, stage=parameters["stage"] and study.engine is None)
                added.append(study)
            except SleepFMError as error:
                failed.append({"file": str(file), "error": str(error)})
        known, problems = _take_tables(library, folder, added, part(progress, 0.6, 0.7))
        scored, unread = _take_scorings(library, added, part(progress, 0.7, 1.0))
    return {
        "added": [study.id for study in added],
        "failed": [*failed, *problems, *unread],
        "known": known,
        "scored": scored,
    }


def _take_tables(
    library: Library, folder: Path, added: Sequence[Study], progress: Progress
) -> tuple[list[str], list[dict[str, str]]]:
    """Import the tables in the folder and in those that hold recordings; return the studies they speak of, and problems."""
    folders = dict.fromkeys([folder, *(study.path.parent for study in added)])
    tables = [table for one in folders for table in tables_in(one)]
    known: dict[str, None] = {}
    problems: list[dict[str, str]] = []
    for number, table in enumerate(tables):
        progress(number / len(tables), f"reading {table.name}")
        # another cohort may use the same names: a table speaks of the recordings it lies among
        beside = [study.id for study in added if table.parent in study.path.parents]
        try:
            found = import_table(library, table, studies=beside, progress=part(progress, number / len(tables), 1.0))
        except Cancelled:
            raise
        except SleepFMError as error:
            problems.append({"file": str(table), "error": str(error)})
            continue
        known |= dict.fromkeys(found.studies)
        problems += [{"file": str(table), "error": note} for note in found.notes]
        if found.unknown_studies:
            named = printable(", ".join(found.unknown_studies[:_NAMED])) + (", …" if len(found.unknown_studies) > _NAMED else "")
            problems.append({
                "file": str(table),
                "error": f"speaks of {len(found.unknown_studies)} studies that are not among these recordings: {named}",
            })  # fmt: skip
    return list(known), problems


def _take_scorings(library: Library, added: Sequence[Study], progress: Progress) -> tuple[list[str], list[dict[str, str]]]:
    """Store the scoring that lies beside a recording under its name; return the studies that got one, and problems."""
    beside = [(study, study.path.with_suffix(".csv")) for study in added]
    found = [(study, file) for study, file in beside if file.is_file() and _is_scoring(file)]
    scored: list[str] = []
    problems: list[dict[str, str]] = []
    for number, (study, file) in enumerate(found):
        here = part(progress, number / len(found), (number + 1) / len(found))
        try:
            if _take_scoring(library, study, file, here):
                scored.append(study.id)
        except Cancelled:
            raise
        except SleepFMError as error:
            problems.append({"file": str(file), "error": str(error)})
    return scored, problems


def _is_scoring(file: Path) -> bool:
    """Tell whether a CSV says of itself that it is a scoring; any other table is none of our business."""
    try:
        with file.open("rb") as opened:
            return is_sleepfm_csv(opened.read(_HEAD_BYTES).decode("utf-8", "replace"))
    except OSError:
        return True  # reading it will say why it cannot be read


def _take_scoring(library: Library, study: Study, file: Path, progress: Progress) -> bool:
    """Store a scoring file unless the recording itself holds the same stages; tell whether it was stored."""
    with closing(library.recording(study.id)) as recording:
        scoring = read_scoring(file, duration_s=recording.duration_s)
        simulated = recording.simulated
        try:
            own = own_scoring(recording)
        except ScoringError:
            own = None  # the preparation says what is wrong with it
    if scoring.probabilities is not None:
        raise ScoringError(
            f"{file}: holds a model's probabilities, so it is not taken for the scoring that came with the recording"
        )
    if own is not None and np.array_equal(own.stages, scoring.stages):
        return False
    sha256 = study.sha256 or fingerprint(study.path, progress)
    library.store_hash(study.id, sha256)
    provenance = {
        "engine": OWN_SCORING,
        "label": "True stages (simulated)" if simulated else f"Scoring {file.name}",
        "note": f"from {file}",
        "source_sha256": sha256,
        "warnings": scoring.warnings,
    }
    library.store_scoring(study.id, scoring, engine=OWN_SCORING, model=file.name, provenance=provenance)
    return True


def make_demo(home: Home, _parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Simulate the demo night and add it."""
    from sleepfm.simulation.study import demo_study  # noqa: PLC0415 - only this job needs it

    path = home.root / "demo" / "demo_night.edf"
    if not path.is_file():
        demo_study(path, progress)
    with Library(home) as library:
        study = library.add(path)
        queue_study(library, study.id, stage=True)
    return {"added": [study.id], "failed": []}
