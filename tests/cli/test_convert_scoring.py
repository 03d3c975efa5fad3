"""sleepfm convert-scoring and agree on every format."""

from __future__ import annotations

import json
from datetime import datetime, time
from pathlib import Path

import edfio
import numpy as np
import pytest

from sleepfm.cli.main import main
from sleepfm.recording.scorings.formats import read_events, read_file, read_scoring


@pytest.fixture
def nsrr(tmp_path: Path) -> Path:
    path = tmp_path / "night-nsrr.xml"
    scored = "".join(
        f"<ScoredEvent><EventType>{kind}</EventType><EventConcept>{concept}</EventConcept><Start>{start}</Start>"
        f"<Duration>{length}</Duration></ScoredEvent>"
        for kind, concept, start, length in [
            ("Stages|Stages", "Wake|0", 0, 60), ("Stages|Stages", "Stage 4 sleep|4", 60, 90),
            ("Stages|Stages", "REM sleep|5", 150, 30),
            ("Respiratory|Respiratory", "Hypopnea|Hypopnea", 70, 12),
        ]
    )  # fmt: skip
    first = "<EventConcept>Recording Start Time</EventConcept><Start>0</Start><ClockTime>01.01.85 22.30.00</ClockTime>"
    path.write_text(f"<PSGAnnotation><ScoredEvents><ScoredEvent>{first}</ScoredEvent>{scored}</ScoredEvents></PSGAnnotation>")
    return path


def test_the_json_of_the_contract(nsrr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "night.annot"
    assert main(["convert-scoring", str(nsrr), str(out), "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert {key: result[key] for key in ("from", "to", "rows", "events")} == {
        "from": "nsrr",
        "to": "annot",
        "rows": 6,
        "events": 1,
    }
    assert result["seconds"] == {"Unknown": 0, "Wake": 60, "Stage 1": 0, "Stage 2": 0, "Stage 3": 90, "REM": 30}
    assert result["warnings"] == [
        "1 × 'Stage 4 sleep' became N3 (stage 4 of Rechtschaffen and Kales) (first: line 1, scored event 3)"
    ]
    assert "became N3" in printed.err
    assert read_file(out).events[0].name == "Hypopnea"


def test_the_recording_gives_start_and_length(nsrr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "night.edf"
    signal = edfio.EdfSignal(np.zeros(240), 1, label="EEG C4-M1", physical_dimension="uV", physical_range=(-9, 9))
    edfio.Edf([signal], starttime=time(22, 29, 30)).write(recording)
    out = tmp_path / "scoring.edf"
    assert main(["convert-scoring", str(nsrr), str(out), "--recording", str(recording), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 8
    assert read_scoring(out).stages.tolist() == [-1, 0, 0, 3, 3, 3, 4, -1]
    assert edfio.read_edf(out).starttime == time(22, 29, 30)

    for taken in (recording, nsrr):
        before = taken.read_bytes()
        assert main(["convert-scoring", str(nsrr), str(taken), "--to", "edf"]) == 2
        assert taken.read_bytes() == before
    assert "is a recording: it is not overwritten" in capsys.readouterr().err


def test_events_from_elsewhere_and_beside(nsrr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tmp_path / "e.csv"
    events.write_text("Start,Stop,Event,Channel,Source\n5,9,Arousal,C4-M1,expert\n20,25,Snore,,\n")
    csv, beside = tmp_path / "s.csv", tmp_path / "s_events.csv"
    assert main(["convert-scoring", str(nsrr), str(csv), "--events", str(events), "--events-out", str(beside), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [
        "1 × 'Stage 4 sleep' became N3 (stage 4 of Rechtschaffen and Kales) (first: line 1, scored event 3)"
    ]
    assert [event.name for event in read_events(beside)] == ["Arousal", "Snore"]
    assert main(["convert-scoring", str(nsrr), str(csv), "--json"]) == 0
    assert "1 event(s) are not in the file: the format holds stages only" in json.loads(capsys.readouterr().out)["warnings"]


def test_integers_without_a_meaning_are_a_wrong_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes, out = tmp_path / "h.txt", tmp_path / "h.csv"
    codes.write_text("0\n0\n2\n5\n")
    assert main(["convert-scoring", str(codes), str(out)]) == 2
    assert "found 0 2×, 2 1×, 5 1×" in capsys.readouterr().err
    assert not out.exists()
    assert main(["convert-scoring", str(codes), str(out), "--codes", "0=W,2=N2,5=R"]) == 0
    assert read_scoring(out).stages.tolist() == [0, 0, 2, 4]
    assert main(["agree", str(codes), str(out)]) == 2
    assert main(["agree", str(codes), str(out), "--codes", "0=W,2=N2,5=R", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["kappa"] == 1
    assert main(["convert-scoring", str(codes), str(tmp_path / "x.bin"), "--codes", "0=W,2=N2,5=R"]) == 2
    assert main(["convert-scoring", str(codes), str(out), "--codes", "0=Asleep"]) == 2


def test_agree_compares_the_same_moments(nsrr: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two scorings that know their clock times: the second began a minute later than the first."""
    nsrr.write_text(nsrr.read_text().replace("01.01.85", "31.03.24"))
    later = tmp_path / "later.txt"
    rows = "".join(f"x\t{clock}\t{stage}\t30\n" for clock, stage in [
        ("22:31:00", "SLEEP-S3"), ("22:31:30", "SLEEP-S3"), ("22:32:00", "SLEEP-S4"), ("22:32:30", "SLEEP-REM"),
    ])  # fmt: skip
    later.write_text(f"Recording Date:\t31/03/2024\nSleep Stage\tTime [hh:mm:ss]\tEvent\tDuration[s]\n{rows}")
    assert read_scoring(later).start == datetime(2024, 3, 31, 22, 31)
    assert main(["agree", str(nsrr), str(later), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["epochs"], found["accuracy"]) == (4, 1.0)
