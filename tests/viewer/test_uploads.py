"""An upload is stored as it is, or only as a copy that names nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sleepfm.administration.app_settings import change_settings
from sleepfm.errors import SleepFMError
from sleepfm.home import Home, open_home
from sleepfm.library.library import Library
from sleepfm.recording.edf import open_edf
from sleepfm.viewer.uploads import UPLOAD_PATH, store_upload, upload_routes
from tests.make_edf import write_edf


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


def upload(home: Home, name: str = "Doe_Jane.edf") -> Path:
    path = write_edf(home.root / "uploads" / "1a2b" / name, seconds=20)
    raw = bytearray(path.read_bytes())
    raw[8:88] = b"MRN-4711 F 12-NOV-1961 Doe_Jane".ljust(80)
    path.write_bytes(raw)
    return path


def test_without_the_setting_an_upload_stays_as_it_is(home: Home) -> None:
    path = upload(home)
    before = path.read_bytes()
    assert store_upload(home, path) == "Doe_Jane"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("how", "patient"), [("de-identified", b"X X X X"), ("de-identified but for age and sex", b"X F X X age_58")]
)
def test_with_it_only_the_copy_stays_and_neither_name_nor_file_tells(home: Home, how: str, patient: bytes) -> None:
    change_settings(home, uploads=how)
    path = upload(home)
    with open_edf(path) as recording:
        samples = recording.digital(0, 0)
    study = store_upload(home, path)
    (stored,) = path.parent.iterdir()
    assert study.startswith("night-")
    assert stored.stem == study
    content = stored.read_bytes()
    assert content[8:88].strip() == patient
    assert not [word for word in (b"Doe", b"Jane", b"4711", b"1961") if word in content]
    with open_edf(stored) as recording:
        np.testing.assert_array_equal(recording.digital(0, 0), samples)
    with Library(home) as library:
        assert library.study(study).path == stored


def test_what_cannot_be_de_identified_is_not_added(home: Home) -> None:
    change_settings(home, uploads="de-identified")
    path = upload(home)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(SleepFMError):
        store_upload(home, path)
    with Library(home) as library:
        assert library.count() == 0
    assert [one.name for one in path.parent.iterdir()] == [path.name]  # the route takes the folder away


def test_a_body_longer_than_it_was_said_to_be_is_not_taken(home: Home) -> None:
    announced = {"content-length": "3"}
    with TestClient(Starlette(routes=upload_routes(home))) as client:  # as a proxy may pass on what comes in chunks
        answer = client.post(UPLOAD_PATH, params={"name": "night.edf"}, content=b"0" * 5000, headers=announced)
    assert answer.status_code == 422
    assert "more than the 3 bytes" in answer.json()["error"]
    assert list((home.root / "uploads").iterdir()) == []
