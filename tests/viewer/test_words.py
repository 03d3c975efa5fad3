"""Numbers as people say them."""

from __future__ import annotations

import pytest

from sleepfm.viewer.words import duration_words, time_left_words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (10, "10 s"), (310, "5 min 10 s"), (28_680, "7 h 58 min"), (3599.6, "1 h 00 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_time_left() -> None:
    assert time_left_words(None) == ""
    assert time_left_words(0.2) == ", 1 s left"
