"""What the app's own routes share: their headers, reading a request's parameters, and errors as JSON."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sleepfm.errors import RecordingChangedError, RequestError, SleepFMError

HEADERS = {
    # Signals of patients: not kept by the browser, not embedded by other sites, never guessed to be something executable.
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
BINARY_HEADERS = HEADERS | {"Content-Encoding": "identity"}
"""Noise does not compress: Streamlit's gzip middleware leaves alone what says it is encoded."""


def answering(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn errors that people read into JSON {"error": ...}; anything else stays a defect with its traceback."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as error:
            return JSONResponse({"error": str(error)}, status_code=400, headers=HEADERS)
        except RecordingChangedError as error:
            return JSONResponse({"error": str(error)}, status_code=410, headers=HEADERS)
        except SleepFMError as error:
            return JSONResponse({"error": str(error)}, status_code=422, headers=HEADERS)

    return answer


def study_parameter(request: Request) -> str:
    """Return the study that a request names; RequestError when it names none."""
    study = request.query_params.get("study", "")
    if not study or len(study) > 255:
        raise RequestError("the request names no study")
    return study


def seconds_parameter(request: Request, name: str) -> float:
    """Return a parameter that is a number of seconds, not below 0; RequestError when it is none."""
    text = request.query_params.get(name, "")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        raise RequestError(f"{name} must be a number of seconds, not {text[:40]!r}")
    return float(text)


def whole_parameter(request: Request, name: str, low: int, high: int) -> int:
    """Return a parameter that is a whole number from `low` to `high`; RequestError when it is none."""
    text = request.query_params.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
        raise RequestError(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}")
    return int(text)
