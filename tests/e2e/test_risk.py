"""The risk page in a real browser: from the notice to a score, to what it rests on, to the traces of a window."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from explore_home import SHIPPED, explore_home
from playwright.sync_api import Error
from viewer.made_up_risk import made_up_result

from sleepfm.library import facts, risks
from sleepfm.library.library import Library
from sleepfm.models.card import read_card
from sleepfm.runs.table import JobState, Lane
from sleepfm.viewer.risk_words import ACCEPT

pytestmark = pytest.mark.browser

SECONDS = 120_000
NIGHTS = ("sim-3-0001", "sim-3-0002", "sim-3-0003")
MODEL = "demo-disease"
VIEWER = '[data-sleepfm="viewer"]'
STEPS = "The steps as numbers"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with a small simulated cohort, two nights of it of one person."""
    home = explore_home(tmp_path_factory.mktemp("risk") / "home", studies=4)
    card = read_card(SHIPPED / MODEL)
    told = {"age": 63.4, "sex": "male", "conditions": card.labels, "simulated_recording": True}
    told |= {"model": MODEL, "weights_sha256": card.weights_sha256, "trained_on": card.trained_on}
    with Library(home) as library:
        for night in NIGHTS[:2]:
            facts.store(library, night, {"subject": "sim-3-p0001"})
        other = made_up_result(len(card.labels), study=NIGHTS[1], **told)
        risks.store(library, other, {"key": "made up", "source_sha256": library.study(NIGHTS[1]).sha256})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
        running = start_app(home.root, free_port())
    yield running
    stop_app(running)


def open_risk(tab: Any, app: RunningApp, study: str) -> None:
    tab.goto(f"{app.url}/risk?study={study}")
    tab.get_by_role("button", name=ACCEPT).click()
    tab.get_by_text("Nothing here is a diagnosis").wait_for()


def press_until_there(tab: Any, bar: Any, address: str) -> None:
    """Press a bar of a chart, again when the chart was drawn anew under the pointer."""
    deadline = time.monotonic() + SECONDS / 1000
    while True:
        try:
            bar.scroll_into_view_if_needed(timeout=5_000)
            bar.hover(force=True, timeout=5_000)
            bar.click(force=True, timeout=5_000)
            tab.wait_for_url(address, timeout=10_000)
            return
        except Error:
            assert time.monotonic() < deadline, f"no way to {address}: {tab.url}"
            if "/review" in tab.url:
                tab.wait_for_url(address)
                return


def cells(tab: Any, table: str, column: int) -> list[str]:
    """Return a column of a table as the page tells it to a screen reader: a canvas has no text."""
    found = tab.get_by_role("region", name=table).locator(f'td[data-testid^="glide-cell-{column}-"]')
    found.first.wait_for(state="attached")
    return list(found.all_text_contents())


def choose(tab: Any, label: str, option: str | re.Pattern[str]) -> None:
    tab.get_by_role("combobox", name=label).click()
    tab.get_by_role("option", name=option).click()


def test_from_the_notice_to_a_score_to_a_window_to_its_traces(tab: Any, app: RunningApp) -> None:
    night = NIGHTS[0]
    with Library.open(app.home) as library:  # a second try begins where the first one did
        for stored in risks.risks(library, night):
            risks.remove(library, stored.id)
    tab.goto(f"{app.url}/risk?study={night}")
    tab.get_by_text("A score is not a diagnosis").wait_for()
    assert tab.get_by_role("button", name="Assess").count() == 0  # nothing before the notice is accepted
    tab.get_by_role("button", name=ACCEPT).click()
    tab.get_by_text("Nothing was assessed of this night yet").wait_for()
    assert tab.get_by_role("spinbutton", name="Age (from the cohort table)").input_value() == "41.3"
    assert tab.get_by_role("combobox", name="Sex (from the cohort table)").input_value() == "male"
    assert tab.get_by_role("combobox", name="Model").input_value() == "demo-disease (simulated)"
    tab.evaluate("window.stayed = true")
    tab.get_by_role("button", name="Assess").click()
    tab.get_by_role("combobox", name="Strongest windows").wait_for()
    assert tab.evaluate("window.stayed")
    tab.get_by_text("demo-disease was trained on simulated signals").wait_for()

    assert len(cells(tab, "Conditions of the model", 1)) >= 5
    choose(tab, "Condition", re.compile("SIM-06"))
    tab.locator(".js-plotly-plot .barlayer").first.wait_for(state="attached")
    with Library.open(app.home) as library:
        result = risks.risks(library, night)[0].result
    assert result.age == 41.3
    score = float(result.log_hazard_k[result.index("SIM-06")])
    tab.wait_for_function(
        "wanted => document.querySelector('[aria-label=\"The steps as numbers\"]').textContent.includes(wanted)",
        arg=f"{score:.5f}".replace("-", "−"),
    )
    steps = [float(words.replace("−", "-")) for words in cells(tab, "The steps as numbers", 1)]
    assert sum(steps[:-1]) == pytest.approx(steps[-1], abs=1e-4)
    assert steps[-1] == pytest.approx(score, abs=1e-4)

    bar = tab.locator(".stPlotlyChart").last.locator(".barlayer .point path").nth(2)
    press_until_there(tab, bar, f"**/review?study={night}&epoch=21")
    tab.wait_for_selector(f'{VIEWER}[data-study="{night}"][data-drawn-epoch="21"]')
    tab.go_back()
    tab.get_by_role("combobox", name="Strongest windows").wait_for()
    assert tab.get_by_role("combobox", name="Condition").input_value().startswith("SIM-06")


