"""The viewer in a real browser: keys, clicks, pixels, addresses. AppTest cannot see any of these."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.conftest import free_port
from make_edf import write_edf
from recording.edf_bytes import File, Signal, smooth, tal

from sleepfm.recording.scorings.formats import write_scoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.theme import GAP
from sleepfm.viewer.window_packing import unpack

pytestmark = pytest.mark.browser

EPOCHS = 80
VIEWER = '[data-sleepfm="viewer"]'
CANVAS = f"{VIEWER} .panel canvas"
ASSETS = Path(__file__).parents[2] / "assets"
APP = Path(__file__).parents[1] / "viewer" / "app.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    labels = ("C4-M1", "C3-M2", "E1-M2", "Chin", "ECG", "Flow", '<b onclick="1">')
    write_edf(folder / "night.edf", seconds=EPOCHS * 30, labels=labels)
    write_edf(folder / "bare.edf", seconds=95, labels=labels[:2])
    onsets = [*range(40), *range(50, 100)]
    stamps = Signal("EDF Annotations", [tal(onset) for onset in onsets])
    interrupted = File([Signal("C4-M1", smooth(len(onsets), 128)), stamps], reserved="EDF+D")
    (folder / "interrupted.edf").write_bytes(interrupted.bytes())
    stages = np.repeat(np.array([0, 1, 2, 3, 4], dtype=np.int8), EPOCHS // 5)
    other = stages.copy()
    other[[19, 41, 60]] = 0
    write_scoring(Scoring(stages), folder / "night.csv")
    write_scoring(Scoring(other), folder / "night.second.csv")
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, str(APP), str(folder), str(port)], stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
            break
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
    yield url
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def tab(browser: Any) -> Iterator[Any]:
    """Give one tab for the module: Streamlit's own files are loaded once."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, timezone_id="Asia/Kolkata")
    page = context.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    yield page
    context.close()
    assert page.problems == []


def open_at(tab: Any, address: str, query: str, epoch: int) -> Any:
    tab.goto(f"{address}/?{query}&epoch={epoch}")
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"]')
    tab.wait_for_function("document.activeElement !== document.body")
    return tab.locator(VIEWER)


def wait_drawn(tab: Any, epoch: int) -> None:
    tab.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"][data-epoch="{epoch}"]', timeout=10_000)


def picture(tab: Any) -> str:
    """Return the traces' pixels."""
    data: str = tab.locator(CANVAS).evaluate("canvas => canvas.toDataURL()")
    return data


def runs(tab: Any) -> str:
    text: str = tab.get_by_text("script runs:").inner_text()
    return text


