"""The statistics of a night: each number with its unit, its definition, how others define it, and why there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sleepfm.analysis.calibration import calibrated
from sleepfm.analysis.doubtful_onsets import doubtful_onsets
from sleepfm.analysis.night_numbers import NightNumbers, position_key
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.oximetry import unnamed_positions
from sleepfm.analysis.statistic_definitions import BREATHING, DEFINITIONS, HEART, OXYGEN, Definition, others
from sleepfm.analysis.statistic_intervals import DRAWS, draw_hypnograms, percentile_intervals
from sleepfm.analysis.statistic_reasons import ahi_remark, bounds_of, remarks, why_none
from sleepfm.recording.scorings.scoring import Event
from sleepfm.signals.vitals import Vitals
from sleepfm.text import printable


@dataclass(frozen=True)
class Statistic:
    """One number of a night.

    Attributes
    ----------
    key
        Short name for programs ("tst"); stable.
    name
        Name for people.
    group
        The heading it stands under, one of `statistic_definitions.GROUPS`.
    value
        The number in `unit`; None where it is undefined, then `why_none` says why.
    unit
        "min", "%", "/h", "bpm", or "" for a count.
    low, high
        95 % interval from the probabilities of the stages that nobody looked at; None where there is none.
    interval_note
        What the interval leaves out, empty when nothing is to be said.
    remark
        What is to be looked at before this number is believed, a sentence; mostly empty.
    definition
        What is counted, in plain words, with its source.
    others
        How the AASM manual, YASA or Luna define it where they differ; empty where they agree.
    bound
        "≤" or "≥" where Unknown epochs make the number the most or the least that it can be.
    """

    key: str
    name: str
    group: str
    value: float | None
    unit: str
    definition: str
    low: float | None = None
    high: float | None = None
    interval_note: str = ""
    others: str = ""
    why_none: str = ""
    remark: str = ""
    bound: str = ""

    @property
    def text(self) -> str:
        """Return the number with its unit as people read it, a dash where there is none."""
        if self.value is None:
            return "–"
        return f"{self.bound} {with_unit(self.value, self.unit)}".lstrip()

    @property
    def interval(self) -> str:
        """Return "372.0 to 401.5" in the number's unit, empty where there is no interval or the stages do not move the number."""
        if self.low is None or self.high is None:
            return ""
        low, high = _digits(self.low, self.unit), _digits(self.high, self.unit)
        return "" if low == high else f"{low} to {high}"


def with_unit(value: float, unit: str) -> str:
    """Return a number with its unit as people read it ("412.5 min", "12.3 /h", "31")."""
    return f"{_digits(value, unit)} {unit}".rstrip()


def _digits(value: float, unit: str) -> str:
    return f"{value:.0f}" if unit in ("", "bpm") else f"{value:.1f}"


@dataclass(frozen=True)
class NightStatistics:
    """All statistics of a night.

    Attributes
    ----------
    items
        In the order of a report.
    remarks
        What a reader has to know before the numbers (lights not marked, Unknown minutes), each a sentence.
    intervals
        Where the intervals come from, a sentence; empty when there are none.
    """

    items: tuple[Statistic, ...]
    remarks: tuple[str, ...] = ()
    intervals: str = ""

    def __getitem__(self, key: str) -> Statistic:
        """Return the statistic of this key; KeyError when there is none."""
        for item in self.items:
            if item.key == key:
                return item
        raise KeyError(key)

    def as_dict(self) -> dict[str, Any]:
        """Return what `statistics.json` holds: never NaN, an undefined number is null with its reason."""
        return {
            "statistics": [asdict(item) for item in self.items],
            "remarks": list(self.remarks),
            "intervals": self.intervals,
        }


def night_statistics(
    stages: np.ndarray,
    *,
    events: Sequence[Event] = (),
    looked_for: Collection[str] = (),
    left_out: Collection[tuple[int, int]] = (),
    vitals: Vitals | None = None,
    lights_off_s: float | None = None,
    lights_on_s: float | None = None,
    probabilities: np.ndarray | None = None,
    temperature: float | None = None,
    looked_at: np.ndarray | None = None,
) -> NightStatistics:
    """Return the statistics of a night.

    Parameters
    ----------
    stages
        (n_epochs,) numbers of `Stage`, 30-s epochs from the recording's start; Unknown is masked.
    events
        Everything that was marked, in every stage; "Lights off" and "Lights on" among them.
    looked_for
        Names of events that somebody or a program looked for: of these, none marked means 0, not unknown.
    left_out
        Runs of 0-based epochs [first, stop) in which no events could be looked for (a gap, no airflow): unless somebody marked a
        breathing event there they are not in the hours of the indices of events, but for desaturations.
    vitals
        Oxygen, heart rate and position, one value a second.
    lights_off_s, lights_on_s
        In seconds from the recording's start; they count before the events. Without either the recording's start or end is
        taken, and a remark says so.
    probabilities
        (n_epochs, 5) of the model, in the order of `SCORED_STAGES`; NaN rows are epochs that somebody looked at, taken as
        certain. Without them there are no intervals.
    temperature
        Divides the logarithms of the probabilities; 1 unless told.
    looked_at
        (n_epochs,) epochs that a person set or confirmed; none unless told.

    Raises
    ------
    ValueError
        When there are not as many rows of probabilities as stages.
    """
    span = night_span(len(stages), events, lights_off_s=lights_off_s, lights_on_s=lights_on_s)
    return statistics_of(
        stages,
        NightNumbers.of(events, vitals, span, left_out),
        looked_for=looked_for,
        vitals=vitals,
        probabilities=probabilities,
        temperature=temperature,
        looked_at=looked_at,
    )


