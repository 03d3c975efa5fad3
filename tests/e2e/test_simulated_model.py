"""A model that was trained on simulated signals, in the app: offered by its name, never chosen, and never without its warning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from library.simulated_models import bundle
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.simulation.study import simulate

pytestmark = pytest.mark.browser

VIEWER = '[data-sleepfm="viewer"]'
NOTICE = "[data-testid=stAlert]"
WORDS = "trained on simulated signals: for trying the software only."
ON_REAL = "What it says of a real recording means nothing."
SIMULATED = "sim-5-0001"
SECONDS = 120_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with a tiny demo model, a simulated night that is scored, and an unscored one that could be real."""
    folder = tmp_path_factory.mktemp("demo")
    with Library.open(folder / "home") as library:
        made = simulate(folder / "simulated", 1, 0.2, 5)["studies"][0]
        sha256 = fingerprint(library.add(made["edf"]).path)
        library.store_hash(SIMULATED, sha256)
        about = {"label": "YASA", "note": "YASA 0.8.1", "source_sha256": sha256}
        library.store_scoring(SIMULATED, read_scoring(Path(made["scoring"])), engine="yasa", model="", provenance=about)
        library.add(write_edf(folder / "real.edf", seconds=660))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(folder / "bundled")))
        running = start_app(folder / "home", free_port())
    yield running
    stop_app(running)


def open_review(page: Any, app: RunningApp, study: str) -> Any:
    page.goto(f"{app.url}/review?study={study}&epoch=1")
    page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="1"]', timeout=SECONDS)
    return page.locator(VIEWER)


def choose(page: Any, engine: str) -> None:
    page.get_by_label("Engine").click()
    page.get_by_role("option", name=engine).click()


def test_the_demo_night_is_staged_by_the_demo_model_beside_yasa(app: RunningApp, page: Any) -> None:
    page.set_default_timeout(SECONDS)
    viewer = open_review(page, app, SIMULATED)
    page.get_by_role("button", name="More").click()
    assert page.get_by_label("Engine").input_value() == "Best engine"
    choose(page, "demo-staging (simulated)")
    page.locator(NOTICE).get_by_text(f"demo-staging was {WORDS}").wait_for()
    assert page.get_by_text(ON_REAL).count() == 0
    page.get_by_role("button", name="Stage again").click()
    viewer.get_by_text(f"SleepFM (simulated) was {WORDS}").wait_for()
    assert page.get_by_label("Upper hypnogram").input_value() == "YASA"
    assert page.get_by_label("Lower hypnogram").input_value() == "SleepFM (simulated)"
    viewer.locator(".chip").nth(1).wait_for()
    viewer.click(position={"x": 600, "y": 500})  # the keys are the traces' again
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="2"]')

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Scoring CSV, SleepFM (simulated)").click()
    assert download.value.suggested_filename == f"{SIMULATED}_sleepfm_simulated-model_simulated.csv"

    page.goto(f"{app.url}/studies")
    row = page.locator(f'tr[data-study="{SIMULATED}"]')
    assert "YASA" in row.inner_text()
    row.get_by_role("button", name="Try demo-staging").wait_for()


def test_on_a_real_recording_it_waits_to_be_named_and_warns(app: RunningApp, page: Any) -> None:
    page.set_default_timeout(SECONDS)
    viewer = open_review(page, app, "real")
    assert page.get_by_label("Engine").input_value() == "Best engine"
    assert page.get_by_text(WORDS).count() == 0
    choose(page, "demo-staging (simulated)")
    page.locator(NOTICE).get_by_text(f"demo-staging was {WORDS} {ON_REAL}").wait_for()
    bottom = page.locator(VIEWER).bounding_box()
    assert bottom["y"] + bottom["height"] <= 768
    page.get_by_role("button", name="Stage", exact=True).click()
    viewer.get_by_text(f"SleepFM (simulated) was {WORDS} {ON_REAL}").wait_for()
    assert page.get_by_label("Upper hypnogram").input_value() == "SleepFM (simulated)"
    page.wait_for_function(f"!document.querySelector('{NOTICE}')")

    page.goto(f"{app.url}/studies")
    row = page.locator('tr[data-study="real"]')
    row.get_by_text(WORDS.removesuffix(".")).wait_for()
    assert row.get_by_role("button", name="Try").count() == 0

    open_review(page, app, "real")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Remove this scoring").click()
    viewer.get_by_text("not staged yet").wait_for()
    assert page.get_by_text(WORDS).count() == 0
