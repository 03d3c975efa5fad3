"""The routes behind the page of neighbours and the second opinion: what they answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from library.simulated_models import bundle
from make_edf import write_edf
from starlette.applications import Starlette
from starlette.middleware import Middleware
from viewer.running_server import Server, serving

from sleepfm.home import Home, open_home
from sleepfm.library.library import Library
from sleepfm.library.study_agreement import ModalityStrip, StudyAgreement
from sleepfm.simulation.study import simulate
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.same_origin import SameOriginMiddleware
from sleepfm.viewer.similar_routes import agreement_json, similar_routes
from sleepfm.vocabulary import Modality

SIMULATED = "sim-5-0001"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("routes")
    home = open_home(folder / "home")
    with Library(home) as library:
        library.add(write_edf(folder / "night.edf", seconds=610, labels=("C4-M1", "Airflow")))
        library.add(simulate(folder / "simulated", 1, 0.1, 5)["studies"][0]["edf"])
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    middleware = [Middleware(SameOriginMiddleware, prefix="/sleepfm/")]
    with serving(Starlette(routes=similar_routes(LibrarySource(home), home), middleware=middleware)) as running:
        yield running


def test_a_clip_is_described_for_the_browser(server: Server) -> None:
    answer = server.get("/sleepfm/clip?study=night&start=300&modalities=RESP.BAS.RESP")
    assert answer.status == 200
    assert [one["label"] for one in answer.json()["traces"]] == ["Airflow", "C4-M1"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("clip?study=nobody&start=0&modalities=BAS", 400, "no study 'nobody'"),
        ("clip?start=0&modalities=BAS", 400, "names no study"),
        ("clip?study=night&start=-1&modalities=BAS", 400, "number of seconds"),
        ("clip?study=night&start=900&modalities=BAS", 400, "not within the recording"),
        ("clip?study=night&start=0&modalities=BAS.EEG", 400, "modalities must be some of BAS, RESP, EKG, EMG"),
        ("clip?study=night&start=0", 400, "modalities must be some of"),
        ("agreement?study=night", 400, "names no encoder"),
        ("second-opinion?study=night&epoch=0", 400, "whole number from 1"),
        ("second-opinion?study=nobody&epoch=1", 400, "no study 'nobody'"),
        ("second-opinion?study=night&epoch=1&encoder=nothing", 400, "no model named 'nothing'"),
    ],
)
def test_a_bad_request_is_refused_with_a_reason(server: Server, path: str, status: int, words: str) -> None:
    answer = server.get(f"/sleepfm/{path}")
    assert answer.status == status, answer.body
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["clip?study=night&start=0&modalities=BAS", "second-opinion?study=night&epoch=1"])
def test_other_sites_pages_get_nothing(server: Server, path: str) -> None:
    assert server.get(f"/sleepfm/{path}", Sec_Fetch_Site="cross-site").status == 403


def test_without_an_encoder_the_second_opinion_says_what_to_do_and_offers_a_simulated_one_only_by_name(
    home: Home, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
        with serving(Starlette(routes=similar_routes(LibrarySource(home), home))) as server:
            real = server.get("/sleepfm/second-opinion?study=night&epoch=3").json()
            simulated = server.get(f"/sleepfm/second-opinion?study={SIMULATED}&epoch=3").json()
    assert real["offer"] is None
    assert simulated["offer"] == "demo-encoder"
    for said in (real, simulated):
        assert "fetch one with: sleepfm models fetch official" in said["words"]
        assert "counts" not in said


def test_a_strip_travels_without_anything_that_is_not_a_number() -> None:
    strip = ModalityStrip(Modality.EKG, np.array([0.5, np.nan]), ("alarm", ""), "alarm", "EKG does not fit RESP.")
    notes = ("A note\x07", "enc was trained on simulated signals: for trying the software only.")
    found = StudyAgreement(
        "night",
        "enc",
        np.array([0.0, 300.0]),
        rank_w={},
        candidates={},
        strips=(strip,),
        other_people=9,
        other_windows=88,
        notes=notes,
    )
    assert agreement_json(found) == {
        "study": "night",
        "starts": [0.0, 300.0],
        "strips": [
            {"modality": "EKG", "flags": ["alarm", ""], "scores": [0.5, None], "flag": "alarm", "why": "EKG does not fit RESP."}
        ],
        "people": 9,
        "windows": 88,
        "notes": ["A note\\x07"],
    }
