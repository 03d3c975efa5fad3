"""The review page in a real browser, over a library with a staged night (the staging itself has its own tests)."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from make_edf import write_edf

from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.reviews import document
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.runs.table import JobState, Lane
from sleepfm.vocabulary import Kind

pytestmark = pytest.mark.browser

EPOCHS = 40
VIEWER = '[data-sleepfm="viewer"]'


def scoring(shift: int) -> Scoring:
    stages = np.roll(np.repeat(np.arange(5, dtype=np.int8), EPOCHS // 5), shift)
    probabilities = np.full((EPOCHS, 5), 0.05, dtype=np.float32)
    probabilities[np.arange(EPOCHS), stages] = 0.8
    return Scoring(stages, probabilities)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("review")
    with Library.open(folder / "home") as library:
        study = library.add(write_edf(folder / "night.edf", seconds=EPOCHS * 30, labels=("C4-M1", "E1-M2", "Chin", "Zzyzx")))
        library.add(write_edf(folder / "other.edf", seconds=300))
        library.store_hash(study.id, "0" * 64)
        for engine, shift in (("first", 0), ("second", 2)):
            about = {"label": f"The {engine}", "note": f"{engine} 1.0, weights abc", "source_sha256": "0" * 64}
            library.store_scoring(study.id, scoring(shift), engine=engine, model="", provenance=about)
    app = start_app(folder / "home", free_port())
    yield app
    stop_app(app)


@pytest.fixture(autouse=True)
def patience(tab: Any) -> None:
    tab.set_default_timeout(30_000)


def open_study(tab: Any, app: RunningApp, address: str, epoch: int = 1) -> Any:
    tab.goto(f"{app.url}/review{address}")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"]', timeout=60_000)
    return tab.locator(VIEWER)


def test_a_link_opens_the_study_with_what_made_its_scoring(tab: Any, staged: RunningApp) -> None:
    viewer = open_study(tab, staged, "?study=night&epoch=12", 12)
    assert viewer.get_by_text(f"Epoch 12 / {EPOCHS}").is_visible()
    assert tab.get_by_text("The second: second 1.0, weights abc").is_visible()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url("**study=night&epoch=13")
    tab.reload()
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="13"]')


def test_two_scorings_stand_one_above_the_other(tab: Any, staged: RunningApp) -> None:
    viewer = open_study(tab, staged, "?study=night&epoch=5", 5)
    before = viewer.locator('[data-sleepfm="hypnogram"]').bounding_box()["height"]
    tab.get_by_label("Lower hypnogram").click()
    tab.get_by_role("option", name="The first").click()
    tab.get_by_text("The first: first 1.0").wait_for()
    tab.wait_for_function(
        "([node, before]) => node.offsetHeight > before",
        arg=[viewer.locator('[data-sleepfm="hypnogram"]').element_handle(), before],
    )
    assert viewer.get_attribute("data-drawn-epoch") == "5"
    tab.keyboard.press("n")  # the keys are the viewer's again; the engines differ first in epoch 9
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="9"]')


def test_the_scoring_can_be_taken_along(tab: Any, staged: RunningApp, tmp_path: Path) -> None:
    open_study(tab, staged, "?study=night")
    tab.get_by_role("button", name="Export").click()
    for button, suffix in (("Scoring CSV", "csv"), ("EDF+ annotations", "edf")):
        with tab.expect_download() as download:
            tab.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == f"night_second.{suffix}"
        file = tmp_path / f"taken.{suffix}"
        download.value.save_as(file)
        assert read_scoring(file).stages.tolist() == scoring(2).stages.tolist()


def test_another_study_starts_at_its_beginning_and_nothing_is_staged(tab: Any, staged: RunningApp) -> None:
    open_study(tab, staged, "?study=night&epoch=30", 30)
    tab.get_by_label("Study", exact=True).click()
    tab.get_by_role("option", name="other").click()
    tab.wait_for_selector(f'{VIEWER}[data-study="other"][data-drawn-epoch="1"]')
    tab.wait_for_url("**study=other*")
    assert tab.locator(VIEWER).get_by_text("not staged yet").is_visible()
    assert tab.get_by_role("button", name="Export").is_disabled()


def test_channels_are_listed_with_what_they_were_taken_for(tab: Any, staged: RunningApp) -> None:
    open_study(tab, staged, "?study=night")
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("button", name="Channels").click()
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("remembered for every study with the same montage").wait_for()
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_an_unknown_study_leads_back_to_the_list(tab: Any, staged: RunningApp) -> None:
    tab.goto(f"{staged.url}/review?study=nobody")
    tab.get_by_text("no study 'nobody' in the library").wait_for()
    tab.get_by_role("link", name="To the studies").click()
    tab.wait_for_url("**/studies*")


def test_a_scoring_appears_when_it_is_made_without_a_reload(tab: Any, staged: RunningApp) -> None:
    with Library.open(staged.home) as library:
        library.add(write_edf(staged.home.parent / "fresh.edf", seconds=EPOCHS * 30, seed=3))
        library.store_hash("fresh", "1" * 64)
        job = library.jobs.add("stage", lane=Lane.HEAVY, title="Stage fresh", subject="fresh", parameters={"study": "fresh"})
        viewer = open_study(tab, staged, "?study=fresh&epoch=3", 3)
        hypnogram = viewer.locator('[data-sleepfm="hypnogram"]')
        assert hypnogram.get_attribute("aria-label") == "Being staged: the hypnogram appears here when it is done"
        library.jobs.claim(Lane.HEAVY)
        library.jobs.report(job.id, 0.5, "computing features")
        tab.get_by_text("computing features").wait_for()
        tab.evaluate("window.stayed = true")
        tab.keyboard.press("ArrowRight")
        tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="4"]')
        about = {"label": "The first", "note": "first 1.0", "trained_on": "simulated", "source_sha256": "1" * 64}
        library.store_scoring("fresh", scoring(0), engine="first", model="", provenance=about)
        library.jobs.end(job.id, JobState.FINISHED, result={})
    tab.wait_for_function("node => node.getAttribute('aria-label') === 'Hypnogram'", arg=hypnogram.element_handle())
    viewer.get_by_text("0.80").first.wait_for()
    warning = "The first was trained on simulated signals: for trying the software only. What it says of a real recording means"
    assert viewer.get_by_text(warning).is_visible()
    assert viewer.get_attribute("data-drawn-epoch") == "4"
    assert tab.evaluate("window.stayed")
    tab.get_by_role("button", name="Export").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Scoring CSV").click()
    assert download.value.suggested_filename == "fresh_first_simulated-model.csv"


def test_scored_events_are_said_once_and_taken_into_the_scoring_by_a_button(tab: Any, staged: RunningApp) -> None:
    with Library.open(staged.home) as library:
        library.add(write_edf(staged.home.parent / "events.edf", seconds=EPOCHS * 30, seed=4))
        library.store_hash("events", "2" * 64)
        about = {"label": "The first", "note": "first 1.0", "source_sha256": "2" * 64}
        library.store_scoring("events", scoring(0), engine="first", model="", provenance=about)
        viewer = open_study(tab, staged, "?study=events")
        tab.get_by_role("button", name="Score", exact=True).click()
        viewer.get_by_text("Scoring as").wait_for()
        top = viewer.bounding_box()["y"]
        job = library.jobs.add("events", lane=Lane.HEAVY, title="Score events of events", subject="events", parameters={})
        library.jobs.claim(Lane.HEAVY)
        library.jobs.report(job.id, 0.5, "a long message on what it is that the engine does with the respiratory flow")
        open_study(tab, staged, "?study=events")
        tab.get_by_text("Score events").wait_for()
        assert viewer.bounding_box()["y"] == top  # what is said of a job moves nothing
        found = [Event(60.0, 75.0, "Hypopnea"), Event(200.0, 215.0, "Obstructive apnea")]
        by = {"label": "psgscoring", "note": "psgscoring 1.0", "source_sha256": "2" * 64, "skipped": {"Arousals": "no EEG"}}
        number = store_events(library, "events", found, engine="psgscoring", model="", provenance=by)
        library.jobs.end(job.id, JobState.FINISHED, result={"set": number, "counts": {"Hypopnea": 1, "Obstructive apnea": 1}})
        tab.get_by_text("psgscoring found 2 events (not scored: Arousals)").wait_for()
        tab.get_by_role("button", name="Take them").click()
        tab.get_by_text("The events of psgscoring stand in your scoring.").wait_for()
        viewer.locator('button[title^="Undo"]:enabled').wait_for()  # the viewer has read the night again
        (review,) = [one for one in library.scorings("events") if one.by_person]
        assert [one.name for one in document(library, review.id).events.values()] == ["Hypopnea", "Obstructive apnea"]
        tab.get_by_role("button", name="Take them").wait_for(state="detached")
        tab.get_by_role("button", name="More").click()
        tab.locator("button:disabled", has_text="Remove").first.wait_for()  # it has an edit


def test_a_lost_connection_takes_no_focus_from_the_viewer(tab: Any, staged: RunningApp) -> None:
    open_study(tab, staged, "?study=night&epoch=6", 6)
    # as Streamlit shows it when its server is away, which would take half a minute
    tab.evaluate("""() => {
      document.querySelector("[data-test-connection-state]").dataset.testConnectionState = "PINGING_SERVER";
      const dialog = Object.assign(document.createElement("div"), { className: "stDialog" });
      const close = Object.assign(document.createElement("button"), { ariaLabel: "Close", onclick: () => dialog.remove() });
      dialog.append("Connection error", close);
      document.body.append(dialog);
      close.focus();
    }""")
    tab.locator(".stDialog").wait_for(state="detached")
    tab.wait_for_function("document.activeElement !== document.body")
    tab.keyboard.press("ArrowRight")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="7"]')


def test_a_corrected_channel_is_drawn_as_what_it_is(staged: RunningApp) -> None:
    def kind() -> str:
        with urllib.request.urlopen(f"{staged.url}/sleepfm/overview?study=night") as response:
            traces = json.load(response)["traces"]
        return next(trace["kind"] for trace in traces if trace["key"] == "3")

    assert kind() == Kind.OTHER.value
    with Library.open(staged.home) as library:
        library.correct_channel("night", 3, Kind.LEG_EMG)
    assert kind() == Kind.LEG_EMG.value


def test_the_channels_of_a_corrected_montage_can_be_looked_at_again(tab: Any, staged: RunningApp) -> None:
    with Library.open(staged.home) as library:
        library.correct_channel("night", 3, Kind.ECG)
    open_study(tab, staged, "?study=night&epoch=3", 3)
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("button", name="Channels").click()
    tab.get_by_text("remembered for every study").wait_for()
    assert tab.get_by_role("alert").count() == 0
    with Library.open(staged.home) as library:
        library.correct_channel("night", 3, None)
