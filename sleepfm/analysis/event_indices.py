"""How often events happen per hour of sleep: breathing, arousals, desaturations, by stage and by position.

Events are marked in every stage and counted in sleep only; which of them counts follows from the stages, so restaging changes the
indices at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.sleep_architecture import asleep, epoch_range, sums_over
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName, Stage

APNEAS = (EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA)
APNEAS_AND_HYPOPNEAS = (*APNEAS, EventName.HYPOPNEA)
RESPIRATORY = (*APNEAS_AND_HYPOPNEAS, EventName.RERA)
AROUSAL_REACH_S = 10.0
"""The sleep that AASM asks for before an arousal: it may lie in the epoch before the arousal's own."""
_DEPTH = "Desaturation"
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Counted:
    """Events of a night made ready for counting under many hypnograms.

    Attributes
    ----------
    first_r, last_r
        (range,) the first and last epoch that the events of a range touch; events that touch the same epochs share one.
    counts
        By what is counted: (range,) how many events of it each range holds.
    outside
        Events that touch no epoch of the scoring, by their name.
    measured, unmeasured
        Desaturations with and without a depth.
    """

    first_r: np.ndarray
    last_r: np.ndarray
    counts: Mapping[str, np.ndarray]
    outside: Mapping[str, int] = field(default_factory=dict)
    measured: int = 0
    unmeasured: int = 0