def statistics_of(
    stages: np.ndarray,
    night: NightNumbers,
    *,
    looked_for: Collection[str] = (),
    vitals: Vitals | None = None,
    probabilities: np.ndarray | None = None,
    temperature: float | None = None,
    looked_at: np.ndarray | None = None,
) -> NightStatistics:
    """Return the statistics of a night whose events and vitals were made ready before; they hold under any stages.

    Parameters
    ----------
    night
        Of as many epochs as there are stages, from `vitals` and the events; the others as in `night_statistics`.

    Raises
    ------
    ValueError
        When there are not as many rows of probabilities as stages.
    """
    if probabilities is not None and len(probabilities) != len(stages):
        raise ValueError(f"{len(stages)} stages, but {len(probabilities)} rows of probabilities")
    definitions = _definitions(night)
    if not len(stages):
        return NightStatistics(tuple(_none(key, one, "the scoring has no whole epoch") for key, one in definitions.items()))
    computed = {key: round(float(value_b[0]), _DIGITS) for key, value_b in night.compute(stages.astype(np.int8)[None]).items()}
    reasons = {key: why_none(key, computed.get(key, np.nan), stages, night, looked_for) for key in definitions}
    point = {key: computed[key] for key, reason in reasons.items() if not reason}
    spread = _intervals(stages, probabilities, temperature, night, point)
    bounds = bounds_of(stages, night.span)
    doubts = doubtful_onsets(stages, night.span, looked_at) | {"ahi": ahi_remark(stages, night, looked_for)}
    items = []
    for key, one in definitions.items():
        if key in point:
            low, high, note = spread.get(key, (None, None, ""))
            about = Statistic(key, one.name, one.group, point[key], one.unit, one.words, low, high, note, others(key))
            items.append(replace(about, remark=doubts.get(key, ""), bound=bounds.get(key, "")))
        else:
            items.append(_none(key, one, reasons[key]))
    said = (*remarks(stages, night), *_of_positions(vitals), *(one.remark for one in items if one.remark))
    return NightStatistics(tuple(items), said, _INTERVALS if spread else "")


def _of_positions(vitals: Vitals | None) -> tuple[str, ...]:
    codes = [] if vitals is None else unnamed_positions(vitals)
    if not codes:
        return ()
    which = f"code {codes[0]}" if len(codes) == 1 else f"codes {', '.join(map(str, codes[:8]))}"
    return (f"The recording does not name its body positions ({which}): there is no AHI in them.",)


_DIGITS = 6  # behind these there is only how sums are rounded
_INTERVALS = (
    "Intervals: 95 %, from uncertain stages only: by the model's probabilities of the stages that nobody has looked at, in "
    f"{DRAWS} drawn hypnograms in which neighbouring epochs err together. Marked events are taken as they are, and what the "
    "probabilities do not know is not in the intervals; oxygen and heart have none: there it is not the stages that are in doubt."
)


def _definitions(night: NightNumbers) -> dict[str, Definition]:
    """Return what is reported of this night, in order: every definition, and the AHI of each position that it was slept in."""
    found: dict[str, Definition] = {}
    for key, one in DEFINITIONS.items():
        found[key] = one
        if key == "ahi_nrem":
            for position in night.positions:
                words = "Apneas and hypopneas that begin in this position, per hour of sleep in it."
                found[position_key(position)] = Definition(f"AHI, {printable(position)}", BREATHING, "/h", words)
    return found


def _none(key: str, one: Definition, why: str) -> Statistic:
    return Statistic(key, one.name, one.group, None, one.unit, one.words, others=others(key), why_none=why)


def _intervals(
    stages: np.ndarray,
    probabilities: np.ndarray | None,
    temperature: float | None,
    night: NightNumbers,
    point: dict[str, float],
) -> dict[str, tuple[float, float, str]]:
    """Return low, high and what they leave out, by key, for the numbers whose doubt is that of the stages."""
    keys = [key for key in point if key not in _FIXED]
    if probabilities is None or not keys or not np.isfinite(probabilities).all(axis=1).any():
        return {}
    drawn_bn = draw_hypnograms(stages, calibrated(probabilities, 1.0 if temperature is None else temperature))
    step = max(1, _CELLS_AT_ONCE // len(stages))
    parts = [night.compute(drawn_bn[first : first + step]) for first in range(0, len(drawn_bn), step)]
    values_kb = np.concatenate([np.stack([part[key] for key in keys]) for part in parts], axis=1)
    low_k, high_k, undefined_k = percentile_intervals(values_kb)
    found = {}
    for key, low, high, undefined in zip(keys, low_k.tolist(), high_k.tolist(), undefined_k.tolist(), strict=True):
        if undefined < 1:
            note = f"undefined in {100 * undefined:.0f} % of the drawn hypnograms" if undefined >= 0.005 else ""
            # the number itself is of the stages as they stand, the most probable ones, and may lie at the edge of what is drawn
            found[key] = (min(round(low, _DIGITS), point[key]), max(round(high, _DIGITS), point[key]), note)
    return found


_CELLS_AT_ONCE = 400_000  # epochs of hypnograms: a recording of a month fits into memory too
_FIXED = frozenset({"tib", "unknown", *(key for key, one in DEFINITIONS.items() if one.group in (OXYGEN, HEART))})
"""Numbers without an interval: what is uncertain of oxygen and heart is not what the stages leave open, and an interval that is
only of the stages would say that they are known to a tenth."""
