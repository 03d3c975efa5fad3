"""What the list says of a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_states import mark_reviewed, sign
from sleepfm.library.study import OWN_SCORING
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import Lane
from sleepfm.viewer.study_list import study_row
from tests.make_edf import write_edf


def test_a_row_says_what_a_technician_asks_first(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        row = study_row(library.add(write_edf(tmp_path / "night.edf", seconds=5400)))
    assert row["id"] == "night"
    assert row["href"] == "review?study=night"
    assert row["duration"] == "1 h 30 min"
    assert row["start"] == "2020-01-02 22:30"
    assert row["channels"] == "BAS 2 · EKG 1 · EMG 1 · RESP 1"
    assert (row["status"], row["canStage"], row["changed"]) == ("not staged", True, False)
    assert (row["quality"], row["engine"]) == ("–", None)


def test_hostile_text_is_written_as_escapes(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night\x1b[31m\u202e.edf", seconds=30))
        library.store_quality(study.id, quality=0.5, bad_channels=["EEG\x07\u202e"])
        row = study_row(library.study(study.id))
    assert "\x1b" not in row["path"]
    assert "\u202e" not in row["path"] + row["bad"]
    assert row["bad"] == "bad: EEG\\x07\\u202e"


def test_work_shows_how_far_it_is_and_a_changed_file_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(path, seconds=30)).id
        job = library.jobs.add("stage", lane=Lane.HEAVY, title="Stage", subject=study)
        library.jobs.claim(Lane.HEAVY)
        library.jobs.report(job.id, 0.5, "half")
        row = study_row(library.study(study))
        assert (row["status"], row["job"], row["progress"]) == ("working", job.id, 0.5)
        assert row["left"].startswith("50 %")
        write_edf(path, seconds=60)
        row = study_row(library.study(study))
        assert (row["status"], row["changed"], row["canStage"]) == ("file changed", True, False)


def test_a_study_says_who_scores_it_and_who_signed(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=60)).id
        library.store_hash(study, "0" * 64)
        about = {"label": "YASA", "note": "", "source_sha256": "0" * 64}
        base = library.store_scoring(study, Scoring(np.zeros(2, np.int8)), engine="yasa", model="", provenance=about)
        scoring = begin(library, study, scorer="consensus", user="ada", base=base)
        seen = []
        for change in (None, mark_reviewed, sign):
            if change is not None:
                change(library, scoring, user="ada")
            row = study_row(library.study(study))
            seen.append((row["status"], row["tone"], row["engine"]))
    assert seen == [
        ("being scored by consensus", "", "consensus"),
        ("scored by consensus", "good", "consensus"),
        ("signed by ada", "good", "ada"),
    ]


def test_a_study_staged_by_a_simulated_model_alone_says_so(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=60)).id
        library.store_hash(study, "0" * 64)
        for engine, trained_on in (("sleepfm", "simulated"), ("yasa", "real PSG")):
            about = {"label": engine, "note": "", "source_sha256": "0" * 64, "trained_on": trained_on}
            library.store_scoring(study, Scoring(np.zeros(2, np.int8)), engine=engine, model="", provenance=about)
            row = study_row(library.study(study))
            if trained_on == "simulated":
                assert row["engine"] == "SleepFM"
                assert row["engineRemark"] == "trained on simulated signals: for trying the software only"
        assert (row["engine"], row["engineRemark"], row["ownScoring"]) == ("YASA", "", "")


def test_a_scoring_that_came_with_a_recording_is_named_beside_its_staging(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = library.add(write_edf(tmp_path / "night.edf", seconds=60)).id
        library.store_hash(study, "0" * 64)
        for label in ("Scoring old.xml", "Scoring night\u202e.xml"):
            about = {"label": label, "note": "", "source_sha256": "0" * 64}
            library.store_scoring(study, Scoring(np.zeros(2, np.int8)), engine=OWN_SCORING, model=label, provenance=about)
        row = study_row(library.study(study))
    assert (row["status"], row["engine"], row["ownScoring"]) == ("not staged", None, "with it: Scoring night\\u202e.xml")
