"""The models that come with the software: `assets/models` in the project, and the wheel's copy of it."""

from __future__ import annotations

import os
from pathlib import Path

import sleepfm

ENVIRONMENT = "SLEEPFM_BUNDLED_MODELS"


def bundled_models() -> Path | None:
    """Return the folder of the models that come with the software, which need not be there.

    `SLEEPFM_BUNDLED_MODELS` names another one; empty, there is none.
    """
    named = os.environ.get(ENVIRONMENT)
    if named is not None:
        return Path(named) if named else None
    package = Path(sleepfm.__file__).parent
    app = package / "_app"
    return (app if app.is_dir() else package.parent) / "assets" / "models"
