"""How far two sets of events agree: which of the one are also in the other.

Two events of a sort are the same one when they overlap. Each stands for one other at most; of several that overlap the pair with
the largest share of common time (intersection over union) is taken first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EventName

BREATHING = "Apneas and hypopneas"
_OF_BREATHING = frozenset({
    EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA, EventName.HYPOPNEA
})  # fmt: skip
SORTS: dict[str, frozenset[str]] = {BREATHING: frozenset(_OF_BREATHING)} | {
    name.value: frozenset({name.value}) for name in EventName if name not in (EventName.LIGHTS_OFF, EventName.LIGHTS_ON)
}
"""What is compared, in the order of tables, and the names that count as it."""


@dataclass(frozen=True)
class EventAgreement:
    """Agreement on one sort of event in one night.

    Attributes
    ----------
    name
        The sort: a name of the vocabulary, or `BREATHING` for all of four sorts whatever each was called.
    both, only_a, only_b
        Pairs that were found, and events that have no partner.
    onset_difference_s
        (pair,) onset in A minus onset in B, in seconds.
    pairs
        (pair, 2) places in A and B, counted among the events of this sort in order of onset.
    """

    name: str
    both: int
    only_a: int
    only_b: int
    onset_difference_s: np.ndarray
    pairs: np.ndarray

    @property
    def f1(self) -> float:
        """2 * both / (events of A + events of B), the same whoever is A; NaN where neither has any."""
        total = 2 * self.both + self.only_a + self.only_b
        return 2 * self.both / total if total else float("nan")


def match_events(a: Sequence[Event], b: Sequence[Event], *, least_overlap: float = 0.0) -> np.ndarray:
    """Return (pair, 2) places in `a` and `b` of events that are the same, whatever their names.

    Parameters
    ----------
    a, b
        In any order.
    least_overlap
        Smallest intersection over union that counts, 0 to 1; with 0 any overlap of more than no time does. A point in time
        (stop = start) matches what it lies in, with an overlap of 0.
    """
    start_a, stop_a = _times(a)
    start_b, stop_b = _times(b)
    order_b = np.argsort(start_b, kind="stable")
    sorted_start, sorted_stop = start_b[order_b], stop_b[order_b]
    latest_stop = np.maximum.accumulate(sorted_stop) if len(b) else sorted_stop
    found: list[tuple[float, int, int]] = []
    for i in range(len(a)):
        low = int(np.searchsorted(latest_stop, start_a[i], side="left"))
        high = int(np.searchsorted(sorted_start, stop_a[i], side="right"))
        for j in order_b[low:high].tolist():
            common = min(stop_a[i], stop_b[j]) - max(start_a[i], start_b[j])
            point = stop_a[i] == start_a[i] or stop_b[j] == start_b[j]
            if common < 0 or (common == 0 and not point):
                continue
            union = max(stop_a[i], stop_b[j]) - min(start_a[i], start_b[j])
            share = common / union if union else 1.0
            if share >= least_overlap:
                found.append((-share, i, j))
    taken_a, taken_b, pairs = set[int](), set[int](), list[tuple[int, int]]()
    for _, i, j in sorted(found):
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            pairs.append((i, j))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def agree_on_events(a: Iterable[Event], b: Iterable[Event], *, least_overlap: float = 0.0) -> dict[str, EventAgreement]:
    """Compare two sets of events of one night, sort by sort; those that neither has are left out, lights too.

    Parameters
    ----------
    least_overlap
        As for `match_events`.
    """
    sorted_a, sorted_b = (sorted(events, key=lambda e: (e.start_s, e.stop_s)) for events in (a, b))
    made = {}
    for name, of in SORTS.items():
        of_a, of_b = [e for e in sorted_a if e.name in of], [e for e in sorted_b if e.name in of]
        if not of_a and not of_b:
            continue
        pairs = match_events(of_a, of_b, least_overlap=least_overlap)
        apart = np.array([of_a[i].start_s - of_b[j].start_s for i, j in pairs.tolist()], dtype=np.float64)
        made[name] = EventAgreement(name, len(pairs), len(of_a) - len(pairs), len(of_b) - len(pairs), apart, pairs)
    return made


def _times(events: Sequence[Event]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([e.start_s for e in events], dtype=np.float64), np.array([e.stop_s for e in events], dtype=np.float64)
