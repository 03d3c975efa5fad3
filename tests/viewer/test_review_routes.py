"""The review desk over HTTP: who may edit, what is answered, what is refused and how."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_edf import write_edf
from starlette.applications import Starlette
from starlette.middleware import Middleware
from viewer.running_server import Answer, Server, serving

from sleepfm.administration.roles import Role
from sleepfm.home import Home, open_home
from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.review_begin import begin
from sleepfm.library.review_log import changes_since
from sleepfm.library.review_states import mark_reviewed
from sleepfm.library.reviews import document, review
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.runs.database import connect
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.review_routes import MOST_BODY_BYTES, review_routes
from sleepfm.viewer.routes import viewer_routes
from sleepfm.viewer.same_origin import SameOriginMiddleware
from sleepfm.viewer.signed_in import User, admit

ASSETS = Path(__file__).parents[2] / "assets"
SHA, SECONDS, EPOCHS = "0" * 64, 305, 10


class SignedInAs:
    """Stands for the gate: each request is that of the user whom its header names."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        for name, value in scope.get("headers", ()):
            if name == b"x-user":
                user, role = value.decode().split(":")
                admit(scope, User(user, Role(role), local=False))
        await self.app(scope, receive, send)


@contextmanager
def serving_home(home: Home) -> Iterator[Server]:
    source = LibrarySource(home)
    middleware = [Middleware(SameOriginMiddleware, prefix="/sleepfm/"), Middleware(SignedInAs)]
    with serving(Starlette(routes=[*viewer_routes(source, ASSETS), *review_routes(source)], middleware=middleware)) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return open_home(tmp_path_factory.mktemp("desk") / "home")


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving_home(home) as running:
        yield running


@pytest.fixture
def library(home: Home) -> Iterator[Library]:
    with Library(home) as library:
        yield library


@pytest.fixture
def night(library: Library, tmp_path: Path) -> str:
    """Give a study of this test alone."""
    study = library.add(write_edf(tmp_path / f"{tmp_path.name}.edf", seconds=SECONDS, labels=("C4-M1",)))
    library.store_hash(study.id, SHA)
    return study.id


