"""Copies of WFDB records that name nobody: the reference reader finds the same samples, and of the person nothing is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from sleepfm.cli.main import main
from sleepfm.errors import RecordingError, RequestError, SleepFMError
from sleepfm.recording.deidentify import deidentify
from sleepfm.recording.opening import open_recording

SECRETS = ("jane", "doe", "4711", "1961", "2021", "miller", "vincent")
COMMENTS = ["Age: 58 Sex: F", "Doe, Jane, MRN 004711, born 12-NOV-1961", "St. Vincent's; sensors by Miller"]


def record(folder: Path, *, fmt: str = "16", comments: list[str] = COMMENTS, frames: int = 2001) -> Path:
    """Write a record of two signals in two files by the wfdb package; return its header."""
    folder.mkdir(parents=True, exist_ok=True)
    d_tc = np.random.default_rng(3).integers(-900, 900, (frames, 2))
    names = ["Doe_eeg.dat", "Doe_leg.dat"]
    lines = [f"Doe_Jane 2 200 {frames} 22:15:00.5 02/03/2021"]
    for k, (name, label) in enumerate(zip(names, ("EEG C3-M2", "Leg Jane"), strict=True)):
        wfdb.wrsamp(
            Path(name).stem, 200, ["uV"], [label], d_signal=d_tc[:, k : k + 1], fmt=[fmt], adc_gain=[2.5], baseline=[7],
            write_dir=str(folder),
        )  # fmt: skip
        (folder / f"{Path(name).stem}.hea").unlink()
        lines.append(f"{name} {fmt} 2.5(7)/uV 16 0 {d_tc[0, k]} {np.int16(d_tc[:, k].sum() & 0xFFFF)} 0 {label}")
    header = folder / "Doe_Jane.hea"
    header.write_text("\n".join([*lines, *(f"# {text}" for text in comments)]) + "\n")
    return header


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_the_samples_are_the_same_and_nothing_of_the_person_is_left(tmp_path: Path, fmt: str) -> None:
    source = record(tmp_path / "in", fmt=fmt)
    source.with_suffix(".atr").write_bytes(b"notes of Jane")
    before = {file.name: file.read_bytes() for file in source.parent.iterdir()}
    made = deidentify(source, tmp_path / "out" / "study-12.hea", keep=("age", "sex"), study_id="S012")
    assert {file.name: file.read_bytes() for file in source.parent.iterdir()} == before
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"study-12.hea", "study-12_1.dat", "study-12_2.dat"}
    header = (tmp_path / "out" / "study-12.hea").read_text()
    assert not [secret for secret in SECRETS if secret in header.lower()]
    assert header.splitlines()[-2:] == ["# Subject: S012", "# Age: 58 Sex: F"]
    assert made.removed == {"comments": 3, "start date": 1, "labels": 1}
    assert made.kept == ("age 58 years", "sex F", "time of day 22:15:00")
    assert any(".atr" in remark for remark in made.remarks)
    old = wfdb.rdrecord(str(source.with_suffix("")), physical=False)
    new = wfdb.rdrecord(str(tmp_path / "out" / "study-12"), physical=False)
    np.testing.assert_array_equal(new.d_signal, old.d_signal)
    assert (new.adc_gain, new.baseline, new.units, new.fs, new.sig_len) == (old.adc_gain, old.baseline, old.units, 200, 2001)
    assert (new.checksum, new.init_value, new.base_date) == (old.checksum, old.init_value, None)
    assert new.sig_name == ["EEG C3-M2", "Leg XXXX"]
    with open_recording(source) as one, open_recording(tmp_path / "out" / "study-12.hea") as other:
        np.testing.assert_array_equal(one.read(1, 0, 10), other.read(1, 0, 10))


def test_what_is_in_a_signal_file_besides_samples_is_not_copied(tmp_path: Path) -> None:
    source = record(tmp_path / "in")
    file = tmp_path / "in" / "Doe_eeg.dat"
    file.write_bytes(b"Jane Doe's night".ljust(24) + file.read_bytes() + b"Jane")
    source.write_text(source.read_text().replace("Doe_eeg.dat 16 ", "Doe_eeg.dat 16+24 "))
    deidentify(source, tmp_path / "out.hea")
    old = wfdb.rdrecord(str(source.with_suffix("")), physical=False)
    new = wfdb.rdrecord(str(tmp_path / "out"), physical=False)
    np.testing.assert_array_equal(new.d_signal, old.d_signal)
    assert (tmp_path / "out_1.dat").stat().st_size == 2 * 2001


def test_a_name_among_the_samples_makes_it_fail_and_leaves_nothing(tmp_path: Path) -> None:
    source = record(tmp_path / "in", comments=["Featherstone"])
    file = tmp_path / "in" / "Doe_eeg.dat"
    file.write_bytes(b"featherstone" + file.read_bytes()[12:])
    (tmp_path / "out").mkdir()
    with pytest.raises(SleepFMError, match="was not written"):
        deidentify(source, tmp_path / "out" / "copy.hea")
    assert list((tmp_path / "out").iterdir()) == []


def test_the_date_can_be_shifted_and_the_time_left_out(tmp_path: Path) -> None:
    source = record(tmp_path / "in")
    deidentify(source, tmp_path / "out.hea", shift_days=-365, keep_start_time=False)
    assert (tmp_path / "out.hea").read_text().splitlines()[0] == "out 2 200 2001 00:00:00 02/03/2020"


def test_requests_that_cannot_be_right_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = record(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / "eeg.hea").write_text(source.read_text().replace("Doe_leg.dat", "study_2.dat"))
    (tmp_path / "study_2.dat").write_bytes((tmp_path / "Doe_leg.dat").read_bytes())
    other = tmp_path / "eighth_1.dat"
    other.write_bytes(b"samples of another record")
    for made_from, out, words in (
        (source, "copy.edf", "name the header of the copy"),
        (source, "a copy.hea", "name the header of the copy"),
        (source, "Doe.hea", "the file's name holds"),
        (source, "Doe_Jane.hea", "is the recording itself"),
        (tmp_path / "eeg.hea", "study.hea", "is a signal file of the record itself"),
        (source, "eighth.hea", "is there already"),
        (tmp_path / "none.hea", "copy.hea", "no such file"),
    ):
        with pytest.raises(RequestError, match=words):
            deidentify(made_from, tmp_path / out)
    assert other.read_bytes() == b"samples of another record"
    assert main(["deidentify", str(source), "--out", str(tmp_path / "copy.edf")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "Doe_leg.dat").unlink()
    with pytest.raises(RecordingError, match="not beside it"):
        deidentify(source, tmp_path / "copy.hea")
    assert {file.name for file in tmp_path.iterdir()} == {*before, "eeg.hea", "study_2.dat", other.name} - {"Doe_leg.dat"}
