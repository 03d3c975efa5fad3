"""The map's routes: what travels is what was stored; nothing but a map's name and a column's is accepted."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from viewer.running_server import Server, serving

from sleepfm.library import facts
from sleepfm.library.library import Library
from sleepfm.library.map_making import make
from sleepfm.library.maps import MapGrain, MapSpec, StoredMap, map_file
from sleepfm.viewer.map_packing import PLACED_BIT
from sleepfm.viewer.map_routes import map_routes
from tests.library.mapped_library import ENCODER, mapped_library

SPEC = MapSpec(encoder=ENCODER, grain=MapGrain.WINDOW, sample=20)
PLACES = f"/sleepfm/map?map={SPEC.identifier}"
COLUMN = f"/sleepfm/map/column?map={SPEC.identifier}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with mapped_library(tmp_path_factory.mktemp("map")) as opened:
        yield opened


@pytest.fixture(scope="module")
def stored(library: Library) -> StoredMap:
    return make(library, SPEC)


@pytest.fixture(scope="module")
def server(library: Library, stored: StoredMap) -> Iterator[Server]:
    assert stored.n == 60
    with serving(Starlette(routes=map_routes(library.home))) as running:
        yield running


def opened(body: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack_from("<I", body)
    assert length % 4 == 0
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_places_windows_and_what_was_placed_travel_exactly(server: Server, stored: StoredMap) -> None:
    answer = server.get(PLACES)
    header, body = opened(answer.body)
    n = header["n"]
    assert len(body) == 10 * n
    np.testing.assert_array_equal(np.frombuffer(body, "<f4", n), stored.x_n)
    np.testing.assert_array_equal(np.frombuffer(body, "<f4", n, 4 * n), stored.y_n)
    code_n = np.frombuffer(body, "<u2", n, 8 * n)
    np.testing.assert_array_equal(code_n & (PLACED_BIT - 1), stored.window_n)
    np.testing.assert_array_equal((code_n & PLACED_BIT) > 0, stored.placed_n)
    np.testing.assert_array_equal(np.repeat(np.arange(len(header["studies"])), header["rows"]), stored.study_n)
    assert header["studies"] == list(stored.studies)
    assert answer.headers["content-encoding"] == "identity"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_groups_travel_with_a_legend_that_counts_every_row(server: Server, stored: StoredMap, library: Library) -> None:
    header, body = opened(server.get(f"{COLUMN}&column=fact:site").body)
    codes = np.frombuffer(body, "<i4")
    assert [header["labels"][code] for code in codes] == ["AB"[int(study[1]) % 2] for study in stored.studies]
    assert [(one["title"], one["count"]) for one in header["entries"]] == [("A", 30), ("B", 30), ("not known", 0)]
    assert header["perStudy"]
    facts.store(library, "p0-1", {"site": "C\u202ehostile"})
    changed, _ = opened(server.get(f"{COLUMN}&column=fact:site").body)
    assert changed["digest"] != header["digest"]
    assert changed["entries"][2]["title"] == "C\\u202ehostile"
    assert changed["entries"][2]["labels"] == ["C\u202ehostile"]
    facts.store(library, "p0-1", {"site": "A"})


def test_many_groups_share_the_last_colour(server: Server, stored: StoredMap, library: Library) -> None:
    for number, study in enumerate(stored.studies):
        facts.store(library, study, {"ward": f"w{number}"})
    header, _ = opened(server.get(f"{COLUMN}&column=fact:ward").body)
    assert [one["title"] for one in header["entries"]][-2:] == ["4 others", "not known"]
    assert header["entries"][-2]["labels"] is None
    assert sum(one["count"] for one in header["entries"]) == stored.n
    for place, entry in enumerate(header["entryOfLabel"]):
        assert header["entries"][entry]["labels"] in (None, [header["labels"][place]])


def test_numbers_travel_with_their_ends_and_unit(server: Server, stored: StoredMap) -> None:
    header, body = opened(server.get(f"{COLUMN}&column=fact:age").body)
    assert np.frombuffer(body, "<f4").tolist() == [40.0 + int(study[1]) for study in stored.studies]
    assert (header["unit"], header["least"], header["most"]) == ("years", 40.0, 45.0)
    assert header["least"] <= header["low"] < header["high"] <= header["most"]
    rows, body = opened(server.get(f"{COLUMN}&column=origin").body)
    assert not rows["perStudy"]
    np.testing.assert_array_equal(np.frombuffer(body, "<i4"), stored.placed_n)


@pytest.mark.parametrize(
    "path",
    [
        "/sleepfm/map",
        "/sleepfm/map?map=../../../etc/passwd",
        "/sleepfm/map?map=" + "0" * 16,
        "/sleepfm/map?map=" + "A" * 16,
        COLUMN,
        f"{COLUMN}&column=fact:nothing",
        f"{COLUMN}&column=stage:SLEEP",
        f"{COLUMN}&column=score::",
        f"{COLUMN}&column=" + "x" * 401,
        "/sleepfm/map/column?column=fact:site",
    ],
)
def test_wrong_requests_are_refused_with_a_sentence(server: Server, path: str) -> None:
    answer = server.get(path)
    assert answer.status == 400
    assert answer.json()["error"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_damaged_map_is_said(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library, serving(Starlette(routes=map_routes(library.home))) as server:
        library.home.maps.mkdir()
        map_file(library.home, SPEC.identifier).write_bytes(b"PK\x03\x04")
        answer = server.get(PLACES)
    assert answer.status == 422
    assert "damaged" in answer.json()["error"]
