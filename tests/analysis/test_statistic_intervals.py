"""Intervals from stage probabilities: what is drawn, and how often they hold the truth on nights whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_posteriors import EPOCHS, simulated_night

from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.sleep_architecture import architecture
from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.analysis.statistic_intervals import CORRELATION, draw_hypnograms, percentile_intervals
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName, Stage

WATCHED = ("tst", "waso", "sol", "rem_latency", "n1", "n3", "rem", "awakenings", "persistent_latency")


def held(clearness: float, *, nights: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return by number the share of nights whose interval holds the true value: as we draw, and with independent draws."""
    rng = np.random.default_rng(5)
    span = night_span(EPOCHS)
    correlations = (CORRELATION, 0.0)
    inside: dict[float, dict[str, list[bool]]] = {one: {key: [] for key in WATCHED} for one in correlations}
    for _ in range(nights):
        stages, shares = simulated_night(rng, clearness)
        best = shares.argmax(axis=1).astype(np.int8)
        truth, point = architecture(stages[None], span), architecture(best[None], span)
        for correlation in correlations:
            drawn = architecture(draw_hypnograms(best, shares, correlation=correlation), span)
            for key in WATCHED:
                low, high, _ = percentile_intervals(drawn[key][None])
                if np.isfinite(truth[key][0]) and np.isfinite(low[0]) and np.isfinite(point[key][0]):
                    holds = min(low[0], point[key][0]) <= truth[key][0] <= max(high[0], point[key][0])
                    inside[correlation][key].append(bool(holds))
    ours, independent = ({key: float(np.mean(found)) for key, found in inside[one].items()} for one in correlations)
    return ours, independent


def test_intervals_hold_the_truth_of_simulated_nights_and_independent_draws_do_not() -> None:
    ours, independent = held(1.3, nights=25)
    assert min(ours.values()) >= 0.84, ours  # of 25 nights; 95 % on average
    assert np.mean(list(ours.values())) >= 0.93, ours
    assert np.mean([independent[key] for key in ("tst", "waso", "n3", "rem")]) <= 0.8, independent


def test_every_epoch_is_drawn_with_its_own_probabilities_and_neighbours_alike() -> None:
    shares = np.tile([0.5, 0.1, 0.25, 0.0, 0.15], (600, 1))
    drawn = draw_hypnograms(np.zeros(600, np.int8), shares)
    counts = np.array([(drawn == stage).mean() for stage in range(5)])
    assert counts == pytest.approx(shares[0], abs=0.015)
    # by epoch, over the draws: four standard errors of a share of 0.5
    assert np.abs((drawn == 0).mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(drawn)) + 0.01
    alike = (drawn[:, 1:] == drawn[:, :-1]).mean()
    assert alike > 0.7 > (shares[0] ** 2).sum() + 0.3
    again = draw_hypnograms(np.zeros(600, np.int8), shares)
    assert np.array_equal(drawn, again)


def test_certain_and_unknown_epochs_are_not_drawn() -> None:
    stages = np.array([2, -1, 4, 1] * 20, np.int8)
    shares = np.tile([0.2, 0.2, 0.2, 0.2, 0.2], (80, 1))
    shares[::4] = np.nan
    shares[2::4] = [0, 0, 0, 0, 1]
    drawn = draw_hypnograms(stages, shares)
    for offset in (0, 1, 2):
        assert (drawn[:, offset::4] == stages[offset::4]).all()
    assert len(np.unique(drawn[:, 3::4])) == 5


def test_a_night_of_a_week_is_drawn_too() -> None:
    stages = np.full(3000, Stage.N2, np.int8)
    assert draw_hypnograms(stages, np.full((3000, 5), 0.2), draws=3).shape == (3, 3000)


def test_percentiles_leave_out_what_is_undefined_and_say_how_much() -> None:
    values = np.array([np.r_[np.arange(101.0), [np.nan] * 99], np.full(200, np.nan), np.full(200, 7.0)])
    low, high, undefined = percentile_intervals(values)
    assert (low[0], high[0], undefined[0]) == (pytest.approx(2.5), pytest.approx(97.5), pytest.approx(0.495))
    assert np.isnan(low[1])
    assert undefined[1] == 1
    assert (low[2], high[2], undefined[2]) == (7, 7, 0)
    rng = np.random.default_rng(0)
    many = rng.normal(size=(4, 333))
    assert percentile_intervals(many)[0] == pytest.approx(np.quantile(many, 0.025, axis=1))


def test_statistics_carry_intervals_and_what_was_looked_at_narrows_them() -> None:
    stages = np.repeat(np.array([0, 2, 4, 2, 0], np.int8), [20, 60, 30, 60, 10])
    shares = np.full((len(stages), 5), 0.06)
    shares[np.arange(len(stages)), stages] = 0.76
    events = [Event(30.0 * k, 30.0 * k + 12, EventName.HYPOPNEA) for k in range(0, len(stages), 5)]
    found = night_statistics(stages, events=events, probabilities=shares)
    assert found.intervals
    for key in ("tst", "se", "sol", "rem_latency", "ahi", "n3"):
        item = found[key]
        assert item.low is not None
        assert item.high is not None
        assert item.low <= item.value <= item.high
    assert (found["tib"].low, found["unknown"].low) == (None, None)
    half = shares.copy()
    half[: len(stages) // 2] = np.nan
    narrower = night_statistics(stages, events=events, probabilities=half)
    assert narrower["tst"].high - narrower["tst"].low < found["tst"].high - found["tst"].low
    assert (narrower["sol"].low, narrower["sol"].high) == (10, 10)
    humble = night_statistics(stages, events=events, probabilities=shares, temperature=2.0)
    assert humble["tst"].high - humble["tst"].low > found["tst"].high - found["tst"].low
    assert night_statistics(stages, events=events, probabilities=np.full_like(shares, np.nan)).intervals == ""


def test_where_few_draws_have_rem_that_is_said() -> None:
    stages = np.full(200, Stage.N2, np.int8)
    stages[100] = Stage.REM
    shares = np.tile([0.0, 0.0, 1.0, 0.0, 0.0], (200, 1))
    shares[100] = [0, 0, 0.45, 0, 0.55]
    found = night_statistics(stages, probabilities=shares)["rem_latency"]
    assert (found.value, found.low, found.high) == (50, 50, 50)
    assert found.interval_note.startswith("undefined in 4")
