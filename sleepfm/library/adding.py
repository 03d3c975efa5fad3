"""Adding recordings to the library here and now, for commands that go on with them: added, looked through, tables read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sleepfm.errors import Cancelled, RequestError, SleepFMError
from sleepfm.home import Home
from sleepfm.library.job_import import import_folder
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.progress import Progress, part
from sleepfm.signals.convert import find_recordings


def add_prepared(home: Home, inputs: Sequence[str], progress: Progress) -> tuple[list[str], list[dict[str, str]]]:
    """Add recordings and folders of them with what lies beside them, and look them through; studies that are there stay.

    Parameters
    ----------
    inputs
        Recordings, folders, or ids of studies that are in the library already.

    Returns
    -------
    tuple
        The studies' ids; `file` and `error` of everything that could not be added.

    Raises
    ------
    RequestError
        An input is neither a path nor a study, or a folder holds no recording; nothing was added.
    """
    studies: list[str] = []
    failed: dict[str, str] = {}
    with Library(home) as library:
        there, paths = [], []
        for text in inputs:
            path = Path(text)
            if path.exists():
                paths.append(path)
            else:
                there.append(known_study(library, text))
        files = find_recordings(paths) if paths else []
        for number, file in enumerate(files):
            here = part(progress, 0.9 * number / len(files), 0.9 * (number + 1) / len(files))
            here(0.0, f"{number} of {len(files)}: {file.name}")
            try:
                study = library.add(file)
                if study.quality is None:
                    prepare(home, {"study": study.id}, here)
                studies.append(study.id)
            except Cancelled:
                raise
            except SleepFMError as error:
                failed[str(file)] = str(error)
    for folder in (path for path in paths if path.is_dir()):
        found = import_folder(home, {"folder": str(folder.absolute()), "stage": False}, part(progress, 0.9, 1.0))
        failed.update({one["file"]: one["error"] for one in found["failed"]})
    return list(dict.fromkeys([*there, *studies])), [{"file": file, "error": error} for file, error in failed.items()]


def known_study(library: Library, text: str) -> str:
    """Return the id of the study that a word of a command names: its id, or the path of its recording.

    Raises
    ------
    RequestError
        There is no such study.
    """
    absolute = str(Path(text).expanduser().absolute())
    row = library.connection.execute("SELECT id FROM studies WHERE id = ? OR path = ?", (text, absolute)).fetchone()
    if row is None:
        raise RequestError(f"{text}: is neither a file nor a study of the library; check the path, or `sleepfm index` its folder")
    return str(row["id"])
