"""The desk: two scorers on one night and on all, charts taken along, and a batch with a bad file in it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sleepfm.home import open_home
from sleepfm.library.batch_state import read_state
from sleepfm.library.job_batch import batch_folder
from sleepfm.library.library import Library
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Scoring
from tests.e2e.conftest import RunningApp, free_port, start_app, stop_app
from tests.make_edf import write_edf

pytestmark = pytest.mark.browser
EPOCHS = 22
PICTURES = ".js-plotly-plot .modebar-btn[data-title*='Download']"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """Give an app with three nights that two have scored; in the first they differ in epochs 5, 6 and 12."""
    folder = tmp_path_factory.mktemp("desk")
    home = open_home(folder / "home")
    with Library(home) as library:
        for n in range(3):
            path = write_edf(folder / "nights" / f"night{n}.edf", seconds=30 * EPOCHS, rate_hz=64, seed=n)
            study, sha256 = library.add(path).id, fingerprint(path)
            library.store_hash(study, sha256)
            a = np.repeat(np.array([0, 1, 2, 3, 4, 2], np.int8), [4, 3, 5, 5, 3, 2])
            b = a.copy()
            b[[4, 5, 11 + n]] = (2, 2, 0)
            for engine, model, label, stages in (("yasa", "yasa 0.8.1", "YASA", a), ("file", path.name, "Lab", b)):
                said = {"label": label, "note": label, "source_sha256": sha256}
                library.store_scoring(study, Scoring(stages), engine=engine, model=model, provenance=said)
    write_edf(folder / "more" / "night9.edf", seconds=60)
    (folder / "more" / "broken.edf").write_bytes(b"0       nothing")
    running = start_app(home.root, free_port())
    yield running
    stop_app(running)


def cells(tab: Any, table: str, column: int) -> list[str]:
    """Return a column of a table as the page tells it to a screen reader: a canvas has no text."""
    found = tab.get_by_role("region", name=re.compile(table)).locator(f'td[data-testid^="glide-cell-{column}-"]')
    found.first.wait_for(state="attached")
    return list(found.all_text_contents())


def test_two_scorings_of_a_night_and_the_way_to_where_they_differ(tab: Any, app: RunningApp, tmp_path: Path) -> None:
    tab.goto(f"{app.url}/agreement?study=night0")
    tab.get_by_text("3 of 22 epochs differ").wait_for()
    assert cells(tab, "Epochs that differ", 1) == ["5", "12"]
    assert cells(tab, "Epochs that differ", 2) == ["2", "1"]
    tab.get_by_text("One person: how far others would agree cannot be told").wait_for()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Disagreements as CSV").click()
    download.value.save_as(tmp_path / "d.csv")
    with (tmp_path / "d.csv").open(encoding="utf-8") as file:
        assert [(row["Epoch"], row["A"], row["B"]) for row in csv.DictReader(file)] == [("5", "N1", "N2"), ("12", "N2", "W")]

    # a chart as PNG, as SVG, and as data
    for picture in ("PNG", "SVG"):
        tab.get_by_role("button", name="Save").first.click()
        tab.get_by_role("radio", name=picture).click()
        tab.keyboard.press("Escape")
        tab.locator(".js-plotly-plot").first.hover()
        with tab.expect_download() as download:
            tab.locator(PICTURES).first.click()
        assert download.value.suggested_filename == f"night0_hypnograms.{picture.lower()}"
    tab.get_by_role("button", name="Save").first.click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Data as CSV").click()
    download.value.save_as(tmp_path / "chart.csv")
    assert "epoch 12: N2 against W" in (tmp_path / "chart.csv").read_text("utf-8")
    tab.keyboard.press("Escape")

    marks = tab.locator(".js-plotly-plot").first.locator(".scatterlayer .trace").nth(2).locator(".points path")
    marks.nth(2).hover(force=True)
    marks.nth(2).click(force=True)
    tab.wait_for_url("**/review?study=night0&epoch=12")


def test_all_nights_of_both_have_intervals_limits_and_a_way_to_the_worst(tab: Any, app: RunningApp) -> None:
    tab.goto(f"{app.url}/agreement")
    tab.get_by_role("radio", name="All studies of both").click()
    tab.get_by_text("3 nights of 3 people").first.wait_for()
    tab.get_by_text("Intervals from 3 people are rough").wait_for()
    assert cells(tab, "Agreement by night", 1)[0].startswith("night")
    assert "Total sleep time (TST)" in cells(tab, "Numbers of the night", 0)
    tab.get_by_role("combobox", name="Bland–Altman plot of").wait_for()
    tab.locator(".js-plotly-plot").nth(1).locator(".points path").first.wait_for(state="attached")


def test_a_batch_with_a_bad_file_is_done_shown_and_tried_again(tab: Any, app: RunningApp, tmp_path: Path) -> None:
    tab.goto(f"{app.url}/batch")
    tab.get_by_text("No batch yet").wait_for()
    tab.get_by_role("textbox", name="Folder or list path").fill("/nowhere/at all")
    tab.get_by_role("button", name="Start").click()
    tab.get_by_text("there is no such folder, list or recording").wait_for()
    tab.get_by_role("button", name="Clear all").click()
    tab.get_by_role("combobox", name="Steps").click()
    tab.get_by_role("option", name="Signals (HDF5)").click()
    tab.keyboard.press("Escape")  # while the list is open, nothing else can be reached
    folder = app.home.parent / "more"
    tab.get_by_role("textbox", name="Folder or list path").fill(str(folder))
    tab.get_by_role("button", name="Start").click()
    tab.get_by_text("2 recordings: 1 done, 1 failed").wait_for()
    assert cells(tab, "What became of each", 1) == ["✗ failed", "✓ done"]
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Failures as CSV").click()
    download.value.save_as(tmp_path / "f.csv")
    assert "broken.edf" in (tmp_path / "f.csv").read_text("utf-8")
    (folder / "broken.edf").unlink()
    tab.get_by_role("button", name="Try the failed ones again").click()
    tab.get_by_text(re.compile("^1 recording: 1 done$")).wait_for()
    with Library(open_home(app.home)) as library:
        first, again = library.jobs.list(kinds=("batch",))[::-1]
        assert batch_folder(library.home, first) == batch_folder(library.home, again)
        state = read_state(batch_folder(library.home, again))
        assert state is not None
        assert (batch_folder(library.home, again) / "night9" / "signals.hdf5").is_file()
    tab.get_by_role("button", name="Add to library").click()
    tab.get_by_text("1 study is in the library").wait_for()
    with Library(open_home(app.home)) as library:
        assert library.study("night9").path == folder / "night9.edf"
