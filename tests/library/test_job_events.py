"""Scoring the events of a study as a job: a set of events with where it came from, and the study's vitals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import MissingChannelsError, RequestError
from sleepfm.library.event_sets import event_sets
from sleepfm.library.job_events import score_events
from sleepfm.library.job_prepare import prepare
from sleepfm.library.jobs import submit_events
from sleepfm.library.library import Library
from sleepfm.library.vitals import vitals, vitals_file
from sleepfm.progress import silent
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import JobState, Lane
from tests.inference.hand_made_night import write_oximetry
from tests.make_edf import write_edf

DIPS = [(200, 230, 5.0), (400, 420, 3.0)]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "home")


def add(library: Library, path: Path, *, stages: list[int] | None) -> str:
    study = library.add(path)
    sha256 = fingerprint(path)
    library.store_hash(study.id, sha256)
    if stages is not None:
        provenance = {"label": "YASA", "note": "", "source_sha256": sha256}
        library.store_scoring(study.id, Scoring(np.array(stages, np.int8)), engine="yasa", model="", provenance=provenance)
    return study.id


def run(library: Library, study: str, **parameters: object) -> dict[str, object]:
    return score_events(library.home, {"study": study, "scoring": None, "profile": None, **parameters}, silent)


def test_a_set_of_events_is_stored_and_the_next_one_replaces_it(library: Library, tmp_path: Path) -> None:
    study = add(library, write_oximetry(tmp_path / "night.edf", dips=DIPS), stages=[2] * 10 + [0] * 10)
    assert vitals(library, study) is None
    first = run(library, study)
    assert first["counts"]["Desaturation"] == 2
    assert first["indices"]["odi3"]["value"] == 12.0
    (stored,) = event_sets(library, study)
    assert (stored.engine, stored.model, stored.label) == ("psgscoring", "aasm_v3_breath", "psgscoring")
    assert [event.extra["Desaturation"] for event in stored.events] == [5.0, 3.0]
    assert stored.note == "psgscoring 0.37.0 aasm_v3_breath, stages by YASA"
    assert stored.provenance["scoring"] == library.scorings(study)[0].id
    assert stored.provenance["breathing_model"] is None
    assert stored.provenance["source_sha256"] == library.study(study).sha256
    measured = vitals(library, study)
    assert measured is not None
    assert measured.spo2_channel == "SpO2"
    run(library, study, scoring=library.scorings(study)[0].id)
    assert [one.id for one in event_sets(library, study)] == [first["set"] + 1]


def test_without_stages_or_channels_nothing_is_stored(library: Library, tmp_path: Path) -> None:
    unstaged = add(library, write_oximetry(tmp_path / "a.edf"), stages=None)
    with pytest.raises(RequestError, match="no scoring: events are counted by stage of sleep, so stage it first"):
        run(library, unstaged)
    staged = add(library, write_oximetry(tmp_path / "b.edf"), stages=[2] * 20)
    with pytest.raises(RequestError, match="no scoring 99 any more"):
        run(library, staged, scoring=99)
    heart = add(library, write_edf(tmp_path / "c.edf", labels=("ECG",)), stages=[2, 2])
    with pytest.raises(MissingChannelsError, match="no usable channel of airflow, SpO2, EEG or leg EMG"):
        run(library, heart)
    assert event_sets(library, staged) == event_sets(library, heart) == []


def test_the_preparation_measures_vitals_and_another_file_takes_them_away(library: Library, tmp_path: Path) -> None:
    path = write_oximetry(tmp_path / "night.edf", dips=DIPS)
    study = library.add(path).id
    prepare(library.home, {"study": study}, silent)
    found = vitals(library, study)
    assert found is not None
    assert found.spo2_1hz[210] == 91.0
    write_oximetry(path, seconds=660)
    library.add(path)
    assert not vitals_file(library, study).exists()


def test_the_job_is_heavy_and_says_what_it_is(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sleepfm.library.jobs.ensure_running", lambda _home: None)
    study = add(library, write_oximetry(tmp_path / "night.edf"), stages=[2] * 20)
    job = submit_events(library, study, profile="aasm_v3_rec")
    assert (job.kind, job.lane, job.state, job.subject) == ("events", Lane.HEAVY, JobState.QUEUED, study)
    assert job.title == f"Score events of {study}"
    assert score_events(library.home, job.parameters, silent)["set"]
    with pytest.raises(RequestError, match="no study"):
        submit_events(library, "another")