def test_conditions_are_found_by_name_windows_opened_without_a_mouse_and_everything_taken_along(
    tab: Any, app: RunningApp, tmp_path: Path
) -> None:
    open_risk(tab, app, NIGHTS[0])
    for button, name in (("Table as CSV", "_risk.csv"), ("Steps as CSV", "_reasons.csv"), ("Windows as CSV", "_windows.csv")):
        with tab.expect_download() as download:
            tab.get_by_role("button", name=button).click()
        assert download.value.suggested_filename.endswith(name)
        assert download.value.suggested_filename.startswith(f"{NIGHTS[0]}_demo-disease_simulated-model_simulated")
        download.value.save_as(tmp_path / name)
    with (tmp_path / "_windows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tab.get_by_role("textbox", name="Search").fill("sim-03")
    tab.get_by_role("textbox", name="Search").press("Enter")
    tab.wait_for_function(
        'document.querySelectorAll(\'[aria-label^="Conditions of the model"] td[data-testid^="glide-cell-1-"]\').length === 1'
    )
    assert cells(tab, "Conditions of the model", 1) == ["SIM-03"]
    tab.get_by_role("textbox", name="Search").fill("nothing like it")
    tab.get_by_role("textbox", name="Search").press("Enter")
    tab.get_by_text("matches “nothing like it” among 8 conditions").wait_for()
    tab.get_by_role("button", name="About this result").click()
    tab.get_by_text("Told: age 41.3 years, sex male").wait_for()
    tab.keyboard.press("Escape")
    strongest = max(rows, key=lambda row: abs(float(row["change"])))
    chosen = tab.get_by_role("combobox", name="Strongest windows").input_value()
    assert f"epoch {strongest['epoch']} " in chosen
    tab.get_by_role("button", name="See traces").press("Enter")
    tab.wait_for_url(f"**/review?study={NIGHTS[0]}&epoch={strongest['epoch']}")


def test_an_assessment_that_waits_can_be_cancelled(tab: Any, app: RunningApp) -> None:
    with Library.open(app.home) as library:
        waiting = library.jobs.add("risk", lane=Lane.HEAVY, title="Risk", subject=NIGHTS[2], parameters={"study": NIGHTS[2]})
        open_risk(tab, app, NIGHTS[2])
        tab.get_by_role("button", name="Cancel").click()
        tab.get_by_role("button", name="Assess").wait_for()
        assert library.jobs.get(waiting.id).state is JobState.STOPPED


def test_two_nights_of_a_person_a_person_among_others_and_a_cohort_are_shown_with_their_tables(tab: Any, app: RunningApp) -> None:
    open_risk(tab, app, NIGHTS[0])
    tab.get_by_text("Compare nights", exact=True).click()
    assert tab.get_by_role("combobox", name="Second night").input_value() == f"{NIGHTS[1]} (same person)"
    tab.get_by_text("Stages and indices").wait_for()
    tab.locator(".js-plotly-plot").first.wait_for()
    tab.get_by_text("A person among matched people").click()
    tab.get_by_role("combobox", name="Condition").wait_for()
    tab.get_by_text("Cohort", exact=True).click()
    tab.get_by_role("combobox", name="Risk groups").wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="As CSV").first.click()
    assert download.value.suggested_filename.endswith(".csv")
