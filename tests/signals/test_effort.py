"""An apnea's type from the effort belts: what they show, and what they cannot show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.signals.effort import apnea_type, prepare_belt
from sleepfm.vocabulary import EventName

RATE_HZ, SECONDS = 20.0, 600
START_S, STOP_S = 200.0, 222.0
T = np.arange(SECONDS * RATE_HZ) / RATE_HZ
NO_EPOCH = np.zeros(SECONDS // 30, bool)
OBSTRUCTIVE, CENTRAL, MIXED = EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA

Course = Callable[[np.ndarray], np.ndarray]
"""How large the breaths are: 0 at the apnea's start to 1 at its end → multiple of the usual."""


def moved(course: Course, *, breath_s: float = 4.0, phase: float = 0.0) -> np.ndarray:
    """A belt that breathes steadily but for the apnea, with a heart of 66 beats a minute."""
    within = (START_S <= T) & (T < STOP_S)
    size = np.ones(len(T))
    size[within] = course((T[within] - START_S) / (STOP_S - START_S))
    return size * np.sin(2 * np.pi * T / breath_s + phase) + 0.06 * np.sin(2 * np.pi * 1.1 * T)


def seen(*belts: np.ndarray, unusable: np.ndarray = NO_EPOCH) -> EventName | None:
    return apnea_type(START_S, STOP_S, [prepare_belt(x, RATE_HZ, unusable) for x in belts])


def going_on(_share: np.ndarray) -> np.ndarray:
    return np.ones(len(_share))


def growing(share: np.ndarray) -> np.ndarray:
    return 0.35 + 0.9 * share


def absent(share: np.ndarray) -> np.ndarray:
    return np.full(len(share), 0.02)


def resumed(share: np.ndarray) -> np.ndarray:
    return np.where(share < 0.5, 0.02, share)


def ceasing(share: np.ndarray) -> np.ndarray:
    return resumed(1 - share)


def doubtful(share: np.ndarray) -> np.ndarray:
    return np.full(len(share), 0.22)


@pytest.mark.parametrize(
    ("course", "found"),
    [
        (going_on, OBSTRUCTIVE),
        (growing, OBSTRUCTIVE),
        (absent, CENTRAL),
        (resumed, MIXED),
        (ceasing, None),
        (doubtful, None),
    ],
)
@pytest.mark.parametrize("breath_s", [2.5, 4.0, 5.5])
def test_effort_through_all_of_it_none_or_none_at_first(course: Course, breath_s: float, found: EventName | None) -> None:
    thorax, abdomen = moved(course, breath_s=breath_s), moved(course, breath_s=breath_s, phase=-0.2)
    assert seen(thorax, abdomen) is found
    paradoxical = np.where((START_S <= T) & (T < STOP_S), -thorax, thorax)
    assert seen(paradoxical, abdomen) is found


@settings(max_examples=15, deadline=None)
@given(
    course=st.sampled_from([going_on, absent, resumed]),
    size=st.floats(1e-6, 1e6),
    polarity=st.sampled_from([1.0, -1.0]),
    zero=st.floats(-100, 100),
    drift=st.floats(0, 3),
)
def test_size_zero_polarity_and_drift_of_a_belt_do_not_matter(
    course: Course, size: float, polarity: float, zero: float, drift: float
) -> None:
    x = moved(course)
    drifting = size * (polarity * x + zero + drift * np.sin(2 * np.pi * T / 120))
    assert (
        seen(drifting, moved(course))
        is seen(x, moved(course))
        is {going_on: OBSTRUCTIVE, absent: CENTRAL, resumed: MIXED}[course]
    )


def test_effort_in_one_belt_alone_is_effort() -> None:
    assert seen(moved(absent), moved(going_on)) is OBSTRUCTIVE


def test_one_belt_shows_effort_but_not_its_absence() -> None:
    assert seen(moved(going_on)) is OBSTRUCTIVE
    assert seen(moved(absent)) is None
    assert seen(moved(resumed)) is None
    assert seen() is None


def test_belts_that_show_no_breathing_decide_nothing() -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, len(T))
    assert seen(np.zeros(len(T)), moved(absent)) is None  # dead
    assert seen(noise, moved(absent)) is None  # came off
    assert seen(noise, moved(going_on)) is None
    slipped = np.where((T > 75) & (T < 345), 0.05, 1.0)
    assert seen(*(slipped * moved(course) for course in (going_on, absent))) is None


def test_an_epoch_in_which_a_belt_is_unusable_is_not_looked_at() -> None:
    unusable = NO_EPOCH.copy()
    unusable[int(START_S // 30)] = True
    assert seen(moved(absent), moved(absent), unusable=unusable) is None


def test_with_nothing_to_compare_with_nothing_is_decided() -> None:
    belts = [prepare_belt(moved(absent), RATE_HZ, NO_EPOCH)] * 2
    other_events = [(0.0, START_S - 5), (STOP_S + 5, float(SECONDS))]
    assert apnea_type(START_S, STOP_S, belts, other_events) is None
    assert apnea_type(START_S, STOP_S, belts, other_events[1:]) is CENTRAL
