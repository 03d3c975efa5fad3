"""The order of the review queue: what changing an epoch would do to the numbers, against computing them anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_posteriors import EPOCHS, simulated_night

from sleepfm.analysis.night_numbers import NightNumbers
from sleepfm.analysis.night_span import NightSpan, night_span
from sleepfm.analysis.review_queue import GRAINS, Look, review_queue
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import SCORED_STAGES, EventName, Stage


def expected_gains(stages: np.ndarray, shares: np.ndarray, span: NightSpan, events: list[Event]) -> np.ndarray:
    """Return (epoch,) the expected change in grains, each changed night computed anew."""
    changed = np.repeat(stages[None], len(stages) * 5, axis=0)
    for epoch in range(len(stages)):
        changed[5 * epoch : 5 * epoch + 5, epoch] = SCORED_STAGES
    numbers = NightNumbers.of(events, None, span).compute(np.concatenate([stages[None], changed]))
    onset = span.off_s / 60 + np.nan_to_num(numbers["sol"], nan=span.minutes)
    never = span.on_s / 60 - onset
    values = {
        "tst": numbers["tst"],
        "sol": np.nan_to_num(numbers["sol"], nan=span.minutes),
        "rem_latency": np.where(np.isnan(numbers["rem_latency"]), never, numbers["rem_latency"]),
        "n3": numbers["n3"],
        "rem": numbers["rem"],
        "ahi": np.nan_to_num(numbers["ahi"], nan=0.0),
    }
    gain = np.zeros(len(changed))
    for key, grain in GRAINS.items():
        gain += np.abs(values[key][1:] - values[key][0]) / grain.size
    return (gain.reshape(-1, 5) * shares).sum(axis=1)


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=14),
    st.lists(st.tuples(st.floats(0, 400), st.floats(0, 70)), max_size=6),
    st.sampled_from([(None, None), (45.0, None), (60.0, 200.0)]),
    st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
def test_gains_are_the_expected_change_of_the_numbers(
    drawn: list[int], breaths: list[tuple[float, float]], lights: tuple[float | None, float | None], seed: int
) -> None:
    stages = np.array(drawn, np.int8)
    shares = np.random.default_rng(seed).dirichlet(np.ones(5), len(stages))
    events = [Event(start, start + length, EventName.HYPOPNEA) for start, length in breaths]
    span = night_span(len(stages), lights_off_s=lights[0], lights_on_s=lights[1])
    found = review_queue(stages, shares, looked_at_n=np.zeros(len(stages), bool), span=span, events=events)
    expected = np.where(span.inside_n, expected_gains(stages, shares, span, events), 0.0)
    gains = np.zeros(len(stages))
    for look in found:
        gains[look.epoch - 1] = look.gain
    assert gains == pytest.approx(expected, abs=1e-9)
    assert [look.gain for look in found] == sorted((look.gain for look in found), reverse=True)


def queue(stages: np.ndarray, shares: np.ndarray, *events: Event, looked: tuple[int, ...] = (), limit: int = 40) -> list[Look]:
    """Return the queue of a night whose lights are its ends."""
    seen = np.isin(np.arange(len(stages)), looked)
    return review_queue(stages, shares, looked_at_n=seen, span=night_span(len(stages)), events=events, limit=limit)


def sure(stages: np.ndarray, probability: float = 1.0) -> np.ndarray:
    """Return probabilities that say what the stages say, the rest on Stage 2 (or Stage 1)."""
    shares = np.zeros((len(stages), 5))
    shares[np.arange(len(stages)), np.where(stages == Stage.N2, Stage.N1, Stage.N2)] = 1 - probability
    shares[np.arange(len(stages)), stages] = probability
    return shares


NIGHT = np.repeat(np.array([0, 2, 4, 2, 4, 0], np.int8), [20, 100, 1, 60, 30, 10])


def test_an_epoch_on_which_the_rem_latency_hangs_comes_before_doubtful_ones() -> None:
    shares = sure(NIGHT)
    shares[150] = [0, 0.5, 0.5, 0, 0]  # N1 or N2: no number that is watched cares
    shares[160] = [0.4, 0, 0.6, 0, 0]
    shares[120] = [0, 0, 0.05, 0, 0.95]  # the only early epoch of R
    found = queue(NIGHT, shares)
    assert [look.epoch for look in found] == [121, 161]
    assert found[0].why == "REM latency 30 min longer if N2 (5 %)"
    assert found[1].why == "TST 0.5 min shorter if W (40 %)"


def test_sleep_before_the_first_sleep_moves_the_sleep_latency() -> None:
    shares = sure(NIGHT)
    shares[2] = [0.7, 0.3, 0, 0, 0]
    found = queue(NIGHT, shares)
    assert found[0].epoch == 3
    assert found[0].why == "sleep latency 9.0 min shorter if N1 (30 %)"


def test_an_epoch_that_alone_makes_events_count_is_worth_a_look() -> None:
    shares = sure(NIGHT)
    shares[[60, 70]] = [0.3, 0, 0.7, 0, 0]
    events = [Event(60 * 30 + 5 * k, 60 * 30 + 5 * k + 4, EventName.HYPOPNEA) for k in range(6)]
    found = queue(NIGHT, shares, *events)
    assert [look.epoch for look in found] == [61, 71]
    assert found[0].why.startswith("AHI 3.")
    assert found[0].why.endswith("/h lower if W (30 %)")


def test_what_was_looked_at_leaves_the_queue_and_so_do_epochs_without_probabilities() -> None:
    shares = sure(NIGHT, 0.8)
    shares[7] = np.nan
    everything = queue(NIGHT, shares, limit=1000)
    epochs = {look.epoch for look in everything}
    assert 8 not in epochs
    assert 121 in epochs
    assert 121 not in {look.epoch for look in queue(NIGHT, shares, looked=(120,), limit=1000)}
    assert [look.epoch for look in queue(NIGHT, shares, limit=5)] == [look.epoch for look in everything[:5]]
    assert queue(NIGHT, shares, looked=tuple(range(len(NIGHT)))) == []
    assert queue(NIGHT, sure(NIGHT)) == []
    assert queue(np.empty(0, np.int8), np.empty((0, 5))) == []


def distance(stages: np.ndarray, truth: np.ndarray) -> float:
    """Return how far the numbers of a scoring are from the true ones, in grains."""
    found = NightNumbers.of([], None, night_span(EPOCHS)).compute(np.stack([stages, truth]))
    values = {key: np.nan_to_num(found[key], nan=EPOCHS / 2) for key in GRAINS}
    return sum(abs(float(values[key][0] - values[key][1])) / grain.size for key, grain in GRAINS.items())


def test_forty_epochs_of_the_queue_bring_the_numbers_nearer_than_forty_doubtful_ones() -> None:
    rng = np.random.default_rng(11)
    left: dict[str, list[float]] = {"nothing": [], "doubtful": [], "queue": []}
    for _ in range(15):
        truth, shares = simulated_night(rng, 1.3)
        stages = shares.argmax(axis=1).astype(np.int8)
        doubtful = np.argsort((shares * np.log(shares + 1e-12)).sum(axis=1))[:40]
        first = np.array([look.epoch - 1 for look in queue(stages, shares)])
        for name, epochs in (("nothing", np.empty(0, np.int64)), ("doubtful", doubtful), ("queue", first)):
            looked = stages.copy()
            looked[epochs] = truth[epochs]
            left[name].append(distance(looked, truth))
    nothing, doubt, ours = (float(np.mean(one)) for one in left.values())
    assert ours < 0.85 * doubt < 0.85 * nothing
