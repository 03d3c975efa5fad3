"""The Finish page in a real browser: from the numbers to a report that is looked at, taken along, and made again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from explore_home import SHIPPED, explore_home

from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_edits import Edit, apply_edits
from sleepfm.library.review_patch import Patch
from sleepfm.library.reviews import document

pytestmark = pytest.mark.browser

NIGHT, OTHER = "sim-3-0001", "sim-3-0002"
PREVIEW = '[data-sleepfm="report"]'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with simulated nights."""
    home = explore_home(tmp_path_factory.mktemp("finish") / "home", studies=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(SHIPPED))
        running = start_app(home.root, free_port())
    yield running
    stop_app(running)


def new_review(app: RunningApp) -> int:
    """Begin a review under a name that nobody used, and return its number."""
    with Library.open(app.home) as library:
        true_stages = next(one.id for one in library.scorings(NIGHT) if not one.by_person)
        return begin(library, NIGHT, scorer=f"ada {secrets.token_hex(3)}", user="ada", base=true_stages)


def edit(app: RunningApp, number: int) -> None:
    """Change the stage of the first epoch."""
    with Library.open(app.home) as library:
        before = int(document(library, number).stages[0])
        patch = Patch(stages=((1, before, 2 if before != 2 else 3),))
        assert not apply_edits(library, number, [Edit("one", "score", patch)], user="ada").refused


def choose(tab: Any, view: str) -> None:
    tab.get_by_role("radio", name=view, exact=True).or_(tab.get_by_role("button", name=view, exact=True)).first.click()


def printed(tab: Any, file: Path) -> list[str]:
    """Return the text of each sheet that the browser prints of a file."""
    page = tab.context.new_page()
    page.goto(file.as_uri())
    made = pypdfium2.PdfDocument(page.pdf(prefer_css_page_size=True))
    page.close()
    return [" ".join(sheet.get_textpage().get_text_range().split()) for sheet in made]


def test_from_the_numbers_to_a_report_that_is_signed_off_on(tab: Any, app: RunningApp, tmp_path: Path) -> None:
    number = new_review(app)
    tab.goto(f"{app.url}/finish?study={NIGHT}")
    table = tab.get_by_role("table", name="Statistics of the night")
    table.wait_for()
    assert "Total sleep time (TST)" in table.inner_text()
    tab.get_by_text("Unsigned draft").wait_for()

    choose(tab, "Report")
    tab.get_by_text("There is no report of this scoring yet").wait_for()
    tab.evaluate("window.stayed = true")
    tab.get_by_role("button", name="Make report").click()
    tab.locator(f"{PREVIEW}[data-shown]").wait_for()
    frame = tab.locator(f"{PREVIEW} iframe")
    assert frame.get_attribute("sandbox") == ""  # neither scripts nor an origin of its own
    inside = frame.content_frame
    inside.get_by_text("SIMULATED RECORDING").first.wait_for()
    assert "0 of 60 epochs set or confirmed by hand" in inside.locator("header").inner_text()
    assert inside.locator("svg").count() == 2
    assert tab.evaluate("window.stayed")

    with tab.expect_download() as download:
        tab.get_by_role("button", name="PDF").click()
    assert download.value.suggested_filename == f"{NIGHT}_report.pdf"
    pages = pypdfium2.PdfDocument(download.value.path())
    assert all("SIMULATED RECORDING" in page.get_textpage().get_text_range() for page in pages)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="HTML").click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    assert report.read_text("utf-8").startswith("<!doctype html>")
    sheets = printed(tab, report)
    assert len(sheets) > 2
    for at, sheet in enumerate(sheets, start=1):  # each says whose it is and what it is worth, wherever it gets to
        for words in (f"Sleep study {NIGHT}", "UNSIGNED DRAFT", "SIMULATED RECORDING", f"page {at} of {len(sheets)}"):
            assert words in sheet

    edit(app, number)
    assert tab.url.endswith("&view=report")
    tab.reload()  # leads to where one was
    tab.get_by_text("This report is not of what is known now").wait_for()
    tab.get_by_role("button", name="Make again").click()
    tab.get_by_text("This report is not of what is known now").wait_for(state="detached")
    tab.locator(f"{PREVIEW}[data-shown]").wait_for()
    inside.locator("header", has_text="1 of 60 epochs set or confirmed by hand").wait_for()

    choose(tab, "Export")
    tab.get_by_role("combobox", name="Format").wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith(NIGHT)


def test_the_page_is_walked_without_a_mouse_and_says_what_is_missing(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/finish?study=gone")
    tab.get_by_text("no study").wait_for()
    assert tab.get_by_role("link", name="To the studies").count() == 1
    tab.goto(f"{app.url}/finish?study={OTHER}")
    tab.get_by_role("table", name="Statistics of the night").wait_for()
    tab.get_by_role("combobox", name="Scoring").focus()
    for key in ("Tab", "ArrowRight", "ArrowRight"):
        tab.keyboard.press(key)
    tab.wait_for_function("document.activeElement.textContent.trim() === 'Report'")
    tab.keyboard.press("Enter")
    tab.get_by_text("There is no report of this scoring yet").wait_for()
    answer = tab.request.get(f"{app.url}/sleepfm/report?study={NIGHT}&scoring=999")
    assert answer.status == 400
    assert "has no report" in answer.json()["error"]
