"""The colours of a map: eight groups that every eye tells apart, one ramp for numbers, grey for what is not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sleepfm.library.map_columns import MISSING, MapColumn
from sleepfm.library.maps import StoredMap
from sleepfm.viewer.theme import STAGE_COLOURS
from sleepfm.vocabulary import SCORED_STAGES, STAGE_SHORT

GROUP_COLOURS = ("#0072b2", "#e69f00", "#56b4e9", "#30363d", "#cc79a7", "#d55e00", "#009e73", "#f0e442")
"""After Okabe and Ito (Color Universal Design, 2008), the black a little lighter, those first that lie furthest apart."""
OTHERS_COLOUR = "#774a28"
UNKNOWN_COLOUR = "#d3d7dd"
RAMP = ("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838")
"""Ten steps of cividis (Nuñez, Anderton and Renslow 2018, doi 10.1371/journal.pone.0199239): it gets lighter evenly, whatever
colours somebody sees."""
ROBUST = (2.0, 98.0)
"""Percentiles that the ends of the ramp stand for: one odd number must not take all the colours."""
_STAGES = {STAGE_SHORT[stage]: STAGE_COLOURS[stage] for stage in SCORED_STAGES}


@dataclass(frozen=True)
class Entry:
    """A line of the legend: its words, its colour, how many rows; a click selects `labels` (None: it cannot be selected)."""

    title: str
    colour: str
    count: int
    labels: tuple[str | None, ...] | None


@dataclass(frozen=True, eq=False)
class Legend:
    """How a column of groups is coloured: `entry_of_label` gives the entry of each label, the last entry being "not known"."""

    entries: tuple[Entry, ...]
    entry_of_label: tuple[int, ...]


def legend(stored: StoredMap, column: MapColumn) -> Legend:
    """Return the legend of a column of groups.

    With more groups than colours the largest keep their own, the others share one.
    """
    assert column.labels is not None
    code_n = column.of_rows(stored)
    counts = np.bincount(code_n[code_n != MISSING], minlength=len(column.labels))
    order = list(range(len(column.labels)))
    room = len(GROUP_COLOURS)
    if len(order) > room:
        order = sorted(order, key=lambda code: (-counts[code], column.labels[code] if column.labels else ""))
    named, others = order[:room], order[room:]
    stages = column.key == "stage"
    entries = [
        Entry(
            column.labels[code],
            _STAGES[column.labels[code]] if stages else GROUP_COLOURS[place],
            int(counts[code]),
            (column.labels[code],),
        )
        for place, code in enumerate(named)
    ]
    if others:
        entries.append(Entry(f"{len(others)} others", OTHERS_COLOUR, int(counts[others].sum()), None))
    place_of = {code: place for place, code in enumerate(named)}
    entry_of_label = tuple(place_of.get(code, len(named)) for code in range(len(column.labels)))
    entries.append(Entry("not known", UNKNOWN_COLOUR, int((code_n == MISSING).sum()), (None,)))
    return Legend(tuple(entries), entry_of_label)


def ramp_ends(column: MapColumn) -> tuple[float, float]:
    """Return the numbers that the ends of the ramp stand for; (0, 1) where nothing is known."""
    known_v = column.values_v[np.isfinite(column.values_v)]
    if not known_v.size:
        return 0.0, 1.0
    low, high = np.percentile(known_v.astype(np.float64), ROBUST)
    return float(low), float(high)
