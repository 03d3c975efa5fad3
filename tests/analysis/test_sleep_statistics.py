"""The statistics of a night: what each number counts, and what is said where there is none."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.analysis.statistic_definitions import DEFINITIONS, GROUPS
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import NO_POSITION, Vitals
from sleepfm.vocabulary import EventName, Stage

NIGHT = np.repeat(
    np.array([Stage.WAKE, Stage.N1, Stage.N2, Stage.WAKE, Stage.REM, Stage.N2, Stage.WAKE], np.int8), [10, 4, 40, 6, 20, 20, 10]
)
"""55 min: 5 W, 2 N1, 20 N2, 3 W, 10 R, 10 N2, 5 W."""


def event(name: EventName, start_s: float, seconds: float = 10.0, **extra: float) -> Event:
    """Return an event."""
    return Event(start_s, start_s + seconds, name, extra=dict(extra))


def lights(off_s: float | None = None, on_s: float | None = None) -> list[Event]:
    """Return the marks of the lights."""
    marks = [(EventName.LIGHTS_OFF, off_s), (EventName.LIGHTS_ON, on_s)]
    return [Event(at, at, name) for name, at in marks if at is not None]


def vitals_of(
    seconds: int, *, spo2: np.ndarray | float = 96.0, heart: float = 60.0, position: np.ndarray | None = None
) -> Vitals:
    """Return vitals of a night with named positions 1 and 2."""
    codes = np.full(seconds, NO_POSITION, np.int16) if position is None else position.astype(np.int16)
    names = {} if position is None else {1: "Supine", 2: "Left"}
    return Vitals(
        np.broadcast_to(np.asarray(spo2, np.float32), seconds).copy(),
        np.full(seconds, heart, np.float32),
        codes,
        names,
        np.zeros(0),
    )


def test_every_number_stands_in_order_with_its_definition_and_its_value_or_its_reason() -> None:
    found = night_statistics(NIGHT)
    assert [item.key for item in found.items] == list(DEFINITIONS)
    assert {item.group for item in found.items} == set(GROUPS)
    for item in found.items:
        assert item.definition, item.key
        assert (item.value is None) == bool(item.why_none), item.key
        assert (item.low, item.high, item.interval) == (None, None, "")  # nothing is known of how sure the scorer was
    assert found.intervals == ""
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["statistics"][0]["key"] == "tib"


def test_lights_cut_the_night_and_time_counts_to_the_second() -> None:
    found = night_statistics(NIGHT, events=lights(285.0, 3015.0))
    assert found["tib"].value == 45.5
    assert found["sol"].value == 0.25
    assert found["wake"].value == 0.25 + 3 + 0.25
    assert found["waso"].value == 3.25
    assert found["se"].value == pytest.approx(100 * 42 / 45.5)
    assert found.remarks == ()
    assert night_statistics(NIGHT, lights_off_s=285.0, lights_on_s=3015.0).items == found.items


def test_sleep_that_is_scored_outside_the_lights_is_not_counted_and_that_is_said() -> None:
    found = night_statistics(NIGHT, events=lights(360.0, 3270.0))  # N1 from 300 s, R until 2400 s, N2 until 3000 s
    assert found["tst"].value == 41.0
    assert found.remarks[0] == "2 epochs of sleep are scored outside lights off to lights on: not counted."
    cut = night_statistics(NIGHT, events=lights(315.0))  # an epoch is cut, none is lost
    assert not any("outside" in one for one in cut.remarks)


def test_without_marks_the_recordings_ends_are_taken_and_that_is_said() -> None:
    found = night_statistics(NIGHT)
    assert found["tib"].value == 55
    assert "Lights off is not marked: the start of the recording was taken." in found.remarks
    assert "Lights on is not marked: the end of the scoring was taken." in found.remarks
    outside = night_statistics(NIGHT, events=lights(-30.0, 5000.0))
    assert outside["tib"].value == 55
    assert sum("lies outside the scoring" in remark for remark in outside.remarks) == 2


def test_of_several_marks_the_first_off_and_the_last_on_count() -> None:
    marks = [*lights(600.0, 2400.0), *lights(300.0, 3000.0)]
    found = night_statistics(NIGHT, events=marks)
    assert found["tib"].value == 45
    assert "Lights off is marked 2 times: the first counts." in found.remarks


@pytest.mark.parametrize("marks", [(3000.0, 300.0), (600.0, 600.0), (4000.0, None), (None, 0.0)])
def test_contradicting_marks_leave_the_numbers_that_need_them_undefined(marks: tuple[float | None, float | None]) -> None:
    found = night_statistics(NIGHT, events=lights(*marks))
    for key in ("tib", "se", "sol", "persistent_latency", "waso"):
        assert found[key].value is None
        assert "Lights o" in found[key].why_none
    assert found["tst"].value == 42
    assert found["rem_latency"].value == 25
    assert any("are left out, the others are of the whole recording" in remark for remark in found.remarks)


def test_unknown_is_neither_sleep_nor_wake() -> None:
    stages = NIGHT.copy()
    stages[:4] = stages[20:30] = stages[56:58] = Stage.UNKNOWN
    found = night_statistics(stages)
    assert found["unknown"].value == 8
    assert found["wake"].value == 13 - 3
    assert found["tst"].value == 42 - 5
    assert found["waso"].value == 2 + 5
    assert found["se"].value == pytest.approx(100 * 37 / 47)
    assert found["awakenings"].value == 1
    assert "8.0 min between lights off and lights on are Unknown: they count neither as sleep nor as Wake." in found.remarks
    assert found["sol"].why_none == found["rem_latency"].why_none == "epochs that nobody scored may be the first sleep"
    assert any("sleep may have begun there" in remark for remark in found.remarks)
    assert any("R may have begun earlier" in remark for remark in found.remarks)
    assert found["waso"].text == "≥ 7.0 min"
    stages[:4] = Stage.WAKE
    assert night_statistics(stages)["rem_latency"].text.startswith("≤ ")


def test_a_head_that_nobody_scored_is_no_latency() -> None:
    stages = np.repeat(np.array([Stage.UNKNOWN, Stage.N2, Stage.REM], np.int8), [20, 60, 20])
    found = night_statistics(stages)
    assert [found[key].value for key in ("sol", "persistent_latency", "rem_latency")] == [None, None, None]
    assert found["persistent_latency"].why_none == "epochs that nobody scored may be the first persistent sleep"
    assert night_statistics(stages, lights_off_s=600)["sol"].value == 0


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 25)), min_size=1, max_size=10), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_what_is_stated_holds_however_the_unknown_epochs_are_scored(bouts: list[tuple[int, int]], random: Random) -> None:
    stages = np.concatenate([np.full(length, stage, np.int8) for stage, length in bouts])
    unknown = stages == Stage.UNKNOWN
    filled = stages.copy()
    filled[unknown] = [random.randint(0, 4) for _ in range(int(unknown.sum()))]
    before, after = night_statistics(stages), night_statistics(filled)
    for key in ("sol", "persistent_latency", "rem_latency", "waso"):
        stated, value = before[key], after[key].value
        if stated.value is None or value is None:
            assert stated.value is None, key
        elif stated.bound == "≤":
            assert value <= stated.value, key
        elif stated.bound == "≥":
            assert value >= stated.value, key
        else:
            assert value == stated.value, key


ALL_FOUR = {"Obstructive apnea", "Central apnea", "Mixed apnea", "Hypopnea"}
AHIS = ("ahi", "ahi_nrem", "rdi")


def test_an_ahi_needs_all_that_it_counts_to_be_looked_for() -> None:
    apneas = [event(EventName.OBSTRUCTIVE_APNEA, 900 + 60 * k) for k in range(4)]
    whole = night_statistics(NIGHT, events=apneas, looked_for=ALL_FOUR)
    assert (whole["ahi"].value, whole["hypopneas"].value) == (pytest.approx(4 / (42 / 60)), 0)
    part = night_statistics(NIGHT, events=apneas, looked_for=(ALL_FOUR - {"Hypopnea"}) | {"RERA"})
    for key in (*AHIS, "hypopneas"):
        assert part[key].value is None, key
        assert part[key].why_none == "hypopneas were not looked for, and none is marked"
    assert (part["obstructive_apneas"].value, part["cai"].value) == (4, 0)
    by_hand = night_statistics(NIGHT, events=[*apneas, event(EventName.HYPOPNEA, 1500)], looked_for=ALL_FOUR - {"Hypopnea"})
    assert (by_hand["ahi"].value, by_hand["hypopneas"].value) == (pytest.approx(5 / (42 / 60)), 1)
    said = "The program did not look for hypopneas: only those that people marked are counted."
    assert said in by_hand.remarks
    assert said not in whole.remarks
    # where no program looked for any, whoever marked some looked for all
    assert night_statistics(NIGHT, events=apneas, looked_for={"Arousal"})["ahi"].value == whole["ahi"].value


def test_epochs_in_which_nothing_could_be_looked_for_are_not_in_the_hours() -> None:
    stages = np.full(480, Stage.N2, np.int8)
    marked = [event(EventName.OBSTRUCTIVE_APNEA, 60.0 + 90 * k) for k in range(40)]
    marked += [event(EventName.DESATURATION, 90.0, Desaturation=4.0)]
    found = night_statistics(stages, events=marked, looked_for=ALL_FOUR, left_out=[(240, 480)])
    assert (found["tst"].value, found["ahi"].value, found["ahi_nrem"].value, found["odi3"].value) == (240, 20, 20, 0.25)
    assert any(remark.startswith("120.0 min of sleep, in which no events could be looked for") for remark in found.remarks)
    by_hand = [*marked, event(EventName.HYPOPNEA, 300 * 30.0)]  # somebody looked at that epoch
    assert night_statistics(stages, events=by_hand, looked_for=ALL_FOUR, left_out=[(240, 480)])["ahi"].value == pytest.approx(
        41 / (241 / 120)
    )


def test_an_awakening_behind_unknown_epochs_is_one() -> None:
    stages = np.array([2, 2, -1, 0, 0, 2, -1, 2, 0], np.int8)
    assert night_statistics(stages)["awakenings"].value == 1


def test_a_night_without_sleep_says_so() -> None:
    found = night_statistics(np.zeros(100, np.int8), events=[event(EventName.HYPOPNEA, 60)], vitals=vitals_of(3000))
    assert (found["tst"].value, found["se"].value, found["wake"].value) == (0, 0, 50)
    for key in ("sol", "rem_latency", "waso", "n3_share", "ahi", "t90", "spo2_mean", "spo2_min", "hr_max", "odi3_spo2"):
        assert found[key].value is None, key
        assert found[key].why_none == "no epoch between lights off and lights on is scored as sleep"
    assert found["hypopneas"].value == 0


def test_a_night_without_rem_says_so() -> None:
    found = night_statistics(
        np.where(NIGHT == Stage.REM, Stage.N2, NIGHT).astype(np.int8), events=[event(EventName.HYPOPNEA, 600)]
    )
    assert found["rem_latency"].why_none == "no epoch between lights off and lights on is scored as R"
    assert found["ahi_rem"].value is None
    assert found["rem"].value == 0
    only = night_statistics(np.full(40, Stage.REM, np.int8), events=[event(EventName.HYPOPNEA, 600)])
    assert (only["rem_latency"].value, only["ahi_rem"].value, only["ahi_nrem"].value) == (0, 3, None)


@pytest.mark.parametrize("stages", [np.full(20, -1, np.int8), np.empty(0, np.int8)])
def test_a_night_that_nobody_scored_has_no_numbers(stages: np.ndarray) -> None:
    found = night_statistics(stages, events=[event(EventName.HYPOPNEA, 60)], probabilities=np.full((len(stages), 5), 0.2))
    defined = {item.key for item in found.items if item.value is not None}
    assert defined <= {"tib", "unknown"}
    assert all("scor" in item.why_none for item in found.items if item.value is None)


def test_persistent_sleep_is_twenty_epochs_in_a_row() -> None:
    short = np.repeat(np.array([0, 2, 0, 2], np.int8), [4, 19, 1, 20])
    assert night_statistics(short)["persistent_latency"].value == 12
    broken = np.repeat(np.array([0, 2, 0, 2], np.int8), [4, 19, 1, 19])
    assert night_statistics(broken)["persistent_latency"].why_none == "nowhere are 20 epochs in a row scored as sleep"


def test_oxygen_and_heart_rate_are_those_of_sleep() -> None:
    spo2 = np.full(3300, 97.0)
    spo2[:300] = 70.0  # awake
    spo2[400:430] = 85.0
    spo2[500:510] = np.nan
    vitals = vitals_of(3300, spo2=spo2, heart=58.0)
    vitals.heart_rate_1hz[1000] = 90.0
    vitals.heart_rate_1hz[10] = 150.0
    found = night_statistics(NIGHT, vitals=vitals)
    assert found["spo2_min"].value == 85
    assert found["t90_min"].value == 0.5
    assert found["t90"].value == pytest.approx(100 * 30 / (42 * 60 - 10))
    assert found["spo2_mean"].value == pytest.approx((30 * 85 + (42 * 60 - 40) * 97) / (42 * 60 - 10))
    assert found["odi3_spo2"].value == pytest.approx(60 / 42)
    assert (found["hr_min"].value, found["hr_max"].value) == (58, 90)
    assert found["hr_mean"].value == pytest.approx(58 + 32 / (42 * 60))
    spo2[420:3000] = np.nan
    assert any(
        "has a SpO2 that can be believed" in remark
        for remark in night_statistics(NIGHT, vitals=vitals_of(3300, spo2=spo2)).remarks
    )
    assert night_statistics(NIGHT, vitals=vitals_of(3300, spo2=np.nan))["t90"].why_none == "no SpO2 in sleep that can be believed"


def test_the_ahi_of_a_position_is_of_the_sleep_in_it() -> None:
    position = np.where(np.arange(3300) < 1800, 1, 2)
    events = [event(EventName.HYPOPNEA, 600), event(EventName.OBSTRUCTIVE_APNEA, 1200), event(EventName.HYPOPNEA, 2400)]
    found = night_statistics(NIGHT, events=events, vitals=vitals_of(3300, position=position))
    assert found["ahi_position_supine"].value == pytest.approx(60 * 2 / 22)
    assert found["ahi_position_left"].value == pytest.approx(60 * 1 / 20)
    keys = [item.key for item in found.items]
    assert keys.index("ahi_position_supine") == keys.index("ahi_nrem") + 1
    awake = night_statistics(
        np.where(position[::30] == 2, 0, NIGHT).astype(np.int8), events=events, vitals=vitals_of(3300, position=position)
    )
    assert awake["ahi_position_left"].why_none == "no sleep in this position"


def test_probabilities_must_be_of_the_same_epochs() -> None:
    with pytest.raises(ValueError, match="110 stages, but 3 rows"):
        night_statistics(NIGHT, probabilities=np.full((3, 5), 0.2))
