"""Two scorers over many nights, against scikit-learn, by hand, and by simulation of what the intervals promise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, f1_score

from sleepfm.analysis.agreement import agree
from sleepfm.analysis.batch_agreement import NightPair, Scored, agree_over_nights, disagreements
from sleepfm.analysis.bland_altman import limits_of_agreement
from sleepfm.analysis.event_agreement import BREATHING, agree_on_events, match_events
from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import STAGE_NAMES, Stage


def night(seed: int, *, same: float = 0.8, epochs: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Return two scorings of a night that are the same in about this share of epochs."""
    rng = np.random.default_rng(seed)
    a = np.repeat(rng.integers(0, 5, epochs // 10), 10).astype(np.int8)
    b = np.where(rng.random(epochs) < same, a, rng.integers(0, 5, epochs)).astype(np.int8)
    return a, b


def pairs(count: int, *, a_person: int = 1, same: float = 0.8) -> list[NightPair]:
    return [
        NightPair(f"night {n}", f"p{n // a_person}", Scored(a), Scored(b)) for n in range(count) for a, b in [night(n, same=same)]
    ]


def event(start: float, stop: float, name: str = "Hypopnea") -> Event:
    return Event(start, stop, name)


def test_epochs_of_all_nights_together_are_as_scikit_learn_has_them() -> None:
    nights = pairs(6)
    found = agree_over_nights(nights)
    a = np.concatenate([one.a.stages for one in nights])
    b = np.concatenate([one.b.stages for one in nights])
    assert found.kappa.value == pytest.approx(cohen_kappa_score(a, b))
    assert found.accuracy.value == pytest.approx(accuracy_score(a, b))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(a, b))
    for name, value in zip(STAGE_NAMES.values(), (None, *f1_score(a, b, average=None)), strict=True):
        if value is not None:
            assert found.f1[name].value == pytest.approx(value)
    assert found.macro_f1.value == pytest.approx(f1_score(a, b, average="macro"))
    assert found.kappa.low is not None
    assert found.kappa.high is not None
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert (found.kappa.n, found.kappa.subjects) == (1440, 6)


def test_a_batch_of_one_night_says_what_two_files_say_and_gives_no_interval() -> None:
    (one,) = pairs(1)
    found = agree_over_nights([one]).as_dict()
    alone = agree(one.a.stages, one.b.stages).as_dict()
    assert (found["epochs"], found["confusion"]) == (alone["epochs"], alone["confusion"])
    for key in ("kappa", "accuracy", "macro_f1", "f1"):
        assert found[key] == pytest.approx(alone[key]), key
    assert found["intervals"]["kappa"]["low"] is None
    assert "one subject" in found["intervals"]["kappa"]["reason"]
    assert found["numbers"]["tst"]["low"] is None
    assert "1 person" in found["numbers"]["tst"]["reason"]
    assert "this night only" in found["warnings"][0]
    json.dumps(found, allow_nan=False)


def test_people_are_drawn_not_nights() -> None:
    apart = agree_over_nights(pairs(12), resamples=400)
    together = agree_over_nights(pairs(12, a_person=6), resamples=400)
    assert (apart.subjects, together.subjects) == (12, 2)
    assert apart.kappa.value == together.kappa.value
    assert "12 nights of 2 people" in together.remarks[0]


def test_a_night_that_nobody_scored_is_listed_and_the_others_stand() -> None:
    nothing = NightPair("empty", "x", Scored(np.full(10, -1, np.int8)), Scored(np.zeros(10, np.int8)))
    found = agree_over_nights([*pairs(2), nothing])
    assert len(found.nights) == 2
    assert "no epoch" in found.failed["empty"]
    with pytest.raises(ScoringError, match="no night is scored by both"):
        agree_over_nights([nothing])


def test_time_in_bed_is_of_the_night_and_unknown_of_one_is_unknown_of_both() -> None:
    a = np.repeat(np.array([0, 2], np.int8), [20, 100])
    b = a.copy()
    b[110:] = Stage.UNKNOWN
    lights = (Event(300.0, 300.0, "Lights off"), Event(3600.0, 3600.0, "Lights on"))
    found = agree_over_nights([NightPair("n", "p", Scored(a, lights), Scored(b))])
    by_key = {one.key: (one.values_a[0], one.values_b[0]) for one in found.numbers}
    assert by_key["sol"] == (5.0, 5.0)  # lights off after 10 epochs, sleep after 20
    assert by_key["tst"] == (45.0, 45.0)
    assert "5 min" in found.remarks[1]


def test_events_of_both_are_counted_over_nights_with_their_indices() -> None:
    stages = np.full(120, 2, np.int8)
    a = (event(100, 120), event(200, 215, "Obstructive apnea"), event(300, 320), event(500, 504, "Arousal"))
    b = (event(105, 125), event(201, 214), event(700, 720))
    found = agree_over_nights([NightPair("n", "p", Scored(stages, a), Scored(stages, b))])
    by_name = {one.name: one for one in found.events}
    assert (by_name[BREATHING].both, by_name[BREATHING].only_a, by_name[BREATHING].only_b) == (2, 1, 1)
    assert by_name[BREATHING].onset_difference_s == -3.0  # median of -5 and -1
    assert (by_name["Hypopnea"].both, by_name["Hypopnea"].only_a, by_name["Hypopnea"].only_b) == (1, 1, 2)
    assert (by_name["Arousal"].both, by_name["Arousal"].only_a) == (0, 1)
    assert by_name["Hypopnea"].f1.value == pytest.approx(2 / 5)
    ahi = next(one for one in found.numbers if one.key == "ahi")
    assert (ahi.values_a[0], ahi.values_b[0]) == (3.0, 3.0)
    assert not any(one.key == "ahi" for one in agree_over_nights(pairs(2)).numbers)  # nobody marked any


def test_disagreements_are_runs_that_can_be_gone_to() -> None:
    a = np.array([0, 0, 1, 1, 2, -1, 2, 3], np.int8)
    b = np.array([0, 1, 2, 2, 1, 2, 2, 4], np.int8)
    assert [(one.epoch, one.epochs, one.words) for one in disagreements(a, b)] == [
        (2, 1, "epoch 2: W against N1"),
        (3, 2, "epoch 3 to 4: N1 against N2"),
        (5, 1, "epoch 5: N2 against N1"),
        (8, 1, "epoch 8: N3 against R"),
    ]


stages = st.lists(st.integers(-1, 4), min_size=1, max_size=60).map(lambda one: np.array(one, np.int8))


@settings(max_examples=60, deadline=None)
@given(stages, stages)
def test_disagreements_hold_every_epoch_that_differs_once(a: np.ndarray, b: np.ndarray) -> None:
    common = min(len(a), len(b))
    listed = [epoch for one in disagreements(a, b) for epoch in range(one.epoch, one.epoch + one.epochs)]
    assert listed == [k + 1 for k in range(common) if a[k] != b[k] and a[k] >= 0 and b[k] >= 0]


stretches = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=25).map(
    lambda ones: [event(float(start), float(start + length)) for start, length in ones]
)


