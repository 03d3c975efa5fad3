"""Training is launched from a form: data made of the library, a wrong value refused, checked first, then started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from explore_home import explore_home

from sleepfm.home import open_home
from sleepfm.library.library import Library
from sleepfm.runs.table import Job

pytestmark = pytest.mark.browser

SECONDS = 120_000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with eight simulated nights and no model."""
    home = explore_home(tmp_path_factory.mktemp("forms") / "home")
    running = start_app(home.root, free_port())
    yield running
    stop_app(running)


def is_open(page: Any, url: str) -> None:
    page.goto(url)
    page.get_by_label("Name", exact=True).wait_for()


def holds(page: Any, name: str) -> None:
    """Wait until the field of the name holds it: what is drawn anew is empty for a moment."""
    page.wait_for_function("name => document.querySelector('input[aria-label=Name]')?.value === name", arg=name)


def check(page: Any) -> Any:
    """Let the form be checked, and return the button that starts the run."""
    start = page.get_by_role("button", name="Start", exact=False).last
    assert not start.is_enabled()
    page.get_by_role("button", name="Check first").click()
    page.get_by_role("button", name="Check again").wait_for()
    return start


def ended(home: Path, job: str) -> Job:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with Library(open_home(home)) as library:
            now = library.jobs.get(job)
        if not now.open:
            return now
        time.sleep(0.2)
    pytest.fail(f"{now.title}: still {now.state} ({now.message})")


def test_a_smoke_test_goes_from_the_form_to_its_run(app: RunningApp, tab: Any) -> None:
    is_open(tab, f"{app.url}/pretrain")
    holds(tab, "smoke-encoder")
    name = tab.get_by_label("Name of the dataset")
    name.fill("ward")
    name.press("Enter")
    tab.get_by_role("button", name="Make the dataset").click()
    tab.get_by_text("Lists to train on").wait_for()

    tab.get_by_text("Training", exact=True).click()
    epochs = tab.get_by_label("Epochs", exact=True)
    epochs.fill("0")
    tab.get_by_text("Training · Epochs: should be greater than or equal to 1").wait_for()
    assert tab.get_by_text("should be greater than or equal to 1").count() == 2  # at the field too
    assert not tab.get_by_role("button", name="Check first").is_enabled()
    epochs.fill("2")
    tab.get_by_text("Not checked yet").wait_for()

    start = check(tab)
    tab.get_by_text("nobody stands in two lists").wait_for()
    start.click()
    tab.wait_for_url("**/runs?run=*")
    tab.get_by_text("Pretrain smoke-encoder").first.wait_for()
    job = tab.url.rpartition("run=")[2]
    with Library.open(app.home) as library:
        library.jobs.request_stop(job)  # how a run goes on and what its model is used for has a walk of its own
        assert library.jobs.get(job).parameters["config"]["training"]["epochs"] == 2
    assert ended(app.home, job).error in (None, "stopped by the user")


def test_what_was_filled_in_is_there_after_a_look_elsewhere(app: RunningApp, tab: Any) -> None:
    is_open(tab, f"{app.url}/pretrain")
    name = tab.get_by_label("Name", exact=True)
    name.fill("mine")
    tab.get_by_text("Label-efficient", exact=True).click()
    tab.get_by_text("a smaller network, much hidden").wait_for()
    holds(tab, "mine")
    tab.get_by_text("Studies", exact=True).first.click()
    tab.get_by_text("Recording or folder path").wait_for()
    tab.go_back()
    name.wait_for()
    holds(tab, "mine")
    tab.get_by_text("a smaller network, much hidden").wait_for()
