"""What the cohort page says where there is no map to show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from sleepfm.library import job_map
from sleepfm.library.library import Library
from sleepfm.library.map_making import make
from sleepfm.library.maps import MapSpec, map_file
from tests.library.mapped_library import ENCODER, mapped_library

ROOT = Path(__file__).parents[2]


def page() -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.switch_page("pages/cohort.py").run()
    assert not test.exception
    return test


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def test_an_empty_library_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    test = page()
    assert test.info[0].value.startswith("No studies yet")
    assert "Make a simulated cohort to try this with" in labels(test)


def test_a_broken_map_is_named_and_made_again_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(job_map, "ensure_running", lambda home: SimpleNamespace(home=home))
    with mapped_library(tmp_path, people=12) as library:
        make(library, MapSpec(encoder=ENCODER))
        map_file(library.home, MapSpec(encoder=ENCODER).identifier).write_bytes(b"broken")
    test = page()
    assert "is no map or is damaged" in test.error[0].value
    next(button for button in test.button if button.label == "Make the map").click().run()
    assert not test.exception
    with Library.open() as library:
        (job,) = library.jobs.list(kinds=("map",))
    assert job.parameters == {"spec": MapSpec(encoder=ENCODER).model_dump(mode="json"), "anew": True}