def asking(server: Server, path: str, body: Any = None, *, user: str = "ada:scorer", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data=raw, headers={"X-User": user, **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return Answer(response.status, dict(response.headers), response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read())


def edits(server: Server, night: str, scoring: int, *asked: dict[str, Any], version: int = 0, user: str = "ada:scorer") -> Answer:
    path = f"/sleepfm/review/edits?study={night}&scoring={scoring}"
    return asking(server, path, {"version": version, "edits": list(asked)}, user=user)


def score(key: str, *changes: list[int]) -> dict[str, Any]:
    return {"key": key, "action": "score", "patch": {"stages": list(changes)}}


def test_a_review_is_given_whole_edited_and_its_changes_told_to_others(server: Server, library: Library, night: str) -> None:
    number = store_events(
        library,
        night,
        [Event(3, 4, "Snore")],
        engine="e",
        model="",
        provenance={"label": "e", "note": "", "source_sha256": SHA},
    )
    scoring = begin(library, night, scorer="ada", user="ada")
    whole = asking(server, f"/sleepfm/review?study={night}&scoring={scoring}").json()
    assert (whole["me"], whole["scorer"], whole["state"], whole["editable"], whole["undo"]) == ("ada", "ada", "open", True, False)
    assert whole["stages"] == whole["proposed"] == [-1] * EPOCHS
    assert [(event["id"], event["name"], event["start"]) for event in whole["events"]] == [(f"s{number}-1", "Snore", 3)]
    event = {"start": 1.5, "stop": 2.5, "name": "Arousal", "channel": "C4", "source": "ada", "extra": {}}
    marked = {"key": "e", "action": "event", "patch": {"events": [["x1", None, event]]}}
    answer = edits(
        server, night, scoring, score("a", [2, -1, 1]), marked, {"key": "u", "action": "undo"}, version=whole["version"]
    )
    told = answer.json()
    assert (answer.status, told["undo"], told["redo"]) == (200, True, True)
    assert [(one["by"], one["action"], one["stages"], one["events"]) for one in told["changes"]] == [
        ("ada", "score", [[2, 1]], []),
        ("ada", "event", [], [["x1", event]]),
        ("ada", "undo", [], [["x1", None]]),
    ]
    seen = asking(
        server, f"/sleepfm/review/changes?study={night}&scoring={scoring}&since={whole['version']}", user="bob:viewer"
    ).json()
    assert seen["changes"] == told["changes"]
    assert (seen["me"], seen["undo"], seen["editable"], seen["why_not"]) == (
        "bob",
        False,
        False,
        "this asks for the role “scorer”",
    )
    assert edits(server, night, scoring, score("a", [2, -1, 1]), version=told["version"]).json()["changes"] == []  # sent again
    numbers = asking(server, f"/sleepfm/review/numbers?study={night}&scoring={scoring}", user="bob:viewer")
    assert {"TST", "AHI"} <= {one["name"] for one in numbers.json()["numbers"]}
    queue = asking(server, f"/sleepfm/review/queue?study={night}&scoring={scoring}&epochs=3", user="bob:viewer")
    assert len(queue.json()["epochs"]) <= 3


def test_the_overview_holds_the_review_and_its_events(server: Server, library: Library, night: str) -> None:
    about = {"label": "YASA", "note": "", "source_sha256": SHA}
    engine = library.store_scoring(night, Scoring(np.full(EPOCHS, 2, np.int8)), engine="yasa", model="", provenance=about)
    store_events(library, night, [Event(3, 4, "Snore", "Mic\x07")], engine="e", model="", provenance=about)
    shown = asking(server, f"/sleepfm/overview?study={night}&upper={engine}").json()
    assert [one["review"] for one in shown["scorings"]] == [None]
    assert [(event["name"], event["channel"]) for event in shown["events"]] == [("Snore", "Mic\\x07")]
    scoring = begin(library, night, scorer="ada", user="ada", base=engine)
    edits(
        server,
        night,
        scoring,
        {"key": "e", "action": "event", "patch": {"events": [["x", None, {"start": 1, "stop": 2, "name": "Arousal"}]]}},
    )
    shown = asking(server, f"/sleepfm/overview?study={night}&upper={scoring}&lower={engine}").json()
    assert shown["scorings"][0]["review"]["scorer"] == "ada"
    assert shown["scorings"][1]["review"] is None
    assert shown["events"] is None  # they are not sent twice
    assert [event["name"] for event in shown["scorings"][0]["review"]["events"]] == ["Arousal", "Snore"]
    other = begin(library, night, scorer="bob", user="bob", base=engine)
    below = asking(server, f"/sleepfm/overview?study={night}&upper={scoring}&lower={other}").json()["scorings"][1]["review"]
    assert below == {"scoring": str(other), "version": review(library, other).version, "stages": [2] * EPOCHS}
    score_of_other = edits(server, night, other, score("o", [3, 2, 4]), user="bob:scorer")
    told = asking(server, f"/sleepfm/review/changes?study={night}&scoring={other}&since={below['version']}", user="vera:viewer")
    assert (score_of_other.status, [one["stages"] for one in told.json()["changes"]]) == (200, [[[3, 4]]])


def test_a_conflict_is_409_and_a_lock_423_and_both_say_why(server: Server, library: Library, night: str) -> None:
    scoring = begin(library, night, scorer="ada", user="ada")
    version = edits(server, night, scoring, score("b", [5, -1, 2]), user="bob:scorer").json()["version"]
    answer = edits(
        server, night, scoring, score("1", [4, -1, 1]), score("2", [5, -1, 1]), score("3", [6, -1, 1]), version=version - 1
    )
    told = answer.json()
    assert (answer.status, told["refused"]) == (409, ["2", "3"])
    assert told["error"].startswith("epoch 5 is N2: bob, ")
    assert [(one["by"], one["stages"]) for one in told["changes"]] == [("bob", [[5, 2]]), ("ada", [[4, 1]])]
    mark_reviewed(library, scoring, user="ada")
    answer = edits(server, night, scoring, score("4", [6, -1, 1]))
    assert (answer.status, answer.json()["error"]) == (423, "marked as reviewed; reopen it on the Finish page to change it")
    assert (answer.json()["state"], answer.json()["editable"]) == ("reviewed", False)
    assert document(library, scoring).stages.tolist() == [-1, -1, -1, 1, 2, -1, -1, -1, -1, -1]


def test_who_only_looks_and_who_is_nobody_and_other_sites_change_nothing(server: Server, library: Library, night: str) -> None:
    scoring = begin(library, night, scorer="ada", user="ada")
    for action in (score("a", [1, -1, 1]), {"key": "u", "action": "undo"}, {"key": "z", "action": "reset stages"}):
        assert edits(server, night, scoring, action, user="vera:viewer").status == 403
    seen = asking(server, f"/sleepfm/overview?study={night}&upper={scoring}", user="vera:viewer").json()["scorings"][0]["review"]
    assert (seen["me"], seen["editable"], seen["why_not"]) == ("vera", False, "this asks for the role “scorer”")
    path, body = f"/sleepfm/review/edits?study={night}&scoring={scoring}", {"version": 0, "edits": [score("a", [1, -1, 1])]}
    assert asking(server, path, body, Origin="https://elsewhere.example").status == 403
    assert asking(server, path, body, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert asking(server, path).status == 405
    assert document(library, scoring).stages.tolist() == [-1] * EPOCHS


BAD_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 422, "no JSON"),
    (b"[" * 100_000, 422, "no JSON"),
    (b"[]", 422, "the request is"),
    (b'{"edits": []}', 422, "version is the whole number"),
    (b'{"version": true, "edits": []}', 422, "version is the whole number"),
    (b'{"version": 0, "edits": []}', 422, "a list of 1 to 500 edits"),
    (b'{"version": 0, "edits": [' + b"0," * 500 + b"0]}", 422, "a list of 1 to 500 edits"),
    (b'{"version": 0, "edits": [{}]}', 422, "key and action are texts"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "undo", "user": "eve"}]}', 422, "a key, an action"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "take events", "set": "1"}]}', 422, "named by its number"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "undo", "of": 1}]}', 422, "what it is of"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "undo", "of": "a b"}]}', 422, "named by its key"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "score", "patch": {"stages": [[99, 0, 1]]}}]}', 422, "epoch 99"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "score", "patch": {"stages": [[1, NaN, 1]]}}]}', 422, "whole numbers"),
    (b'{"version": 0, "edits": [{"key": "a", "action": "take events", "set": 9}]}', 400, "no set of events 9"),
    (b" " * (MOST_BODY_BYTES + 1), 400, "not taken at once"),
]


