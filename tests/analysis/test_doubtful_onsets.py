"""Latencies that rest on stray epochs are to be looked at; those of a night that falls asleep for good are not."""

from __future__ import annotations

import numpy as np
import pytest

from sleepfm.analysis.doubtful_onsets import doubtful_onsets
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.vocabulary import Stage

W, N1, N2, R = Stage.WAKE, Stage.N1, Stage.N2, Stage.REM


def night(*bouts: tuple[Stage, int]) -> np.ndarray:
    return np.concatenate([np.full(length, stage, np.int8) for stage, length in bouts])


STRAY = night((W, 70), (R, 2), (W, 30), (N2, 120), (R, 20), (W, 10))


def test_a_stray_r_in_wake_is_named_and_the_definition_stays() -> None:
    found = night_statistics(STRAY)
    assert (found["sol"].value, found["rem_latency"].value) == (35.0, 0.0)
    assert found["sol"].remark == (
        "Sleep latency rests on epochs 71 to 72, which nobody has looked at here, then Wake, 16.0 min before persistent sleep:"
        " look there before it is believed."
    )
    assert found["rem_latency"].remark == (
        "REM latency of 0.0 min rests on epochs 71 to 72, which nobody has looked at here, 16.0 min before persistent sleep:"
        " look there before it is read as sleep-onset R."
    )
    assert {found["sol"].remark, found["rem_latency"].remark} <= set(found.remarks)


def test_what_somebody_looked_at_is_not_asked_about_again() -> None:
    looked_at = np.zeros(len(STRAY), dtype=bool)
    looked_at[70:72] = True
    assert all(not one.remark for one in night_statistics(STRAY, looked_at=looked_at).items)


@pytest.mark.parametrize(
    ("stages", "doubted"),
    [
        (night((W, 20), (N2, 140), (R, 20)), set()),
        (night((W, 20), (N1, 3), (W, 5), (N2, 140), (R, 20)), set()),
        (night((W, 20), (N1, 2), (W, 5), (N2, 140), (R, 20)), {"sol"}),
        (night((W, 20), (N1, 29), (R, 20), (N2, 140)), {"rem_latency"}),
        (night((W, 20), (N1, 30), (R, 20), (N2, 140)), set()),
        (night((W, 20)), set()),
        (night((W, 20), (N2, 1)), {"sol"}),
    ],
)
def test_where_the_bounds_lie(stages: np.ndarray, doubted: set[str]) -> None:
    assert set(doubtful_onsets(stages, night_span(len(stages)))) == doubted
