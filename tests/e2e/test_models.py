"""The models page in a real browser: promoting, retiring, importing, and refusing what could run code."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from library.simulated_models import bundle
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.models.shelf import Shelf
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Scoring
from tests.models.random_models import ENCODER_CONFIG, random_network

pytestmark = pytest.mark.browser

STUDY = "night"
OFFERED = "demo-staging (simulated)"
SCORED = "SleepFM (simulated)"


class Runs:
    """What a pickle from a stranger does when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with a tiny demo model and a night that it has scored."""
    folder = tmp_path_factory.mktemp("models")
    bundled = bundle(folder / "bundled")
    head = Shelf(folder / "none", bundled).get("demo-staging").card
    with Library.open(folder / "home") as library:
        sha256 = fingerprint(library.add(write_edf(folder / f"{STUDY}.edf", seconds=330)).path)
        library.store_hash(STUDY, sha256)
        about = {"label": SCORED, "note": "SleepFM demo-staging", "source_sha256": sha256, "trained_on": "simulated"}
        about |= {"weights_sha256": head.weights_sha256}
        scoring = Scoring(stages=np.zeros(11, dtype=np.int8))
        library.store_scoring(STUDY, scoring, engine="sleepfm", model="demo-staging", provenance=about)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundled))
        running = start_app(folder / "home", free_port())
    yield running
    stop_app(running)


def engines(tab: Any, app: RunningApp) -> list[str]:
    """Return what the review page offers to stage with, and see that the night's scoring is still read."""
    tab.goto(f"{app.url}/review?study={STUDY}")
    tab.wait_for_selector('[data-sleepfm="viewer"][data-drawn-epoch="1"]')
    assert tab.get_by_label("Upper hypnogram").input_value() == SCORED
    tab.get_by_role("button", name="More").click()
    tab.get_by_label("Engine").click()
    tab.get_by_role("option").first.wait_for()
    return [option.inner_text() for option in tab.get_by_role("option").all()]


def open_model(tab: Any, app: RunningApp, name: str) -> None:
    tab.goto(f"{app.url}/models?model={name}")
    tab.get_by_role("heading", name=name).wait_for()


def test_a_model_is_promoted_and_retired_and_its_results_stay(app: RunningApp, tab: Any) -> None:
    tab.goto(f"{app.url}/models")
    tab.get_by_text("Choose a row").wait_for()
    box = tab.get_by_test_id("stDataFrame").bounding_box()
    tab.mouse.click(box["x"] + 16, box["y"] + box["height"] - 16)  # the last row's box: the staging head
    tab.get_by_role("heading", name="demo-staging").wait_for()
    assert tab.url.endswith("/models?model=demo-staging")
    tab.get_by_text("Trained on simulated signals: for trying the software only.").wait_for()
    tab.get_by_role("button", name="Make it the default").click()
    tab.get_by_text("demo-staging is the default for staging.").wait_for()  # that it is then offered shows the training walk
    tab.get_by_role("button", name="Retire").click()
    tab.get_by_text("What it made of 1 study stays and can be read.").wait_for()
    tab.get_by_role("button", name="Retire it").click()
    tab.get_by_text("demo-staging is retired: offered no more.").wait_for()
    assert OFFERED not in engines(tab, app)


def bring(tab: Any, app: RunningApp, name: str, *files: Path) -> None:
    tab.goto(f"{app.url}/models")
    tab.get_by_role("button", name="Import a model").click()
    tab.get_by_label("Name on the shelf").fill(name)
    tab.locator("input[type=file]").first.set_input_files([str(file) for file in files])
    for file in files:
        tab.get_by_test_id("stFileChipName").get_by_text(file.name, exact=True).wait_for()
    tab.wait_for_timeout(1000)  # the form grows with its files, and the button moves under the mouse
    tab.get_by_role("button", name="Import", exact=True).click()


def test_safetensors_are_imported_and_a_pickle_is_refused(app: RunningApp, tab: Any, tmp_path: Path) -> None:
    state = random_network(ENCODER_CONFIG, seed=7).state_dict()
    (tmp_path / "best.safetensors").write_bytes(safetensors.torch.save(state))
    (tmp_path / "config.json").write_text(json.dumps(ENCODER_CONFIG))
    bring(tab, app, "mine", tmp_path / "best.safetensors", tmp_path / "config.json")
    tab.get_by_text("mine is on the shelf.").wait_for()
    tab.get_by_role("heading", name="mine").wait_for()

    mark = tmp_path / "it was run"
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"weights": Runs(mark)}, protocol=2))
    bring(tab, app, "evil", tmp_path / "evil.pt", tmp_path / "config.json")
    tab.get_by_text("evil.pt: refused, it is no plain checkpoint").wait_for()
    assert not mark.exists()
    assert not (app.home / "models" / "evil").exists()
    assert [path for path in (app.home / "uploads").rglob("*") if path.is_file()] == []

    open_model(tab, app, "mine")
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename == "mine.zip"
    tab.get_by_role("button", name="Remove").click()
    tab.get_by_role("button", name="Remove it for good").click()
    tab.get_by_text("mine is off the shelf.").wait_for()
    assert not (app.home / "models" / "mine").exists()
