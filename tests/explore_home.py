"""A home with a small simulated cohort in it: what the explore pages need to have something to show."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from sleepfm.home import Home, open_home
from sleepfm.library.job_demo_cohort import make
from sleepfm.library.library import Library
from sleepfm.progress import silent

SHIPPED = Path(__file__).parents[1] / "assets" / "models"
"""The demo models as they come with the software; give it to an app's process as SLEEPFM_BUNDLED_MODELS."""
STUDIES = 8
_RUN = re.compile(r"pytest-\d+")


def explore_home(folder: Path, *, studies: int = STUDIES) -> Home:
    """Give the first studies of a simulated cohort (seed 3: its eight half hours are of seven people at three sites), prepared,
    scored and indexed.

    The cohort is made once in a test run and copied to `folder`, which lies in the run's temporary folder; only the recordings,
    which no test may change, stay where they were made.
    """
    run = next(parent for parent in folder.absolute().parents if _RUN.fullmatch(parent.name))
    made = run / "explore"
    with FileLock(run / "explore.lock"):
        if not (made / "done").is_file():
            _make(made)
            (made / "done").touch()
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("demo", "done"), dirs_exist_ok=True)
    home = open_home(folder)
    with Library(home) as library:
        for study in library.studies(order="Name")[studies:]:
            library.remove(study.id)
            shutil.rmtree(library.study_folder(study.id))
    return home


def _make(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
        made = make(open_home(folder), {"studies": STUDIES, "hours": 0.5, "sites": 3, "seed": 3}, silent)
    assert len(made["added"]) == STUDIES, made["failed"]
