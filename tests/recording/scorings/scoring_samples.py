"""Scorings and events for tests, and strategies that draw them."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np

from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.vocabulary import EventName, Stage

POINTS = (EventName.LIGHTS_OFF, EventName.LIGHTS_ON)
CHANNELS = ("", "EEG C4-M1", "Nasal pressure", "SpO2", "=HYPERLINK(1)", "Größe µV")


def scoring_of(stages: list[int], *, probable: bool = False) -> Scoring:
    """Return a scoring, with probabilities whose likeliest stage is the one scored where `probable`."""
    values = np.array(stages, dtype=np.int8)
    if not probable:
        return Scoring(values)
    p = np.full((len(values), 5), 0.0625, np.float32)
    known = values >= 0
    p[np.flatnonzero(known), values[known]] = 0.75
    p[~known] = np.nan
    return Scoring(values, p)


@st.composite
def nights(draw: st.DrawFn) -> tuple[Scoring, tuple[Event, ...]]:
    """Draw a scoring (with or without probabilities) and events within it."""
    stages = draw(st.lists(st.sampled_from([int(stage) for stage in Stage]), min_size=2, max_size=40))
    length = 30 * len(stages)
    events = []
    for _ in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from(list(EventName)))
        start = draw(st.integers(0, 8 * (length - 1))) / 8
        stop = start if name in POINTS else min(length, start + draw(st.integers(1, 400)) / 8)
        extra: dict[str, float | str] = {"Desaturation": 4.5, "NadirSpO2": 88.0} if name is EventName.DESATURATION else {}
        events.append(
            Event(start, stop, name.value, draw(st.sampled_from(CHANNELS)), draw(st.sampled_from(["", "expert"])), extra)
        )
    return scoring_of(stages, probable=draw(st.booleans())), tuple(
        sorted(events, key=lambda one: (one.start_s, one.stop_s, one.name))
    )
