"""What every test may use: the shared real data, where it is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("tests")
# the models that come with the software are no part of a test's shelf unless the test says so
os.environ.setdefault("SLEEPFM_BUNDLED_MODELS", "")
# nobody pages through a night while the tests train: runs that stood back would wait for the other tests
os.environ.setdefault("SLEEPFM_NICE", "1")


_LONG = ("e2e", "cluster", "runs", "training")
"""Folders whose files take the longest: begun last, one of them would keep a single process busy at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files; tests of a file stay together and in their order."""
    items.sort(key=lambda item: item.path.parent.name not in _LONG)


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Put the main module back: page tests take its place, and processes that are started later would run the page."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real recordings and vectors, or skip with the reason."""
    folder = Path(os.environ.get("SLEEPFM_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no shared data at {folder}: set SLEEPFM_SHARED to the folder that holds data/ and reference/")
    return folder
