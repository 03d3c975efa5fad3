"""Jobs that bring studies into the library: a folder with the tables and scorings in it, and the simulated demo night."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sleepfm.administration.readable_folders import require_readable_here
from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.cohort_tables import files_with, import_table, tables_in
from sleepfm.library.jobs import queue_study
from sleepfm.library.library import Library
from sleepfm.library.scorings_beside import Beside, files_beside, scoring_beside
from sleepfm.library.study import Study
from sleepfm.progress import Progress, part
from sleepfm.signals.convert import find_recordings
from sleepfm.text import printable

_NAMED = 5


def import_folder(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Add every recording below a folder, with what lies beside them: cohort tables, follow-up, and scorings of their names.

    A file that cannot be read is listed with its reason, and so is what a table says of nobody.
    """
    folder = Path(parameters["folder"])
    require_readable_here(home, folder)
    if not folder.is_dir():
        raise RequestError(f"{folder}: is not a folder any more")
    progress(0.0, "looking for recordings")
    files = find_recordings([folder])
    added: dict[Path, Study] = {}
    failed: dict[Path, str] = {}
    scored: list[str] = []
    with Library(home) as library:
        for number, file in enumerate(files):
            progress(0.5 * number / len(files), f"{number} of {len(files)}: {file.name}")
            try:
                added[file] = library.add(file)
            except SleepFMError as error:
                failed[file] = str(error)
        beside = files_beside(added)
        for number, (file, study) in enumerate(added.items()):
            progress(0.5 + 0.4 * number / len(added), f"looking beside {file.name}")
            try:
                found = scoring_beside(library, study, beside.get(file, ()))
            except SleepFMError as error:  # of a scoring that is stored already
                found = Beside(None, ((file, str(error)),))
            for one in beside.get(file, ()):
                failed.pop(one, None)  # a scoring in EDF+ is no recording that failed
            failed |= dict(found.said)
            stage = bool(parameters["stage"]) and study.engine is None
            if study.quality is None or stage or found.scoring is not None:
                queue_study(library, study.id, stage=stage, scoring=found.scoring)
            if found.scoring is not None:
                scored.append(study.id)
        studies = list(added.values())
        known, problems = _take_tables(library, folder, studies, part(progress, 0.9, 1.0))
    could_not = [{"file": str(file), "error": error} for file, error in failed.items()]
    return {"added": [study.id for study in studies], "failed": [*could_not, *problems], "known": known, "scored": scored}


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
            for file in files_with(table):
                require_readable_here(library.home, file)
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
