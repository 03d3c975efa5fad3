"""A training form: data made of the library, a wrong value refused, checked first, and kept while one looks elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from explore_home import explore_home

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


def test_a_dataset_is_made_a_wrong_value_refused_and_the_settings_checked(app: RunningApp, tab: Any) -> None:
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
    assert start.is_enabled()  # how a run is started, goes on and what its model is used for has a walk of its own
    epochs.fill("3")
    tab.get_by_text("Not checked yet").wait_for()
    assert not start.is_enabled()


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