def test_a_request_that_is_none_is_refused_in_one_line(server: Server, library: Library, night: str) -> None:
    scoring = begin(library, night, scorer="ada", user="ada")
    for body, status, words in BAD_BODIES:  # one server serves them all
        answer = asking(server, f"/sleepfm/review/edits?study={night}&scoring={scoring}", body)
        assert (answer.status, words in answer.json()["error"]) == (status, True), (body[:99], answer.body)
    assert [entry.action for entry in changes_since(library, scoring, 0)] == ["begin"]


def test_another_studys_review_or_none_is_refused(server: Server, library: Library, night: str, tmp_path: Path) -> None:
    library.add(write_edf(tmp_path / "other.edf", seconds=60, labels=("C4-M1",)))
    scoring = begin(library, night, scorer="ada", user="ada")
    for query in (
        f"study=other&scoring={scoring}",
        f"study={night}&scoring=99999",
        f"study={night}&scoring=x",
        f"scoring={scoring}",
    ):
        assert asking(server, f"/sleepfm/review?{query}").status == 400
        assert asking(server, f"/sleepfm/review/edits?{query}", {"version": 0, "edits": [score("a", [1, -1, 1])]}).status == 400


def test_a_library_that_is_busy_for_long_is_worth_trying_again(
    home: Home, library: Library, night: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sleepfm.runs.database._PATIENCE_S", 0.1)  # of connections that are opened from now on: the server's
    scoring = begin(library, night, scorer="ada", user="ada")
    other = connect(library.home.database)
    with serving_home(home) as server, closing(other):
        other.execute("BEGIN IMMEDIATE")
        answer = edits(server, night, scoring, score("a", [1, -1, 1]))
        assert (answer.status, "try again" in answer.json()["error"]) == (503, True)
        other.execute("COMMIT")
        assert edits(server, night, scoring, score("a", [1, -1, 1])).status == 200


def test_many_at_once_lose_nothing(server: Server, library: Library, night: str) -> None:
    scoring = begin(library, night, scorer="ada", user="ada")
    statuses: list[int] = []

    def one(name: str, epochs: range) -> None:
        for epoch in epochs:
            statuses.append(edits(server, night, scoring, score(f"{name}-{epoch}", [epoch, -1, 2]), user=f"{name}:scorer").status)

    threads = [threading.Thread(target=one, args=(name, range(1, EPOCHS + 1))) for name in ("ada", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * EPOCHS + [409] * EPOCHS  # every epoch went to exactly one of them
    assert document(library, scoring).stages.tolist() == [2] * EPOCHS
