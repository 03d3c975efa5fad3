"""The routes of the review desk: a review's content, its edits, what others changed, its numbers and what to look at next.

GET  /sleepfm/review?study=&scoring=           `review_json`
POST /sleepfm/review/edits?study=&scoring=     {"version": n, "edits": [{"key", "action", "patch" | "set" | "of"}]} →
                                               `changes_json` since n; 409 with "error" and "refused" too when something else
                                               stands there, 423 when locked, 503 when it is worth trying again
GET  /sleepfm/review/changes?study=&scoring=&since=n
GET  /sleepfm/review/numbers?study=&scoring=
GET  /sleepfm/review/queue?study=&scoring=&epochs=40

An undo or redo is of the edit whose key is its "of", else of the newest own one. It leaves alone what somebody else has changed
since, and says so in the "note" of its change: what stands is always what "changes" say. To score an epoch as it stands already
confirms it: [epoch, n, n] is stored.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sleepfm.administration.roles import Role
from sleepfm.errors import RecordingError, RequestError, ScoringError, SleepFMError
from sleepfm.library.library import Library
from sleepfm.library.night_statistics import numbers
from sleepfm.library.review_edits import MOST_EDITS, Edit, ReviewLockedError, apply_edits
from sleepfm.library.review_patch import PATCHED, Patch, parse_patch
from sleepfm.library.review_proposal import whole_epochs
from sleepfm.library.review_queue import queue
from sleepfm.library.reviews import Review, review
from sleepfm.viewer.library_source import LibrarySource
from sleepfm.viewer.review_answers import changes_json, review_json, standing_json
from sleepfm.viewer.route_requests import HEADERS, answering, study_parameter, whole_parameter
from sleepfm.viewer.signed_in import User, requiring, user_of_request

REVIEW_PATH = "/sleepfm/review"
EDITS_PATH = "/sleepfm/review/edits"
CHANGES_PATH = "/sleepfm/review/changes"
NUMBERS_PATH = "/sleepfm/review/numbers"
QUEUE_PATH = "/sleepfm/review/queue"

MOST_BODY_BYTES = 8 << 20
"""Ten thousand events and what they were before."""
_MOST_NUMBER = 999_999_999

Answer = tuple[int, dict[str, Any]]


def review_routes(source: LibrarySource) -> list[BaseRoute]:
    """Return the routes; whoever may look may ask, edits ask for the role of a scorer."""

    def whole(library: Library, request: Request, _body: bytes) -> Answer:
        return 200, review_json(library, _asked(library, request).scoring, _user(request))

    def changes(library: Library, request: Request, _body: bytes) -> Answer:
        since = whole_parameter(request, "since", 0, _MOST_NUMBER)
        return 200, changes_json(library, _asked(library, request).scoring, since, _user(request))

    def strip(library: Library, request: Request, _body: bytes) -> Answer:
        return 200, numbers(library, study_parameter(request), _scoring(request))

    def next_epochs(library: Library, request: Request, _body: bytes) -> Answer:
        epochs = whole_parameter(request, "epochs", 1, 1000)
        return 200, queue(library, study_parameter(request), _scoring(request), epochs=epochs)

    def route(path: str, answer: Callable[[Library, Request, bytes], Answer], role: Role, method: str) -> Route:
        return Route(path, requiring(role, answering(_endpoint(source, answer))), methods=[method])

    return [
        route(REVIEW_PATH, whole, Role.VIEWER, "GET"),
        route(EDITS_PATH, _edits, Role.SCORER, "POST"),
        route(CHANGES_PATH, changes, Role.VIEWER, "GET"),
        route(NUMBERS_PATH, strip, Role.VIEWER, "GET"),
        route(QUEUE_PATH, next_epochs, Role.VIEWER, "GET"),
    ]


def _endpoint(
    source: LibrarySource, answer: Callable[[Library, Request, bytes], Answer]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=499)

        def work() -> tuple[int, bytes]:  # ten thousand events are not turned into text where all requests wait
            status, content = answer(source.library, request, body)
            return status, json.dumps(content, separators=(",", ":"), allow_nan=False).encode()

        status, content = await run_in_threadpool(work)
        return Response(content, status_code=status, headers=HEADERS, media_type="application/json")

    return endpoint


async def _body(request: Request) -> bytes:
    """Return a request's body, read in pieces so that one that is too large is never held."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MOST_BODY_BYTES:
            raise RequestError(f"edits of more than {MOST_BODY_BYTES >> 20} MB are not taken at once")
        pieces.append(piece)
    return b"".join(pieces)


def _user(request: Request) -> User:
    user = user_of_request(request)
    if user is None:
        raise RequestError("nobody is signed in")
    return user


def _scoring(request: Request) -> int:
    return whole_parameter(request, "scoring", 1, _MOST_NUMBER)


def _asked(library: Library, request: Request) -> Review:
    """Return the review that a request names; RequestError when it is none of the study that it names."""
    study, found = study_parameter(request), review(library, _scoring(request))
    if found.study != study:
        raise RequestError(f"the study has no review {found.scoring}; open it again")
    return found


def _edits(library: Library, request: Request, body: bytes) -> Answer:
    about, user = _asked(library, request), _user(request)
    try:
        since, edits = _asked_edits(library, about, body)
        outcome = apply_edits(library, about.scoring, edits, user=user.name)
    except ReviewLockedError as error:
        standing = standing_json(library, review(library, about.scoring), user)
        return 423, {"error": str(error), **standing}
    except (RequestError, ScoringError, RecordingError):
        raise
    except SleepFMError as error:  # the disk is full or the library busy: worth trying again
        return 503, {"error": str(error)}
    answer = changes_json(library, about.scoring, since, user)
    if outcome.refused:
        return 409, {"error": outcome.conflict, "refused": list(outcome.refused), **answer}
    return 200, answer


def _asked_edits(library: Library, about: Review, body: bytes) -> tuple[int, list[Edit]]:
    """Return the version that the browser knows, and the edits that it asks for."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise ScoringError("the request is no JSON") from None
    if not isinstance(asked, dict):
        raise ScoringError('the request is {"version": n, "edits": [...]}')
    since, edits = asked.get("version"), asked.get("edits")
    if type(since) is not int or not 0 <= since <= _MOST_NUMBER:
        raise ScoringError("version is the whole number that the browser last heard")
    if not isinstance(edits, list) or not 1 <= len(edits) <= MOST_EDITS:
        raise ScoringError(f"a request has a list of 1 to {MOST_EDITS} edits")
    duration_s = library.study(about.study).duration_s
    return since, [_asked_edit(edit, duration_s) for edit in edits]


def _asked_edit(asked: object, duration_s: float) -> Edit:
    if not isinstance(asked, dict) or not asked.keys() <= {"key", "action", "patch", "set", "of"}:
        raise ScoringError("an edit is a key, an action, and a patch, a set, or the edit that it is of")
    key, action, events, of = asked.get("key"), asked.get("action"), asked.get("set"), asked.get("of", "")
    if not isinstance(key, str) or not isinstance(action, str) or not isinstance(of, str):
        raise ScoringError("an edit's key and action are texts, and what it is of is one too")
    if events is not None and (type(events) is not int or not 1 <= events <= _MOST_NUMBER):
        raise ScoringError("a set is named by its number")
    patch = Patch()
    if action in PATCHED:
        patch = parse_patch(asked.get("patch"), epochs=whole_epochs(duration_s), duration_s=duration_s)
    return Edit(key, action, patch, events, of)
