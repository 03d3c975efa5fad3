import csv
import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path

import edfio
import mne
import numpy as np
import pyedflib
import pytest

from sleepfm.errors import Cancelled, RequestError
from sleepfm.recording.opening import open_recording
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.simulation.cohort import CONDITIONS
from sleepfm.simulation.edf_writer import write_night
from sleepfm.simulation.study import demo_study, simulate
from sleepfm.vocabulary import EventName, Stage

WRITTEN = {"Arousal": "EEG arousal", "Desaturation": "Oxygen desaturation", "Leg movement": "Limb movement", "Snore": "Snoring"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated")
    return out, simulate(out, 2, 0.6, 5)


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_are_those_of_the_contract(folder):
    out, answer = folder
    assert set(answer) == {"studies"}
    names = set()
    for study in answer["studies"]:
        assert set(study) == {"id", "edf", "scoring", "events"}
        names |= {f"{study['id']}.edf", f"{study['id']}.csv", f"{study['id']}_events.csv"}
        assert study["edf"].endswith(f"{study['id']}.edf")
    assert {p.name for p in out.iterdir()} == names | {"cohort.csv", "demographics.csv", "is_event.csv", "time_to_event.csv"}
    assert len(answer["studies"]) == 2


def test_the_same_seed_gives_the_same_bytes_and_more_studies_change_none(folder, tmp_path):
    out, _ = folder
    simulate(tmp_path / "again", 1, 0.6, 5)
    first, again = digests(out), digests(tmp_path / "again")
    for name, digest in again.items():
        assert not name.startswith("sim-") or digest == first[name]
    simulate(tmp_path / "other", 1, 0.6, 6)
    assert digests(tmp_path / "other")["sim-6-0001.edf"] not in first.values()


def test_the_scoring_in_the_csv_and_in_the_edf_are_one(folder):
    _, answer = folder
    for study in answer["studies"]:
        by_csv, by_edf = read_scoring(Path(study["scoring"])), read_scoring(Path(study["edf"]))
        assert by_csv.stages.tolist() == by_edf.stages.tolist()
        assert len(by_csv.stages) == 72
        assert (by_csv.stages != Stage.UNKNOWN).all()


def test_events_in_the_csv_and_in_the_edf_are_one(folder):
    _, answer = folder
    for study in answer["studies"]:
        events = read_events(Path(study["events"]))
        recording = open_recording(Path(study["edf"]))
        texts = Counter((a.text, a.channel or "") for a in recording.annotations() if not a.text.startswith("Sleep stage"))
        recording.close()
        assert texts == Counter((WRITTEN.get(e.name, e.name), e.channel) for e in events)
        assert {e.source for e in events} == {"simulated"}
        assert [e.start_s for e in events] == sorted(e.start_s for e in events)


def test_the_file_says_that_it_is_simulated(folder):
    _, answer = folder
    edf = edfio.read_edf(answer["studies"][0]["edf"])
    assert "SIMULATED" in edf.local_patient_identification.split()
    assert "SIMULATED" in edf.local_recording_identification.split()
    assert edf.recording.hospital_administration_code == "SIMULATED"
    assert edf.recording.equipment_code == "sleepfm_simulate"
    assert {signal.transducer_type for signal in edf.signals} == {"simulated"}
    recording = open_recording(Path(answer["studies"][0]["edf"]))
    assert recording.simulated
    assert recording.problems == ()
    recording.close()


def test_edfio_pyedflib_and_mne_read_the_samples_that_were_made(night, tmp_path):
    path = tmp_path / "night.edf"
    write_night(night, path, start=datetime(2020, 2, 29, 23, 59, 30))
    edf = edfio.read_edf(path)
    assert edf.starttime == datetime(2020, 2, 29, 23, 59, 30).time()
    with pyedflib.EdfReader(str(path)) as reader:
        assert reader.getSignalLabels() == [s.label for s in night.signals]
        assert reader.getStartdatetime() == datetime(2020, 2, 29, 23, 59, 30)
        for k, signal in enumerate(night.signals):
            step = (signal.physical_range[1] - signal.physical_range[0]) / 65535
            expected = np.clip(signal.data, *signal.physical_range)
            np.testing.assert_allclose(edf.signals[k].data, expected, atol=step)
            np.testing.assert_allclose(reader.readSignal(k, 0, 512), expected[:512], atol=step)
            assert reader.getSampleFrequency(k) == signal.rate_hz
    raw = mne.io.read_raw_edf(path, include=["C4-M1"], verbose="error")
    np.testing.assert_allclose(raw.get_data(units="uV")[0, :5000], night.signal("C4-M1").data[:5000], atol=0.02)
    stages = [d for d in raw.annotations.description if d.startswith("Sleep stage")]
    assert len(stages) == len(night.stages)
    hypopneas = [d for d in raw.annotations.description if d.startswith("Hypopnea")]
    assert len(hypopneas) == sum(e.name == EventName.HYPOPNEA for e in night.events) > 0


def test_the_cohort_counts_what_the_nights_hold(folder):
    out, answer = folder
    people, happened, times = (table(out / name) for name in ("cohort.csv", "is_event.csv", "time_to_event.csv"))
    ids = [study["id"] for study in answer["studies"]]
    assert [r["Study ID"] for r in people] == [r["Study ID"] for r in happened] == [r["Study ID"] for r in times] == ids
    for row, study in zip(people, answer["studies"], strict=True):
        events = Counter(e.name for e in read_events(Path(study["events"])))
        stages = read_scoring(Path(study["scoring"])).stages
        hours = float((stages > 0).sum()) / 120
        breaths = sum(n for name, n in events.items() if "apnea" in name.lower() or name == "Hypopnea")
        assert float(row["ahi"]) == pytest.approx(breaths / hours, abs=0.01)
        assert float(row["n3_minutes"]) == (stages == Stage.N3).sum() / 2
        assert row["sex"] in ("female", "male")
    for row in happened:
        assert set(row) == {"Study ID", *CONDITIONS}
        assert {row[c] for c in CONDITIONS} <= {"0", "1"}
    assert all(0 < float(row[c]) <= 14 for row in times for c in CONDITIONS)


@pytest.mark.parametrize(
    "wrong", [{"studies": 0}, {"studies": 10000}, {"hours": 0.0}, {"hours": 100.0}, {"hours": float("nan")}, {"seed": -1}]
)
def test_wrong_numbers_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(RequestError):
        simulate(tmp_path / "out", **({"studies": 1, "hours": 0.1, "seed": 0} | wrong))
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RequestError, match="is a file"):
        simulate(tmp_path / "out", 1, 0.1, 0)
    assert (tmp_path / "out").read_text() == "mine"


def test_cancelling_leaves_no_half_written_file(tmp_path):
    def stop(fraction: float, _: str) -> None:
        if fraction > 0.6:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        simulate(tmp_path, 2, 0.05, 0, stop)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["sim-0-0001.csv", "sim-0-0001.edf", "sim-0-0001_events.csv"]
    assert edfio.read_edf(tmp_path / "sim-0-0001.edf").duration == 180


@pytest.mark.long
def test_the_demo_study_has_something_of_everything(tmp_path):
    seen = []
    demo_study(tmp_path / "demo.edf", lambda fraction, _: seen.append(fraction))
    recording = open_recording(tmp_path / "demo.edf")
    names = {a.text for a in recording.annotations()}
    recording.close()
    assert recording.duration_s == 8 * 3600
    assert recording.simulated
    expected = {"Obstructive apnea", "Central apnea", "Mixed apnea", "Hypopnea", "Oxygen desaturation", "EEG arousal", "PLM"}
    assert names >= expected | {"Limb movement", "Snoring", "Artifact", "Lights off", "Lights on"}
    assert seen[0] == 0
    assert seen[-1] == 1
