"""The job that makes anew what the screen shows of studies: a backup leaves it out, since the recordings hold it all."""

from __future__ import annotations

from typing import Any

from sleepfm.errors import Cancelled, SleepFMError
from sleepfm.home import Home
from sleepfm.library.job_prepare import prepare
from sleepfm.library.library import Library
from sleepfm.progress import Progress, part


def make_previews(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look studies through whose envelopes are missing; stopped and started again, it goes on where it was.

    Parameters
    ----------
    parameters
        `studies`: their ids; those that are not in the library any more are passed over.

    Returns
    -------
    dict
        `prepared`: how many; `failed`: `study` and `error` of each whose recording cannot be read.
    """
    studies: list[str] = parameters["studies"]
    prepared, failed = 0, []
    for number, study in enumerate(studies):
        here = part(progress, number / len(studies), (number + 1) / len(studies))
        here(0.0, f"{number} of {len(studies)}: {study}")
        with Library(home) as library:
            known = library.connection.execute("SELECT 1 FROM studies WHERE id = ?", (study,)).fetchone() is not None
            missing = known and not library.envelope_file(study).is_file()
        if not missing:
            continue
        try:
            prepare(home, {"study": study}, here)
            prepared += 1
        except Cancelled:
            raise
        except SleepFMError as error:
            failed.append({"study": study, "error": str(error)})
    return {"prepared": prepared, "failed": failed}
