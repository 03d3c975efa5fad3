"""What a review begins from: a scoring's stages and probabilities on its own epochs, and events that fit the recording."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sleepfm.library.event_sets import StoredEvents, event_sets
from sleepfm.library.events_origin import EventsOrigin, annotated_events
from sleepfm.library.library import Library, StoredScoring
from sleepfm.library.review_patch import fitting
from sleepfm.library.review_standing import events_origin, scored_by_hand
from sleepfm.library.review_store import read_events
from sleepfm.library.study import AUTOMATIC_ENGINES, PERSON, Study
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, Stage

_FROM_THE_BASE = ("engine", "model", "label", "note", "version", "weights_sha256", "encoder", "encoder_sha256", "trained_on")


def proposal_words(base: dict[str, Any]) -> str:
    """Return the name of the scoring that a review was begun from, with its version or model."""
    label = str(base.get("label") or base.get("engine", ""))
    if base.get("engine") not in AUTOMATIC_ENGINES:
        return label
    return f"{label} {base.get('model') or base.get('version') or ''}".rstrip()


def whole_epochs(duration_s: float) -> int:
    """Return how many whole epochs a recording of this length (s) has."""
    return int(duration_s / EPOCH_S + 1e-6)


def proposed_stages(library: Library, stored: StoredScoring | None, epochs: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (epoch,) int8 and (epoch, 5) float32, Unknown and NaN where the scoring says nothing.

    A program's probabilities of epochs that a person has scored are NaN too: what was decided is not open any more.
    """
    stages_e = np.full(epochs, Stage.UNKNOWN, np.int8)
    if stored is None:
        return stages_e, None
    covered = min(epochs, len(stored.scoring.stages))
    stages_e[:covered] = stored.scoring.stages[:covered]
    if stored.scoring.probabilities is None:
        return stages_e, None
    shares_e5 = np.full((epochs, len(SCORED_STAGES)), np.nan, np.float32)
    shares_e5[:covered] = stored.scoring.probabilities[:covered]
    if stored.engine == PERSON:
        row = library.connection.execute("SELECT proposed FROM reviews WHERE scoring = ?", (stored.id,)).fetchone()
        differs_e = np.frombuffer(row["proposed"], np.int8)[:covered] != stages_e[:covered]
        shares_e5[:covered][scored_by_hand(library.connection, stored.id)[:covered] | differs_e] = np.nan
    return stages_e, shares_e5


def base_of(stored: StoredScoring) -> dict[str, Any]:
    """Return what a review remembers of the scoring that it begins from."""
    said = {name: stored.provenance[name] for name in _FROM_THE_BASE if name in stored.provenance}
    return {"id": stored.id, "engine": stored.engine, "model": stored.model} | said


def first_events(
    library: Library, study: Study, stored: StoredScoring | None
) -> tuple[dict[str, Event], EventsOrigin, list[str]]:
    """Return the events that a review begins with by id, where they are from, and what was done to make them fit."""
    if stored is not None and stored.engine == PERSON:
        origin = EventsOrigin(stored.label, events_origin(library.connection, stored.id).provenance)
        return read_events(library.connection, stored.id), origin, []
    sets = event_sets(library, study.id)
    if sets:
        events, warnings = events_of_set(sets[0], study.duration_s)
        return events, EventsOrigin.of_set(sets[0]), warnings
    found, origin = annotated_events(library, study.id)
    events, warnings = _fitted(found, "a", study.duration_s)
    return events, origin, [*origin.remarks, *warnings]


def events_of_set(stored: StoredEvents, duration_s: float) -> tuple[dict[str, Event], list[str]]:
    """Return the events of a set by the ids that they have in a review, and what was done to make them fit."""
    return _fitted(stored.events, f"s{stored.id}-", duration_s)


def _fitted(found: Iterable[Event], prefix: str, duration_s: float) -> tuple[dict[str, Event], list[str]]:
    events: dict[str, Event] = {}
    outside = cut = 0
    for number, event in enumerate(found, 1):
        kept = fitting(event, duration_s)
        if kept is None:
            outside += 1
            continue
        cut += kept.stop_s < event.stop_s or kept.start_s > event.start_s
        events[f"{prefix}{number}"] = kept
    warnings = [f"{outside} events lie outside the recording and were left out"] if outside else []
    warnings += [f"{cut} events reach beyond the recording and were cut at its ends"] if cut else []
    return events, warnings
