"""The settings page in a browser: folders are named and hold, a backup is made and downloaded, damaged settings are one line."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import RunningApp, free_port, start_app, stop_app
from make_edf import write_edf

from sleepfm.administration.app_settings import read_settings
from sleepfm.administration.audit import entries
from sleepfm.administration.restore import check
from sleepfm.home import open_home
from sleepfm.library.library import Library

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    app = start_app(tmp_path_factory.mktemp("settings") / "home", free_port())
    yield app
    stop_app(app)


def open_section(tab: Any, app: RunningApp, section: str) -> None:
    tab.goto(f"{app.url}/settings?section={section}")
    tab.get_by_role("radio", name=section, checked=True).wait_for()


def test_folders_that_were_named_hold_on_the_page_of_studies(running: RunningApp, tab: Any, tmp_path: Path) -> None:
    inside = write_edf(tmp_path / "psg" / "inside.edf", seconds=10)
    outside = write_edf(tmp_path / "private" / "outside.edf", seconds=10)
    (tmp_path / "psg" / "link.edf").symlink_to(outside)
    open_section(tab, running, "Folders")
    tab.get_by_text("The app may read every file that the account").wait_for()
    tab.get_by_role("button", name="Name the folders").click()
    tab.get_by_text("No folder is named").wait_for()
    tab.get_by_label("Folder to allow").fill(str(tmp_path / "psg"))
    tab.get_by_role("button", name="Allow").click()
    tab.get_by_text("and what is within it can be read now").wait_for()
    assert read_settings(open_home(running.home)).folders == (tmp_path / "psg",)

    tab.goto(f"{running.url}/studies")
    for refused in (outside, tmp_path / "psg" / "link.edf", f"{tmp_path}/psg/../private/outside.edf", tmp_path / "private"):
        tab.get_by_label("Recording or folder path").fill(str(refused))
        tab.get_by_role("button", name="Add", exact=True).click()
        tab.get_by_text(f"{refused}:", exact=False).and_(tab.get_by_text("outside the folders that the app may read")).wait_for()
    tab.get_by_label("Recording or folder path").fill(str(inside))
    tab.get_by_role("button", name="Add", exact=True).click()
    tab.get_by_text("Added inside").wait_for()
    with Library(open_home(running.home)) as library:
        assert [study.id for study in library.studies()] == ["inside"]

    open_section(tab, running, "Folders")
    tab.get_by_role("button", name="Remove", exact=True).click()
    tab.get_by_text("1 of 1 studies of the library lie elsewhere").wait_for()
    answer = tab.request.get(f"{running.url}/sleepfm/overview?study=inside")
    assert "outside the folders" in answer.json()["error"]
    tab.goto(f"{running.url}/review?study=inside")
    tab.get_by_text("outside the folders that the app may read").wait_for()
    open_section(tab, running, "Folders")
    tab.get_by_text("lie elsewhere and cannot be opened").wait_for()
    tab.get_by_role("button", name="Allow").last.click()
    tab.get_by_text("and what is within it can be read now").wait_for()
    with Library(open_home(running.home)) as library:
        assert [line.action for line in entries(library.connection)].count("change settings") == 4


def test_a_backup_is_made_and_downloaded_and_so_is_a_bundle(running: RunningApp, tab: Any, tmp_path: Path) -> None:
    open_section(tab, running, "Backup")
    tab.get_by_role("button", name="Back up now").click()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "b.tar")
    manifest = check(tmp_path / "b.tar")
    assert {"library.sqlite", "settings.json"} <= set(manifest.files)
    tab.get_by_text("files,").first.wait_for()

    open_section(tab, running, "About")
    tab.get_by_role("button", name="Make a bundle").click()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download").click()
    download.value.save_as(tmp_path / "d.zip")
    with zipfile.ZipFile(tmp_path / "d.zip") as bundle:
        about = json.loads(bundle.read("about.json"))
    assert about["settings"]["folders"] == 1
    for path in ("backups/..%2Flibrary.sqlite", "backups/none.tar", "elsewhere/x", "backups/%2e%2e%2flibrary.sqlite"):
        assert tab.request.get(f"{running.url}/sleepfm/settings/{path}").status in (400, 404)
    with Library(open_home(running.home)) as library:
        said = [line.action for line in entries(library.connection)]
        assert {"back up", "download of backups", "make diagnostics", "download of diagnostics"} <= set(said)


def test_what_is_old_is_shown_before_it_goes(running: RunningApp, tab: Any) -> None:
    upload = write_edf(running.home / "uploads" / "ab" / "forgotten.edf", seconds=10)
    for path in (upload, upload.parent):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    open_section(tab, running, "Tidying up")
    tab.get_by_role("button", name="Look what is older").click()
    remove = tab.get_by_role("button", name="Remove 1 thing")
    assert remove.is_disabled()
    tab.get_by_text("I have looked at the list").click()
    tab.get_by_role("button", name="Remove 1 thing", disabled=False).click()
    tab.get_by_text("Last time 1 thing went").wait_for()
    assert not upload.parent.exists()


def test_a_damaged_settings_file_is_one_line_and_is_kept(running: RunningApp, tab: Any) -> None:
    home = open_home(running.home)
    home.settings_file.write_text('{"device": "gpu"}')
    open_section(tab, running, "Compute")
    tab.get_by_text("device").and_(tab.get_by_text("settings.json")).first.wait_for()
    tab.get_by_role("button", name="Keep the file under another name").click()
    tab.get_by_text("The defaults are in use now").wait_for()
    assert read_settings(home).device == "auto"
    assert (running.home / "settings-damaged-1.json").read_text() == '{"device": "gpu"}'
    tab.get_by_text("Processor", exact=True).click()
    tab.get_by_role("button", name="Save").click()
    tab.get_by_text("Saved; jobs that start from now on use it").wait_for()
    assert read_settings(home).device == "cpu"
