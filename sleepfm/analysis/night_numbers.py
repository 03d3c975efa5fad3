"""All numbers of a night under one hypnogram or many: the sleep's own, and those of events and vitals that follow from it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.event_indices import RESPIRATORY, Counted, counted_in_sleep, made_ready
from sleepfm.analysis.leg_movements import candidate_onsets, periodic_in_sleep
from sleepfm.analysis.night_span import NightSpan
from sleepfm.analysis.oximetry import (
    LOW_SPO2,
    EpochValues,
    by_epoch,
    falls_of,
    positions,
    seconds_where,
)
from sleepfm.analysis.sleep_architecture import architecture, asleep, epoch_range, sums_over
from sleepfm.analysis.statistic_definitions import POSITION
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import Vitals
from sleepfm.vocabulary import EventName, Stage

_COUNTED = {
    "obstructive_apneas": EventName.OBSTRUCTIVE_APNEA,
    "central_apneas": EventName.CENTRAL_APNEA,
    "mixed_apneas": EventName.MIXED_APNEA,
    "hypopneas": EventName.HYPOPNEA,
    "reras": EventName.RERA,
    "arousals": "arousals",
    "plms": "plms",
}
_HOURLY = {
    "ahi": "ahi",
    "cai": EventName.CENTRAL_APNEA,
    "odi3": "odi3",
    "odi4": "odi4",
    "arousal_index": "arousals",
    "plmi": "plms",
    "plmi_marked": "plm_marked",
}


@dataclass(frozen=True)
class NightNumbers:
    """What the numbers of a night are computed from, made ready once for all its hypnograms.

    Attributes
    ----------
    span
        From lights off to lights on.
    names
        Names of the events that are marked.
    counted, falls
        The marked events, and the falls found in the SpO2 signal (None without one).
    onsets_s
        Onsets of the leg movements that may be periodic.
    positions
        By position: (n_epochs,) seconds in it.
    oxygen, heart
        SpO2 and heart rate by epoch; None without a value.
    below_n
        (n_epochs,) seconds with SpO2 under 90 %.
    left_out_n
        (n_epochs,) whether nothing could be looked for in an epoch: it is in the hours of no index of marked events.
    """

    span: NightSpan
    names: frozenset[str]
    counted: Counted
    falls: Counted | None
    onsets_s: np.ndarray
    positions: Mapping[str, np.ndarray]
    oxygen: EpochValues | None
    below_n: np.ndarray
    heart: EpochValues | None
    left_out_n: np.ndarray

    @classmethod
    def of(
        cls, events: Sequence[Event], vitals: Vitals | None, span: NightSpan, left_out: Collection[tuple[int, int]] = ()
    ) -> NightNumbers:
        """Make ready what was marked and measured between lights off and lights on, and where nothing was looked for."""
        oxygen = heart = falls = None
        below_n = np.zeros(len(span.seconds_n))
        lying: dict[str, np.ndarray] = {}
        if vitals is not None:
            lying = positions(vitals)
            if np.isfinite(vitals.spo2_1hz).any():
                oxygen, below_n = by_epoch(vitals.spo2_1hz, span), seconds_where(vitals.spo2_1hz < LOW_SPO2, span)
                falls = made_ready(falls_of(vitals), span)
            if np.isfinite(vitals.heart_rate_1hz).any():
                heart = by_epoch(vitals.heart_rate_1hz, span)
        return cls(
            span,
            frozenset(event.name for event in events),
            made_ready(events, span, lying),
            falls,
            candidate_onsets(events, span),
            {position: seconds_where(lying_k, span) for position, lying_k in lying.items()},
            oxygen,
            below_n,
            heart,
            _left_out(events, left_out, len(span.seconds_n)),
        )

    def compute(self, stages_bn: np.ndarray) -> dict[str, np.ndarray]:
        """Return the (draw,) numbers by key of (draw, epoch) hypnograms, NaN where one is undefined."""
        found = architecture(stages_bn, self.span)
        unknown_n = (stages_bn[0] == Stage.UNKNOWN) * self.span.seconds_n
        found["unknown"] = np.full(len(stages_bn), unknown_n.sum() / 60.0)
        counts = counted_in_sleep(stages_bn, self.span, self.counted)
        counts["plms"] = periodic_in_sleep(stages_bn, self.onsets_s)

        def hourly(count_b: np.ndarray, minutes_b: np.ndarray) -> np.ndarray:
            return _share(60.0 * count_b, minutes_b)

        tst_b = found["tst"]
        sleep_bn = asleep(stages_bn)
        sums = self._sums_in_sleep(sleep_bn)
        looked_bn = sleep_bn & ~self.left_out_n
        looked_b = sums_over(looked_bn, self.span.seconds_n) / 60.0
        looked_rem_b = sums_over(looked_bn & (stages_bn == Stage.REM), self.span.seconds_n) / 60.0
        for key, name in _COUNTED.items():
            found[key] = counts[name]
        for key, name in _HOURLY.items():
            # a desaturation is seen in the SpO2 alone, whatever the other signals are like
            found[key] = hourly(counts[name], tst_b if name in ("odi3", "odi4") else looked_b)
        found["rdi"] = hourly(counts["ahi"] + counts[EventName.RERA], looked_b)
        found["ahi_rem"] = hourly(counts["ahi rem"], looked_rem_b)
        found["ahi_nrem"] = hourly(counts["ahi nrem"], looked_b - looked_rem_b)
        for position, lain_n in self.positions.items():
            found[position_key(position)] = hourly(counts[f"position {position}"], sums_over(looked_bn, lain_n) / 60.0)
        if self.oxygen is not None and self.falls is not None:
            falls = counted_in_sleep(stages_bn, self.span, self.falls)
            found |= {"odi3_spo2": hourly(falls["odi3"], tst_b), "odi4_spo2": hourly(falls["odi4"], tst_b)}
            found["t90"] = _share(100.0 * sums["below"], sums["oxygen seconds"])
            found["t90_min"] = np.where(sums["oxygen seconds"] > 0, sums["below"] / 60.0, np.nan)
            found["spo2_mean"] = _share(sums["oxygen"], sums["oxygen seconds"])
            found["spo2_min"] = _finite(np.where(sleep_bn, self.oxygen.lowest_n, np.inf).min(axis=1))
        if self.heart is not None:
            found["hr_mean"] = _share(sums["heart"], sums["heart seconds"])
            found["hr_min"] = _finite(np.where(sleep_bn, self.heart.lowest_n, np.inf).min(axis=1))
            found["hr_max"] = _finite(np.where(sleep_bn, self.heart.highest_n, -np.inf).max(axis=1))
        return found

    def _sums_in_sleep(self, sleep_bn: np.ndarray) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {}
        for word, signal in (("oxygen", self.oxygen), ("heart", self.heart)):
            if signal is not None:
                columns |= {word: signal.sum_n, f"{word} seconds": signal.seconds_n}
        columns["below"] = self.below_n
        return dict(zip(columns, sums_over(sleep_bn, np.stack(list(columns.values()), axis=1)).T, strict=True))


def _left_out(events: Sequence[Event], runs: Collection[tuple[int, int]], epochs: int) -> np.ndarray:
    """Return (epochs,) bool; an epoch in which somebody marked a breathing event all the same was looked at."""
    left_out_n = np.zeros(epochs, dtype=bool)
    for first, stop in runs:
        left_out_n[first:stop] = True
    if left_out_n.any():
        marked = [event for event in events if event.name in RESPIRATORY]
        starts_s, stops_s = (np.array([getattr(event, end) for event in marked]) for end in ("start_s", "stop_s"))
        for first, last in zip(*epoch_range(starts_s, stops_s), strict=True):
            left_out_n[max(first, 0) : last + 1] = False
    return left_out_n


def _share(part_b: np.ndarray, whole_b: np.ndarray) -> np.ndarray:
    return np.divide(part_b, whole_b, out=np.full(len(part_b), np.nan), where=whole_b > 0)


def _finite(values_b: np.ndarray) -> np.ndarray:
    finite_b: np.ndarray = np.where(np.isfinite(values_b), values_b, np.nan)
    return finite_b


def position_key(position: str) -> str:
    """Return the key of the AHI in a position."""
    return POSITION + re.sub(r"\W+", "_", position.lower()).strip("_")
