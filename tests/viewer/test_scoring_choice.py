"""Which scorings are on the screen at first: a simulated model's beside another, never in its place."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from sleepfm.library.library import StoredScoring
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.scoring_choice import shown_at_first

YASA, DEMO, OWN, ADA = "yasa", "sleepfm", "file", "person"


def stored(number: int, engine: str) -> StoredScoring:
    provenance = {"trained_on": "simulated" if engine == DEMO else "real PSG"}
    return StoredScoring(
        number, Scoring(np.zeros(2, np.int8)), engine, "", engine, "", datetime(2026, 1, 1, tzinfo=UTC), provenance
    )


@pytest.mark.parametrize(
    ("there", "upper", "lower"),
    [
        ([(2, YASA), (1, OWN)], 2, None),
        ([(2, YASA), (3, DEMO), (1, OWN)], 2, 3),
        ([(2, YASA), (3, DEMO), (4, OWN)], 2, 3),  # the recording's own was read again: nobody asked for that
        ([(3, YASA), (2, DEMO), (1, OWN)], 3, None),
        ([(2, DEMO), (1, OWN)], 2, None),
        ([(1, OWN)], 1, None),
        ([(5, ADA), (2, YASA), (1, OWN)], 5, None),
        ([(2, YASA), (1, OWN), (5, ADA)], 5, None),  # begun from nothing: it does not count yet, and somebody is at work on it
    ],
)
def test_what_a_simulated_model_made_last_stands_below(there: list[tuple[int, str]], upper: int, lower: int | None) -> None:
    first, second = shown_at_first([stored(*one) for one in there])
    assert (first.id, None if second is None else second.id) == (upper, lower)
