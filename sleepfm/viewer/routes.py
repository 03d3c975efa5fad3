"""The viewer's own HTTP routes, beside Streamlit's: windows of traces, the night's overview, stored spectrograms, the front end.

They only read. `SameOriginMiddleware` keeps other sites' pages out; here every parameter is checked before a file is touched.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sleepfm.errors import RequestError
from sleepfm.signals.display_filters import DisplayFilter
from sleepfm.signals.trace_windows import PIECE_S, Trace
from sleepfm.viewer.asset_urls import asset_mount
from sleepfm.viewer.overview import overview, pack_spectrogram
from sleepfm.viewer.route_requests import BINARY_HEADERS, HEADERS, answering, seconds_parameter, study_parameter, whole_parameter
from sleepfm.viewer.signed_in import User, user_of_request
from sleepfm.viewer.study_source import StudySource
from sleepfm.viewer.window_answer import WindowAnswer

WINDOW_PATH = "/sleepfm/window"
OVERVIEW_PATH = "/sleepfm/overview"
SPECTROGRAM_PATH = "/sleepfm/spectrogram"

MAX_TRACES = 128
MAX_BINS = 8192
HERTZ_RANGE = (0.01, 10_000.0)
_TRACE = re.compile(r"(\d{1,4})(?:-(\d{1,4}(?:\.\d{1,4}){0,7}))?_(\d*\.?\d*)_(\d*\.?\d*)_(\d*\.?\d*)", re.ASCII)
_long_window = threading.Semaphore(1)
"""Hours of signal are read for one request at a time, so that paging elsewhere stays quick."""


def viewer_routes(source: StudySource, assets: Path) -> list[BaseRoute]:
    """Return the routes for one source of studies.

    Parameters
    ----------
    source
        Resolves study ids.
    assets
        The folder of the front end's files.
    """

    async def window(request: Request) -> Response:
        answer = await run_in_threadpool(_window_answer, source, request)
        for piece in answer.pieces[:-1]:
            if await request.is_disconnected():
                return Response(status_code=499)
            await run_in_threadpool(_read_piece, answer, piece)
        payload = await run_in_threadpool(_finish, answer)
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    async def night(request: Request) -> Response:
        study = study_parameter(request)
        chosen = [request.query_params.get(name, "") for name in ("upper", "lower")]
        user = user_of_request(request)
        if user is None:
            return JSONResponse({"error": "nobody is signed in"}, status_code=403, headers=HEADERS)
        payload = await run_in_threadpool(_overview_text, source, study, chosen, user)
        return Response(payload, headers=HEADERS, media_type="application/json")

    async def spectrogram(request: Request) -> Response:
        study, trace = study_parameter(request), request.query_params.get("trace", "")
        payload = await run_in_threadpool(pack_spectrogram, source, study, trace)
        return Response(payload, headers=BINARY_HEADERS, media_type="application/octet-stream")

    return [
        Route(WINDOW_PATH, answering(window)),
        Route(OVERVIEW_PATH, answering(night)),
        Route(SPECTROGRAM_PATH, answering(spectrogram)),
        asset_mount(assets),
    ]


def _overview_text(source: StudySource, study: str, chosen: Sequence[str], user: User) -> bytes:
    """Return the overview as JSON, made in a thread: ten thousand events take a while."""
    return json.dumps(overview(source, study, chosen, user), separators=(",", ":"), allow_nan=False).encode()


def _window_answer(source: StudySource, request: Request) -> WindowAnswer:
    study = study_parameter(request)
    bins = whole_parameter(request, "bins", 16, MAX_BINS)
    start_s, stop_s = seconds_parameter(request, "start"), seconds_parameter(request, "stop")
    traces = parse_traces(request.query_params.get("traces", ""))
    recording = source.recording(study)
    if not 0 <= start_s < stop_s or start_s >= max(recording.duration_s, 1.0):
        raise RequestError(
            f"a window from {start_s:g} s to {stop_s:g} s is not within the recording of {recording.duration_s:g} s"
        )
    if stop_s - start_s > max(recording.duration_s, PIECE_S) + 7200:
        raise RequestError(f"a window of {stop_s - start_s:g} s is longer than the recording of {recording.duration_s:g} s")
    return WindowAnswer(recording, source.envelopes(study), traces, start_s=start_s, stop_s=stop_s, bins=bins)


def _read_piece(answer: WindowAnswer, piece: tuple[int, int]) -> None:
    with _long_window:
        answer.read(piece)


def _finish(answer: WindowAnswer) -> bytes:
    """Read the last piece, which mostly is the only one, and pack everything."""
    for piece in answer.pieces[-1:]:
        answer.read(piece)
    return answer.packed()


def parse_traces(text: str) -> list[Trace]:
    """Read `3-5.6_0.3_35_50~7___`: traces joined by ~, each channel[-channel.channel]_high-pass_low-pass_notch (Hz, or nothing).

    Raises
    ------
    RequestError
        When the text is not of this form, or a frequency is out of range.
    """
    parts = text.split("~") if text else []
    if not 1 <= len(parts) <= MAX_TRACES:
        raise RequestError(f"a window shows 1 to {MAX_TRACES} traces, not {len(parts)}")
    traces = []
    for part in parts:
        match = _TRACE.fullmatch(part)
        if match is None:
            raise RequestError(f"{part[:60]!r} is no trace")
        plus, minus, *corners = match.groups()
        traces.append(
            Trace(
                int(plus),
                tuple(int(index) for index in minus.split(".")) if minus else (),
                DisplayFilter(*(_hertz(corner) for corner in corners)),
            )
        )
    return traces


def _hertz(text: str) -> float | None:
    if not text:
        return None
    value = float(text) if text != "." else 0.0
    if not HERTZ_RANGE[0] <= value <= HERTZ_RANGE[1]:
        raise RequestError(f"{text} Hz is no frequency for a filter")
    return value
