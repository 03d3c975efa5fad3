"""What every test may use: the shared real data, where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# the models that come with the software are no part of a test's shelf unless the test says so
os.environ.setdefault("SLEEPFM_BUNDLED_MODELS", "")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real recordings and vectors, or skip with the reason."""
    folder = Path(os.environ.get("SLEEPFM_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set SLEEPFM_SHARED to the folder that holds data/ and reference/")
    return folder
