"""The viewer's routes over HTTP: what they answer, and what they refuse."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_edf import write_edf
from starlette.applications import Starlette
from starlette.middleware import Middleware
from viewer.folder_source import FolderSource
from viewer.running_server import Server, serving

from sleepfm.analysis.spectrogram import multitaper, write_spectrogram
from sleepfm.recording.opening import open_recording
from sleepfm.recording.quality import QualityFlag, assess
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.viewer.asset_urls import asset_url
from sleepfm.viewer.routes import viewer_routes
from sleepfm.viewer.same_origin import SameOriginMiddleware
from sleepfm.viewer.study_source import NamedScoring
from sleepfm.viewer.window_packing import unpack

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderSource]:
    folder = tmp_path_factory.mktemp("studies")
    source = FolderSource({"night": write_edf(folder / "night.edf", seconds=610, labels=("C4-M1", "E1-M2"))})
    stages = np.array([0, 1, 2, 2, 3, 3, 4, 4, -1, 2, 2], dtype=np.int8)
    probabilities = np.full((11, 5), 0.1, dtype=np.float32)
    probabilities[np.arange(11), np.maximum(stages, 0)] = 0.6
    probabilities[8] = np.nan
    source.named["night"] = [
        NamedScoring("1", "Engine", "v1", Scoring(stages, probabilities)),
        NamedScoring("2", "Expert", "", Scoring(np.where(stages == 2, 3, stages))),
    ]
    source.marked["night"] = [Event(50, 60, "Arousal", "C4-M1"), Event(10, 20, "Hypopnea\x07", "")]
    recording = open_recording(source.files["night"])
    write_spectrogram(folder / "s.npz", multitaper(recording.read(0, 0, 610), 128.0))
    recording.close()
    source.spectra["night"] = {"0": folder / "s.npz"}
    yield source
    source.close()


@pytest.fixture(scope="module")
def server(source: FolderSource) -> Iterator[Server]:
    middleware = [Middleware(SameOriginMiddleware, prefix="/sleepfm/")]
    with serving(Starlette(routes=viewer_routes(source, ASSETS), middleware=middleware)) as running:
        yield running


def window(**changes: Any) -> str:
    query = {"study": "night", "start": 30, "stop": 60, "bins": 4096, "traces": "0___~1-0_0.3_35_50"} | changes
    return "/sleepfm/window?" + "&".join(f"{name}={value}" for name, value in query.items())


def test_a_window_holds_the_recordings_samples(server: Server, source: FolderSource) -> None:
    answer = server.get(window())
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    plain, derived = unpack(answer.body)
    exact = source.recording("night").read(0, 30.0, 60.0)
    first = round(30.0 * 128) - round(plain.x0_s * 128)
    assert np.abs(plain.values[first : first + exact.size] - exact).max() < 0.02
    assert derived.values.size == plain.values.size


@pytest.mark.parametrize(("start", "stop"), [(0, 30), (600, 630), (0, 610), (0, 3600)])
def test_windows_that_reach_beyond_the_end_are_empty_there(server: Server, start: int, stop: int) -> None:
    answer = server.get(window(start=start, stop=stop, bins=600, traces="0___"))
    (trace,) = unpack(answer.body)
    times = trace.x0_s + trace.dx_s * np.arange(trace.values.size)
    slack = 2 * trace.dx_s
    assert np.isfinite(trace.values[(times > slack) & (times < 610 - slack)]).all()
    assert np.isnan(trace.values[times > 610 + slack]).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"study": "nobody"},
        {"study": ""},
        {"study": "../../etc/passwd"},
        {"start": "-5"},
        {"start": "60", "stop": "60"},
        {"start": "nan"},
        {"start": "1e3"},
        {"start": 700, "stop": 730},
        {"stop": 999999},
        {"bins": 0},
        {"bins": 100000},
        {"bins": "12;drop"},
        {"traces": ""},
        {"traces": "99___"},
        {"traces": "0___~-1___"},
        {"traces": "0_0_35_"},
        {"traces": "0_0.00001_35_"},
        {"traces": "0_._._."},
        {"traces": "0_5_99999_"},
        {"traces": "0-1-2___"},
        {"traces": "~".join(["0___"] * 129)},
        {"traces": "%D9%A3___"},
    ],
)
def test_a_bad_request_is_refused_with_a_reason(server: Server, changes: dict[str, object]) -> None:
    answer = server.get(window(**changes))
    assert answer.status == 400
    assert answer.json()["error"]
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize("path", [window(), "/sleepfm/overview?study=night", "/sleepfm/spectrogram?study=night&trace=0"])
def test_other_sites_pages_get_nothing(server: Server, path: str) -> None:
    assert server.get(path, Sec_Fetch_Site="same-origin").status == 200
    assert server.get(path, Sec_Fetch_Site="cross-site").status == 403
    assert server.get(path, Origin="http://evil.example").status == 403
    assert server.get(path, Host="evil.example").status == 403
    assert "access-control-allow-origin" not in server.get(path).headers


@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}])
def test_no_other_site_frames_an_answer_of_an_app_without_sign_in(server: Server, headers: dict[str, str]) -> None:
    answer = server.get("/sleepfm/overview?study=night", **headers)
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_overview_says_what_the_night_holds(server: Server) -> None:
    night = server.get("/sleepfm/overview?study=night&upper=1&lower=2").json()
    assert night["epochs"] == 21
    assert night["start"] == "2020-01-02T22:30:00.000"
    assert [scoring["label"] for scoring in night["scorings"]] == ["Engine", "Expert"]
    assert night["scorings"][0]["stages"] == [0, 1, 2, 2, 3, 3, 4, 4, -1, 2, 2]
    assert night["scorings"][1]["probabilities"] is None
    assert [mark["epoch"] for mark in night["to_review"]] == [3, 4, 10, 11]
    assert [event["name"] for event in night["events"]] == ["Hypopnea\\x07", "Arousal"]
    assert night["spectrograms"] == [{"trace": "0", "label": "C4-M1", "first": True}]
    keys = {trace["key"] for trace in night["traces"]}
    assert night["montages"]
    assert all(set(montage["traces"]) <= keys for montage in night["montages"])


def test_the_overview_shows_what_is_chosen_and_what_is_still_there(server: Server) -> None:
    def labels(query: str) -> list[str]:
        return [one["label"] for one in server.get(f"/sleepfm/overview?study=night{query}").json()["scorings"]]

    assert labels("") == []
    assert labels("&upper=2") == ["Expert"]
    assert labels("&upper=2&lower=2") == ["Expert"]
    assert labels("&upper=77&lower=1") == ["Engine"]


def test_probabilities_survive_packing(server: Server, source: FolderSource) -> None:

    packed = server.get("/sleepfm/overview?study=night&upper=1").json()["scorings"][0]["probabilities"]
    shares = np.frombuffer(base64.b64decode(packed), "<u2").reshape(-1, 5) / 65535
    exact = source.named["night"][0].scoring.probabilities
    assert exact is not None
    assert np.abs(shares - np.nan_to_num(exact)).max() < 1e-4


def test_the_spectrogram_is_the_stored_one(server: Server) -> None:
    answer = server.get("/sleepfm/spectrogram?study=night&trace=0")
    (length,) = struct.unpack_from("<I", answer.body)
    header = json.loads(answer.body[4 : 4 + length])
    codes = np.frombuffer(answer.body, np.uint8, offset=4 + length).reshape(header["epochs"], len(header["frequencies"]))
    assert header["unit"] == "µV"
    assert codes.min() >= 1  # 610 s: the last epoch has one whole segment
    assert codes.max() == 255
    missing = server.get("/sleepfm/spectrogram?study=night&trace=1")
    assert missing.status == 400
    assert "no spectrogram" in missing.json()["error"]


def test_a_file_that_vanished_is_said_so(server: Server, source: FolderSource, tmp_path: Path) -> None:
    source.files["gone"] = write_edf(tmp_path / "gone.edf", seconds=60)
    assert server.get(window(study="gone", traces="0___")).status == 200
    source.files["gone"].unlink()
    answer = server.get(window(study="gone", traces="0___"))
    assert answer.status == 410
    assert "gone.edf" in answer.json()["error"]


def test_hostile_labels_arrive_as_harmless_text(server: Server, source: FolderSource, tmp_path: Path) -> None:
    source.files["hostile"] = write_edf(tmp_path / "hostile.edf", labels=("C4-M1", "x<b>y&amp;"))
    night = server.get("/sleepfm/overview?study=hostile").json()
    labels = [trace["label"] for trace in night["traces"]]
    assert "x<b>y&amp;" in labels  # the browser draws it as text; nothing is taken away
    assert all(character.isprintable() for label in labels for character in label)


def test_the_front_end_is_served_for_good_under_its_contents_name(server: Server) -> None:
    answer = server.get(asset_url(ASSETS, "viewer/viewer.js"))
    assert answer.status == 200
    assert "javascript" in answer.headers["content-type"]
    assert "immutable" in answer.headers["cache-control"]
    assert server.get(asset_url(ASSETS, "../pyproject.toml")).status == 404
    assert server.get("/sleepfm/assets/0000000000000000/viewer/viewer.js").status == 404


def test_every_shared_recording_can_be_drawn(shared: Path) -> None:
    files = [
        file for part in ("psg", "edge") for file in sorted((shared / "data" / part).iterdir()) if file.suffix in (".edf", ".bdf")
    ]
    source = FolderSource({file.name: file for file in files if "Hypnogram" not in file.name})
    drawn = 0
    with serving(Starlette(routes=viewer_routes(source, ASSETS))) as server:
        for study in source.files:
            answer = server.get(f"/sleepfm/overview?study={study}")
            assert answer.status == 200, (study, answer.body)
            night = answer.json()
            for montage in night["montages"]:
                traces = "~".join(f"{key}_0.3_35_50" for key in montage["traces"])
                answer = server.get(f"/sleepfm/window?study={study}&start=0&stop=30&bins=500&traces={traces}")
                assert answer.status == 200, (study, answer.body)
                windows = unpack(answer.body)
                assert len(windows) == len(montage["traces"])
                drawn += sum(np.isfinite(window.values).any() for window in windows)
    source.close()
    assert drawn > 100


def test_the_quality_strip_says_which_epoch_and_why(source: FolderSource, tmp_path: Path) -> None:
    source.files["flat"] = write_edf(tmp_path / "flat.edf", seconds=300)
    recording = source.recording("flat")
    report = assess(recording)
    flags = np.zeros_like(report.flags)
    flags[0, 3] = QualityFlag.FLAT
    flags[1, 4] = QualityFlag.LINE_NOISE | QualityFlag.CLIPPED
    source.reports["flat"] = replace(report, flags=flags)
    with serving(Starlette(routes=viewer_routes(source, ASSETS))) as server:
        quality = server.get("/sleepfm/overview?study=flat").json()["quality"]
    assert [channel["label"] for channel in quality["channels"]] == ["C4-M1", "E1-M2"]
    rows = [np.frombuffer(base64.b64decode(channel["flags"]), np.uint8) for channel in quality["channels"]]
    words = {flag["bit"]: flag["word"] for flag in quality["flags"]}
    assert words[rows[0][3]] == "flat"
    assert [word for bit, word in words.items() if rows[1][4] & bit] == ["clipped", "line noise"]
    assert quality["bad"] & rows[0][3]
    assert not quality["bad"] & QualityFlag.LINE_NOISE
    assert rows[0][:3].tolist() == [0, 0, 0]
    assert rows[0].size == 10
