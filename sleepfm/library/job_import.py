"""Jobs that bring studies into the library: a folder, and the simulated demo night."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.jobs import queue_study
from sleepfm.library.library import Library
from sleepfm.progress import Progress
from sleepfm.signals.convert import find_recordings


def import_folder(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Add every recording below a folder; a file that cannot be read is listed with its reason."""
    folder = Path(parameters["folder"])
    if not folder.is_dir():
        raise RequestError(f"{folder}: is not a folder any more")
    progress(0.0, "looking for recordings")
    files = find_recordings([folder])
    added, failed = [], []
    with Library(home) as library:
        for number, file in enumerate(files):
            progress(number / len(files), f"{number} of {len(files)}: {file.name}")
            try:
                study = library.add(file)
                if study.quality is None or (study.engine is None and parameters["stage"]):
                    queue_study(library, study.id, stage=parameters["stage"] and study.engine is None)
                added.append(study.id)
            except SleepFMError as error:
                failed.append({"file": str(file), "error": str(error)})
    return {"added": added, "failed": failed}


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
