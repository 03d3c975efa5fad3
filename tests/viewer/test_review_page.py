"""The Review page without a browser: what somebody who only looks can press, and that scoring of events is cancelled there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf
from streamlit.testing.v1 import AppTest

from sleepfm.administration.roles import Role
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import Lane
from sleepfm.viewer.signed_in import User

APP = Path(__file__).parents[2] / "app.py"
SHA = "0" * 64


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    with Library.open() as library:
        library.add(write_edf(tmp_path / "night.edf", seconds=305, labels=("C4-M1",)))
        library.store_hash("night", SHA)
        about = {"label": "YASA", "note": "", "source_sha256": SHA}
        engine = library.store_scoring("night", Scoring(np.full(10, 2, np.int8)), engine="yasa", model="", provenance=about)
        begin(library, "night", scorer="anna", user="anna", base=engine)
        yield library


def opened() -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=60)
    page.switch_page("pages/review.py")
    page.query_params["study"] = "night"
    page.run()
    assert not page.exception
    return page


@pytest.mark.usefixtures("library")
def test_who_only_looks_can_press_nothing_that_changes_a_scoring(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = {one.label for one in opened().button if not one.disabled}
    assert {"Score", "Score events", "Add a scoring or events", "Another scorer, or from nothing", "Remove anna"} <= offered
    for module in ("signed_in", "role_widgets", "review_scoring"):
        monkeypatch.setattr(f"sleepfm.viewer.{module}.current_user", lambda: User("vera", Role.VIEWER, local=False))
    pressed = {one.label for one in opened().button if not one.disabled}
    assert pressed == {"Channels"}, "a look at them"


def test_scoring_of_events_is_cancelled_where_its_progress_stands(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    job = library.jobs.add("events", lane=Lane.HEAVY, title="Score events of night", subject="night")
    library.jobs.claim(Lane.HEAVY)
    with monkeypatch.context() as context:
        for module in ("signed_in", "role_widgets", "review_scoring"):
            context.setattr(f"sleepfm.viewer.{module}.current_user", lambda: User("vera", Role.VIEWER, local=False))
        (cancel,) = (one for one in opened().button if one.label == "Cancel")
        assert cancel.disabled
    (cancel,) = (one for one in opened().button if one.label == "Cancel")
    cancel.click().run()
    assert library.jobs.get(job.id).stop_requested
