"""Reading the front end's files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sleepfm
from sleepfm.errors import SleepFMError


def app_folder() -> Path:
    """Return the folder of app.py, pages/ and assets/: the project's, or the wheel's copy of it."""
    package = Path(sleepfm.__file__).parent
    for folder in (package / "_app", package.parent):
        if (folder / "app.py").is_file() and (folder / "pages").is_dir():
            return folder
    raise SleepFMError(f"{package}: app.py and pages/ are missing from this installation; install SleepFM Workbench again")


@cache
def asset_text(name: str) -> str:
    """Return the text of a file under assets/."""
    return (app_folder() / "assets" / name).read_text("utf-8")
