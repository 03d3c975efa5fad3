"""The dialog that adds a scoring: what the file says is seen first, integers are asked for, nothing is stored before Add."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_edf import write_edf
from streamlit.testing.v1 import AppTest
from wfdb_files import annotation_bytes

from sleepfm.administration.app_settings import AppSettings, write_settings
from sleepfm.library.event_sets import event_sets
from sleepfm.library.library import Library
from sleepfm.vocabulary import Stage

PAGE = """
import streamlit as st
from sleepfm.viewer.review_scoring import show_said
from sleepfm.viewer.scoring_import import scoring_import_dialog
show_said()
if st.button("Open") or st.session_state.get("opened"):
    st.session_state.opened = True
    scoring_import_dialog("night")
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    library = Library.open(tmp_path / "home")
    study = library.add(write_edf(tmp_path / "night.edf", seconds=120, labels=("C4-M1",)))
    library.store_hash(study.id, "a" * 64)
    return library


def opened(path: Path) -> AppTest:
    page = AppTest.from_string(PAGE, default_timeout=30).run()
    page.button[0].click().run()
    page.segmented_control[0].set_value("A path on the app's machine").run()
    page.text_input[0].set_value(str(path)).run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return " ".join(one.value for part in (page.error, page.warning, page.caption, page.markdown) for one in part).replace(
        "\\", ""
    )


def test_what_a_file_says_is_seen_before_it_is_added(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "expert.tsv"
    path.write_text("onset\tduration\ttrial_type\n0\t60\tW\n60\t30\tN2\n70\t10\tHypopnea\n90\t90\tstage 4\n")
    page = opened(path)
    assert "BIDS events.tsv" in said(page)
    assert "60 s past the end of the recording" in said(page)
    assert "'stage 4' became N3" in said(page)
    stages = next(frame.value for frame in page.dataframe if "Stage" in frame.value)
    assert dict(zip(stages["Stage"], stages["Epochs"], strict=True)) == {"W": 2, "N1": 0, "N2": 1, "N3": 1, "R": 0, "?": 0}
    assert library.scorings("night") == []
    next(button for button in page.button if button.label == "Add").click().run()
    assert [one.value for one in page.toast] == [r"Added expert\.tsv\: 4 epochs and 1 event\."]
    assert not page.exception
    assert [one.scoring.stages.tolist() for one in library.scorings("night")] == [[0, 0, 2, 3]]
    assert [event.name for event in event_sets(library, "night")[0].events] == ["Hypopnea"]

    page = AppTest.from_string(PAGE, default_timeout=30).run()
    page.button[0].click().run()
    assert "BIDS events.tsv, added by" in said(page)
    assert "stages, 1 events" in said(page)
    next(button for button in page.button if button.label == "Remove").click().run()
    assert not page.exception
    assert (library.scorings("night"), event_sets(library, "night")) == ([], [])


def test_integers_are_asked_for(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "h.txt"
    path.write_text("0\n0\n2\n5\n")
    page = opened(path)
    assert "programs mean different stages by them" in said(page)
    page.selectbox[0].set_value("yasa").run()  # YASA's end at 4
    assert [box.label for box in page.selectbox[1:]] == ["0: 2 epochs", "2: 1 epochs", "5: 1 epochs"]
    for box, stage in zip(page.selectbox[1:], (Stage.WAKE, Stage.N2, Stage.REM), strict=True):
        assert "Add" not in [button.label for button in page.button]
        box.set_value(stage).run()
    next(button for button in page.button if button.label == "Add").click().run()
    assert [one.scoring.stages.tolist() for one in library.scorings("night")] == [[0, 0, 2, 4]]


def uploaded(*files: tuple[str, bytes, str]) -> AppTest:
    page = AppTest.from_string(PAGE, default_timeout=30).run()
    page.button[0].click().run()
    page.file_uploader[0].set_value(list(files)).run()
    assert not page.exception
    return page


@pytest.mark.usefixtures("library")
def test_an_upload_of_a_wfdb_record_brings_its_header_along() -> None:
    """Annotations without a time resolution need the header's rate; messages do not tell where the copy lay."""
    scoring = ("slp01.st", annotation_bytes([(1, "W"), (30 * 250, "2 HA")], resolution=None), "")
    assert "slp01.st: does not say its time resolution" in said(alone := uploaded(scoring))
    assert "sleepfm-scoring-" not in said(alone)
    page = uploaded(("slp01.hea", b"slp01 1 250 30000\nslp01.dat 16 1/uV 16 0 0 0 0 EEG\n", ""), scoring)
    assert "WFDB annotations" in said(page)
    stages = next(frame.value for frame in page.dataframe if "Stage" in frame.value)
    assert stages["Epochs"].tolist() == [1, 0, 1, 0, 0, 2]
    assert "upload one scoring" in said(uploaded(scoring, ("b.txt", b"0", "")))


def test_only_folders_that_the_app_may_read(library: Library, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "s.csv"
    secret.parent.mkdir()
    secret.write_text("Start,Stop,StageName\n0,30,Wake\n")
    write_settings(library.home, AppSettings(folders=(tmp_path / "allowed",)))
    assert "outside the folders that the app may read" in said(opened(secret))
    page = uploaded(("s.csv", secret.read_bytes(), "text/csv"))
    assert "Add" in [button.label for button in page.button]


@pytest.mark.usefixtures("library")
def test_trouble_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("Start,Stop,StageName\n0,30,Wake\n15,45,REM\n")
    page = opened(path)
    assert "line 3: 15 to 45 s overlaps line 2" in said(page)
    assert "no such file" in said(opened(tmp_path / "nobody.csv")).lower()
