"""Other web pages must not reach the app's own routes."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from sleepfm.viewer.same_origin import refusal


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8501"},
        {"host": "localhost:8501", "sec-fetch-site": "same-origin"},
        {"host": "127.0.0.1:8501", "sec-fetch-site": "none"},
        {"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:8501"},
        {"host": "[::1]:8501"},
    ],
)
def test_the_apps_own_pages_pass(headers: dict[str, str]) -> None:
    assert refusal(Headers(headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8501"},
        {"host": "127.0.0.1:8501", "sec-fetch-site": "cross-site"},
        {"host": "127.0.0.1:8501", "sec-fetch-site": "same-site"},
        {"host": "127.0.0.1:8501", "origin": "http://evil.example"},
        {"host": "127.0.0.1:8501", "origin": "http://127.0.0.1:9999"},
        {"host": "127.0.0.1:8501", "origin": "null"},
    ],
)
def test_others_are_refused(headers: dict[str, str]) -> None:
    assert refusal(Headers(headers))
