"""What `inspect` shows is what the contract names, for every real file and for hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from edf_bytes import File, Signal, smooth, tal

from sleepfm.errors import RecordingError, RequestError
from sleepfm.recording.inspection import inspect
from sleepfm.recording.inspection_text import inspection_text

CONTRACT = {"file", "format", "duration_s", "start", "channels", "gaps", "problems"}
CHANNEL_CONTRACT = {"index", "label", "rate_hz", "unit", "kind", "modality", "reason", "problems"}


def test_every_shared_file_gives_the_contracts_json(shared: Path) -> None:
    files = [path for end in ("edf", "bdf") for path in (shared / "data").rglob(f"*.{end}")]
    assert len(files) >= 14
    for path in files:
        found = json.loads(json.dumps(inspect(path), allow_nan=False))
        assert set(found) >= CONTRACT
        assert found["file"] == str(path)
        for channel in found["channels"]:
            assert set(channel) >= CHANNEL_CONTRACT
            assert channel["modality"] in {"BAS", "RESP", "EKG", "EMG", None}
            assert channel["reason"]
        for line in inspection_text(found).splitlines():
            assert line.isprintable()
            assert len(line) <= 120


def test_a_real_montage(shared: Path) -> None:
    found = inspect(shared / "data/psg/nox_a1_2min_90ch.edf", quality=False)
    assert len(found["channels"]) == 89
    assert found["quality"] is None
    assert "quality" not in found["channels"][0]
    assert [one["index"] for one in found["channels"]] == list(range(1, 90))
    assert {one["label"] for one in found["channels"]} >= {"1 Impédance", "C3-M2", "Voltage (bluetoo", "PosAngle"}
    assert found["start"] == "2018-02-06T01:36:50"


def test_gaps_problems_and_derivations_are_shown(tmp_path: Path) -> None:
    stamps = Signal("EDF Annotations", [tal(onset, "Arousal") for onset in (0.5, 1.5, 9.5)], physical=(-1, 1))
    signals = [Signal(label, smooth(3, 64)) for label in ("C4", "M1", "C4")]
    path = tmp_path / "night.edf"
    path.write_bytes(File([*signals, stamps], reserved="EDF+D", recording="SIMULATED").bytes())
    found = inspect(path)
    assert found["gaps"] == [[2.0, 9.0]]
    assert found["simulated"] is True
    assert found["annotations"] == 3
    assert found["derivations"][0] == {"label": "C4-M1", "plus": 0, "minus": [1], "kind": "EEG"}
    text = inspection_text(found)
    for words in ("SIMULATED", "C4-M1", "0:00:02 to 0:00:09 (7 s)", "'C4' is used by channels 0, 2", "0.5 s after"):
        assert words in text


def test_a_file_without_data_is_shown_with_its_problem(tmp_path: Path) -> None:
    path = tmp_path / "header.edf"
    path.write_bytes(File([Signal("C3", smooth(2, 64))]).header())
    found = inspect(path)
    assert (found["duration_s"], len(found["channels"])) == (0.0, 1)
    assert any("no data records" in problem for problem in found["problems"])
    assert "C3" in inspection_text(found)


def test_labels_cannot_control_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "hostile.edf"
    labels = [
        b"\x1b[2J\x07evil\r\n",
        "a\u202eb",
        "\u4e2d\u6587\u8111\u7535",
        b"\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b\x1b",
        "C3",
    ]
    signals = [Signal(label, smooth(2, 64), unit=b"\x07\x07\x07\x07\x07\x07\x07\x07") for label in labels]
    path.write_bytes(File(signals, patient="\x1b]0;x\x07").bytes())
    lines = inspection_text(inspect(path) | {"file": "hostile.edf"}).splitlines()  # the folder's name has any length
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= 120
    assert any("\\x1b[2J\\x07evil" in line for line in lines)
    heading = next(line for line in lines if line.startswith("#"))
    for label in ("\\x1b[2J", "\u4e2d", "C3"):
        row = next(line for line in lines if line[1:].strip().startswith(label))
        assert wcswidth(row[: row.index("64")]) == heading.index("Hz")


def wcswidth(text: str) -> int:
    return sum(2 if "\u2e80" <= one <= "\u9fff" else 1 for one in text)


def test_what_is_the_matter_with_many_channels_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    data = smooth(40, 128)
    wrong = [Signal(f"C{k}-Réf", data, unit="mV" if k == 3 else "uV") for k in range(1, 6)]
    path.write_bytes(File([*wrong, Signal("Position", data), Signal("ECG", data)]).bytes())
    text = inspection_text(inspect(path))
    assert "channels 0, 1, 2, 3, 4: The label is written in UTF-8 where EDF asks for ASCII." in text
    assert "7 channels (BAS 5, EKG 1, not used 1), no annotations, no gaps" in text
    assert "2 C3-Réf: unit suspected: it varies by" in text
    assert "good, unit?" in next(line for line in text.splitlines() if line.startswith("2  C3"))


def test_of_many_gaps_the_first_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    onsets = np.cumsum(np.full(300, 2.0))
    stamps = Signal("EDF Annotations", [tal(onset) for onset in onsets - 2], physical=(-1, 1))
    path.write_bytes(File([Signal("C3-M2", smooth(300, 64)), stamps], reserved="EDF+D").bytes())
    found = inspect(path)
    text = inspection_text(found)
    assert len(found["gaps"]) == 299
    assert "299 gaps" in text
    assert "and 259 more (--json lists all)" in text
    assert len(text.splitlines()) < 60


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text.edf"
    path.write_text("no recording\n" * 50)
    with pytest.raises(RecordingError, match="not an EDF or BDF"):
        inspect(path)
    with pytest.raises(RequestError):
        inspect(tmp_path)
