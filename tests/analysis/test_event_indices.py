"""Which events count in sleep, and how leg movements become periodic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.analysis.event_indices import APNEAS_AND_HYPOPNEAS, counted_epochs, counted_in_sleep, made_ready, sole_support
from sleepfm.analysis.leg_movements import candidate_onsets, periodic_in_sleep
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.sleep_statistics import NightStatistics, night_statistics
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

W, N2, R = Stage.WAKE, Stage.N2, Stage.REM
STAGES = np.repeat(np.array([W, N2, R, W], np.int8), [10, 60, 30, 20])
"""W to 300 s, N2 to 2100 s, R to 3000 s, W to 3600 s: 45 min of sleep."""


def one(name: EventName, start_s: float, stop_s: float | None = None, **extra: float) -> Event:
    """Return an event of 10 s unless told."""
    return Event(start_s, start_s + 10 if stop_s is None else stop_s, name, extra=dict(extra))


def of(*events: Event, looked_for: tuple[str, ...] = (), stages: np.ndarray = STAGES) -> NightStatistics:
    """Return the statistics of these events."""
    return night_statistics(stages, events=events, looked_for=looked_for)


@pytest.mark.parametrize(
    ("start_s", "stop_s", "counts"),
    [
        (280, 299, 0), (280, 300, 0), (280, 301, 1), (299, 330, 1), (2990, 3020, 1), (2999.9, 3020, 1), (3000, 3020, 0),
        (3100, 3100, 0), (900, 900, 1), (-20, -5, 0), (3590, 3700, 0), (0, 3600, 1),
    ],
)  # fmt: skip
def test_an_event_counts_when_any_part_lies_in_an_epoch_of_sleep(start_s: float, stop_s: float, counts: int) -> None:
    assert of(one(EventName.HYPOPNEA, start_s, stop_s))["hypopneas"].value == counts


def test_ahi_is_of_apneas_and_hypopneas_and_its_parts_are_by_stage() -> None:
    found = of(
        one(EventName.OBSTRUCTIVE_APNEA, 400), one(EventName.CENTRAL_APNEA, 500), one(EventName.MIXED_APNEA, 600),
        one(EventName.HYPOPNEA, 2095, 2130), one(EventName.HYPOPNEA, 2200), one(EventName.HYPOPNEA, 295, 310),
        one(EventName.RERA, 2300), one(EventName.AROUSAL, 2400),
    )  # fmt: skip
    assert found["ahi"].value == pytest.approx(6 * 60 / 45)
    assert found["rdi"].value == pytest.approx(7 * 60 / 45)
    assert found["cai"].value == pytest.approx(60 / 45)
    assert found["ahi_rem"].value == pytest.approx(60 / 15)  # the one at 2095 s begins in N2
    assert found["ahi_nrem"].value == pytest.approx(5 * 60 / 30)
    counts = [found[key].value for key in ("obstructive_apneas", "central_apneas", "mixed_apneas", "hypopneas", "reras")]
    assert counts == [1, 1, 1, 3, 1]


def test_none_marked_is_unknown_unless_somebody_looked() -> None:
    nothing = of()
    for key in ("ahi", "rdi", "arousal_index", "odi3", "plmi", "plmi_marked"):
        assert nothing[key].value is None
        assert "is marked" in nothing[key].why_none
    looked = of(looked_for=(*APNEAS_AND_HYPOPNEAS, "RERA", "Arousal", "Desaturation", "Leg movement", "PLM"))
    assert [looked[key].value for key in ("ahi", "rdi", "arousal_index", "odi3", "plmi", "plmi_marked")] == [0] * 6
    assert of(one(EventName.HYPOPNEA, 3100))["ahi"].value == 0  # marked in Wake: there was somebody who looked
    assert of(one(EventName.RERA, 400))["ahi"].value is None


def test_an_arousal_belongs_to_the_sleep_that_it_ends() -> None:
    assert of(one(EventName.AROUSAL, 3005))["arousals"].value == 1
    assert of(one(EventName.AROUSAL, 3011))["arousals"].value == 0
    assert of(one(EventName.AROUSAL, 1000), one(EventName.AROUSAL, 200))["arousal_index"].value == pytest.approx(60 / 45)


def test_desaturations_are_graded_by_their_depth() -> None:
    depths = (2.9, 3.0, 3.9, 4.0, 8.0)
    found = of(*(one(EventName.DESATURATION, 400 + 60 * k, Desaturation=depth) for k, depth in enumerate(depths)))
    assert (found["odi3"].value, found["odi4"].value) == (pytest.approx(4 * 60 / 45), pytest.approx(2 * 60 / 45))
    some = of(one(EventName.DESATURATION, 400, Desaturation=5.0), one(EventName.DESATURATION, 500))
    assert some["odi3"].value == pytest.approx(60 / 45)
    assert "1 marked desaturation has no depth: it is in neither ODI." in some.remarks
    assert of(one(EventName.DESATURATION, 500))["odi3"].why_none == "the marked desaturations have no depth"


def test_events_outside_are_said() -> None:
    found = of(one(EventName.HYPOPNEA, 4000), one(EventName.HYPOPNEA, -50), one(EventName.AROUSAL, 500))
    assert "2 × Hypopnea outside lights off to lights on: not counted." in found.remarks


def legs(*onsets_s: float, seconds: float = 2.0) -> list[Event]:
    """Return leg movements."""
    return [Event(onset, onset + seconds, EventName.LEG_MOVEMENT) for onset in onsets_s]


@pytest.mark.parametrize(
    ("events", "periodic"),
    [
        (legs(400, 420, 440), 0),  # three are no series
        (legs(400, 420, 440, 460), 4),
        (legs(400, 405, 410, 415), 4),  # 5 s are enough
        (legs(400, 404.9, 410, 430, 450), 4),  # of two within 5 s one counts
        (legs(400, 490, 580, 670), 4),  # 90 s are not too far
        (legs(400, 490, 580, 670.1), 0),
        (legs(400, 420, 440, 460, seconds=0.4), 0),
        (legs(400, 420, 440, 460, seconds=0.5), 4),
        (legs(400, 420, 440, 460, seconds=10.0), 4),
        (legs(400, 420, 440, 460, seconds=10.1), 0),
        ([*legs(400, 420, 440, 460), one(EventName.HYPOPNEA, 440.5, 455)], 0),
        ([*legs(400, 420, 440, 460), one(EventName.HYPOPNEA, 423, 439.6)], 0),  # ends within 0.5 s before the third
        ([*legs(400, 420, 440, 460), one(EventName.HYPOPNEA, 423, 439.4)], 4),
        ([*legs(400, 420, 440, 460), one(EventName.RERA, 442.4, 455)], 0),
        ([*legs(400, 420, 440, 460), one(EventName.DESATURATION, 430, 455)], 4),
        (legs(2950, 2970, 2990, 3005), 0),  # the fourth begins in Wake
        (legs(230, 250, 290, 310, 330, 350, 370), 4),
    ],
)
def test_periodic_leg_movements_by_the_rules_of_aasm(events: list[Event], periodic: int) -> None:
    found = of(*events)
    assert found["plms"].value == periodic
    assert found["plmi"].value == pytest.approx(60 * periodic / 45)


def test_wake_within_a_series_ends_it_only_when_it_is_too_long() -> None:
    stages = STAGES.copy()
    stages[20:22] = W  # 600 to 660 s
    events = legs(560, 580, 620, 640, 665, 685)  # those in Wake are not counted; from 580 to 665 s the gap is 85 s
    assert of(*events, stages=stages)["plms"].value == 4
    stages[22] = W
    assert of(*events, stages=stages)["plms"].value == 0


def test_marked_plm_are_counted_as_they_are() -> None:
    found = of(*(Event(at, at + 2, EventName.PLM) for at in (400, 500, 3100)))
    assert found["plmi_marked"].value == pytest.approx(2 * 60 / 45)
    assert found["plmi"].value == 0.0  # three movements, and far apart: no series


def test_a_movement_marked_as_periodic_is_a_leg_movement_and_counts_once() -> None:
    marked = [Event(at, at + 2, EventName.PLM) for at in (400, 420, 440)]
    assert of(*marked, *legs(460))["plms"].value == 4
    assert of(*marked, *legs(400, 420, 440, 460))["plms"].value == 4


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([EventName.HYPOPNEA, EventName.RERA, EventName.LEG_MOVEMENT]), st.floats(-50, 700), st.floats(0, 70)
    ),
    max_size=12,
)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=20), EVENTS)
@settings(max_examples=80, deadline=None)
def test_many_hypnograms_at_once_count_as_each_alone_and_as_a_plain_loop(
    stages: list[int], drawn: list[tuple[EventName, float, float]]
) -> None:
    events = [Event(start, start + length, name) for name, start, length in drawn]
    span = night_span(len(stages))
    rows = np.array([stages, stages[::-1]], np.int8)
    counted = made_ready(events, span)
    onsets = candidate_onsets(events, span)
    together = counted_in_sleep(rows, span, counted)
    periodic = periodic_in_sleep(rows, onsets)
    for row, found in zip(rows, together[EventName.HYPOPNEA], strict=True):
        asleep = [k for k, stage in enumerate(row.tolist()) if stage > Stage.WAKE]
        plain = sum(
            any(event.start_s < EPOCH_S * (k + 1) and max(event.stop_s, event.start_s + 1e-6) > EPOCH_S * k for k in asleep)
            for event in events
            if event.name == EventName.HYPOPNEA
        )
        assert found == plain
    assert [float(periodic_in_sleep(row[None], onsets)[0]) for row in rows] == periodic.tolist()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), EVENTS)
@settings(max_examples=60, deadline=None)
def test_what_one_epoch_does_to_a_count_is_what_changing_it_does(
    stages: list[int], drawn: list[tuple[EventName, float, float]]
) -> None:
    events = [Event(start, start + length, EventName.HYPOPNEA) for _, start, length in drawn]
    span = night_span(len(stages))
    counted = made_ready(events, span)
    now = np.array(stages, np.int8)
    gained, lost, count = sole_support(now, span, counted, counted.counts[EventName.HYPOPNEA])
    assert count == counted_in_sleep(now[None], span, counted)["ahi"][0]
    for epoch, stage in enumerate(stages):
        changed = now.copy()
        changed[epoch] = Stage.WAKE if stage > Stage.WAKE else Stage.N2
        then = counted_in_sleep(changed[None], span, counted)["ahi"][0]
        assert then - count == (-lost[epoch] if stage > Stage.WAKE else gained[epoch])


@given(
    st.lists(st.sampled_from([-1, 0, 2, 4]), min_size=1, max_size=30),
    st.lists(
        st.tuples(st.sampled_from([EventName.HYPOPNEA, EventName.AROUSAL]), st.floats(-40, 950), st.floats(0, 100)), max_size=8
    ),
    st.tuples(st.floats(0, 400), st.floats(410, 900)),
)
@settings(max_examples=60, deadline=None)
def test_each_event_counts_where_the_numbers_count_it(
    stages: list[int], marks: list[tuple[EventName, float, float]], lights: tuple[float, float]
) -> None:
    stages_n = np.array(stages, np.int8)
    events = [Event(start, start + length, name) for name, start, length in marks]
    span = night_span(len(stages), lights_off_s=lights[0], lights_on_s=lights[1])
    at_e = counted_epochs(events, stages_n, span)
    found = {key: int(count[0]) for key, count in counted_in_sleep(stages_n[None], span, made_ready(events, span)).items()}
    names_e = np.array([event.name for event in events])
    assert ((at_e >= 0) & (names_e == EventName.HYPOPNEA)).sum() == found["ahi"]
    assert ((at_e >= 0) & (names_e == EventName.AROUSAL)).sum() == found["arousals"]
    in_r_e = (at_e >= 0) & (stages_n[np.maximum(at_e, 0)] == R)
    assert (in_r_e & (names_e == EventName.HYPOPNEA)).sum() == found["ahi rem"]