def made_ready(events: Sequence[Event], span: NightSpan, positions: Mapping[str, np.ndarray] | None = None) -> Counted:
    """Sort events into what is counted.

    Parameters
    ----------
    events
        All that was marked.
    span
        Events that lie outside it are not counted.
    positions
        By position: (seconds,) whether the body lies in it, one value a second from the recording's start.
    """
    of_name = _by_name(events)
    touched = _touched(events, span)
    start_e, inside_e = touched.start_e, touched.inside_e

    chosen = {str(name): of_name[name] for name in RESPIRATORY}
    chosen |= {"arousals": of_name[EventName.AROUSAL], "plm_marked": of_name[EventName.PLM]}
    falls = of_name[EventName.DESATURATION]
    depth_e = np.full(len(events), np.nan)
    for k in np.flatnonzero(falls).tolist():
        depth = events[k].extra.get(_DEPTH)
        if isinstance(depth, int | float):
            depth_e[k] = depth
    chosen |= {"odi3": depth_e >= 3.0 - _ROUNDING, "odi4": depth_e >= 4.0 - _ROUNDING}
    if positions:
        both = np.any([of_name[name] for name in APNEAS_AND_HYPOPNEAS], axis=0)
        for position, lying_k in positions.items():
            second_e = np.clip(start_e, 0, len(lying_k) - 1).astype(np.int64)
            chosen[f"position {position}"] = both & lying_k[second_e] & (start_e < len(lying_k))

    first_e, last_e = touched.first_e, touched.last_e
    counted_e = inside_e & np.any(list(chosen.values()), axis=0)
    epochs = len(span.seconds_n) + 1
    ranges, which = np.unique(first_e[counted_e] * epochs + last_e[counted_e], return_inverse=True)
    counts = {
        key: np.bincount(which[mask_e[counted_e]], minlength=len(ranges)).astype(np.float64) for key, mask_e in chosen.items()
    }
    outside = {
        str(name): missed
        for name in EventName
        if name not in (EventName.LIGHTS_OFF, EventName.LIGHTS_ON) and (missed := int((of_name[name] & ~inside_e).sum()))
    }
    measured = int(np.isfinite(depth_e).sum())
    return Counted(ranges // epochs, ranges % epochs, counts, outside, measured, int(falls.sum()) - measured)


@dataclass(frozen=True)
class _Touched:
    """Where events lie: when each begins, whether any of it lies in the span, and the first and last epoch that it touches."""

    start_e: np.ndarray
    inside_e: np.ndarray
    first_e: np.ndarray
    last_e: np.ndarray


def _by_name(events: Sequence[Event]) -> dict[str, np.ndarray]:
    name_e = np.array([event.name for event in events], dtype=object)
    return {name.value: name_e == name.value for name in EventName}


def _touched(events: Sequence[Event], span: NightSpan) -> _Touched:
    start_e = np.array([event.start_s for event in events], dtype=np.float64)
    stop_e = np.maximum(np.array([event.stop_s for event in events], dtype=np.float64), start_e + _ROUNDING)
    # an arousal reaches back into the sleep that it ends
    arousal_e = np.array([event.name == EventName.AROUSAL for event in events], dtype=bool)
    reached_e = np.where(arousal_e, start_e - AROUSAL_REACH_S, start_e)
    inside_e = (start_e < span.on_s) & (stop_e > span.off_s)
    first_e, last_e = epoch_range(np.clip(reached_e, span.off_s, span.on_s), np.clip(stop_e, span.off_s, span.on_s))
    return _Touched(start_e, inside_e, first_e, last_e)


def counted_epochs(events: Sequence[Event], stages_n: np.ndarray, span: NightSpan) -> np.ndarray:
    """Return (event,) the 0-based epoch of sleep in which each event counts, -1 where it does not count.

    That is the first epoch of sleep between lights off and lights on that any part of it touches, as `counted_in_sleep` has it.
    """
    epochs = len(stages_n)
    if not epochs or not len(events):
        return np.full(len(events), -1)
    touched = _touched(events, span)
    sleep_n = asleep(stages_n) & span.inside_n
    next_sleep_n = np.minimum.accumulate(np.where(sleep_n, np.arange(epochs), epochs)[::-1])[::-1]
    at_e = next_sleep_n[np.minimum(touched.first_e, epochs - 1)]
    counted_e: np.ndarray = np.where(touched.inside_e & (at_e <= touched.last_e) & (at_e < epochs), at_e, -1)
    return counted_e


def counted_in_sleep(stages_bn: np.ndarray, span: NightSpan, counted: Counted) -> dict[str, np.ndarray]:
    """Return (draw,) how many events of each kind count, by its key; of apneas and hypopneas also "ahi", "ahi rem", "ahi nrem".

    An event counts when any part of it lies in an epoch scored as sleep; its stage is that of the first such epoch.
    """
    epochs = stages_bn.shape[1]
    sleep_bn = asleep(stages_bn) & span.inside_n
    next_sleep_bn = np.where(sleep_bn, np.arange(epochs, dtype=np.int32), np.int32(epochs))
    next_sleep_bn = np.minimum.accumulate(next_sleep_bn[:, ::-1], axis=1)[:, ::-1]
    at_br = next_sleep_bn[:, counted.first_r]
    touched_br = at_br <= counted.last_r
    sums_bk = sums_over(touched_br, np.stack(list(counted.counts.values()), axis=1))
    found = dict(zip(counted.counts, sums_bk.T, strict=True))

    both_r = np.sum([counted.counts[name] for name in APNEAS_AND_HYPOPNEAS], axis=0)
    breathing = np.flatnonzero(both_r)
    at_br = np.minimum(at_br[:, breathing], epochs - 1)
    in_rem_br = touched_br[:, breathing] & (np.take_along_axis(stages_bn, at_br, axis=1) == Stage.REM)
    found["ahi"] = np.sum([found[name] for name in APNEAS_AND_HYPOPNEAS], axis=0)
    found["ahi rem"] = sums_over(in_rem_br, both_r[breathing])
    found["ahi nrem"] = found["ahi"] - found["ahi rem"]
    return found


def sole_support(
    stages_n: np.ndarray, span: NightSpan, counted: Counted, counts_r: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what one changed epoch does to how many events count.

    Returns
    -------
    gained_n
        (n_epochs,) events that would count too if the epoch became sleep.
    lost_n
        (n_epochs,) events that would count no more if it became Wake.
    count
        Events that count now.
    """
    epochs = len(stages_n)
    sleep_n = asleep(stages_n) & span.inside_n
    to_n = np.concatenate([[0], np.cumsum(sleep_n)])
    asleep_r = to_n[counted.last_r + 1] - to_n[counted.first_r]
    none_r, one_r = asleep_r == 0, asleep_r == 1
    edges_n = np.zeros(epochs + 1)
    np.add.at(edges_n, counted.first_r[none_r], counts_r[none_r])
    np.add.at(edges_n, counted.last_r[none_r] + 1, -counts_r[none_r])
    lost_n = np.zeros(epochs)
    # of an event that touches one epoch of sleep: the next one from its first epoch on
    np.add.at(lost_n, np.flatnonzero(sleep_n)[to_n[counted.first_r[one_r]]], counts_r[one_r])
    return np.cumsum(edges_n)[:-1], lost_n, float(counts_r[~none_r].sum())
