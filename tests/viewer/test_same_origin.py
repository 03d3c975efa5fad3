"""Other web pages must not reach the app's own routes."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from sleepfm.viewer.same_origin import LOCAL_ONLY, OwnNames, other_name, other_site


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
    assert other_name(Headers(headers)) is None
    assert other_site(Headers(headers)) is None


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
        {"host": "127.0.0.1:8501", "origin": "http://["},
    ],
)
def test_others_are_refused(headers: dict[str, str]) -> None:
    assert other_name(Headers(headers)) or other_site(Headers(headers))


@pytest.mark.parametrize("host", ["lab", "LAB:8501", "lab.", "192.0.2.7:8501", "localhost", "127.0.0.1:1"])
def test_an_app_for_others_answers_under_its_names_and_the_address_that_a_request_arrived_at(host: str) -> None:
    assert OwnNames.with_others(["Lab"]).include(host, ("192.0.2.7", 8501))


@pytest.mark.parametrize(
    "host", ["", "evil.example", "lab.evil.example", "192.0.2.8", "lab:port", "lab/x", "me@lab", "lab?x", "0.0.0.0", "[::1"]
)
def test_and_under_no_other(host: str) -> None:
    assert not OwnNames.with_others(["Lab"]).include(host, ("192.0.2.7", 8501))


def test_an_address_in_ipv6_clothes_is_the_same_address() -> None:
    assert OwnNames.with_others([]).include("192.0.2.7:8501", ("::ffff:192.0.2.7", 8501))


def test_an_app_for_this_machine_does_not_answer_under_its_other_addresses() -> None:
    assert not LOCAL_ONLY.include("192.0.2.7:8501", ("192.0.2.7", 8501))
