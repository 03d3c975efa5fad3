"""Nothing is taken out of the app that holds a word of the recording's header; the scorer's own name may stand in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sleepfm.errors import SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.export_check import without_identity
from tests.make_edf import write_edf


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def recording(folder: Path) -> Path:
    path = write_edf(folder / "night.edf", seconds=20)
    raw = bytearray(path.read_bytes())
    raw[8:88] = b"MRN-471199 F 12-NOV-1961 Doe_Jane".ljust(80)
    raw[88:168] = b"Startdate 02-JAN-2020 PSG-1 Ada X".ljust(80)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("content", "leaves"),
    [
        ("Start,Stop,Event,Channel,Source\n60,75,Hypopnea,Flow,yasa\n", True),
        ("Start,Stop,Event,Channel,Source\n60,75,Hypopnea,Flow Doe,yasa\n", False),
        ("born 1961-11-12", False),
        ("MRN 471199", False),
        ("2020-01-02T22:30:00", True),  # the night's own date lays stages over signals
        ("does nothing", True),
    ],
)
def test_a_file_that_names_somebody_stays_here(tmp_path: Path, home: Home, content: str, *, leaves: bool) -> None:
    path = recording(tmp_path)
    if leaves:
        assert without_identity(home, path, content.encode(), "night.csv") == content.encode()
        return
    with pytest.raises(SleepFMError, match=r"night\.csv: still holds .*sleepfm deidentify") as refused:
        without_identity(home, path, content.encode(), "night.csv")
    assert "Doe" not in str(refused.value)


def test_the_technician_who_scored_it_may_be_said(tmp_path: Path, home: Home) -> None:
    path, content = recording(tmp_path), b"60,75,Hypopnea,Flow,Ada\n"
    assert without_identity(home, path, content, "night.csv", scorer="Ada") == content
    with pytest.raises(SleepFMError):
        without_identity(home, path, content, "night.csv")


def test_a_scorer_who_shares_the_patients_surname_is_named_and_the_patient_is_not(tmp_path: Path, home: Home) -> None:
    path, scorer = recording(tmp_path), "John Doe"
    for kept in (b"60,75,Hypopnea,Flow,John Doe\n", b'"by": "John Doe"', b"Flow\tJohn_Doe\n", b"\xff\xfe\x00John Doe\x00"):
        assert without_identity(home, path, kept, "night.csv", scorer=scorer) == kept
    for refused in (b"60,75,Hypopnea,Flow Doe,John Doe\n", b"Doe_2,John Doe\n", b"Jane Doe", b"John Doe_2"):
        with pytest.raises(SleepFMError, match="still holds"):
            without_identity(home, path, refused, "night.csv", scorer=scorer)


def test_without_the_recording_there_is_nothing_to_search_for(tmp_path: Path, home: Home) -> None:
    assert without_identity(home, tmp_path / "gone.edf", b"Doe", "night.csv") == b"Doe"
