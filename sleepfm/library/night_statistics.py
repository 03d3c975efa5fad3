"""The statistics of a study's scoring: all of them for pages and reports, a few for the strip that lives beside the viewer."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from sleepfm.analysis.night_numbers import NightNumbers
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.sleep_statistics import NightStatistics, Statistic, statistics_of
from sleepfm.library.library import Library
from sleepfm.library.scored_night import ScoredNight, scored_night, scored_version

STRIP = {
    "tst": "TST",
    "se": "SE",
    "sol": "SOL",
    "waso": "WASO",
    "rem_latency": "REM latency",
    "ahi": "AHI",
    "odi3": "ODI 3 %",
    "arousal_index": "Arousals",
    "plmi": "PLMI",
}
"""The numbers of the strip by key, and what they are called where room is short."""
_IN_PLACE_OF = {"odi3": "odi3_spo2"}
_KEPT_NIGHTS = 16
_kept: OrderedDict[tuple[object, ...], NightStatistics] = OrderedDict()
_READY_NIGHTS = 4
_ready: OrderedDict[tuple[object, int], tuple[tuple[object, ...], NightNumbers]] = OrderedDict()
_lock = threading.Lock()


def study_statistics(library: Library, study: str, scoring: int) -> NightStatistics:
    """Return the statistics of one scoring of a study, with its events, vitals and the intervals of its proposal.

    They are kept until the review, the events or the vitals change.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    RecordingError
        When its stored vitals or its recording cannot be read.
    """
    return _current(library, study, scoring)[1]


def numbers(library: Library, study: str, scoring: int) -> dict[str, Any]:
    """Return {"version", "numbers": [{"key", "name", "value", "low", "high", "unit", "text", "remark"}]} of a scoring.

    `text` is the number as people read it, or the reason why there is none; `remark` what is to be looked at before it is
    believed. Where no desaturations are marked, the index from the SpO2 signal stands in their place, under its own key.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    RecordingError
        When its stored vitals or its recording cannot be read.
    """
    version, statistics = _current(library, study, scoring)
    shown = []
    for key, name in STRIP.items():
        item, second = statistics[key], statistics[_IN_PLACE_OF.get(key, key)]
        if item.value is None and second.value is not None:
            item = second
        shown.append(
            {
                "key": item.key,
                "name": name,
                "value": item.value,
                "low": item.low,
                "high": item.high,
                "unit": item.unit,
                "text": _short(item),
                "remark": item.remark,
            }
        )
    return {"version": version, "numbers": shown}


def _short(item: Statistic) -> str:
    if item.value is None:
        return item.why_none
    if item.key == "tst":
        hours, minutes = divmod(round(item.value), 60)
        return f"{hours} h {minutes:02d} min"
    return item.text


def _current(library: Library, study: str, scoring: int) -> tuple[int, NightStatistics]:
    """Return the version and the statistics of it."""
    version, state = scored_version(library, study, scoring)
    key = (library.home.database, study, scoring, state)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return version, _kept[key]
    night = scored_night(library, study, scoring)
    found = statistics_of(
        night.stages_n,
        _made_ready((library.home.database, scoring), night),
        looked_for=night.events_from.looked_for,
        vitals=night.vitals,
        probabilities=night.open_probabilities_ns,
        temperature=night.temperature.value,
        looked_at=night.looked_at_n,
    )
    found = replace(found, remarks=tuple(dict.fromkeys((*found.remarks, *night.events_from.remarks))))
    with _lock:
        _kept[key] = found
        while len(_kept) > _KEPT_NIGHTS:
            _kept.popitem(last=False)
    return version, found


def _made_ready(place: tuple[object, int], night: ScoredNight) -> NightNumbers:
    """Return a night made ready for its numbers; the one of last time where only stages have changed since."""
    rests_on = (night.events, night.vitals, night.events_from.left_out, len(night.stages_n))
    with _lock:
        kept = _ready.get(place)
    # the very same objects, which are never changed: nothing that was made anew can be taken for what it replaced
    if kept is not None and kept[0][0] is rests_on[0] and kept[0][1] is rests_on[1] and kept[0][2:] == rests_on[2:]:
        found = kept[1]
    else:
        found = NightNumbers.of(
            night.events, night.vitals, night_span(len(night.stages_n), night.events), night.events_from.left_out
        )
    with _lock:
        _ready[place] = (rests_on, found)
        _ready.move_to_end(place)
        while len(_ready) > _READY_NIGHTS:
            _ready.popitem(last=False)
    return found
