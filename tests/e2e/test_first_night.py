"""What a technician does on the first morning: add a night, see it staged, page through it, export the scoring."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from make_edf import write_edf

from sleepfm.analysis.agreement import agree
from sleepfm.library.library import Library
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.runs.table import OPEN_STATES

pytestmark = pytest.mark.browser

VIEWER = '[data-sleepfm="viewer"]'
HYPNOGRAM = '[data-sleepfm="hypnogram"]'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give one app for the module; each test adds studies under names of its own."""
    running = start_app(tmp_path_factory.mktemp("first") / "home", free_port())
    yield running
    stop_app(running)


@pytest.fixture
def name() -> str:
    """Give a name that no other study of the library has, also in a second try."""
    return f"night-{uuid4().hex[:8]}"


def row(page: Any, study: str) -> Any:
    return page.locator(f'[data-sleepfm="studies"] tr[data-study="{study}"]')


def add(page: Any, path: Path) -> None:
    box = page.get_by_label("path")
    box.fill(str(path))
    box.press("Enter")


def wait_for_status(page: Any, study: str, status: str, seconds: float = 120) -> None:
    row(page, study).get_by_text(status, exact=True).wait_for(timeout=1000 * seconds)


def drawn(page: Any, epoch: int) -> None:
    page.wait_for_selector(f'{VIEWER}[data-drawn-epoch="{epoch}"]', timeout=60_000)


def download(page: Any, click: Callable[[], None], to: Path) -> Path:
    with page.expect_download(timeout=60_000) as coming:
        click()
    coming.value.save_as(to)
    return to


def test_a_real_night_from_the_path_to_the_exported_scoring(app: RunningApp, page: Any, shared: Path, tmp_path: Path) -> None:
    page.goto(app.url)
    page.wait_for_url("**/studies", timeout=60_000)
    add(page, shared / "data/psg/ucddb018_eeg.edf")
    row(page, "ucddb018_eeg").wait_for()
    said = page.get_by_text("Added ucddb018_eeg with the scoring ucddb018_expert.csv")  # which lies beside the recording
    said.wait_for()
    link = row(page, "ucddb018_eeg").get_by_role("link", name="ucddb018_eeg")
    link.focus()
    wait_for_status(page, "ucddb018_eeg", "staged")
    said.wait_for(state="detached")  # the page was drawn anew, for there is no work left
    focused = "document.activeElement.shadowRoot?.activeElement?.textContent"
    assert page.evaluate(focused) == "ucddb018_eeg", "the list stays mounted, and what had the focus keeps it"
    link.click()
    drawn(page, 1)
    assert "study=ucddb018_eeg" in page.url
    for epoch in (2, 3, 4):
        page.keyboard.press("ArrowRight")
        drawn(page, epoch)
    page.keyboard.press("ArrowLeft")
    drawn(page, 3)
    page.keyboard.press("PageDown")
    drawn(page, 13)
    page.keyboard.press("End")
    drawn(page, 822)
    page.keyboard.press("Home")
    drawn(page, 1)

    box = page.locator(HYPNOGRAM).first.bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function(f"Math.abs(Number(document.querySelector('{VIEWER}')?.dataset.drawnEpoch ?? 0) - 411) <= 2 || true")
    viewer = page.locator(VIEWER)
    page.wait_for_timeout(800)
    assert abs(int(viewer.get_attribute("data-drawn-epoch")) - 411) <= 2
    assert viewer.get_attribute("data-drawn-epoch") == viewer.get_attribute("data-epoch")
    assert viewer.get_attribute("data-unsaved") == "0"

    page.get_by_role("button", name="Export").click()
    csv = download(page, page.get_by_role("button", name="Scoring CSV").first.click, tmp_path / "out.csv")
    edf = download(page, page.get_by_role("button", name="EDF+ annotations").first.click, tmp_path / "out.edf")
    exported = read_scoring(csv)
    with Library.open(app.home) as library:
        stored = library.scorings("ucddb018_eeg")[0].scoring
    np.testing.assert_array_equal(exported.stages, stored.stages)
    np.testing.assert_array_equal(read_scoring(edf).stages, stored.stages)
    expert = read_scoring(shared / "data/psg/ucddb018_expert.csv")
    assert agree(exported.stages, expert.stages).kappa >= 0.78


def test_ninety_channels_page_and_bad_paths_are_said_on_the_page(
    app: RunningApp, page: Any, shared: Path, tmp_path: Path
) -> None:
    page.goto(f"{app.url}/studies")
    (tmp_path / "text.edf").write_text("not a recording " * 100)
    for path, words in (
        (tmp_path / "nowhere.edf", "nowhere.edf"),
        (tmp_path / "text.edf", "text.edf"),
        (shared / "data/psg/SC4001EC-Hypnogram.edf", "no signals"),
    ):
        add(page, path)
        page.get_by_role("alert").get_by_text(words).first.wait_for()
        assert page.get_by_label("path").input_value() == str(path), "what could not be added stays, to be corrected"
    add(page, shared / "data/psg/nox_a1_2min_90ch.edf")
    row(page, "nox_a1_2min_90ch").wait_for()
    page.goto(f"{app.url}/review?study=nox_a1_2min_90ch&epoch=2")
    drawn(page, 2)
    page.keyboard.press("ArrowRight")
    drawn(page, 3)
    page.keyboard.press("ArrowRight")
    drawn(page, 4)
    page.keyboard.press("ArrowRight")  # the end: it stays
    page.wait_for_timeout(300)
    assert page.locator(VIEWER).get_attribute("data-drawn-epoch") == "4"


