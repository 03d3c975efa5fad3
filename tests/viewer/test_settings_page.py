"""The settings page without a browser: what is saved, what the audit log says of it, and what a form refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from sleepfm.administration.app_settings import change_settings, read_settings
from sleepfm.administration.audit import entries
from sleepfm.home import Home, open_home
from sleepfm.library.library import Library
from sleepfm.runs.table import JobState

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    before = config.get_option("server.address")
    config.set_option("server.address", "127.0.0.1")
    yield open_home(tmp_path / "home")
    config.set_option("server.address", before)


def page(section: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages" / "settings.py"), default_timeout=60)
    test.query_params["section"] = section
    test.run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    return " ".join(one.value for sort in (test.error, test.warning, test.info, test.success) for one in sort)


def log(home: Home) -> list[tuple[str, str, dict[str, object]]]:
    with Library(home) as library:
        return [(one.action, one.subject, one.detail) for one in entries(library.connection)]


def press(test: AppTest, label: str) -> AppTest:
    next(one for one in test.button if one.label == label).click().run()
    assert not test.exception
    return test


def test_the_clusters_lines_are_stored_and_no_token_is_in_the_log(home: Home) -> None:
    test = page("Cluster")
    lines = next(one for one in test.text_area if one.label.replace("\\", "") == "Set-up lines")
    lines.set_value("export TOKEN=hunter2").run()
    next(one for one in test.text_input if one.label == "Partition").set_value("gpu").run()
    press(test, "Save")
    assert read_settings(home).cluster.setup == ("export TOKEN=hunter2",)
    assert log(home) == [("change settings", "cluster", {"changed": ["partition", "setup"]})]
    assert home.settings_file.stat().st_mode & 0o077 == 0


def test_what_does_not_fit_cannot_be_saved(home: Home) -> None:
    test = page("Cluster")
    next(one for one in test.text_input if one.label == "Partition").set_value("gpu; rm -rf /").run()
    assert next(one for one in test.button if one.label == "Save").disabled
    assert not home.settings_file.exists()


def test_folders_that_do_not_exist_or_are_no_full_path_are_refused(home: Home, tmp_path: Path) -> None:
    change_settings(home, folders=[])
    for typed, why in (("data/psg", "not a full path"), (str(tmp_path / "gone"), "there is no such folder"), ("", "Type a path")):
        test = page("Folders")
        test.text_input[0].set_value(typed)
        press(test, "Allow")
        assert why in said(test)
    assert read_settings(home).folders == ()
    test = page("Folders")
    test.text_input[0].set_value(f' "{tmp_path}" ')
    press(test, "Allow")
    assert read_settings(home).folders == (tmp_path,)
    press(
        page("Folders"), next(one.label for one in page("Folders").button if one.label.startswith("Let the app read everything"))
    )
    assert read_settings(home).folders is None


def test_a_restore_into_what_is_there_or_of_nothing_is_refused_before_a_job_is_queued(home: Home, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("mine")
    for archive, into, why in (
        ("", str(tmp_path / "new"), "Type the path"),
        (str(tmp_path / "b.tar"), str(tmp_path / "taken"), "something is there already"),
        (str(tmp_path / "b.tar"), str(home.root / "within"), "lies in the home folder"),
    ):
        test = page("Backup")
        path, folder = test.text_input
        path.set_value(archive)
        folder.set_value(into)
        press(test, "Check and bring back")
        assert why in said(test)
    with Library(home) as library:
        assert library.jobs.list(states=tuple(JobState)) == ()


def test_every_part_is_drawn_for_an_empty_home(home: Home) -> None:
    for section in ("Compute", "Folders", "Cluster", "Users and audit", "Backup", "Tidying up", "About", "no such part"):
        assert not page(section).error
    home.settings_file.write_text('{"format": 99}')
    for section in ("Compute", "Users and audit"):
        assert "newer SleepFM Workbench" in said(page(section))
