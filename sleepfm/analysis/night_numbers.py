"""All numbers of a night under one hypnogram or many: the sleep's own, and those of events and vitals that follow from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.analysis.event_indices import Counted, counted_in_sleep, made_ready
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
from sleepfm.analysis.sleep_architecture import architecture, asleep, sums_over
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

    @classmethod
    def of(cls, events: Sequence[Event], vitals: Vitals | None, span: NightSpan) -> NightNumbers:
        """Make ready what was marked and measured between lights off and lights on."""
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
        for key, name in _COUNTED.items():
            found[key] = counts[name]
        for key, name in _HOURLY.items():
            found[key] = hourly(counts[name], tst_b)
        found["rdi"] = hourly(counts["ahi"] + counts[EventName.RERA], tst_b)
        found["ahi_rem"] = hourly(counts["ahi rem"], found["rem"])
        found["ahi_nrem"] = hourly(counts["ahi nrem"], tst_b - found["rem"])
        sleep_bn = asleep(stages_bn)
        sums = self._sums_in_sleep(sleep_bn)
        for position in self.positions:
            found[position_key(position)] = hourly(counts[f"position {position}"], sums[f"position {position}"] / 60.0)
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
        columns = {f"position {position}": seconds_n for position, seconds_n in self.positions.items()}
        for word, signal in (("oxygen", self.oxygen), ("heart", self.heart)):
            if signal is not None:
                columns |= {word: signal.sum_n, f"{word} seconds": signal.seconds_n}
        columns["below"] = self.below_n
        return dict(zip(columns, sums_over(sleep_bn, np.stack(list(columns.values()), axis=1)).T, strict=True))


def _share(part_b: np.ndarray, whole_b: np.ndarray) -> np.ndarray:
    return np.divide(part_b, whole_b, out=np.full(len(part_b), np.nan), where=whole_b > 0)


def _finite(values_b: np.ndarray) -> np.ndarray:
    finite_b: np.ndarray = np.where(np.isfinite(values_b), values_b, np.nan)
    return finite_b


def position_key(position: str) -> str:
    """Return the key of the AHI in a position."""
    return POSITION + re.sub(r"\W+", "_", position.lower()).strip("_")