def test_a_dropped_file_is_streamed_to_disk_and_a_wrong_one_leaves_nothing(
    app: RunningApp, page: Any, tmp_path: Path, name: str
) -> None:
    page.goto(f"{app.url}/studies")
    good = write_edf(tmp_path / f"dropped {name}.edf", seconds=330)
    (tmp_path / "wrong.edf").write_text("no recording " * 50)
    zone = page.locator('[data-sleepfm="upload"]')
    zone.wait_for()
    zone.locator("input[type=file]").set_input_files([str(good)])
    row(page, f"dropped_{name}").wait_for(timeout=60_000)
    zone.locator("input[type=file]").set_input_files([str(tmp_path / "wrong.edf")])
    zone.get_by_text("wrong.edf:").wait_for(timeout=60_000)
    with Library.open(app.home) as library:
        stored = library.study(f"dropped_{name}").path
        assert stored.read_bytes() == good.read_bytes()
        assert library.count("wrong") == 0
    uploaded = {file.name for file in (app.home / "uploads").rglob("*") if file.is_file()}
    assert good.name in uploaded
    assert all(one.startswith("dropped night-") for one in uploaded)


def test_a_vanished_recording_is_said_and_the_app_stays_up(app: RunningApp, page: Any, tmp_path: Path, name: str) -> None:
    path = write_edf(tmp_path / f"{name}.edf", seconds=600)
    page.goto(f"{app.url}/studies")
    page.get_by_text("Stage new studies at once").click()
    add(page, path)
    row(page, name).wait_for()
    page.goto(f"{app.url}/review?study={name}&epoch=1")
    drawn(page, 1)
    path.unlink()
    for _ in range(8):
        page.keyboard.press("PageDown")
    page.locator(VIEWER).get_by_text(f"{name}.edf").first.wait_for(timeout=60_000)
    page.goto(f"{app.url}/studies")
    row(page, name).get_by_text("file missing", exact=True).wait_for()
    page.goto(f"{app.url}/review?study=nobody")
    page.get_by_text("no study 'nobody'").wait_for()


def test_work_can_be_cancelled_from_the_list(app: RunningApp, page: Any, tmp_path: Path, name: str) -> None:
    path = write_edf(tmp_path / f"{name}.edf", seconds=8 * 3600, labels=("C4-M1", "E1-M2", "Chin"))
    page.goto(f"{app.url}/studies")
    add(page, path)
    row(page, name).wait_for()
    deadline = time.monotonic() + 60
    while row(page, name).get_by_role("button", name="Cancel").count() == 0:
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)
    link, before = row(page, name).get_by_role("link").element_handle(), row(page, name).inner_text()
    while row(page, name).inner_text() == before:
        page.wait_for_timeout(100)
    assert link.evaluate("link => link.isConnected")  # progress draws nothing anew that a click may be under way on
    while row(page, name).get_by_role("button", name="Cancel").count():
        row(page, name).get_by_role("button", name="Cancel").first.click()
        page.wait_for_timeout(1500)
        assert time.monotonic() < deadline
    row(page, name).get_by_role("button", name="Stage").wait_for()


def test_an_empty_library_gets_a_demo_night_that_says_it_is_simulated(page: Any, tmp_path: Path) -> None:
    app = start_app(tmp_path / "home", free_port(), "--demo-when-empty")
    try:
        page.goto(app.url)
        row(page, "demo_night").wait_for(timeout=90_000)
        row(page, "demo_night").get_by_text("simulated", exact=True).wait_for()
        with Library.open(app.home) as library:  # that nights are looked through and staged is seen with others
            while len(jobs := library.jobs.list(kinds=("prepare", "stage"))) < 2:
                page.wait_for_timeout(100)
            for job in jobs:
                library.jobs.request_stop(job.id)
            while library.jobs.list(states=OPEN_STATES):  # the click below meets the moment at which all work has ended
                page.wait_for_timeout(100)
        row(page, "demo_night").get_by_role("link", name="demo_night").click()
        drawn(page, 1)
        page.locator(VIEWER).get_by_text("SIMULATED RECORDING").wait_for()
    finally:
        stop_app(app)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_the_app_is_killed_while_a_night_is_staged_and_nothing_is_lost(page: Any, tmp_path: Path, name: str) -> None:
    home, night = tmp_path / "home", write_edf(tmp_path / f"{name}.edf", seconds=600)
    first = start_app(home, free_port())
    page.goto(f"{first.url}/studies")
    page.get_by_text("No studies yet").wait_for()
    add(page, night)
    row(page, name).wait_for()
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(timeout=10)
    second = start_app(home, free_port())
    try:
        page.goto(f"{second.url}/studies")
        wait_for_status(page, name, "staged")
    finally:
        stop_app(second)


def test_two_engines_one_above_the_other_on_a_corrected_channel(app: RunningApp, page: Any, tmp_path: Path, name: str) -> None:
    path = write_edf(tmp_path / f"{name}.edf", seconds=600, labels=(f"Lead {int(name[-8:], 16)}", "ECG"))
    page.goto(f"{app.url}/studies")
    add(page, path)
    wait_for_status(page, name, "failed")
    assert "no EEG" in row(page, name).inner_text()
    with Library.open(app.home) as library:
        from sleepfm.vocabulary import Kind

        library.correct_channel(name, 0, Kind.EEG)
    row(page, name).get_by_role("button", name="Stage").click()
    wait_for_status(page, name, "staged")
