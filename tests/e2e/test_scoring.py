"""Scoring in a real browser: keys and pointer, undo, several people, a server that goes away, the queue. Every edit is looked for
in the library, not on the screen alone."""

from __future__ import annotations

import getpass
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from make_edf import write_edf

from sleepfm.library.library import Library
from sleepfm.library.night_statistics import STRIP
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_log import log_entries
from sleepfm.library.review_patch import Patch
from sleepfm.library.review_states import mark_reviewed, reopen
from sleepfm.library.reviews import ReviewDocument, document
from sleepfm.recording.scorings.scoring import Scoring

pytestmark = pytest.mark.browser

EPOCHS = 60
STUDY = "night"
ME = getpass.getuser()
VIEWER = '[data-sleepfm="viewer"]'
NAMES = ("W", "N1", "N2", "N3", "R")
HYPNOGRAM = '[data-sleepfm="hypnogram"]'
NOTICE = '[data-sleepfm="scoring-notice"]'
QUEUE = '[data-sleepfm="queue"]'
TOUR = '[data-sleepfm="tour"]'


def proposed() -> Scoring:
    """Ten epochs of each stage, and ten that nobody scored; the engine is least sure of the second and third of each."""
    stages = np.repeat(np.array([0, 1, 2, 3, 4, -1], dtype=np.int8), EPOCHS // 6)
    shares = np.full((EPOCHS, 5), 0.02, dtype=np.float32)
    shares[np.arange(EPOCHS), np.maximum(stages, 0)] = 0.92
    unsure = [epoch for epoch in range(EPOCHS) if epoch % 10 in (1, 2)]
    shares[unsure] = 0.15
    shares[unsure, np.maximum(stages[unsure], 0)] = 0.4
    shares[stages < 0] = np.nan
    return Scoring(stages, shares)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scoring")
    with Library.open(folder / "home") as library:
        study = library.add(write_edf(folder / "night.edf", seconds=EPOCHS * 30, labels=("C4-M1", "E1-M2", "Chin", "Flow")))
        library.store_hash(study.id, "0" * 64)
        about = {"label": "Engine", "note": "engine 1.0", "source_sha256": "0" * 64}
        library.store_scoring(study.id, proposed(), engine="first", model="", provenance=about)
    return folder / "home"


@pytest.fixture(scope="module")
def app(home: Path) -> Iterator[RunningApp]:
    running = start_app(home, free_port())
    yield running
    stop_app(running)


@pytest.fixture(autouse=True)
def patience(tab: Any) -> None:
    tab.set_default_timeout(30_000)


def review(home: Path) -> ReviewDocument:
    with Library.open(home) as library:
        return document(library, begin(library, STUDY, scorer=ME, user=ME))


def stages(home: Path) -> list[int]:
    return [int(one) for one in review(home).stages]


def wait_drawn(tab: Any, epoch: int) -> None:
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"][data-epoch="{epoch}"]')


def wait_stored(tab: Any) -> None:
    tab.wait_for_selector(f'{VIEWER}[data-unsaved="0"]')


def look_again(tab: Any) -> None:
    """Come back to the page: it asks at once for what it would ask for in a few seconds."""
    tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def open_at(tab: Any, app: RunningApp, epoch: int) -> Any:
    tab.goto(f"{app.url}/review?study={STUDY}&epoch={epoch}")
    wait_drawn(tab, epoch)
    return tab.locator(VIEWER)


def go(tab: Any, epoch: int) -> None:
    """Go to an epoch by keys."""
    tab.keyboard.press("Home")
    for _ in range((epoch - 1) // 10):
        tab.keyboard.press("PageDown")
    for _ in range((epoch - 1) % 10):
        tab.keyboard.press("ArrowRight")
    wait_drawn(tab, epoch)


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def test_score_begins_a_review_and_the_keys_score_and_go_on(tab: Any, app: RunningApp) -> None:
    viewer = open_at(tab, app, 3)
    assert tab.locator(TOUR).get_by_text("1 / 5").is_visible()
    tab.keyboard.press("2")  # an engine's scoring is nobody's to change
    viewer.get_by_text("Press “Score” above").wait_for()
    wait_drawn(tab, 3)
    tab.get_by_role("button", name="Score", exact=True).click()
    viewer.get_by_text(f"Scoring as {ME}").wait_for()
    assert stages(app.home) == proposed().stages.tolist()
    tab.locator(VIEWER).click(position={"x": 600, "y": 500})
    press(tab, "2", "3", "r", "W", "1", "u")
    wait_drawn(tab, 9)
    wait_stored(tab)
    assert stages(app.home)[2:8] == [2, 3, 4, 0, 1, -1]
    assert stages(app.home)[8:] == proposed().stages.tolist()[8:]
    assert tab.get_by_label("Lower hypnogram").input_value() == "Engine"
    viewer.get_by_text("TST").wait_for()  # the numbers live beside it
    tab.locator(TOUR).get_by_role("button", name="No tour").click()


def test_edits_are_undone_and_redone_also_after_a_reload(tab: Any, app: RunningApp) -> None:
    press(tab, "Control+z", "Control+z")
    wait_drawn(tab, 7)
    wait_stored(tab)
    assert stages(app.home)[2:8] == [2, 3, 4, 0, 0, 0]
    tab.wait_for_url("**epoch=7*")
    tab.reload()
    wait_drawn(tab, 7)
    assert not tab.locator(TOUR).is_visible()
    tab.keyboard.press("Control+z")  # what was done before the reload is undone all the same
    wait_drawn(tab, 6)
    press(tab, "Control+z", "Control+z", "Control+z", "Control+z")  # and once more than there is
    tab.locator(VIEWER).get_by_text("Nothing to undo").wait_for()
    wait_stored(tab)
    assert stages(app.home) == proposed().stages.tolist()
    press(tab, "Control+y", "Control+y", "Control+y")
    wait_drawn(tab, 5)
    wait_stored(tab)
    assert stages(app.home)[2:6] == [2, 3, 4, 0]
    with Library.open(app.home) as library:
        assert {entry.user for entry in log_entries(library, review(app.home).review.scoring)} == {ME}


def test_a_range_is_one_edit_by_pointer_and_by_keys(tab: Any, app: RunningApp) -> None:
    before = len(entries(app))
    box = tab.locator(HYPNOGRAM).bounding_box()
    at = [box["x"] + (epoch - 0.5) / EPOCHS * box["width"] for epoch in (20, 26)]
    tab.mouse.move(at[1], box["y"] + 9)
    tab.mouse.down()
    tab.mouse.move(at[0], box["y"] + 12, steps=4)
    tab.mouse.up()
    tab.locator(VIEWER).get_by_text("7 epochs (20–26): press a stage").wait_for()
    numbers = tab.locator(f"{VIEWER} .number")  # all of them stay in sight
    assert numbers.count() == len(STRIP)
    assert numbers.evaluate_all(
        """all => all.every((one) => {
          const [inner, outer] = [one, one.closest(".scoring-bar")].map((node) => node.getBoundingClientRect());
          return inner.left > outer.left && inner.right < outer.right && inner.bottom <= outer.bottom;
        })"""
    )
    tooltip = tab.locator(f"{VIEWER} .tooltip")
    assert tooltip.is_visible()
    tab.keyboard.press("r")
    wait_drawn(tab, 27)
    assert not tooltip.is_visible()
    press(tab, "Shift+ArrowRight", "Shift+ArrowRight")
    tab.locator(VIEWER).get_by_text("3 epochs (27–29): press a stage").wait_for()
    tab.keyboard.press("Escape")
    tab.keyboard.press("Shift+ArrowLeft")  # from 29, where it led
    tab.keyboard.press("w")
    wait_drawn(tab, 30)
    wait_stored(tab)
    assert stages(app.home)[18:30] == [1, *[4] * 7, 2, 0, 0, 2]
    assert len(entries(app)) == before + 2
    tab.mouse.click(at[0], box["y"] + 9)  # a click that stays a click still goes there
    wait_drawn(tab, 20)
    press(tab, "Control+z", "Control+z")
    wait_stored(tab)
    assert stages(app.home)[18:30] == [1, 1, *[2] * 10]


def entries(app: RunningApp) -> list[Any]:
    with Library.open(app.home) as library:
        return log_entries(library, review(app.home).review.scoring, limit=1000)


def test_the_second_layout_is_remembered_and_its_row_of_numbers_stays(tab: Any, app: RunningApp) -> None:
    viewer = tab.locator(VIEWER)
    viewer.get_by_role("button", name="⋯").click()
    viewer.get_by_role("button", name="AASM ISR").click()
    tab.reload()
    viewer.get_by_text("stored").wait_for()
    go(tab, 31)
    tab.keyboard.press("4")
    viewer.get_by_text(re.compile("R$")).first.wait_for()
    wait_drawn(tab, 31)
    for digit in "01":  # Playwright's own have no NumLock
        tab.locator(f"{VIEWER} input.keys").dispatch_event("keydown", {"key": digit, "code": f"Numpad{digit}", "bubbles": True})
    wait_drawn(tab, 33)
    wait_stored(tab)
    assert stages(app.home)[30:33] == [0, 1, 3]
    press(tab, "Control+z", "Control+z", "Control+z")
    wait_stored(tab)
    viewer.get_by_role("button", name="⋯").click()
    viewer.get_by_role("button", name="W 1 2 3 R").click()
    tab.keyboard.press("?")
    viewer.get_by_role("heading", name="Scoring").wait_for()
    tab.keyboard.press("Escape")


def test_lights_are_marked_and_jumps_lead_to_what_is_left(tab: Any, app: RunningApp) -> None:
    go(tab, 2)
    tab.keyboard.press("l")
    go(tab, 59)
    tab.keyboard.press("Shift+L")
    wait_stored(tab)
    lights = {event.name: event.start_s for event in review(app.home).events.values()}
    assert lights == {"Lights off": 30.0, "Lights on": 59 * 30.0}
    tab.keyboard.press("Shift+L")  # where it is already, it goes
    wait_stored(tab)
    assert [event.name for event in review(app.home).events.values()] == ["Lights off"]
    go(tab, 1)
    for key, epoch in (("x", 51), ("Shift+T", 41), ("d", 3), ("d", 4), ("t", 5)):
        tab.keyboard.press(key)
        wait_drawn(tab, epoch)
    # over its own proposal, N leads to what was least certain and nobody has scored yet: 3 of it was
    go(tab, 1)
    for key, epoch in (("n", 2), ("w", 3), ("n", 12), ("n", 12), ("Control+z", 2), ("n", 12), ("n", 2)):
        tab.keyboard.press(key)
        wait_drawn(tab, epoch)
    wait_stored(tab)


def test_tab_leads_through_the_viewer_and_out_of_it(tab: Any, app: RunningApp) -> None:
    open_at(tab, app, 20)
    focused = "document.activeElement.shadowRoot ? 'viewer' : document.activeElement.tagName"
    places = []
    for _ in range(45):
        tab.keyboard.press("Tab")
        places.append(tab.evaluate(focused))
        if places[-1] not in ("viewer", "BODY"):
            break
    assert places[0] == "viewer"
    assert places[-1] == "A"  # the page's names
    size = tab.viewport_size
    tab.mouse.click(size["width"] - 40, size["height"] - 8)  # where there is nothing: the keys are the viewer's
    assert tab.evaluate(focused) == "viewer"


def test_the_queue_goes_through_what_would_move_the_numbers(tab: Any, app: RunningApp) -> None:
    tab.keyboard.press("q")
    queue = tab.locator(QUEUE)
    queue.get_by_text("Queue 1 of").wait_for()
    first = int(re.search(r"Epoch (\d+):", queue.inner_text()).group(1))  # type: ignore[union-attr]
    wait_drawn(tab, first)
    before = stages(app.home)
    tab.keyboard.press("3")
    queue.get_by_text("Queue 2 of").wait_for()
    second = int(re.search(r"Epoch (\d+):", queue.inner_text()).group(1))  # type: ignore[union-attr]
    wait_drawn(tab, second)
    assert second != first + 1 or before[second - 1] != 3
    queue.get_by_role("button", name="Leave as it is").click()
    queue.get_by_text("Queue 3 of").wait_for()
    assert queue.locator("progress").evaluate("bar => bar.value") == 2
    opener = tab.locator(VIEWER).get_by_role("button", name="Review queue")
    assert opener.get_attribute("aria-pressed") == "true"
    tab.keyboard.press("Escape")
    assert not queue.is_visible()
    assert opener.get_attribute("aria-pressed") == "false"
    wait_stored(tab)
    assert stages(app.home) == [*before[: first - 1], 3, *before[first:]]


def test_two_pages_on_one_epoch_see_a_conflict_and_lose_nothing(tab: Any, app: RunningApp) -> None:
    open_at(tab, app, 40)
    tab.locator(VIEWER).get_by_text("stored").wait_for()
    scoring = review(app.home).review.scoring
    with Library.open(app.home) as library:  # somebody else was quicker on 40, and elsewhere
        theirs = Patch(stages=((40, 3, 2), (50, 4, 1)))
        assert not apply_edits(library, scoring, [Edit("anna-1", "score", theirs)], user="anna").refused
    press(tab, "1", "w")
    notice = tab.locator(NOTICE)
    notice.get_by_text(re.compile(r"Not stored: epoch 40 as N1. Meanwhile epoch 40 is N2 \(anna, \d\d:\d\d UTC\)")).wait_for()
    tab.wait_for_selector(f'{VIEWER}[data-unsaved="1"]')
    assert stages(app.home)[39:50] == [2, 0, *[4] * 8, 1]  # 41 was no conflict; 50 is anna's
    go(tab, 50)
    tab.locator(VIEWER).locator(".chip").first.get_by_text("N1").wait_for()
    notice.get_by_role("button", name="Score it again as mine").click()
    wait_stored(tab)
    assert not notice.is_visible()
    assert stages(app.home)[39] == 1
    other = tab.context.new_page()  # the same person in another window: what stands there can be kept
    open_at(other, app, 45)
    other.keyboard.press("2")
    wait_stored(other)
    other.close()
    go(tab, 45)
    tab.keyboard.press("3")
    notice.get_by_text("(you, in another window, ").wait_for()
    notice.get_by_role("button", name="Keep what is there").click()
    wait_stored(tab)
    assert stages(app.home)[44] == 2
    go(tab, 48)
    before = stages(app.home)[47]
    tab.keyboard.press("r" if before != 4 else "w")
    wait_stored(tab)
    with Library.open(app.home) as library:  # what is done in the other window meanwhile is not what is taken back here
        elsewhere = Patch(stages=((53, stages(app.home)[52], 1),))
        assert not apply_edits(library, scoring, [Edit("elsewhere", "score", elsewhere)], user=ME).refused
    tab.keyboard.press("Control+z")
    wait_drawn(tab, 48)
    wait_stored(tab)
    assert (stages(app.home)[47], stages(app.home)[52]) == (before, 1)


def test_edits_outlive_reloads_and_a_server_that_is_away(tab: Any, app: RunningApp) -> None:
    open_at(tab, app, 12)
    warned: list[str] = []

    def leave(dialog: Any) -> None:
        warned.append(dialog.type)
        dialog.accept()

    tab.on("dialog", leave)
    tab.route("**/sleepfm/review/edits*", lambda route: route.abort())
    press(tab, "2", "3")
    tab.locator(NOTICE).get_by_text("2 edits not stored yet: the app does not answer; trying again").wait_for()
    for _ in range(2):  # what a page took over from another it keeps in the browser too
        tab.reload()
        tab.wait_for_selector(f'{VIEWER}[data-unsaved="2"]')
    assert warned == ["beforeunload"] * 2
    tab.unroute("**/sleepfm/review/edits*")
    look_again(tab)
    wait_stored(tab)
    assert stages(app.home)[11:13] == [2, 3]
    go(tab, 14)
    tab.route("**/sleepfm/review/**", lambda route: route.abort())  # the review desk's own walk kills the server
    press(tab, "r", "w", "Control+z", "1")
    wait_drawn(tab, 16)
    tab.locator(NOTICE).get_by_text("4 edits not stored yet").wait_for()
    assert stages(app.home)[13:15] == [1, 1]
    tab.unroute("**/sleepfm/review/**")
    look_again(tab)
    wait_stored(tab)
    assert stages(app.home)[13:15] == [4, 1]
    assert [entry.action for entry in reversed(entries(app)[:6])] == ["score", "score", "score", "score", "undo", "score"]
    assert tab.evaluate("Object.keys(localStorage).filter((name) => name.startsWith('sleepfm.edits'))") == []
    tab.remove_listener("dialog", leave)


def test_a_reviewed_scoring_is_locked_and_says_so(tab: Any, app: RunningApp) -> None:
    open_at(tab, app, 20)
    scoring = review(app.home).review.scoring
    with Library.open(app.home) as library:
        mark_reviewed(library, scoring, user="anna")
    before = stages(app.home)
    tab.keyboard.press("3")
    notice = tab.locator(NOTICE)
    notice.get_by_text("1 edit not stored (epoch 20 as N3)").wait_for()
    tab.reload()  # what is stored is drawn and counted, the edit stays in the notice
    notice.get_by_text("1 edit not stored (epoch 20 as N3)").wait_for()
    tab.locator(VIEWER).get_by_text("TST").wait_for()
    assert tab.locator(f"{VIEWER} .chip").first.inner_text().split() == [ME, NAMES[before[19]]]
    notice.get_by_role("button", name="Drop it").click()
    wait_stored(tab)
    tab.locator(VIEWER).get_by_text(f"{ME}: read only").wait_for()
    assert notice.get_by_text("reviewed").is_visible()
    assert tab.locator(VIEWER).get_by_role("button", name="Score N3").is_disabled()
    tab.keyboard.press("2")
    assert stages(app.home) == before
    with Library.open(app.home) as library:
        reopen(library, scoring, user="anna", reason="one more look", admin=True)
    tab.reload()
    tab.locator(VIEWER).get_by_text(f"Scoring as {ME}").wait_for()


def test_a_second_scorer_begins_from_nothing(tab: Any, app: RunningApp) -> None:
    tab.get_by_role("button", name="More").click()
    tab.get_by_role("button", name="Another scorer, or from nothing").click()
    tab.get_by_label("Starting from").click()
    tab.get_by_role("option", name="nothing: every epoch not scored").click()
    tab.get_by_role("button", name="Begin").click()
    tab.locator(VIEWER).get_by_text("Scoring for consensus").wait_for()
    with Library.open(app.home) as library:
        number = begin(library, STUDY, scorer="consensus", user=ME)
        assert set(document(library, number).stages.tolist()) == {-1}
    tab.get_by_role("button", name="Go on scoring").click()
    tab.locator(VIEWER).get_by_text(f"Scoring as {ME}").wait_for()


def test_somebody_elses_scoring_is_not_edited_by_accident(tab: Any, app: RunningApp) -> None:
    with Library.open(app.home) as library:
        number = begin(library, STUDY, scorer="anna", user="anna", base=library.scorings(STUDY)[-1].id)
    viewer = open_at(tab, app, 20)
    tab.get_by_label("Upper hypnogram").click()
    tab.get_by_role("option", name="anna").click()
    viewer.get_by_text("anna: read only").wait_for()
    viewer.click(position={"x": 600, "y": 500})
    tab.keyboard.press("r")
    viewer.get_by_text("this is the scoring of anna").first.wait_for()
    wait_drawn(tab, 20)
    viewer.get_by_role("button", name="Edit this one").click()
    tab.keyboard.press("r")
    wait_drawn(tab, 21)
    wait_stored(tab)
    with Library.open(app.home) as library:
        assert int(document(library, number).stages[19]) == 4
        assert log_entries(library, number)[0].user == ME
        tab.get_by_label("Lower hypnogram").click()
        tab.get_by_role("option", name=ME).click()
        below = viewer.locator(".chip").nth(1)
        below.get_by_text(ME).wait_for()
        own = begin(library, STUDY, scorer=ME, user=ME)  # the lower one follows, too: here its scorer goes on elsewhere
        before = int(document(library, own).stages[20])
        after = (before + 1) % 5
        assert not apply_edits(library, own, [Edit("below", "score", Patch(((21, before, after),)))], user=ME).refused
        look_again(tab)
        below.get_by_text(NAMES[after], exact=True).wait_for()
