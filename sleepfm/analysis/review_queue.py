"""Which epochs to look at first: those whose stage, if it were another, would move the reported numbers most.

For every epoch and every other stage the change of the numbers is computed as if that epoch alone were changed, weighted by the
calibrated probability of the stage, and put on one scale by each number's grain: the change that a reader of the report would
care about. A doubtful epoch whose stage matters to no number comes late; a nearly sure one on which the REM latency hangs comes
early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.event_indices import APNEAS_AND_HYPOPNEAS, made_ready, sole_support
from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.sleep_architecture import asleep
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT, Stage


@dataclass(frozen=True)
class Grain:
    """A number that the queue watches.

    Attributes
    ----------
    size
        The change in `unit` that counts as one.
    more, less
        How a change is said.
    """

    name: str
    size: float
    unit: str
    more: str
    less: str


GRAINS: Mapping[str, Grain] = {
    "tst": Grain("TST", 10.0, "min", "longer", "shorter"),
    "sol": Grain("sleep latency", 5.0, "min", "longer", "shorter"),
    "rem_latency": Grain("REM latency", 10.0, "min", "longer", "shorter"),
    "n3": Grain("N3", 10.0, "min", "longer", "shorter"),
    "rem": Grain("R", 10.0, "min", "longer", "shorter"),
    "ahi": Grain("AHI", 1.0, "/h", "higher", "lower"),
}
"""A choice, not a standard: 10 min of sleep or of a stage, 5 min of latency, 1 breathing event per hour."""


@dataclass(frozen=True)
class Look:
    """An epoch that is worth a look.

    Attributes
    ----------
    epoch
        1-based.
    gain
        Expected change of the numbers, in grains.
    why
        The largest part of it, in words.
    """

    epoch: int
    gain: float
    why: str


def review_queue(
    stages_n: np.ndarray,
    probabilities_ns: np.ndarray,
    *,
    looked_at_n: np.ndarray,
    span: NightSpan,
    events: Sequence[Event] = (),
    limit: int = 40,
) -> list[Look]:
    """Return the epochs that are worth a look, first the one that would move the numbers most.

    Parameters
    ----------
    stages_n
        (n_epochs,) the scoring as it stands.
    probabilities_ns
        (n_epochs, 5) calibrated, in the order of `SCORED_STAGES`; epochs with NaN are left out.
    looked_at_n
        (n_epochs,) epochs that somebody looked at already; left out.
    span
        From lights off to lights on.
    events
        All that was marked; apneas and hypopneas count.
    limit
        How many epochs at most.
    """
    if not len(stages_n):
        return []
    changes = _changes(stages_n, span, events)
    open_n = ~looked_at_n & np.isfinite(probabilities_ns).all(axis=1) & span.inside_n
    weight_ns = np.where(open_n[:, None], probabilities_ns, 0.0)
    part_kns = np.stack([weight_ns * np.abs(changes[key]) / grain.size for key, grain in GRAINS.items()])
    gain_n = part_kns.sum(axis=(0, 2))
    ordered = np.argsort(-gain_n, kind="stable")[:limit]
    keys = list(GRAINS)
    looks = []
    for epoch in ordered[gain_n[ordered] > 0].tolist():
        number, stage = np.unravel_index(int(part_kns[:, epoch].argmax()), part_kns[:, epoch].shape)
        change = float(changes[keys[number]][epoch, stage])
        why = _words(GRAINS[keys[number]], change, SCORED_STAGES[stage], float(weight_ns[epoch, stage]))
        looks.append(Look(epoch + 1, float(gain_n[epoch]), why))
    return looks


def _words(grain: Grain, change: float, stage: Stage, probability: float) -> str:
    size = f"{abs(change):.0f}" if abs(change) >= 10 else f"{abs(change):.1f}"
    direction = grain.more if change > 0 else grain.less
    return f"{grain.name} {size} {grain.unit} {direction} if {STAGE_SHORT[stage]} ({100 * probability:.0f} %)"


def _changes(stages_n: np.ndarray, span: NightSpan, events: Sequence[Event]) -> dict[str, np.ndarray]:
    """Return by number (n_epochs, 5) the change when one epoch becomes another stage, 0 for the stage it has.

    A latency that is undefined is taken as lasting until lights on.
    """
    epochs = len(stages_n)
    minutes_n = span.seconds_n / 60.0
    start_min_n = np.append(span.starts_s, span.on_s) / 60.0  # the last one is "never"
    now_asleep_n = asleep(stages_n) & span.inside_n
    numbers_s = np.array(SCORED_STAGES)
    then_asleep_s = asleep(numbers_s)
    at_n = np.arange(epochs)[:, None]

    def first_then(reached_n: np.ndarray, reaches_s: np.ndarray) -> tuple[int, np.ndarray]:
        """Return the first epoch that is reached, and (n_epochs, 5) the first one after each change."""
        first, second = np.append(np.flatnonzero(reached_n), [epochs, epochs])[:2].tolist()
        without_n = np.where(at_n == first, second, first)
        return first, np.where(reaches_s, np.minimum(first, at_n), without_n)

    onset, onset_ns = first_then(now_asleep_n, then_asleep_s)
    rem, rem_ns = first_then((stages_n == Stage.REM) & span.inside_n, numbers_s == Stage.REM)
    changes = {
        "tst": minutes_n[:, None] * (then_asleep_s[None].astype(float) - now_asleep_n[:, None]),
        "sol": start_min_n[onset_ns] - start_min_n[onset],
        "rem_latency": (start_min_n[rem_ns] - start_min_n[onset_ns]) - (start_min_n[rem] - start_min_n[onset]),
    }
    for key, stage in (("n3", Stage.N3), ("rem", Stage.REM)):
        changes[key] = minutes_n[:, None] * ((numbers_s == stage)[None].astype(float) - (stages_n == stage)[:, None])

    counted = made_ready(events, span)
    both_r = np.sum([counted.counts[name] for name in APNEAS_AND_HYPOPNEAS], axis=0)
    gained_n, lost_n, count = sole_support(stages_n, span, counted, both_r)
    tst = float(minutes_n[now_asleep_n].sum())
    wakes_ns = now_asleep_n[:, None] & ~then_asleep_s
    sleeps_ns = ~now_asleep_n[:, None] & then_asleep_s
    count_ns = count + np.where(sleeps_ns, gained_n[:, None], 0.0) - np.where(wakes_ns, lost_n[:, None], 0.0)
    changes["ahi"] = _hourly(count_ns, tst + changes["tst"]) - _hourly(np.array(count), np.array(tst))
    return changes


def _hourly(count: np.ndarray, minutes: np.ndarray) -> np.ndarray:
    return np.divide(60.0 * count, minutes, out=np.zeros(np.shape(minutes)), where=minutes > 1e-9)