@settings(max_examples=80, deadline=None)
@given(stretches, stretches)
def test_matching_is_one_to_one_finds_what_overlaps_and_is_the_same_the_other_way_round(a: list[Event], b: list[Event]) -> None:
    found = match_events(a, b).tolist()
    assert len({i for i, _ in found}) == len({j for _, j in found}) == len(found)

    def meets(x: Event, y: Event) -> bool:
        common = min(x.stop_s, y.stop_s) - max(x.start_s, y.start_s)
        return common > 0 or (common == 0 and (x.start_s == x.stop_s or y.start_s == y.stop_s))

    assert all(meets(a[i], b[j]) for i, j in found)
    left_a = [x for i, x in enumerate(a) if i not in {i for i, _ in found}]
    left_b = [y for j, y in enumerate(b) if j not in {j for _, j in found}]
    assert not any(meets(x, y) for x in left_a for y in left_b)
    assert len(match_events(a, a)) == len(a)


def test_events_that_hardly_touch_can_be_asked_to_overlap_more() -> None:
    a, b = [event(0, 10)], [event(9, 30)]
    assert len(match_events(a, b)) == 1
    assert len(match_events(a, b, least_overlap=0.2)) == 0
    assert agree_on_events(a, b, least_overlap=0.2)["Hypopnea"].f1 == 0.0


def test_bland_and_altmans_own_example() -> None:
    """Peak flow of 17 people by two meters (Lancet 1986, 327:307): mean -2.1 l/min, sd 38.8, with 2 sd limits -79.7 and 75.5."""
    wright = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = limits_of_agreement(np.array(wright), np.array(mini), range(17), share=0.9545)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.low == pytest.approx(-79.7, abs=0.2)
    assert found.high == pytest.approx(75.5, abs=0.2)
    low, high = found.bias_interval or (0, 0)
    assert (low, high) == pytest.approx((-22.0, 17.8), abs=0.2)  # their t interval


@pytest.mark.parametrize(
    ("people", "nights", "between", "within"), [(12, (1, 1), 4.0, 3.0), (15, (1, 4), 4.0, 3.0), (20, (2, 3), 1.0, 6.0)]
)
def test_the_intervals_hold_what_they_promise(people: int, nights: tuple[int, int], between: float, within: float) -> None:
    """Of 600 simulated batches 95 % of the intervals hold the truth, nights of one person being alike."""
    rng = np.random.default_rng(0)
    reach = 1.959964 * np.hypot(between, within)
    held = np.zeros(3)
    for _ in range(600):
        subject = np.repeat(np.arange(people), rng.integers(nights[0], nights[1] + 1, people))
        difference = 2 + rng.normal(0, between, people)[subject] + rng.normal(0, within, subject.size)
        found = limits_of_agreement(difference, np.zeros(subject.size), subject)
        for k, (interval, truth) in enumerate(
            ((found.bias_interval, 2.0), (found.low_interval, 2 - reach), (found.high_interval, 2 + reach))
        ):
            assert interval is not None
            held[k] += interval[0] <= truth <= interval[1]
    assert ((held / 600 > 0.92) & (held / 600 < 0.985)).all(), held / 600


def test_nights_of_one_person_counted_as_many_people_would_be_too_sure() -> None:
    rng = np.random.default_rng(1)
    subject = np.repeat(np.arange(5), 8)
    difference = rng.normal(0, 5, 5)[subject] + rng.normal(0, 1, 40)
    honest = limits_of_agreement(difference, np.zeros(40), subject)
    naive = limits_of_agreement(difference, np.zeros(40), range(40))
    assert honest.bias_interval is not None
    assert naive.bias_interval is not None
    assert honest.bias_interval[1] - honest.bias_interval[0] > 2 * (naive.bias_interval[1] - naive.bias_interval[0])


def test_too_few_people_or_undefined_nights_are_said() -> None:
    found = limits_of_agreement(np.array([1.0, np.nan, 2.0]), np.array([0.0, 0.0, 0.0]), ["a", "b", "c"])
    assert (found.nights, found.left_out, found.low) == (2, 1, None)
    assert "3 or more" in found.reason
    assert limits_of_agreement(np.array([np.nan]), np.array([1.0]), ["a"]).reason == "no night has both values"