def test_it_opens_where_the_address_says_and_the_keys_work_at_once(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night&upper=night.csv", 7)
    assert viewer.get_attribute("data-study") == "night"
    assert viewer.get_attribute("data-epoch") == "7"
    assert viewer.get_attribute("data-unsaved") == "0"
    assert viewer.get_by_text(f"Epoch 7 / {EPOCHS}").is_visible()
    for key, epoch in [
        ("ArrowRight", 8), ("ArrowLeft", 7), ("PageDown", 17), ("PageUp", 7), ("End", EPOCHS),
        ("ArrowRight", EPOCHS), ("Home", 1), ("ArrowLeft", 1), ("PageUp", 1), ("Shift+ArrowRight", 2),
    ]:  # fmt: skip
        tab.keyboard.press(key)
        wait_drawn(tab, epoch)


def test_the_address_follows_and_the_script_is_not_run_again(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 3)
    before = runs(tab)
    for _ in range(4):
        tab.keyboard.press("ArrowRight")
    wait_drawn(tab, 7)
    tab.wait_for_url("**epoch=7*")
    assert runs(tab) == before
    tab.reload()
    wait_drawn(tab, 7)


def test_streamlits_own_keys_are_the_viewers(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night", 3)
    before = runs(tab)
    for key in ("r", "c", "w", "1", "2", "3", "u", "Control+z", "Control+y", "Shift+R"):
        tab.keyboard.press(key)
    assert viewer.get_by_text("Nothing can be scored here.").is_visible()
    tab.wait_for_timeout(400)
    assert runs(tab) == before
    assert tab.get_by_role("dialog").filter(has_text="ache").count() == 0
    wait_drawn(tab, 3)


def test_every_epoch_on_the_way_is_drawn_while_the_key_is_held(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night", 5)
    viewer.evaluate(
        """viewer => {
          window.seen = [];
          new MutationObserver(() => window.seen.push(Number(viewer.dataset.drawnEpoch)))
            .observe(viewer, { attributes: true, attributeFilter: ["data-drawn-epoch"] });
        }"""
    )
    for _ in range(30):
        tab.keyboard.down("ArrowRight")
        tab.wait_for_timeout(33)
    tab.keyboard.up("ArrowRight")
    tab.wait_for_function("document => document.dataset.epoch === document.dataset.drawnEpoch", arg=viewer.element_handle())
    seen = tab.evaluate("window.seen")
    assert seen == list(range(6, 6 + len(seen)))
    assert len(seen) >= 10
    assert viewer.get_attribute("data-epoch") == str(seen[-1])


def test_presses_faster_than_frames_all_count(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night", 10)
    viewer.evaluate(
        """viewer => {
          const input = viewer.querySelector("input");
          for (let k = 0; k < 40; k += 1) {
            input.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, composed: true }));
          }
        }"""
    )
    assert viewer.get_attribute("data-epoch") == "50"
    wait_drawn(tab, 50)


def test_the_pixels_are_those_of_the_epoch(tab: Any, address: str) -> None:
    """However an epoch was reached, it looks the same, and no other epoch looks like it."""
    open_at(tab, address, "study=night", 20)
    direct = picture(tab)
    tab.keyboard.press("ArrowRight")
    wait_drawn(tab, 21)
    neighbour = picture(tab)
    assert neighbour != direct
    tab.keyboard.press("End")
    wait_drawn(tab, EPOCHS)
    tab.keyboard.press("Home")
    wait_drawn(tab, 1)
    tab.keyboard.press("PageDown")
    tab.keyboard.press("PageDown")
    wait_drawn(tab, 21)
    assert picture(tab) == neighbour
    tab.keyboard.press("ArrowLeft")
    wait_drawn(tab, 20)
    assert picture(tab) == direct


@pytest.mark.parametrize("fraction", [0.0, 0.26, 0.503, 0.99])
def test_a_click_in_the_hypnogram_goes_to_that_epoch(tab: Any, address: str, fraction: float) -> None:
    open_at(tab, address, "study=night&upper=night.csv&lower=night.second.csv", 40)
    hypnogram = tab.locator('[data-sleepfm="hypnogram"]')
    box = hypnogram.bounding_box()
    hypnogram.click(position={"x": min(fraction * box["width"], box["width"] - 1), "y": box["height"] / 2})
    wait_drawn(tab, min(EPOCHS, int(fraction * EPOCHS) + 1))


def test_overview_and_traces_begin_and_end_on_the_same_pixel(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night&upper=night.csv", 30)
    hypnogram = tab.locator('[data-sleepfm="hypnogram"]').bounding_box()
    ink = viewer.locator(".panel canvas").evaluate(
        """canvas => {
          // the line below the plot runs from its first pixel to its last
          const context = canvas.getContext("2d");
          const box = canvas.getBoundingClientRect();
          for (let y = canvas.height - 25; y > canvas.height - 45; y -= 1) {
            const row = context.getImageData(0, y, canvas.width, 1).data;
            const dark = [];
            for (let x = 0; x < canvas.width; x += 1) if (row[4 * x] < 230) dark.push(x);
            if (dark.length > canvas.width * 0.8) return [box.left + dark[0], box.left + dark.at(-1) + 1];
          }
          return null;
        }"""
    )
    assert ink == pytest.approx([hypnogram["x"], hypnogram["x"] + hypnogram["width"]], abs=1)


def test_a_plain_click_only_gives_the_focus(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 12)
    before = picture(tab)
    tab.get_by_label("Note").click()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_timeout(200)
    wait_drawn(tab, 12)
    assert tab.get_by_text("Click here to use the keys").is_visible()
    box = tab.locator(CANVAS).bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_drawn(tab, 12)
    assert picture(tab) == before
    tab.keyboard.press("ArrowRight")
    wait_drawn(tab, 13)


def test_with_the_focus_nowhere_the_keys_are_the_viewers(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 12)
    before = runs(tab)
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("r")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("ArrowRight")
    wait_drawn(tab, 13)
    assert runs(tab) == before


def test_typing_elsewhere_is_left_alone(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 12)
    tab.keyboard.press("ArrowRight")  # its echo, a run of the fragment, comes while somebody types
    note = tab.get_by_label("Note")
    note.click()
    tab.keyboard.type("rare 123 w", delay=60)
    assert note.input_value() == "rare 123 w"
    tab.wait_for_url("**epoch=13*")
    wait_drawn(tab, 13)


def test_clock_times_are_the_recordings_not_the_browsers(tab: Any, address: str) -> None:
    """The recording began at 22:30; the browser of this test thinks it is in India."""
    viewer = open_at(tab, address, "study=night", 7)
    assert viewer.get_by_text("22:33:00 · 0:03:00 elapsed").is_visible()


def test_the_browser_unpacks_what_python_packed(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 7)
    path = "/sleepfm/window?study=night&start=180&stop=210&bins=100&traces=0_0.3_35_~4___"
    theirs = tab.evaluate(
        """async ([path, module]) => {
          const { unpack } = await import(module);
          const traces = unpack(await (await fetch(path)).arrayBuffer());
          return traces.map(({ x0, dx, codes, scale, offset }) => [x0, dx, [...codes].map((code) => offset + scale * code)]);
        }""",
        [path, asset_url(ASSETS, "viewer/trace_store.js")],
    )
    with urllib.request.urlopen(address + path) as response:
        ours = unpack(response.read())
    for window, (x0, dx, values) in zip(ours, theirs, strict=True):
        assert (x0, dx) == (window.x0_s, window.dx_s)
        assert values == pytest.approx(window.values.tolist())


def test_n_goes_through_the_disagreements(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night&upper=night.csv&lower=night.second.csv", 1)
    for epoch in (20, 42, 61, 20):
        tab.keyboard.press("n")
        wait_drawn(tab, epoch)
    assert viewer.get_by_text("1 of 3").is_visible()


def test_the_keys_are_listed_and_change_what_is_shown(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=night", 8)
    tab.keyboard.press("?")
    assert viewer.get_by_role("heading", name="Keys").is_visible()
    tab.keyboard.press("Escape")
    assert not viewer.get_by_role("heading", name="Keys").is_visible()
    shown = {picture(tab)}
    for key in ("+", "f", "p", "g", "]", "]"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(250)
        shown.add(picture(tab))
    assert len(shown) == 7
    assert viewer.get_by_label("Time on the screen").input_value() == "2 min"
    for key in ("[", "[", "g", "p", "f", "-"):
        tab.keyboard.press(key)
    tab.wait_for_timeout(250)
    assert len(shown | {picture(tab)}) == 7


def test_gain_of_one_channel_leaves_the_others(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 8)
    halves = """canvas => [0, 0.5].map((part) => {
      const height = canvas.height - 60;
      const pixels = canvas.getContext("2d").getImageData(150, part * height, canvas.width - 150, height * 0.4).data;
      return pixels.reduce((sum, value, at) => (sum * 31 + value * (at % 977)) % 1e9, 7);
    })"""
    top, bottom = tab.locator(CANVAS).evaluate(halves)
    box = tab.locator(CANVAS).bounding_box()
    tab.mouse.click(box["x"] + 20, box["y"] + box["height"] * 0.85)
    tab.keyboard.press("+")
    tab.wait_for_timeout(250)
    new_top, new_bottom = tab.locator(CANVAS).evaluate(halves)
    assert new_top == top
    assert new_bottom != bottom


def drag(tab: Any, start: tuple[float, float], stop: tuple[float, float]) -> None:
    box = tab.locator(CANVAS).bounding_box()
    tab.mouse.move(box["x"] + start[0], box["y"] + start[1])
    tab.mouse.down()
    tab.mouse.move(box["x"] + stop[0], box["y"] + stop[1], steps=5)
    tab.mouse.up()


def test_a_caliper_measures_time_and_amplitude(tab: Any, address: str) -> None:
    """The first row is C4-M1 at 150 µV a row; 10 s are a third of the plot."""
    viewer = open_at(tab, address, "study=night", 8)
    before = picture(tab)
    box = tab.locator(CANVAS).bounding_box()
    ten_s = (box["width"] - 156) / 3
    caliper = viewer.locator(".caliper")
    drag(tab, (300, 40), (300 + ten_s, 20))
    assert not caliper.is_visible()  # a drag alone measures nothing
    tab.keyboard.down("Shift")
    drag(tab, (300, 40), (300 + ten_s, 20))
    tab.keyboard.up("Shift")
    label, seconds, _, hertz, _, amplitude, unit = caliper.inner_text().replace("·", "").split()
    assert (label, unit) == ("C3-M2:", "µV")
    assert float(seconds) == pytest.approx(10, abs=0.05)
    assert float(hertz) == pytest.approx(0.1, abs=0.001)
    rows = viewer.evaluate("viewer => viewer.querySelector('.panel').clientHeight - 38") / (3 * 1.35 + 3)
    assert float(amplitude) == pytest.approx(20 * 150 / (1.35 * rows), rel=0.02)
    assert picture(tab) == before
    tab.keyboard.press("Escape")
    assert not caliper.is_visible()
    tab.keyboard.press("m")
    drag(tab, (300, 20), (400, 40))
    assert caliper.is_visible()
    tab.keyboard.press("ArrowRight")
    wait_drawn(tab, 9)
    assert not caliper.is_visible()
    tab.keyboard.press("m")
    drag(tab, (300, 20), (400, 40))
    assert not caliper.is_visible()


def test_a_short_recording_without_a_scoring(tab: Any, address: str) -> None:
    viewer = open_at(tab, address, "study=bare", 1)
    assert viewer.get_by_text("not staged yet").is_visible()
    tab.keyboard.press("End")
    wait_drawn(tab, 4)  # 95 s: three whole epochs and a begun one
    tab.keyboard.press("n")
    assert viewer.get_by_text("Not staged yet: no epoch is marked for a look.").is_visible()


def test_a_gap_is_shown_as_a_gap(tab: Any, address: str) -> None:
    """The file has nothing from 40 to 50 s: epoch 2 shows 30 to 60 s."""
    open_at(tab, address, "study=interrupted", 2)
    shades = tab.locator(CANVAS).evaluate(
        """canvas => [35, 42, 48, 55].map((seconds) => {
          const x = 144 + ((seconds - 30) / 30) * (canvas.width - 156);
          const column = canvas.getContext("2d").getImageData(Math.round(x) + 5, 20, 1, canvas.height - 70).data;
          const counts = {};
          for (let at = 0; at < column.length; at += 4) {
            const colour = "#" + [0, 1, 2].map((band) => column[at + band].toString(16).padStart(2, "0")).join("");
            counts[colour] = (counts[colour] ?? 0) + 1;
          }
          return Object.entries(counts).sort((a, b) => b[1] - a[1])[0][0];
        })"""
    )
    assert shades == ["#ffffff", GAP, GAP, "#ffffff"]


def test_labels_from_the_file_never_become_elements(tab: Any, address: str) -> None:
    open_at(tab, address, "study=night", 1)
    assert tab.locator(f"{VIEWER} b[onclick]").count() == 0


def test_a_file_that_vanishes_is_said_so_and_can_come_back(tab: Any, address: str, folder: Path) -> None:
    viewer = open_at(tab, address, "study=night", 2)
    (folder / "night.edf").rename(folder / "away")
    tab.keyboard.press("End")
    viewer.get_by_text("the file is gone").wait_for()
    assert viewer.get_attribute("data-epoch") == str(EPOCHS)
    assert viewer.get_attribute("data-drawn-epoch") is None
    (folder / "away").rename(folder / "night.edf")
    viewer.get_by_role("button", name="Try again").click()
    wait_drawn(tab, EPOCHS)


def test_an_unknown_study_is_said_so(tab: Any, address: str) -> None:
    tab.goto(f"{address}/?study=nobody")
    tab.locator(VIEWER).get_by_text("no study 'nobody'").wait_for()
