"""A home with a small simulated cohort in it: what the explore pages need to have something to show."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.home import Home, open_home
from sleepfm.library.job_demo_cohort import make
from sleepfm.progress import silent

SHIPPED = Path(__file__).parents[1] / "assets" / "models"
"""The demo models as they come with the software; give it to an app's process as SLEEPFM_BUNDLED_MODELS."""


def explore_home(folder: Path, *, studies: int = 8, hours: float = 0.5) -> Home:
    """Make the simulated cohort (seed 3: eight nights are of seven people at three sites), prepared, scored and indexed."""
    home = open_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
        made = make(home, {"studies": studies, "hours": hours, "sites": 3, "seed": 3}, silent)
    assert len(made["added"]) == studies, made["failed"]
    return home
